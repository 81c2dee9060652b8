"""Numbers that a compiled step reads anew in each call: the learning rate, a step count, the streams of random numbers.

They stand in an array on the device, so that a graph of launches that was captured once finds the new ones there. They
go there as arguments of a launch, because a copy from the computer's memory would wait for the GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .launch import cuda, kernel

__all__ = ["AT_ONCE", "send", "write_words"]

# Words of one launch.
AT_ONCE = 8


@kernel
def write_words(out, first, words):
    """Write words from ``first`` on, as many as there is room for."""
    i = cuda.grid(1)
    if i < len(words) and first + i < out.size:
        out[first + i] = words[i]


def send(out: Any, words: Sequence[int]) -> None:
    """Write int64 words to a device array of as many."""
    for first in range(0, len(words), AT_ONCE):
        part = tuple(words[first : first + AT_ONCE])
        write_words(1, AT_ONCE, out, first, part + (0,) * (AT_ONCE - len(part)))
