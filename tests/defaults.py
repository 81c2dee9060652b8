"""Other defaults of the library for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import minitorch

__all__ = ["on_fast_backend"]


@contextmanager
def on_fast_backend(dtype: str = "float64") -> Iterator[None]:
    """Make new tensors on the fast backend, in a dtype."""
    minitorch.set_default_backend(minitorch.FastBackend)
    minitorch.set_default_dtype(dtype)
    try:
        yield
    finally:
        minitorch.set_default_backend(minitorch.SimpleBackend)
        minitorch.set_default_dtype("float64")
