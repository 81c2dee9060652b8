"""A training's log: the same lines on the screen and in a file, the first of which says what ran where."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from ..version import __version__

__all__ = ["RunLog", "describe_run"]


def describe_run(data: str, seed: int, dtype: str) -> str:
    """Say in one line what a run depends on: data, seed, dtype, versions, machine."""
    return (
        f"{data}; seed {seed}, {dtype}; MiniTorch {__version__}, NumPy {np.__version__}, "
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    )


class RunLog:
    """Prints lines and writes them to a file as they come.

    Args:
        path: the file; its folder is made.
        append: keep what an earlier run has written, and go on below it; otherwise the file is written anew.
    """

    def __init__(self, path: str | os.PathLike[str], append: bool = False) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(  # noqa: SIM115  (closed by __exit__)
            self.path, "a" if append else "w", encoding="utf-8", buffering=1
        )

    def __call__(self, line: str) -> None:
        """Print and write a line."""
        print(line)
        self._file.write(line + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
