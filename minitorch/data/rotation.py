"""Rotation of images, whole batches at once, each pixel from the nearest one of the original."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["rotate"]


def rotate(images: npt.NDArray[Any], degrees: npt.ArrayLike, fill: float = 0) -> npt.NDArray[Any]:
    r"""Rotate images counter-clockwise about their centre.

    The new pixel at distance $(x, y)$ from the centre, with $y$ counted downwards, is the one that lay at

    $$(x \cos a - y \sin a, \; x \sin a + y \cos a)$$

    rounded to the nearest pixel, halves to the even one.

    Args:
        images: ``batch x channel x height x width``, of any dtype.
        degrees: the angle, one for all or one for each image.
        fill: the value of pixels that lay outside.

    Returns:
        An array of the shape and dtype of ``images``.

    >>> rotate(np.array([[[[1, 2], [3, 4]]]]), 90).tolist()
    [[[[2, 4], [1, 3]]]]
    """
    batch, channels, height, width = images.shape
    angles = np.deg2rad(np.asarray(degrees, np.float64)).reshape(-1, 1, 1)
    cosine, sine = np.cos(angles), np.sin(angles)
    y = (np.arange(height) - (height - 1) / 2)[:, None]
    x = (np.arange(width) - (width - 1) / 2)[None, :]
    column = np.rint(cosine * x - sine * y + (width - 1) / 2).astype(np.int64)
    row = np.rint(sine * x + cosine * y + (height - 1) / 2).astype(np.int64)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    place = np.where(inside, row * width + column, 0).reshape(-1, 1, height * width)
    pixels = np.take_along_axis(images.reshape(batch, channels, height * width), place, axis=2)
    outside = np.broadcast_to(~inside.reshape(-1, 1, height * width), pixels.shape)
    pixels[outside] = fill
    return pixels.reshape(images.shape)
