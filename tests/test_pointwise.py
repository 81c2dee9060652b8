"""Choices, limits and powers, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import minitorch
from minitorch.errors import BackendError, DTypeError

from .cases import BACKENDS, make


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
@pytest.mark.parametrize("dtype", ["bool", "int64", "float64"])
def test_a_condition_may_be_of_any_type(dtype: str, backend) -> None:
    mask = make([1, 0, 1], backend, dtype)
    x = make([1.0, np.nan, np.inf], backend, requires_grad=True)
    out = minitorch.where(mask, x * 2.0, 0.0)
    assert out.tolist() == [2.0, 0.0, np.inf]
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 0.0, 2.0]


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
def test_what_is_not_chosen_sends_nothing_back(backend) -> None:
    """The slope of the root is infinite at zero; a product with the mask would make it NaN."""
    x = make([0.0, 4.0], backend, requires_grad=True)
    minitorch.where(x > 0, x.sqrt(), 1.0).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist()[1] == 0.25
    y = make([-1.0, 4.0], backend, requires_grad=True)
    minitorch.where(y > 0, minitorch.where(y > 0, y, 1.0).sqrt(), 1.0).sum().backward()
    assert y.grad is not None
    assert y.grad.tolist() == [0.0, 0.25]


MASKS = ["bool", "float32", "float64"]


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
@pytest.mark.parametrize("right", MASKS)
@pytest.mark.parametrize("left", MASKS)
def test_masks_are_combined(left: str, right: str, backend) -> None:
    a, b = make([[1], [0]], backend, left), make([1, 0], backend, right)
    if {left, right} == {"float32", "float64"}:
        with pytest.raises(DTypeError, match="Nothing is converted"):
            a & b
        return
    dtype = np.dtype(left) if left == right else np.bool_
    for found, expected in ((a & b, [[1, 0], [0, 0]]), (a | b, [[1, 1], [1, 0]]), (~b, [0, 1])):
        assert found.tolist() == expected
    assert (a & b).dtype == (a | b).dtype == dtype
    assert (~b).dtype == np.dtype(right)
    assert ((a & True).tolist(), (False | b).tolist()) == ([[1], [0]], [1, 0])


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
def test_conditions_select(backend) -> None:
    x = make([-0.5, 0.25, 0.75, 1.5], backend, requires_grad=True)
    labels = make([0, 1, 0, 2], backend, "int64")
    assert x[(x > 0) & (x < 1)].tolist() == [0.25, 0.75]
    assert x[(x < 0) | (x > 1)].tolist() == [-0.5, 1.5]
    assert x[(x > 0) & (labels == 0)].tolist() == [0.75]
    assert x[~(labels == 0)].tolist() == [0.25, 1.5]
    assert not ((x > 0) & ~(x < 1)).requires_grad()


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
def test_what_is_no_mask_is_not_combined(backend) -> None:
    x, mask = make([0.0, 1.0, 2.0], backend), make([0.0, 1.0, 1.0], backend)
    labels = make([0, 1, 1], backend, "int64")
    for wrong in (
        lambda: x & mask,
        lambda: mask | x,
        lambda: ~x,
        lambda: ~labels,
        lambda: labels & labels,
        lambda: x > 0 & x < 1,
        lambda: make([np.nan], backend) | True,
    ):
        with pytest.raises(DTypeError, match="in brackets"):
            wrong()
    with pytest.raises(DTypeError, match="str"):
        mask & "x"


def test_masks_of_two_backends_are_not_combined() -> None:
    a, b = (make([True], backend, "bool") for backend in list(BACKENDS.values())[:2])
    with pytest.raises(BackendError, match="SimpleOps"):
        a & b


def test_where_of_two_numbers() -> None:
    assert minitorch.where(make([1, 0], dtype="int64"), 1.5, 2).dtype == np.float64
    chosen = minitorch.where(make([1, 0], dtype="float32"), 1.5, 2)
    assert (chosen.tolist(), chosen.dtype) == ([1.5, 2.0], np.float32)


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
def test_integers(backend) -> None:
    x = make([-3, 0, 5], backend, "int64")
    assert (abs(x).tolist(), (x**3).tolist(), (x**2).tolist()) == ([3, 0, 5], [-27, 0, 125], [9, 0, 25])
    assert x.clip(-1, 4).tolist() == [-1, 0, 4]
    assert minitorch.where(x > 0, x, 7).tolist() == [7, 7, 5]
    with pytest.raises(DTypeError, match="no number of int64"):
        x.clip(0.5)
