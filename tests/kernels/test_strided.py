"""The readable kernels, as plain Python and compiled, over every kind of memory layout."""

from __future__ import annotations

import re
from collections.abc import Callable

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.fast_conv import tensor_conv1d, tensor_conv2d
from minitorch.fast_ops import tensor_matrix_multiply
from minitorch.kernels.strided import _tensor_conv1d, _tensor_conv2d, _tensor_matrix_multiply

CONV = {"python": {1: _tensor_conv1d, 2: _tensor_conv2d}, "compiled": {1: tensor_conv1d, 2: tensor_conv2d}}
MULTIPLY = {"python": _tensor_matrix_multiply, "compiled": tensor_matrix_multiply}
HOW = ["python", "compiled"]
LAYOUTS = ["contiguous", "permuted", "sliced", "expanded"]


def lay_out(a, layout):
    """Give a storage, shape and strides that hold ``a`` in a layout, and the array that they then mean."""
    if layout == "contiguous":
        base = view = np.ascontiguousarray(a)
    elif layout == "permuted":
        base = np.ascontiguousarray(a.transpose(range(a.ndim)[::-1]))
        view = base.transpose(range(a.ndim)[::-1])
    elif layout == "sliced":  # every second element of a larger storage
        base = np.full([2 * n for n in a.shape], np.nan, a.dtype)
        view = base[tuple(slice(0, None, 2) for _ in a.shape)]
        view[...] = a
    else:  # the first row repeated along the first dimension, with a stride of zero
        base = np.ascontiguousarray(a[:1])
        view = np.broadcast_to(base, a.shape)
    strides = np.array(view.strides, np.int64) // a.itemsize
    return (base.reshape(-1), np.array(a.shape, np.int64), strides), view


def windows(x, kernel, shape, reverse):
    """What each tap sees from each place of an output of this shape."""
    axes = tuple(range(2, x.ndim))
    behind = [max(k, n + k - 1) for k, n in zip(kernel, shape, strict=True)]
    pads = [(k - 1, n) if reverse else (0, n) for k, n in zip(kernel, behind, strict=True)]
    seen = np.lib.stride_tricks.sliding_window_view(np.pad(x, [(0, 0), (0, 0), *pads]), kernel, axis=axes)
    seen = seen[(slice(None), slice(None), *(slice(0, n) for n in shape))]
    return np.flip(seen, tuple(range(x.ndim, seen.ndim))) if reverse else seen


def reference(x, w, shape, reverse):
    seen = windows(x, w.shape[2:], shape, reverse)
    return np.einsum("bcij,ocj->boi" if x.ndim == 3 else "bcijkl,ockl->boij", seen, w)


def check(how, x, w, shape, layouts, reverse):
    out, target = lay_out(np.full((x.shape[0], w.shape[0], *shape), np.nan, x.dtype), layouts[0])
    input, x = lay_out(x, layouts[1])
    weight, w = lay_out(w, layouts[2])
    CONV[how][len(shape)](*out, target.size, *input, *weight, reverse)
    np.testing.assert_allclose(
        target, reference(x, w, shape, reverse), rtol=1e-4 if x.itemsize == 4 else 1e-12, atol=1e-5
    )


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("x_layout", LAYOUTS)
@pytest.mark.parametrize("w_layout", LAYOUTS)
@pytest.mark.parametrize("how", HOW)
def test_convolution_in_every_layout(how, w_layout, x_layout, dtype, reverse):
    rng = np.random.default_rng(0)
    for size, kernel in (((7,), (3,)), ((4, 5), (2, 3))):
        x = rng.standard_normal((2, 3, *size)).astype(dtype)
        w = rng.standard_normal((4, 3, *kernel)).astype(dtype)
        for out_layout in LAYOUTS[:3]:
            check(how, x, w, size, (out_layout, x_layout, w_layout), reverse)


@given(st.tuples(*(st.integers(0, 4),) * 9), st.booleans())
@pytest.mark.parametrize("how", HOW)
def test_convolution_of_any_size(how, sizes, reverse):
    batch, channels, outs, height, width, kh, kw, out_height, out_width = sizes
    kh, kw = kh + 1, kw + 1
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((batch, channels, height, width)), rng.standard_normal((outs, channels, kh, kw))
    check(how, x, w, (out_height, out_width), ("contiguous",) * 3, reverse)
    line = rng.standard_normal((batch, channels, width))
    check(how, line, w[:, :, 0], (out_width,), ("contiguous",) * 3, reverse)


@pytest.mark.parametrize("how", HOW)
def test_the_gradient_of_a_weight_is_a_convolution_with_batch_and_channels_exchanged(how):
    rng = np.random.default_rng(2)
    x, grad = rng.standard_normal((3, 2, 6, 5)), rng.standard_normal((3, 4, 6, 5))
    expected = np.einsum("bcijkl,boij->ockl", windows(x, (3, 2), (6, 5), False), grad)
    out, found = lay_out(np.empty((2, 4, 3, 2)), "contiguous")
    input, _ = lay_out(x.swapaxes(0, 1), "permuted")
    weight, _ = lay_out(grad.swapaxes(0, 1), "sliced")
    CONV[how][2](*out, found.size, *input, *weight, False)
    np.testing.assert_allclose(found.swapaxes(0, 1), expected, atol=1e-12)


@pytest.mark.parametrize("batches", [(1, 1), (3, 3), (1, 3), (3, 1), (0, 0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("b_layout", LAYOUTS)
@pytest.mark.parametrize("a_layout", LAYOUTS)
@pytest.mark.parametrize("how", HOW)
def test_matrix_product_in_every_layout(how, a_layout, b_layout, dtype, batches):
    rng = np.random.default_rng(3)
    for rows, inner, columns in ((2, 3, 4), (1, 1, 1), (5, 0, 2), (0, 2, 3), (2, 2, 9), (3, 0, 5)):
        a, a_means = lay_out(rng.standard_normal((batches[0], rows, inner)).astype(dtype), a_layout)
        b, b_means = lay_out(rng.standard_normal((batches[1], inner, columns)).astype(dtype), b_layout)
        for layout in LAYOUTS[:3]:
            out, found = lay_out(np.full((max(batches), rows, columns), np.nan, dtype), layout)
            MULTIPLY[how](*out, *a, *b)
            np.testing.assert_allclose(found, a_means @ b_means, rtol=1e-4 if dtype == "float32" else 1e-12, atol=1e-6)


def one_column_at_a_time(out, a, b, inner, columns, b_row, b_column):
    """Multiply matrices over storages as one would write it down."""
    for i in range(out.size // columns):
        for j in range(columns):
            total = out.dtype.type(0)
            for k in range(inner):
                total += a[i * inner + k] * b[k * b_row + j * b_column]
            out[i * columns + j] = total


def sums_at_once(kernel: Callable[..., None], arguments: str) -> int:
    """Count the sums that a kernel's innermost loop carries from one round to the next, in LLVM's words."""
    compiled = numba.njit(f"void({arguments})", error_model="numpy")(kernel)
    (llvm,) = compiled.inspect_llvm().values()
    blocks = re.split(r"\n(?=\S+:)", llvm)
    return max(len(re.findall(r"= phi float ", block)) for block in blocks)


def test_several_columns_are_summed_at_once():
    """Each of a column's additions waits for the one before: with one column at a time the processor is idle."""
    assert sums_at_once(one_column_at_a_time, "f4[::1], f4[::1], f4[::1], i8, i8, i8, i8") == 1
    assert sums_at_once(_tensor_matrix_multiply, ", ".join(["f4[::1]", "i8[::1]", "i8[::1]"] * 3)) == 4


def test_bits_do_not_depend_on_threads():
    rng = np.random.default_rng(4)
    input, _ = lay_out(rng.standard_normal((8, 3, 9, 9)).astype(np.float32), "permuted")
    weight, _ = lay_out(rng.standard_normal((5, 3, 3, 3)).astype(np.float32), "contiguous")
    results = []
    threads = numba.get_num_threads()
    try:
        for count in (1, 2):
            numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
            out, found = lay_out(np.empty((8, 5, 9, 9), np.float32), "contiguous")
            tensor_conv2d(*out, found.size, *input, *weight, False)
            results.append(found)
    finally:
        numba.set_num_threads(threads)
    np.testing.assert_array_equal(*results)
