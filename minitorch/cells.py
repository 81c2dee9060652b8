"""Values that outlast a training step: parameters, an optimiser's averages, its learning rate and its step count.

A *cell* is a holder and a key: an attribute of an object, or an entry of a dictionary. Outside a compiled step these
functions are plain reads and writes. While :mod:`minitorch.compiler` traces a step they hand the cell to the tracer,
so that the program looks the value up anew in every call, and puts back what the step wrote: nothing that a step
reads through here is frozen into its program.
"""

from __future__ import annotations

from threading import local
from typing import Any

__all__ = ["is_set", "look", "read", "tracing", "write"]


class _Tracing(local):
    """What records the tensor operations of this thread; None almost always."""

    tracer: Any = None


tracing = _Tracing()


def look(holder: Any, key: str) -> Any:
    """Give the value that a cell holds at this moment, past any tracer; None for an entry that is not there.

    >>> look({"lr": 0.1}, "lr"), look({}, "lr")
    (0.1, None)
    """
    return holder.get(key) if isinstance(holder, dict) else getattr(holder, key)


def read(holder: Any, key: str) -> Any:
    """Give the value of a cell: a tensor, a number, or a tuple of numbers.

    While a step is traced, a tensor or a float of the tracer stands for it.

    >>> read({"lr": 0.1}, "lr")
    0.1
    """
    if tracing.tracer is not None:
        return tracing.tracer.read(holder, key)
    return holder[key] if isinstance(holder, dict) else getattr(holder, key)


def write(holder: Any, key: str, value: Any) -> None:
    """Set the value of a cell.

    >>> state = {"step": 0}
    >>> write(state, "step", read(state, "step") + 1)
    >>> state
    {'step': 1}
    """
    if tracing.tracer is not None:
        tracing.tracer.write(holder, key, value)
    elif isinstance(holder, dict):
        holder[key] = value
    else:
        setattr(holder, key, value)


def is_set(holder: Any, key: str) -> bool:
    """Tell whether the value of a cell is other than None, False and 0: for a choice between two ways to compute.

    A compiled step is traced again when the answer changes, so the choice is not frozen either.

    >>> is_set({"momentum": 0.0}, "momentum")
    False
    """
    if tracing.tracer is not None:
        return tracing.tracer.is_set(holder, key)
    return bool(read(holder, key))
