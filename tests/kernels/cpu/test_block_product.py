"""Products of medium size without BLAS, against NumPy with float64."""

from __future__ import annotations

from itertools import pairwise

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.kernels.cpu.block_product import MOST_ELEMENTS, MOST_TERMS, block_product, is_for_blocks, plan_product

from .pointers import pointer_to


@numba.njit
def _product(c, a, b, plan, turned, begin, end):
    block_product(pointer_to(c), pointer_to(a), pointer_to(b), pointer_to(plan), pointer_to(turned), begin, end)


def operands(m, k, n):
    rng = np.random.default_rng([m, k, n])
    return rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal((k, n)).astype(np.float32)


def found(a, b, turned, by_columns, bounds):
    """The product, part by part; where no part is, NaN."""
    (m, k), n = a.shape, b.shape[1]
    plan = plan_product(m, k, n, *turned, by_columns)
    left, right = (np.ascontiguousarray(x.T if t else x) for x, t in zip((a, b), turned, strict=True))
    c = np.full(m * n + 64, np.nan, np.float32)
    panel = np.full(plan.scratch + 64, np.nan, np.float32)
    for begin, end in pairwise(bounds):
        _product(c, left, right, plan.numbers, panel, begin, end)
    assert np.isnan(c[m * n :]).all()
    assert np.isnan(panel[plan.scratch :]).all()
    return c[: m * n].reshape(m, n)


@pytest.mark.parametrize("turned", [(False, False), (False, True), (True, False), (True, True)], ids=str)
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [
        (16, 16, 16),
        (17, 18, 19),
        (64, 784, 48),
        (23, 33, 49),
        (64, 21, 100),
        (33, 100, 784),
        (256, 64, 64),
        (16, 500, 33),
    ],
)
@pytest.mark.parametrize("by_columns", [False, True])
def test_a_product(m, k, n, turned, by_columns):
    a, b = operands(m, k, n)
    got = found(a, b, turned, by_columns, [0, n if by_columns else m])
    wanted = a.astype(float) @ b.astype(float)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6 * k)


@given(
    st.tuples(st.integers(16, 90), st.integers(16, 70), st.integers(16, 130)),
    st.tuples(st.booleans(), st.booleans()),
    st.booleans(),
    st.integers(16, 40),
)
def test_bits_do_not_depend_on_the_parts(sizes, turned, by_columns, part):
    a, b = operands(*sizes)
    extent = sizes[2] if by_columns else sizes[0]
    whole = found(a, b, turned, by_columns, [0, extent])
    np.testing.assert_allclose(whole, a.astype(float) @ b.astype(float), rtol=0, atol=1e-4)
    bounds = [*range(0, max(1, extent - part + 1), part), extent]
    np.testing.assert_array_equal(found(a, b, turned, by_columns, bounds), whole)
    other = found(a, b, turned, not by_columns, [0, sizes[0] if by_columns else sizes[2]])
    np.testing.assert_array_equal(other, whole)


@pytest.mark.parametrize("by_columns", [False, True])
def test_a_part_is_all_that_is_written(by_columns):
    a, b = operands(64, 20, 70)
    part = found(a, b, (False, True), by_columns, [18, 41])
    written = np.zeros((64, 70), bool)
    written[(slice(None), slice(18, 41)) if by_columns else slice(18, 41)] = True
    np.testing.assert_array_equal(~np.isnan(part), written)


def test_what_is_not_finite_stays_in_its_row_and_column():
    a, b = operands(20, 30, 40)
    a[3, 4], b[7, 9] = np.inf, np.nan
    got = found(a, b, (False, False), False, [0, 20])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(np.isfinite(got), np.isfinite(a @ b))


@pytest.mark.parametrize(
    ("sizes", "dtype", "wanted"),
    [
        ((64, 784, 256), "float32", True),
        ((64, 784, 256), "float64", False),
        ((15, 784, 256), "float32", False),
        ((64, 784, 10), "float32", False),
        ((64, 4, 256), "float32", False),
        ((16, MOST_TERMS, 16), "float32", True),
        ((16, MOST_TERMS + 1, 16), "float32", False),
        ((5000, 1024, MOST_ELEMENTS // 1024), "float32", True),
        ((5000, 1024, MOST_ELEMENTS // 1024 + 1), "float32", False),
    ],
)
def test_which_products_are_for_blocks(sizes, dtype, wanted):
    assert is_for_blocks(*sizes, dtype) is wanted
