"""Class labels as rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.data import one_hot
from minitorch.errors import DataError


@given(st.lists(st.integers(0, 6), max_size=20))
def test_a_row_of_the_identity_for_each_label(labels: list[int]) -> None:
    rows = one_hot(np.array(labels, dtype=np.int64), 7)
    np.testing.assert_array_equal(rows, np.eye(7)[np.array(labels, dtype=np.int64)])


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32])
def test_any_type_that_holds_whole_numbers_and_the_dtype_asked_for(kind: type) -> None:
    rows = one_hot(np.array([1, 0, 1], dtype=kind), 2, "float32")
    assert rows.dtype == np.float32
    assert rows.tolist() == [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([0.5, 1.0], "not whole"),
        ([0.0, float("nan")], "not whole"),
        (["a"], "not whole"),
        ([0, 3], "from 0 to 2, got 0 to 3"),
        ([-1], "got -1 to -1"),
        ([[0, 1]], r"shape \(1, 2\)"),
    ],
)
def test_other_labels_are_refused(labels: list, says: str) -> None:
    with pytest.raises(DataError, match=says):
        one_hot(labels, 3)
