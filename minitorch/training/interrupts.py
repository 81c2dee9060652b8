"""Letting a step end before ctrl-C takes effect, so that what is saved then is whole."""

from __future__ import annotations

import signal
import threading
from types import TracebackType
from typing import Any, Self

__all__ = ["Interrupts"]


class Interrupts:
    """Notes a ctrl-C inside its ``with`` block instead of raising KeyboardInterrupt at once; a second one raises.

    Python delivers ctrl-C to the main thread only. In another thread, and where the program handles the signal in its
    own way, this does nothing.

    Attributes:
        requested: whether somebody has pressed ctrl-C.
    """

    def __init__(self) -> None:
        self.requested = False
        self._ours = False

    def __enter__(self) -> Self:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)
            self._ours = True
        return self

    def _note(self, number: int, frame: Any) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
