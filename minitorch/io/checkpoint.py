"""Saving and loading parameters as safetensors: named arrays and a JSON header, with nothing in it that can run.

A file is written as a whole or not at all: a crash or a full disk leaves the old one as it was.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, DTypeError, ShapeError
from ..files import write_atomically
from ..module import Module
from ..tensor import Tensor
from ..tensor_data import TensorData

__all__ = ["load", "load_state_dict", "save", "state_dict"]

Arrays = dict[str, npt.NDArray[Any]]

# Where our own metadata is kept in the header, which holds strings only.
METADATA = "minitorch"


def state_dict(module: Module) -> Arrays:
    """Give a copy of every parameter and persistent buffer as an array, by its dotted name."""
    return {name: np.array(p.value.to_numpy()) for name, p in module.named_state()}


def load_state_dict(module: Module, state: Mapping[str, npt.NDArray[Any]]) -> None:
    """Give every parameter and persistent buffer of a module the array of its name, converted to its dtype.

    Nothing is changed unless everything fits.

    Args:
        module: what to fill.
        state: arrays by dotted name.

    Raises:
        ShapeError: a name is missing or unexpected, or a shape differs; the message lists all of them.
    """
    parameters = dict(module.named_state())
    problems = [f"missing: {name} {p.value.shape}" for name, p in parameters.items() if name not in state]
    problems += [f"unexpected: {name} {state[name].shape}" for name in state if name not in parameters]
    problems += [
        f"misshapen: {name} is {state[name].shape}, the model's is {p.value.shape}"
        for name, p in parameters.items()
        if name in state and tuple(state[name].shape) != p.value.shape
    ]
    if problems:
        raise ShapeError(
            f"the arrays do not fit {type(module).__name__}: expected one for each parameter, in its shape, but\n  "
            + "\n  ".join(problems)
            + "\nBuild the model with the arguments that it was saved with."
        )
    for name, p in parameters.items():
        array = np.array(state[name], dtype=p.value.dtype, order="C")
        p.update(p.value._new(TensorData.from_array(array)))


def save(path: str | os.PathLike[str], state: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
    """Write named arrays to a safetensors file.

    Args:
        path: the file; its folder is made.
        state: arrays or tensors by name, of any memory layout.
        metadata: anything that JSON can hold, to travel along (the arguments that rebuild the model, for example).

    Raises:
        DTypeError: a value is neither an array nor a tensor.
        OSError: the file cannot be written; an older one stays as it was.
    """
    from safetensors.numpy import save as to_bytes

    arrays = {}
    for name, value in state.items():
        array = value.to_numpy() if isinstance(value, Tensor) else value
        if not isinstance(array, np.ndarray):
            raise DTypeError(
                f"expected an array or a tensor for {name!r}, got {type(value).__name__}. Pass state_dict(model); what "
                "is no array can travel as metadata."
            )
        # The writer takes the memory as it lies, so a transposed array would be stored wrongly.
        arrays[name] = np.asarray(array, order="C")
    content = to_bytes(arrays, {METADATA: json.dumps(dict(metadata or {}))})
    write_atomically(Path(path), content)


def load(path: str | os.PathLike[str]) -> tuple[Arrays, dict[str, Any]]:
    """Read a safetensors file: its arrays by name, and the metadata that :func:`save` was given.

    Raises:
        DataError: there is no such file, or it is truncated, or it is something else (a pickle from PyTorch is told
            by its content).
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the model {path}: {error.strerror}. Train one first, or give its path.") from None
    if _is_pickle(content):
        raise DataError(
            f"{path} is a pickle, which can run code when it is read. Convert it where it was made, in PyTorch:\n"
            "  from safetensors.torch import save_file\n"
            '  save_file(torch.load("model.pt", weights_only=True), "model.safetensors")'
        )
    try:
        arrays = from_bytes(content)
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length]).get("__metadata__") or {}
        metadata = json.loads(header.get(METADATA, "{}"))
    except (SafetensorError, ValueError, KeyError) as error:
        raise DataError(
            f"{path} is not a whole safetensors file ({error}): expected one that save() wrote. Copy it again, or "
            "train the model again."
        ) from None
    return arrays, metadata


def _is_pickle(content: bytes) -> bool:
    """Tell a pickle, alone or in the zip archive that PyTorch makes, by how it begins."""
    # A safetensors file begins with the length of its header, which can read like a pickle: 640 is the bytes 80 02.
    # The header itself is JSON and tells the two apart.
    return content[8:9] != b"{" and (content[:1] == b"\x80" or content[:2] == b"PK")
