"""How fast a step could be at best: what its products take at the speed of a large one, beside what is asked of it."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.training_timing import NAMES
from benchmarks.workloads import WORKLOADS, Workload

# Products that take over this share of the time that is asked for are worth a sentence.
WORTH = 0.5

# Adam reads a parameter and its two averages and writes them, in float32; gradients need not go through memory.
ADAM_BYTES = 6 * 4


def bound(comparison: dict[str, Any], gflops: dict[int, float]) -> str:
    """Say how much of the time that a missed floor or aim allows the products alone would take.

    Args:
        comparison: a workload's compiled step beside the best peer.
        gflops: what a large sgemm reaches, by the number of threads.

    Returns:
        A sentence, or nothing where nothing is missed, or where the products leave most of the time.
    """
    workload = next((workload for workload in WORKLOADS if workload.key == comparison["workload"]), None)
    missed = missed_target(comparison)
    if workload is None or missed is None:
        return ""
    name, times = missed
    peer = comparison["best_peer"]
    allowed_ms = peer["ms_per_step"] / times
    speed = gflops[comparison["threads"]]
    flops = workload.least_flops()
    products_ms = flops / speed / 1e6
    if products_ms <= WORTH * allowed_ms:
        return ""
    less = ", without zeros beyond the edges and gradients that a maximum holds back" * (flops < workload.flops())
    return (
        f"{workload.key} and its {name}: {times:g} times faster than the {peer['ms_per_step']:.3f} ms of "
        f"{NAMES[peer['framework']]} is {allowed_ms:.3f} ms. The products of a step by their definition "
        f"({flops / 1e6:.0f} Mflop{less}) take {products_ms:.3f} ms at the {speed:.0f} GFLOP/s of a large sgemm, "
        f"{rest(workload, name, allowed_ms - products_ms)}."
    )


def missed_target(comparison: dict[str, Any]) -> tuple[str, float] | None:
    """Give the floor if the step is below it, else the aim if it is below that."""
    for name in ("floor", "aim"):
        times = comparison[name]
        if times is not None and comparison["times_faster"] < times:
            return name, times
    return None


def rest(workload: Workload, name: str, left_ms: float) -> str:
    """Say what is left for everything that is no product."""
    if left_ms <= 0.0:
        return f"so that the {name} takes fewer of them, or faster ones"
    text = f"which leaves {left_ms:.3f} ms for everything else"
    if workload.optimizer == "adam":
        moved = ADAM_BYTES * sum(math.prod(layer.shape) + layer.shape[0] for layer in workload.layers())
        text += (
            f"; Adam reads and writes {moved / 1e6:.1f} MB of parameters and averages, which in that time alone would "
            f"be {moved / left_ms / 1e6:.0f} GB/s"
        )
    return text
