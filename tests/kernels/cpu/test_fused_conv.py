"""The convolution kernels of compiled programs, against sums over NumPy's padded and shifted images."""

from __future__ import annotations

from itertools import starmap

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch.kernels.cpu import fused_conv
from minitorch.kernels.cpu.fused_conv import conv_grad_weight, convolve
from minitorch.kernels.geometry import Geometry

from .pointers import pointer_to

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


def seen(x, kernel, space):
    """What each tap sees: ``batch x channel x row x column x kernel_row x kernel_column``."""
    down, right = space
    result = np.zeros((*x.shape[:2], down.size, right.size, *kernel), x.dtype)
    for k in range(kernel[0]):
        for m in range(kernel[1]):
            rows, columns = (
                g.stride * np.arange(g.size) + g.dilation * tap + g.offset for g, tap in zip(space, (k, m), strict=True)
            )
            inside_rows = (rows >= 0) & (rows % down.spread == 0) & (rows // down.spread < x.shape[2])
            inside_columns = (columns >= 0) & (columns % right.spread == 0) & (columns // right.spread < x.shape[3])
            if inside_rows.any() and inside_columns.any():
                part = x[:, :, rows[inside_rows] // down.spread]
                part = part[:, :, :, columns[inside_columns] // right.spread]
                result[:, :, inside_rows.nonzero()[0][:, None], inside_columns.nonzero()[0], k, m] = part
    return result


def scratch_for(plan, dtype):
    """A scratch array, and behind it what must stay as it is."""
    return np.full(plan.scratch + 64, np.nan, dtype)


class Case:
    """One convolution with random operands and its plain definition."""

    def __init__(
        self,
        sizes,
        out_size,
        start=(0, 0),
        dilation=(1, 1),
        window=None,
        relu=False,
        dtype="float32",
        stride=(1, 1),
        spread=(1, 1),
    ):
        batch, channels, out_channels, height, width, kh, kw = sizes
        rng = np.random.default_rng(sum(sizes))
        self.x = rng.standard_normal((batch, channels, height, width)).astype(dtype)
        self.w = rng.standard_normal((out_channels, channels, kh, kw)).astype(dtype)
        self.bias = rng.standard_normal(out_channels).astype(dtype)
        self.space = tuple(starmap(Geometry, zip(out_size, stride, spread, dilation, start, strict=True)))
        self.out_size, self.window, self.relu = out_size, window, relu

    def integers(self):
        """Replace the operands by small integers: sums are then exact, and equal maxima are common."""
        rng = np.random.default_rng(0)
        for a in (self.x, self.w, self.bias):
            a[...] = rng.integers(-1, 2, a.shape)
        return self

    def patches(self):
        return seen(self.x, self.w.shape[2:], self.space)

    def convolved(self):
        y = np.einsum("bcijkl,ockl->boij", self.patches(), self.w) + self.bias[:, None, None]
        return np.where(y < 0, 0, y) if self.relu else y

    def plan(self, images, window=None, gradient=False):
        return fused_conv.plan_conv(
            images,
            self.x.shape[1:],
            self.w.shape[0],
            self.w.shape[2:],
            self.space,
            window,
            self.relu,
            gradient=gradient,
        )

    def convolve(self, out, places, plan, chunk):
        batch = self.x.shape[0]
        scratch = scratch_for(plan, self.x.dtype)
        _convolve(out, places, self.x, self.w, self.bias, plan.numbers, scratch, chunk, batch)
        assert np.isnan(scratch[plan.scratch :]).all()

    def forward(self, chunk):
        out = np.full((self.x.shape[0], self.w.shape[0], *self.out_size), np.nan, self.x.dtype)
        self.convolve(out, np.empty(0, np.int64), self.plan(chunk), chunk)
        return out

    def pool_forward(self, chunk):
        (height, width), (kh, kw) = self.out_size, self.window or (1, 1)
        shape = (self.x.shape[0], self.w.shape[0], height // kh, width // kw)
        values, places = np.full(shape, np.nan, self.x.dtype), np.full(shape, -1)
        self.convolve(values, places.reshape(-1), self.plan(chunk, self.window), chunk)
        return values, places

    def upstream(self):
        shape = (self.x.shape[0], self.w.shape[0], *self.out_size)
        return np.random.default_rng(1).standard_normal(shape).astype(self.x.dtype)

    def grad_weight(self, dy, chunk):
        """The sums of all chunks."""
        plan, batch = self.plan(chunk, gradient=True), self.x.shape[0]
        chunks = -(-batch // chunk)
        dw = np.full((chunks, *self.w.shape), np.nan, self.x.dtype)
        dbias = np.full((chunks, self.bias.size), np.nan, self.x.dtype)
        scratch = scratch_for(plan, self.x.dtype)
        _grad_weight(dw, dbias, self.x, dy, plan.numbers, scratch, chunk, batch)
        assert np.isnan(scratch[plan.scratch :]).all()
        return dw.sum(0), dbias.sum(0)

    def grad_input(self, dy, chunk):
        batch, size = self.x.shape[0], self.x.shape[2:]
        back = tuple(g.transposed(n) for g, n in zip(self.space, size, strict=True))
        image, kernel = (self.w.shape[0], *self.out_size), self.w.shape[2:]
        plan = fused_conv.plan_conv(chunk, image, self.w.shape[1], kernel, back, transposed=True)
        dx, bias = np.full_like(self.x, np.nan), np.zeros(self.w.shape[1], self.x.dtype)
        scratch = scratch_for(plan, self.x.dtype)
        _convolve(dx, np.empty(0, np.int64), dy, self.w, bias, plan.numbers, scratch, chunk, batch)
        assert np.isnan(scratch[plan.scratch :]).all()
        return dx


# The kernels are called from compiled code alone, with pointers.


@numba.njit
def _convolve(out, places, x, w, bias, plan, scratch, chunk, batch):
    to, where, image, weight = pointer_to(out), pointer_to(places), pointer_to(x), pointer_to(w)
    for b in range(0, batch, chunk):
        end = min(b + chunk, batch)
        convolve(to, where, image, weight, pointer_to(bias), pointer_to(plan), pointer_to(scratch), b, end)


@numba.njit
def _grad_weight(dw, dbias, x, dy, plan, scratch, chunk, batch):
    image, gradient, numbers, work = pointer_to(x), pointer_to(dy), pointer_to(plan), pointer_to(scratch)
    for b in range(0, batch, chunk):
        part, end = b // chunk, min(b + chunk, batch)
        conv_grad_weight(pointer_to(dw[part]), pointer_to(dbias[part]), image, gradient, numbers, work, b, end)


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


@pytest.mark.parametrize("window", [(4, 3), (4, 24)])
def test_of_two_nan_the_first_row_counts(window):
    case = Case((1, 1, 1, 8, 24, 1, 1), (8, 24), window=window)
    case.x[0, 0, 2, 0] = case.x[0, 0, 1, 2] = np.nan
    places = case.pool_forward(1)[1]
    assert places[0, 0, 0, 0] == 1 * 24 + 2


def check_gradients(case, chunk):
    dy = case.upstream()
    dw, dbias = case.grad_weight(dy, chunk)
    close(dw, np.einsum("bcijkl,boij->ockl", case.patches(), dy))
    close(dbias, dy.sum((0, 2, 3)))
    # The gradient of a linear map is its transpose: each tap gives back to the place that it saw.
    wanted = np.zeros_like(case.x)
    spread = np.einsum("boij,ockl->bcijkl", dy, case.w)
    for i, j, k, m in np.ndindex(*case.out_size, *case.w.shape[2:]):
        (row, row_gap), (column, column_gap) = (
            divmod(g.stride * place + g.dilation * tap + g.offset, g.spread)
            for g, place, tap in zip(case.space, (i, j), (k, m), strict=True)
        )
        if row_gap == column_gap == 0 and 0 <= row < wanted.shape[2] and 0 <= column < wanted.shape[3]:
            wanted[:, :, row, column] += spread[:, :, i, j, k, m]
    close(case.grad_input(dy, chunk), wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_gradients(case, dtype):
    sizes, out_size, start, dilation, _ = case
    case = Case(sizes, out_size, start, dilation, None, False, dtype)
    for chunk in (2, sizes[0]):
        check_gradients(case, chunk)


STRIDED = [
    # (batch, in, out, height, width, kernel height, kernel width), output, start, dilation, stride, spread
    ((3, 3, 5, 32, 32, 3, 3), (16, 16), (-1, -1), (1, 1), (2, 2), (1, 1)),
    ((5, 2, 7, 33, 27, 5, 5), (17, 14), (-2, -2), (1, 1), (2, 2), (1, 1)),
    ((2, 3, 4, 20, 19, 3, 2), (6, 10), (0, 0), (1, 1), (3, 2), (1, 1)),
    ((2, 2, 3, 15, 14, 3, 3), (4, 3), (-2, 0), (2, 3), (3, 3), (1, 1)),  # dilated: all taps see one view of the rows
    ((2, 2, 3, 15, 14, 2, 3), (5, 6), (-1, 12), (2, -2), (3, 1), (1, 1)),
    ((2, 3, 4, 7, 8, 1, 1), (3, 3), (0, 0), (1, 1), (3, 3), (1, 1)),  # most of the image is not seen
    ((2, 2, 2, 2, 2, 4, 4), (3, 3), (-3, -3), (1, 1), (2, 2), (1, 1)),  # most of the windows are outside
    ((2, 2, 3, 90, 70, 3, 3), (45, 35), (-1, -1), (1, 1), (2, 2), (1, 1)),  # several strips
    ((2, 3, 5, 9, 8, 3, 3), (18, 16), (1, 1), (-1, -1), (1, 1), (2, 2)),
    ((2, 3, 5, 9, 8, 2, 1), (28, 24), (-1, 0), (1, 1), (1, 1), (3, 3)),  # places that see nothing
    ((2, 3, 5, 9, 8, 3, 4), (7, 9), (-1, 1), (1, 2), (3, 2), (2, 3)),  # both
    ((2, 3, 5, 9, 8, 3, 4), (7, 9), (-1, 1), (2, 1), (2, 4), (4, 2)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", STRIDED, ids=map(str, range(len(STRIDED))))
def test_strides_and_spreads(case, dtype):
    sizes, out_size, start, dilation, stride, spread = case
    case = Case(sizes, out_size, start, dilation, None, True, dtype, stride, spread)
    close(case.forward(1), case.convolved())
    close(case.forward(sizes[0]), case.convolved())
    check_gradients(case, 2)


@pytest.mark.parametrize("case", [case for case in STRIDED if case[-1] == (1, 1)], ids=str)
def test_maxima_behind_windows_that_move_further(case):
    sizes, out_size, start, dilation, stride, _ = case
    case = Case(sizes, out_size, start, dilation, (2, 3), False, "float64", stride)
    wanted, wanted_places = pooled(case.convolved(), case.window)
    values, places = case.pool_forward(2)
    close(values, wanted)
    np.testing.assert_array_equal(places, wanted_places)


SPREADS = st.tuples(st.integers(1, 3), st.integers(1, 3))


def any_case(draw_window, draw_spread):
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
        st.tuples(size(1, 3), size(1, 3)),
        draw_spread,
    )


@settings(deadline=None)
@given(any_case(st.none(), SPREADS), st.integers(1, 4))
def test_any_small_forward(case, chunk):
    close(case.forward(chunk), case.convolved())


@settings(deadline=None)
@given(any_case(st.none(), SPREADS), st.integers(1, 4))
def test_any_small_gradients(case, chunk):
    check_gradients(case, chunk)


@settings(deadline=None)
@given(any_case(st.tuples(st.integers(1, 4), st.integers(1, 4)), st.just((1, 1))), st.integers(1, 4))
def test_any_small_pool(case, chunk):
    case.integers()
    wanted, wanted_places = pooled(case.convolved(), case.window)
    values, places = case.pool_forward(chunk)
    np.testing.assert_array_equal(values, wanted)
    np.testing.assert_array_equal(places, wanted_places)
