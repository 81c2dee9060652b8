"""What benchmarks/training.py judges: whether all compute the same, how MiniTorch compares, and what must not be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.training_timing import Effort, Failed, Row, Worker, cache_of, variants
from benchmarks.worker import Request
from benchmarks.workloads import Workload

# GFLOP/s of a large sgemm where Workload.torch_ms was measured, on this many threads.
REFERENCE_THREADS, REFERENCE_PEAK = 2, 200.0
# A peer that is so many times slower than it was there was not measured fairly.
PEER_TOLERANCE = 1.3

# Seconds to a compiled training's first step, with an empty cache and in the next process.
COLD_LIMIT, WARM_LIMIT = 10.0, 1.5

# The share of LeNet's GFLOP/s that a LeNet of odd sizes is to reach.
ODD_SHARE = 0.70

CHECKED_STEPS = 50
LOSS_TOLERANCE = 1e-4
# So many times the distance between PyTorch's own variants, in float32, still passes for rounding.
ROUNDING_TOLERANCE = 2.0


# --- whether they compute the same ---------------------------------------------------------------------------


def last_loss(
    framework: str, mode: str, workload: Workload, dtype: str, effort: Effort, folder: Path, variant: Any = None
) -> float:
    """Give the loss after so many steps without dropout, on all threads."""
    request = Request(workload, mode, max(effort.threads), exact=True, dtype=dtype, variant=variant or {})
    worker = Worker(framework, request, effort, cache_of(framework, mode, workload, effort, folder))
    worker.run(CHECKED_STEPS - 1)
    worker.end()
    return worker.loss


def check_losses(workload: Workload, rows: Sequence[Row], effort: Effort, folder: Path) -> list[dict[str, Any]]:
    """Compare the losses of all frameworks that ran with PyTorch's.

    Rounding alone can drive two float32 trainings further apart than the tolerance, even two of PyTorch's own in
    different memory formats. Where they are, the same steps in float64 tell whether it was rounding. MiniTorch's
    float32 is judged by itself as well: PyTorch's own variants show how far rounding drives this workload.
    """
    ran = dict.fromkeys((row.framework, row.request.mode) for row in rows if row.status == "ok")
    if ("pytorch", "eager") not in ran:
        return []
    expected: dict[str, float] = {}
    checks = []
    for framework, mode in ran:
        check: dict[str, Any] = {"workload": workload.key, "framework": framework, "mode": mode, "equal": False}
        for dtype in ("float32", "float64"):
            if dtype not in expected:
                expected[dtype] = last_loss("pytorch", "eager", workload, dtype, effort, folder)
            try:
                check[dtype] = abs(last_loss(framework, mode, workload, dtype, effort, folder) - expected[dtype])
            except Failed as failure:
                check["reason"] = str(failure)
                break
            if check[dtype] <= LOSS_TOLERANCE:
                check["equal"] = True
                break
        checks.append(check)
    ours = [c for c in checks if c["framework"] == "minitorch" and c["equal"] and c["float32"] > LOSS_TOLERANCE]
    if ours:
        spread = eager_spread(workload, expected["float32"], effort, folder)
        compiled = [c["float32"] for c in checks if c["framework"] == "pytorch" and c["equal"]]
        judge_rounding(ours, max([spread, *compiled]))
    return checks


def eager_spread(workload: Workload, expected: float, effort: Effort, folder: Path) -> float:
    """Give how far from its usual loss, in float32, eager PyTorch ends in its other memory formats and optimisers."""
    distances = [0.0]
    for variant in variants("pytorch", "eager", workload):
        try:
            loss = last_loss("pytorch", "eager", workload, "float32", effort, folder, variant)
        except Failed:
            continue
        distances.append(abs(loss - expected))
    return max(distances)


def judge_rounding(checks: Sequence[dict[str, Any]], spread: float) -> None:
    """Refuse float32 losses that are further from PyTorch's than rounding drives PyTorch itself.

    Args:
        checks: of losses that agree in float64, and not in float32.
        spread: how far, in float32, PyTorch's own variants are from its eager loss.
    """
    for check in checks:
        check["pytorch_float32"] = spread
        check["equal"] = check["float32"] <= ROUNDING_TOLERANCE * spread
        if not check["equal"]:
            check["reason"] = (
                f"{check['float32']:.1e} in float32, over {ROUNDING_TOLERANCE:g} times the {spread:.1e} that PyTorch's "
                f"own variants are apart, in spite of {check['float64']:.1e} in float64"
            )


# --- what the rows say together ------------------------------------------------------------------------------


def compare(workload: Workload, rows: Sequence[dict[str, Any]], peaks: dict[int, float]) -> dict[str, Any] | None:
    """Set the compiled step, on all threads, beside the fastest peer; None where either is missing.

    The row is invalid if PyTorch is too slow to be believed: slower by far than where the aims are from, once this
    machine's peak is taken into account.
    """
    timed = [row for row in rows if row["ms_per_step"] is not None]
    most = max(row["threads"] for row in rows)
    ours = [r for r in timed if (r["framework"], r["threads"]) == ("minitorch", most) and "compiled" in r["mode"]]
    peers = [row for row in timed if row["framework"] != "minitorch"]
    if not ours or not peers:
        return None
    best = min(peers, key=lambda row: row["ms_per_step"])
    expected = None
    if workload.torch_ms is not None and REFERENCE_THREADS in peaks:
        expected = workload.torch_ms * REFERENCE_PEAK / peaks[REFERENCE_THREADS]
    # More threads than where the aims are from would hide a peer that was measured badly.
    comparable = [r for r in peers if r["framework"] == "pytorch" and r["threads"] <= REFERENCE_THREADS]
    torch_ms = min((row["ms_per_step"] for row in comparable), default=None)
    times_faster = best["ms_per_step"] / ours[0]["ms_per_step"]
    return {
        "workload": workload.key,
        "threads": most,
        "minitorch_ms": ours[0]["ms_per_step"],
        "best_peer": {key: best[key] for key in ("framework", "mode", "threads", "variant", "ms_per_step")},
        "pytorch_ms": torch_ms,
        "expected_pytorch_ms": expected,
        "reference_pytorch_ms": workload.torch_ms,
        "valid": expected is None or torch_ms is None or torch_ms <= PEER_TOLERANCE * expected,
        "times_faster": times_faster,
        "lost": times_faster < 1.0,
        "floor": workload.floor,
        "aim": workload.aim,
    }


def compare_sizes(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Set the GFLOP/s of a compiled step of LeNet in odd sizes beside LeNet's at the same batch, on all threads."""
    most = max((row["threads"] for row in rows), default=0)
    gflops = {
        (row["workload"], row["batch"]): row["gflops"]
        for row in rows
        if (row["framework"], row["mode"], row["threads"]) == ("minitorch", "compiled", most) and row["status"] == "ok"
    }
    return [
        {
            "workload": f"{name}-{batch}",
            "threads": most,
            "gflops": odd,
            "lenet_gflops": gflops["lenet-mnist", batch],
            "share": odd / gflops["lenet-mnist", batch],
        }
        for (name, batch), odd in gflops.items()
        if name == "lenet-odd" and ("lenet-mnist", batch) in gflops
    ]


def late(cold_s: float | None, warm_s: float | None) -> bool:
    """Tell whether a process took too long to start, as far as that was measured."""
    return (cold_s or 0.0) > COLD_LIMIT or (warm_s or 0.0) > WARM_LIMIT


def wrong(results: dict[str, Any]) -> list[str]:
    """List what must not be: steps of MiniTorch's that fail, losses that differ, and peers too slow to be believed."""
    failed = [
        f"{row['workload']}, batch {row['batch']}, {row['mode']}: {row['reason']}"
        for row in results["rows"]
        if row["framework"] == "minitorch" and row["status"] != "ok"
    ]
    different = [
        f"{check['workload']}, {check['mode']}: the loss differs from PyTorch's"
        for check in results["checks"]
        if check["framework"] == "minitorch" and not check["equal"]
    ]
    invalid = [f"{c['workload']}: INVALID, PyTorch is too slow" for c in results["comparisons"] if not c["valid"]]
    return failed + different + invalid
