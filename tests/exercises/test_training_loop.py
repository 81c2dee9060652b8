"""The loops of exercise 3 that lack a line, beside the same in NumPy, and the scheduler, beside its formulas."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch import layers, losses, optim
from minitorch.data import DataLoader, TensorDataset

from .defined import defined

RATE = 0.1  # of every loop in the exercise
STEPS = 5


# --- a line is left out --------------------------------------------------------------------------------------

IMAGES = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)  # one batch, so that its order is no matter
LABELS = np.arange(64) % 3


def new_network() -> layers.Sequential:
    """Make a small network, the same one each time."""
    minitorch.manual_seed(3)
    return layers.Sequential(layers.Linear(6, 3), layers.LogSoftmax(dim=1))


@pytest.fixture
def training() -> Iterator[dict[str, Any]]:
    with defined(
        "3_training",
        "train without",
        losses=losses,
        optim=optim,
        DataLoader=DataLoader,
        settings=SimpleNamespace(seed=0),
        new_network=new_network,
        accuracy=lambda network: network[0].weight.value.to_numpy().sum(),
        train=TensorDataset(IMAGES, LABELS),
    ) as names:
        yield names


def in_numpy(missing: str) -> tuple[list[float], np.ndarray, float]:
    """Do what the loop does: the losses, the weights at the end, and how far the farthest parameter has moved."""
    weight, bias = (parameter.value.to_numpy().astype(np.float64) for parameter in new_network().parameters())
    begun = weight.copy(), bias.copy()
    gradients = [np.zeros_like(weight), np.zeros_like(bias)]
    seen = []
    for _ in range(STEPS):
        powers = np.exp(IMAGES @ weight.T + bias)
        probabilities = powers / powers.sum(1, keepdims=True)
        seen.append(-np.log(probabilities[np.arange(64), LABELS]).mean())
        error = (probabilities - np.eye(3)[LABELS]) / 64
        kept = 1.0 if missing == "zero_grad, carried over" else 0.0
        gradients = [kept * old + new for old, new in zip(gradients, (error.T @ IMAGES, error.sum(0)))]
        if missing not in ("backward", "step"):
            weight = weight - RATE * gradients[0]
            bias = bias - RATE * gradients[1]
    return seen, weight, max(np.abs(weight - begun[0]).max(), np.abs(bias - begun[1]).max())


@pytest.mark.parametrize("missing", ["nothing", "zero_grad", "zero_grad, carried over", "backward", "step"])
def test_a_loop_that_lacks_a_line_does_what_the_exercise_says(training: dict[str, Any], missing: str) -> None:
    seen, weights, moved = training["train_without"](missing, STEPS)
    expected_losses, expected_weights, expected_move = in_numpy(missing)
    np.testing.assert_allclose(seen, expected_losses, rtol=1e-5)
    assert weights == pytest.approx(expected_weights.sum(), abs=1e-5)
    assert moved == pytest.approx(expected_move, rel=1e-4, abs=1e-7)
    assert (moved == 0.0) == (missing in ("backward", "step"))


def test_carried_over_gradients_go_another_way(training: dict[str, Any]) -> None:
    complete, carried = (training["train_without"](name, STEPS) for name in ("nothing", "zero_grad, carried over"))
    assert carried[0][:2] == complete[0][:2]  # the first step has nothing to carry
    assert carried[2] > 1.5 * complete[2]


# --- the scheduler -------------------------------------------------------------------------------------------


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    with defined("3_training", "scheduler", "shares", optim=optim, math=math) as names:
        yield names


def rates(optimizer: optim.Optimizer, schedule: Any, steps: int) -> list[float]:
    """List the rate of each step."""
    seen = []
    for _ in range(steps):
        seen.append(optimizer.lr)
        schedule.step()
    return seen


def test_a_rate_is_a_share_of_the_first_one(names: dict[str, Any]) -> None:
    optimizer = optim.SGD(new_network().parameters(), lr=0.5)
    found = rates(optimizer, names["Scheduler"](optimizer, lambda step: 1 / (1 + step)), 4)
    assert found == [0.5, 0.5 / 2, 0.5 / 3, 0.5 / 4]


def test_the_first_share_holds_for_the_first_step(names: dict[str, Any]) -> None:
    optimizer = optim.SGD(new_network().parameters(), lr=0.5)
    assert rates(optimizer, names["Scheduler"](optimizer, lambda step: step / 2), 3) == [0.0, 0.25, 0.5]


def test_each_group_of_parameters_has_a_rate_of_its_own(names: dict[str, Any]) -> None:
    weight, bias = new_network().parameters()
    groups = [{"params": [weight], "lr": 0.5}, {"params": [bias], "lr": 0.25}]
    optimizer = optim.SGD(groups, lr=1.0)
    schedule = names["Scheduler"](optimizer, names["halving"](every=1))
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.125]


@pytest.mark.parametrize("every", [1, 3])
def test_halving(names: dict[str, Any], every: int) -> None:
    share = names["halving"](every)
    assert [share(step) for step in (0, every - 1, every, 2 * every - 1, 2 * every)][0::2] == [1.0, 0.5, 0.25]
    assert share(every - 1) == 1.0


def test_cosine_goes_from_one_to_zero_through_a_half(names: dict[str, Any]) -> None:
    share = names["cosine"](8)
    assert [share(step) for step in (0, 4, 8)] == pytest.approx([1.0, 0.5, 0.0])
    assert share(2) == pytest.approx((1 + math.sqrt(0.5)) / 2)
