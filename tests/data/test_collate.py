"""From items to batches, and batches put together again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch
from minitorch.data.collate import collate, join
from minitorch.errors import ShapeError


@pytest.mark.parametrize(
    ("items", "dtype"),
    [
        ([1, 2, 3], np.int64),
        ([True, False], np.bool_),
        ([1.5, 2.5], np.float64),
        ([1, 2.5], np.float64),
        ([np.float32(1.5), np.float32(2)], np.float32),
        ([np.zeros(2, np.uint8), np.ones(2, np.uint8)], np.uint8),
    ],
)
def test_numbers_and_arrays_become_an_array(items, dtype):
    batch = collate(items)
    assert batch.dtype == dtype
    np.testing.assert_array_equal(batch, np.array(items))


def test_floats_take_the_default_dtype():
    minitorch.set_default_dtype("float32")
    try:
        assert collate([0.5, 1.5]).dtype == np.float32
    finally:
        minitorch.set_default_dtype("float64")


def test_tensors_become_a_tensor_on_their_backend():
    items = [minitorch.tensor(np.array([k, 2.0 * k], np.float32), backend=minitorch.FastBackend) for k in range(3)]
    batch = collate(items)
    assert (batch.backend, batch.dtype, batch.tolist()) == (
        minitorch.FastBackend,
        np.float32,
        [[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]],
    )


def test_structures_are_joined_place_by_place():
    batch = collate([{"x": (np.zeros(2), 1), "name": "a"}, {"x": (np.ones(2), 2), "name": "b"}])
    assert batch["x"][0].tolist() == [[0, 0], [1, 1]]
    assert batch["x"][1].tolist() == [1, 2]
    assert batch["name"] == ["a", "b"]
    assert collate([None, None]) == [None, None]


def test_items_that_do_not_fit_together_are_told():
    with pytest.raises(ShapeError, match=r"items of one shape in a batch, got \(2,\) and \(3,\).*collate_fn"):
        collate([np.zeros(2), np.zeros(3)])
    with pytest.raises(ShapeError, match=r"items of one length in a batch, got \[1, 2\]"):
        collate([(1, 2), (1,)])


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_joined_batches_are_the_batch_of_all_items(sizes, random):
    count = sum(sizes)
    items = [{"x": (np.array([k, -k]), k, minitorch.tensor([float(k)])), "name": str(k)} for k in range(count)]
    ends = np.cumsum(sizes)
    batches = [collate(items[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
    order = np.array(random.sample(range(count), count))
    joined, expected = join(batches, order), collate([items[place] for place in order])
    np.testing.assert_array_equal(joined["x"][0], expected["x"][0])
    np.testing.assert_array_equal(joined["x"][1], expected["x"][1])
    assert joined["x"][2].tolist() == expected["x"][2].tolist()
    assert joined["name"] == expected["name"]
