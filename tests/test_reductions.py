"""Extremes, variance and deviation, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitorch

from .cases import BACKENDS, Array, make


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
def test_the_first_of_equal_elements_has_the_whole_gradient(backend) -> None:
    x = make([[2.0, 1.0, 1.0], [3.0, 3.0, 0.0]], backend, requires_grad=True)
    (x.min(1) + x.max(1)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]]


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
def test_nan_is_both_the_smallest_and_the_largest(backend) -> None:
    x = make([1.0, np.nan, -np.inf], backend)
    assert np.isnan([x.min().item(), x.max().item()]).all()


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
def test_the_deviation_of_equal_numbers(backend) -> None:
    x = make([[2.0, 2.0], [1.0, 3.0]], backend, requires_grad=True)
    out = x.std(1)
    out.sum().backward()
    assert out.tolist() == [[0.0], [np.sqrt(2.0)]]
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.to_numpy(), [[0.0, 0.0], [-np.sqrt(0.5), np.sqrt(0.5)]])


def test_integers() -> None:
    x = make([[3, -1], [2, 5]], dtype="int64")
    assert (x.min(0).tolist(), x.min().tolist(), x.max(1).tolist()) == ([[2, -1]], [-1], [[3], [5]])


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int64]),
        hnp.array_shapes(max_dims=4, max_side=4),
        elements=st.integers(-2, 2),
    ),
    st.data(),
)
def test_argmax_is_the_position_of_the_first_largest(backend, array: Array, data: st.DataObject) -> None:
    dim = data.draw(st.none() | st.integers(-array.ndim, array.ndim - 1))
    keepdim, turned = data.draw(st.booleans()), data.draw(st.booleans())
    x = make(array, backend, array.dtype)
    if turned:
        x, array = x.permute(*reversed(range(array.ndim))), array.T
    found = x.argmax(dim, keepdim)
    expected = np.argmax(array, axis=dim, keepdims=keepdim)
    assert (found.shape, found.dtype) == (expected.shape, np.int64)
    np.testing.assert_array_equal(found.to_numpy(), expected)


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
def test_argmin_is_the_position_of_the_first_smallest(backend) -> None:
    x = make([[2, 1, 1], [-3, 0, -3]], backend, dtype="int64")
    assert (x.argmin(1).tolist(), x.argmin(0, keepdim=True).tolist(), x.argmin().item()) == ([1, 0], [[1, 1, 1]], 3)
    recorded = make([1.0, np.nan, -np.inf], backend, requires_grad=True)
    assert recorded.argmin().item() == 1
    assert (recorded.argmin().dtype, recorded.argmin().requires_grad()) == (np.int64, False)


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
@given(
    hnp.arrays(np.float64, hnp.array_shapes(max_dims=4, max_side=4), elements=st.integers(-9, 9)),
    st.data(),
)
def test_a_dimension_stays_or_goes(backend, array: Array, data: st.DataObject) -> None:
    dim = data.draw(st.none() | st.integers(-array.ndim, array.ndim - 1))
    x = make(array, backend)
    several = array.size > 1 if dim is None else array.shape[dim] > 1
    functions = [(x.sum, np.sum, {}), (x.mean, np.mean, {}), (x.max, np.max, {}), (x.min, np.min, {})]
    functions += [(x.var, np.var, {"ddof": 1}), (x.std, np.std, {"ddof": 1})] if several else []
    for ours, numpy, options in functions:
        kept, gone = ours(dim), ours(dim, keepdim=False)
        expected = numpy(array, axis=dim, **options)
        np.testing.assert_allclose(gone.to_numpy(), expected, rtol=1e-12, atol=1e-12)
        assert gone.shape == np.shape(expected)
        assert kept.shape == ((1,) if dim is None else np.expand_dims(expected, dim).shape)
        assert kept.tolist() == ours(dim, keepdim=True).tolist()
        np.testing.assert_array_equal(kept.to_numpy().reshape(gone.shape), gone.to_numpy())


@pytest.mark.parametrize("name", ["var", "std"])
def test_unbiased_is_a_correction_of_one(name: str) -> None:
    x = make([[1.0, 3.0], [2.0, 6.0]])
    method, function = getattr(x, name), getattr(minitorch, name)
    assert method(1, unbiased=True).tolist() == method(1, correction=1).tolist() == method(1).tolist()
    assert method(1, unbiased=False).tolist() == method(1, False).tolist() == function(x, 1, correction=0).tolist()
    assert method(1).tolist() != method(1, unbiased=False).tolist()
    assert function(x, unbiased=False, keepdim=False).shape == ()


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
def test_argmax_is_pytorchs_as_a_method_and_the_courses_as_a_function(backend) -> None:
    x = make([[1.0, 3.0, 3.0], [np.nan, 5.0, np.nan]], backend, requires_grad=True)
    assert x.argmax(1).tolist() == [1, 0]
    assert not x.argmax(1).requires_grad()
    assert minitorch.argmax(x, 1).tolist() == [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    assert make([[], []], backend).view(0, 2).argmax(1).shape == (0,)
    labels = make([1, 2], backend, dtype="int64")
    assert (x.argmax(1) == labels).to("float32").mean().item() == 0.5
