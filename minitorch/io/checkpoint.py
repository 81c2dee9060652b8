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

from ..creation import at_most
from ..errors import ArgumentError, DataError, DTypeError
from ..module import Module
from ..state import Arrays, IncompatibleKeys, as_array, fitting
from ..tensor import Tensor
from .arrays import load_arrays, save_arrays

__all__ = ["load", "load_model", "load_state_dict", "save", "state_dict"]

M = TypeVar("M", bound=Module)

# The entries of our metadata: what is no array, and how to make the model anew.
STATE, ARCHITECTURE = "state", "architecture"

# How many numbers a model may make beside those in its file: masks, tables and first values, say.
SPARE = 1 << 22

# What stands in JSON for a value that JSON lacks.
ARRAY, TUPLE, ITEMS = "$array", "$tuple", "$items"


# --- modules -------------------------------------------------------------------------------------------------


def state_dict(module: Module) -> Arrays:
    """Give a copy of every parameter and persistent buffer as an array: ``module.state_dict()``."""
    return module.state_dict()


def load_state_dict(module: Module, state: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
    """Give every parameter and persistent buffer the array of its name: ``module.load_state_dict(state, strict)``."""
    return module.load_state_dict(state, strict)


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
    if hasattr(value, "state_dict"):
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


def load(path: str | os.PathLike[str], map_location: str | None = None, *, weights_only: bool = True) -> Any:
    """Read what :func:`save` wrote, or any other safetensors file.

    Args:
        path: the file. Its content tells what it is, and not its name.
        map_location: taken for PyTorch's sake; the arrays are in the computer's memory, which PyTorch calls ``"cpu"``.
        weights_only: taken for PyTorch's sake; a file holds nothing that could run.

    Returns:
        What was saved, with an array for each array and tensor and a state dict for each module and optimiser, whose
        method ``load_state_dict`` takes it.

    Raises:
        ArgumentError: ``map_location`` is another device, or ``weights_only`` is False.
        DataError: there is no such file, or it is truncated, or it is something else (a pickle from PyTorch is told
            by its content).

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "weights")
    >>> save({"weight": np.array([1.0, 2.0])}, path)
    >>> load(path)
    {'weight': array([1., 2.])}
    """
    if map_location not in (None, "cpu"):
        raise ArgumentError(
            f"load gives arrays in the computer's memory: expected map_location='cpu' or none, got {map_location!r}. "
            "Leave it out, and move the model that takes the arrays with model.to(backend)."
        )
    if weights_only is not True:
        raise ArgumentError(
            f"load reads data and never code: expected weights_only=True, got {weights_only!r}. Leave it out; a "
            "pickle is converted where it was made."
        )
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
        DataError: the file cannot be read, does not say how its model was made, holds another model, or names
            arguments that make none or one far larger than the file.
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
    try:
        with at_most(2 * sum(array.size for array in arrays.values()) + SPARE):
            model = build(**arguments)
    except (ArgumentError, MemoryError, OverflowError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} holds a {name} made with {arguments}, and with these {build.__name__} makes none "
            f"({type(error).__name__}: {error}). Copy the file again, or build the model yourself and fill it with "
            "model.load_state_dict(minitorch.load(path))."
        ) from error
    if not arguments and isinstance(build, type):
        advice = (
            f"{path} names no arguments for its {name}, which had no attribute arguments when it was saved. Pass "
            "load_model a function of your own that builds the model, or build it yourself and fill it with "
            "model.load_state_dict(minitorch.load(path))."
        )
        fitting(name, model.named_state(), state, advice=advice)
    model.load_state_dict(state)
    return model


def _read_architecture(path: str | os.PathLike[str], metadata: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Check what the metadata says about the model."""
    match metadata.get(ARCHITECTURE):
        case {"class": str() as name, "arguments": dict() as arguments}:
            return name, arguments
    raise DataError(
        f"{path} does not say how its model was made: expected a file of minitorch.save(model, path). Build the model "
        "yourself, and fill it with model.load_state_dict(minitorch.load(path))."
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
