"""Saving and loading what training has made: models, optimisers, and nests of both with numbers and text.

A nest is written as a safetensors file: its arrays under joined names such as ``model/0.weight``, and everything else
as JSON in the header. A single state dict keeps its plain names, so that PyTorch reads the file as it is.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import ArgumentError, DataError, DTypeError, ShapeError
from ..module import Buffer, Module, Parameter
from ..tensor import Tensor
from ..tensor_data import TensorData
from .arrays import Arrays, as_array, load_arrays, save_arrays

__all__ = ["load", "load_model", "load_state_dict", "save", "state_dict"]

M = TypeVar("M", bound=Module)

# The entries of our metadata: what is no array, and how to make the model anew.
STATE, ARCHITECTURE = "state", "architecture"

# What stands in JSON for a value that JSON lacks.
ARRAY, TUPLE, ITEMS = "$array", "$tuple", "$items"


# --- modules -------------------------------------------------------------------------------------------------


def state_dict(module: Module) -> Arrays:
    """Give a copy of every parameter and persistent buffer as an array, by its dotted name.

    >>> from minitorch.layers import Linear
    >>> {name: array.shape for name, array in state_dict(Linear(3, 2)).items()}
    {'weight': (2, 3), 'bias': (2,)}
    """
    return {name: np.array(as_array(name, p.value)) for name, p in module.named_state()}


def load_state_dict(module: Module, state: Mapping[str, Any]) -> None:
    """Give every parameter and persistent buffer of a module the array of its name, converted to its dtype.

    Nothing is changed unless everything fits.

    Args:
        module: what to fill.
        state: arrays or tensors by dotted name; PyTorch's names are the same for layers of the same kind.

    Raises:
        ShapeError: a name is missing or unexpected, or a shape differs; the message lists all of them.
        DTypeError: there are no names, or a value is neither an array nor a tensor.

    >>> from minitorch.layers import Linear
    >>> layer = Linear(2, 1)
    >>> load_state_dict(layer, {"weight": np.ones((1, 2)), "bias": np.zeros(1)})
    >>> layer.weight.value.tolist()
    [[1.0, 1.0]]
    """
    if not isinstance(state, Mapping):
        raise DTypeError(
            f"expected arrays by name, got {type(state).__name__}. Pass a state dict, as minitorch.load(path) gives."
        )
    arrays = {name: as_array(name, value) for name, value in state.items()}
    parameters = dict(module.named_state())
    problems = [f"missing: {name} {p.value.shape}" for name, p in parameters.items() if name not in arrays]
    problems += [f"unexpected: {name} {array.shape}" for name, array in arrays.items() if name not in parameters]
    problems += [
        f"misshapen: {name} is {arrays[name].shape}, the model's is {p.value.shape}"
        for name, p in parameters.items()
        if name in arrays and arrays[name].shape != p.value.shape
    ]
    if problems:
        raise ShapeError(
            f"the arrays do not fit {type(module).__name__}: expected one for each parameter, in its shape, but\n  "
            + "\n  ".join(problems)
            + "\nBuild the model with the arguments that it was saved with."
        )
    for name, p in parameters.items():
        _replace(p, arrays[name])


def _replace(parameter: Parameter | Buffer, array: npt.NDArray[Any]) -> None:
    own = np.array(array, dtype=parameter.value.dtype, order="C")
    parameter.update(parameter.value._new(TensorData.from_array(own)))


# --- saving --------------------------------------------------------------------------------------------------


def save(state: Any, path: str | os.PathLike[str]) -> None:
    """Write a model, a state dict, or a nest of these and of plain values to a file.

    A module, an optimiser or anything else with a method ``state_dict`` is saved as what that gives. A module that is
    all there is to save, or the entry ``"model"`` of a dictionary, takes the name of its class with it, and its
    attribute ``arguments``, where it has one: the keyword arguments that make it anew, for :func:`load_model`.

    Args:
        state: a module; arrays and tensors by name; or dictionaries, lists and tuples of modules, optimisers, arrays,
            tensors, numbers, truth values, text and None.
        path: the file, whatever its name; its folder is made.

    Raises:
        ArgumentError: the path comes first.
        DTypeError: something that is data of none of these kinds.
        OSError: the file cannot be written; an older one stays as it was.

    >>> import tempfile
    >>> from minitorch.layers import Linear
    >>> path = os.path.join(tempfile.mkdtemp(), "checkpoint.pt")
    >>> save({"model": Linear(2, 1), "epoch": 3, "losses": [0.5, 0.25]}, path)
    >>> state = load(path)
    >>> state["model"]["weight"].shape, state["epoch"], state["losses"]
    ((1, 2), 3, [0.5, 0.25])
    """
    if isinstance(state, (str, os.PathLike)):
        raise ArgumentError(
            f"save takes what to save and then the path, got the path {os.fspath(state)!r} first. Write save(state, "
            "path)."
        )
    metadata: dict[str, Any] = {}
    model = state.get("model") if isinstance(state, Mapping) else state
    if isinstance(model, Module):
        metadata[ARCHITECTURE] = _architecture(model)
    arrays: dict[str, Any] = {}
    tree = _packed(state, "", arrays)
    if not _is_plain(tree):
        metadata[STATE] = tree
    save_arrays(path, arrays, metadata)


def _architecture(model: Module) -> dict[str, Any]:
    """Describe how to make a model anew: the name of its class, and keyword arguments."""
    name = type(model).__name__
    arguments = getattr(model, "arguments", {})
    try:
        known = isinstance(arguments, dict) and json.loads(json.dumps(arguments)) == arguments
    except (TypeError, ValueError):
        known = False
    if not known:
        raise DTypeError(
            f"expected the attribute arguments of {name} to be a dictionary of keyword arguments that JSON can hold "
            f"(numbers, text, lists), got {arguments!r}. Leave out what the caller of load_model shall give."
        )
    return {"class": name, "arguments": arguments}


def _packed(value: Any, path: str, arrays: dict[str, Any]) -> Any:
    """Turn a nest into what JSON can hold; arrays are set aside under their paths."""
    if isinstance(value, Module):
        value = state_dict(value)
    elif hasattr(value, "state_dict"):
        value = value.state_dict()
    if isinstance(value, (Tensor, np.ndarray)):
        while path in arrays:  # {"a": {"b": x}, "a/b": y}
            path += "'"
        arrays[path] = as_array(path, value)
        return {ARRAY: path}
    if isinstance(value, Mapping):
        items = [(key, _packed(v, f"{path}/{key}" if path else str(key), arrays)) for key, v in value.items()]
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return dict(items)
        return {ITEMS: [[_packed(key, path, arrays), packed] for key, packed in items]}
    if isinstance(value, (list, tuple)):
        packed = [_packed(v, f"{path}/{i}" if path else str(i), arrays) for i, v in enumerate(value)]
        return packed if isinstance(value, list) else {TUPLE: packed}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise DTypeError(
        f"expected data at {path or 'the top'!r}: modules, optimisers, arrays, tensors, numbers, text, None, and "
        f"dictionaries, lists and tuples of them; got {type(value).__name__}. Save what it is made of."
    )


def _is_plain(tree: Any) -> bool:
    """Tell whether arrays by name are all there is, each under its own name."""
    return isinstance(tree, dict) and all(value == {ARRAY: name} for name, value in tree.items())


# --- loading -------------------------------------------------------------------------------------------------


def load(path: str | os.PathLike[str]) -> Any:
    """Read what :func:`save` wrote, or any other safetensors file.

    Args:
        path: the file. Its content tells what it is, and not its name.

    Returns:
        What was saved, with an array for each array and tensor and a state dict for each module and optimiser:
        :func:`load_state_dict` and the optimisers' method of that name take them.

    Raises:
        DataError: there is no such file, or it is truncated, or it is something else (a pickle from PyTorch is told
            by its content).

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "weights")
    >>> save({"weight": np.array([1.0, 2.0])}, path)
    >>> load(path)
    {'weight': array([1., 2.])}
    """
    arrays, metadata = load_arrays(path)
    return _state(path, arrays, metadata)


def load_model(path: str | os.PathLike[str], build: Callable[..., M], **more: Any) -> M:
    """Make the model that a file holds: the code is the caller's, and the file gives its arguments and parameters.

    Args:
        path: a file of :func:`save`, of a module or of a dictionary with a module as its entry ``"model"``.
        build: the model's class, or a function that makes one; called with the keyword arguments of the file.
        more: further keyword arguments, which come before those of the file.

    Returns:
        The model, in training mode.

    Raises:
        DataError: the file cannot be read, does not say how its model was made, or holds another model.
        ShapeError: the model has other parameters; the message lists all that do not fit.

    >>> import tempfile
    >>> from minitorch.layers import Linear
    >>> class Line(Linear):
    ...     def __init__(self, degree):
    ...         super().__init__(degree, 1)
    ...         self.arguments = {"degree": degree}
    >>> path = os.path.join(tempfile.mkdtemp(), "line.pt")
    >>> save(Line(3), path)
    >>> load_model(path, Line).weight.value.shape
    (1, 3)
    """
    arrays, metadata = load_arrays(path)
    name, arguments = _read_architecture(path, metadata)
    if isinstance(build, type) and build.__name__ != name:
        raise DataError(f"{path} holds a model of the class {name}, expected {build.__name__}. Pass {name} instead.")
    arguments = {**arguments, **more}
    try:
        inspect.signature(build).bind(**arguments)
    except TypeError as error:
        raise DataError(
            f"{path} holds a {name} made with {arguments}, which {build.__name__} does not take ({error}). Give the "
            "model an attribute arguments, a dictionary of what it was made with, before it is saved; what the file "
            "lacks, pass to load_model."
        ) from None
    state = _state(path, arrays, metadata)
    if STATE in metadata:
        state = state.get("model") if isinstance(state, dict) else None
    if not isinstance(state, dict):
        raise DataError(f'{path} holds no parameters: expected a dictionary with the entry "model". Save it again.')
    model = build(**arguments)
    load_state_dict(model, state)
    return model


def _read_architecture(path: str | os.PathLike[str], metadata: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Check what the metadata says about the model."""
    match metadata.get(ARCHITECTURE):
        case {"class": str() as name, "arguments": dict() as arguments}:
            return name, arguments
    raise DataError(
        f"{path} does not say how its model was made: expected a file of minitorch.save(model, path). Build the model "
        "yourself, and fill it with load_state_dict(model, minitorch.load(path))."
    )


def _state(path: str | os.PathLike[str], arrays: Arrays, metadata: dict[str, Any]) -> Any:
    """Put the arrays back into the nest that they were taken from."""
    if STATE not in metadata:
        return arrays
    try:
        return _unpacked(metadata[STATE], arrays)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path} says of its state what does not fit its arrays ({type(error).__name__}: {error}): expected a "
            "file of minitorch.save. Copy it again, or train again."
        ) from None


def _unpacked(tree: Any, arrays: Arrays) -> Any:
    """Undo :func:`_packed`."""
    if isinstance(tree, list):
        return [_unpacked(v, arrays) for v in tree]
    if not isinstance(tree, dict):
        return tree
    if ARRAY in tree:
        return arrays[tree[ARRAY]]
    if TUPLE in tree:
        return tuple(_unpacked(v, arrays) for v in tree[TUPLE])
    if ITEMS in tree:
        return {_unpacked(key, arrays): _unpacked(value, arrays) for key, value in tree[ITEMS]}
    return {key: _unpacked(value, arrays) for key, value in tree.items()}
