"""Compiled steps are called from several Python threads: one step, two steps, and two that share a model.

The threads of BLAS and of a program are others; ``test_blas_setting.py`` and ``agreement/test_bits.py`` have them.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch import FastBackend
from minitorch.layers import Dropout, Linear, Sequential
from minitorch.module import Parameter
from minitorch.random import default_generator
from minitorch.tensor import Tensor

from ..cases import Array, training_step
from ..threads import at_once

CALLS = 50


@pytest.fixture(autouse=True)
def _threads_alternate_often() -> Iterator[None]:
    """Let Python change threads every few operations instead of every 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def batch(seed: int) -> Tensor:
    return minitorch.tensor(np.random.default_rng(seed).standard_normal((6, 3)), backend=FastBackend)


def training() -> tuple[Linear, Callable[[Tensor], Tensor]]:
    """Make a layer, and a step that trains it."""
    minitorch.manual_seed(3)
    layer = Linear(3, 2, dtype="float64", backend=FastBackend)
    optimizer = minitorch.SGD(layer.parameters(), lr=0.05, momentum=0.9)
    return layer, training_step(layer, optimizer)


def values(layer: Linear) -> list[Array]:
    return [p.value.to_numpy().copy() for p in layer.parameters()]


def test_two_threads_call_a_step_that_was_never_traced() -> None:
    again, eager = training()
    expected = [eager(batch(0)).item() for _ in range(4)]
    layer, step = training()
    run = minitorch.compile(step)
    x = batch(0)
    found = at_once(*[lambda: [run(x).item() for _ in range(2)]] * 2)
    # Which thread came first is open; every loss was one thread's.
    np.testing.assert_allclose(sorted([*found[0], *found[1]]), sorted(expected), rtol=1e-12)
    for value, wanted in zip(values(layer), values(again), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-12)


def test_two_threads_call_a_function_that_was_never_traced_with_shapes_of_their_own() -> None:
    def function(x: Tensor) -> Tensor:
        return ((x + 1.5) * x).sum(1)

    run = minitorch.compile(function)
    short, long = batch(1), minitorch.tensor(np.arange(40.0).reshape(8, 5), backend=FastBackend)
    found = at_once(lambda: run(short).to_numpy().copy(), lambda: run(long).to_numpy().copy())
    for value, x in zip(found, (short, long), strict=True):
        np.testing.assert_allclose(value, function(x).to_numpy(), rtol=1e-12)
    assert len(run.traces) == 2


def test_two_steps_are_traced_and_run_at_once() -> None:
    """Each thread begins again and again with a new step, so that many of their traces overlap."""

    def function(x: Tensor) -> Tensor:
        return (x.sigmoid() - 0.25) * x.exp()

    def train(wrap: Callable[[Any], Any]) -> list[float]:
        step = wrap(training()[1])
        return [step(x).item() for _ in range(4)]

    x, y = batch(2), batch(3)
    expected = train(lambda step: step)
    losses, results = at_once(
        lambda: [train(minitorch.compile) for _ in range(CALLS // 5)],
        lambda: [minitorch.compile(function)(y).to_numpy().copy() for _ in range(CALLS)],
    )
    for found in losses:
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    for result in results:
        np.testing.assert_allclose(result, function(y).to_numpy(), rtol=1e-12)


def test_training_and_evaluation_share_a_model() -> None:
    """One weight moves, so what an evaluation gives tells which value of it was read."""
    minitorch.manual_seed(5)
    frozen = Linear(3, 4, dtype="float64", backend=FastBackend)
    for parameter in frozen.parameters():
        parameter.value.requires_grad_(False)
    weight = Parameter(minitorch.tensor(np.random.default_rng(6).standard_normal((4, 2)), backend=FastBackend))
    optimizer = minitorch.SGD([weight], lr=0.05)

    def model(x: Tensor) -> Tensor:
        return frozen(x).sigmoid() @ weight.value

    def train(x: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = model(x).sum()  # its gradient is the same in each step, so the weight moves on and on
        loss.backward()
        optimizer.step()
        return loss

    run, evaluate = minitorch.compile(train), minitorch.compile(model)
    x, y = batch(7), batch(8)
    states = [weight.value.to_numpy().copy()]
    trained = threading.Event()

    def train_often() -> None:
        for _ in range(CALLS):
            run(x)
            states.append(weight.value.to_numpy().copy())
        trained.set()

    def evaluate_often() -> list[Array]:
        found = [evaluate(y).to_numpy().copy() for _ in range(CALLS)]
        assert trained.wait(600)
        return [*found, evaluate(y).to_numpy().copy()]

    _, found = at_once(train_often, evaluate_often)

    hidden = frozen(y).sigmoid().to_numpy()
    possible = np.stack([hidden @ state for state in states])
    distances = np.abs(possible[None] - np.stack(found)[:, None]).max((2, 3))  # evaluation x state
    seen = distances.argmin(1)
    assert distances.min(1).max() < 1e-12 * np.abs(possible).max()
    assert (np.diff(seen) >= 0).all(), "an evaluation read an older weight than the one before it"
    assert seen[-1] == CALLS
    assert np.abs(np.diff(possible, axis=0)).max((1, 2)).min() > 1e-3, "the weight did not move"


def dropping() -> Callable[[Tensor], Tensor]:
    """Make a step that trains behind a dropout."""
    layer = Linear(3, 4, dtype="float64", backend=FastBackend)
    model = Sequential(layer, Dropout(0.5), Linear(4, 1, dtype="float64", backend=FastBackend))
    return training_step(model, minitorch.SGD(model.parameters(), lr=0.05))


@pytest.mark.parametrize("wrap", [lambda step: step, minitorch.compile], ids=["eager", "compiled"])
def test_two_threads_train_with_random_numbers_of_their_own(wrap: Callable[[Any], Any]) -> None:
    x = batch(9)

    def train(seed: int) -> list[float]:
        minitorch.manual_seed(seed)
        step = wrap(dropping())
        return [step(x).item() for _ in range(10)]

    alone = [at_once(lambda seed=seed: train(seed))[0] for seed in (1, 2)]
    assert at_once(lambda: train(1), lambda: train(2)) == alone
    assert alone[0] != alone[1]


def test_one_program_draws_from_the_generator_of_the_thread_that_calls_it() -> None:
    run = minitorch.compile(lambda x: minitorch.dropout(x, 0.5) * minitorch.rand_like(x))
    x = minitorch.ones((64,), backend=FastBackend)
    run(x)

    def masks(seed: int) -> list[list[float]]:
        minitorch.manual_seed(seed)
        return [run(x).tolist() for _ in range(CALLS)]

    expected = [at_once(lambda seed=seed: masks(seed))[0] for seed in (1, 2)]
    assert at_once(lambda: masks(1), lambda: masks(2)) == expected
    assert len(run.traces) == 1


def test_a_step_is_traced_while_another_thread_draws() -> None:
    """What others draw, from MiniTorch's, NumPy's and Python's generators, is not held against the step."""
    over = threading.Event()

    def draw() -> int:
        count = 0
        while not over.is_set():
            minitorch.rand((2,))
            np.random.random()  # noqa: NPY002
            random.random()
            count += 1
        return count

    def trace() -> None:
        try:
            for _ in range(10):
                minitorch.compile(dropping())(batch(10))
        finally:
            over.set()

    count, _ = at_once(draw, trace)
    assert count > 10


def test_what_a_step_draws_is_refused_while_another_thread_draws() -> None:
    over = threading.Event()

    def draw() -> None:
        while not over.is_set():
            minitorch.rand((2,))

    def trace() -> None:
        try:
            with pytest.raises(minitorch.CompileError, match="random numbers that a compiled step draws as a NumPy"):
                minitorch.compile(lambda x: x * default_generator.uniform(1)[0])(batch(10))
        finally:
            over.set()

    at_once(draw, trace)


def test_a_step_is_profiled_while_another_thread_runs_it() -> None:
    _, step = training()
    run = minitorch.compile(step)
    x = batch(0)
    run(x)

    def profile() -> int:
        return sum(len(run.profile(x, rounds=1).rows) > 0 for _ in range(CALLS // 5))

    _, profiles = at_once(lambda: [run(x).item() for _ in range(CALLS * 20)], profile)
    assert profiles == CALLS // 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork, so nothing to survive")
def test_a_child_that_is_forked_while_a_thread_is_inside_a_step() -> None:
    """The thread stays behind in the parent, and may not keep the child out."""
    run = minitorch.compile(lambda x: x * 2.0)
    run._lock.acquire()
    with ThreadPoolExecutor(1) as pool:
        # This thread holds the lock, as if inside a call; the other one forks, and its child is alone.
        def fork() -> int:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of threads
                child = os.fork()
            if child == 0:
                os._exit(0 if run._lock.acquire(timeout=30) else 1)
            return os.waitpid(child, 0)[1]

        status = pool.submit(fork).result(60)
    run._lock.release()
    assert status == 0
