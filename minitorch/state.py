"""The values of a model as arrays by name: how they are read, and how they are put back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .dtypes import FLOATS
from .errors import DTypeError, ShapeError
from .function import require_tensor
from .tensor import Tensor
from .tensor_data import TensorData
from .tensor_ops import TensorBackend

if TYPE_CHECKING:
    from .module import Buffer, Parameter

    Named = Iterable[tuple[str, Parameter | Buffer]]

__all__ = ["Arrays", "IncompatibleKeys", "arrays_of", "as_array", "fill", "fitting", "move"]

Arrays = dict[str, npt.NDArray[Any]]

REBUILD = "Build the model with the arguments that it was saved with."


class IncompatibleKeys(NamedTuple):
    """The names in which a state differs from the values that it was to fill, as PyTorch reports them.

    Attributes:
        missing_keys: values for which there was no array; they keep what they had.
        unexpected_keys: arrays for which there was no value; they are left out.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


def arrays_of(named: Named) -> Arrays:
    """Copy values that hold tensors into arrays, by their names."""
    return {name: np.array(as_array(name, held.value)) for name, held in named}


def fill(owner: str, named: Named, state: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
    """Replace values by the arrays of their names, converted to the dtypes that they have; all that fit, or none.

    Whether a value is trained stays what it is.

    Args:
        owner: whose values these are, for a message.
        named: the values by name; each holds a tensor.
        state: arrays or tensors by name.
        strict: refuse names that are missing or unexpected; otherwise they are left out.

    Returns:
        The names that are missing and unexpected.

    Raises:
        ShapeError: a name is missing or unexpected, or a shape differs; the message lists all of them.
        DTypeError: there are no names, or a value is neither an array nor a tensor.
    """
    own = dict(named)
    arrays = fitting(owner, own.items(), state, strict)
    keys = IncompatibleKeys([name for name in own if name not in arrays], [name for name in arrays if name not in own])
    for name, held in own.items():
        if name in arrays:
            before = held.value
            array = np.array(arrays[name], dtype=before.dtype, order="C")
            _replace(held, before._new(TensorData.from_array(array)))
    return keys


def fitting(owner: str, named: Named, state: Mapping[str, Any], strict: bool = True, advice: str = REBUILD) -> Arrays:
    """Check that there is an array for every value, in its shape, and no other; change nothing.

    Args:
        owner: whose values these are, for a message.
        named: the values by name; each holds a tensor.
        state: arrays or tensors by name.
        strict: refuse names that are missing or unexpected; otherwise only shapes are compared.
        advice: what to do where something does not fit.

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
    problems = []
    if strict:
        problems += [f"missing: {name} {held.value.shape}" for name, held in own.items() if name not in arrays]
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
            + f"\n{advice}"
        )
    return arrays


def move(named: Named, target: TensorBackend | npt.DTypeLike) -> None:
    """Move values to another backend, or convert those of floats to another dtype.

    Whether a value is trained stays what it is. Gradients are not carried along.

    Args:
        named: the values by name; each holds a tensor.
        target: a backend, float32 or float64.

    Raises:
        DTypeError: the target is neither a backend nor one of these types, or a value is no tensor.
    """
    values = dict(named)
    if not isinstance(target, TensorBackend):
        target = _float_type(target)
    for name, held in values.items():
        require_tensor(f"to: {name!r}", held.value)
    for held in values.values():
        value = held.value
        if isinstance(target, TensorBackend):
            stays = value.backend is target
        else:
            stays = value.dtype == target or value.dtype.kind != "f"
        if not stays:
            _replace(held, value.detach().to(target))


def _float_type(given: Any) -> np.dtype[Any]:
    try:
        dtype = None if given is None else np.dtype(given)
    except TypeError:
        dtype = None
    if dtype is None or dtype not in FLOATS:
        raise DTypeError(
            f"expected a backend, such as minitorch.FastBackend, or float32 or float64, got {given!r}. There are no "
            "names of devices: a GPU is TensorBackend(minitorch.CudaOps)."
        )
    return dtype


def _replace(held: Parameter | Buffer, value: Tensor) -> None:
    """Hold another tensor, which is trained if the one before was."""
    trained = held.value.requires_grad()
    held.update(value)
    held.value.requires_grad_(trained)


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
