"""Optimisers, against their formulas written out in NumPy; tests/parity compares them with PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch import SGD, Adam, Parameter, RMSprop, Scalar

from .cases import BACKENDS, DTYPES, TOLERANCE, make
from .optimizer_cases import START, every_kind, go_on, parameters

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)

TARGET = np.array([[1.0, -2.0, 3.0], [0.5, 0.0, -1.0]])


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


@both_backends
@both_dtypes
@given(
    lr=st.floats(0, 1e-3),
    momentum=st.floats(0, 1),
    dampening=st.floats(0, 1),
    weight_decay=st.sampled_from([0.0, 0.1]),
    steps=st.integers(0, 5),
)
def test_momentum(backend, dtype, lr, momentum, dampening, weight_decay, steps):
    weight = Parameter(make(START, backend, dtype))
    found = train(SGD([weight], lr, momentum, dampening, weight_decay), weight, steps)
    w, buffer = START, None
    for _ in range(steps):
        g = slope(w) + weight_decay * w
        buffer = g if buffer is None else momentum * buffer + (1 - dampening) * g
        w = w - lr * (buffer if momentum else g)
    tolerance = 20 * TOLERANCE[found.dtype]
    np.testing.assert_allclose(found, w, rtol=tolerance, atol=tolerance)


@given(lr=st.floats(0, 1e-3), weight_decay=st.floats(0, 1), steps=st.integers(0, 5))
def test_maximising_is_minimising_the_negative(lr, weight_decay, steps):
    """Both walk the same way, if the penalty pulls the same way."""
    up, down = (Parameter(make(START)) for _ in range(2))
    climber, walker = (
        SGD([up], lr, weight_decay=weight_decay, maximize=True),
        SGD([down], lr, weight_decay=weight_decay),
    )
    for _ in range(steps):
        for p, optimiser, sign in ((up, climber, -1.0), (down, walker, 1.0)):
            optimiser.zero_grad()
            (p.value * p.value * sign).sum().backward()
            optimiser.step()
    assert up.value.tolist() == down.value.tolist()


@given(st.floats(0.001, 1000), st.sampled_from([Adam, RMSprop]))
def test_the_size_of_the_gradient_does_not_matter(factor, kind):
    """The promise of dividing by its root mean square."""
    found = []
    for scale in (1.0, factor):
        weight = Parameter(make(START))
        optimiser = kind([weight], lr=0.1, eps=0.0)
        for _ in range(3):
            optimiser.zero_grad()
            (weight.value * weight.value * scale).sum().backward()
            with np.errstate(invalid="ignore"):
                optimiser.step()
        found.append(weight.value.to_numpy()[1])  # a gradient of zero stands in the first row
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9)


@both_dtypes
@every_kind
def test_they_arrive(make_optimiser, dtype):
    weight = Parameter(make(START / 4, BACKENDS["fast"], dtype))
    before = np.abs(weight.value.to_numpy() - TARGET).max()
    after = np.abs(train(make_optimiser([weight]), weight, 400) - TARGET).max()
    assert after < 0.3 < before


def test_momentum_switched_on_later():
    params = parameters()
    optimiser = SGD(params, lr=0.01)
    go_on(optimiser, params)
    assert optimiser.state == {}
    optimiser.param_groups[0]["momentum"] = 0.5
    start = [Parameter(p.value.detach()) for p in params]
    assert go_on(optimiser, params) == go_on(SGD(start, lr=0.01, momentum=0.5), start)


@every_kind
def test_scalars_move_as_tensors_do(make_optimiser):
    scalar, tensor = Parameter(Scalar(1.5)), Parameter(make([1.5]))
    assert go_on(make_optimiser([scalar]), [scalar], 10) == [
        pytest.approx(go_on(make_optimiser([tensor]), [tensor], 10)[0][0], rel=1e-12)
    ]
    assert isinstance(scalar.value, Scalar)


def test_a_variance_that_rounding_takes_below_zero():
    """A constant gradient has none, and its root must not become NaN."""
    weight = Parameter(make([1.0, 0.3], dtype="float32"))
    optimiser = RMSprop([weight], lr=1e-6, alpha=0.5, centered=True)
    for _ in range(60):
        optimiser.zero_grad()
        (weight.value * make([0.1, 7.7], dtype="float32")).sum().backward()
        optimiser.step()
    assert np.isfinite(weight.value.to_numpy()).all()
