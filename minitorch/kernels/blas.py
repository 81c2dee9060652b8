"""The BLAS libraries of NumPy and SciPy, held to one thread while we call them.

A product's bits differ between one BLAS thread and two, because the library cuts the work differently. MiniTorch
cuts large products into blocks itself, by their shapes alone, and asks for one thread inside each; the setting that
the user had is restored after every call.
"""

from __future__ import annotations

import os
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
        self._scipy_found = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def load_scipy(self) -> None:
        """Load the BLAS of SciPy, so that it is held too: Numba's matrix product and compiled programs call it."""
        if not self._scipy_found:
            import scipy.linalg.cython_blas  # noqa: F401

            self._find()
            self._scipy_found = True

    def _find(self) -> None:
        from threadpoolctl import ThreadpoolController

        libraries = [c for c in ThreadpoolController().lib_controllers if c.user_api == "blas"]
        with self._lock:
            self._libraries = libraries
            if self._holders:
                self._hold()

    def _hold(self) -> None:
        for library in self._libraries or ():
            count = library.get_num_threads()
            if count > 1:
                self._restore.append((library, count))
                _set_threads(library, 1)

    def _release(self) -> None:
        for library, count in self._restore:
            _set_threads(library, count)
        self._restore.clear()

    def __enter__(self) -> None:
        if self._libraries is None:
            self._find()
        with self._lock:
            if self._holders == 0:
                self._hold()
            self._holders += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._release()

    def _after_fork(self) -> None:
        # The threads that were inside a block, and will never leave it here, stayed behind in the parent.
        self._lock = threading.Lock()
        self._holders = 0
        self._release()


def _set_threads(library: Any, count: int) -> None:
    # Newer releases of threadpoolctl obey the Python thread that asked first, and ignore the others. Here a lock keeps
    # them apart, so the call goes past that rule. (To change who is in control costs ten times as much.)
    past_the_rule = getattr(library, "_real_set_num_threads", None)
    (past_the_rule or library.set_num_threads)(count)


one_thread = OneThread()
