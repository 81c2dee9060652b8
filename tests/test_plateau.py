"""The schedule that looks at how training goes; tests/parity compares its rates with PyTorch's."""

from __future__ import annotations

import math

import pytest

from minitorch.errors import ArgumentError
from minitorch.plateau import ReduceLROnPlateau

from .cases import make
from .schedule_cases import sgd


def test_a_measure_may_be_a_tensor():
    optimiser = sgd(1.0)
    schedule = ReduceLROnPlateau(optimiser, factor=0.5, patience=0)
    for value in (1.0, 1.0):
        schedule.step(make([value]))
    assert optimiser.lr == 0.5
    schedule.step(math.nan)  # which is better than nothing
    assert optimiser.lr == 0.25


@pytest.mark.parametrize(
    ("make_schedule", "message"),
    [
        (lambda: ReduceLROnPlateau(None), "of an optimiser, got NoneType"),
        (lambda: ReduceLROnPlateau(sgd(), factor=1.0), "factor from 0 to below 1, got 1.0"),
        (lambda: ReduceLROnPlateau(sgd(), mode="least"), "mode as 'min' or 'max', got 'least'"),
        (lambda: ReduceLROnPlateau(sgd(), threshold_mode="x"), "threshold_mode as 'rel' or 'abs', got 'x'"),
    ],
)
def test_mistakes(make_schedule, message):
    with pytest.raises(ArgumentError, match=message):
        make_schedule()
