"""Making tensors: from numbers, filled, or drawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from .dtypes import default_dtype, float_dtype, storage_dtype
from .errors import BackendError, DTypeError, ShapeError
from .random import default_generator
from .tensor import Tensor
from .tensor_data import TensorData, UserShape
from .tensor_ops import SimpleBackend, TensorBackend

__all__ = ["ones", "rand", "set_default_backend", "tensor", "zeros"]

_default_backend = SimpleBackend


def set_default_backend(backend: TensorBackend) -> None:
    """Choose where tensors are made when no ``backend`` is given; at first the course's SimpleBackend."""
    global _default_backend
    _default_backend = check_backend(backend)


def check_backend(backend: Any) -> TensorBackend:
    """Give ``backend`` back if it is one.

    Raises:
        BackendError: it is something else, such as the class of its operations.
    """
    if not isinstance(backend, TensorBackend):
        name = getattr(backend, "__name__", repr(backend))
        raise BackendError(
            f"expected a TensorBackend, got {name}. Write TensorBackend(SimpleOps) or TensorBackend(FastOps)."
        )
    return backend


def _wrap(array: npt.NDArray[Any], backend: TensorBackend | None, requires_grad: bool) -> Tensor:
    backend = _default_backend if backend is None else check_backend(backend)
    out = Tensor(TensorData.from_array(array), backend=backend)
    return out.requires_grad_(True) if requires_grad else out


def tensor(
    ls: Any,
    backend: TensorBackend | None = None,
    requires_grad: bool = False,
    dtype: npt.DTypeLike | None = None,
) -> Tensor:
    """Make a tensor from a number, nested lists of numbers, or a NumPy array. The data is copied.

    Args:
        ls: the numbers. Python numbers are stored in the default dtype (float64), an array keeps its own.
        backend: what computes.
        requires_grad: record what is computed from it.
        dtype: float32, float64, bool or an integer type.

    Raises:
        ShapeError: the lists are ragged.
        DTypeError: an element is not a number, or the dtype is unknown.

    >>> tensor([[1, 2, 3], [4, 5, 6]]).shape
    (2, 3)
    """
    if isinstance(ls, Tensor):
        raise DTypeError(
            "expected numbers, got a tensor: it is one already; detach() gives a constant of the same data"
        )
    target = storage_dtype(dtype) if dtype is not None else None
    if not isinstance(ls, np.ndarray):
        ls, target = _numbers(ls), target or default_dtype()
    array = np.array(ls, dtype=target or storage_dtype(ls.dtype), order="C")
    return _wrap(array, backend, requires_grad)


def _numbers(ls: Any) -> npt.NDArray[Any]:
    """Read nested lists. NumPy is not told the dtype yet: it would turn None into NaN, and text into numbers."""
    try:
        array = np.asarray(ls)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ShapeError(
            "the lists are ragged: expected lists of one length at each depth. Pad the shorter ones."
        ) from None
    if array.dtype.kind not in "biuf":
        for element in array.reshape(-1).tolist():
            if not isinstance(element, (int, float)):  # an integer beyond 64 bits is a number too
                raise DTypeError(
                    f"expected numbers, got {element!r} of type {type(element).__name__}. Convert the elements first, "
                    "for example with float()."
                )
    return array


def _checked(shape: UserShape) -> tuple[int, ...]:
    given = shape
    shape = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    if not all(isinstance(n, (int, np.integer)) for n in shape):
        raise ShapeError(f"a shape has whole sizes, got {given!r}. Write (2, 3), for example.")
    if any(n < 0 for n in shape):
        raise ShapeError(f"a shape has sizes of 0 or more, got {shape}. Only view() takes -1, and works that size out.")
    return shape


def zeros(
    shape: UserShape,
    backend: TensorBackend | None = None,
    requires_grad: bool = False,
    dtype: npt.DTypeLike | None = None,
) -> Tensor:
    """Make a tensor of zeros.

    >>> zeros((2, 2)).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    return _wrap(np.zeros(_checked(shape), storage_dtype(dtype or default_dtype())), backend, requires_grad)


def ones(
    shape: UserShape,
    backend: TensorBackend | None = None,
    requires_grad: bool = False,
    dtype: npt.DTypeLike | None = None,
) -> Tensor:
    """Make a tensor of ones.

    >>> ones((3,)).tolist()
    [1.0, 1.0, 1.0]
    """
    return _wrap(np.ones(_checked(shape), storage_dtype(dtype or default_dtype())), backend, requires_grad)


def rand(
    shape: UserShape,
    backend: TensorBackend | None = None,
    requires_grad: bool = False,
    dtype: npt.DTypeLike | None = None,
) -> Tensor:
    """Draw a tensor from the uniform distribution on $[0, 1)$; :func:`minitorch.manual_seed` fixes the draw.

    Every backend draws the same numbers.
    """
    draws = default_generator.uniform(_checked(shape), float_dtype(dtype or default_dtype()))
    return _wrap(draws, backend, requires_grad)
