"""Where a step finds values, and whether they are still the same.

A :class:`Place` is a name or an attribute, :class:`Contents` are those of a container. Both remember what was there
when they were made.
"""

from __future__ import annotations

import collections
import itertools
import operator
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..trace.tracer import ARRAY_LIMIT

__all__ = ["CONTAINERS", "MISSING", "PLAIN", "Contents", "Place", "code_name", "is_buffer", "is_plain", "same"]

PLAIN = (int, float, complex, str, bytes, range, type(None), np.generic)
MAPPINGS = (dict, types.MappingProxyType)
CONTAINERS = (list, set, collections.deque, np.ndarray, *MAPPINGS)
# Types whose values are the same where they are equal and not zero.
EQUAL = frozenset((int, float, str, bytes))
MISSING = object()


@dataclass
class Place:
    """A name or an attribute: ``read(key)`` gives what is there.

    The class of an object is its attribute ``__class__``.
    """

    name: str
    holder: Any  # a namespace, a closure's cell, a class, an object with slots, or what is asked by `read` alone
    key: str
    read: Callable[[str], Any]
    value: Any = MISSING
    module: bool = False  # an attribute of a module, so that last_change tells when it is set
    attribute: bool = False
    shadows: bool = False  # absent, and a class has an attribute of this name
    asked: bool = False  # found by a call of `read` alone

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
    cache: bool = False  # a trace may fill it
    before: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.before = list(_elements(self.container))

    @property
    def values(self) -> list[Any]:
        """What the container holds: of a dictionary the values, of bare memory nothing that could be followed."""
        if _is_memory(self.container):
            return []
        return list(self.container.values() if isinstance(self.container, MAPPINGS) else self.container)

    @property
    def size(self) -> int:
        """The number of elements."""
        if not _is_memory(self.container):
            return len(self.container)
        with memoryview(self.container) as view:
            return view.nbytes // view.itemsize

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
    if isinstance(container, MAPPINGS):
        return itertools.chain(container, container.values())
    if isinstance(container, np.ndarray):
        # A larger array is refused once the trace is done.
        few = container.nbytes <= ARRAY_LIMIT
        return [container.shape, container.dtype.str, container.tobytes() if few else b""]
    if is_buffer(container):
        with memoryview(container) as view:
            return [view.shape, view.format, view.tobytes() if view.nbytes <= ARRAY_LIMIT else b""]
    return container


def _count(container: Any) -> int:
    if isinstance(container, MAPPINGS):
        return 2 * len(container)
    return 3 if _is_memory(container) else len(container)


def _is_memory(container: Any) -> bool:
    return isinstance(container, np.ndarray) or is_buffer(container)


def is_buffer(value: Any) -> bool:
    """Tell whether a value is memory that changes, and no array of NumPy: a ``bytearray``, a number of ctypes.

    >>> is_buffer(bytearray(b"text")), is_buffer(b"text"), is_buffer([])
    (True, False, False)
    """
    if isinstance(value, (*PLAIN, *CONTAINERS, tuple, frozenset)):
        return False
    try:
        with memoryview(value):
            return True
    except (TypeError, ValueError, BufferError):  # no memory, or given back already
        return False


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
