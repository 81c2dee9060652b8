"""Where a step finds values, and whether they are still the same.

A :class:`Place` is a name or an attribute, :class:`Contents` are those of a container. Both remember what was there
when they were made.
"""

from __future__ import annotations

import collections
import itertools
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .trace import ARRAY_LIMIT

__all__ = ["CONTAINERS", "MISSING", "PLAIN", "Contents", "Place", "code_name", "is_plain", "same"]

PLAIN = (int, float, complex, str, bytes, range, type(None), np.generic)
CONTAINERS = (list, dict, set, collections.deque, np.ndarray)
# Types whose values are the same where they are equal and not zero.
EQUAL = frozenset((int, float, str, bytes))
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

    def __post_init__(self) -> None:
        self.before = list(_elements(self.container))

    def same(self) -> bool:
        """Tell whether the same elements are there."""
        if _count(self.container) != len(self.before):
            return False
        if all(map(operator.is_, _elements(self.container), self.before)):
            return True
        now = list(_elements(self.container))
        if not all(map(same, now, self.before)):
            return False
        self.before = now  # equal, but not identical: they are from the next call on
        return True

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


def _elements(container: Any) -> Iterable[Any]:
    """Go through the elements without making a list of them; for a dictionary, keys and then values."""
    if isinstance(container, dict):
        return itertools.chain(container, container.values())
    if isinstance(container, np.ndarray):
        # A larger array is refused once the trace is done.
        few = container.nbytes <= ARRAY_LIMIT
        return [container.shape, container.dtype.str, container.tobytes() if few else b""]
    return container


def _count(container: Any) -> int:
    if isinstance(container, np.ndarray):
        return 3
    return 2 * len(container) if isinstance(container, dict) else len(container)


def is_plain(value: Any) -> bool:
    """Tell whether a value is a number, text, None, or a tuple of them."""
    return isinstance(value, PLAIN) or (type(value) is tuple and all(map(is_plain, value)))


def same(a: Any, b: Any) -> bool:
    """Tell whether two values are one, or numbers or texts that no step could tell apart."""
    if a is b:
        return True
    kind = type(a)
    if kind is not type(b):
        return False
    if kind in EQUAL and a == b and a:
        return True
    # The text of a number tells 0.0 from -0.0, and finds NaN equal to itself.
    return is_plain(a) and repr(a) == repr(b)


def code_name(name: str, key: str) -> str:
    """Give the name by which code mentions a place."""
    return name if key in ("", "cell_contents") else key
