"""Maxima and where they are: of lines of any length, and of the windows of a pooling (course tasks 4.3 and 4.4).

A thread looks through a part of a line, from front to back, and keeps the first element that nothing before it
reaches; a NaN counts as larger than every number. Long lines are cut into parts, and the maxima of the parts are
compared in the same way, so the first maximum of all is found whatever the cuts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .launch import cuda, device, kernel

__all__ = ["PART", "max_axis", "max_of_parts", "max_pool", "start_max_axis"]

# The length of a part; not measured on a device yet.
PART = 64


def _exceeds(x, y):
    """Tell whether $x$ is to replace $y$, which stands before it."""
    return y == y and (x > y or x != x)


exceeds = device(_exceeds)


def _first_of_part(a, i, n, inner, parts):
    """Find the first maximum of part ``i`` of ``outer x n x inner``, numbered as ``outer x parts x inner``."""
    column = i % inner
    part = i // inner % parts
    line = i // (inner * parts)
    first = part * PART
    at = (line * n + first) * inner + column
    found = at
    for k in range(1, min(PART, n - first)):
        if exceeds(a[at + k * inner], a[found]):
            found = at + k * inner
    return found


first_of_part = device(_first_of_part)


@kernel
def start_max_axis(out, place, a, n, inner, parts):
    """Find the maximum of each part, and where it is."""
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        found = first_of_part(a, i, n, inner, parts)
        out[i] = a[found]
        place[i] = found


@kernel
def max_of_parts(out, place, values, places, n, inner, parts):
    """Find the same among maxima of parts, which know their places."""
    for i in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        found = first_of_part(values, i, n, inner, parts)
        out[i] = values[found]
        place[i] = places[found]


def max_axis(
    a: Any, outer: int, n: int, inner: int, values: Callable[[int], Any], places: Callable[[int], Any]
) -> tuple[Any, Any]:
    """Find the maxima of ``outer x n x inner`` along its middle dimension, and their places in ``a``.

    Args:
        a: flat device array.
        outer: the number of separate stretches of memory.
        n: the number of elements to choose from, 1 or more.
        inner: the distance between two of them.
        values: makes a flat device array for that many elements of ``a``.
        places: makes one for as many int64.
    """
    parts = -(-n // PART)
    best, found = values(outer * parts * inner), places(outer * parts * inner)
    start_max_axis.for_each(best.size, best, found, a, n, inner, parts)
    while parts > 1:
        n, parts = parts, -(-parts // PART)
        better, further = values(outer * parts * inner), places(outer * parts * inner)
        max_of_parts.for_each(better.size, better, further, best, found, n, inner, parts)
        best, found = better, further
    return best, found


@kernel
def max_pool(out, place, a, height, width, kernel_height, kernel_width, rows, row_geometry, columns, geometry):
    """Look through each window from left to right, top to bottom; a geometry is (stride, dilation, offset)."""
    for o in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        image = o // (rows * columns)
        i = o // columns % rows
        top = row_geometry[0] * i + row_geometry[2]
        left = geometry[0] * (o % columns) + geometry[2]
        found = -1
        for k in range(kernel_height):
            row = top + k * row_geometry[1]
            if 0 <= row < height:
                for l in range(kernel_width):
                    column = left + l * geometry[1]
                    if 0 <= column < width:
                        at = (image * height + row) * width + column
                        if found < 0 or exceeds(a[at], a[found]):
                            found = at
        out[o] = a[found]
        place[o] = found
