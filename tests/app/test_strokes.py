"""Ten digits, drawn once by hand, and a LeNet that is trained here and reads them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interface.digits import DigitSettings, load, train
from interface.strokes import digit_of, ink

import minitorch

STROKES = json.loads(Path(__file__).with_name("strokes.json").read_text())


def test_at_least_eight_of_ten_drawn_digits_are_read() -> None:
    *_, last = train(DigitSettings(), load(test_size=500))
    drawn = np.stack([digit_of(STROKES[str(digit)]) for digit in range(10)])
    answers = last.reader.probabilities(drawn).argmax(1)
    assert (answers == np.arange(10)).sum() >= 8


@given(name=st.sampled_from(sorted(STROKES)), scale=st.floats(0.3, 1.0), x=st.floats(-0.2, 0.2), y=st.floats(-0.2, 0.2))
def test_where_and_how_large_it_is_drawn_makes_no_difference(name, scale, x, y) -> None:
    moved = [[[x + scale * a, y + scale * b] for a, b in stroke] for stroke in STROKES[name]]
    difference = np.abs(digit_of(moved).astype(int) - digit_of(STROKES[name]))
    assert difference.mean() < 3.0


@pytest.mark.parametrize("name", STROKES)
def test_a_drawn_digit_lies_as_mnists_do(name: str) -> None:
    digit = digit_of(STROKES[name])
    rows, columns = np.nonzero(digit)
    assert 19 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 21
    y, x = (np.indices(digit.shape) * digit).sum((1, 2)) / digit.sum()
    assert abs(y - 13.5) < 1.0
    assert abs(x - 13.5) < 1.0


def test_ink_is_where_the_line_is() -> None:
    page = ink([[[0.5, 0.1], [0.5, 0.9]]])
    assert page.max() == 1.0
    middle = page[page.shape[0] // 2]
    assert np.flatnonzero(middle > 0.5).mean() == pytest.approx((len(middle) - 1) / 2)
    assert page[:10].max() == 0.0  # a margin is left
    dot = ink([[[0.2, 0.7]]])
    assert 0 < (dot > 0.5).sum() < dot.size / 10
    np.testing.assert_array_equal(ink([[[0.0, 0.0], [1.0, 1.0]]]), ink([[[1.0, 1.0], [0.0, 0.0]]]))


@pytest.mark.parametrize("strokes", [[], [[]], None, [[1.0, 2.0, 3.0]], [[["a", "b"]]], [[[float("nan"), 0.0]]], 3])
def test_an_empty_sheet_is_told(strokes) -> None:
    with pytest.raises(minitorch.DataError):
        digit_of(strokes)


def test_too_much_ink_is_refused() -> None:
    with pytest.raises(minitorch.DataError, match="Clear the sheet"):
        ink([[[0.1, 0.2]] * 6000])
