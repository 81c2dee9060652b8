"""The readable dispatchers and the fast kernels of the processor, against SimpleOps and NumPy on the same cases.

Sizes stand around the lengths where a kernel changes its way: nothing, one, a vector instruction, a block (4096), the
length of a partial sum, and the amount of work from which all cores take part (32,768).
"""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch import fast_conv, operators
from minitorch.fast_ops import (
    PARTIAL,
    FastBackend,
    FastOps,
    _tensor_matrix_multiply,
    tensor_map,
    tensor_matrix_multiply,
    tensor_reduce,
    tensor_zip,
)
from minitorch.kernels import elements
from minitorch.kernels.compile import PARALLEL_WORK
from minitorch.kernels.cpu import matmul
from minitorch.kernels.cpu.elementwise import BLOCK
from minitorch.kernels.geometry import same_size, side_by_side
from minitorch.tensor import Tensor
from minitorch.tensor_data import TensorData
from minitorch.tensor_ops import SimpleBackend, SimpleOps
from minitorch.tensor_ops import tensor_map as simple_map
from minitorch.tensor_ops import tensor_reduce as simple_reduce
from minitorch.tensor_ops import tensor_zip as simple_zip

from .cases import (
    DTYPES,
    LAYOUTS,
    assert_close,
    contiguous,
    correlate,
    correlate_weight,
    expanded,
    make,
    permuted,
    pool_windows,
)
from .tensor_strategies import broadcast_shapes, tensors
from .threads import at_once

SMALL = [(0,), (1,), (), (3, 0, 2), (1, 1, 1), (7,), (9, 1), (2, 3, 4), (5, 1, 3), (2, 3, 2, 2), (17, 5)]
LARGE_SHAPES = [
    *[(BLOCK + n,) for n in (-1, 0, 1)],
    *[(PARALLEL_WORK + n,) for n in (-1, 0, 1)],
    (3, BLOCK + 1),
    (181, 183),
    (9, 61, 67),
]


def test_the_edges_are_where_this_file_thinks():
    assert (BLOCK, PARALLEL_WORK, PARTIAL) == (4096, 65_536, 4096)


def drawn(shape, dtype, seed=0):
    return np.random.default_rng(seed).uniform(0.5, 2.0, shape).astype(dtype)


def shape_id(shape):
    return "x".join(map(str, shape)) or "scalar"


def pair_of(data):
    """The same data on both backends."""
    return Tensor(data, backend=FastBackend), Tensor(data, backend=SimpleBackend)


# --- the readable dispatchers --------------------------------------------------------------------------------
# Each one is compiled, for each dtype, in this process: they are never kept on disk. Hence few functions, many layouts.

READABLE = [(0,), (1,), (7,), (3, 0, 2), (2, 3, 4), (5, 1, 3), (BLOCK + 1,), (3, 1367)]


def outputs(shape, dtype):
    """Give memory to write into, in every layout where each element has a place of its own."""
    blank = np.full(shape, np.nan, dtype)
    return [LAYOUTS[name](blank) for name in ("contiguous", "permuted", "sliced")]


@pytest.mark.task3_1
@pytest.mark.parametrize("dtype", DTYPES)
def test_tensor_map_equals_its_definition(dtype):
    run, definition = tensor_map(operators.neg), simple_map(operators.neg)
    for shape in READABLE:
        for layout in LAYOUTS.values():
            data = layout(drawn(shape, dtype))
            for out, expected in zip(outputs(shape, dtype), outputs(shape, dtype)):
                run(*out.tuple(), *data.tuple())
                definition(*expected.tuple(), *data.tuple())
                np.testing.assert_array_equal(out.array, expected.array)
                np.testing.assert_array_equal(out.array, -data.array)


@pytest.mark.task3_1
@pytest.mark.parametrize("dtype", DTYPES)
def test_tensor_map_repeats_a_smaller_input(dtype):
    data, out = permuted(drawn((3, 1), dtype)), contiguous(np.zeros((2, 3, 4), dtype))
    tensor_map(operators.neg)(*out.tuple(), *data.tuple())
    np.testing.assert_array_equal(out.array, np.broadcast_to(-data.array, (2, 3, 4)))


@pytest.mark.task3_1
@pytest.mark.parametrize("dtype", DTYPES)
def test_tensor_zip_equals_its_definition(dtype):
    run, definition = tensor_zip(operators.mul), simple_zip(operators.mul)
    for shape in READABLE:
        smaller = tuple(1 if d == 0 else n for d, n in enumerate(shape))
        for other_shape in (shape, smaller, shape[1:]):
            for left in LAYOUTS.values():
                a, b = left(drawn(shape, dtype)), permuted(drawn(other_shape, dtype, seed=1))
                for out, expected in zip(outputs(shape, dtype), outputs(shape, dtype)):
                    run(*out.tuple(), *a.tuple(), *b.tuple())
                    np.testing.assert_array_equal(out.array, a.array * b.array)
                    if out.size < 100:
                        definition(*expected.tuple(), *a.tuple(), *b.tuple())
                        np.testing.assert_array_equal(out.array, expected.array)


@pytest.mark.task3_1
@pytest.mark.parametrize("dtype", DTYPES)
def test_tensor_reduce_equals_its_definition(dtype):
    run, definition = tensor_reduce(operators.add), simple_reduce(operators.add)
    for shape in READABLE:
        for dim in range(len(shape)):
            reduced = tuple(1 if d == dim else n for d, n in enumerate(shape))
            for layout in LAYOUTS.values():
                data = layout(drawn(shape, dtype))
                for out, expected in zip(outputs(reduced, dtype), outputs(reduced, dtype)):
                    out.array[...] = expected.array[...] = 10
                    run(*out.tuple(), *data.tuple(), dim)
                    definition(*expected.tuple(), *data.tuple(), dim)
                    assert_close(out.array, expected.array)
                    assert_close(out.array, 10 + data.array.sum(dim, keepdims=True, dtype=np.float64), dtype)


PRODUCTS = [
    ((1, 1, 1), (1, 1, 1)),
    ((1, 0, 3), (1, 3, 2)),
    ((2, 3, 0), (2, 0, 4)),
    ((2, 7, 5), (2, 5, 9)),
    ((4, 33, 17), (1, 17, 31)),
    ((1, 65, 64), (3, 64, 63)),
]


@pytest.mark.task3_2
@pytest.mark.parametrize("dtype", DTYPES)
def test_tensor_matrix_multiply_equals_its_definition(dtype):
    for a_shape, b_shape in PRODUCTS:
        shape = (max(a_shape[0], b_shape[0]), a_shape[1], b_shape[2])
        for left in LAYOUTS.values():
            for right in (contiguous, permuted, expanded):
                a, b = left(drawn(a_shape, dtype)), right(drawn(b_shape, dtype, seed=1))
                # A single matrix serves a whole batch by a stride of zero.
                a, b = (x.expand((shape[0], *x.shape[1:])) for x in (a, b))
                for out in outputs(shape, dtype):
                    tensor_matrix_multiply(*out.tuple(), *a.tuple(), *b.tuple())
                    assert_close(out.array, np.matmul(a.array, b.array))
                    if a.size * b.shape[2] < 1000:
                        expected = contiguous(np.zeros(shape, dtype))
                        _tensor_matrix_multiply(*expected.tuple(), *a.tuple(), *b.tuple())
                        assert_close(out.array, expected.array)


@pytest.mark.task4_1
@pytest.mark.parametrize("dtype", DTYPES)
def test_tensor_conv1d_equals_its_definition(dtype):
    compare_convolutions(
        fast_conv.tensor_conv1d, fast_conv._tensor_conv1d, [(1,), (5,), (19,)], [(1,), (3,), (7,)], dtype
    )


@pytest.mark.task4_2
@pytest.mark.parametrize("dtype", DTYPES)
def test_tensor_conv2d_equals_its_definition(dtype):
    spaces, kernels = [(1, 1), (4, 5), (9, 7)], [(1, 1), (2, 3), (5, 1)]
    compare_convolutions(fast_conv.tensor_conv2d, fast_conv._tensor_conv2d, spaces, kernels, dtype)


def compare_convolutions(run, definition, spaces, kernels, dtype):
    for space in spaces:
        for kernel in kernels:
            for reverse in (False, True):
                for layout in LAYOUTS.values():
                    x, w = layout(drawn((2, 3, *space), dtype)), layout(drawn((4, 3, *kernel), dtype, seed=1))
                    for out in outputs((2, 4, *space), dtype):
                        run(*out.tuple(), out.size, *x.tuple(), *w.tuple(), reverse)
                        assert_close(out.array, correlate(x.array, w.array, reverse))
                    if math.prod(space) < 30:
                        expected = contiguous(np.zeros(out.shape, dtype))
                        definition(*expected.tuple(), out.size, *x.tuple(), *w.tuple(), reverse)
                        assert_close(out.array, expected.array)


@pytest.mark.task3_1
def test_the_dispatchers_are_numbas():
    """The course's parallel_check.py asks them for their diagnostics."""
    made = [tensor_map(operators.neg), tensor_zip(operators.mul), tensor_reduce(operators.add)]
    for dispatcher in [*made, tensor_matrix_multiply, fast_conv.tensor_conv1d, fast_conv.tensor_conv2d]:
        assert callable(dispatcher.parallel_diagnostics)
        assert dispatcher.targetoptions["parallel"] is True


@pytest.mark.task3_1
def test_the_factories_remember():
    """A second backend, or a second notebook cell, must not compile again."""
    assert tensor_map(operators.neg) is tensor_map(operators.neg)
    assert tensor_zip(operators.mul) is tensor_zip(operators.mul)
    assert tensor_reduce(operators.add) is tensor_reduce(operators.add)
    assert tensor_map(operators.neg) is not tensor_map(operators.inv)


# --- FastOps: map, zip, reduce -------------------------------------------------------------------------------

MAPS = [elements.neg, elements.exp, elements.sigmoid, elements.identity]
ZIPS = [elements.add, elements.mul, operators.lt, elements.relu_grad]
REDUCES = [(elements.add, 0.0), (elements.mul, 1.0), (elements.maximum, -math.inf)]
NUMPY = {
    elements.neg: np.negative,
    elements.exp: np.exp,
    elements.sigmoid: lambda x: 1 / (1 + np.exp(-x)),
    elements.identity: lambda x: x,
    elements.add: np.add,
    elements.mul: np.multiply,
    elements.maximum: np.maximum,
    operators.lt: np.less,
    elements.relu_grad: lambda x, d: d * (x > 0),
}


@pytest.mark.task3_1
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [*SMALL, *LARGE_SHAPES], ids=shape_id)
def test_map(shape, layout, dtype):
    fast, simple = pair_of(LAYOUTS[layout](drawn(shape, dtype)))
    for fn in MAPS:
        out = FastOps.map(fn)(fast)
        assert_close(out.to_numpy(), NUMPY[fn](fast.to_numpy()))
        assert out._tensor.is_contiguous()
        if fast.size < 100:
            assert_close(out.to_numpy(), SimpleOps.map(fn)(simple).to_numpy())


@pytest.mark.task3_1
@pytest.mark.parametrize("fn", [elements.identity, elements.neg])
def test_map_into_a_larger_tensor_repeats(fn):
    x = make(drawn((3, 1), "float64"), FastBackend)
    out = make(np.full((2, 3, 4), np.nan), FastBackend, layout=permuted)
    assert FastOps.map(fn)(x, out) is out
    np.testing.assert_array_equal(out.to_numpy(), np.broadcast_to(NUMPY[fn](x.to_numpy()), (2, 3, 4)))


@pytest.mark.task3_1
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("other", LAYOUTS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [*SMALL, *LARGE_SHAPES], ids=shape_id)
def test_zip(shape, layout, other, dtype):
    a, b = LAYOUTS[layout](drawn(shape, dtype)), LAYOUTS[other](drawn(shape, dtype, seed=1))
    compare_zip(a, b)


@pytest.mark.task3_1
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("a_shape", "b_shape"),
    [
        ((2, 3, 4), (1,)),
        ((2, 3, 4), ()),
        ((2, 3, 4), (4,)),
        ((2, 3, 4), (3, 1)),
        ((2, 3, 4), (2, 1, 4)),
        ((2, 1, 4), (1, 3, 1)),
        ((2, 1, 3, 1, 2), (1, 4, 1, 5, 1)),  # more dimensions than a kernel walks
        ((0, 1), (1, 4)),
        ((5, BLOCK + 1), (BLOCK + 1,)),
        ((5, BLOCK + 1), (5, 1)),
        ((BLOCK + 1, 9), (1, 9)),
        ((4, 91, 93), (91, 1)),
    ],
    ids=str,
)
def test_zip_broadcasts(a_shape, b_shape, layout, dtype):
    a, b = LAYOUTS[layout](drawn(a_shape, dtype)), LAYOUTS[layout](drawn(b_shape, dtype, seed=1))
    compare_zip(a, b)
    compare_zip(b, a)


def compare_zip(a, b):
    (fast_a, simple_a), (fast_b, simple_b) = pair_of(a), pair_of(b)
    for fn in ZIPS:
        out = FastOps.zip(fn)(fast_a, fast_b)
        assert out.dtype == a.dtype
        assert_close(out.to_numpy(), NUMPY[fn](a.array, b.array), a.dtype)
        if out.size < 100:
            assert_close(out.to_numpy(), SimpleOps.zip(fn)(simple_a, simple_b).to_numpy())


@pytest.mark.task3_1
@given(broadcast_shapes(count=2), st.data())
def test_zip_on_any_strides(pair, draw):
    a, b = (draw.draw(tensors(shape, backend=FastBackend)) for shape in pair)
    out = FastOps.zip(elements.add)(a, b)
    np.testing.assert_array_equal(out.to_numpy(), a.to_numpy() + b.to_numpy())


def subsets(dims):
    return [[d for d in range(dims) if bits >> d & 1] for bits in range(1, 1 << dims)]


@pytest.mark.task3_1
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [*SMALL, *LARGE_SHAPES, (7, 257), (257, 7), (3, 255, 2), (300, 130)], ids=shape_id)
def test_reduce(shape, layout, dtype):
    for fn, start in REDUCES:
        # A product of many rounds at every step: signs are multiplied exactly.
        array = drawn(shape, dtype)
        data = LAYOUTS[layout](np.where(array > 1, array, -array) if fn is not elements.mul else np.sign(array - 1))
        fast, simple = pair_of(data)
        for dims in subsets(len(shape)):
            out = FastOps.reduce(fn, start)(fast, dims)
            expected = NUMPY[fn].reduce(np.float64(data.array), tuple(dims), keepdims=True, initial=start)
            assert_close(out.to_numpy(), expected, dtype)
            if data.size < 100:
                assert_close(out.to_numpy(), SimpleOps.reduce(fn, start)(simple, dims).to_numpy())


@pytest.mark.task3_1
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [2 * PARTIAL - 1, 2 * PARTIAL, 2 * PARTIAL + 1, 5 * PARTIAL, 5 * PARTIAL + 3, 200_001])
def test_long_sums_by_parts(n, dtype):
    x = make(drawn((n,), dtype), FastBackend)
    total = FastOps.reduce(elements.add, 0.0)(x, 0)
    assert_close(total.to_numpy(), x.to_numpy().sum(keepdims=True, dtype=np.float64), dtype)
    # The start counts once for every partial result: it must be the one that changes nothing.
    assert FastOps.reduce(elements.maximum, -math.inf)(x, 0)[0] == x.to_numpy().max()


def test_reduce_takes_dimensions_in_any_order():
    x = make(drawn((2, 3, 4), "float64"), FastBackend)
    total = FastOps.reduce(elements.add, 0.0)
    for dims in [(0, 2), (2, 0), (2, 0, 2)]:
        assert_close(total(x, dims).to_numpy(), x.to_numpy().sum((0, 2), keepdims=True))
    assert_close(total(x, 1).to_numpy(), x.to_numpy().sum(1, keepdims=True))


@pytest.mark.task3_1
def test_functions_of_ones_own():
    """As the course has it: a backend takes any function that Numba compiles."""
    half = 0.5
    x = make([[1.0, 2.0], [3.0, 4.0]], FastBackend)
    assert FastOps.map(lambda v: v * half + 1)(x).tolist() == [[1.5, 2.0], [2.5, 3.0]]
    assert FastOps.zip(lambda u, v: u - v)(x, x).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert FastOps.reduce(numba.njit(lambda u, v: u * v), 1.0)(x, 1).tolist() == [[2.0], [12.0]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_and_infinity_go_through(dtype):
    x = make([math.nan, math.inf, -math.inf, 0.0, -0.0], FastBackend, dtype)
    backend = FastBackend
    np.testing.assert_array_equal(backend.relu_map(x).to_numpy(), [math.nan, math.inf, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(backend.inv_map(x).to_numpy(), [math.nan, 0.0, -0.0, math.inf, -math.inf])
    np.testing.assert_array_equal(backend.exp_map(x).to_numpy(), [math.nan, math.inf, 0.0, 1.0, 1.0])
    np.testing.assert_array_equal(backend.sigmoid_map(x).to_numpy(), [math.nan, 1.0, 0.0, 0.5, 0.5])
    assert math.isnan(backend.max_reduce(x, 0)[0])
    assert math.isnan(backend.add_reduce(x, 0)[0])
    for name in ("neg_map", "inv_map", "exp_map", "sigmoid_map", "relu_map", "sqrt_map", "id_map"):
        simple = getattr(SimpleBackend, name)(Tensor(x._tensor, backend=SimpleBackend))
        np.testing.assert_array_equal(getattr(backend, name)(x).to_numpy(), simple.to_numpy())


# --- FastOps: matrix product ---------------------------------------------------------------------------------


@pytest.mark.task3_2
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("left", LAYOUTS)
@pytest.mark.parametrize(
    ("a_shape", "b_shape"),
    [
        ((1, 1), (1, 1)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
        ((7, 5), (5, 9)),
        ((3, 7, 5), (5, 9)),
        ((7, 5), (3, 5, 9)),
        ((2, 1, 4, 3), (5, 3, 2)),
        ((4 * matmul.STRIP, 128), (128, 2 * matmul.STRIP)),  # just large enough for strips of rows
        ((4 * matmul.STRIP - 1, 128), (128, 2 * matmul.STRIP)),
        ((2 * matmul.STRIP, 128), (128, 4 * matmul.STRIP + 1)),  # strips of columns
        ((3, 4 * matmul.STRIP + 1, 128), (128, 2 * matmul.STRIP)),
    ],
    ids=str,
)
def test_matrix_multiply(a_shape, b_shape, left, right, dtype):
    a, b = LAYOUTS[left](drawn(a_shape, dtype)), LAYOUTS[right](drawn(b_shape, dtype, seed=1))
    (fast_a, simple_a), (fast_b, simple_b) = pair_of(a), pair_of(b)
    out = FastOps.matrix_multiply(fast_a, fast_b)
    assert out._tensor.is_contiguous()
    assert_close(out.to_numpy(), np.matmul(a.array, b.array))
    if a.size * b_shape[-1] < 1000:
        assert_close(out.to_numpy(), SimpleOps.matrix_multiply(simple_a, simple_b).to_numpy())


# --- FastOps: convolution ------------------------------------------------------------------------------------

CONVOLUTIONS = [  # input, weight: the layers of the course's networks, and shapes that no layer has
    ((2, 1, 28, 28), (4, 1, 3, 3)),
    ((3, 4, 28, 28), (8, 4, 3, 3)),
    ((1, 3, 5, 4), (2, 3, 5, 4)),
    ((1, 2, 3, 3), (3, 2, 4, 5)),
    ((2, 17, 9, 11), (33, 17, 2, 1)),
    ((0, 2, 4, 4), (3, 2, 2, 2)),
    ((2, 2, 4, 4), (0, 2, 2, 2)),
    ((1, 1, 1, 1), (1, 1, 1, 1)),
    ((1, 1, 1, 130), (1, 1, 1, 65)),
    ((3, 50, 40), (100, 50, 3)),
    ((2, 3, 7), (5, 3, 9)),
    ((1, 1, 1), (1, 1, 1)),
    ((2, 3, 4099), (2, 3, 5)),
    ((0, 3, 8), (2, 3, 3)),
]


@pytest.mark.task4_1
@pytest.mark.task4_2
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize(("x_shape", "w_shape"), CONVOLUTIONS, ids=str)
def test_convolution_and_the_gradient_of_its_weight(x_shape, w_shape, reverse, layout, dtype):
    x = make(drawn(x_shape, dtype), FastBackend, dtype, LAYOUTS[layout])
    w = make(drawn(w_shape, dtype, seed=1) - 1, FastBackend, dtype, LAYOUTS[layout])
    geometry = same_size(x_shape[2:], reverse)
    out = FastOps.conv(x, w, geometry)
    expected = correlate(np.float64(x.to_numpy()), np.float64(w.to_numpy()), reverse)
    assert_close(out.to_numpy(), expected, dtype)
    d = make(drawn(out.shape, dtype, seed=2) - 1, FastBackend, dtype, LAYOUTS[layout])
    kernel = w_shape[2:]
    gradient = FastOps.conv_weight(x, d, kernel, geometry)
    expected = correlate_weight(np.float64(x.to_numpy()), np.float64(d.to_numpy()), kernel, reverse)
    assert_close(gradient.to_numpy(), expected, dtype)
    if out.size * math.prod(w_shape[1:]) < 3000:
        simple = [Tensor(t._tensor, backend=SimpleBackend) for t in (x, w, d)]
        assert_close(out.to_numpy(), SimpleOps.conv(simple[0], simple[1], geometry).to_numpy())
        by_definition = SimpleOps.conv_weight(simple[0], simple[2], kernel, geometry)
        assert_close(gradient.to_numpy(), by_definition.to_numpy())


# --- FastOps: what networks need -----------------------------------------------------------------------------

LINES = [
    ((1,), 0),
    ((7,), 0),
    ((2, 3, 4), 0),
    ((2, 3, 4), 1),
    ((2, 3, 4), 2),
    ((5, 10), 1),
    ((0, 3), 1),
    ((300, 130), 1),
]
LINES += [((300, 130), 0), ((4097,), 0), ((40_000,), 0), ((17, 1, 2), 1)]
line_ids = [f"{shape_id(shape)}-{dim}" for shape, dim in LINES]


def ties(shape, dtype, seed=4):
    """Draw integers from few, and a NaN and infinities here and there."""
    rng = np.random.default_rng(seed)
    out = rng.integers(-2, 3, shape).astype(dtype)
    out[rng.uniform(size=shape) < 0.02] = np.nan
    out[rng.uniform(size=shape) < 0.02] = np.inf
    out[rng.uniform(size=shape) < 0.02] = -np.inf
    return out


@pytest.mark.task4_4
@pytest.mark.edition2020("task4_3")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("shape", "dim"), LINES, ids=line_ids)
def test_the_first_maximum(shape, dim, layout, dtype):
    for array in (ties(shape, dtype), np.full(shape, -np.inf, dtype), np.full(shape, np.nan, dtype)):
        fast, simple = pair_of(LAYOUTS[layout](array))
        values, place = FastOps.max(fast, dim)
        assert (values.dtype, place.dtype) == (dtype, np.int64)
        np.testing.assert_array_equal(values.to_numpy(), fast.to_numpy().max(dim, keepdims=True))
        first = fast.to_numpy().argmax(dim, keepdims=True)
        everywhere = np.arange(fast.size).reshape(shape)
        np.testing.assert_array_equal(place.to_numpy(), np.take_along_axis(everywhere, first, dim))
        if fast.size < 1000:
            for found, expected in zip((values, place), SimpleOps.max(simple, dim)):
                np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())


POOLS = [((1, 1, 1, 1), (1, 1)), ((2, 3, 4, 6), (2, 3)), ((2, 3, 4, 6), (4, 6)), ((0, 3, 4, 4), (2, 2))]
POOLS += [((16, 8, 28, 28), (4, 4)), ((1, 2, 9, 5), (3, 1)), ((2, 2, 2, 34), (1, 17)), ((3, 1, 128, 128), (2, 2))]


@pytest.mark.task4_4
@pytest.mark.edition2020("task4_2")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("shape", "kernel"), POOLS, ids=str)
def test_the_first_maximum_of_a_window(shape, kernel, layout, dtype):
    fast, simple = pair_of(LAYOUTS[layout](ties(shape, dtype)))
    values, places = FastOps.max_pool(fast, kernel, side_by_side(shape[2:], kernel))
    windows = pool_windows(fast.to_numpy(), kernel)
    everywhere = pool_windows(np.arange(fast.size).reshape(shape), kernel)
    first = windows.argmax(-1, keepdims=True)
    np.testing.assert_array_equal(values.to_numpy(), windows.max(-1))
    np.testing.assert_array_equal(places.to_numpy(), np.take_along_axis(everywhere, first, -1)[..., 0])
    if fast.size < 1000:
        for found, expected in zip(
            (values, places), SimpleOps.max_pool(simple, kernel, side_by_side(shape[2:], kernel))
        ):
            np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("count", [0, 1, 5, 4097, 40_000])
def test_take_and_put(count, layout, dtype):
    x = make(drawn((3, 50, 70), dtype), FastBackend, dtype, LAYOUTS[layout])
    places = np.random.default_rng(6).integers(0, x.size, count)
    index = make(places, FastBackend, "int64")
    taken = FastOps.take(x, index)
    np.testing.assert_array_equal(taken.to_numpy(), x.to_numpy().reshape(-1)[places])
    values = make(drawn((count,), dtype), FastBackend, dtype)
    expected = np.zeros(x.size, dtype)
    np.add.at(expected, places, values.to_numpy())
    put = FastOps.put(values, index, x.shape)
    np.testing.assert_array_equal(put.to_numpy(), expected.reshape(x.shape))  # equal places add up in order


@pytest.mark.task4_4
@pytest.mark.edition2020("task4_3")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("shape", "dim"), LINES, ids=line_ids)
def test_softmax_and_its_logarithm(shape, dim, layout, dtype):
    data = LAYOUTS[layout]((drawn(shape, dtype) - 1) * 20)
    fast, simple = pair_of(data)
    exact = np.float64(data.array)
    exact = exact - exact.max(dim, keepdims=True) if data.size else exact
    logarithm = exact - np.log(np.exp(exact).sum(dim, keepdims=True))
    assert_close(FastOps.softmax(fast, dim).to_numpy(), np.exp(logarithm), dtype)
    assert_close(FastOps.logsoftmax(fast, dim).to_numpy(), logarithm, dtype)
    if data.size < 1000:
        assert_close(FastOps.softmax(fast, dim).to_numpy(), SimpleOps.softmax(simple, dim).to_numpy())
        assert_close(FastOps.logsoftmax(fast, dim).to_numpy(), SimpleOps.logsoftmax(simple, dim).to_numpy())


@pytest.mark.task4_4
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(0,), (1,), (7, 3), (4097,), (200, 201)], ids=shape_id)
def test_dropout_draws_what_the_definition_draws(shape, layout, dtype):
    fast, simple = pair_of(LAYOUTS[layout](drawn(shape, dtype)))
    for arguments in [(0.25, 1.0, 3, 5), (0.75, 4.0, 2**63 + 1, 2**40), (1.0, 0.0, 0, 0), (0.0, 1.0, 0, 1)]:
        np.testing.assert_array_equal(
            FastOps.dropout(fast, *arguments).to_numpy(), SimpleOps.dropout(simple, *arguments).to_numpy()
        )


# --- determinism ---------------------------------------------------------------------------------------------


@pytest.fixture
def many_threads():
    before = numba.get_num_threads()
    yield numba.config.NUMBA_NUM_THREADS
    numba.set_num_threads(before)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS == 1, reason="one core has no second thread to differ")
def test_the_bits_do_not_depend_on_the_number_of_threads(many_threads):
    rng = np.random.default_rng(12)
    x = make(rng.normal(size=(700, 301)), FastBackend, "float32")
    w = make(rng.normal(size=(301, 100)), FastBackend, "float32")
    image = make(rng.normal(size=(16, 4, 28, 28)), FastBackend, "float32")
    kernel = make(rng.normal(size=(8, 4, 3, 3)), FastBackend, "float32")
    assert matmul.LARGE < 700 * 301 * 100

    def everything():
        geometry = same_size((28, 28), False)
        out = FastOps.conv(image, kernel, geometry)
        return [
            FastBackend.add_reduce(x, (0, 1)),
            FastBackend.add_reduce(x, 0),
            FastBackend.add_reduce(x, 1),
            FastBackend.matrix_multiply(x, w),
            out,
            FastOps.conv_weight(image, out, (3, 3), geometry),
            FastOps.softmax(x, 1),
            FastOps.dropout(x, 0.5, 2.0, 1, 1),
        ]

    results = []
    for threads in (1, many_threads):
        numba.set_num_threads(threads)
        results.append([t.to_numpy().tobytes() for t in everything()])
    assert results[0] == results[1]


def test_two_threads_compute_at_once():
    x = make(drawn((200, 300), "float64"), FastBackend)
    expected = FastBackend.add_reduce(FastBackend.exp_map(x), (0, 1))[0, 0]
    found: list[float] = []

    def work():
        found.extend(FastBackend.add_reduce(FastBackend.exp_map(x), (0, 1))[0, 0] for _ in range(50))

    at_once(work, work)
    assert found == [expected] * 100


def test_a_storage_longer_than_its_shape():
    """Views of the front of a storage are contiguous, but do not fill it."""
    data = TensorData.of(np.arange(10.0), (2, 3), (3, 1))
    x = Tensor(data, backend=FastBackend)
    np.testing.assert_array_equal(FastBackend.neg_map(x).to_numpy(), -data.array)
    np.testing.assert_array_equal(FastBackend.add_zip(x, x).to_numpy(), 2 * data.array)
    np.testing.assert_array_equal(FastBackend.add_reduce(x, (0, 1)).to_numpy(), [[15.0]])
    np.testing.assert_array_equal(FastBackend.matrix_multiply(x, make(np.eye(3), FastBackend)).to_numpy(), data.array)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_slope_of_relu_hides_what_it_stops(dtype):
    """Where ReLU is flat, an infinite or undefined gradient from above stops too."""
    for backend in (FastBackend, SimpleBackend):
        x = make([-1.0, -1.0, 0.0, 2.0, 2.0], backend, dtype)
        d = make([math.inf, math.nan, math.inf, math.inf, 3.0], backend, dtype)
        np.testing.assert_array_equal(backend.relu_back_zip(x, d).to_numpy(), [0.0, 0.0, 0.0, math.inf, 3.0])
