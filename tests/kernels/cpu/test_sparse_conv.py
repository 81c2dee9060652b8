"""The gradients of a convolution behind a maximum, against a plain definition in NumPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch.kernels.cpu.sparse_conv import conv_pool_backward, plan_sparse

from .pointers import pointer_to

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


@numba.njit
def _backward(dw, dx, x, w, dvalues, places, plan, scratch, chunk, batch):
    image_gradient, image, weight, upstream = pointer_to(dx), pointer_to(x), pointer_to(w), pointer_to(dvalues)
    where, numbers, work = pointer_to(places), pointer_to(plan), pointer_to(scratch)
    height, width = x.shape[2:]
    for b in range(0, batch, chunk):
        part, end = b // chunk, min(b + chunk, batch)
        results = pointer_to(dw[part]), image_gradient
        conv_pool_backward(*results, image, height, width, weight, upstream, where, numbers, work, b, end)


class Case:
    """Random operands, and maxima at random places of their windows."""

    def __init__(self, sizes, out_size, start=(0, 0), dilation=(1, 1), window=(1, 1), dtype="float32"):
        batch, channels, out_channels, height, width, kh, kw = sizes
        rng = np.random.default_rng(sum(sizes))
        self.x = rng.standard_normal((batch, channels, height, width)).astype(dtype)
        self.w = rng.standard_normal((out_channels, channels, kh, kw)).astype(dtype)
        rows, columns = (n // k for n, k in zip(out_size, window, strict=True))
        shape = (batch, out_channels, rows, columns)
        self.dvalues = rng.standard_normal(shape).astype(dtype) * rng.integers(0, 2, shape).astype(dtype)
        row = np.arange(rows)[:, None] * window[0] + rng.integers(0, window[0], shape)
        column = np.arange(columns) * window[1] + rng.integers(0, window[1], shape)
        self.places = (row * out_size[1] + column).reshape(-1)
        self.row, self.column, self.start, self.dilation = row, column, start, dilation
        self.args = channels, out_channels, out_size, (kh, kw), start, dilation, window

    def kernels(self, chunk, to_input=True):
        batch, dtype = self.x.shape[0], self.x.dtype
        plan = plan_sparse(chunk, *self.args, to_input)
        parts = -(-batch // chunk)
        dw = np.full((parts, *self.w.shape), np.nan, dtype)
        dx, scratch = np.full_like(self.x, np.nan), np.full(plan.scratch + 64, np.nan, dtype)
        upstream = self.dvalues, self.places
        _backward(dw, dx, self.x, self.w, *upstream, plan.numbers, scratch, chunk, batch)
        assert np.isnan(scratch[plan.scratch :]).all()  # nothing is written behind it
        return dw.sum(0), dx

    def definition(self):
        dw, dx = np.zeros_like(self.w), np.zeros_like(self.x)
        for k in range(self.w.shape[2]):
            for m in range(self.w.shape[3]):
                row = self.row + self.start[0] + self.dilation[0] * k
                column = self.column + self.start[1] + self.dilation[1] * m
                inside = (row >= 0) & (row < self.x.shape[2]) & (column >= 0) & (column < self.x.shape[3])
                for b, o, i, j in zip(*np.nonzero(inside & (self.dvalues != 0)), strict=True):
                    at = b, slice(None), row[b, o, i, j], column[b, o, i, j]
                    dw[o, :, k, m] += self.dvalues[b, o, i, j] * self.x[at]
                    dx[at] += self.dvalues[b, o, i, j] * self.w[o, :, k, m]
        return dw, dx


def check(case, chunk):
    for found, wanted in zip(case.kernels(chunk), case.definition(), strict=True):
        scale = max(1.0, np.abs(wanted).max(initial=0))
        np.testing.assert_allclose(found, wanted, atol=TOLERANCE[found.dtype.name] * scale, rtol=0)


CASES = [
    # (batch, in, out, height, width, kernel height, kernel width), output, start, dilation, window
    ((3, 4, 8, 28, 28, 3, 3), (28, 28), (0, 0), (1, 1), (4, 4)),
    ((3, 5, 7, 27, 27, 3, 3), (27, 27), (0, 0), (-1, -1), (3, 3)),
    ((7, 6, 9, 1, 52, 1, 3), (1, 52), (0, 0), (1, 1), (1, 52)),
    ((40, 2, 5, 1, 16, 1, 5), (1, 16), (0, 0), (1, 1), (1, 16)),  # many images at a time
    ((2, 16, 6, 16, 16, 3, 3), (16, 16), (-1, -1), (1, 1), (2, 2)),
    ((2, 2, 3, 20, 21, 3, 2), (20, 21), (-1, 0), (1, 1), (6, 4)),  # rows and columns that no window has
    ((2, 2, 5, 9, 8, 3, 4), (7, 5), (0, 0), (1, 1), (7, 5)),  # no padding at all
    ((2, 2, 2, 3, 4, 5, 6), (3, 4), (0, 0), (-1, -1), (1, 1)),  # a kernel larger than the image
    ((3, 2, 1, 8, 8, 2, 3), (9, 12), (-3, -2), (2, 3), (3, 4)),  # dilated
    ((2, 1, 1, 5, 5, 1, 1), (3, 3), (1, 2), (1, 1), (1, 2)),  # a part of the image
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=["-".join(map(str, case[0])) for case in CASES])
def test_gradients(case, dtype):
    case = Case(*case, dtype=dtype)
    for chunk in (2, case.x.shape[0]):
        check(case, chunk)


@pytest.mark.parametrize("case", CASES, ids=["-".join(map(str, case[0])) for case in CASES])
def test_without_the_gradient_of_the_input(case):
    case = Case(*case)
    dw, dx = case.kernels(2, False)
    np.testing.assert_array_equal(dw, case.kernels(2)[0])
    assert np.isnan(dx).all()


size = st.integers


@settings(deadline=None)
@given(
    st.builds(
        Case,
        st.tuples(size(1, 4), size(1, 6), size(1, 5), size(1, 9), size(1, 9), size(1, 4), size(1, 4)),
        st.tuples(size(4, 9), size(4, 9)),
        st.tuples(size(-4, 3), size(-4, 3)),
        st.tuples(*(st.sampled_from([-2, -1, 1, 2]),) * 2),
        st.tuples(size(1, 4), size(1, 4)),
        st.sampled_from(["float32", "float64"]),
    ),
    size(1, 4),
)
def test_any_small_case(case, chunk):
    check(case, chunk)


def test_a_gradient_of_nan_counts():
    case = Case((2, 2, 3, 6, 6, 3, 3), (6, 6), window=(2, 2), dtype="float64")
    case.dvalues[...] = 0
    case.dvalues[1, 2, 0, 1] = np.nan
    dw, dx = case.kernels(2)
    assert np.isnan(dw[2]).any()
    assert not dw[:2].any()
    assert np.isnan(dx[1]).any()
    assert not dx[0].any()
