from __future__ import annotations

import math

import numpy as np
import pytest
from interface.operators import OPERATORS, check, curves, read_numbers

import minitorch
from minitorch import operators


def test_every_operator_of_one_or_two_numbers_is_shown() -> None:
    functions = {"map", "zipWith", "reduce", "negList", "addLists", "sum", "prod"}
    backs = {name for name in operators.__all__ if name.endswith("_back")}
    shown = set(operators.__all__) - functions - backs
    assert {name for name in shown if callable(getattr(operators, name))} == set(OPERATORS)


@pytest.mark.parametrize("name", OPERATORS)
def test_derivatives_agree_away_from_kinks(name: str) -> None:
    operator = OPERATORS[name]
    for point in [(0.7, 1.3), (1.9, 0.4), (2.5, 3.5)]:
        assert [row.verdict for row in check(operator, *point[: operator.arguments])] == ["agrees"] * operator.arguments


def test_a_wrong_derivative_is_found() -> None:
    sigmoid = OPERATORS["sigmoid"]
    wrong = type(sigmoid)("wrong", "", "", sigmoid.fn, lambda x: (1.01 * sigmoid.gradient(x)[0],))
    assert [row.verdict for row in check(wrong, 0.5)] == ["differs"]


def test_kinks_and_jumps_are_told() -> None:
    assert "kink" in check(OPERATORS["relu"], 0.0)[0].verdict
    assert "kink" in check(OPERATORS["max"], 1.0, 1.0)[0].verdict
    assert "jump" in check(OPERATORS["lt"], 1.0, 1.0)[1].verdict


@pytest.mark.parametrize("name", OPERATORS)
def test_the_curve_of_the_derivative_is_the_slope_of_the_curve(name: str) -> None:
    if name in ("lt", "eq", "is_close"):
        assert set(curves(OPERATORS[name])["derivative"]) == {0.0}
        return
    columns = {
        key: np.array([math.nan if v is None else v for v in values]) for key, values in curves(OPERATORS[name]).items()
    }
    slope = np.gradient(columns["value"], columns["x"])
    near = np.abs(slope - columns["derivative"]) < 0.05 * (1 + np.abs(slope))
    smooth = np.abs(columns["x"]) > 0.3  # away from the pole of 1/x
    assert near[smooth & np.isfinite(slope)][1:-1].mean() > 0.97


def test_what_cannot_be_drawn_is_left_out() -> None:
    assert None in curves(OPERATORS["inv"])["value"]
    assert None not in curves(OPERATORS["mul"], 2.0)["value"]


def test_numbers_are_read() -> None:
    assert read_numbers("") == []
    assert read_numbers("1,2 ,-3e1") == [1.0, 2.0, -30.0]
    with pytest.raises(minitorch.ArgumentError, match="expected numbers"):
        read_numbers("1, two")
    with pytest.raises(minitorch.ArgumentError, match="at most 3"):
        read_numbers("1 2 3 4", most=3)
