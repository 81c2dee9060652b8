"""Corrupted MNIST: MNIST's digits rotated, 30,000 to train on and 5,000 to test with, the same angle for a whole file.

Published by N. S. Detlefsen in the course 02476, "Machine Learning Operations", of the Technical University of Denmark
(the edition of 2023 and 2024): six files to train on and one to test with. File k holds MNIST's training digits 5,000 k
and following, the test file MNIST's first 5,000 test digits. Each file was rotated by one angle drawn between -50 and
50 degrees, and divided by 255.

The rotation and the angles are known, so the set can be made from MNIST: every pixel comes out equal to the published
one, and the digests below say so.
"""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .images import ImageDataset, check_split
from .mnist import MNIST, load_mnist
from .records import DataFile, DataSet, digest
from .rotation import rotate
from .search import DataNotFoundError, Notice, announce, folders_of, locate, search

__all__ = ["load_corrupt_mnist", "make_corrupt_mnist"]

CLASSES = tuple("0123456789")
PER_FILE = 5000
SIDE = 28
UNREADABLE = (EOFError, OSError, zipfile.BadZipFile, zlib.error)

TRAIN = (
    DataFile("train_0.npz", "4d012c4cf5a166c74d22d2aea70ad42eb4cac7a235af5eb7fa24d6ef8abfefff", 1_339_808),
    DataFile("train_1.npz", "86d8efd9ff138e91236e66d3621ac7e6a5e292783de65de447a1b9149c38aa1d", 1_363_239),
    DataFile("train_2.npz", "9371bf9b21701a86abab3da3527c8ae412f63d5ce9b77aa238aa37b9367e9825", 1_365_088),
    DataFile("train_3.npz", "68d0423333e0a1feb3fceca85373c13b6f50ee3c274bea6fdaa1040a6fd7babd", 1_322_019),
    DataFile("train_4.npz", "2403d82bbde98ed358175b50f440c8fa9194c57160784dbfe7a106ebbd13880c", 1_300_354),
    DataFile("train_5.npz", "75112749ba40be14694e3abb6c788b50f878df4997554a936b1578e1792da72e", 1_300_465),
)
TEST = (DataFile("test.npz", "3a2515782a56a9e28003b8c703d1d8d51f315360a2aadd3f97e9b9463ebc0061", 1_312_943),)
SPLITS = {"train": TRAIN, "test": TEST}
CORRUPT_MNIST_FILES = DataSet("corrupted MNIST", folders=("corruptmnist",), files=TRAIN + TEST)

# Of each file: the angle in degrees, clockwise as the picture is seen, and the SHA-256 of its images.
ANGLES = {"train": (14.66, -47.38, -40.25, 44.661, 2.455, 3.54), "test": (12.41,)}
DIGESTS = {
    "train": (
        "fead3a98ef4983c2ddb2c758dd81f81f7951e4a236f122b2e1c4d39200651d9f",
        "d08b05742f57af3a1724719c611e13196915c41b73af54ca89bb236e6be69d80",
        "7fb421d9b1770113621324858d2e93eee19dcacf554e49ffa5d10e07c8d2ef15",
        "c8e7859a803c0ab04b0720fc0fce132fe06daf3e7f3d47adbe7a47b26103c469",
        "3fc6658c4cb111b3957379631362ffbde961cc5498984e6f2b8c5bc6fff47e05",
        "d2d71918db0f6dd7e12e2660dc95d3123402e9543b1de9e7a197253afa740556",
    ),
    "test": ("922cbcbc7830551049a6fa465af578a9765b0bceb534dc7b0ae0edaf1438b272",),
}


def load_corrupt_mnist(
    split: Literal["train", "test"],
    path: str | os.PathLike[str] | None = None,
    download: bool = True,
    stand_in: bool = True,
    notice: Notice = announce,
) -> ImageDataset:
    """Load a split of corrupted MNIST from the first place that has it, or make it from MNIST.

    The order of search is that of ``minitorch.data.search``. MNIST is then found, or downloaded, in the same order, and
    a line says what was made of what. Where only the stand-in for MNIST is had, its digits are rotated.

    Args:
        split: ``"train"`` (30,000 digits; 4,500 of the stand-in) or ``"test"`` (5,000; 500).
        path: the folder that holds ``train_0.npz`` to ``train_5.npz`` and ``test.npz``, or MNIST's files.
        download: whether MNIST may be downloaded.
        stand_in: whether the stand-in for MNIST may be used.
        notice: receives the lines; printed to stderr by default.

    Returns:
        Images ``count x 1 x 28 x 28``, float32 from 0 to 1, with labels, classes and source, and no transform.

    Raises:
        ArgumentError: the split is unknown.
        DataError: neither was found (the message says which file to put where), or a file is truncated, swapped or
            corrupted.
    """
    check_split(split, "Corrupted MNIST")
    files = SPLITS[split]
    if path is None or holds(Path(path).expanduser(), files):
        try:
            found = search(CORRUPT_MNIST_FILES, files, path=path, download=False, notice=notice)
        except DataNotFoundError:
            pass
        else:
            read = [parse_npz(content, place) for content, place in zip(found.contents, found.paths, strict=True)]
            images = np.concatenate([images for images, _ in read])
            labels = np.concatenate([labels for _, labels in read])
            return ImageDataset(images, labels, CLASSES, source=f"corrupted MNIST {split}: {found.source}")
    return make_corrupt_mnist(load_mnist(split, path, download, stand_in, notice), split, notice)


def holds(folder: Path, files: tuple[DataFile, ...]) -> bool:
    """Tell whether a named folder holds any of the published files."""
    return any(locate(place, file) for place in [folder, *folders_of(folder, CORRUPT_MNIST_FILES)] for file in files)


def parse_npz(content: bytes, path: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Read images and labels out of an archive of NumPy arrays, which may hold no pickled objects.

    Raises:
        DataError: it is no such archive, or the arrays are not what they should be.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            images, labels = np.asarray(archive["images"]), np.asarray(archive["labels"])
    except (*UNREADABLE, AttributeError, KeyError, MemoryError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: expected an .npz archive with the arrays images and labels ({error}). Get the file again."
        ) from error
    if images.dtype != np.float32 or images.shape[1:] != (SIDE, SIDE) or labels.shape != images.shape[:1]:
        raise DataError(
            f"{path}: expected float32 images, count x {SIDE} x {SIDE}, and as many labels, got {images.dtype} "
            f"{images.shape} and labels {labels.shape}. Get the file again."
        )
    return images, labels


def make_corrupt_mnist(mnist: MNIST, split: Literal["train", "test"], notice: Notice = announce) -> ImageDataset:
    """Rotate digits as the published set was made.

    The first 30,000 training digits, or 5,000 test digits, are cut into as many equal runs as there are angles.

    Args:
        mnist: the digits, of the same split.
        split: ``"train"`` or ``"test"``.
        notice: receives a line on what was made, and whether it is the published set.

    Returns:
        Images ``count x 1 x 28 x 28``, float32 from 0 to 1, with their labels.
    """
    angles = ANGLES[split]
    count = min(len(mnist.images), PER_FILE * len(angles))
    runs: list[npt.NDArray[Any]] = np.array_split(mnist.images[:count, None], len(angles))
    rotated = [
        rotate(run, -angle).astype(np.float32) / np.float32(255) for run, angle in zip(runs, angles, strict=True)
    ]
    as_published = tuple(digest(run.tobytes()) for run in rotated) == DIGESTS[split]
    kind = "every pixel as published" if as_published else "with the published angles, not the published set"
    source = f"corrupted MNIST {split}: {count:,} digits of ({mnist.source}), rotated, {kind}"
    notice(f"Files of corrupted MNIST were not found; made it: {source}")
    images = np.concatenate(rotated)
    return ImageDataset(images, mnist.labels[:count], CLASSES, source=source, stand_in=mnist.stand_in)
