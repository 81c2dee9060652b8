"""Images with their classes: a data set that holds whole arrays and transforms whole batches."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..creation import tensor
from ..errors import ArgumentError, DataError, ShapeError
from ..random import Generator, default_generator
from ..tensor import Tensor
from .dataset import Dataset, check_index
from .transforms import Transform

__all__ = ["ImageDataset", "check_split"]

Images = npt.NDArray[Any]


class ImageDataset(Dataset):
    """Images and the number of each one's class.

    Images are kept as they are published, uint8 as a rule, and are transformed when they are asked for: an item alone,
    a batch of a :class:`~minitorch.data.DataLoader` as a whole.

    Args:
        images: ``count x channel x height x width``; without the channel's dimension it becomes one channel.
        labels: ``count``, whole numbers, kept as int64.
        classes: the name of each class; the labels are not checked when it is empty.
        transform: what becomes of a batch of images: one of :mod:`minitorch.data.transforms`, any function from an
            array to an array, or None for the images as they are. It may be set anew at any time.
        source: where the images come from, in words.
        stand_in: whether they are a stand-in for a data set that was not found.

    Raises:
        ShapeError: the images are not 3- or 4-dimensional, or the labels not 1-dimensional.
        DataError: there are more images than labels or the other way round, or a label is no class.

    >>> pictures = ImageDataset(np.zeros((2, 28, 28), np.uint8), [1, 0], classes=("cat", "dog"))
    >>> image, label = pictures[0]
    >>> image.shape, pictures.classes[label]
    ((1, 28, 28), 'dog')
    """

    def __init__(
        self,
        images: npt.ArrayLike,
        labels: npt.ArrayLike,
        classes: Sequence[str] = (),
        transform: Transform | Callable[[Images], Images] | None = None,
        source: str = "",
        stand_in: bool = False,
    ) -> None:
        self.images = _with_channels(np.asarray(images))
        self.labels = _whole_numbers(np.asarray(labels))
        self.classes = tuple(classes)
        self.transform = transform
        self.source = source
        self.stand_in = stand_in
        if len(self.images) != len(self.labels):
            raise DataError(
                f"expected one label for each image, got {len(self.images):,} images and {len(self.labels):,} labels. "
                "Check that both were cut at the same place."
            )
        if self.classes and len(self) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise DataError(
                f"expected labels from 0 to {len(self.classes) - 1}, the numbers of {len(self.classes)} classes, got "
                f"{self.labels.min()} to {self.labels.max()}. Name every class, and count from 0."
            )

    def __len__(self) -> int:
        """Count the images."""
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Give a transformed image, ``channel x height x width``, and the number of its class."""
        index = check_index(index, len(self))
        images, labels = ImageDataset.gather(self, np.array([index]), default_generator)
        return tensor(np.asarray(images[0])), int(labels[0])

    def gather(self, rows: npt.NDArray[np.int64], generator: Generator) -> tuple[Images, npt.NDArray[np.int64]]:
        """Give a batch of transformed images, ``batch x channel x height x width``, and their labels."""
        images = np.take(self.images, rows, axis=0)
        if isinstance(self.transform, Transform):
            images = self.transform(images, generator)
        elif self.transform is not None:
            images = self.transform(images)
        return images, self.labels[rows]

    def with_transform(self, transform: Transform | Callable[[Images], Images] | None) -> ImageDataset:
        """Give a data set of the same images, which are shared, with another transform.

        Two parts of a data set that are treated differently, one to train on and one to validate with:

        >>> from minitorch.data import RandomCrop, Subset, random_split
        >>> pictures = ImageDataset(np.zeros((9, 8, 8), np.uint8), np.zeros(9, int))
        >>> part, held_out = random_split(pictures, [6, 3])
        >>> part = Subset(pictures.with_transform(RandomCrop(8, padding=2)), part.indices)
        """
        other = copy.copy(self)
        other.transform = transform
        return other

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.images.shape))
        return f"ImageDataset({shape} {self.images.dtype}, {len(self.classes)} classes, {self.source or 'no source'})"


def _with_channels(images: Images) -> Images:
    if images.ndim not in (3, 4):
        raise ShapeError(
            "expected images as count x height x width or count x channel x height x width, got shape "
            f"{images.shape}. Reshape them."
        )
    return images[:, None] if images.ndim == 3 else images


def _whole_numbers(labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    if labels.ndim != 1:
        raise ShapeError(
            f"expected one label for each image, in one dimension, got shape {labels.shape}. One-hot rows become "
            "numbers with argmax(axis=1)."
        )
    if labels.size and labels.dtype.kind not in "biu":
        raise DataError(f"expected whole numbers as labels, got {labels.dtype}. Convert them with astype(int).")
    return labels.astype(np.int64)


def check_split(split: str, title: str) -> None:
    """Check the name of a split of a data set that has two.

    Args:
        split: the name.
        title: what the data set is called at the beginning of a sentence.

    Raises:
        ArgumentError: the split is neither ``"train"`` nor ``"test"``.
    """
    if split not in ("train", "test"):
        raise ArgumentError(
            f"split must be 'train' or 'test', got {split!r}. {title} has no other: hold out a part of 'train' to "
            "validate on, with random_split."
        )
