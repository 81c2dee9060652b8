"""The IDX format, in which MNIST and Fashion-MNIST are published: images in one file, their labels in another.

A file is a header of big-endian integers, then one byte a pixel or a label.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .search import Found

__all__ = ["parse_idx", "read_idx_pair"]

UNSIGNED_BYTE = 8  # the code of the only element type that these data sets use
KINDS = {1: "labels", 3: "images"}


def read_idx_pair(found: Found, classes: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Read a file of images and the file of their labels.

    Args:
        found: the two files, images first.
        classes: the number of classes; labels go from 0 to one less.

    Returns:
        Images ``count x height x width`` and labels ``count``, read-only uint8.

    Raises:
        DataError: a file is not what it should be, the two differ in length, or a label is no class.
    """
    images = parse_idx(found.contents[0], found.paths[0], dimensions=3)
    labels = parse_idx(found.contents[1], found.paths[1], dimensions=1)
    if len(images) != len(labels):
        raise DataError(
            f"{found.paths[0]} holds {len(images):,} images but {found.paths[1]} holds {len(labels):,} labels: "
            "expected as many of each. Take both files from the same publication."
        )
    if labels.size and labels.max() >= classes:
        raise DataError(
            f"{found.paths[1]}: expected labels from 0 to {classes - 1}, got {labels.max()}. Get the file again."
        )
    return images, labels


def parse_idx(content: bytes, path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """Read the bytes of an IDX file as an array, without copying them.

    The header is two zero bytes, the element type (8: unsigned byte), the number of dimensions, and each dimension as
    a big-endian 32-bit integer; the elements follow in row-major order.

    Args:
        content: the uncompressed file.
        path: where it comes from, for the message.
        dimensions: 1 for labels (``count``), 3 for images (``count x height x width``).

    Returns:
        A read-only uint8 array.

    Raises:
        DataError: the header is not that of such a file, or the length is not what the header says.

    >>> parse_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]), Path("labels"), dimensions=1).tolist()
    [7, 2, 1]
    """
    expected = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    start = 4 + 4 * dimensions
    if content[:4] != expected:
        other = next((kind for rank, kind in KINDS.items() if content[:4] == bytes([0, 0, UNSIGNED_BYTE, rank])), None)
        meaning = f" ({other}: are two files swapped?)" if other else ""
        raise DataError(
            f"{path} is not an IDX file of {KINDS[dimensions]}: expected the magic bytes {expected.hex()}, got "
            f"{content[:4].hex() or 'an empty file'}{meaning}. Get the file again."
        )
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4))
    length = start + math.prod(shape)
    if len(content) != length or start > len(content):
        raise DataError(
            f"{path} is truncated or corrupted: its header announces {' x '.join(map(str, shape))} bytes of "
            f"{KINDS[dimensions]}, {length:,} bytes in all, but it holds {len(content):,}. Get the file again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
