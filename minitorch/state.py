"""The values of a model as arrays by name: how they are read, and how they are put back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import DTypeError, ShapeError
from .tensor import Tensor
from .tensor_data import TensorData

if TYPE_CHECKING:
    from .module import Buffer, Parameter

    Named = Iterable[tuple[str, Parameter | Buffer]]

__all__ = ["Arrays", "arrays_of", "as_array", "fill", "fitting"]

Arrays = dict[str, npt.NDArray[Any]]


def arrays_of(named: Named) -> Arrays:
    """Copy values that hold tensors into arrays, by their names."""
    return {name: np.array(as_array(name, held.value)) for name, held in named}


def fill(owner: str, named: Named, state: Mapping[str, Any]) -> None:
    """Replace values by the arrays of their names, converted to the dtypes that they have; all of them, or none.

    Whether a value is trained stays what it is.

    Args:
        owner: whose values these are, for a message.
        named: the values by name; each holds a tensor.
        state: arrays or tensors by name.

    Raises:
        ShapeError: a name is missing or unexpected, or a shape differs; the message lists all of them.
        DTypeError: there are no names, or a value is neither an array nor a tensor.
    """
    own = dict(named)
    arrays = fitting(owner, own.items(), state)
    for name, held in own.items():
        before = held.value
        array = np.array(arrays[name], dtype=before.dtype, order="C")
        held.update(before._new(TensorData.from_array(array)))
        held.value.requires_grad_(before.requires_grad())


def fitting(owner: str, named: Named, state: Mapping[str, Any]) -> Arrays:
    """Check that there is an array for every value, in its shape, and no other; change nothing.

    Args:
        owner: whose values these are, for a message.
        named: the values by name; each holds a tensor.
        state: arrays or tensors by name.

    Returns:
        The arrays by name.

    Raises:
        ShapeError: a name is missing or unexpected, or a shape differs; the message lists all of them.
        DTypeError: there are no names, or a value is neither an array nor a tensor.
    """
    if not isinstance(state, Mapping):
        raise DTypeError(
            f"expected arrays by name, got {type(state).__name__}. Pass a state dict, as minitorch.load(path) gives."
        )
    arrays = {name: as_array(name, value) for name, value in state.items()}
    own = dict(named)
    problems = [f"missing: {name} {held.value.shape}" for name, held in own.items() if name not in arrays]
    problems += [f"unexpected: {name} {array.shape}" for name, array in arrays.items() if name not in own]
    problems += [
        f"misshapen: {name} is {arrays[name].shape}, the model's is {held.value.shape}"
        for name, held in own.items()
        if name in arrays and arrays[name].shape != held.value.shape
    ]
    if problems:
        raise ShapeError(
            f"the arrays do not fit {owner}: expected one for each parameter, in its shape, but\n  "
            + "\n  ".join(problems)
            + "\nBuild the model with the arguments that it was saved with."
        )
    return arrays


def as_array(name: str, value: Any) -> npt.NDArray[Any]:
    """Give an array or a tensor as an array whose memory lies in the order of its elements.

    The writer of safetensors 0.8 takes the memory as it lies, so a transposed array would be stored wrongly.

    Args:
        name: what to call it in a message.
        value: an array or a tensor.

    Raises:
        DTypeError: it is neither, or its elements are of a type that the format lacks.
    """
    array = value.to_numpy() if isinstance(value, Tensor) else value
    if not isinstance(array, np.ndarray):
        raise DTypeError(
            f"expected an array or a tensor for {name!r}, got {type(value).__name__}. Make it one, as "
            "minitorch.tensor(...) does; what is no array can travel as metadata."
        )
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise DTypeError(
            f"expected floats of 16 to 64 bits, integers or truth values for {name!r}, got {array.dtype}. Convert the "
            "array with astype; text can travel as metadata."
        )
    return np.asarray(array, order="C")
