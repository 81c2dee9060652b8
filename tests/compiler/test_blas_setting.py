"""A compiled step computes its products with one BLAS thread, and leaves the user's own setting as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.linalg.cython_blas  # noqa: F401  (its library computes the products, and its setting is the user's too)
from threadpoolctl import threadpool_info, threadpool_limits

import minitorch
from minitorch import FastBackend, losses
from minitorch.compiler.run.machine import Machine
from minitorch.module import Parameter
from minitorch.tensor import Tensor


def thread_counts() -> set[int]:
    """The settings of the BLAS libraries in the process."""
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    """Every test begins with a user who wants two threads, and must leave it so."""
    with threadpool_limits(2, user_api="blas"):
        assert thread_counts() == {2}
        yield
        assert thread_counts() == {2}


@pytest.fixture
def counts_inside(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """Collect the settings at the moment at which a program runs, program after program."""
    seen: list[set[int]] = []
    run = Machine._run

    def watched(self: Machine, memory: Any) -> None:
        seen.append(thread_counts())
        run(self, memory)

    monkeypatch.setattr(Machine, "_run", watched)
    return seen


def classifier() -> Any:
    """Compile a training step with products, and labels that may be wrong."""
    drawn = np.random.default_rng(1).standard_normal((30, 40))
    weight = Parameter(minitorch.tensor(drawn, backend=FastBackend))
    optimizer = minitorch.SGD([weight], lr=0.1)

    def step(x: Tensor, labels: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = losses.cross_entropy(x @ weight.value, labels)
        loss.backward()
        optimizer.step()
        return loss

    return minitorch.compile(step)


X = minitorch.tensor(np.random.default_rng(2).standard_normal((20, 30)), backend=FastBackend)


def labels(first: int = 0) -> Tensor:
    """Give a class for each row; the first as it is wanted."""
    return minitorch.tensor(np.array([first, *range(1, 20)]), backend=FastBackend)


def test_the_users_number_is_there_again_after_each_call(counts_inside: list[set[int]]) -> None:
    step = classifier()
    for _ in range(3):
        step(X, labels())
        assert thread_counts() == {2}
    assert step.traces[0].machine.program.holds_blas
    assert counts_inside == [{1}] * 3


def test_the_users_number_is_there_again_after_a_wrong_label(counts_inside: list[set[int]]) -> None:
    step = classifier()
    for _ in range(2):
        with pytest.raises(minitorch.IndexingError, match="out of range"):
            step(X, labels(-1))
        assert thread_counts() == {2}
    assert np.isfinite(step(X, labels()).item())
    assert counts_inside == [{1}] * 3


def test_the_users_number_is_there_again_after_a_failure_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    step = classifier()
    step(X, labels())

    def fail(self: Machine, memory: Any) -> None:
        assert thread_counts() == {1}
        raise MemoryError("on purpose")

    monkeypatch.setattr(Machine, "_run", fail)
    with pytest.raises(MemoryError, match="on purpose"):
        step(X, labels())
    assert thread_counts() == {2}


def test_a_user_who_wants_one_thread_keeps_one() -> None:
    step = classifier()
    with threadpool_limits(1, user_api="blas"):
        step(X, labels())
        assert thread_counts() == {1}


def test_products_that_no_library_divides_need_not_be_held(counts_inside: list[set[int]]) -> None:
    drawn = np.random.default_rng(3)
    a, b = (minitorch.tensor(drawn.standard_normal(shape), backend=FastBackend) for shape in ((16, 32), (32, 16)))
    c = minitorch.tensor(drawn.standard_normal((32, 17)), backend=FastBackend)
    multiply = minitorch.compile(lambda a, b: a @ b)
    found = multiply(a, b).to_numpy().copy()
    multiply(a, c)
    assert counts_inside == [{2}, {1}]
    with threadpool_limits(1, user_api="blas"):
        assert (multiply(a, b).to_numpy() == found).all()
    np.testing.assert_allclose(found, a.to_numpy() @ b.to_numpy(), rtol=1e-12)
