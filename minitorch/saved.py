"""Numbers of a saved state, which may come from a file that anybody has written: checked before they are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import DataError

__all__ = ["mapping", "number", "sequence", "whole"]


def _as_float(value: Any) -> float | None:
    """Read a number, or an array of no dimensions; None for all else, and for integers beyond the floats."""
    if isinstance(value, (bool, str, bytes)):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _broken(name: str, expected: str, value: Any) -> DataError:
    text = repr(value)
    came = text if len(text) <= 60 else f"{text[:60]}... ({type(value).__name__})"
    return DataError(
        f"expected {name} as {expected}, got {came}. What was saved is broken or of another kind: copy the file again, "
        "or begin anew."
    )


def whole(name: str, value: Any, least: int = 0) -> int:
    """Read a whole number.

    Args:
        name: what to call it in a message.
        value: a number, or an array of no dimensions; as a float too, as PyTorch counts steps.
        least: the smallest that makes sense.

    Raises:
        DataError: it is something else.

    >>> whole("epoch", 3.0)
    3
    """
    exact = _as_float(value)
    if exact is None or not exact.is_integer() or exact < least:
        raise _broken(name, f"a whole number from {least}", value)
    return int(value)


def number(name: str, value: Any) -> Any:
    """Read a number, which may be infinite or NaN, as it is.

    Raises:
        DataError: it is something else.
    """
    if _as_float(value) is None:
        raise _broken(name, "a number", value)
    return value


def mapping(name: str, value: Any, *keys: str) -> Mapping[Any, Any]:
    """Read a dictionary that has at least some entries.

    Raises:
        DataError: it is something else, or lacks one.

    >>> mapping("best", {"value": 0.5}, "value", "epoch")
    Traceback (most recent call last):
    ...
    minitorch.errors.DataError: expected best as a dictionary with value, epoch, got {'value': 0.5}. What was saved ...
    """
    if not isinstance(value, Mapping) or not set(keys) <= set(value):
        raise _broken(name, "a dictionary" + (f" with {', '.join(keys)}" if keys else ""), value)
    return value


def sequence(name: str, value: Any, length: int | None = None) -> Sequence[Any]:
    """Read a list or a tuple.

    Args:
        name: what to call it in a message.
        value: the list.
        length: how long it must be; None for any.

    Raises:
        DataError: it is something else, or of another length.
    """
    if not isinstance(value, (list, tuple)) or length not in (None, len(value)):
        raise _broken(name, "a list" + ("" if length is None else f" of {length}"), value)
    return value
