"""What the tests of schedules share."""

from __future__ import annotations

import minitorch
from minitorch import Parameter

from .cases import make


def sgd(lr=0.5, **more):
    return minitorch.SGD([Parameter(make([1.0]))], lr=lr, **more)


def rates(schedule, steps):
    found = []
    for _ in range(steps):
        found.append(schedule.optimizer.lr)
        schedule.step()
    return found
