"""Turning a picture of a digit into what MNIST's digits look like.

MNIST's makers scaled each digit into a box of 20 x 20 pixels, keeping its proportions, and placed its centre of mass in
the middle of 28 x 28. A network trained on such digits reads others well only when they are prepared in the same way.
"""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from ..errors import DataError, MissingDependencyError

__all__ = ["center_digit", "read_digit"]

SIDE, BOX = 28, 20


def center_digit(picture: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Scale and place a digit as MNIST's are.

    Args:
        picture: grey values ``height x width`` of any size and range. The colour of the border counts as background,
            so dark ink on light paper and the reverse both work.

    Returns:
        ``28 x 28``, uint8; 0 is background, 255 is ink.

    Raises:
        DataError: the picture is not two-dimensional, or there is nothing in it.

    >>> page = np.full((90, 60), 250.0)
    >>> page[20:70, 25:30] = 10.0
    >>> digit = center_digit(page)
    >>> digit.shape, int(digit.max()), digit.any(axis=1).sum() >= 20
    ((28, 28), 255, np.True_)
    """
    from scipy import ndimage

    grey = np.asarray(picture, dtype=np.float64)
    if grey.ndim != 2 or grey.size == 0:
        raise DataError(
            f"expected grey values of height x width, got shape {grey.shape}: convert the picture to grey first"
        )
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ink = np.abs(grey - np.median(border))
    if not np.isfinite(ink).all() or ink.max() < 1e-3 * max(1.0, float(np.abs(grey).max())):
        raise DataError("the picture holds no digit: expected ink that differs from the colour of the border")
    ink /= ink.max()
    rows, columns = (np.flatnonzero((ink > 0.2).any(axis=axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

    scale = BOX / max(ink.shape)
    # Blurring first keeps thin strokes when a large picture becomes a small one.
    smooth = ndimage.gaussian_filter(ink, max(0.0, 0.4 / scale - 0.4))
    height, width = (max(1, round(n * scale)) for n in ink.shape)
    y = (np.arange(height) + 0.5) / scale - 0.5
    x = (np.arange(width) + 0.5) / scale - 0.5
    small = ndimage.map_coordinates(smooth, np.meshgrid(y, x, indexing="ij"), order=1, mode="nearest")
    small /= small.max()

    rows, columns = np.indices(small.shape)
    center_y, center_x = (float((axis * small).sum() / small.sum()) for axis in (rows, columns))
    top = int(np.clip(round((SIDE - 1) / 2 - center_y), 0, SIDE - height))
    left = int(np.clip(round((SIDE - 1) / 2 - center_x), 0, SIDE - width))
    page = np.zeros((SIDE, SIDE))
    page[top : top + height, left : left + width] = small
    return np.round(page * 255).astype(np.uint8)


def read_digit(path: str | os.PathLike[str]) -> npt.NDArray[np.uint8]:
    """Read a picture file and prepare the digit in it; see :func:`center_digit`.

    Raises:
        DataError: there is no such file, it is not a picture, or there is nothing in it.
        MissingDependencyError: Pillow, which reads pictures, is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise MissingDependencyError("reading a picture needs Pillow: pip install pillow") from None
    try:
        with Image.open(path) as image:
            strokes = image.convert("RGBA")
    except FileNotFoundError:
        raise DataError(f"there is no picture {os.fspath(path)}: give the path of a PNG or JPEG file") from None
    except (OSError, SyntaxError) as error:  # Pillow's word for a broken PNG
        raise DataError(f"{os.fspath(path)} is not a picture: expected a PNG or JPEG file ({error})") from None
    # What is transparent becomes grey, which neither black nor white ink is lost on.
    page = Image.new("RGBA", strokes.size, "grey")
    page.alpha_composite(strokes)
    return center_digit(np.asarray(page.convert("L")))
