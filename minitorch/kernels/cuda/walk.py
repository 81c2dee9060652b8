"""Where the elements of a tensor lie: layouts as short tuples of sizes and strides, which a kernel takes as numbers.

Dimensions that all operands walk as one become one before a kernel sees them. Contiguous tensors of any shape are one
line in this way, whose walk costs no division.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeAlias

__all__ = ["Walk", "joined", "place"]

Walk: TypeAlias = tuple[int, ...]


def place(ordinal: Any, sizes: Any, strides: Any) -> Any:
    """Find where element ``ordinal`` of row-major order lies.

    >>> place(4, (2, 3), (1, 2))
    3
    """
    at = 0
    for d in range(len(sizes) - 1, 0, -1):
        outer = ordinal // sizes[d]
        at += (ordinal - outer * sizes[d]) * strides[d]
        ordinal = outer
    return at + ordinal * strides[0]


@lru_cache(maxsize=4096)
def joined(shape: tuple[int, ...], *strides: Walk) -> tuple[Walk, ...]:
    """Join neighbouring dimensions that every operand walks as one, and drop those of size 1.

    Args:
        shape: the sizes that are walked.
        strides: of each operand, a number for each size.

    Returns:
        The sizes that are left, one at least, and the strides of each operand.

    >>> joined((2, 3, 4), (12, 4, 1), (0, 4, 1))
    ((2, 12), (12, 1), (0, 1))
    """
    sizes: list[int] = []
    walks: list[tuple[int, ...]] = []
    for n, *steps in zip(shape, *strides, strict=True):
        if n == 1:
            continue
        if sizes and all(outer == n * inner for outer, inner in zip(walks[-1], steps, strict=True)):
            sizes[-1] *= n
            walks[-1] = tuple(steps)
        else:
            sizes.append(n)
            walks.append(tuple(steps))
    if not sizes:
        return (1,), *((0,) for _ in strides)
    return tuple(sizes), *(tuple(walk) for walk in zip(*walks, strict=True))
