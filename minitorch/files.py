"""Writing a file so that it is there as a whole or not at all.

The bytes go to a temporary file in the destination's folder, are flushed to the disk and then moved into place in one
step. A crash or a full disk before the move leaves what was there as it was.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

__all__ = ["move_into_place", "write_atomically"]


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` so that ``path`` holds all of it or is left as it was.

    Args:
        path: the file; its folder is made.
        content: what it shall hold.

    Raises:
        OSError: the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder, "model"), b"weights")
    ...     Path(folder, "model").read_bytes()
    b'weights'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name that nobody else has, neither another thread nor another machine that shares the folder.
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}"
    try:
        with temporary.open("xb") as file:
            file.write(content)
        move_into_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def move_into_place(temporary: Path, destination: Path) -> None:
    """Flush a finished file to the disk, then give it its name in one step.

    A file that is replaced hands its permissions on.

    Args:
        temporary: the finished file, in the folder of ``destination``.
        destination: its name from now on; what has that name already is replaced.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    if destination.exists():
        shutil.copymode(destination, temporary)
    os.replace(temporary, destination)
    if os.name == "posix":  # the move is a change of the folder, which has a buffer of its own
        folder = os.open(destination.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
