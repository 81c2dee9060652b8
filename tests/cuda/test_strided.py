"""The course's kernels, on every layout, at the edges of warps and of the largest blocks.

The simulator runs a Python thread for each of a block's: a block of 1,024 takes about a second, so few tests have one.
"""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

import minitorch
from minitorch import cuda_conv, fast_conv, operators
from minitorch.cuda_ops import (
    THREADS_PER_BLOCK,
    tensor_map,
    tensor_matrix_multiply,
    tensor_reduce,
    tensor_zip,
)
from tests.cases import BACKENDS, DTYPES, LAYOUTS, assert_close, correlate, make, permuted, sliced

GPU = BACKENDS["cuda"]

large = pytest.mark.large_block

# The edges of one block of 32 threads, and of one of 1,024.
SIZES = [31, 32, 33, *(pytest.param(size, marks=large) for size in (1023, 1024, 1025))]


def tensor(shape, dtype="float64", layout=LAYOUTS["contiguous"], seed=0):
    return make(np.random.default_rng(seed).uniform(0.5, 2.0, shape), GPU, dtype, layout)


def blank(shape, dtype="float64", layout=LAYOUTS["contiguous"]):
    return make(np.full(shape, np.nan), GPU, dtype, layout)


# --- map, zip, reduce ----------------------------------------------------------------------------------------


@pytest.mark.task3_3
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_map_takes_every_layout_and_repeats(layout, dtype):
    x, out = tensor((3, 1), dtype, LAYOUTS[layout]), blank((2, 3, 5), dtype, permuted)
    tensor_map(operators.neg)[1, 32](*out.tuple(), out.size, *x.tuple())
    np.testing.assert_array_equal(out.to_numpy(), np.broadcast_to(-x.to_numpy(), (2, 3, 5)))


@pytest.mark.task3_3
@pytest.mark.parametrize("size", SIZES)
def test_map_stops_at_the_last_element(size):
    """One block of 32 or 1,024 threads, or two: those beyond the end touch nothing."""
    x, out = tensor((size,)), blank((size,))
    threads = 32 if size < 100 else 1024
    tensor_map(operators.neg)[-(-size // threads), threads](*out.tuple(), out.size, *x.tuple())
    np.testing.assert_array_equal(out.to_numpy(), -x.to_numpy())


@pytest.mark.task3_3
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_zip_takes_every_layout_and_repeats(layout, dtype):
    a, b = tensor((2, 3, 1), dtype, LAYOUTS[layout]), tensor((3, 7), dtype, permuted, 1)
    out = blank((2, 3, 7), dtype, sliced)
    tensor_zip(operators.mul)[2, 32](*out.tuple(), out.size, *a.tuple(), *b.tuple())
    np.testing.assert_array_equal(out.to_numpy(), a.to_numpy() * b.to_numpy())


@pytest.mark.task3_3
@pytest.mark.parametrize("size", SIZES)
def test_zip_stops_at_the_last_element(size):
    a, b, out = tensor((size,)), tensor((size,), seed=1), blank((size,))
    threads = 32 if size < 100 else 1024
    tensor_zip(operators.mul)[-(-size // threads), threads](*out.tuple(), out.size, *a.tuple(), *b.tuple())
    np.testing.assert_array_equal(out.to_numpy(), a.to_numpy() * b.to_numpy())


@pytest.mark.task3_3
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_reduce_takes_every_layout(dim, layout):
    a = tensor((3, 5, 2), layout=LAYOUTS[layout])
    shape = tuple(1 if d == dim else n for d, n in enumerate(a.shape))
    out = blank(shape, layout=permuted)
    tensor_reduce(operators.add)[out.size, 32](*out.tuple(), out.size, *a.tuple(), dim, 5.0)
    assert_close(out.to_numpy(), a.to_numpy().sum(dim, keepdims=True) + 5.0)


@pytest.mark.task3_3
@pytest.mark.parametrize(
    ("n", "threads"),
    [(0, 32), (1, 32), (31, 32), (32, 32), (33, 32), (3000, 64)]
    + [pytest.param(n, 1024, marks=large) for n in (1023, 1024, 1025)],
)
def test_reduce_any_length(n, threads):
    a = make(np.random.default_rng(n).integers(-99, 99, (1, n)), GPU)
    out = blank((1, 1))
    tensor_reduce(operators.add)[1, threads](*out.tuple(), 1, *a.tuple(), 1, 0.0)
    assert out.item() == a.to_numpy().sum()


@pytest.mark.task3_3
def test_the_factories_remember():
    assert tensor_map(operators.neg) is tensor_map(operators.neg)
    assert tensor_zip(operators.mul) is tensor_zip(operators.mul)
    assert tensor_reduce(operators.add) is tensor_reduce(operators.add)


# --- the practice tasks --------------------------------------------------------------------------------------


@pytest.mark.task3_3
@pytest.mark.parametrize("size", [1, 31, 32, 33, 64, 100])
def test_sum_practice(size):
    a = np.arange(1.0, size + 1)
    found = minitorch.sum_practice(make(a, GPU))
    blocks = [a[i : i + 32].sum() for i in range(0, max(size, 33), 32)]
    assert found.array.tolist() == blocks
    assert found._storage[0] == blocks[0]


@pytest.mark.task3_4
@pytest.mark.parametrize("size", [1, 5, pytest.param(32, marks=large)])
def test_mm_practice(size):
    a, b = tensor((size, size)), tensor((size, size), layout=permuted, seed=1)
    assert_close(minitorch.mm_practice(a, b).array, a.to_numpy() @ b.to_numpy())


@pytest.mark.parametrize(
    ("a_shape", "b_shape"), [((33, 33), (33, 33)), ((2, 3), (3, 2)), ((3, 3), (2, 2)), ((4,), (4,))]
)
def test_mm_practice_takes_squares_of_32_at_most(a_shape, b_shape):
    with pytest.raises(minitorch.ShapeError, match=re.escape(f"got {a_shape} and {b_shape}. Multiply others")):
        minitorch.mm_practice(tensor(a_shape), tensor(b_shape))


def test_sum_practice_takes_a_vector():
    with pytest.raises(minitorch.ShapeError, match=r"expected one dimension, got \(2, 3\)"):
        minitorch.sum_practice(tensor((2, 3)))


def test_the_practice_tasks_take_tensors_on_the_gpu():
    elsewhere = make(np.eye(2))
    for run in (lambda: minitorch.sum_practice(elsewhere), lambda: minitorch.mm_practice(tensor((2, 2)), elsewhere)):
        with pytest.raises(minitorch.BackendError, match=r"got one on TensorBackend\(SimpleOps\)\..* t\.to\(backend\)"):
            run()


# --- products and convolutions -------------------------------------------------------------------------------


@pytest.mark.task3_4
@large
@pytest.mark.parametrize(
    ("a_shape", "b_shape"), [((1, 3, 4), (2, 4, 5)), ((1, 33, 2), (1, 2, 31)), ((2, 5, 65), (1, 65, 3))]
)
def test_matrix_multiply(a_shape, b_shape):
    """Two blocks along the rows, three steps along the sum, a batch of one for several."""
    a, b = tensor(a_shape, layout=permuted), tensor(b_shape, layout=sliced, seed=1)
    out = blank((max(a_shape[0], b_shape[0]), a_shape[1], b_shape[2]), layout=permuted)
    batch, rows, columns = out.shape
    blocks = (-(-columns // 32), -(-rows // 32), batch)
    threads = (THREADS_PER_BLOCK, THREADS_PER_BLOCK, 1)
    tensor_matrix_multiply[blocks, threads](*out.tuple(), out.size, *a.tuple(), *b.tuple())
    assert_close(out.to_numpy(), np.matmul(a.to_numpy(), b.to_numpy()))


@pytest.mark.task4_4b
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("width", "taps"), [(1, 1), (32, 8), (33, 9), (5, 17)])
def test_conv1d(width, taps, reverse):
    x, w = tensor((2, 2, width), layout=permuted), tensor((3, 2, taps), layout=sliced, seed=1)
    out = blank((2, 3, width), layout=permuted)
    blocks = cuda_conv.blocks_1d(out.shape)
    arguments = *out.tuple(), out.size, *x.tuple(), *w.tuple(), reverse
    cuda_conv.tensor_conv1d[blocks, cuda_conv.THREADS_1D](*arguments)
    assert_close(out.to_numpy(), correlate(x.to_numpy(), w.to_numpy(), reverse))


@pytest.mark.task4_4b
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("space", "kernel"), [((3, 4), (2, 3)), ((17, 5), (9, 2)), ((2, 18), (1, 8))])
def test_conv2d(space, kernel, reverse):
    x, w = tensor((1, 2, *space), layout=permuted), tensor((2, 2, *kernel), layout=sliced, seed=1)
    out = blank((1, 2, *space), layout=permuted)
    blocks = cuda_conv.blocks_2d(out.shape)
    arguments = *out.tuple(), out.size, *x.tuple(), *w.tuple(), reverse
    cuda_conv.tensor_conv2d[blocks, cuda_conv.THREADS_2D](*arguments)
    assert_close(out.to_numpy(), correlate(x.to_numpy(), w.to_numpy(), reverse))


@pytest.mark.task4_4b
def test_fewer_blocks_than_channels_and_images():
    """Each takes several, as where there are more of them than a device starts along y and z."""
    x, w = tensor((3, 2, 5)), tensor((3, 2, 2), seed=1)
    out = blank((3, 3, 5))
    arguments = *out.tuple(), out.size, *x.tuple(), *w.tuple(), False
    cuda_conv.tensor_conv1d[(1, 2, 2), cuda_conv.THREADS_1D](*arguments)
    assert_close(out.to_numpy(), correlate(x.to_numpy(), w.to_numpy()))
    assert cuda_conv.blocks_1d((70_000, 66_000, 5)) == (1, 65_535, 65_535)
    assert cuda_conv.blocks_2d((70_000, 66_000, 5, 17)) == (2, 65_535, 65_535)


@pytest.mark.task4_4b
def test_fewer_blocks_than_channels_and_images_in_two_dimensions():
    x, w = tensor((3, 1, 2, 3)), tensor((2, 1, 2, 2), seed=1)
    out = blank((3, 2, 2, 3))
    arguments = *out.tuple(), out.size, *x.tuple(), *w.tuple(), True
    cuda_conv.tensor_conv2d[(1, 1, 2), cuda_conv.THREADS_2D](*arguments)
    assert_close(out.to_numpy(), correlate(x.to_numpy(), w.to_numpy(), True))


@pytest.mark.task3_4
@large
def test_fewer_blocks_than_batches():
    a, b = tensor((3, 2, 4)), tensor((3, 4, 2), seed=1)
    out = blank((3, 2, 2))
    tensor_matrix_multiply[(1, 1, 2), (32, 32, 1)](*out.tuple(), out.size, *a.tuple(), *b.tuple())
    assert_close(out.to_numpy(), np.matmul(a.to_numpy(), b.to_numpy()))


@pytest.mark.task4_4b
def test_the_convolutions_have_the_names_and_signatures_of_the_fast_ones():
    for name in fast_conv.__all__:
        ours, theirs = (getattr(module, name) for module in (cuda_conv, fast_conv))
        ours, theirs = (getattr(function, "py_func", function) for function in (ours, theirs))
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters), name
    assert set(fast_conv.__all__) <= set(cuda_conv.__all__)
