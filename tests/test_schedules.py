"""Schedules; tests/parity compares their values with PyTorch's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch
from minitorch import Parameter, schedules
from minitorch.errors import ArgumentError
from minitorch.layers import Linear
from minitorch.schedules import (
    ChainedScheduler,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

from .cases import BACKENDS, make, training_step
from .schedule_cases import rates, sgd

# --- a compiled step -----------------------------------------------------------------------------------------

SCHEDULES = {
    "cosine": lambda o: CosineAnnealingLR(o, 50),
    "one cycle": lambda o: OneCycleLR(o, 0.1, total_steps=50),
    "warm-up, then exponential": lambda o: SequentialLR(
        o, [LinearLR(o, total_iters=10), ExponentialLR(o, 0.95)], milestones=[10]
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_a_compiled_step_follows_a_schedule_with_one_program(kind, name):
    def train(compiled):
        minitorch.manual_seed(0)
        network = Linear(3, 2, backend=BACKENDS["fast"])
        more = {"momentum": 0.9} if kind == "SGD" else {}
        optimiser = getattr(minitorch, kind)(network.parameters(), lr=0.05, **more)
        schedule = SCHEDULES[name](optimiser)
        step = training_step(network, optimiser)
        run = minitorch.compile(step) if compiled else step
        rng = np.random.default_rng(1)
        losses = []
        for _ in range(50):
            losses.append(run(make(rng.normal(size=(4, 3)), BACKENDS["fast"])).item())
            schedule.step()
        return losses, [p.value.to_numpy().copy() for p in network.parameters()], run

    losses, parameters, run = train(compiled=True)
    expected_losses, expected, _ = train(compiled=False)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-10)
    for a, b in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)
    assert len(run.traces) == 1


# --- functions of the step -----------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 10), min_size=2, max_size=20), st.floats(0, 2))
def test_any_function_of_the_step(factors, base):
    optimiser = sgd(base)
    schedule = LambdaLR(optimiser, factors.__getitem__)
    found = [optimiser.lr]
    for _ in factors[1:]:
        schedule.step()
        found.append(optimiser.lr)
    assert found == [base * factor for factor in factors]


def test_a_schedule_from_scratch():
    class EveryOther(LRScheduler):
        def get_lr(self):
            return [base if self.last_epoch % 2 == 0 else 0.0 for base in self.base_lrs]

    optimiser = sgd(0.5)
    assert rates(EveryOther(optimiser), 4) == [0.5, 0.0, 0.5, 0.0]
    optimiser = sgd(0.5)
    parts = [StepLR(optimiser, 100), EveryOther(optimiser)]
    assert rates(SequentialLR(optimiser, parts, [3]), 6) == [0.5, 0.5, 0.5, 0.5, 0.0, 0.5]
    optimiser = sgd(0.5)
    assert rates(ChainedScheduler([EveryOther(optimiser), ExponentialLR(optimiser, 0.5)]), 3) == [0.5, 0.0, 0.125]


def test_one_cycle_ends_where_it_says():
    optimiser = sgd(momentum=0.9)
    schedule = OneCycleLR(optimiser, 1.0, total_steps=4, div_factor=10.0, final_div_factor=100.0)
    found = rates(schedule, 4)
    assert found[0] == pytest.approx(0.1)
    assert found[-1] == pytest.approx(0.001)
    with pytest.raises(ArgumentError, match="at most the 4 steps"):
        schedule.step()


def test_one_cycle_whose_way_up_is_a_single_step():
    optimiser = sgd(momentum=0.9)
    OneCycleLR(optimiser, 1.0, total_steps=10, pct_start=0.1)
    assert (optimiser.lr, optimiser.param_groups[0]["momentum"]) == (1.0, 0.85)


# --- mistakes ------------------------------------------------------------------------------------------------


def other_parts():
    return [ExponentialLR(sgd(), 0.5), ExponentialLR(sgd(), 0.5)]


def mixed_parts():
    optimiser = sgd()
    return [ExponentialLR(optimiser, 0.5), ReduceLROnPlateau(optimiser)]


@pytest.mark.parametrize(
    ("make_schedule", "message"),
    [
        (lambda: StepLR(Parameter(1.0), 3), "of an optimiser, got Parameter"),
        (lambda: OneCycleLR(None, 0.1, 5), "of an optimiser, got NoneType"),
        (lambda: LambdaLR([], len), "of an optimiser, got list"),
        (lambda: StepLR(sgd(), 0), "step_size as a whole number from 1, got 0"),
        (lambda: CosineAnnealingLR(sgd(), 2.5), "T_max as a whole number from 1, got 2.5"),
        (lambda: LinearLR(sgd(), start_factor=0.0), "start_factor above 0"),
        (lambda: LinearLR(sgd(), end_factor=2.0), "end_factor from 0 to 1, got 0.33.* and 2.0"),
        (lambda: LambdaLR(sgd(), lambda t: -1.0), "0 or more for step 0, got -0.5"),
        (lambda: LambdaLR(sgd(), lambda t: math.nan), "0 or more for step 0, got nan"),
        (lambda: LambdaLR(sgd(), [len, len]), "lr_lambda for each of the optimiser's 1 groups, got 2"),
        (lambda: OneCycleLR(sgd(), 0.1), "total_steps, or epochs and steps_per_epoch, got None"),
        (lambda: OneCycleLR(sgd(), 0.1, epochs=2, steps_per_epoch=0), "steps_per_epoch as a whole number"),
        (lambda: OneCycleLR(sgd(), 0.1, 5, pct_start=30), "pct_start from 0 to 1, got 30"),
        (lambda: OneCycleLR(sgd(), 0.1, 5, anneal_strategy="cosine"), "'cos' or 'linear', got 'cosine'"),
        (lambda: OneCycleLR(minitorch.Adadelta([Parameter(1.0)]), 0.1, 5), "momentum or betas, got Adadelta"),
        (lambda: SequentialLR(sgd(), [], []), "at least one schedule"),
        (lambda: SequentialLR(sgd(), other_parts(), [3]), "of one optimiser, got a ExponentialLR of another"),
        (lambda: ChainedScheduler(other_parts()), "of one optimiser"),
        (lambda: ChainedScheduler(mixed_parts()), "functions of the step, got ReduceLROnPlateau"),
        (lambda: ChainedScheduler([]), "at least one schedule"),
    ],
)
def test_mistakes(make_schedule, message):
    with pytest.raises(ArgumentError, match=message):
        make_schedule()


def test_milestones_between_each_two():
    optimiser = sgd()
    with pytest.raises(ArgumentError, match="each two of the 1 schedules, got 1"):
        SequentialLR(optimiser, [StepLR(optimiser, 3)], [4])


def test_every_schedule_is_listed():
    kinds = {kind for kind in vars(schedules).values() if isinstance(kind, type) and issubclass(kind, LRScheduler)}
    assert {kind.__name__ for kind in kinds} == set(schedules.__all__)
