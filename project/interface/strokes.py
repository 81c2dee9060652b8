"""From the strokes of a pen to a digit as MNIST has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from minitorch import DataError
from minitorch.data.drawing import center_digit

__all__ = ["Strokes", "digit_of", "ink"]

Strokes = Sequence[Sequence[Sequence[float]]]

SIDE = 112
# MNIST's lines are about two and a half of the 20 pixels that a digit is scaled to.
PEN = 1.25 / 20
MARGIN = 0.15
MOST_POINTS = 5000


def ink(strokes: Strokes) -> npt.NDArray[np.float64]:
    """Draw strokes with a pen whose width goes with the size of what is drawn, as the digit is scaled afterwards.

    Args:
        strokes: lists of points $(x, y)$.

    Returns:
        ``112 x 112`` from 0, paper, to 1, ink.

    Raises:
        DataError: there is nothing, or something else than points.
    """
    try:
        lines = [np.asarray(stroke, np.float64).reshape(-1, 2) for stroke in strokes if len(stroke)]
    except (TypeError, ValueError):
        raise DataError("expected strokes, lists of points x, y; got something else.") from None
    points = np.concatenate(lines) if lines else np.zeros((0, 2))
    if not len(points) or not np.isfinite(points).all():
        raise DataError("there is nothing on the sheet: draw a digit on it.")
    if len(points) > MOST_POINTS:
        raise DataError(f"expected at most {MOST_POINTS} points, got {len(points)}. Clear the sheet.")
    low, high = points.min(0), points.max(0)
    extent = max(float((high - low).max()), 0.05)
    scale = (1.0 - 2.0 * MARGIN) / extent
    shift = 0.5 - scale * (low + high) / 2.0
    axis = (np.arange(SIDE) + 0.5) / SIDE
    pixels = np.stack(np.meshgrid(axis, axis), axis=-1)
    near = np.full((SIDE, SIDE), np.inf)
    for line in lines:
        placed = scale * line + shift
        for start, end in zip(placed[:-1] if len(placed) > 1 else placed, placed[1:] if len(placed) > 1 else placed):
            along = end - start
            share = ((pixels - start) @ along) / max(float(along @ along), 1e-12)
            nearest = start + np.clip(share, 0.0, 1.0)[..., None] * along
            near = np.minimum(near, np.hypot(*np.moveaxis(pixels - nearest, -1, 0)))
    # The edge of a line is a pixel wide.
    return np.clip(0.5 + (PEN * scale * extent - near) * SIDE, 0.0, 1.0)


def digit_of(strokes: Strokes) -> npt.NDArray[np.uint8]:
    """Turn strokes into ``28 x 28`` pixels: scaled to 20 pixels, its centre of mass in the middle, as MNIST's are.

    Raises:
        DataError: there is nothing on the sheet.

    >>> digit_of([[[0.5, 0.2], [0.5, 0.8]]]).shape
    (28, 28)
    """
    return center_digit(ink(strokes))
