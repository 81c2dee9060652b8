"""How the time of a step grows with the batch, the image size and the threads: the plot of benchmarks/training.py."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.training_timing import NAMES, Effort, contenders, start, take_turns
from benchmarks.worker import Request
from benchmarks.workloads import WORKLOADS, Workload, at
from minitorch.doctor import usable_cores

# It compiles anew for every shape, half a minute each.
LEFT_OUT = [("pytorch", "compiled")]

COLOURS = {"minitorch": "#1f4e9c", "pytorch": "#d9572b", "jax": "#4c9a4c"}


@dataclass(frozen=True)
class Sweep:
    """One panel: a quantity along the horizontal axis, and the workloads at each of its values.

    Attributes:
        name: the quantity.
        title: what is trained.
        points: values, and the workload and the threads at each.
    """

    name: str
    title: str
    points: list[tuple[int, Workload, int]]


def sweeps(threads: int, quick: bool) -> list[Sweep]:
    """List the panels.

    Args:
        threads: to compute on where threads are not what varies.
        quick: a few small values only.
    """
    lenet, cnn = (next(w for w in WORKLOADS if w.network == network) for network in ("lenet", "cnn"))
    batches = (1, 2) if quick else (1, 4, 16, 128, 1024)
    sizes = (4, 8) if quick else (16, 32, 64)
    batch = 2 if quick else 128
    counts = sorted({1, min(2, usable_cores()), usable_cores()})
    return [
        Sweep("batch", f"LeNet, {threads} threads", [(n, at(lenet, {"batch": n}), threads) for n in batches]),
        Sweep(
            "height and width of an image",
            f"two convolutions, batch 16, {threads} threads",
            [(n, at(cnn, {"size": n, "batch": 2 if quick else 16}), threads) for n in sizes],
        ),
        Sweep("threads", f"LeNet, batch {batch}", [(n, at(lenet, {"batch": batch}), n) for n in counts]),
    ]


def measure_sweep(sweep: Sweep, effort: Effort) -> list[dict[str, Any]]:
    """Time every framework at each value; what cannot run is left out."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for value, workload, threads in sweep.points:
            print(f"{sweep.title}, {sweep.name} {value} ...", file=sys.stderr, flush=True)
            rows = [
                start(framework, Request(workload, mode, threads), effort, Path(folder))
                for framework, mode in contenders(effort)
                if (framework, mode) not in LEFT_OUT
            ]
            workers = [row.worker for row in rows if row.worker is not None]
            take_turns(workers, effort.rounds, effort.seconds)
            for worker in workers:
                worker.end()
            found += [
                {
                    "sweep": sweep.name,
                    "value": value,
                    "framework": row.framework,
                    "mode": row.request.mode,
                    "ms_per_step": row.worker.median() * 1e3,
                }
                for row in rows
                if row.worker is not None
            ]
    return found


def draw(panels: Sequence[Sweep], found: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw a line for each framework and mode; axes are logarithmic, but for the times over threads."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels)), panels, strict=True):
        of_panel = [point for point in found if point["sweep"] == panel.name]
        for framework, mode in dict.fromkeys((point["framework"], point["mode"]) for point in of_panel):
            line = [p for p in of_panel if (p["framework"], p["mode"]) == (framework, mode)]
            axes.plot(
                [point["value"] for point in line],
                [point["ms_per_step"] for point in line],
                color=COLOURS[framework],
                linestyle="-" if mode == "compiled" else "--",
                marker="o",
                markersize=4,
                label=f"{NAMES[framework]} {mode}",
            )
        axes.set_xscale("log")
        if panel.name == "threads":
            axes.set_ylim(bottom=0)
        else:
            axes.set_yscale("log")
        values = sorted({value for value, _, _ in panel.points})
        axes.set_xticks(values, [str(value) for value in values])
        axes.minorticks_off()
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set(xlabel=panel.name, ylabel="milliseconds a step", title=panel.title)
        axes.grid(alpha=0.3)
    figure.axes[0].legend(frameon=False, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def plot(effort: Effort, path: Path, quick: bool = False) -> list[dict[str, Any]]:
    """Measure every panel, draw it, and give what was measured.

    Args:
        effort: the frameworks, and the largest number of threads. Peers run in their first variant, and what was
            compiled before is used.
        path: of the PNG file.
        quick: a few small values only.
    """
    panels = sweeps(max(effort.threads), quick)
    light = replace(effort, rounds=3 if quick else 7, seconds=0.01 if quick else 0.1, tune=False, cold=False)
    found = [point for panel in panels for point in measure_sweep(panel, light)]
    draw(panels, found, path)
    return found
