"""Reading and adding at places (the gradients of maxima, embeddings and indices).

Two threads must not add to one number at once, and floating-point sums depend on their order, which is fixed in one of
two ways. Of a few thousand elements each place notes the first and the number of its own, in whole numbers, whose order
is all one; the thread of the first then looks for the others behind it, of which there are none where every place is
met once. More elements are sorted by their places first, stably, and cut into parts of :data:`PART`: a thread adds up
the runs of equal places in its part, and a second kernel adds those together that a cut went through. A place that
nearly all elements go to, as the padding of sentences, so costs no thread much more than the others.

Nobody looks at a place before a kernel uses it, for that would mean to wait for the GPU. A place outside reads zero
and writes nothing, and :data:`faults` remembers it until the next time that numbers are read back.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ...errors import IndexingError
from .launch import cuda, device, kernel
from .memory import to_device
from .walk import place

__all__ = ["FEW", "PART", "Faults", "add_noted", "add_runs", "faults", "join_runs", "note", "take", "write"]

# So many elements are noted; more are sorted, and added up in parts. Not measured on a device yet.
FEW = 16_384
PART = 64


def _inside(p, size, seen):
    """Tell whether a place is one of ``size``, and remember how far before or behind them one is that is not."""
    if p < 0:
        cuda.atomic.min(seen, 0, p)
    elif p >= size:
        cuda.atomic.max(seen, 1, p - size + 1)
    return 0 <= p < size


inside = device(_inside)
place_of = device(place)


@kernel
def take(out, a, places, seen):
    """Read ``a`` at each place, all flat."""
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        p = places[i]
        out[i] = a[p] if inside(p, a.size, seen) else 0


@kernel
def write(out, to, a, sources, sizes, strides):
    """Write into each of the places ``to``, which differ, an element of ``a``: of its walk the one that is named."""
    for i in range(cuda.grid(1), to.size, cuda.gridsize(1)):
        out[to[i]] = a[place_of(sources[i], sizes, strides)]


@kernel
def note(first, count, places, seen):
    """Note for each place the first element that goes there, and how many do."""
    for i in range(cuda.grid(1), places.size, cuda.gridsize(1)):
        p = places[i]
        if inside(p, count.size, seen):
            cuda.atomic.min(first, p, i)
            cuda.atomic.add(count, p, 1)


@kernel
def add_noted(out, a, places, first, count):
    """Add each element of ``a`` at its place of ``out``, which is zero; the first one's thread adds them all up."""
    for i in range(cuda.grid(1), places.size, cuda.gridsize(1)):
        p = places[i]
        if 0 <= p < out.size and first[p] == i:
            total = out[p] + a[i]
            left = count[p] - 1
            k = i
            while left > 0:
                k += 1
                if places[k] == p:
                    total += a[k]
                    left -= 1
            out[p] = total


@kernel
def add_runs(out, heads, a, places, order, seen):
    """Add the elements of ``a`` at their places of ``out``, which is zero; ``order`` sorts the places.

    A thread has a part of the sorted elements. The runs of equal places that begin in it go to ``out``, and what it has
    of a run that began before to ``heads``.
    """
    for part in range(cuda.grid(1), heads.size, cuda.gridsize(1)):
        k = part * PART
        end = min(k + PART, order.size)
        while k < end:
            p = places[order[k]]
            begins = k == 0 or places[order[k - 1]] != p
            total = a[order[k]]
            k += 1
            while k < end and places[order[k]] == p:
                total += a[order[k]]
                k += 1
            if not begins:
                heads[part] = total
            elif inside(p, out.size, seen):
                out[p] += total


@kernel
def join_runs(out, heads, places, order):
    """Add to each run that goes on behind the part in which it begins what the next parts have of it."""
    for part in range(cuda.grid(1), heads.size - 1, cuda.gridsize(1)):
        k = (part + 1) * PART
        p = places[order[k - 1]]
        begins = part == 0 or places[order[k - PART - 1]] != p
        if begins and 0 <= p < out.size:
            total = out[p]
            while k < order.size and places[order[k]] == p:
                total += heads[k // PART]
                k += PART
            out[p] = total


class Faults:
    """What kernels saw of places outside of a tensor, since it was last asked."""

    def __init__(self) -> None:
        self._unread = False

    @cached_property
    def _seen(self) -> Any:
        return to_device(np.zeros(2, np.int64))

    def watch(self) -> Any:
        """Give the array that a kernel notes places in: how far one is before the first, and behind the last."""
        self._unread = True
        return self._seen

    def check(self) -> None:
        """Raise what the kernels so far have met; it waits for them.

        Raises:
            IndexingError: a place was outside.
        """
        if not self._unread:
            return
        self._unread = False
        before, behind = (int(n) for n in self._seen.copy_to_host())
        if before or behind:
            self._seen.copy_to_device(np.zeros(2, np.int64))
            met = [f"one {-before} before the first"] * bool(before) + [f"one {behind} behind the last"] * bool(behind)
            raise IndexingError(
                f"expected places inside the tensor, got {' and '.join(met)} in a take, a put or an index that ran on "
                "the GPU before these numbers were read. Count them in row-major order of the whole tensor; to find "
                "the operation, run it on minitorch.FastBackend, which looks at once."
            )


faults = Faults()
