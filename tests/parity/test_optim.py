"""Optimisers beside PyTorch's, step by step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minitorch
from minitorch import Parameter
from tests.cases import BACKENDS, DTYPES, assert_close, make

both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))

SETTINGS = {
    "SGD": [
        {"lr": 0.05},
        {"lr": 0.05, "weight_decay": 0.1},
        {"lr": 0.05, "momentum": 0.9},
        {"lr": 0.05, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.1},
        {"lr": 0.05, "momentum": 0.8, "nesterov": True},
        {"lr": 0.01, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1, "maximize": True},
    ],
    "Adam": [
        {},
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1},
        {"lr": 0.01, "betas": (0.0, 0.0)},
        {"lr": 0.05, "betas": (0.5, 0.6), "amsgrad": True},
        {"lr": 0.02, "weight_decay": 0.1, "maximize": True},
        {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True},
    ],
    "AdamW": [
        {},
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.3},
        {"lr": 0.05, "betas": (0.5, 0.6), "amsgrad": True, "maximize": True},
        {"lr": 0.02, "weight_decay": 0.0},
    ],
    "RMSprop": [
        {},
        {"lr": 0.02, "alpha": 0.8, "eps": 1e-6, "weight_decay": 0.1},
        {"momentum": 0.9},
        {"centered": True, "alpha": 0.9},
        {"momentum": 0.5, "centered": True, "maximize": True, "weight_decay": 0.1},
    ],
    "Adadelta": [
        {},
        {"lr": 0.5, "rho": 0.7, "eps": 1e-3, "weight_decay": 0.1},
        {"maximize": True},
    ],
}
CASES = [
    pytest.param(name, settings, id=f"{name}-{'-'.join(settings) or 'defaults'}")
    for name, rows in SETTINGS.items()
    for settings in rows
]


class Pair:
    """One linear regression, trained by both sides from the same start."""

    def __init__(self, backend, dtype):
        rng = np.random.default_rng(0)
        self.backend, self.dtype = backend, dtype
        self.x, self.y = rng.normal(size=(8, 3)).astype(dtype), rng.normal(size=(8, 2)).astype(dtype)
        start = [rng.normal(size=(3, 2)).astype(dtype), rng.normal(size=(2,)).astype(dtype)]
        self.ours = [Parameter(make(a, backend, dtype)) for a in start]
        self.theirs = [torch.tensor(a, requires_grad=True) for a in start]

    def differentiate(self):
        x, y = (make(a, self.backend, self.dtype) for a in (self.x, self.y))
        distance = x @ self.ours[0].value + self.ours[1].value - y
        (distance * distance).mean().backward()
        (((torch.tensor(self.x) @ self.theirs[0] + self.theirs[1]) - torch.tensor(self.y)) ** 2).mean().backward()

    def step(self, optimiser, their_optimiser):
        optimiser.zero_grad()
        their_optimiser.zero_grad()
        self.differentiate()
        optimiser.step()
        their_optimiser.step()
        self.compare()

    def compare(self):
        for p, their_p in zip(self.ours, self.theirs, strict=True):
            assert p.value.dtype == np.dtype(self.dtype)
            if self.dtype == "float64":
                assert_close(p.value.to_numpy(), their_p.detach().numpy(), "float64")
            else:  # dividing by the root of a square that may be tiny makes rounding grow from step to step
                np.testing.assert_allclose(p.value.to_numpy(), their_p.detach().numpy(), rtol=1e-3, atol=1e-4)


@both_dtypes
@both_backends
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_twenty_steps(name, settings, backend, dtype):
    pair = Pair(backend, dtype)
    optimiser = getattr(minitorch, name)(pair.ours, **settings)
    their_optimiser = getattr(torch.optim, name)(pair.theirs, **settings)
    for _ in range(20):
        pair.step(optimiser, their_optimiser)


def test_every_optimiser_and_every_setting_is_compared():
    for name, rows in SETTINGS.items():
        optimiser = getattr(minitorch, name)([Parameter(make([1.0]))])
        known = {key for row in rows for key in row}
        # AdamW is Adam with this one switched on.
        assert set(optimiser.defaults) - {"decoupled_weight_decay"} <= known | {"eps"}
    optimisers = {
        kind for kind in vars(minitorch).values() if isinstance(kind, type) and issubclass(kind, minitorch.Optimizer)
    }
    assert {kind.__name__ for kind in optimisers} == {*SETTINGS, "Optimizer"}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_defaults_are_theirs(name):
    ours = getattr(minitorch, name)([Parameter(make([1.0]))]).defaults
    theirs = getattr(torch.optim, name)([torch.zeros(1)]).defaults
    expected = {key: value for key, value in theirs.items() if key in ours}
    assert expected.keys() == ours.keys()
    if name == "SGD":
        expected["lr"] = 1.0  # the course's
    assert ours == expected


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("SGD", {"momentum": 0.5, "dampening": 0.25, "weight_decay": 0.125}),
        ("Adam", {"betas": (0.5, 0.75), "amsgrad": True, "weight_decay": 0.125}),
        ("RMSprop", {"alpha": 0.5, "momentum": 0.5, "weight_decay": 0.125, "maximize": True}),
    ],
)
def test_it_is_shown_as_theirs(name, settings):
    ours, theirs = (
        repr(kind([{"params": [first]}, {"params": [second], "lr": 0.1}], lr=0.5, **settings)).splitlines()
        for kind, first, second in (
            (getattr(minitorch, name), Parameter(1.0), Parameter(2.0)),
            (getattr(torch.optim, name), torch.zeros(1), torch.zeros(1)),
        )
    )
    # PyTorch's choose among ways to compute the same.
    ways = {"capturable", "differentiable", "foreach", "fused"}
    assert ours == [line for line in theirs if line.partition(":")[0].strip() not in ways]


@both_dtypes
def test_groups_with_settings_of_their_own(dtype):
    pair = Pair(BACKENDS["fast"], dtype)
    settings = [{"lr": 0.1}, {"momentum": 0.0, "weight_decay": 0.2}]
    optimiser, their_optimiser = (
        kind([{"params": [p], **more} for p, more in zip(parameters, settings, strict=True)], lr=0.01, momentum=0.9)
        for kind, parameters in ((minitorch.SGD, pair.ours), (torch.optim.SGD, pair.theirs))
    )
    for _ in range(20):
        pair.step(optimiser, their_optimiser)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_learning_rate_that_changes(name):
    pair = Pair(BACKENDS["fast"], "float64")
    optimiser = getattr(minitorch, name)(pair.ours)
    their_optimiser = getattr(torch.optim, name)(pair.theirs)
    for t in range(20):
        for group in (*optimiser.param_groups, *their_optimiser.param_groups):
            group["lr"] = 0.1 / (1 + t)
        pair.step(optimiser, their_optimiser)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_momentum_without_a_new_gradient(set_to_none):
    """With gradients of zero the momentum moves on; without gradients nothing moves."""
    pair = Pair(BACKENDS["fast"], "float64")
    optimiser = minitorch.SGD(pair.ours, lr=0.05, momentum=0.9)
    their_optimiser = torch.optim.SGD(pair.theirs, lr=0.05, momentum=0.9)
    pair.step(optimiser, their_optimiser)
    before = pair.ours[0].value.tolist()
    for side in (optimiser, their_optimiser):
        side.zero_grad(set_to_none=set_to_none)
        side.step()
    pair.compare()
    assert (pair.ours[0].value.tolist() == before) == set_to_none


@both_dtypes
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_their_state_is_loaded_by_ours_and_back(name, settings, dtype):
    pair = Pair(BACKENDS["fast"], dtype)
    ours, theirs = getattr(minitorch, name), getattr(torch.optim, name)
    optimiser, their_optimiser = ours(pair.ours, **settings), theirs(pair.theirs, **settings)
    for _ in range(3):
        pair.step(optimiser, their_optimiser)

    loaded = ours(pair.ours)
    loaded.load_state_dict(their_optimiser.state_dict())
    for _ in range(3):
        pair.step(loaded, their_optimiser)

    found = loaded.state_dict()
    as_torch = {
        "state": {
            i: {
                key: torch.tensor(float(value)) if key == "step" else torch.tensor(value.to_numpy())
                for key, value in entries.items()
            }
            for i, entries in found["state"].items()
        },
        "param_groups": [
            {**theirs([torch.zeros(1)]).state_dict()["param_groups"][0], **g} for g in found["param_groups"]
        ],
    }
    their_loaded = theirs(pair.theirs)
    their_loaded.load_state_dict(as_torch)
    for _ in range(3):
        pair.step(loaded, their_loaded)
