"""A compiled step allocates nothing, call after call: neither in Python, nor in NumPy, nor in compiled code."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

import minitorch
from minitorch import FastBackend, layers
from minitorch.losses import nll_loss

from ..cases import make

CALLS = 100

# Bytes that are in use for a moment: arguments, frames of Python's functions, numbers of the timer, and what other
# threads of the tests' process have. The large weight of the network has three times as many.
FEW = 16_384


@pytest.fixture
def numba_counts() -> Iterator[None]:
    """Let Numba's runtime count its allocations."""
    enabled = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    yield
    if not enabled:
        _nrt_python.memsys_disable_stats()


def trainer(compiled: bool) -> tuple[Any, Callable[[], Any]]:
    """Make a network with a convolution, dropout and momentum, and a call of its training step."""
    minitorch.manual_seed(1)
    more: dict[str, Any] = {"dtype": "float32", "backend": FastBackend}
    model = layers.Sequential(
        layers.Conv2d(1, 4, 3, padding="same", **more),
        layers.ReLU(),
        layers.MaxPool2d(4),
        layers.Flatten(),
        layers.Linear(196, 64, **more),
        layers.Dropout(0.25),
        layers.LogSoftmax(1),
    )
    optimizer = minitorch.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step(x: minitorch.Tensor, y: minitorch.Tensor) -> minitorch.Tensor:
        optimizer.zero_grad()
        loss = nll_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    rng = np.random.default_rng(0)
    x = make(rng.normal(size=(16, 1, 28, 28)), FastBackend, "float32")
    y = make(rng.integers(0, 10, 16), FastBackend, "int64")
    run = minitorch.compile(step) if compiled else step
    return model, lambda: run(x, y)


def growth(call: Callable[[], Any]) -> tuple[int, int, tuple[int, ...]]:
    """Count the bytes that stay after some calls, those that are in use for a moment, and Numba's allocations."""
    for _ in range(10):
        call()
    gc.collect()
    tracemalloc.start()
    try:
        call()
        before = rtsys.get_allocation_stats()
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(CALLS):
            call()
        now, peak = tracemalloc.get_traced_memory()
        after = rtsys.get_allocation_stats()
    finally:
        tracemalloc.stop()
    return now - size, peak - size, tuple(b - a for a, b in zip(before, after, strict=True))


@pytest.mark.usefixtures("numba_counts")
def test_a_training_step_allocates_nothing() -> None:
    _, call = trainer(compiled=True)
    # Several times, for another thread of the tests' process may allocate meanwhile.
    rounds = [growth(call) for _ in range(3)]
    assert min(abs(stays) for stays, _, _ in rounds) < FEW
    assert min(for_a_moment for _, for_a_moment, _ in rounds) < FEW
    # Numba makes a header of some bytes for each of the two arrays that it is handed, and no array.
    for _, _, (allocated, freed, *_) in rounds:
        assert allocated == freed == 2 * CALLS


@pytest.mark.usefixtures("numba_counts")
def test_what_somebody_holds_is_allocated_anew() -> None:
    """The same measure finds what is allocated: by an eager step, and for a caller who keeps a result."""
    _, eager = trainer(compiled=False)
    assert growth(eager)[1] > 100_000
    model, call = trainer(compiled=True)
    held = []

    def hold() -> None:
        call()
        held.append(model.parameters()[2].value)

    assert growth(hold)[0] > CALLS * model.parameters()[2].value.size * 4
