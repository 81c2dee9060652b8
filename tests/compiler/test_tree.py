"""Nests of lists, tuples and dictionaries."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from typing import Any, NamedTuple

import pytest

from minitorch.compiler.tree import mapped


def test_a_nest_keeps_its_form() -> None:
    nest = {"a": [1, 2], "b": (3, {"c": 4}), "d": (), "e": None}
    assert mapped(lambda x: -x if x else x, nest) == {"a": [-1, -2], "b": (-3, {"c": -4}), "d": (), "e": None}
    assert mapped(str, 5) == "5"


class Pair(NamedTuple):
    first: object
    second: object


def test_a_named_tuple_stays_one() -> None:
    found = mapped(lambda x: x + 1, Pair(1, [2, Pair(3, 4)]))
    assert (type(found), found) == (Pair, Pair(2, [3, Pair(4, 5)]))


def test_leaves_are_visited_in_order() -> None:
    seen: list[int] = []
    mapped(seen.append, [1, (2, {"x": 3, "y": [4]}), 5])
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("nest", [OrderedDict(a=1), defaultdict(list, a=1), [OrderedDict(b=(1, 2))]])
def test_a_dictionary_stays_what_it_is(nest: Any) -> None:
    found = mapped(str, nest)
    assert type(found) is type(nest)
    assert repr(found) == repr(nest).replace("1", "'1'").replace("2", "'2'")
