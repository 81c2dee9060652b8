"""What convolution and pooling are told about their windows, and the batch that an input may lack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from .errors import ArgumentError, ShapeError
from .function import require_tensor
from .tensor import Tensor
from .tensor_functions import View

__all__ = ["LAYOUTS", "WHOLE", "Sizes", "as_given", "batched", "read_sizes"]

Sizes: TypeAlias = int | Sequence[int]

WHOLE = (int, np.integer)

LAYOUTS = {1: "width", 2: "height x width"}


def read_sizes(name: str, argument: str, value: Any, dims: int, least: int) -> tuple[int, ...]:
    """Read one number for each dimension of space."""
    given = (value,) * dims if isinstance(value, WHOLE) else value
    if (
        not isinstance(given, Sequence)
        or isinstance(given, str)
        or len(given) != dims
        or not all(isinstance(n, WHOLE) and n >= least for n in given)
    ):
        each = "" if dims == 1 else f" or {dims} of them, one for each of {LAYOUTS[dims]}"
        raise ArgumentError(
            f"{name}: expected {argument} as a whole number from {least}{each}, got {value!r}. "
            f"Write {argument}={max(least, 1)}, for example."
        )
    return tuple(int(n) for n in given)


def batched(name: str, input: Tensor, dims: int) -> Tensor:
    """Give an input without a batch dimension one, as PyTorch does."""
    require_tensor(name, input)
    if input.dims == dims + 2:
        return input
    if input.dims == dims + 1:
        return View.apply(input.contiguous(), (1, *input.shape))
    raise ShapeError(
        f"{name} expects an input of batch x channel x {LAYOUTS[dims]}, or one without the batch, got {input.shape}. "
        "Insert missing dimensions with view."
    )


def as_given(out: Tensor, input: Tensor) -> Tensor:
    """Take the batch dimension away where the input had none."""
    return out if out.dims == input.dims else View.apply(out.contiguous(), out.shape[1:])
