"""Train the networks of the exercises, and say how good they get and how long it takes, beside PyTorch.

    python benchmarks/accuracies.py                       everything, for half an hour on a quiet machine
    python benchmarks/accuracies.py --only race           one training; repeatable
    python benchmarks/accuracies.py --resume              go on after an interruption, without what is done already
    python benchmarks/accuracies.py --quick               see that it runs: one short epoch, one seed, nothing kept

Three seeds each, the accuracy on the test set after the last epoch; nothing is chosen by it. Every training is a
process of its own on all cores, MiniTorch's and PyTorch's in turns, and its seconds are those from the start of the
process to its end: importing, loading, compiling, training, testing. Kernels are compiled before, except where a cold
start is measured, with an empty cache. Each result is written down when it is there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.accuracies_report import Row, summary
from benchmarks.accuracy_tasks import LIBRARIES, SCRIPTS, TASKS, Task, data_of, digest_of, images_of, training_of
from benchmarks.report import RESULTS, ROOT, environment, in_words, machine
from minitorch.doctor import usable_cores

MINITORCH = ROOT / "benchmarks" / "accuracies_minitorch.py"
TORCH = ROOT / "benchmarks" / "peers" / "accuracies_torch.py"
QUICK_LIMIT = 1000  # images to train on with --quick
TUNING_LIMIT = 6000  # images that PyTorch's memory format is chosen with
COLD = ("corrupted", "race")  # tasks whose cold start is measured too
KEPT = RESULTS / "accuracies.json"


@dataclass(frozen=True)
class Effort:
    """How much to measure.

    Attributes:
        quick: one short epoch of one seed.
        seeds: how many of a task's seeds; all when None.
        peer_seeds: how many of them PyTorch trains with; all when None.
    """

    quick: bool = False
    seeds: int | None = None
    peer_seeds: int | None = None


class Failed(Exception):
    """Says how a training ended."""


# --- processes -----------------------------------------------------------------------------------------------


def run(command: Sequence[str | Path], cache: Path | None = None) -> tuple[str, float]:
    """Run a process on all cores, and give what it printed and how many seconds it took.

    Raises:
        Failed: it ended with an error.
    """
    variables = environment(usable_cores())
    variables["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    if cache is not None:
        variables["MINITORCH_CACHE"] = str(cache)
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *map(str, command)], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - begun
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"]
        raise Failed(lines[-1])
    return done.stdout, seconds


def run_minitorch(task: Task, seed: int, effort: Effort, cache: Path | None = None) -> Row:
    """Train with MiniTorch, as the exercise does."""
    if task.name in SCRIPTS:
        return run_script(task, seed, effort, cache)
    request = {"network": task.network, "dataset": task.dataset, "seed": seed}
    request |= {"epochs": 1 if effort.quick else 0, "limit": QUICK_LIMIT if effort.quick else 0}
    printed, seconds = run([MINITORCH, json.dumps(request)], cache)
    return {**json.loads(printed), "seconds": seconds}


def run_script(task: Task, seed: int, effort: Effort, cache: Path | None) -> Row:
    """Train with a script of the exercises, and read the accuracy that it prints."""
    script, flags = SCRIPTS[task.name], ["--seed", str(seed)]
    if effort.quick:
        flags += ["--limit", str(QUICK_LIMIT)]
    if task.name == "race":
        printed, seconds = run([script, *flags], cache)
    else:
        if effort.quick:
            flags += ["--epochs", "1"]
        with tempfile.TemporaryDirectory() as folder:
            model, plot = Path(folder, "trained_model.pt"), Path(folder, "training_loss.png")
            _, seconds = run([script, "train", *flags, "--model", model, "--plot", plot], cache)
            printed, more = run([script, "evaluate", model], cache)
            seconds += more
    found = re.search(r"Test accuracy: ([\d.]+)%", printed)
    if found is None:
        raise Failed(f"{script.name} printed no accuracy")
    return {"accuracy": float(found[1]) / 100, "seconds": seconds}


class Peer:
    """PyTorch's trainings of one task.

    Args:
        task: what to train.
        folder: receives the images, which PyTorch's process reads as arrays.
        effort: how much.
    """

    def __init__(self, task: Task, folder: Path, effort: Effort) -> None:
        self.training = training_of(task).to_json()
        self.folder, self.effort = folder, effort
        if effort.quick:
            self.training["epochs"] = 1
        for split, images in zip(("train", "test"), images_of(task.dataset)):
            np.save(folder / f"{split}_images.npy", images.images)
            np.save(folder / f"{split}_labels.npy", images.labels)
        self.channels_last = False
        if not effort.quick:
            self.channels_last = self.layout_time(True) < self.layout_time(False)

    def layout_time(self, channels_last: bool) -> float:
        """Measure a short epoch with a memory format."""
        short = {**self.training, "epochs": 1}
        return self.ask({"training": short, "seed": 0, "limit": TUNING_LIMIT, "channels_last": channels_last})[
            "training_s"
        ]

    def run(self, seed: int) -> Row:
        """Train, in the faster memory format."""
        limit = QUICK_LIMIT if self.effort.quick else 0
        request = {"training": self.training, "seed": seed, "limit": limit, "channels_last": self.channels_last}
        return {**self.ask(request), "channels_last": self.channels_last}

    def ask(self, request: dict[str, Any]) -> Row:
        """Run one training in a process."""
        printed, seconds = run([TORCH, json.dumps({**request, "folder": str(self.folder)})])
        return {**json.loads(printed), "seconds": seconds}


# --- measuring -----------------------------------------------------------------------------------------------


def measure_task(task: Task, effort: Effort, row: Row, keep: Callable[[], None]) -> None:
    """Train a task with every seed, the libraries in turns; what the row has already is left out.

    Args:
        task: what to train.
        effort: how much.
        row: receives the results.
        keep: called after each of them.
    """
    seeds = task.seeds[: 1 if effort.quick else effort.seeds]
    wanted = [(library, seed) for seed in seeds for library in LIBRARIES]
    peers = seeds[: effort.peer_seeds]
    done = {(run["library"], run["seed"]) for run in row["runs"]}
    wanted = [
        (library, seed)
        for library, seed in wanted
        if (library, seed) not in done and (library == "MiniTorch" or seed in peers)
    ]
    if not wanted:
        return
    with tempfile.TemporaryDirectory() as folder:
        if task.name in COLD and "cold_s" not in row and not effort.quick:
            row["cold_s"] = run_minitorch(task, seeds[0], effort, Path(folder, "cache"))["seconds"]
            say(task, f"with an empty cache {row['cold_s']:.1f} s")
        run_minitorch(task, seeds[0], Effort(quick=True))  # compiles what is not in the cache
        peer = Peer(task, Path(folder), effort) if any(library == "PyTorch" for library, _ in wanted) else None
        for library, seed in wanted:
            if library == "MiniTorch":
                found = run_minitorch(task, seed, effort)
            else:
                assert peer is not None
                found = peer.run(seed)
            row["runs"].append({"library": library, "seed": seed, **found})
            say(task, f"{library}, seed {seed}: {found['accuracy']:.2%} in {found['seconds']:.1f} s")
            keep()


def say(task: Task, line: str) -> None:
    """Print how far it is."""
    print(f"{time.strftime('%H:%M:%S')} {task.name}: {line}", file=sys.stderr, flush=True)


def measure(tasks: Sequence[Task], effort: Effort, path: Path | None, resume: bool = False) -> dict[str, Any]:
    """Train all tasks, and give everything that was found.

    Args:
        tasks: what to train.
        effort: how much.
        path: the file that receives each result when it is there; None to keep nothing.
        resume: go on from that file, but not from results of another recipe, other code or other images; what it has
            of other tasks stays in any case.
    """
    results: dict[str, Any] = {"machine": machine(), "rows": []}
    if path is not None and path.exists():
        old = json.loads(path.read_text(encoding="utf-8"))
        again = {task.name for task in tasks}
        results["rows"] = [row for row in old["rows"] if resume or row["name"] not in again]

    def keep() -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    for task in tasks:
        measured = {"training": training_of(task).to_json(), "code": digest_of(task), "data": data_of(task.dataset)}
        measured = json.loads(json.dumps(measured))  # as it is read back from the file
        row = next((row for row in results["rows"] if row["name"] == task.name), None)
        if row is None or any(row.get(key) != value for key, value in measured.items()):
            results["rows"] = [row for row in results["rows"] if row["name"] != task.name]
            row = {"name": task.name, **measured, "machine": machine(), "runs": []}
            results["rows"].append(row)
        row.pop("failed", None)
        try:
            measure_task(task, effort, row, keep)
        except Failed as failed:
            row["failed"] = str(failed)
            say(task, f"FAILED: {failed}")
        keep()
    order = [task.name for task in TASKS]
    results["rows"].sort(key=lambda row: order.index(row["name"]))
    keep()
    return results


def measure_all(rounds: int) -> dict[str, Any]:
    """Measure everything, for benchmarks/run.py; a training's rounds are its seeds."""
    return measure(TASKS, Effort(), KEPT)


# --- the command line ----------------------------------------------------------------------------------------


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [task.name for task in TASKS]
    parser.add_argument("--json", type=Path, metavar="FILE", help="write results here (benchmarks/results)")
    parser.add_argument("--quick", action="store_true", help="one short epoch of one seed, nothing kept")
    parser.add_argument("--only", choices=names, action="append", help="train this one; repeatable")
    parser.add_argument("--resume", action="store_true", help="leave out what the file of results has already")
    parser.add_argument("--seeds", type=int, metavar="N", help="the first N seeds of each training (all)")
    parser.add_argument("--peer-seeds", type=int, metavar="N", help="PyTorch with the first N of them (all)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and keep what was measured in full; 1 if a training failed."""
    args = parse(argv)
    tasks = [task for task in TASKS if args.only is None or task.name in args.only]
    path = args.json or (None if args.quick else KEPT)
    results = measure(tasks, Effort(args.quick, args.seeds, args.peer_seeds), path, args.resume)
    print(summary(results), in_words(results["machine"]), sep="\n\n")
    if path == KEPT:
        from benchmarks.pages import write_pages  # needs PyTorch, which is not needed before

        write_pages()
    return 1 if any("failed" in row for row in results["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())
