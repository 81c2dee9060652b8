"""Choices, limits and powers, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import minitorch
from minitorch.errors import DTypeError

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
