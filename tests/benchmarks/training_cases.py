"""A small workload, little effort, and rows as benchmarks/training_timing.py writes them."""

from __future__ import annotations

from benchmarks.training_timing import Effort
from benchmarks.workloads import Workload

TINY = Workload("tiny", "mlp", 2, "sgd", 0.1, 5, torch_ms=1.0, floor=2, aim=3)
EFFORT = Effort(rounds=3, seconds=0.001, threads=(1,), tune=True, cold=True)


def fake_row(framework, mode, ms, threads=2):
    return {"framework": framework, "mode": mode, "threads": threads, "ms_per_step": ms, "variant": {}}
