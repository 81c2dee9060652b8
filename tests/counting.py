"""What Python does in a call, counted: unlike a time, a count is the same on a busy machine."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["instructions", "lines_of"]


def instructions(function: Callable[[], object]) -> int:
    """Count the bytecode instructions that run in a call, in all functions that are written in Python."""
    return _count(function, "opcode", lambda file: True)


def lines_of(files: Collection[str], function: Callable[[], object]) -> int:
    """Count the lines of files of these names that run in a call."""
    return _count(function, "line", lambda file: Path(file).name in files)


def _count(function: Callable[[], object], wanted: str, is_watched: Callable[[str], bool]) -> int:
    count = 0

    def watch(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = wanted == "opcode"
        count += event == wanted
        return watch if is_watched(frame.f_code.co_filename) else None

    # A collection would count too, as finalisers and other callbacks run in it.
    collects, before = gc.isenabled(), sys.gettrace()
    gc.collect()
    gc.disable()
    sys._getframe().f_trace_opcodes = wanted == "opcode"  # Python 3.12 sends these events only if somebody asked before
    sys.settrace(watch)
    try:
        function()
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()
    return count
