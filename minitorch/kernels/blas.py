"""The BLAS libraries of NumPy and SciPy, held to one thread while we call them.

A product's bits differ between one BLAS thread and two, because the library cuts the work differently. MiniTorch
cuts large products into blocks itself, by their shapes alone, and asks for one thread inside each; the setting that
the user had is restored after every call.
"""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["one_thread"]


class OneThread:
    """Holds every BLAS library to one thread inside a ``with`` block, entered from any number of threads.

    The library's own calls are cheap (under a microsecond each), so this stands around every product.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._libraries: list[Any] | None = None
        self._restore: list[tuple[Any, int]] = []

    def refresh(self) -> None:
        """Look for libraries, again after another one has been loaded."""
        from threadpoolctl import ThreadpoolController

        self._libraries = [c for c in ThreadpoolController().lib_controllers if c.user_api == "blas"]

    def __enter__(self) -> None:
        with self._lock:
            if self._libraries is None:
                self.refresh()
            if self._holders == 0:
                counts = [(library, library.get_num_threads()) for library in self._libraries or ()]
                self._restore = [(library, count) for library, count in counts if count > 1]
                for library, _ in self._restore:
                    library.set_num_threads(1)
            self._holders += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                for library, count in self._restore:
                    library.set_num_threads(count)


one_thread = OneThread()
