"""Number ``i`` of a stream, inside a kernel: :func:`minitorch.random.philox` for one position.

These are plain functions. The kernels of each device compile them; the words are 64 bits wide, so that a product of
two halves keeps all its bits, and unsigned, for with signed ones Numba would turn to floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..random import MULTIPLIER_0, MULTIPLIER_1, ROUNDS, WEYL_0, WEYL_1, WORD

__all__ = ["uniform_32", "uniform_64", "words"]

M0, M1 = np.uint64(MULTIPLIER_0), np.uint64(MULTIPLIER_1)
W0, W1 = np.uint64(WEYL_0), np.uint64(WEYL_1)
LOW, HALF = np.uint64(WORD), np.uint64(32)


def words(position: Any, stream: Any, seed: Any) -> Any:
    """Make the first two words at a position; all are ``np.uint64``.

    >>> [hex(word) for word in words(np.uint64(0), np.uint64(0), np.uint64(0))]
    ['0x6627e8d5', '0xe169c58d']
    """
    c0, c1, c2, c3 = position & LOW, position >> HALF, stream & LOW, stream >> HALF
    key_0, key_1 = seed & LOW, seed >> HALF
    for _ in range(ROUNDS):
        product_0, product_1 = c0 * M0, c2 * M1
        c0, c1 = (product_1 >> HALF) ^ c1 ^ key_0, product_1 & LOW
        c2, c3 = (product_0 >> HALF) ^ c3 ^ key_1, product_0 & LOW
        key_0, key_1 = (key_0 + W0) & LOW, (key_1 + W1) & LOW
    return c0, c1


def uniform_32(position: Any, stream: Any, seed: Any) -> Any:
    """Make the float32 that :meth:`minitorch.random.Generator.uniform` draws there."""
    return np.float32(words(position, stream, seed)[0] >> np.uint64(8)) * np.float32(2.0**-24)


def uniform_64(position: Any, stream: Any, seed: Any) -> Any:
    """Make the float64 that :meth:`minitorch.random.Generator.uniform` draws there."""
    high, low = words(position, stream, seed)
    return np.float64((high >> np.uint64(5)) * np.uint64(1 << 26) + (low >> np.uint64(6))) * 2.0**-53
