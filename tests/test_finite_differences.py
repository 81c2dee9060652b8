"""The judge of derivatives: the slopes that it finds, and where it must say that it cannot tell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.finite_differences import derivative_range, one_sided_range

RANGE_OF_ANYTHING = (-math.inf, math.inf)


def at(f, x):
    return lambda t: f(x + t)


@pytest.mark.parametrize(
    ("f", "slope", "x"),
    [
        (math.sin, math.cos, 1.0),
        (math.exp, math.exp, -300.0),
        (math.log, lambda x: 1 / x, 1e-9),
        (math.atan, lambda x: 1 / (1 + x * x), 50.0),
        (lambda x: 1 / x, lambda x: -1 / x**2, -1e-6),
        (lambda x: x**3, lambda x: 3 * x**2, 70.0),
    ],
    ids=["sin", "exp", "log", "atan", "inv", "cube"],
)
def test_a_smooth_slope_is_known_within_one_percent(f, slope, x):
    low, high = derivative_range(at(f, x), max(1.0, abs(x)))
    assert low <= slope(x) <= high
    assert high - low < 0.0125 * abs(slope(x))


@given(st.floats(-50, 50), st.floats(-50, 50))
def test_a_kink_allows_what_lies_between_its_slopes(left, right):
    low, high = derivative_range(lambda t: right * t if t > 0 else left * t)
    smaller, larger = sorted([left, right])
    np.testing.assert_allclose(low, smaller - 0.005 * abs(smaller), atol=1e-11)
    np.testing.assert_allclose(high, larger + 0.005 * abs(larger), atol=1e-11)


@pytest.mark.parametrize("distance", [1e-6, 1e-4, 1e-2])
def test_a_kink_next_door_does_not_blur_the_slope(distance):
    low, high = derivative_range(lambda t: 7.0 * max(t - distance, 0.0) + 2.0 * t)
    np.testing.assert_allclose([low, high], [1.99, 2.01], rtol=1e-3)


@pytest.mark.parametrize("tolerance", [0.0, 1e-3, 0.1])
def test_the_slopes_are_widened_by_the_tolerance(tolerance):
    found = derivative_range(lambda t: 4.0 * t if t > 0 else -2.0 * t, tolerance=tolerance)
    np.testing.assert_allclose(found, [-2.0 * (1 + tolerance), 4.0 * (1 + tolerance)], rtol=1e-9)


def test_a_jump_has_an_infinite_slope_on_its_side():
    low, high = derivative_range(lambda t: float(t > 0))
    assert (low, high) == (pytest.approx(0.0, abs=1e-12), math.inf)
    low, high = derivative_range(lambda t: 3.0 * t + float(t < 0))
    assert low == -math.inf
    assert high == pytest.approx(3.015)
    assert derivative_range(lambda t: float(t == 0)) == RANGE_OF_ANYTHING


@pytest.mark.parametrize("distance", [1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8])
def test_the_slope_next_to_a_pole_is_never_ruled_out(distance):
    low, high = derivative_range(at(lambda x: 1 / x, distance))
    assert low <= -(distance**-2) <= high
    assert distance < 1e-9 or high < 0.0


def test_rounding_inside_the_function_is_allowed_for_when_it_is_told():
    """One part in 10^17 of 10^9 is lost, so that small steps are lost altogether: plateaus, not slopes."""
    low, high = derivative_range(lambda t: (t + 1e9) - 1e9, rounding=1.2e-7)
    assert 0.98 < low <= 1.0 <= high < 1.02


def test_a_gap_leaves_the_other_side_to_decide():
    def root(t):
        return math.sqrt(1.0 + t) if t >= 0 else math.nan

    def raising(t):
        return math.log(t)

    assert one_sided_range(root, -1.0) is None
    np.testing.assert_allclose(derivative_range(root), [0.4975, 0.5025], rtol=1e-6)
    assert derivative_range(raising) == RANGE_OF_ANYTHING
    assert derivative_range(lambda t: math.inf if t == 0 else t) == RANGE_OF_ANYTHING


def test_values_beyond_a_gap_do_not_count():
    def islands(t):
        if abs(t) < 1e-6:
            return 0.0
        return math.inf if abs(t) < 1e-5 else 50.0 * t

    # With this much rounding the long steps would look the more exact.
    np.testing.assert_allclose(derivative_range(islands, rounding=1e-10), 0.0, atol=0.1)


def test_what_the_function_raises_on_purpose_comes_through():
    def broken(t):
        raise KeyError(t)

    with pytest.raises(KeyError):
        derivative_range(broken)
