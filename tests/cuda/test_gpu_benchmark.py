"""The benchmark of the GPU: its cases compute what NumPy computes, and nothing simulated is measured."""

from __future__ import annotations

import numpy as np
import pytest

import minitorch
from benchmarks import gpu
from tests.cases import BACKENDS, assert_close


def test_the_cases_compute_what_numpy_does():
    cases = gpu.Cases(BACKENDS["cuda"], None)
    for case in (*cases.memory(40), cases.product(6)):
        assert case.theirs is None
        assert_close(case.ours().to_numpy().reshape(-1), np.reshape(case.numpy(), -1), "float32")


def test_a_convolution_runs_with_and_without_gradients():
    with minitorch.no_grad():
        forward, step = gpu.Cases(BACKENDS["cuda"], None).convolution("small", (1, 2, 3, 3, 4, 2, 2))
        assert forward.ours().shape == (1, 3, 3, 4)
        step.ours()
    assert step.work == 3 * forward.work == 3 * 2 * 3 * 2 * 3 * 4 * 2 * 2


def test_speeds_count_every_start(monkeypatch):
    monkeypatch.setattr(gpu, "in_turns", lambda runs, rounds: [0.5] * len(runs))
    case = gpu.Case("nothing", 1e9, lambda: None, lambda: None, None)
    assert gpu.speeds(case, None, 1) == {"name": "nothing", "ours": 40.0, "numpy": 40.0}


def test_nothing_simulated_is_measured(monkeypatch):
    monkeypatch.setattr(gpu, "simulated", lambda: True)
    with pytest.raises(minitorch.BackendError, match="simulated GPU say nothing"):
        gpu.measure(1)


def test_the_summary_names_the_gpu_and_what_is_lost():
    text = gpu.summary(
        {
            "gpu": "A GPU, compute capability 9.0",
            "copy": 100.4,
            "GB/s": [{"name": "sum", "ours": 10.0, "theirs": 20.0, "numpy": 1.0}],
            "GFLOP/s": [{"name": "product", "ours": 10.0}],
        }
    )
    assert text.startswith("A GPU, compute capability 9.0; a copy within its memory moves 100 GB/s.")
    assert "| sum (lost) | 10.0 | 20.0 | 1.0 |" in text
    assert "| product | 10.0 |  |  |" in text
