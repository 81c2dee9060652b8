"""Optimisers, against their formulas written out in NumPy; tests/parity compares them with PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch
from minitorch import SGD, Adam, Module, Optimizer, Parameter, Scalar
from minitorch.errors import ArgumentError

from .cases import BACKENDS, DTYPES, TOLERANCE, make

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)

TARGET = np.array([[1.0, -2.0, 3.0], [0.5, 0.0, -1.0]])
START = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])


def train(optimiser, weight, steps):
    """Move towards TARGET along the gradient of the sum of fourth powers."""
    for _ in range(steps):
        optimiser.zero_grad()
        distance = weight.value - make(TARGET, weight.value.backend, weight.value.dtype)
        squared = distance * distance
        (squared * squared).sum().backward()
        optimiser.step()
    return weight.value.to_numpy()


def slope(w):
    return 4 * (w - TARGET) ** 3


@pytest.mark.task2_5
@both_backends
@both_dtypes
@given(lr=st.floats(0, 1e-3), steps=st.integers(0, 5))
def test_sgd(backend, dtype, lr, steps):
    weight = Parameter(make(START, backend, dtype))
    found = train(SGD([weight], lr), weight, steps)
    expected = START
    for _ in range(steps):
        expected = expected - lr * slope(expected)
    tolerance = 20 * TOLERANCE[found.dtype]  # a few steps, each with a third power in it
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    assert found.dtype == np.dtype(dtype)


@both_backends
@both_dtypes
@given(
    lr=st.floats(0, 0.1),
    betas=st.tuples(st.floats(0, 0.99), st.floats(0, 0.999)),
    weight_decay=st.sampled_from([0.0, 0.1]),
    steps=st.integers(0, 5),
)
def test_adam(backend, dtype, lr, betas, weight_decay, steps):
    weight = Parameter(make(START, backend, dtype))
    found = train(Adam([weight], lr, betas, weight_decay=weight_decay), weight, steps)
    w, m, v = START, 0.0, 0.0
    for t in range(1, steps + 1):
        g = slope(w) + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        w = w - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + 1e-8)
    tolerance = 20 * TOLERANCE[found.dtype]
    np.testing.assert_allclose(found, w, rtol=tolerance, atol=tolerance)


@both_dtypes
@pytest.mark.parametrize("make_optimiser", [lambda p: SGD(p, 1e-2), lambda p: Adam(p, 0.05)], ids=["SGD", "Adam"])
def test_they_arrive(make_optimiser, dtype):
    weight = Parameter(make(START / 4, BACKENDS["fast"], dtype))
    before = np.abs(weight.value.to_numpy() - TARGET).max()
    after = np.abs(train(make_optimiser([weight]), weight, 400) - TARGET).max()
    assert after < 0.3 < before


def test_a_step_leaves_earlier_values_alone():
    """The course's scripts keep them, and never call zero_grad: the new value is a new tensor without a gradient."""
    weight = Parameter(make([1.0, 2.0]))
    before = weight.value
    (before * before).sum().backward()
    SGD([weight], 0.5).step()
    assert before.tolist() == [1.0, 2.0]
    assert weight.value is not before
    assert weight.value.tolist() == [0.0, 0.0]
    assert weight.value.is_leaf()
    assert weight.value.grad is None


def test_what_has_no_gradient_stays():
    used, unused, absent = Parameter(make([1.0])), Parameter(make([5.0])), Parameter(None)
    optimiser = Adam([used, unused, absent], lr=0.1)
    value = unused.value
    (used.value * 2).backward()
    optimiser.step()
    assert unused.value is value
    assert absent.value is None
    assert used.value[0] == pytest.approx(0.9)


def test_zero_grad_forgets():
    tensor, scalar = Parameter(make([1.0])), Parameter(Scalar(2.0))
    (tensor.value * 3).backward()
    (scalar.value * 3).backward()
    optimiser = SGD([tensor, scalar, Parameter(None)])
    optimiser.zero_grad()
    assert tensor.value.grad is None
    assert not scalar.value.derivative
    optimiser.step()
    assert (tensor.value[0], scalar.value.data) == (1.0, 2.0)


@pytest.mark.task1_5
def test_scalars_train_too():
    weight = Parameter(Scalar(3.0))
    optimiser = SGD([weight], lr=0.25)
    for expected in (1.5, 0.75):
        optimiser.zero_grad()
        (weight.value * weight.value).backward()
        optimiser.step()
        assert weight.value.data == expected


def test_a_step_records_nothing():
    weight = Parameter(make([1.0]))
    (weight.value * 2).backward()
    with minitorch.enable_grad():
        SGD([weight]).step()
    assert weight.value.history.last_fn is None


def test_a_modules_parameters():
    class Line(Module):
        def __init__(self):
            super().__init__()
            self.weight = Parameter(make([[2.0]]))
            self.bias = Parameter(make([1.0]))

        def forward(self, x):
            return x @ self.weight.value + self.bias.value

    line = Line()
    optimiser = SGD(line.parameters(), lr=0.1)
    line(make([[3.0]])).sum().backward()
    optimiser.step()
    assert line.weight.value[0, 0] == pytest.approx(1.7)
    assert line.bias.value[0] == pytest.approx(0.9)


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_no_parameters(kind):
    with pytest.raises(ArgumentError, match=r"model.parameters\(\)"):
        kind([])


@pytest.mark.parametrize(
    "make_optimiser",
    [
        lambda p: SGD(p, -1.0),
        lambda p: Adam(p, -1e-3),
        lambda p: Adam(p, betas=(1.0, 0.9)),
        lambda p: Adam(p, betas=(0, -1)),
    ],
)
def test_arguments_out_of_range(make_optimiser):
    with pytest.raises(ArgumentError):
        make_optimiser([Parameter(make([1.0]))])


def test_the_base_moves_nothing_itself():
    weight = Parameter(make([1.0]))
    (weight.value * 2).backward()
    with pytest.raises(NotImplementedError):
        Optimizer([weight]).step()
