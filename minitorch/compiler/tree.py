"""Lists, tuples and dictionaries, nested as a user likes: what a step takes and gives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

__all__ = ["filled", "mapped"]


def mapped(fn: Callable[[Any], Any], value: Any) -> Any:
    """Replace everything in a nest of lists, tuples and dictionaries by a function of it.

    >>> mapped(lambda x: x + 1, [1, (2, {"three": 3})])
    [2, (3, {'three': 4})]
    """
    if isinstance(value, (list, tuple)):
        make = getattr(value, "_make", type(value))  # a named tuple takes its elements one by one
        return make(mapped(fn, v) for v in value)
    if isinstance(value, dict):
        return filled(value, {k: mapped(fn, v) for k, v in value.items()})
    return fn(value)


def filled(like: dict[Any, Any], pairs: dict[Any, Any]) -> dict[Any, Any]:
    """Make a dictionary of the kind of another one.

    >>> filled(defaultdict(int, a=1), {"b": 2})["c"]
    0
    """
    if isinstance(like, defaultdict):
        return type(like)(like.default_factory, pairs)
    return pairs if type(like) is dict else type(like)(pairs)
