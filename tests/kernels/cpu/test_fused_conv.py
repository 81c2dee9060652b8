"""The convolution kernels of compiled programs, against sums over NumPy's padded and shifted images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch.kernels.cpu import fused_conv

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


def seen(x, out_size, kernel, start, dilation):
    """What each tap sees: ``batch x channel x row x column x kernel_row x kernel_column``."""
    result = np.zeros((*x.shape[:2], *out_size, *kernel), x.dtype)
    for k in range(kernel[0]):
        for m in range(kernel[1]):
            rows = np.arange(out_size[0]) + start[0] + dilation[0] * k
            columns = np.arange(out_size[1]) + start[1] + dilation[1] * m
            inside_rows = (rows >= 0) & (rows < x.shape[2])
            inside_columns = (columns >= 0) & (columns < x.shape[3])
            if inside_rows.any() and inside_columns.any():
                part = x[:, :, rows[inside_rows]][:, :, :, columns[inside_columns]]
                result[:, :, inside_rows.nonzero()[0][:, None], inside_columns.nonzero()[0], k, m] = part
    return result


class Case:
    """One convolution with random operands and its plain definition."""

    def __init__(self, sizes, out_size, start=(0, 0), dilation=(1, 1), window=None, relu=False, dtype="float32"):
        batch, channels, out_channels, height, width, kh, kw = sizes
        rng = np.random.default_rng(sum(sizes))
        self.x = rng.standard_normal((batch, channels, height, width)).astype(dtype)
        self.w = rng.standard_normal((out_channels, channels, kh, kw)).astype(dtype)
        self.bias = rng.standard_normal(out_channels).astype(dtype)
        self.out_size, self.start, self.dilation, self.window, self.relu = out_size, start, dilation, window, relu

    def integers(self):
        """Replace the operands by small integers: sums are then exact, and equal maxima are common."""
        rng = np.random.default_rng(0)
        for a in (self.x, self.w, self.bias):
            a[...] = rng.integers(-1, 2, a.shape)
        return self

    def patches(self):
        return seen(self.x, self.out_size, self.w.shape[2:], self.start, self.dilation)

    def convolved(self):
        y = np.einsum("bcijkl,ockl->boij", self.patches(), self.w) + self.bias[:, None, None]
        return np.where(y < 0, 0, y) if self.relu else y

    def plan(self, images, window=None):
        return fused_conv.plan_conv(
            images,
            self.x.shape[1],
            self.w.shape[0],
            self.out_size,
            self.w.shape[2:],
            self.start,
            self.dilation,
            window,
            self.relu,
        )

    def forward(self, chunk):
        plan = self.plan(chunk)
        batch = self.x.shape[0]
        out = np.full((batch, self.w.shape[0], *self.out_size), np.nan, self.x.dtype)
        scratch = np.full(plan.scratch, np.nan, self.x.dtype)
        for b in range(0, batch, chunk):
            fused_conv.conv_forward(out, self.x, self.w, self.bias, plan.numbers, scratch, b, min(b + chunk, batch))
        return out

    def pool_forward(self, chunk):
        plan = self.plan(chunk, self.window)
        batch = self.x.shape[0]
        shape = (batch, self.w.shape[0], self.out_size[0] // self.window[0], self.out_size[1] // self.window[1])
        values, places = np.full(shape, np.nan, self.x.dtype), np.full(shape, -1)
        scratch = np.full(plan.scratch, np.nan, self.x.dtype)
        for b in range(0, batch, chunk):
            fused_conv.conv_pool_forward(
                values, places, self.x, self.w, self.bias, plan.numbers, scratch, b, min(b + chunk, batch)
            )
        return values, places


def pooled(y, window):
    """The maxima of windows and their places, from NumPy: ``argmax`` takes the first, and NaN before numbers."""
    (*lead, height, width), (kh, kw) = y.shape, window
    rows, columns = height // kh, width // kw

    def windows(a):
        a = a[..., : rows * kh, : columns * kw].reshape(*lead, rows, kh, columns, kw)
        return a.swapaxes(-3, -2).reshape(*lead, rows, columns, kh * kw)

    places = np.broadcast_to(np.arange(height * width).reshape(height, width), y.shape)
    first = windows(y).argmax(-1)[..., None]
    return tuple(np.take_along_axis(windows(a), first, -1)[..., 0] for a in (y, places))


def close(found, wanted):
    scale = max(1.0, np.abs(wanted).max(initial=0))
    np.testing.assert_allclose(found, wanted, atol=TOLERANCE[found.dtype.name] * scale, rtol=0)


CASES = [
    # (batch, in, out, height, width, kernel height, kernel width), output, start, dilation, window
    ((3, 1, 4, 28, 28, 3, 3), (28, 28), (0, 0), (1, 1), (4, 4)),
    ((3, 4, 8, 28, 28, 3, 3), (28, 28), (0, 0), (1, 1), (4, 4)),
    ((3, 5, 7, 27, 27, 3, 3), (27, 27), (0, 0), (-1, -1), (3, 3)),
    ((7, 6, 9, 1, 52, 1, 3), (1, 52), (0, 0), (1, 1), (1, 52)),
    ((60, 2, 5, 1, 16, 1, 3), (1, 16), (0, 0), (1, 1), (1, 16)),  # many images in one tile
    ((2, 3, 6, 32, 32, 3, 3), (32, 32), (-1, -1), (1, 1), (2, 2)),
    ((2, 2, 3, 70, 40, 3, 2), (70, 40), (-1, 0), (1, 1), (5, 3)),  # several strips, columns that no window has
    ((1, 1, 2, 4, 1500, 1, 3), (4, 1500), (0, -1), (1, 1), (2, 7)),  # a row longer than a tile
    ((2, 2, 5, 9, 8, 3, 4), (7, 5), (0, 0), (1, 1), (7, 5)),  # no padding at all
    ((2, 2, 2, 3, 4, 5, 6), (3, 4), (0, 0), (-1, -1), (1, 1)),  # a kernel larger than the image
    ((3, 2, 1, 8, 8, 2, 3), (9, 12), (-3, -2), (2, 3), (3, 4)),  # dilated
    ((2, 1, 1, 5, 5, 1, 1), (3, 3), (1, 2), (1, 1), (1, 2)),  # a part of the image
]
IDS = ["-".join(map(str, case[0])) for case in CASES]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_forward(case, relu, dtype):
    sizes, out_size, start, dilation, _ = case
    case = Case(sizes, out_size, start, dilation, None, relu, dtype)
    for chunk in (1, 3, sizes[0]):
        close(case.forward(chunk), case.convolved())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_pool_forward(case, relu, dtype):
    case = Case(*case, relu, dtype)
    wanted, wanted_places = pooled(case.convolved(), case.window)
    for chunk in (2, case.x.shape[0]):
        values, places = case.pool_forward(chunk)
        close(values, wanted)
        np.testing.assert_array_equal(places, wanted_places)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_first_of_equal_maxima(case, relu):
    case = Case(*case, relu, "float64").integers()
    wanted, wanted_places = pooled(case.convolved(), case.window)
    values, places = case.pool_forward(case.x.shape[0])
    np.testing.assert_array_equal(values, wanted)
    np.testing.assert_array_equal(places, wanted_places)


@pytest.mark.parametrize("relu", [False, True])
def test_the_first_nan_is_the_maximum(relu):
    case = Case((4, 2, 6, 12, 12, 3, 3), (12, 12), (-1, -1), window=(4, 3), relu=relu, dtype="float64")
    case.x[1, 0, 5, 7] = case.x[1, 1, 0, 0] = case.x[2, 0, 11, 11] = case.x[3, 1, 2, 2] = np.nan
    case.x[3, 1, 2, 3] = np.inf
    y = case.convolved()
    wanted, wanted_places = pooled(y, case.window)
    np.testing.assert_allclose(case.forward(4), y, atol=1e-12)
    values, places = case.pool_forward(4)
    np.testing.assert_allclose(values, wanted, atol=1e-12)
    np.testing.assert_array_equal(places, wanted_places)


def any_case(draw_window):
    size = st.integers
    return st.builds(
        Case,
        st.tuples(size(1, 4), size(1, 5), size(1, 9), size(1, 9), size(1, 9), size(1, 4), size(1, 4)),
        st.tuples(size(4, 9), size(4, 9)),
        st.tuples(size(-4, 3), size(-4, 3)),
        st.tuples(*(st.sampled_from([-2, -1, 1, 2]),) * 2),
        draw_window,
        st.booleans(),
        st.sampled_from(["float32", "float64"]),
    )


@settings(deadline=None)
@given(any_case(st.none()), st.integers(1, 4))
def test_any_small_forward(case, chunk):
    close(case.forward(chunk), case.convolved())


@settings(deadline=None)
@given(any_case(st.tuples(st.integers(1, 4), st.integers(1, 4))), st.integers(1, 4))
def test_any_small_pool(case, chunk):
    case.integers()
    wanted, wanted_places = pooled(case.convolved(), case.window)
    values, places = case.pool_forward(chunk)
    np.testing.assert_array_equal(values, wanted)
    np.testing.assert_array_equal(places, wanted_places)
