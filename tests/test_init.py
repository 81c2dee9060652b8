"""Initialisation: intervals, deviations and seeds; tests/parity compares the distributions with PyTorch's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch import Parameter, init
from minitorch.errors import ArgumentError, DTypeError, ShapeError
from minitorch.random import default_generator, manual_seed

from .cases import BACKENDS, DTYPES, make
from .tensor_strategies import shapes

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)

weight_shapes = shapes(min_dims=2, max_dims=4)
DRAWN = {
    "uniform": init.uniform,
    "normal": init.normal,
    "xavier_uniform": init.xavier_uniform,
    "xavier_normal": init.xavier_normal,
    "kaiming_uniform": init.kaiming_uniform,
    "kaiming_normal": init.kaiming_normal,
}


@both_backends
@both_dtypes
@pytest.mark.parametrize("name", [*DRAWN, "constant", "zeros", "ones"])
def test_shape_dtype_and_backend(name, dtype, backend):
    more = {"val": 0.1} if name == "constant" else {}
    found = getattr(init, name)((3, 2), dtype=dtype, backend=backend, **more)
    assert (found.shape, found.dtype, found.backend) == ((3, 2), np.dtype(dtype), backend)
    assert found.is_constant()


@pytest.mark.parametrize("draw", DRAWN.values(), ids=list(DRAWN))
def test_a_seed_fixes_the_draw(draw):
    manual_seed(1)
    first, second = draw((4, 3)), draw((4, 3))
    manual_seed(1)
    np.testing.assert_array_equal(draw((4, 3)).to_numpy(), first.to_numpy())
    assert (first.to_numpy() != second.to_numpy()).any()


@both_dtypes
@given(st.data(), shapes(), st.integers(0, 2**32))
def test_a_uniform_draw_stays_in_its_interval(dtype, data, shape, seed):
    low = data.draw(st.floats(-100, 100, width=32))
    high = data.draw(st.floats(low, 200, width=32))
    manual_seed(seed)
    found = init.uniform(shape, low, high, dtype).to_numpy()
    assert (found >= low).all()
    assert (found <= high).all()


@given(weight_shapes, st.floats(0.125, 8))
def test_the_ends_of_the_intervals(shape, gain):
    taps = math.prod(shape[2:])
    fan_in, fan_out = shape[1] * taps, shape[0] * taps
    for found, bound in [
        (init.xavier_uniform(shape, gain), gain * math.sqrt(6 / (fan_in + fan_out))),
        (init.kaiming_uniform(shape), math.sqrt(6 / fan_in)),
        (init.kaiming_uniform(shape, math.sqrt(5)), 1 / math.sqrt(fan_in)),
        (init.kaiming_uniform(shape, mode="fan_out", nonlinearity="linear"), math.sqrt(3 / fan_out)),
    ]:
        assert np.abs(found.to_numpy()).max() <= bound * (1 + 1e-12)


@pytest.mark.parametrize("shape", [(50, 400), (20, 30, 5, 7)], ids=str)
def test_deviations(shape):
    """Within five standard errors of what the papers ask for."""
    manual_seed(0)
    taps = math.prod(shape[2:])
    fan_in, fan_out, count = shape[1] * taps, shape[0] * taps, math.prod(shape)
    for found, deviation in [
        (init.xavier_uniform(shape), math.sqrt(2 / (fan_in + fan_out))),
        (init.xavier_normal(shape, 2.0), 2 * math.sqrt(2 / (fan_in + fan_out))),
        (init.kaiming_uniform(shape, nonlinearity="relu"), math.sqrt(2 / fan_in)),
        (init.kaiming_normal(shape, mode="fan_out", nonlinearity="tanh"), 5 / 3 / math.sqrt(fan_out)),
        (init.normal(shape, std=3.0), 3.0),
    ]:
        values = found.to_numpy()
        assert values.std() == pytest.approx(deviation, rel=5 / math.sqrt(count))
        assert abs(values.mean()) < 5 * deviation / math.sqrt(count)


def test_a_layer_keeps_the_spread_of_what_goes_through_it():
    """What the rules are for: twenty layers neither fade out nor explode."""
    manual_seed(0)
    for draw, activation in [
        (lambda: init.kaiming_normal((128, 128), nonlinearity="relu"), lambda x: np.maximum(x, 0)),
        (lambda: init.xavier_uniform((128, 128)), lambda x: x),
    ]:
        x = default_generator.normal((64, 128))
        before = np.sqrt((x * x).mean())
        for _ in range(20):
            x = activation(x @ draw().to_numpy().T)
        assert 0.3 < np.sqrt((x * x).mean()) / before < 3


@given(st.floats(-5, 5))
def test_the_gain_of_a_leaky_relu(slope):
    """The mean square of what it makes of a symmetric distribution, turned round."""
    x = np.linspace(-1, 1, 2001)
    kept = (np.where(x > 0, x, slope * x) ** 2).mean() / (x**2).mean()
    assert init.calculate_gain("leaky_relu", slope) == pytest.approx(1 / math.sqrt(kept))


def test_mistakes():
    with pytest.raises(ArgumentError, match=r"nan and 1.0"):
        init.uniform((2,), math.nan)
    with pytest.raises(DTypeError):
        init.uniform((2,), dtype="int64")
    with pytest.raises(DTypeError):
        init.constant((2,), 1.0, dtype="bool")
    with pytest.raises(ShapeError, match="a weight"):
        init.kaiming_normal(3)
    with pytest.raises(ArgumentError, match="fan_avg"):
        init.kaiming_uniform((2, 3), mode="fan_avg")
    with pytest.raises(ArgumentError, match="swish"):
        init.kaiming_uniform((2, 3), nonlinearity="swish")


# --- parameters that exist -----------------------------------------------------------------------------------


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("name", [name for name in init.__all__ if name.endswith("_")])
def test_a_parameter_is_filled_anew(name, trained):
    """And stays what it was otherwise."""
    parameter = Parameter(make(np.full((20, 30), 7.0), BACKENDS["fast"], "float32"))
    parameter.value.requires_grad_(trained)
    more = (0.5,) if name == "constant_" else ()
    assert getattr(init, name)(parameter, *more) is parameter
    value = parameter.value
    assert (value.shape, value.dtype, value.backend) == ((20, 30), np.float32, BACKENDS["fast"])
    assert value.requires_grad() == trained
    assert (value.to_numpy() != 7.0).all()


def test_every_distribution_fills_parameters_too():
    plain = {name for name in init.__all__ if not name.endswith("_")}
    assert {f"{name}_" for name in plain - {"calculate_gain"}} == set(init.__all__) - plain
