"""Where a step finds values, and whether they are still the same.

A :class:`Place` is a name or an attribute, :class:`Contents` are those of a container. Both remember what was there
when they were made.
"""

from __future__ import annotations

import collections
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .trace import ARRAY_LIMIT

__all__ = ["CONTAINERS", "MISSING", "PLAIN", "Contents", "Place", "code_name", "is_plain", "same"]

PLAIN = (int, float, complex, str, bytes, range, type(None), np.generic)
CONTAINERS = (list, dict, set, collections.deque, np.ndarray)
MISSING = object()


@dataclass
class Place:
    """A name or an attribute: ``read(key)`` gives what is there."""

    name: str
    holder: Any  # a namespace, a closure's cell, or an object with slots
    key: str
    read: Callable[[str], Any]
    value: Any = MISSING
    module: bool = False  # an attribute of a module, so that last_change tells when it is set
    attribute: bool = False
    shadows: bool = False  # absent, and a class has an attribute of this name

    def now(self) -> Any:
        """Look the value up."""
        try:
            return self.read(self.key)
        except (KeyError, AttributeError, ValueError):  # ValueError: an empty closure's cell
            return MISSING


@dataclass
class Contents:
    """A container, and what was in it."""

    name: str
    key: str
    container: Any
    guarded: bool = True  # else it is only compared before and after the trace
    module: bool = False
    before: list[Any] = field(init=False)
    plain_list: bool = field(init=False)  # its own list of elements

    def __post_init__(self) -> None:
        self.before = _elements(self.container)
        self.plain_list = type(self.container) is list

    def same(self) -> bool:
        """Tell whether the same elements are there."""
        now, before = self.container if self.plain_list else _elements(self.container), self.before
        if len(now) != len(before):
            return False
        return all(map(operator.is_, now, before)) or all(map(same, now, before))

    def restore(self) -> None:
        """Take out what the trace put in."""
        size = len(self.before)
        if isinstance(self.container, dict):
            pairs = zip(self.before[: size // 2], self.before[size // 2 :], strict=True)
            self.container.clear()
            self.container.update(pairs)
        elif isinstance(self.container, (list, collections.deque)):
            self.container.clear()
            self.container.extend(self.before)


def _elements(container: Any) -> list[Any]:
    if isinstance(container, np.ndarray):
        # A larger array is refused once the trace is done.
        few = container.nbytes <= ARRAY_LIMIT
        return [container.shape, container.dtype.str, container.tobytes() if few else b""]
    return [*container, *container.values()] if isinstance(container, dict) else list(container)


def is_plain(value: Any) -> bool:
    """Tell whether a value is a number, text, None, or a tuple of them."""
    return isinstance(value, PLAIN) or (type(value) is tuple and all(map(is_plain, value)))


def same(a: Any, b: Any) -> bool:
    """Tell whether two values are one, or numbers or texts that no step could tell apart."""
    # The text of a number tells 1 from 1.0 and from True, 0.0 from -0.0, and finds NaN equal to itself.
    return a is b or (type(a) is type(b) and is_plain(a) and repr(a) == repr(b))


def code_name(name: str, key: str) -> str:
    """Give the name by which code mentions a place."""
    return name if key in ("", "cell_contents") else key
