"""Nests of lists, tuples and dictionaries."""

from __future__ import annotations

from minitorch.compiler.tree import mapped


def test_a_nest_keeps_its_form() -> None:
    nest = {"a": [1, 2], "b": (3, {"c": 4}), "d": (), "e": None}
    assert mapped(lambda x: -x if x else x, nest) == {"a": [-1, -2], "b": (-3, {"c": -4}), "d": (), "e": None}
    assert mapped(str, 5) == "5"


def test_leaves_are_visited_in_order() -> None:
    seen: list[int] = []
    mapped(seen.append, [1, (2, {"x": 3, "y": [4]}), 5])
    assert seen == [1, 2, 3, 4, 5]
