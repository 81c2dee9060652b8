"""What the tests of compiled steps share: a small network, its training, and how results are compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minitorch
from minitorch import FastBackend
from minitorch.layers import Linear
from minitorch.module import Module
from minitorch.tensor import Tensor

from ..cases import training_step

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5]])


def on_fast(values: Any, **options: Any) -> Tensor:
    return minitorch.tensor(np.asarray(values).tolist(), backend=FastBackend, **options)


def network(seed: int = 3, **options: Any) -> Linear:
    minitorch.manual_seed(seed)
    return Linear(3, 2, backend=FastBackend, **options)


def values(*modules: Module) -> list[Any]:
    return [p.value.to_numpy().copy() for module in modules for p in module.parameters()]


def trainer(**settings: Any) -> tuple[Linear, minitorch.SGD, Callable[[Tensor], Tensor]]:
    """Make a network, its optimiser and its training step."""
    net = network()
    optimizer = minitorch.SGD(net.parameters(), **{"lr": 0.05, **settings})
    return net, optimizer, training_step(net, optimizer)


def programs(step: Any) -> int:
    return len(step.traces)


def close(a: Any, b: Any, rtol: float = 1e-12) -> None:
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-14)
