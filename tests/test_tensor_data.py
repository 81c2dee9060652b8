"""Strides, indices and broadcasting, against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minitorch.errors import BroadcastError, DTypeError, IndexingError, ShapeError
from minitorch.random import default_generator
from minitorch.tensor_data import (
    MAX_DIMS,
    TensorData,
    broadcast_index,
    index_to_position,
    shape_broadcast,
    strides_from_shape,
    to_index,
)

from .cases import LAYOUTS, contiguous, expanded, permuted, sliced
from .tensor_strategies import broadcast_shapes, shapes, tensor_data

ARRAY = np.arange(24.0).reshape(2, 3, 4)


# --- indices -------------------------------------------------------------------------------------------------


@pytest.mark.task2_1
@given(shapes(max_side=4))
def test_to_index_walks_in_row_major_order(shape):
    index = np.zeros(len(shape), np.int64)
    for ordinal in range(math.prod(shape)):
        to_index(ordinal, np.array(shape), index)
        assert tuple(index) == np.unravel_index(ordinal, shape)


@pytest.mark.task2_1
@given(tensor_data())
def test_positions_follow_the_strides(data):
    array = data.array
    for index in data.indices():
        position = index_to_position(np.array(index), np.array(data.strides))
        assert position == data.index(index)
        assert data._storage[position] == array[index] == data.get(index)


@pytest.mark.task2_1
def test_positions_of_known_strides():
    data = TensorData([0, 1, 2, 3, 4, 5], (2, 3))
    assert [data.index(i) for i in data.indices()] == [0, 1, 2, 3, 4, 5]
    assert [data.permute(1, 0).index(i) for i in data.permute(1, 0).indices()] == [0, 3, 1, 4, 2, 5]
    assert TensorData([7], ()).index(()) == 0
    assert TensorData([7, 8], (2,)).index(1) == 1


@pytest.mark.task2_1
@given(tensor_data(shape=(2, 3, 2)), st.data())
def test_indices_that_do_not_exist_raise(data, draw):
    d = draw.draw(st.integers(0, 2))
    index = [0, 0, 0]
    index[d] = draw.draw(st.sampled_from([-1, data.shape[d], data.shape[d] + 5]))
    with pytest.raises(IndexingError, match=f"dimension {d}"):
        data.index(index)
    with pytest.raises(IndexingError, match="expected 3 indices"):
        data.get((0, 0))
    with pytest.raises(IndexingError, match="expected 3 indices"):
        data.set((0, 0, 0, 0), 1.0)


@given(tensor_data())
def test_indices_list_every_element_once(data):
    assert list(data.indices()) == list(np.ndindex(*data.shape))


@given(tensor_data())
def test_a_sample_is_an_index(data):
    index = data.sample()
    assert all(isinstance(i, int) for i in index)
    assert 0 <= data.index(index) < data._storage.size


def test_samples_reach_every_element():
    default_generator.manual_seed(0)
    data = contiguous(ARRAY[:1])
    assert {data.sample() for _ in range(200)} == set(data.indices())


# --- broadcasting --------------------------------------------------------------------------------------------


@pytest.mark.task2_2
@given(broadcast_shapes())
def test_shapes_broadcast_as_in_numpy(pair):
    a, b = pair
    assert shape_broadcast(a, b) == np.broadcast_shapes(a, b) == TensorData.shape_broadcast(b, a)


@pytest.mark.task2_2
@pytest.mark.parametrize(
    ("a", "b", "common"),
    [
        ((1,), (5, 5), (5, 5)),
        ((5, 5), (1,), (5, 5)),
        ((1, 5, 5), (5, 5), (1, 5, 5)),
        ((5, 1, 5, 1), (1, 5, 1, 5), (5, 5, 5, 5)),
        ((2, 5), (5,), (2, 5)),
        ((), (3,), (3,)),
        ((), (), ()),
        ((0, 1), (1, 4), (0, 4)),
        ((0,), (1,), (0,)),
    ],
)
def test_known_broadcasts(a, b, common):
    assert shape_broadcast(a, b) == shape_broadcast(b, a) == common


@pytest.mark.task2_2
@given(hnp.array_shapes(max_dims=4, max_side=4), hnp.array_shapes(max_dims=4, max_side=4))
def test_shapes_that_do_not_fit_raise_as_in_numpy(a, b):
    try:
        common = np.broadcast_shapes(a, b)
    except ValueError:
        with pytest.raises(BroadcastError) as raised:
            shape_broadcast(a, b)
        assert isinstance(raised.value, IndexingError)  # what the course catches
        assert str(a) in str(raised.value)
        assert str(b) in str(raised.value)
    else:
        assert shape_broadcast(a, b) == common


@pytest.mark.task2_2
def test_a_size_of_zero_does_not_stretch():
    with pytest.raises(BroadcastError):
        shape_broadcast((0,), (2,))


@pytest.mark.task2_2
@given(broadcast_shapes())
def test_a_broadcast_index_reads_what_numpy_reads(pair):
    a, b = pair
    common = shape_broadcast(a, b)
    array = np.arange(math.prod(a)).reshape(a)
    stretched = np.broadcast_to(array, common)
    small = np.zeros(len(a), np.int64)
    for index in np.ndindex(*common):
        broadcast_index(np.array(index, np.int64), np.array(common, np.int64), np.array(a, np.int64), small)
        assert array[tuple(small)] == stretched[index]


# --- layout --------------------------------------------------------------------------------------------------


@pytest.mark.task2_1
@given(hnp.array_shapes(min_dims=0, max_dims=5, max_side=4))
def test_strides_are_those_of_numpy(shape):
    steps = np.empty(shape, np.int8).strides
    # NumPy leaves the strides of size 1 open; every other is the number of elements behind.
    ours = strides_from_shape(shape)
    assert [s for n, s in zip(shape, ours) if n > 1] == [s for n, s in zip(shape, steps) if n > 1]


@pytest.mark.task2_1
@given(tensor_data())
def test_contiguous_means_what_numpy_means(data):
    assert data.is_contiguous() == data.array.flags.c_contiguous
    np.testing.assert_array_equal(data.flat(), data.array.reshape(-1))


@pytest.mark.task2_1
@pytest.mark.parametrize(
    ("shape", "strides", "answer"),
    [
        ((2, 3), (3, 1), True),
        ((2, 3), (1, 2), False),
        ((1, 3), (99, 1), True),  # the stride of a size of 1 is never walked
        ((3, 1), (1, 99), True),
        ((2, 3), (0, 1), False),
        ((2, 3), (4, 1), False),  # a gap
        ((1,), (0,), True),
        ((), (), True),
    ],
)
def test_what_is_contiguous(shape, strides, answer):
    assert TensorData(np.arange(10.0), shape, strides).is_contiguous() is answer


def test_nothing_is_contiguous():
    assert TensorData([], (2, 0, 3)).is_contiguous()
    assert TensorData([], (0,)).flat().size == 0


@pytest.mark.task2_1
@given(tensor_data(shape=(2, 3, 4)), st.permutations(range(3)))
def test_permutations_are_those_of_numpy(data, order):
    moved = data.permute(*order)
    np.testing.assert_array_equal(moved.array, data.array.transpose(order))
    assert moved._storage is data._storage
    back = moved.permute(*np.argsort(order).tolist())
    assert (back.shape, back.strides) == (data.shape, data.strides)


@pytest.mark.task2_1
@pytest.mark.parametrize("order", [(0, 1), (0, 1, 1), (0, 1, 3), (-1, 0, 1), (0, 1, 2, 3), ()])
def test_what_is_not_a_permutation_raises(order):
    with pytest.raises(IndexingError, match="each dimension"):
        contiguous(ARRAY).permute(*order)


@given(broadcast_shapes(count=2))
def test_expanding_is_numpys_broadcast(pair):
    a, b = pair
    common = shape_broadcast(a, b)
    array = np.arange(float(math.prod(a))).reshape(a)
    np.testing.assert_array_equal(contiguous(array).expand(common).array, np.broadcast_to(array, common))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_the_tests_are_what_they_say(layout):
    """The other tests rest on these four."""
    data = LAYOUTS[layout](ARRAY)
    expected = np.repeat(ARRAY[..., :1], 4, -1) if layout == "expanded" else ARRAY
    np.testing.assert_array_equal(data.array, expected)
    assert data.is_contiguous() == (layout == "contiguous")
    assert permuted(ARRAY).strides == (1, 2, 6)
    assert expanded(ARRAY, 0).strides[0] == 0
    assert sliced(ARRAY)._storage.size < 4 * 5 * 6


def test_views_share_writes_and_count_them():
    data = contiguous(ARRAY)
    others = [data.permute(2, 1, 0), data.view((24,)), data.expand((1, 2, 3, 4))]
    data.set((0, 0, 1), -5.0)
    assert [others[0].get((1, 0, 0)), others[1].get(1), others[2].get((0, 0, 0, 1))] == [-5.0] * 3
    assert all(other._version[0] == 1 for other in others)


# --- making --------------------------------------------------------------------------------------------------


def test_an_array_is_used_as_it_is():
    storage = np.arange(6.0)
    assert TensorData(storage, (2, 3))._storage is storage


def test_an_array_that_cannot_be_written_is_copied():
    storage = np.arange(6.0)
    storage.flags.writeable = False
    data = TensorData(storage, (6,))
    data.set(0, 9.0)
    assert storage[0] == 0.0
    assert data.get(0) == 9.0
    reverse = TensorData(np.arange(6.0)[::-1], (6,))
    assert reverse.array.tolist() == [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]


@given(st.lists(st.floats(allow_nan=False), max_size=8))
def test_python_numbers_are_held_exactly(values):
    assert TensorData(values, (len(values),)).array.tolist() == values


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool", "int8", "uint8", "int32", "int64"])
def test_types_are_kept(dtype):
    data = TensorData(np.ones(3, dtype), (3,))
    assert data.dtype == np.dtype(dtype)
    assert data.get(0) == 1


@pytest.mark.parametrize("dtype", ["float16", "complex128", "U3", "M8[s]"])
def test_other_types_raise(dtype):
    with pytest.raises(DTypeError, match="expected float32, float64"):
        TensorData(np.zeros(3, dtype), (3,))


def test_a_storage_of_another_size_raises():
    with pytest.raises(ShapeError, match=r"\(2, 3\) holds 6 elements, but the storage has 5"):
        TensorData([1, 2, 3, 4, 5], (2, 3))
    with pytest.raises(ShapeError, match="reaches position 8"):
        TensorData(np.zeros(8), (2, 3), (6, 1))
    assert TensorData(np.zeros(9), (2, 3), (6, 1)).size == 6
    assert TensorData([], (0, 5), (9, 9)).size == 0


def test_strides_that_do_not_fit_raise():
    with pytest.raises(IndexingError, match="one stride for each dimension"):
        TensorData([1, 2, 3, 4], (2, 2), (1,))
    with pytest.raises(IndexingError, match="0 or more"):
        TensorData([1, 2, 3, 4], (2, 2), (2, -1))
    with pytest.raises(ShapeError, match="0 or more"):
        TensorData([], (-1,))
    with pytest.raises(ShapeError, match="at most 32"):
        TensorData([1.0], (1,) * (MAX_DIMS + 1))
    assert TensorData([1.0], (1,) * MAX_DIMS).dims == MAX_DIMS


@given(tensor_data())
def test_the_kernels_receive_arrays(data):
    storage, shape, strides = data.tuple()
    assert storage is data._storage
    assert (shape.dtype, strides.dtype) == (np.int64, np.int64)
    assert (tuple(shape), tuple(strides)) == (data.shape, data.strides)


def test_writing_it_out():
    assert contiguous(ARRAY[:1, :2, :2]).to_string() == "[[[0., 1.],\n  [4., 5.]]]"
    assert permuted(np.eye(2)).to_string() == "[[1., 0.],\n [0., 1.]]"
    assert repr(permuted(ARRAY)) == "TensorData(shape=(2, 3, 4), strides=(1, 2, 6), dtype=float64)"


@given(tensor_data(), tensor_data())
def test_empty_data_is_contiguous(a, b):
    assume(a.shape != b.shape)
    made = TensorData.empty(a.shape, "float32")
    assert (made.shape, made.dtype, made.is_contiguous()) == (a.shape, np.dtype("float32"), True)
