from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KERNELS = ["MAP", "ZIP", "REDUCE", "MATRIX MULTIPLY", "CONVOLUTION 1D", "CONVOLUTION 2D"]


@pytest.mark.task3_1
@pytest.mark.task3_2
def test_every_run_has_diagnostics(tmp_path):
    """The second run finds the first one's cache folder; code that is loaded from a cache has no diagnostics."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MINITORCH_CACHE": str(tmp_path)}
    reports = []
    for _ in range(2):
        command = [sys.executable, "project/parallel_check.py"]
        run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        reports.append(run.stdout)

    for report in reports:
        titles = [line for line in report.splitlines() if line in KERNELS]
        assert titles == KERNELS
        assert report.count("Parallel loop listing for") == len(KERNELS)
        assert report.count("Allocation hoisting") == len(KERNELS)
        for name in ("_tensor_map_id", "_tensor_zip_eq", "_tensor_reduce_add", "_tensor_matrix_multiply"):
            assert f"Function {name}," in report
    assert reports[0] == reports[1]
