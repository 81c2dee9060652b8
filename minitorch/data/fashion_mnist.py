"""Fashion-MNIST: articles of clothing, 60,000 to train on and 10,000 to test with, 28 x 28 pixels, 10 classes.

Published by H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
algorithms" (2017), in MNIST's format and under the names of MNIST's files.
"""

from __future__ import annotations

import os
from typing import Literal

from .idx import read_idx_pair
from .images import ImageDataset, check_split
from .records import DataSet, published_gzip
from .search import Notice, announce, search

__all__ = ["load_fashion_mnist"]

MIRRORS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

TRAIN = (
    published_gzip(
        MIRRORS,
        "train-images-idx3-ubyte",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        47_040_016,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        26_421_880,
    ),
    published_gzip(
        MIRRORS,
        "train-labels-idx1-ubyte",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        60_008,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        29_515,
    ),
)
TEST = (
    published_gzip(
        MIRRORS,
        "t10k-images-idx3-ubyte",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        7_840_016,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        4_422_102,
    ),
    published_gzip(
        MIRRORS,
        "t10k-labels-idx1-ubyte",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        10_008,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        5_148,
    ),
)
SPLITS = {"train": TRAIN, "test": TEST}
FASHION_MNIST_FILES = DataSet("Fashion-MNIST", folders=("fashion-mnist", "FashionMNIST/raw"), files=TRAIN + TEST)


def load_fashion_mnist(
    split: Literal["train", "test"],
    path: str | os.PathLike[str] | None = None,
    download: bool = True,
    notice: Notice = announce,
) -> ImageDataset:
    """Load a split of Fashion-MNIST from the first place that has it, in the order of ``minitorch.data.search``.

    Args:
        split: ``"train"`` (60,000 images) or ``"test"`` (10,000).
        path: the folder that holds the IDX files, gzip-compressed or not. Images of your own are accepted there.
        download: whether the network may be used.
        notice: receives a line on a download or on images of your own; printed to stderr by default.

    Returns:
        Images ``count x 1 x 28 x 28`` uint8 with labels, classes and source, and no transform.

    Raises:
        ArgumentError: the split is unknown.
        DataError: nothing was found (the message says which file to put where), or a file is truncated, swapped or
            corrupted.
    """
    check_split(split, "Fashion-MNIST")
    found = search(FASHION_MNIST_FILES, SPLITS[split], path=path, download=download, notice=notice)
    images, labels = read_idx_pair(found, len(CLASSES))
    return ImageDataset(images, labels, CLASSES, source=f"Fashion-MNIST {split}: {found.source}")
