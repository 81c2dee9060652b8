"""Sorting, against NumPy, and the sort by counting against the backends' own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitorch
from minitorch.sorting import argsort_by_counting

from .cases import BACKENDS, Array, make

few = st.sampled_from([0.0, 1.0, -1.0, 2.5, np.inf, -np.inf, np.nan])


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4, min_side=0), elements=few), st.data())
def test_three_ways_of_sorting_agree(backend, array: Array, draw: st.DataObject) -> None:
    dim = draw.draw(st.integers(0, array.ndim - 1))
    descending = draw.draw(st.booleans())
    x = make(array, backend)
    found = x.argsort(dim, descending)
    assert (found.shape, found.dtype) == (array.shape, np.int64)
    np.testing.assert_array_equal(argsort_by_counting(x, dim, descending).to_numpy(), found.to_numpy())
    # In ascending order NumPy has NaN last too; in descending order the negative numbers, but for NaN, ascend.
    key = np.where(np.isnan(array), -np.inf, -array) if descending else array
    if not (descending and np.isnan(array).any() and np.isposinf(array).any()):
        np.testing.assert_array_equal(found.to_numpy(), np.argsort(key, dim, kind="stable"))


def test_what_comes_back() -> None:
    x = make([[3.0, 1.0, 2.0]])
    values, indices = x.sort(descending=True)
    assert (values.tolist(), indices.tolist()) == ([[3.0, 2.0, 1.0]], [[0, 2, 1]])
    top = x.topk(0)
    assert (top.values.shape, top.indices.shape) == ((1, 0), (1, 0))
    assert minitorch.topk(x, 1).indices.requires_grad() is False
    assert make([3, 1, 2], dtype="int64").sort().values.tolist() == [1, 2, 3]


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
@pytest.mark.parametrize("dim", range(3))
@pytest.mark.parametrize("turned", [False, True])
def test_what_comes_back_is_contiguous(backend, dim: int, turned: bool) -> None:
    array = np.random.default_rng(0).permutation(24).reshape(2, 3, 4).astype("float32")
    x = make(array, backend, array.dtype)
    if turned:
        x, array = x.permute(2, 0, 1), array.transpose(2, 0, 1)
    order = np.argsort(-array, dim).take(range(2), dim)
    values, indices = x.topk(2, dim)
    assert indices.view(-1).tolist() == order.ravel().tolist()
    assert values.view(-1).tolist() == np.take_along_axis(array, order, dim).ravel().tolist()
    values, indices = x.sort(dim)
    assert indices.view(-1).tolist() == np.argsort(array, dim).ravel().tolist()
    assert values.view(-1).tolist() == np.sort(array, dim).ravel().tolist()


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4), elements=few), st.data())
def test_the_largest_alone_is_the_first_of_all(backend, array: Array, draw: st.DataObject) -> None:
    dim = draw.draw(st.integers(0, array.ndim - 1))
    x = make(array, backend)
    values, indices = x.topk(1, dim)
    wanted = x.argsort(dim, descending=True).to_numpy().take([0], dim)
    np.testing.assert_array_equal(indices.to_numpy(), wanted)
    np.testing.assert_array_equal(values.to_numpy(), np.take_along_axis(array, wanted, dim))


def test_a_compiled_step_sorts_lines_that_are_not_too_long() -> None:
    array = np.random.default_rng(0).normal(size=(2, 4096)).round(3)  # some are equal
    x = make(array, minitorch.FastBackend)
    step = minitorch.compile(lambda x: x.sort(1).indices)
    np.testing.assert_array_equal(step(x).to_numpy(), np.argsort(array, 1, kind="stable"))
    # What the comparisons give is never written: all memory together is some lines.
    assert step.passes["memory"].arena_bytes <= 8 * array.nbytes
