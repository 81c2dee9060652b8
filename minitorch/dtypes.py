"""The element types: float32 and float64 to compute with, bool and integers for masks, labels and indices.

The default is float64, because the course checks gradients by differences of $10^{-6}$; training uses float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import DTypeError

__all__ = ["default_dtype", "float32", "float64", "get_default_dtype", "int64", "set_default_dtype"]

float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)
int64 = np.dtype(np.int64)

FLOATS = (float32, float64)
_default = float64


def default_dtype() -> np.dtype[Any]:
    """The type that Python numbers are stored in when no ``dtype`` is given."""
    return _default


get_default_dtype = default_dtype


def set_default_dtype(dtype: npt.DTypeLike) -> None:
    """Choose the type that Python numbers are stored in: float32 or float64.

    Raises:
        DTypeError: any other type.
    """
    global _default
    _default = float_dtype(dtype)


def storage_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Check that elements of this type can be stored.

    Raises:
        DTypeError: the name is unknown, or the type is not float32, float64, bool or an integer.

    >>> storage_dtype("float32")
    dtype('float32')
    """
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or (found not in FLOATS and found.kind not in "biu"):
        raise DTypeError(
            f"expected float32, float64, bool or an integer type, got {dtype!r}. Convert the data first, for example "
            'with array.astype("float32").'
        )
    return found


def float_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Check that this is a type to compute with.

    Raises:
        DTypeError: the type is neither float32 nor float64.
    """
    found = storage_dtype(dtype)
    if found not in FLOATS:
        raise DTypeError(f"expected float32 or float64, got {found}. Compute in one of these and convert afterwards.")
    return found
