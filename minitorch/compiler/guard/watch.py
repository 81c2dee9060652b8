"""Note which functions run while a step is traced."""

from __future__ import annotations

import sys
import types
from typing import Any

__all__ = ["Watch"]


class Watch:
    """Notes the Python functions that this thread runs inside a ``with`` block.

    Attributes:
        ran: their code, each with the globals that it sees; None where a debugger and a profiler are both at work, and
            any function may have run.

    >>> import linecache
    >>> with Watch() as watch:
    ...     _ = linecache.getline("no such file", 1)
    >>> watch.has_run(linecache.getline.__code__)
    True
    """

    def __init__(self) -> None:
        self.ran: dict[types.CodeType, dict[str, Any]] | None = None

    def __enter__(self) -> Watch:
        # A profiler, such as cProfile on Python 3.11, leaves the place of a debugger free.
        places = (sys.getprofile, sys.setprofile), (sys.gettrace, sys.settrace)
        self._set = next((set_function for get_function, set_function in places if get_function() is None), None)
        if self._set is not None:
            self.ran = {}
            self._set(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._set is not None:
            self._set(None)

    def _note(self, frame: types.FrameType, event: str, _: Any) -> None:
        if event == "call" and self.ran is not None:
            self.ran[frame.f_code] = frame.f_globals

    def has_run(self, code: types.CodeType) -> bool:
        """Tell whether a function's code may have run."""
        return self.ran is None or code in self.ran
