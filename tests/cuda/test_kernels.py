"""The kernels of CudaOps at the edges of warps and blocks, of parts and tiles, against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minitorch
from minitorch import operators
from minitorch.cuda_data import CudaData
from minitorch.fast_ops import FastBackend
from minitorch.kernels import elements
from minitorch.kernels.cuda import fold, matmul, places, product, sort
from minitorch.kernels.cuda.launch import THREADS
from minitorch.kernels.geometry import Geometry, same_size
from minitorch.random import Generator
from minitorch.tensor_data import TensorData
from tests.cases import (
    BACKENDS,
    DTYPES,
    LAYOUTS,
    assert_close,
    correlate,
    correlate_weight,
    expanded,
    make,
    permuted,
    sliced,
)

from .table import module_level_kernels

GPU = BACKENDS["cuda"]
Ops = minitorch.CudaOps

# Nothing, one, a warp of 32 and a block of 256 threads, four blocks; one less and one more of each.
EDGES = [0, 1, 31, 32, 33, 255, 256, 257, 1023, 1024, 1025]


def test_the_edges_are_where_this_file_thinks():
    assert (THREADS, fold.COLUMN, fold.LINE, product.SPAN, sort.SHORT, places.PART) == (256, 64, 4096, 512, 1024, 64)


def test_what_tests_change_is_no_part_of_a_kernel():
    """Numba keeps the globals of a kernel as they were when it was compiled: on a GPU a change would stay behind."""
    changed = {"BLOCKS", "FEW", "SHORT"}
    for kernel in module_level_kernels():
        assert not changed.intersection(kernel.fn.__code__.co_names), kernel
    assert sort.SHORT <= sort.LONGEST


def drawn(shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).uniform(0.5, 2.0, shape).astype(dtype)


# --- map and zip ---------------------------------------------------------------------------------------------


@pytest.mark.task3_3
@pytest.mark.parametrize("size", EDGES)
def test_map_and_zip_at_the_edges_of_blocks(size):
    a, b = drawn(size, "float32"), drawn(size, "float32", 1)
    x, y = make(a, GPU, "float32"), make(b, GPU, "float32")
    np.testing.assert_array_equal(Ops.map(elements.neg)(x).to_numpy(), -a)
    np.testing.assert_array_equal(Ops.zip(elements.add)(x, y).to_numpy(), a + b)


@pytest.mark.task3_3
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("a_shape", "b_shape"), [((3, 11), (3, 11)), ((2, 3, 4), (3, 1)), ((2, 1, 4), (1, 3, 1))])
def test_zip_takes_every_layout(a_shape, b_shape, dtype):
    for left in LAYOUTS.values():
        for right in (permuted, sliced, expanded):
            x = make(drawn(a_shape, dtype), GPU, dtype, left)
            y = make(drawn(b_shape, dtype, 1), GPU, dtype, right)
            expected = x.to_numpy() * y.to_numpy()
            np.testing.assert_array_equal(Ops.zip(elements.mul)(x, y).to_numpy(), expected)


@pytest.mark.task3_3
def test_map_writes_into_any_layout_and_repeats():
    x = make(drawn((3, 1)), GPU)
    out = make(np.full((2, 3, 4), np.nan), GPU, layout=permuted)
    assert Ops.map(elements.neg)(x, out) is out
    np.testing.assert_array_equal(out.to_numpy(), np.broadcast_to(-drawn((3, 1)), (2, 3, 4)))


def test_more_elements_than_threads_of_the_largest_grid(monkeypatch):
    """Each thread takes several."""
    monkeypatch.setattr("minitorch.kernels.cuda.launch.BLOCKS", 2)
    a = drawn(2 * THREADS + 65)
    np.testing.assert_array_equal(Ops.map(elements.neg)(make(a, GPU)).to_numpy(), -a)


# --- reduce --------------------------------------------------------------------------------------------------


@pytest.mark.task3_3
@pytest.mark.parametrize("n", [n for n in EDGES if n])
def test_the_lengths_of_a_line(n):
    """Whole numbers are added exactly, in any order: one that is left out or added twice shows."""
    a = np.random.default_rng(n).integers(-1000, 1000, (2, n)).astype(np.float64)
    x = make(a, GPU)
    np.testing.assert_array_equal(Ops.reduce(elements.add)(x, 1).to_numpy(), a.sum(1, keepdims=True))
    np.testing.assert_array_equal(Ops.reduce(elements.maximum, -math.inf)(x, 1).to_numpy(), a.max(1, keepdims=True))


@pytest.mark.task3_3
@pytest.mark.parametrize("n", [4095, 4096, 4097, 8193])
def test_a_long_line_is_folded_in_parts(n):
    a = np.random.default_rng(n).integers(-1000, 1000, n).astype(np.float64)
    assert Ops.reduce(elements.add)(make(a, GPU), 0).to_numpy() == a.sum()


@pytest.mark.task3_3
@pytest.mark.parametrize("n", [1, 63, 64, 65, 129])
def test_columns_are_folded_in_parts(n):
    a = np.random.default_rng(n).integers(-1000, 1000, (2, n, fold.WIDE + 1)).astype(np.float64)
    np.testing.assert_array_equal(Ops.reduce(elements.add)(make(a, GPU), 1).to_numpy(), a.sum(1, keepdims=True))


@pytest.mark.task3_3
@pytest.mark.parametrize("dims", [(0, 1), (1, 2), (0, 2), (0, 1, 2), (1,), ()])
def test_several_dimensions(dims):
    a = drawn((3, 4, 5))
    x = make(a, GPU, layout=permuted)
    assert_close(Ops.reduce(elements.add)(x, dims).to_numpy(), a.sum(dims, keepdims=True) if dims else a)


@pytest.mark.task3_3
@pytest.mark.parametrize("n", [0, 1, 70])
def test_a_fold_begins_with_its_start_once(n):
    """Also where it is not the function's neutral element."""
    a = np.arange(float(n * 40)).reshape(n, 40)
    np.testing.assert_array_equal(Ops.reduce(elements.add, 10.0)(make(a, GPU), 0).to_numpy()[0], a.sum(0) + 10.0)
    np.testing.assert_array_equal(Ops.reduce(elements.add, 10.0)(make(a.T, GPU), 1).to_numpy()[:, 0], a.sum(0) + 10.0)


def test_whole_numbers_are_added_as_such():
    """In float64 the last digit of the sum would be lost."""
    a = np.array([2**60, 1, 1])
    assert Ops.reduce(elements.add)(make(a, GPU, "int64"), 0).tolist() == [2**60 + 2]


def test_the_largest_of_whole_numbers_is_found_as_such():
    """Also where float64 has no room for its last digit, and where all are as small as can be."""
    a = make([[2**60, 2**60 + 1], [-(2**63), -(2**63)]], GPU, "int64")
    assert Ops.reduce(elements.maximum, -math.inf)(a, 1).tolist() == [[2**60 + 1], [-(2**63)]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sum_has_the_same_bits_every_time(dtype):
    x = make(drawn((3, 700), dtype), GPU, dtype)
    first = Ops.reduce(elements.add)(x, 1).to_numpy()
    np.testing.assert_array_equal(Ops.reduce(elements.add)(x, 1).to_numpy(), first)


# --- products ------------------------------------------------------------------------------------------------


@pytest.mark.task3_4
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tiling", product.TILINGS, ids=lambda t: f"{t.side}x{t.each}")
@pytest.mark.parametrize(("over", "inner"), [(None, 1), (-1, 7), (0, 8), (1, 9)])
def test_every_tiling_at_the_edges_of_its_tiles(over, inner, tiling, dtype, monkeypatch):
    monkeypatch.setattr("minitorch.cuda_ops.choose", lambda *_: tiling)
    tile = tiling.side * tiling.each
    rows, columns = (1, 1) if over is None else (tile + over, tile - over)
    a, b = drawn((rows, inner), dtype), drawn((inner, columns), dtype, 1)
    assert_close(Ops.matrix_multiply(make(a, GPU, dtype), make(b, GPU, dtype)).to_numpy(), a @ b)


@pytest.mark.task3_4
@pytest.mark.parametrize(
    ("a_shape", "b_shape"),
    [((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)), ((2, 1, 3, 4), (1, 3, 4, 2)), ((2, 0, 4), (4, 5)), ((2, 3, 0), (0, 5))],
)
def test_batches_broadcast_in_every_layout(a_shape, b_shape):
    for left in LAYOUTS.values():
        for right in (permuted, sliced, expanded):
            x, y = make(drawn(a_shape), GPU, layout=left), make(drawn(b_shape, seed=1), GPU, layout=right)
            assert_close(Ops.matrix_multiply(x, y).to_numpy(), np.matmul(x.to_numpy(), y.to_numpy()))


@pytest.mark.task3_4
@pytest.mark.parametrize("inner", [512, 513, 1025])
def test_a_long_sum_is_cut_into_parts(inner):
    a, b = drawn((2, 3, inner)), drawn((2, inner, 4), seed=1)
    assert product.parts_of(24, inner) == -(-inner // 512)
    assert_close(Ops.matrix_multiply(make(a, GPU), make(b, GPU)).to_numpy(), np.matmul(a, b))


@pytest.mark.parametrize("results", [16_383, 16_384])
def test_only_few_results_have_their_sums_cut(results):
    assert product.parts_of(results, 600) == (2 if results < 16_384 else 1)


def test_large_results_have_large_tiles():
    assert product.choose(10, 10, 1) == product.Tiling(8, 1)
    assert product.choose(256, 256, 1) == product.Tiling(16, 1)
    assert product.choose(1024, 1024, 1) == product.Tiling(16, 4)
    assert set(matmul.matmul) == set(product.TILINGS)


# --- convolutions --------------------------------------------------------------------------------------------


@pytest.mark.task4_4b
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("space", "kernel"), [((33,), (5,)), ((7,), (9,)), ((9, 7), (3, 2)), ((17, 5), (1, 4)), ((3, 4), (5, 6))]
)
def test_convolutions_and_the_gradient_of_their_weights(space, kernel, reverse):
    x, w, d = drawn((2, 3, *space)), drawn((4, 3, *kernel), seed=1), drawn((2, 4, *space), seed=2)
    geometry = same_size(space, reverse)
    out = Ops.conv(make(x, GPU, layout=permuted), make(w, GPU, layout=permuted), geometry)
    assert_close(out.to_numpy(), correlate(x, w, reverse))
    grad = Ops.conv_weight(make(x, GPU), make(d, GPU, layout=permuted), kernel, geometry)
    assert_close(grad.to_numpy(), correlate_weight(x, d, kernel, reverse))


@pytest.mark.task4_4b
def test_the_gradient_of_a_weight_adds_up_many_places_in_parts():
    x, d = drawn((3, 1, 14, 14), "float32"), drawn((3, 2, 14, 14), "float32", 1)
    assert product.parts_of(2 * 4, 3 * 14 * 14) == 2
    found = Ops.conv_weight(make(x, GPU, "float32"), make(d, GPU, "float32"), (2, 2), same_size((14, 14), False))
    assert_close(found.to_numpy(), correlate_weight(x, d, (2, 2)))


# --- maxima, softmax, order ----------------------------------------------------------------------------------


@pytest.mark.task4_4
@pytest.mark.parametrize("n", [1, 63, 64, 65, 4097])
def test_the_first_maximum_of_a_line(n):
    a = np.random.default_rng(n).integers(0, 3, (2, n)).astype(np.float64)
    values, at = Ops.max(make(a, GPU), 1)
    np.testing.assert_array_equal(values.to_numpy(), a.max(1, keepdims=True))
    np.testing.assert_array_equal(at.to_numpy()[:, 0], a.argmax(1) + np.array([0, n]))


@pytest.mark.task4_4
@pytest.mark.parametrize("windows", [n for n in EDGES if n])
def test_windows_at_the_edges_of_blocks(windows):
    a = drawn((1, 1, 1, 2 * windows))
    geometry = (Geometry(1), Geometry(windows, stride=2))
    values, at = Ops.max_pool(make(a, GPU), (1, 2), geometry)
    pairs = a.reshape(windows, 2)
    np.testing.assert_array_equal(values.to_numpy().reshape(-1), pairs.max(1))
    np.testing.assert_array_equal(at.to_numpy().reshape(-1), 2 * np.arange(windows) + pairs.argmax(1))


@pytest.mark.task4_4
@pytest.mark.parametrize("at", [0, 63, 64, 99])
def test_nan_is_the_maximum(at):
    a = np.zeros(100)
    a[[at, 99]] = np.nan
    a[5] = np.inf
    values, place = Ops.max(make(a, GPU), 0)
    assert math.isnan(values.item())
    assert place.item() == at


@pytest.mark.task4_4
@pytest.mark.parametrize("n", [n for n in EDGES if n])
def test_softmax_of_every_length(n):
    a = 40 * drawn((2, n))
    powers = np.exp(a - a.max(1, keepdims=True))
    x = make(a, GPU)
    assert_close(Ops.softmax(x, 1).to_numpy(), powers / powers.sum(1, keepdims=True))
    logs = a - a.max(1, keepdims=True) - np.log(powers.sum(1, keepdims=True))
    assert_close(Ops.logsoftmax(x, 1).to_numpy(), logs)


@pytest.mark.parametrize("short", [32, 1024])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 65])
def test_sorting_is_stable_in_one_block_and_in_many(n, descending, short, monkeypatch):
    monkeypatch.setattr(sort, "SHORT", short)
    a = np.random.default_rng(n).integers(0, 9, (2, n, 2)).astype(np.float64)
    found = Ops.argsort(make(a, GPU), 1, descending)
    np.testing.assert_array_equal(found.to_numpy(), np.argsort(-a if descending else a, 1, kind="stable"))


def test_a_whole_block_is_sorted():
    a = np.random.default_rng(0).integers(0, 99, 1000).astype(np.float32)
    found = Ops.argsort(make(a, GPU, "float32"), 0, False)
    np.testing.assert_array_equal(found.to_numpy(), np.argsort(a, kind="stable"))


def test_nan_is_sorted_behind_every_number():
    a = np.array([2.0, np.nan, np.inf, np.nan, -1.0])
    assert Ops.argsort(make(a, GPU), 0, False).tolist() == [4, 0, 2, 1, 3]
    assert Ops.argsort(make(a, GPU), 0, True).tolist() == [1, 3, 2, 0, 4]


# --- places and masks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "few"), [*((size, 16_384) for size in EDGES), *((size, 0) for size in (31, 32, 33))], ids=str
)
def test_take_and_put_at_the_edges_of_blocks(size, few, monkeypatch):
    """Places in reverse: reading there turns an array around, and writing there turns it back."""
    monkeypatch.setattr(places, "FEW", few)
    a, at = drawn(size, "float32"), make(np.arange(size)[::-1], GPU, "int64")
    turned = Ops.take(make(a, GPU, "float32"), at)
    np.testing.assert_array_equal(turned.to_numpy(), a[::-1])
    np.testing.assert_array_equal(Ops.put(turned, at, (size,)).to_numpy(), a)


@pytest.mark.parametrize("n", [0, 1, 33, 300])
def test_put_adds_in_order(n):
    """Bit by bit what a loop gives, though places are met many times."""
    rng = np.random.default_rng(n)
    a, at = rng.normal(size=n).astype(np.float32), rng.integers(0, 5, n)
    expected = np.zeros(5, np.float32)
    for value, place in zip(a, at, strict=True):
        expected[place] += value
    out = Ops.put(make(a, GPU, "float32"), make(at, GPU, "int64"), (5,))
    np.testing.assert_array_equal(out.to_numpy(), expected)


def added_in_parts(a, at, size):
    """Add at places in parts of 64 sorted elements, and then what the parts have of each place, in order."""
    order = np.argsort(at, kind="stable")
    out, sums = np.zeros(size, a.dtype), {}
    for k, i in enumerate(order.tolist()):
        key = at[i], k // 64
        sums[key] = sums[key] + a[i] if key in sums else a[i]
    for (place, _), total in sums.items():
        out[place] += total
    return out


@pytest.mark.parametrize("found", [1, 2, 5, 200])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 128, 129, 300])
def test_put_adds_in_parts_where_it_sorts(n, found, monkeypatch):
    """Runs that end with a part, that begin with one, and that go through several; bit by bit."""
    monkeypatch.setattr(places, "FEW", 0)
    rng = np.random.default_rng(n)
    a, at = rng.normal(size=n).astype(np.float32), rng.integers(0, found, n)
    at[: min(n, 64)] = 0  # a whole part, and often more
    out = Ops.put(make(a, GPU, "float32"), make(at, GPU, "int64"), (200,))
    np.testing.assert_array_equal(out.to_numpy(), added_in_parts(a, at, 200))
    np.testing.assert_allclose(out.to_numpy(), np.bincount(at, a.astype(np.float64), 200), rtol=1e-5, atol=1e-5)


def test_put_expects_a_place_for_each_element():
    with pytest.raises(minitorch.IndexingError, match="a place for each of 2 elements, got 1"):
        Ops.put(make([1.0, 2.0], GPU), make([0], GPU, "int64"), (3,))


@pytest.mark.parametrize("few", [16_384, 0], ids=["noted", "sorted"])
@pytest.mark.parametrize(("asked", "words"), [([0, -2], "one 2 before the first"), ([3, 1], "one 1 behind the last")])
def test_a_place_outside_shows_when_numbers_are_read(asked, words, few, monkeypatch):
    """Until then nobody waits for the GPU; nothing outside is read or written, and it is said once."""
    monkeypatch.setattr(places, "FEW", few)
    x, at = make([1.0, 2.0, 3.0], GPU), make(asked, GPU, "int64")
    read = Ops.take(x, at)
    with pytest.raises(minitorch.IndexingError, match=words):
        read.to_numpy()
    assert read.tolist() == ([1.0, 0.0] if asked[0] == 0 else [0.0, 2.0])
    written = Ops.put(read, at, (3,))
    with pytest.raises(minitorch.IndexingError, match=words):
        written[0]
    assert written.tolist() == ([1.0, 0.0, 0.0] if asked[0] == 0 else [0.0, 2.0, 0.0])


@pytest.mark.task4_4
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 33, 1023, 1024, 1025])
def test_dropout_keeps_what_the_generator_lets_through(size, dtype):
    generator = Generator(2**63 + 12345)
    generator.state = (2**63 + 12345, 6)
    kept = generator.uniform(size, dtype) >= np.dtype(dtype).type(0.3)
    a = drawn(size, dtype)
    out = Ops.dropout(make(a, GPU, dtype), 0.3, 1.5, 2**63 + 12345, 6)
    np.testing.assert_array_equal(out.to_numpy(), np.where(kept, a * np.dtype(dtype).type(1.5), 0))


def test_a_function_that_numba_compiled_is_taken_by_its_source():
    import numba

    double = numba.njit(lambda x: x + x)
    np.testing.assert_array_equal(Ops.map(double)(make([1.0, 2.0], GPU)).to_numpy(), [2.0, 4.0])
    assert Ops.map(operators.neg)(make([], GPU)).shape == (0,)


def test_the_same_numbers_as_on_the_cpu():
    """Data that goes there and comes back keeps its bits."""
    data = TensorData(drawn(6), (2, 3)).permute(1, 0)
    there = CudaData.upload(data)
    assert (there.shape, there.strides) == (data.shape, data.strides)
    np.testing.assert_array_equal(there.host().array, data.array)
    back = make(drawn((2, 3)), GPU).to(FastBackend)
    np.testing.assert_array_equal(back.to_numpy(), drawn((2, 3)))
