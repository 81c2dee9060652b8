"""Optimisers beside PyTorch's, step by step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from minitorch import SGD, Adam, Parameter
from tests.cases import BACKENDS, DTYPES, assert_close, make

PAIRS = {
    "SGD": (lambda p: SGD(p, lr=0.05), lambda p: torch.optim.SGD(p, lr=0.05)),
    "Adam": (lambda p: Adam(p), lambda p: torch.optim.Adam(p)),
    "Adam with arguments": (
        lambda p: Adam(p, lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
        lambda p: torch.optim.Adam(p, lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
    ),
    "Adam without averages": (
        lambda p: Adam(p, lr=0.01, betas=(0.0, 0.0)),
        lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.0, 0.0)),
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
@pytest.mark.parametrize("name", PAIRS)
def test_twenty_steps(name, backend, dtype):
    make_ours, make_theirs = PAIRS[name]
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 3)).astype(dtype), rng.normal(size=(8, 2)).astype(dtype)
    start = [rng.normal(size=(3, 2)).astype(dtype), rng.normal(size=(2,)).astype(dtype)]

    ours = [Parameter(make(a, backend, dtype)) for a in start]
    theirs = [torch.tensor(a, requires_grad=True) for a in start]
    optimiser, their_optimiser = make_ours(ours), make_theirs(theirs)
    for _ in range(20):
        optimiser.zero_grad()
        distance = make(x, backend, dtype) @ ours[0].value + ours[1].value - make(y, backend, dtype)
        (distance * distance).mean().backward()
        optimiser.step()

        their_optimiser.zero_grad()
        ((torch.tensor(x) @ theirs[0] + theirs[1] - torch.tensor(y)) ** 2).mean().backward()
        their_optimiser.step()
        for p, their_p in zip(ours, theirs, strict=True):
            if dtype == "float64":
                assert_close(p.value.to_numpy(), their_p.detach().numpy(), "float64")
            else:  # Adam divides by the root of a square that may be tiny: rounding grows from step to step
                np.testing.assert_allclose(p.value.to_numpy(), their_p.detach().numpy(), rtol=1e-3, atol=1e-4)
