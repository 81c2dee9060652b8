"""Extremes, variance and deviation, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from .cases import BACKENDS, make


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
