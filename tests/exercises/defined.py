"""What the cells of an exercise define, for tests that run them without the cells before them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import minitorch
from scripts import run_cells

from ..defaults import on_fast_backend


@contextmanager
def defined(exercise: str, *cells: str, **given: Any) -> Iterator[dict[str, Any]]:
    """Run the cells that define something, without those before them, and compute as the exercise does.

    Args:
        exercise: its folder.
        cells: their names.
        given: what they use of the cells before them, beside ``minitorch`` and ``Tensor``.
    """
    names = run_cells(exercise, cells, {"minitorch": minitorch, "Tensor": minitorch.Tensor, **given})
    with on_fast_backend("float32"):
        yield names
