"""Work in several threads at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

__all__ = ["at_once"]


def at_once(*works: Callable[[], object]) -> None:
    """Run each function in a thread of its own, all beginning together, and raise what one of them raised."""
    everybody_is_here = threading.Barrier(len(works))

    def begin(work: Callable[[], object]) -> None:
        everybody_is_here.wait()
        work()

    with ThreadPoolExecutor(len(works)) as pool:
        for running in [pool.submit(begin, work) for work in works]:
            running.result()
