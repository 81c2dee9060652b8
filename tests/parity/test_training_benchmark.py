"""The steps that benchmarks/training.py times: MiniTorch's and PyTorch's compute the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import training_minitorch
from benchmarks.peers import training_torch
from benchmarks.worker import Request
from benchmarks.workloads import MORE_WORKLOADS, WORKLOADS, at

STEPS = 4
SMALL = {
    f"{w.name}{'' if w.training else ' inference'}": at(w, {"batch": 3, "size": 11})
    for w in (*WORKLOADS, *MORE_WORKLOADS)
}


@pytest.mark.parametrize("workload", SMALL.values(), ids=SMALL)
def test_losses_are_equal_without_dropout(workload):
    request = Request(workload, "eager", 1, exact=True, dtype="float64")
    ours, theirs = training_minitorch.build(request), training_torch.build(request)
    losses = [ours(number) for number in range(STEPS)]
    assert losses == pytest.approx([theirs(number) for number in range(STEPS)], rel=1e-9)
    assert len(set(losses)) == STEPS


@pytest.mark.parametrize("name", ["cnn-cifar", "kim-sst2"])
@pytest.mark.parametrize("variant", [{"optimizer": "foreach"}, {"channels_last": True}], ids=str)
def test_peers_compute_the_same_in_every_variant(name, variant):
    request = Request(SMALL[name], "eager", 1, exact=True, dtype="float64")
    plain = training_torch.build(request)
    varied = training_torch.build(replace(request, variant=variant))
    assert [varied(number) for number in range(STEPS)] == pytest.approx([plain(n) for n in range(STEPS)], rel=1e-9)
