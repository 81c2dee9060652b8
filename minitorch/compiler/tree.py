"""Lists, tuples and dictionaries, nested as a user likes: what a step takes and gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["mapped"]


def mapped(fn: Callable[[Any], Any], value: Any) -> Any:
    """Replace everything in a nest of lists, tuples and dictionaries by a function of it.

    >>> mapped(lambda x: x + 1, [1, (2, {"three": 3})])
    [2, (3, {'three': 4})]
    """
    if isinstance(value, (list, tuple)):
        return type(value)(mapped(fn, v) for v in value)
    if isinstance(value, dict):
        return {k: mapped(fn, v) for k, v in value.items()}
    return fn(value)
