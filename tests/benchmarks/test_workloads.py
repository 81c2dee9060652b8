"""The workloads have the sizes of the scripts' networks, and the same numbers in every process."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.workloads import MORE_WORKLOADS, WORKLOADS, at


def test_the_networks_have_the_sizes_of_their_scripts():
    counts = {w.network: sum(a.size for a in w.weights().values()) for w in WORKLOADS}
    assert counts["lenet"] == (36 + 4) + (288 + 8) + (392 * 64 + 64) + (640 + 10)
    assert counts["kim"] == 50 * 100 * (3 + 4 + 5) + 300 + 301
    assert counts["mlp"] == 785 * 256 + 257 * 128 + 129 * 64 + 65 * 10
    assert counts["cnn"] == 32 * 28 + 64 * 289 + 4097 * 128 + 1290
    odd = sum(a.size for a in MORE_WORKLOADS[0].weights().values())
    assert odd == (45 + 5) + (315 + 7) + (7 * 6 * 6 * 64 + 64) + (640 + 10)
    assert len({w.key for w in WORKLOADS}) == len(WORKLOADS) == 7


def test_flops_count_the_passes_that_there_are():
    w = next(w for w in WORKLOADS if w.network == "mlp")
    products = [784 * 256, 256 * 128, 128 * 64, 64 * 10]
    assert at(w, {"batch": 1}).flops() == 2 * (2 * products[0] + 3 * sum(products[1:]))
    assert w.flops() == 64 * at(w, {"batch": 1}).flops()
    assert replace(w, optimizer="", batch=1).flops() == 2 * sum(products)
    conv = replace(next(w for w in WORKLOADS if w.network == "lenet"), optimizer="", batch=1)
    assert conv.flops() == 2 * (28 * 28 * (36 + 288) + 392 * 64 + 640)


@pytest.mark.parametrize("workload", [*WORKLOADS, *MORE_WORKLOADS], ids=lambda w: w.key)
def test_weights_and_data_are_the_same_in_every_process(workload):
    for name, array in workload.weights().items():
        assert array.dtype == np.float32
        assert np.array_equal(array, workload.weights()[name])
    (x, y), (other, _) = workload.batches()[:2]
    assert x.shape == workload.input_shape()
    assert x.dtype == np.float32
    assert len(y) == workload.batch
    assert not np.array_equal(x, other)
    np.testing.assert_array_equal(x, workload.batches("float64")[0][0])


def test_another_size_has_no_figure_to_be_compared_with():
    moved = at(WORKLOADS[0], {"batch": 3})
    assert (moved.batch, moved.torch_ms, moved.floor, moved.aim) == (3, None, None, None)
    assert moved.steps_per_epoch() == math.ceil(5000 / 3)
