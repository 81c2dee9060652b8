"""The comparison is relative, however small the numbers are."""

from __future__ import annotations

import numpy as np
import pytest

from .agree import FLOOR, assert_agree


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e8])
def test_the_largest_number_is_the_unit(size: float) -> None:
    eager = np.array([size, -0.25 * size, 0.0])
    for place in range(3):
        near, far = eager.copy(), eager.copy()
        near[place] += 0.9e-10 * size
        far[place] += 1.1e-10 * size
        assert_agree(near, eager, 1e-10)
        with pytest.raises(AssertionError):
            assert_agree(far, eager, 1e-10)


def test_what_rounding_leaves_of_zeros_is_measured_by_the_floor() -> None:
    assert_agree(np.array([1e-18]), np.array([-1e-18]), 1e-10)
    with pytest.raises(AssertionError):
        assert_agree(np.array([2e-10 * FLOOR]), np.zeros(1), 1e-10)


def test_nan_and_infinity_are_where_they_were() -> None:
    eager = np.array([np.nan, np.inf, -np.inf, 1.0])
    assert_agree(eager.copy(), eager, 1e-10)
    for place, value in ((0, 1.0), (1, np.nan), (2, np.inf), (3, np.inf)):
        other = eager.copy()
        other[place] = value
        with pytest.raises(AssertionError):
            assert_agree(other, eager, 1e-10)


def test_shape_dtype_and_presence_have_to_be_the_same() -> None:
    assert_agree(None, None, 1e-10)
    eager = np.ones((2, 1))
    for other in (None, np.ones(2), np.ones((2, 1), np.float32)):
        with pytest.raises(AssertionError):
            assert_agree(other, eager, 1e-10)
