"""Schedules beside PyTorch's: 50 steps with two groups, and from any state on."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

import minitorch
from minitorch import Parameter, schedules
from tests.cases import make

STEPS = 50
RATES = [0.1, 0.025]


def falling(t):
    return 1.0 / (1.0 + 0.2 * t)


def sawtooth(t):
    return 1.0 - (t % 7) / 10


# By name: how each side makes its schedule, of a module and an optimiser.
CASES = {
    "StepLR": lambda m, o: m.StepLR(o, 7),
    "StepLR with gamma": lambda m, o: m.StepLR(o, step_size=1, gamma=0.95),
    "MultiStepLR": lambda m, o: m.MultiStepLR(o, [5, 20, 21]),
    "MultiStepLR in any order": lambda m, o: m.MultiStepLR(o, milestones=[30, 40, 4, 4], gamma=0.5),
    "ExponentialLR": lambda m, o: m.ExponentialLR(o, 0.93),
    "CosineAnnealingLR": lambda m, o: m.CosineAnnealingLR(o, 50),
    "CosineAnnealingLR up again": lambda m, o: m.CosineAnnealingLR(o, T_max=15, eta_min=0.003),
    "LinearLR": lambda m, o: m.LinearLR(o),
    "LinearLR down": lambda m, o: m.LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=37),
    "LambdaLR": lambda m, o: m.LambdaLR(o, falling),
    "LambdaLR for each group": lambda m, o: m.LambdaLR(o, lr_lambda=[falling, sawtooth]),
    "OneCycleLR": lambda m, o: m.OneCycleLR(o, 0.5, total_steps=50),
    "OneCycleLR by epochs": lambda m, o: m.OneCycleLR(o, [0.5, 0.2], epochs=5, steps_per_epoch=11, pct_start=0.45),
    "OneCycleLR along lines": lambda m, o: m.OneCycleLR(
        o, 0.5, 52, anneal_strategy="linear", base_momentum=[0.7, 0.8], max_momentum=0.9, div_factor=10.0
    ),
    "OneCycleLR in three phases": lambda m, o: m.OneCycleLR(o, 0.5, 50, three_phase=True, final_div_factor=100.0),
    "OneCycleLR without momentum": lambda m, o: m.OneCycleLR(o, 0.5, 50, cycle_momentum=False, pct_start=0.0),
    "SequentialLR": lambda m, o: m.SequentialLR(
        o, [m.LinearLR(o, total_iters=5), m.CosineAnnealingLR(o, 30), m.ExponentialLR(o, 0.9)], milestones=[5, 35]
    ),
    "ChainedScheduler": lambda m, o: m.ChainedScheduler(
        [m.LinearLR(o, 0.1, total_iters=10), m.StepLR(o, 9), m.CosineAnnealingLR(o, 50)]
    ),
}
OPTIMISERS = {
    "SGD": lambda m, groups: m.SGD(groups, lr=RATES[0], momentum=0.5),
    "Adam": lambda m, groups: m.Adam(groups, lr=RATES[0]),
}


def groups(parameter):
    """Make two groups, the second with a learning rate of its own."""
    return [{"params": [parameter()]}, {"params": [parameter()], "lr": RATES[1]}]


def ours(kind):
    return OPTIMISERS[kind](minitorch, groups(lambda: Parameter(make([1.0]))))


def theirs(kind):
    return OPTIMISERS[kind](torch.optim, groups(lambda: torch.zeros(1, requires_grad=True)))


def settings(optimiser):
    """List what a schedule may change."""
    found = []
    for group in optimiser.param_groups:
        found += [group["lr"], group.get("momentum", 0.0), *group.get("betas", ())]
    return found


def go_on(schedule, optimiser, steps, measures=None):
    """Give the settings before each step, and after the last."""
    rows = [settings(optimiser)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no optimiser's step lies between
        for i in range(steps):
            schedule.step(*(() if measures is None else (measures[i],)))
            rows.append(settings(optimiser))
    return np.array(rows)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", OPTIMISERS)
@pytest.mark.parametrize("name", CASES)
def test_fifty_steps(name, kind):
    optimiser, their_optimiser = ours(kind), theirs(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schedule, their_schedule = CASES[name](schedules, optimiser), CASES[name](lr_scheduler, their_optimiser)
    found = go_on(schedule, optimiser, STEPS)
    close(found, go_on(their_schedule, their_optimiser, STEPS))
    assert len({tuple(row) for row in found}) > 3, "nothing happened"
    assert schedule.get_last_lr() == [group["lr"] for group in optimiser.param_groups]
    close(schedule.get_last_lr(), their_schedule.get_last_lr())
    assert schedule.last_epoch == STEPS


@pytest.mark.parametrize("kind", OPTIMISERS)
@pytest.mark.parametrize("name", CASES)
def test_a_state_goes_on(name, kind):
    """A schedule made anew, and given the state of another as JSON, gives the same rates as never having stopped."""
    optimiser = ours(kind)
    schedule = CASES[name](schedules, optimiser)
    go_on(schedule, optimiser, 23)
    states = json.loads(json.dumps([schedule.state_dict(), optimiser.state_dict()]))
    expected = go_on(schedule, optimiser, STEPS - 23)

    again = ours(kind)
    resumed = CASES[name](schedules, again)
    again.load_state_dict(states[1])
    resumed.load_state_dict(states[0])
    np.testing.assert_array_equal(go_on(resumed, again, STEPS - 23), expected)


MEASURES = np.concatenate([np.linspace(3.0, 1.0, 10), np.full(15, 1.0), [0.99995, 0.5], np.linspace(0.5, 0.8, 23)])
PLATEAUS = [
    {},
    {"factor": 0.5, "patience": 2},
    {"factor": 0.5, "patience": 1, "cooldown": 3},
    {"mode": "max", "factor": 0.3, "patience": 4, "threshold_mode": "abs", "threshold": 0.01},
    {"threshold_mode": "abs", "threshold": 0.1, "patience": 3},
    {"mode": "max", "patience": 0, "min_lr": [0.01, 0.02]},
    {"patience": 0, "min_lr": 0.001, "eps": 0.005},
]


@pytest.mark.parametrize("options", PLATEAUS, ids=str)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_reduce_on_plateau(options, sign):
    optimiser, their_optimiser = ours("SGD"), theirs("SGD")
    schedule = schedules.ReduceLROnPlateau(optimiser, **options)
    their_schedule = lr_scheduler.ReduceLROnPlateau(their_optimiser, **options)
    expected = go_on(their_schedule, their_optimiser, STEPS, sign * MEASURES)
    close(go_on(schedule, optimiser, STEPS, sign * MEASURES), expected)

    again = ours("SGD")
    halfway = schedules.ReduceLROnPlateau(again, **options)
    go_on(halfway, again, 17, sign * MEASURES)
    resumed_optimiser = ours("SGD")
    resumed = schedules.ReduceLROnPlateau(resumed_optimiser, **options)
    resumed_optimiser.load_state_dict(again.state_dict())
    resumed.load_state_dict(halfway.state_dict())
    close(go_on(resumed, resumed_optimiser, STEPS - 17, sign * MEASURES[17:]), expected[17:])


def test_plateaus_are_met():
    """The measures above reduce the rates at least once under every setting."""
    for options in PLATEAUS:
        changes = 0
        for sign in (1.0, -1.0):
            optimiser = theirs("SGD")
            rows = go_on(lr_scheduler.ReduceLROnPlateau(optimiser, **options), optimiser, STEPS, sign * MEASURES)
            changes += (np.diff(rows[:, 0]) != 0).sum()
        assert changes > 0, options


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith(("Seq", "Chain"))])
def test_their_state_is_loaded(name):
    optimiser, their_optimiser = ours("SGD"), theirs("SGD")
    schedule, their_schedule = CASES[name](schedules, optimiser), CASES[name](lr_scheduler, their_optimiser)
    go_on(their_schedule, their_optimiser, 12)
    optimiser.load_state_dict(their_optimiser.state_dict())
    schedule.load_state_dict(their_schedule.state_dict())
    close(go_on(schedule, optimiser, 20), go_on(their_schedule, their_optimiser, 20))


def test_the_defaults_are_theirs():
    """Every argument has the name, the place and the default that it has there."""
    import inspect

    for name in schedules.__all__:
        mine, other = (inspect.signature(getattr(m, name)).parameters for m in (schedules, lr_scheduler))
        assert [(p.name, p.default) for p in mine.values()] == [(p.name, p.default) for p in other.values()], name
