"""Files of named arrays: safetensors, which are arrays behind a JSON header, with nothing in them that can run.

A file is written as a whole or not at all: a crash or a full disk leaves the old one as it was.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..files import write_atomically
from ..state import Arrays, as_array

__all__ = ["load_arrays", "save_arrays"]

# Where our own metadata is kept in the header, which holds strings only.
METADATA = "minitorch"


def save_arrays(
    path: str | os.PathLike[str], state: Mapping[str, Any], metadata: Mapping[str, Any] | None = None
) -> None:
    """Write named arrays to a safetensors file.

    Args:
        path: the file; its folder is made.
        state: arrays or tensors by name, of any memory layout.
        metadata: anything that JSON can hold, to travel along.

    Raises:
        DTypeError: a value is neither an array nor a tensor, or of a type that the format lacks.
        OSError: the file cannot be written; an older one stays as it was.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "digits.safetensors")
    >>> save_arrays(path, {"pixels": np.arange(3)}, {"source": "a drawing"})
    >>> load_arrays(path)
    ({'pixels': array([0, 1, 2])}, {'source': 'a drawing'})
    """
    from safetensors.numpy import save as to_bytes

    arrays = {name: as_array(name, value) for name, value in state.items()}
    content = to_bytes(arrays, {METADATA: json.dumps(dict(metadata or {}))})
    write_atomically(Path(path), content)


def load_arrays(path: str | os.PathLike[str]) -> tuple[Arrays, dict[str, Any]]:
    """Read a safetensors file: its arrays by name, and the metadata that :func:`save_arrays` was given.

    What kind of file it is, its content tells, and not its name.

    Args:
        path: the file.

    Returns:
        The arrays, which may be written to, and the metadata; none for a file of another program.

    Raises:
        DataError: there is no such file, or it is truncated, or it is something else (a pickle from PyTorch is told
            by its content), or NumPy lacks the type of an array.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the model {path}: {error.strerror}. Train one first, or give its path.") from None
    _refuse_pickles_and_zips(path, content)
    try:
        arrays = {name: np.require(array, requirements="W") for name, array in from_bytes(content).items()}
        metadata = _metadata(content)
    except KeyError as error:
        raise DataError(
            f"{path} holds arrays of the type {error.args[0]}, which NumPy lacks: expected floats of 16 to 64 bits, "
            "integers or truth values. Convert them where they were made; in PyTorch, tensor.float() does."
        ) from None
    except (SafetensorError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path} is not a whole safetensors file ({error}): expected one that save() wrote. Copy it again, or "
            "train the model again."
        ) from None
    return arrays, metadata


def _metadata(content: bytes) -> dict[str, Any]:
    """Read our metadata from the header of a file that is whole."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length]).get("__metadata__") or {}
    metadata = json.loads(header.get(METADATA, "{}"))
    if not isinstance(metadata, dict):
        raise ValueError(f"its metadata is a {type(metadata).__name__}")
    return metadata


# How pickles of all protocols begin: with their protocol, or with a dictionary, a list, or a name of code and its memo.
PICKLE = re.compile(rb"\x80|\([dl]p0\n|[]}]q\x00|c[\w.]+\n\w+\n(p0\n|q\x00)")


def _refuse_pickles_and_zips(path: Path, content: bytes) -> None:
    """Tell a pickle, alone or in the zip archive that PyTorch makes, and other archives, by what is in them."""
    # A safetensors file begins with the length of its header, which can read like a pickle: 640 is the bytes 80 02.
    # The header itself is JSON and tells the two apart.
    if content[8:9] == b"{":
        return
    is_zip = content.startswith(b"PK")
    # An archive has the names of its files in plain, also one that is cut short.
    if PICKLE.match(content) or (is_zip and b"/data.pkl" in content):
        ending = ".converted.safetensors" if path.suffix == ".safetensors" else ".safetensors"
        raise DataError(
            f"{path} is a pickle, which can run code when it is read. Convert it where it was made, in PyTorch:\n"
            "  from safetensors.torch import save_file\n"
            f"  save_file(torch.load({str(path)!r}, weights_only=True), {str(path.with_suffix(ending))!r})\n"
            "If it holds a whole model, and not its parameters by name, save model.state_dict() there first."
        )
    if is_zip:
        raise DataError(
            f"{path} is a zip archive without a model of PyTorch in it, expected a safetensors file. Where it is "
            f"NumPy's (.npz), write minitorch.save(dict(numpy.load({str(path)!r})), new_path)."
        )
