"""Transforms of images: arithmetic, padding and chance, on a whole batch at once.

Names and meanings are torchvision's. A transform takes ``batch x channel x height x width`` and gives such a batch;
chance is drawn for each image on its own. What is random takes a generator: a :class:`~minitorch.data.DataLoader`
gives every batch one of its own, so that an epoch is the same again however many threads prepare it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..dtypes import float_dtype
from ..errors import ArgumentError, DataError, DTypeError, ShapeError
from ..random import Generator, default_generator
from .rotation import rotate

__all__ = [
    "Compose",
    "Lambda",
    "Normalize",
    "Pad",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomRotation",
    "ToDtype",
    "ToTensor",
    "Transform",
    "pixel_statistics",
]

Images = npt.NDArray[Any]
Pair = tuple[int, int]
PAD_MODES = ("constant", "edge", "reflect", "symmetric")


class Transform(ABC):
    """What becomes of a batch of images. Say it in a subclass as ``apply``."""

    def __call__(self, images: Images, generator: Generator | None = None) -> Images:
        """Transform a batch.

        Args:
            images: ``batch x channel x height x width``; it is not written to.
            generator: what draws; the default generator when left out.

        Raises:
            ShapeError: the array is not 4-dimensional.
        """
        _check_batch(images)
        return self.apply(images, generator or default_generator)

    @abstractmethod
    def apply(self, images: Images, generator: Generator) -> Images:
        """Transform a batch that is known to be one."""


def _check_batch(images: Images) -> None:
    if np.ndim(images) != 4:
        raise ShapeError(
            f"expected a batch of images, batch x channel x height x width, got shape {np.shape(images)}. "
            "One image becomes a batch with image[None]."
        )


class Compose(Transform):
    """Several transforms, one after the other.

    Args:
        transforms: transforms, or functions from an array to an array.

    >>> halve = Compose([ToDtype("float32", scale=True), lambda images: images / 2])
    >>> halve(np.full((1, 1, 1, 2), 255, np.uint8)).tolist()
    [[[[0.5, 0.5]]]]
    """

    def __init__(self, transforms: Sequence[Transform | Callable[[Images], Images]]) -> None:
        self.transforms = list(transforms)

    def apply(self, images: Images, generator: Generator) -> Images:
        """Transform a batch."""
        for transform in self.transforms:
            images = transform(images, generator) if isinstance(transform, Transform) else transform(images)
        return images


class ToDtype(Transform):
    """Convert to another dtype; with ``scale`` bytes from 0 to 255 become numbers from 0 to 1, as in ``ToTensor``.

    Args:
        dtype: float32 or float64.
        scale: divide whole numbers by the greatest one of their type. Floats are converted only.

    >>> ToDtype("float64", scale=True)(np.array([[[[0, 51, 255]]]], np.uint8)).tolist()
    [[[[0.0, 0.2, 1.0]]]]
    """

    def __init__(self, dtype: npt.DTypeLike, scale: bool = False) -> None:
        self.dtype = float_dtype(dtype)
        self.scale = scale

    def apply(self, images: Images, generator: Generator) -> Images:
        """Transform a batch."""
        converted = images.astype(self.dtype)
        if self.scale and images.dtype.kind in "iu":
            converted /= self.dtype.type(np.iinfo(images.dtype).max)
        return converted


class ToTensor(ToDtype):
    """Bring bytes from 0 to 255 to float32 from 0 to 1; arrays become tensors in the ``DataLoader``.

    Images are ``batch x channel x height x width`` already, where torchvision's reads them as height x width x channel.

    >>> ToTensor()(np.array([[[[0, 255]]]], np.uint8)).tolist()
    [[[[0.0, 1.0]]]]
    """

    def __init__(self) -> None:
        super().__init__("float32", scale=True)


class Lambda(Transform):
    """Any function of a batch.

    Args:
        lambd: from ``batch x channel x height x width`` to what the batch shall be.

    Raises:
        ArgumentError: it is no function.

    >>> Lambda(lambda images: images.reshape(len(images), -1))(np.zeros((3, 1, 2, 2))).shape
    (3, 4)
    """

    def __init__(self, lambd: Callable[[Images], Images]) -> None:
        if not callable(lambd):
            raise ArgumentError(f"expected a function of a batch, got {type(lambd).__name__}. Write lambda images: ...")
        self.lambd = lambd

    def apply(self, images: Images, generator: Generator) -> Images:
        """Transform a batch."""
        return self.lambd(images)


class Normalize(Transform):
    r"""Bring each channel to mean 0 and standard deviation 1: $(x - \mathrm{mean}_c) / \mathrm{std}_c$.

    Args:
        mean: the mean of each channel, or one number for all.
        std: the standard deviation of each channel, or one number for all.

    Raises:
        ArgumentError: a standard deviation is 0 or below.

    >>> Normalize((0.5,), (0.25,))(np.array([[[[0.5, 1.0]]]])).tolist()
    [[[[0.0, 2.0]]]]
    """

    def __init__(self, mean: Sequence[float] | float, std: Sequence[float] | float) -> None:
        self.mean = np.asarray(mean, np.float64).reshape(-1, 1, 1)
        self.std = np.asarray(std, np.float64).reshape(-1, 1, 1)
        if not (self.std > 0).all():
            raise ArgumentError(f"expected standard deviations above 0, got {std}. A constant channel needs none.")

    def apply(self, images: Images, generator: Generator) -> Images:
        """Transform a batch.

        Raises:
            DTypeError: the images are whole numbers.
            ShapeError: the number of channels is another one than that of the means.
        """
        if images.dtype.kind != "f":
            raise DTypeError(
                f'expected floats to normalise, got {images.dtype}. Put ToDtype("float32", scale=True) before.'
            )
        channels = images.shape[1]
        if not {len(self.mean), len(self.std)} <= {1, channels}:
            raise ShapeError(
                f"expected a mean and a standard deviation for each of {channels} channels, or one for all, got "
                f"{len(self.mean)} and {len(self.std)}."
            )
        centred = images - self.mean.astype(images.dtype)
        centred /= self.std.astype(images.dtype)
        return centred


def pixel_statistics(images: Images) -> tuple[list[float], list[float]]:
    """Compute mean and standard deviation of each channel on the scale of 0 to 1, for :class:`Normalize`.

    Args:
        images: ``count x channel x height x width``, bytes from 0 to 255 or floats that are on the scale already.

    Raises:
        ShapeError: the array is not 4-dimensional.
        DataError: there is no pixel.

    >>> pixel_statistics(np.array([[[[0, 255]]]], np.uint8))
    ([0.5], [0.5])
    """
    _check_batch(images)
    if not images.size:
        raise DataError(f"expected images with pixels, got shape {images.shape}. Load some before.")
    total = np.zeros(images.shape[1])
    squares = np.zeros(images.shape[1])
    for start in range(0, len(images), 1000):  # a part at a time: float64 takes eight times the memory of bytes
        part = images[start : start + 1000].astype(np.float64)
        total += part.sum(axis=(0, 2, 3))
        squares += (part * part).sum(axis=(0, 2, 3))
    count = images.size // images.shape[1]
    scale = np.iinfo(images.dtype).max if images.dtype.kind in "iu" else 1.0
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean * mean, 0.0))
    return (mean / scale).tolist(), (std / scale).tolist()


class Pad(Transform):
    """Add a border.

    Args:
        padding: how many pixels: one number for all sides, ``(left and right, top and bottom)``, or
            ``(left, top, right, bottom)``.
        fill: the value of the border.
        padding_mode: ``"constant"`` for ``fill``, or ``"edge"``, ``"reflect"``, ``"symmetric"`` for the image's own
            pixels, as :func:`numpy.pad` has them.

    Raises:
        ArgumentError: the mode is unknown, a width is negative, or there are 3 or more than 4 of them.

    >>> Pad((1, 0))(np.ones((1, 1, 1, 1), int)).tolist()
    [[[[0, 1, 0]]]]
    """

    def __init__(self, padding: int | Sequence[int], fill: float = 0, padding_mode: str = "constant") -> None:
        widths = [padding] if isinstance(padding, int) else list(padding)
        if len(widths) not in (1, 2, 4) or any(width < 0 for width in widths):
            raise ArgumentError(f"expected 1, 2 or 4 widths of 0 or more as padding, got {padding}. Write 4, say.")
        if padding_mode not in PAD_MODES:
            raise ArgumentError(f"expected a padding_mode of {', '.join(PAD_MODES)}, got {padding_mode!r}. Write one.")
        self.left, self.top, self.right, self.bottom = widths * (4 // len(widths))
        self.fill = fill
        self.padding_mode = padding_mode

    def apply(self, images: Images, generator: Generator) -> Images:
        """Transform a batch."""
        borders = ((0, 0), (0, 0), (self.top, self.bottom), (self.left, self.right))
        if self.padding_mode == "constant":
            return np.pad(images, borders, constant_values=self.fill)
        return np.pad(images, borders, mode=self.padding_mode)  # pyright: ignore[reportCallIssue, reportArgumentType]


class RandomCrop(Transform):
    """Cut out a part of each image, at a place of its own.

    Args:
        size: height and width of the part; one number for both.
        padding: a border to add first, as in :class:`Pad`.
        fill: the value of that border.

    >>> RandomCrop(2)(np.zeros((5, 3, 4, 4)), Generator(0)).shape
    (5, 3, 2, 2)
    """

    def __init__(self, size: int | Pair, padding: int | Sequence[int] = 0, fill: float = 0) -> None:
        self.height, self.width = (size, size) if isinstance(size, int) else size
        self.pad = Pad(padding, fill)

    def apply(self, images: Images, generator: Generator) -> Images:
        """Transform a batch.

        Raises:
            ShapeError: an image is smaller than the part.
        """
        padded = self.pad.apply(images, generator)
        batch, _, height, width = padded.shape
        if self.height > height or self.width > width:
            raise ShapeError(
                f"expected images of at least {self.height} x {self.width} to cut from, got {height} x {width} with "
                "the border. Pad more, or cut a smaller part."
            )
        parts = np.lib.stride_tricks.sliding_window_view(padded, (self.height, self.width), axis=(2, 3))
        top = generator.integers(0, height - self.height + 1, batch)
        left = generator.integers(0, width - self.width + 1, batch)
        return parts[np.arange(batch), :, top, left]


class RandomHorizontalFlip(Transform):
    """Turn some images left to right.

    Args:
        p: the probability, from 0 to 1.

    Raises:
        ArgumentError: it is no probability.

    >>> RandomHorizontalFlip(1.0)(np.array([[[[1, 2, 3]]]])).tolist()
    [[[[3, 2, 1]]]]
    """

    def __init__(self, p: float = 0.5) -> None:
        if not 0.0 <= p <= 1.0:
            raise ArgumentError(f"expected a probability from 0 to 1, got {p}. Write 50 % as 0.5.")
        self.p = p

    def apply(self, images: Images, generator: Generator) -> Images:
        """Transform a batch."""
        turned = generator.uniform(len(images)) < self.p
        flipped = images.copy()
        flipped[turned] = images[turned, :, :, ::-1]
        return flipped


class RandomRotation(Transform):
    """Rotate each image about its centre by an angle of its own, each pixel from the nearest one.

    Args:
        degrees: the angles' range; one number ``d`` stands for ``(-d, d)``. Counter-clockwise is positive.
        fill: the value of pixels that lay outside.

    Raises:
        ArgumentError: the range is empty.

    >>> RandomRotation((90, 90))(np.array([[[[1, 2], [3, 4]]]])).tolist()
    [[[[2, 4], [1, 3]]]]
    """

    def __init__(self, degrees: float | tuple[float, float], fill: float = 0) -> None:
        self.low, self.high = (-degrees, degrees) if isinstance(degrees, int | float) else degrees
        if self.low > self.high:
            raise ArgumentError(f"expected a range of angles, lower end first, got {degrees}. Write 15 or (-15, 15).")
        self.fill = fill

    def apply(self, images: Images, generator: Generator) -> Images:
        """Transform a batch."""
        angles = self.low + (self.high - self.low) * generator.uniform(len(images))
        return rotate(images, angles, self.fill)
