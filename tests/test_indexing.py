"""Reading parts of tensors and writing into copies, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitorch

from .cases import BACKENDS, Array, make
from .tensor_strategies import shapes

# --- against NumPy -------------------------------------------------------------------------------------------


@st.composite
def basic_keys(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    """Draw numbers, slices, None and an ellipsis."""
    steps = st.one_of(st.none(), st.integers(1, 4))
    bounds = st.one_of(st.none(), st.integers(-5, 5))
    parts: list[Any] = [
        draw(st.one_of(st.integers(-n, n - 1), st.builds(slice, bounds, bounds, steps)))
        for n in shape[: draw(st.integers(0, len(shape)))]
    ]
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), None)
    if len(parts) < len(shape) and draw(st.booleans()):
        parts.append(...)
    return tuple(parts)


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
@given(shapes(max_side=4), st.data())
def test_numbers_and_slices(backend, shape: tuple[int, ...], draw: st.DataObject) -> None:
    array = np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape)
    key = draw.draw(basic_keys(shape))
    found, expected = make(array, backend)[key], array[key]
    if not isinstance(found, minitorch.Tensor):  # a number for every dimension
        assert found == expected
        assert type(found) is float
        return
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found.to_numpy(), expected)


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
@given(shapes(max_side=4), st.data())
def test_integer_arrays_among_slices(backend, shape: tuple[int, ...], draw: st.DataObject) -> None:
    array = np.arange(np.prod(shape, dtype=int), dtype=float).reshape(shape)
    among = draw.draw(hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=3))
    key = tuple(
        draw.draw(hnp.arrays(np.int64, among, elements=st.integers(-n, n - 1)))
        if draw.draw(st.booleans())
        else draw.draw(st.builds(slice, st.integers(0, 2)))
        for n in shape
    )
    found = make(array, backend)[key]
    np.testing.assert_array_equal(np.asarray(found.to_numpy()), array[key])
    tensors = tuple(make(k, backend, "int64") if isinstance(k, np.ndarray) else k for k in key)
    np.testing.assert_array_equal(make(array, backend)[tensors].to_numpy(), array[key])


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4), elements=st.sampled_from([-1.0, 0.0, 2.0])))
def test_masks(backend, array: Array) -> None:
    x = make(array, backend, requires_grad=True)
    for mask in (x > 0, make(array > 0, backend, "bool"), array > 0):
        assert x[mask].tolist() == array[array > 0].tolist()
    (x[x > 0] * 3.0).sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.to_numpy(), np.where(array > 0, 3.0, 0.0))


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
@given(st.lists(st.integers(0, 4), max_size=8), st.data())
def test_the_last_of_several_stays(backend, places: list[int], draw: st.DataObject) -> None:
    index = make(places, backend, "int64")
    src = np.arange(1.0, len(places) + 1.0)
    expected = np.zeros(5)
    for place, value in zip(places, src, strict=True):
        expected[place] = value
    x, written = make(np.zeros(5), backend, requires_grad=True), make(src, backend, requires_grad=True)
    out = x.scatter(0, index, written)
    np.testing.assert_array_equal(out.to_numpy(), expected)
    out.sum().backward()
    assert x.grad is not None
    assert written.grad is not None
    np.testing.assert_array_equal(x.grad.to_numpy(), expected == 0)
    np.testing.assert_array_equal(written.grad.to_numpy(), np.isin(src, expected))


# --- what comes back -----------------------------------------------------------------------------------------


def test_a_full_index_is_a_number_and_everything_else_a_tensor() -> None:
    x = make(np.arange(6.0).reshape(2, 3))
    assert (x[1, -1], type(x[np.int64(0), 1])) == (5.0, float)
    assert x[1].tolist() == [3.0, 4.0, 5.0]
    assert (x[..., 0].tolist(), x[0, 0:1].tolist()) == ([0.0, 3.0], [0.0])
    assert x[..., 1, 1].shape == ()
    assert make(7.0)[()] == 7.0
    assert make(7.0)[None].tolist() == [7.0]


def test_a_slice_shares_memory_and_a_pick_does_not() -> None:
    x = make(np.arange(6.0).reshape(2, 3))
    x[0, 1:][0] = 9.0
    assert x[0, 1] == 9.0
    picked = x[[0]]
    picked[0, 0] = 5.0
    assert x[0, 0] == 0.0


@pytest.mark.parametrize("dtype", ["int32", "uint8", "int64"])
def test_integers_of_any_width_are_indices(dtype: str) -> None:
    x = make(np.arange(6.0).reshape(2, 3))
    assert x[make([1, 0], dtype=dtype)].tolist() == [[3.0, 4.0, 5.0], [0.0, 1.0, 2.0]]
    assert x.gather(1, make([[2], [0]], dtype=dtype)).tolist() == [[2.0], [3.0]]
    assert minitorch.one_hot(make([1, 0], dtype=dtype), 2, dtype="float32").tolist() == [[0.0, 1.0], [1.0, 0.0]]


def test_the_first_exercise_of_a_classifier() -> None:
    """The classes that are most likely, beside the labels: the share that is right."""
    probabilities = make([[0.1, 0.7, 0.2], [0.5, 0.1, 0.4]])
    labels = make([1, 2], dtype="int64")
    _, top_class = probabilities.topk(1, dim=1)
    equals = top_class == labels.view(*top_class.shape)
    assert equals.to("float64").mean().item() == 0.5
    assert (-probabilities.log())[range(2), labels].mean().item() == pytest.approx(-np.log([0.7, 0.4]).mean(), abs=1e-5)
