"""What schedules share: their steps, the rates that they write, and their state."""

from __future__ import annotations

import math

import pytest

import minitorch
from minitorch.errors import ArgumentError, CompileError, DataError
from minitorch.scheduler import LRScheduler
from minitorch.schedules import ExponentialLR, StepLR

from .cases import BACKENDS, make
from .schedule_cases import rates, sgd


def test_a_compiled_step_does_not_step_a_schedule():
    schedule = StepLR(sgd(), 1)

    @minitorch.compile
    def step(x):
        schedule.step()
        return x * 2.0

    with pytest.raises(CompileError, match=r"outside the compiled step.*schedule\.step\(\)"):
        step(make([1.0], BACKENDS["fast"]))
    assert schedule.last_epoch == 0


def test_a_schedule_without_a_rule():
    with pytest.raises(NotImplementedError, match=r"LRScheduler to define get_lr\(self\)"):
        LRScheduler(sgd())


def test_a_rate_written_by_hand_lasts_until_the_next_step():
    optimiser = sgd(1.0)
    schedule = ExponentialLR(optimiser, 0.5)
    schedule.step()
    optimiser.lr = 7.0
    assert schedule.get_last_lr() == [7.0]
    schedule.step()
    assert optimiser.lr == 0.25


def test_going_on_from_a_step():
    optimiser = sgd(1.0)
    expected = rates(ExponentialLR(optimiser, 0.5), 6)
    # The optimiser now has an initial_lr, as one has whose state was loaded.
    assert rates(ExponentialLR(optimiser, 0.5, last_epoch=2), 3) == expected[3:]
    with pytest.raises(ArgumentError, match="initial_lr to go on from last_epoch=2"):
        ExponentialLR(sgd(), 0.5, last_epoch=2)


@pytest.mark.parametrize(
    ("make_schedule", "message"),
    [
        (lambda: StepLR(sgd(), 3).load_state_dict({"last_epoch": 3}), "without base_lrs"),
        (lambda: StepLR(sgd(), 3).load_state_dict({"last_epoch": 3, "base_lrs": [1, 2]}), "1 groups, got one of 2"),
    ],
)
def test_mistakes(make_schedule, message):
    with pytest.raises(ArgumentError, match=message):
        make_schedule()


def test_a_state_is_a_copy():
    schedule = StepLR(sgd(), 3)
    state = schedule.state_dict()
    state["base_lrs"][0] = 9.0
    assert schedule.base_lrs == [0.5]


@pytest.mark.parametrize(
    ("name", "value"),
    [("last_epoch", math.inf), ("last_epoch", "3"), ("last_epoch", -2), ("base_lrs", ["x"]), ("base_lrs", 0.5)],
    ids=str,
)
def test_a_state_that_holds_no_numbers_changes_nothing(name, value):
    schedule = StepLR(sgd(), 3)
    before = schedule.state_dict()
    with pytest.raises(DataError, match=f"expected {name} as a"):
        schedule.load_state_dict({"last_epoch": 7, "base_lrs": [0.25], name: value})
    assert schedule.state_dict() == before
