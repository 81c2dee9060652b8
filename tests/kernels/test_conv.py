"""The contiguous convolution kernels, against sums over NumPy's sliding windows."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.kernels.cpu import conv
from minitorch.kernels.geometry import Geometry, same_size
from tests.cases import convolve, convolve_weight

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}

SHAPES = [
    # batch, in channels, out channels, height, width, kernel height, kernel width
    (1, 1, 1, 1, 1, 1, 1),
    (2, 1, 4, 28, 28, 3, 3),
    (3, 4, 8, 28, 28, 3, 3),
    (3, 5, 7, 27, 27, 3, 3),
    (2, 3, 5, 4, 3, 6, 7),  # a kernel larger than the image
    (40, 2, 3, 5, 7, 2, 4),  # many images in one tile
    (2, 2, 9, 70, 40, 3, 2),  # an image of several strips
    (3, 2, 4, 2, 1500, 1, 3),  # a row longer than a tile
    (2, 9, 13, 8, 8, 1, 1),
    (5, 1, 1, 16, 16, 5, 5),
    (20, 3, 6, 1, 52, 1, 5),
]
EMPTY = [
    (0, 2, 3, 4, 4, 3, 3),
    (2, 0, 3, 4, 4, 3, 3),
    (2, 2, 0, 4, 4, 3, 3),
    (2, 2, 3, 0, 4, 3, 3),
    (2, 2, 3, 4, 4, 0, 3),
]


def windows(x, kh, kw, reverse):
    """What each tap sees: ``batch x channel x height x width x kernel_height x kernel_width``."""
    before, after = ((kh - 1, kw - 1), (0, 0)) if reverse else ((0, 0), (kh - 1, kw - 1))
    padded = np.pad(x, ((0, 0), (0, 0), (before[0], after[0]), (before[1], after[1])))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(2, 3))
    return seen[..., ::-1, ::-1] if reverse else seen


def reference(x, w, reverse):
    return np.einsum("bcijkl,ockl->boij", windows(x, *w.shape[2:], reverse), w)


def reference_grad_weight(x, g, kernel, reverse):
    return np.einsum("bcijkl,boij->ockl", windows(x, *kernel, reverse), g)


def reference_grad_input(g, w, reverse):
    return reference(g, w.swapaxes(0, 1), not reverse)


def draw(shape, dtype, seed=0):
    b, c, o, h, width, kh, kw = shape
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(s).astype(dtype) for s in ((b, c, h, width), (o, c, kh, kw), (b, o, h, width)))


def transposed(geometry, sizes):
    return tuple(g.transposed(n) for g, n in zip(geometry, sizes, strict=True))


def run_all(x, w, g, reverse):
    out, grad_input, grad_weight = np.full(g.shape, np.nan, x.dtype), np.full_like(x, np.nan), np.full_like(w, np.nan)
    geometry = same_size(x.shape[2:], reverse)
    conv.convolve(out, x, w, geometry)
    conv.convolve(grad_input, g, w.swapaxes(0, 1), transposed(geometry, x.shape[2:]))
    conv.convolve_weight(grad_weight, x, g, geometry)
    return out, grad_input, grad_weight


def check(x, w, g, reverse):
    expected = (
        reference(x, w, reverse),
        reference_grad_input(g, w, reverse),
        reference_grad_weight(x, g, w.shape[2:], reverse),
    )
    for found, wanted in zip(run_all(x, w, g, reverse), expected, strict=True):
        scale = max(1.0, np.abs(wanted).max(initial=0))
        np.testing.assert_allclose(found, wanted, atol=TOLERANCE[x.dtype.name] * scale, rtol=0)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients(shape, dtype, reverse):
    check(*draw(shape, dtype), reverse)


@pytest.mark.parametrize("shape", EMPTY)
def test_sizes_of_zero(shape):
    x, w, g = draw(shape, "float32")
    out, grad_input, grad_weight = run_all(x, w, g, False)
    assert out.shape == g.shape
    assert not out.any()
    assert not grad_input.any()
    assert not grad_weight.any()


@given(
    st.tuples(*(st.integers(1, n) for n in (5, 6, 9, 9, 9, 5, 5))),
    st.booleans(),
    st.sampled_from(["float32", "float64"]),
    st.integers(0, 2**32 - 1),
)
def test_any_small_shape(shape, reverse, dtype, seed):
    check(*draw(shape, dtype, seed), reverse)


@pytest.mark.parametrize("reverse", [False, True])
def test_one_dimension(reverse):
    x, w, g = draw((10, 50, 100, 1, 52, 1, 3), "float32")
    out, grad_input, grad_weight = run_all(x[:, :, 0], w[:, :, 0], g[:, :, 0], reverse)
    np.testing.assert_allclose(out, reference(x, w, reverse)[:, :, 0], atol=2e-4)
    np.testing.assert_allclose(grad_input, reference_grad_input(g, w, reverse)[:, :, 0], atol=2e-4)
    np.testing.assert_allclose(grad_weight, reference_grad_weight(x, g, (1, 3), reverse)[:, :, 0], atol=3e-4)


def test_a_weight_in_any_layout():
    x, w, g = draw((3, 4, 8, 9, 9, 3, 3), "float64")
    backwards = np.ascontiguousarray(w[::-1, :, :, ::-1].transpose(3, 1, 0, 2))
    view = backwards.transpose(2, 1, 3, 0)[::-1, :, :, ::-1]
    np.testing.assert_array_equal(view, w)
    for found, wanted in zip(run_all(x, view, g, True), run_all(x, w, g, True), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("shape", [(32, 4, 8, 28, 28, 3, 3), (40, 9, 20, 12, 11, 3, 3), (50, 10, 30, 1, 52, 1, 4)])
def test_bits_do_not_depend_on_threads(shape):
    x, w, g = draw(shape, "float32")
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = run_all(x, w, g, False)
        numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
        two = run_all(x, w, g, False)
    finally:
        numba.set_num_threads(threads)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("where", ["input", "weight", "grad"])
def test_what_is_not_finite_reaches_what_saw_it(where, reverse, value):
    x, w, g = draw((2, 3, 5, 6, 7, 3, 3), "float64")
    {"input": x, "weight": w, "grad": g}[where][(1, 2, 1, 0) if where != "weight" else (4, 1, 2, 2)] = value
    ones = [np.ones_like(a) for a in (x, w, g)]
    marked = [np.where(np.isfinite(a), 0.0, 1.0) for a in (x, w, g)]
    # An output is touched where the same convolution of marks, the other operand all ones, is not zero.
    touched = [
        reference(marked[0], ones[1], reverse) + reference(ones[0], marked[1], reverse),
        reference_grad_input(marked[2], ones[1], reverse) + reference_grad_input(ones[2], marked[1], reverse),
        reference_grad_weight(marked[0], ones[2], (3, 3), reverse)
        + reference_grad_weight(ones[0], marked[2], (3, 3), reverse),
    ]
    for found, marks in zip(run_all(x, w, g, reverse), touched, strict=True):
        np.testing.assert_array_equal(~np.isfinite(found), marks > 0)


# --- any geometry --------------------------------------------------------------------------------------------


def check_geometry(x, w, geometry, seed=0):
    """Compare the result and both gradients with sums over NumPy's indexing."""
    g = np.random.default_rng(seed).standard_normal((x.shape[0], w.shape[0], *(g.size for g in geometry)))
    g = g.astype(x.dtype)
    out, grad_input, grad_weight = np.full_like(g, np.nan), np.full_like(x, np.nan), np.full_like(w, np.nan)
    back, swapped = transposed(geometry, x.shape[2:]), w.swapaxes(0, 1)
    conv.convolve(out, x, w, geometry)
    conv.convolve(grad_input, g, swapped, back)
    conv.convolve_weight(grad_weight, x, g, geometry)
    x64, w64, g64 = (a.astype(np.float64) for a in (x, w, g))
    for found, wanted in [
        (out, convolve(x64, w64, geometry)),
        (grad_input, convolve(g64, w64.swapaxes(0, 1), back)),
        (grad_weight, convolve_weight(x64, g64, w.shape[2:], geometry)),
    ]:
        scale = max(1.0, np.abs(wanted).max(initial=0))
        np.testing.assert_allclose(found, wanted, atol=TOLERANCE[x.dtype.name] * scale, rtol=0)
    # The reference of the transposed geometry is not the forward one turned around by hand: <g, A x> = <A' g, x>.
    products = (out * g).sum(dtype=np.float64), (grad_input * x).sum(dtype=np.float64)
    np.testing.assert_allclose(*products, atol=100 * TOLERANCE[x.dtype.name] * max(1, out.size), rtol=0)


geometries = st.builds(
    Geometry,
    size=st.integers(1, 9),
    stride=st.integers(1, 4),
    spread=st.integers(1, 3),
    dilation=st.integers(-3, 3).filter(bool),
    offset=st.integers(-6, 6),
)


@given(
    st.lists(st.tuples(geometries, st.integers(1, 9), st.integers(1, 5)), min_size=1, max_size=2),
    st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 9)),
    st.sampled_from(["float32", "float64"]),
    st.integers(0, 2**32 - 1),
)
def test_any_geometry(dims, sizes, dtype, seed):
    batch, channels, outs = sizes
    geometry, space, kernel = zip(*dims, strict=True)
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, channels, *space)).astype(dtype)
    check_geometry(x, rng.standard_normal((outs, channels, *kernel)).astype(dtype), geometry, seed)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("x_shape", "w_shape", "stride", "padding", "dilation"),
    [
        ((4, 3, 33, 35), (8, 3, 7, 7), 2, 3, 1),
        ((3, 5, 28, 28), (6, 5, 5, 5), 1, 0, 1),
        ((2, 4, 70, 40), (5, 4, 3, 3), 1, 1, 1),
        ((2, 4, 70, 41), (5, 4, 3, 3), 2, 1, 1),
        ((2, 4, 40, 70), (4, 4, 3, 3), 1, 2, 2),
        ((2, 4, 40, 70), (4, 4, 2, 2), 3, 5, 4),
        ((1, 3, 60, 61), (4, 3, 11, 11), 4, 2, 1),
        ((2, 4, 2, 1300), (5, 4, 1, 3), 2, 1, 3),
        ((30, 7, 6, 6), (9, 7, 1, 1), 2, 0, 1),
        ((30, 7, 6, 6), (9, 7, 1, 1), 1, 0, 1),
    ],
    ids=str,
)
def test_layers_of_networks(x_shape, w_shape, stride, padding, dilation, dtype):
    rng = np.random.default_rng(0)
    sizes = [(n + 2 * padding - dilation * (k - 1) - 1) // stride + 1 for n, k in zip(x_shape[2:], w_shape[2:])]
    geometry = tuple(Geometry(n, stride, 1, dilation, -padding) for n in sizes)
    x, w = rng.standard_normal(x_shape).astype(dtype), rng.standard_normal(w_shape).astype(dtype)
    check_geometry(x, w, geometry)


@pytest.mark.parametrize("spread", [1, 2])
def test_nothing_is_seen(spread):
    geometry = (Geometry(3, spread=spread, offset=40),) * 2
    check_geometry(np.ones((2, 3, 4, 4)), np.ones((5, 3, 2, 2)), geometry)
    empty = np.ones((2, 3, 0, 4))
    check_geometry(empty, np.ones((5, 3, 2, 2)), (Geometry(3, spread=spread, offset=-1),) * 2)


@pytest.mark.parametrize("spread", [1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_reaches_what_saw_it_in_any_geometry(value, spread):
    geometry = (Geometry(7, 2, spread, 2, -3), Geometry(6, 1, spread, -2, 2))
    rng = np.random.default_rng(0)
    x, w, g = (rng.standard_normal(s) for s in ((2, 3, 6, 7), (5, 3, 3, 3), (2, 5, 7, 6)))
    for a in (x, w, g):
        ones = [np.ones_like(b) for b in (x, w, g)]
        marks = [np.zeros_like(b) for b in (x, w, g)]
        which = next(i for i, b in enumerate((x, w, g)) if b is a)
        a[1, 2, 1, 1], before = value, a[1, 2, 1, 1]
        marks[which][1, 2, 1, 1] = 1.0
        out, grad_weight = np.empty_like(g), np.empty_like(w)
        conv.convolve(out, x, w, geometry)
        conv.convolve_weight(grad_weight, x, g, geometry)
        touched = convolve(marks[0], ones[1], geometry) + convolve(ones[0], marks[1], geometry)
        np.testing.assert_array_equal(~np.isfinite(out), touched > 0)
        touched = convolve_weight(marks[0], ones[2], (3, 3), geometry)
        touched += convolve_weight(ones[0], marks[2], (3, 3), geometry)
        np.testing.assert_array_equal(~np.isfinite(grad_weight), touched > 0)
        a[1, 2, 1, 1] = before
