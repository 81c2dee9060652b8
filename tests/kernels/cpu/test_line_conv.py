"""Convolution over lines with fewer products, against its definition in NumPy with float64."""

from __future__ import annotations

from fractions import Fraction

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.kernels.cpu.line_conv import (
    FINITE_POINTS,
    POINTS,
    TAPS,
    convolve_lines,
    multiplications,
    pieces_of,
    plan_lines,
    points_of_taps,
)

from .pointers import pointer_to

# Some roundings of float32.
PRECISION = 1e-6


@numba.njit
def _convolve(out, places, x, w, bias, table, plan, scratch, first, last, at_once):
    for piece in range(first, last, at_once):
        convolve_lines(
            pointer_to(out),
            pointer_to(places),
            pointer_to(x),
            pointer_to(w),
            pointer_to(bias),
            pointer_to(table),
            pointer_to(plan),
            pointer_to(scratch),
            piece,
            min(piece + at_once, last),
        )


def found(x, w, bias, size, start, relu, at_once=100):
    """The maxima and their places, from the kernel, which is given so many pieces of the work at once."""
    (batch, width, channels), (out, _, taps) = x.shape, w.shape
    plan = plan_lines(batch, width, channels, out, taps, size, start, relu)
    values, places = np.full((batch + 1, out), np.nan, np.float32), np.full((batch + 1, out), -1)
    scratch = np.full(plan.scratch + 64, np.nan, np.float32)
    table = points_of_taps(taps).astype(np.float32)
    _convolve(values, places, x, w, bias, table, plan.numbers, scratch, 0, pieces_of(plan), at_once)
    assert np.isnan(scratch[plan.scratch :]).all()
    assert np.isnan(values[batch]).all()
    assert (places[batch] == -1).all()
    return values[:batch], places[:batch]


def defined(x, w, bias, size, start, relu):
    """All results of all lines."""
    seen = np.arange(size)[:, None] + np.arange(w.shape[2]) + start
    inside = (seen >= 0) & (seen < x.shape[1])
    windows = np.where(inside[None, :, :, None], x[:, np.where(inside, seen, 0)], 0).astype(float)
    y = np.einsum("bikc,ock->boi", windows, w.astype(float)) + bias.astype(float)[:, None]
    return np.where(y < 0, 0, y) if relu else y


def taken_at(places, y):
    """The results at places of their lines."""
    return np.take_along_axis(y, places[:, :, None], axis=2)[:, :, 0]


def check(x, w, bias, size, start, relu, at_once):
    values, places = found(x, w, bias, size, start, relu, at_once)
    y = defined(x, w, bias, size, start, relu)
    # A tile's largest inputs, also those that a result does not see, times the weights.
    inputs = np.sqrt(POINTS) * np.linalg.norm(x, axis=2).max(axis=1)
    allowed = PRECISION * (inputs[:, None] * np.linalg.norm(w, axis=(1, 2)) + abs(bias))
    assert (abs(values - y.max(axis=2)) <= allowed).all()
    assert (y.max(axis=2) - taken_at(places, y) <= 2 * allowed).all()
    assert (places[values == 0] == 0).all() or not relu


def operands(batch, width, channels, out, taps, seed=0):
    rng = np.random.default_rng([seed, width, channels, out, taps])
    shapes = (batch, width, channels), (out, channels, taps), (out,)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("taps", TAPS)
@pytest.mark.parametrize(
    ("batch", "width", "channels", "out", "less", "start", "at_once"),
    [
        (1, 8, 8, 16, 0, 0, 1),
        (5, 52, 50, 100, 0, 0, 1),  # a channel that is left over has four lanes
        (25, 20, 50, 99, 0, 0, 3),  # pieces of lines and of channels
        (7, 52, 50, 17, 0, 0, 3),
        (3, 9, 16, 31, 1, 0, 2),  # the last block of channels overlaps with the one before
        (2, 30, 17, 33, 0, -2, 2),
        (3, 12, 9, 114, 0, -1, 1),
        (2, 5, 15, 48, -3, -3, 1),  # more results than places
        (2, 20, 9, 16, 12, 6, 2),  # a part of the line
        (40, 6, 33, 20, 0, 0, 40),  # many lines at once
        (1, 400, 12, 16, 0, 1, 1),
    ],
)
def test_maxima_over_lines(batch, width, channels, out, less, start, at_once, taps, relu):
    check(*operands(batch, width, channels, out, taps), width - less, start, relu, at_once)


@given(
    st.tuples(st.integers(1, 30), st.integers(1, 40), st.integers(4, 40), st.integers(16, 120), st.sampled_from(TAPS)),
    st.integers(1, 45),
    st.integers(-8, 8),
    st.booleans(),
    st.integers(1, 5),
    st.integers(0, 9),
)
def test_any_lines(sizes, size, start, relu, at_once, seed):
    check(*operands(*sizes, seed), size, start, relu, at_once)


@pytest.mark.parametrize("taps", TAPS)
def test_points_determine_products_of_polynomials(taps):
    """Exact: the results of a tile, from the points of taps and inputs, by Lagrange's interpolation."""
    inputs = [Fraction(n * n - 3 * n + 1) for n in range(POINTS)]
    kernel = [Fraction(2 * n - 3) for n in range(taps)]
    table = [[Fraction(entry).limit_denominator(10**4) for entry in row] for row in points_of_taps(taps)]
    products = []
    for p, row in enumerate(table):
        others = [q for i, q in enumerate(FINITE_POINTS) if i != p]
        polynomial = [Fraction(1)]
        for q in others:  # the product of x - q, lowest power first
            polynomial = [
                a - q * b for a, b in zip([Fraction(0), *polynomial], [*polynomial, Fraction(0)], strict=True)
            ]
        polynomial += [Fraction(0)] * (POINTS - len(polynomial))
        value = sum(a * d for a, d in zip(polynomial, inputs, strict=True))
        products.append(value * sum(g * k for g, k in zip(row, kernel, strict=True)))
    for j in range(POINTS - taps + 1):
        result = sum(p**j * y for p, y in zip(FINITE_POINTS, products[:-1], strict=True))
        result += products[-1] * (j == POINTS - taps)
        assert result == sum(g * d for g, d in zip(kernel, inputs[j:], strict=False))


def test_nothing_above_zero_is_a_zero_at_the_first_place():
    x, w, bias = operands(3, 20, 8, 16, 3)
    values, places = found(x, w, bias - 1e3, 20, 0, True)
    assert (values == 0).all()
    assert (places == 0).all()


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2e37])
@pytest.mark.parametrize("of", ["x", "w", "bias"])
def test_what_is_not_finite_is_as_the_definition_has_it(of, value, relu):
    x, w, bias = operands(3, 23, 9, 19, 4)
    {"x": x[1, 5], "w": w[17, 3], "bias": bias[2:3]}[of][...] = value
    with np.errstate(invalid="ignore", over="ignore"):
        values, places = found(x, w, bias, 20, 0, relu)
        y = defined(x, w, bias, 20, 0, relu).astype(np.float32)
    wanted = np.where(np.isnan(y).any(2), np.nan, y.max(2))
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(values[~finite], wanted[~finite])
    np.testing.assert_array_equal(places[~finite], y.argmax(2)[~finite])
    np.testing.assert_allclose(values[finite], wanted[finite], rtol=1e-4, atol=1e-4)
    assert (~finite).any() or value in (-np.inf, 2e37)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-3])
@pytest.mark.parametrize("value", [5e37, 7e37, 1e38, 3e38])
@pytest.mark.parametrize("taps", TAPS)
def test_what_overflows_on_the_way_is_as_the_definition_has_it(taps, value, scale, relu):
    """The points of a tile are larger than what it sees: they may overflow where the results by definition do not."""
    x, w, bias = operands(12, 12, 8, 16, taps)
    x, w = np.abs(x), np.abs(w) * np.float32(scale / 20)
    x[np.arange(12), np.arange(12), 3] = value
    values, places = found(x, w, bias, 12, 0, relu)
    y = defined(x, w, bias, 12, 0, relu)
    assert y.max() < 3e38
    np.testing.assert_allclose(values, y.max(2), rtol=1e-4)
    np.testing.assert_allclose(taken_at(places, y), y.max(2), rtol=1e-4)


def test_bits_do_not_depend_on_how_the_work_is_divided():
    x, w, bias = operands(40, 31, 20, 100, 5)
    values, places = found(x, w, bias, 31, 0, True)
    for lines, at_once in ((40, 1), (40, 3), (9, 100), (1, 1)):
        again = found(x[:lines], w, bias, 31, 0, True, at_once)
        np.testing.assert_array_equal(again[0], values[:lines])
        np.testing.assert_array_equal(again[1], places[:lines])


def test_pieces_share_nothing():
    x, w, bias = operands(30, 12, 8, 100, 3)
    plan = plan_lines(30, 12, 8, 100, 3, 12, 0, False)
    wanted, _ = found(x, w, bias, 12, 0, False)
    table, seen = points_of_taps(3).astype(np.float32), np.zeros((30, 100), int)
    assert pieces_of(plan) == 4
    for piece in range(4):
        values, places = np.full((30, 100), np.nan, np.float32), np.full((30, 100), -1)
        scratch = np.full(plan.scratch, np.nan, np.float32)
        _convolve(values, places, x, w, bias, table, plan.numbers, scratch, piece, piece + 1, 1)
        written = ~np.isnan(values)
        np.testing.assert_array_equal(written, places >= 0)
        np.testing.assert_array_equal(values[written], wanted[written])
        seen += written
    assert (seen == 1).all()


def test_products_are_fewer():
    assert multiplications(50, 96, 3, 54) == 8 * 9 * 50 * 96
    assert multiplications(50, 96, 3, 54) * 2.25 == 54 * 3 * 50 * 96
    assert multiplications(50, 100, 3, 55) == 8 * 10 * (50 * 96 + 13 * 16)  # whole tiles, whole vectors of 4 x 4
    assert multiplications(50, 105, 3, 54) == 8 * 9 * 50 * 112
