"""Work in several threads at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

__all__ = ["at_once"]


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Begin functions at the same moment, each in a thread of its own; give their results, or raise their error."""
    everybody_is_here = threading.Barrier(len(works))

    def begin(work: Callable[[], Any]) -> Any:
        everybody_is_here.wait(600)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(begin, work) for work in works]
        return [work.result(timeout=600) for work in running]
