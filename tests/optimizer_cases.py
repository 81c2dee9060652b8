"""What the tests of optimisers share: one of every kind, and parameters that they move."""

from __future__ import annotations

import numpy as np
import pytest

from minitorch import SGD, Adadelta, Adam, AdamW, Parameter, RMSprop, Scalar

from .cases import make

START = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])

KINDS = {
    "SGD": lambda p: SGD(p, 1e-2),
    "momentum": lambda p: SGD(p, 1e-3, momentum=0.9, dampening=0.5, weight_decay=1e-4),
    "nesterov": lambda p: SGD(p, 1e-3, momentum=0.9, nesterov=True),
    "Adam": lambda p: Adam(p, 0.05),
    "amsgrad": lambda p: Adam(p, 0.05, amsgrad=True),
    "AdamW": lambda p: AdamW(p, 0.05, weight_decay=1e-3),
    "RMSprop": lambda p: RMSprop(p, 0.01, alpha=0.9, momentum=0.5, centered=True),
    "Adadelta": lambda p: Adadelta(p, lr=1.0, eps=1e-3),
}
every_kind = pytest.mark.parametrize("make_optimiser", KINDS.values(), ids=list(KINDS))


def parameters():
    return [Parameter(make(START)), Parameter(make(START[0]))]


def differentiate(params):
    for p in params:
        value = p.value
        if isinstance(value, Scalar):
            (value * value * value).backward()
        else:
            (value * value * value).sum().backward()


def go_on(optimiser, params, steps=3):
    for _ in range(steps):
        optimiser.zero_grad()
        differentiate(params)
        optimiser.step()
    return [p.value.data if isinstance(p.value, Scalar) else p.value.tolist() for p in params]
