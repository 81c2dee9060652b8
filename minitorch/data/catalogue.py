"""The data sets of images by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Literal

import numpy.typing as npt

from ..errors import ArgumentError
from .cifar import load_cifar10
from .corrupt_mnist import load_corrupt_mnist
from .fashion_mnist import load_fashion_mnist
from .images import ImageDataset
from .mnist import load_mnist
from .search import Notice, announce
from .transforms import ToDtype, Transform

__all__ = ["load"]

Split = Literal["train", "test"]

FROM_0_TO_1 = ToDtype("float32", scale=True)


def load(
    dataset: str = "mnist",
    path: str | os.PathLike[str] | None = None,
    transform: Transform | Callable[[npt.NDArray[Any]], npt.NDArray[Any]] | None = FROM_0_TO_1,
    download: bool = True,
    stand_in: bool = True,
    notice: Notice = announce,
) -> tuple[ImageDataset, ImageDataset]:
    """Load a data set of images: what to train on, and what to test with.

    Both have ``images``, ``labels``, ``classes`` (their names), ``source`` and ``transform``, which may be set anew:
    ``train.transform = Compose([...])`` adds random crops to the training alone.

    =================  ==============================  =======================  ================
    name               what                            train and test           image
    =================  ==============================  =======================  ================
    ``mnist``          handwritten digits              60,000 and 10,000        1 x 28 x 28
    ``fashionmnist``   clothing                        60,000 and 10,000        1 x 28 x 28
    ``cifar``          colour photographs (CIFAR-10)   50,000 and 10,000        3 x 32 x 32
    ``corruptmnist``   rotated digits                  30,000 and 5,000         1 x 28 x 28
    =================  ==============================  =======================  ================

    Args:
        dataset: a name of the table.
        path: the folder that holds the files; when left out they are searched for, in the order of
            ``minitorch.data.search``, and downloaded.
        transform: what becomes of a batch of images; float32 from 0 to 1 when left out, bytes as published with None.
        download: whether the network may be used.
        stand_in: whether 5,000 digits of a package may stand in for MNIST.
        notice: receives a line on a download, a stand-in, or a part of a data set; printed to stderr by default.

    Returns:
        The images to train on and the images to test with.

    Raises:
        ArgumentError: the name is unknown.
        DataError: nothing was found (the message says which file to put where), or a file is truncated, swapped or
            corrupted.
    """
    if dataset not in LOADERS:
        raise ArgumentError(
            f"expected a data set's name, one of {', '.join(LOADERS)}, got {dataset!r}. Write one of these."
        )

    def split(name: Split) -> ImageDataset:
        images = LOADERS[dataset](name, path, download, stand_in, notice)
        images.transform = transform
        return images

    return split("train"), split("test")


def _mnist(split: Split, path: Any, download: bool, stand_in: bool, notice: Notice) -> ImageDataset:
    digits = load_mnist(split, path, download, stand_in, notice)
    return ImageDataset(
        digits.images, digits.labels, tuple("0123456789"), source=digits.source, stand_in=digits.stand_in
    )


def _fashion_mnist(split: Split, path: Any, download: bool, stand_in: bool, notice: Notice) -> ImageDataset:
    return load_fashion_mnist(split, path, download, notice)


def _cifar10(split: Split, path: Any, download: bool, stand_in: bool, notice: Notice) -> ImageDataset:
    return load_cifar10(split, path, download, notice)


LOADERS: dict[str, Callable[[Split, Any, bool, bool, Notice], ImageDataset]] = {
    "mnist": _mnist,
    "fashionmnist": _fashion_mnist,
    "cifar": _cifar10,
    "corruptmnist": load_corrupt_mnist,
}
