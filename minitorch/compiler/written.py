"""Python functions that are written as text, each for one trace: around every call, straight-line code and no loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["WrittenFunction"]


class WrittenFunction:
    """The text of a function, and what the names in it mean.

    Args:
        head: its first line.
        names: what it mentions.

    >>> double = WrittenFunction("def double(x):")
    >>> double.add(f"return x * {double.name('factor', 2.0)}")
    >>> print(double)
    def double(x):
        return x * factor_0
    >>> double.made()(3.0)
    6.0
    """

    def __init__(self, head: str, **names: Any) -> None:
        self._lines = [head]
        self._names = names
        self._known: dict[int, str] = {}  # what values are called, by their ids

    def add(self, *lines: str) -> None:
        """Write lines of its body."""
        self._lines += lines

    def name(self, kind: str, value: Any) -> str:
        """Give a value a name: always the same one."""
        if id(value) not in self._known:
            name = self._known[id(value)] = f"{kind}_{len(self._known)}"
            self._names[name] = value
        return self._known[id(value)]

    def cell(self, holder: Any, key: str) -> str:
        """Write how a cell is looked up; see :func:`minitorch.cells.look`."""
        name = self.name("holder", holder)
        return f"{name}.get({key!r})" if isinstance(holder, dict) else f"{name}.{key}"

    def made(self, **names: Any) -> Callable[..., Any]:
        """Make the function, with further names."""
        space = {**self._names, **names}
        exec(str(self), space)
        head = self._lines[0]
        return space[head[len("def ") : head.index("(")]]

    def __str__(self) -> str:
        return "\n    ".join(self._lines)
