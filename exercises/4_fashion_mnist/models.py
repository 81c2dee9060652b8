"""The networks of this exercise: each is a plain list of layers, from an image to a score for each of ten classes.

A score may be any number; the loss makes probabilities of the scores. The names of the layers, and so the names in a
saved file, are PyTorch's.
"""

from __future__ import annotations

import math

import minitorch
from minitorch.layers import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)

__all__ = ["CLASSES", "IMAGES", "NETWORKS", "build", "cifar_cnn", "cnn", "lenet", "mlp", "wide"]

CLASSES = 10

# Channels, height and width of each data set's images.
IMAGES = {"mnist": (1, 28, 28), "fashionmnist": (1, 28, 28), "cifar": (3, 32, 32)}


def mlp(image: tuple[int, int, int]) -> Sequential:
    """Three hidden layers that see every pixel alike: 256, 128 and 64 units."""
    return Sequential(
        Flatten(),
        Linear(math.prod(image), 256),
        ReLU(),
        Linear(256, 128),
        ReLU(),
        Linear(128, 64),
        ReLU(),
        Linear(64, CLASSES),
    )


def cnn(image: tuple[int, int, int]) -> Sequential:
    """Two convolutions, each halved by pooling, and a hidden layer of 128 units behind dropout."""
    channels, height, width = image
    return Sequential(
        Conv2d(channels, 16, 3, padding=1),
        ReLU(),
        MaxPool2d(2),
        Conv2d(16, 32, 3, padding=1),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Dropout(0.25),
        Linear(32 * (height // 4) * (width // 4), 128),
        ReLU(),
        Dropout(0.25),
        Linear(128, CLASSES),
    )


def cifar_cnn(image: tuple[int, int, int]) -> Sequential:
    """Three blocks of 32, 48 and 64 channels, for photographs."""
    return _three_blocks(image, (32, 48, 64), dropout=(0.3, 0.3))


def lenet(image: tuple[int, int, int] = IMAGES["mnist"]) -> Sequential:
    """The network of project/run_mnist_multiclass.py: 4 and 8 channels, one pooling of 4 x 4, 64 hidden units.

    Its convolutions pad by one pixel on every side, as PyTorch's do, where the course pads by two at the right and the
    bottom: the same network on a picture that is shifted by one pixel.
    """
    channels, height, width = image
    return Sequential(
        Conv2d(channels, 4, 3, padding=1),
        ReLU(),
        Conv2d(4, 8, 3, padding=1),
        ReLU(),
        MaxPool2d(4),
        Flatten(),
        Linear(8 * (height // 4) * (width // 4), 64),
        ReLU(),
        Dropout(0.25),
        Linear(64, CLASSES),
    )


def wide(image: tuple[int, int, int] = IMAGES["mnist"]) -> Sequential:
    """A wider network for digits, of our own design: three blocks of 24, 48 and 64 channels."""
    return _three_blocks(image, (24, 48, 64), dropout=(0.4, 0.2))


def _three_blocks(
    image: tuple[int, int, int], widths: tuple[int, int, int], dropout: tuple[float, float]
) -> Sequential:
    """Three normalised convolutions, each halved by pooling, and a hidden layer of 128 units between dropouts."""
    channels, height, width = image
    first, second, third = widths
    return Sequential(
        *_block(channels, first),
        *_block(first, second),
        *_block(second, third),
        Flatten(),
        Dropout(dropout[0]),
        Linear(third * (height // 8) * (width // 8), 128),
        ReLU(),
        Dropout(dropout[1]),
        Linear(128, CLASSES),
    )


def _block(inputs: int, outputs: int) -> list[minitorch.Module]:
    """Convolve, keep what is positive, halve height and width, and bring each channel to mean 0 and variance 1.

    The normalisation comes behind the pooling, where there is a quarter as much of it to do.
    """
    return [Conv2d(inputs, outputs, 3, padding=1), ReLU(), MaxPool2d(2), BatchNorm2d(outputs)]


# What each data set can be given to.
NETWORKS = {
    "mnist": {"mlp": mlp, "cnn": cnn, "lenet": lenet, "wide": wide},
    "fashionmnist": {"mlp": mlp, "cnn": cnn},
    "cifar": {"mlp": mlp, "cnn": cifar_cnn},
}


def build(network: str, dataset: str) -> Sequential:
    """Make a network by name for the images of a data set.

    Args:
        network: ``mlp`` or ``cnn``; ``lenet`` and ``wide`` are for ``mnist`` alone.
        dataset: ``mnist``, ``fashionmnist`` or ``cifar``.

    Raises:
        ArgumentError: there is no such data set, or it has no such network.
    """
    if dataset not in NETWORKS:
        raise minitorch.ArgumentError(
            f"expected a data set of {', '.join(NETWORKS)}, got {dataset!r}. Write one of these."
        )
    if network not in NETWORKS[dataset]:
        raise minitorch.ArgumentError(
            f"expected a network of {', '.join(NETWORKS[dataset])} for {dataset}, got {network!r}. Write one of these."
        )
    return NETWORKS[dataset][network](IMAGES[dataset])
