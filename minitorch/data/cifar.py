"""CIFAR-10: small colour photographs, 50,000 to train on and 10,000 to test with, 3 x 32 x 32 pixels, 10 classes.

Published by A. Krizhevsky, "Learning multiple layers of features from tiny images" (2009). The binary edition has five
files of 10,000 images to train on and one to test with; a record is a label, then the pixels of red, green and blue.

A part of the files is accepted, and announced. The digests of the first file to train on and of the first 2,000 test
images are recorded. The other files are checked by what the publisher says of them: their length, and as many images
of every class, 5,000 to train on and 1,000 to test with.
"""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .images import ImageDataset, check_split
from .records import DataFile, DataSet, RemoteFile, digest
from .search import Found, Notice, announce, search

__all__ = ["load_cifar10", "parse_cifar"]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32  # bytes: the label, then the pixels
PER_FILE = 10_000
BATCH_1_SHA256 = "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"
FIRST_TEST_SHA256 = "a365c883b8727b5960b1f88c468d807bb5487294a2fb9b0aa2fb8a93024384c3"
FIRST_TEST = 2000  # images that the digest above covers

ARCHIVE = RemoteFile("cifar-10-binary.tar.gz", ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",))


def member(name: str, sha256: str | None = None) -> DataFile:
    """Record a file of the published archive."""
    return DataFile(name, sha256, PER_FILE * RECORD, ARCHIVE, member=f"cifar-10-batches-bin/{name}")


BATCHES = tuple(member(f"data_batch_{k}.bin", BATCH_1_SHA256 if k == 1 else None) for k in range(1, 6))
TEST = (member("test_batch.bin"),)
TEST_PART = (DataFile("test_batch_first2000.bin", FIRST_TEST_SHA256, FIRST_TEST * RECORD),)

WHOLE = {"train": BATCHES, "test": TEST}
PARTS = {
    "train": [files for count in (4, 3, 2, 1) for files in combinations(BATCHES, count)],
    "test": [TEST_PART],
}
CIFAR_FILES = DataSet(
    "CIFAR-10",
    folders=("cifar10", "cifar-10-batches-bin", "cifar-10"),
    files=BATCHES + TEST + TEST_PART,
    advice="A part of the files serves too: any of data_batch_1.bin to data_batch_5.bin, or test_batch_first2000.bin.",
)


def load_cifar10(
    split: Literal["train", "test"],
    path: str | os.PathLike[str] | None = None,
    download: bool = True,
    notice: Notice = announce,
) -> ImageDataset:
    """Load a split of CIFAR-10, or the part of it that is there, from the first place that has any.

    The order of search is that of ``minitorch.data.search``; a place that holds a part of the files serves too.

    Args:
        split: ``"train"`` (50,000 images) or ``"test"`` (10,000).
        path: the folder that holds the binary files, gzip-compressed or not, or the publisher's archive.
        download: whether the network may be used.
        notice: receives a line on a download or when only a part is there; printed to stderr by default.

    Returns:
        Images ``count x 3 x 32 x 32`` uint8 with labels, classes and source, and no transform.

    Raises:
        ArgumentError: the split is unknown.
        DataError: nothing was found (the message says which file to put where), or a file is truncated, swapped or
            corrupted.
    """
    check_split(split, "CIFAR-10")
    found = search(CIFAR_FILES, WHOLE[split], partial=PARTS[split], path=path, download=download, notice=notice)
    read = [parse_cifar(content, place) for content, place in zip(found.contents, found.paths, strict=True)]
    images = np.concatenate([images for images, _ in read])
    labels = np.concatenate([labels for _, labels in read])
    whole = found.files == WHOLE[split]
    if path is None and whole:
        check_publication(found, labels)
    names = ", ".join(file.name for file in found.files)
    source = f"CIFAR-10 {split}: {found.paths[0].parent} ({names})"
    if not whole:
        total = PER_FILE * len(WHOLE[split])
        notice(f"{source} is a part of the data set: {len(images):,} of {total:,} images")
    return ImageDataset(images, labels, CLASSES, source=source)


def parse_cifar(content: bytes, path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Read the bytes of one of CIFAR-10's binary files as arrays, without copying them.

    Args:
        content: the uncompressed file.
        path: where it comes from, for the message.

    Returns:
        Images ``count x 3 x 32 x 32`` and labels ``count``, read-only uint8.

    Raises:
        DataError: the length is not that of whole records, or a label is no class.

    >>> images, labels = parse_cifar(bytes([7]) + bytes(3072), Path("one.bin"))
    >>> images.shape, labels.tolist()
    ((1, 3, 32, 32), [7])
    """
    if not content or len(content) % RECORD:
        raise DataError(
            f"{path} is truncated or corrupted: expected records of {RECORD:,} bytes, got {len(content):,} bytes in "
            "all. Get the file again."
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    labels = records[:, 0]
    if labels.max() >= len(CLASSES):
        raise DataError(f"{path}: expected labels from 0 to {len(CLASSES) - 1}, got {labels.max()}. Get it again.")
    return records[:, 1:].reshape(-1, *SHAPE), labels


def check_publication(found: Found, labels: npt.NDArray[np.uint8]) -> None:
    """Compare whole files, most of which have no recorded digest, with what is known of the published ones.

    Raises:
        DataError: they differ.
    """
    counts = np.bincount(labels, minlength=len(CLASSES)).tolist()
    expected = [len(labels) // len(CLASSES)] * len(CLASSES)
    if counts != expected:
        raise DataError(
            f"{found.paths[0].parent} does not hold the published CIFAR-10: expected {expected[0]:,} images of each "
            f"class in {', '.join(file.name for file in found.files)}, got {counts}. Replace or delete them; if they "
            "are data of your own, name their folder explicitly (path=...)."
        )
    if found.files == TEST and digest(found.contents[0][: FIRST_TEST * RECORD]) != FIRST_TEST_SHA256:
        raise DataError(
            f"{found.paths[0]} is not the published test_batch.bin of CIFAR-10: the SHA-256 of its first "
            f"{FIRST_TEST:,} images differs. Replace or delete it."
        )
