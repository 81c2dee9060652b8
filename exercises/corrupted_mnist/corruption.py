"""What was done to the digits of corrupted MNIST: each file was rotated by an angle, which is found from its pixels.

Two functions look for it: one needs no other data than a few upright digits, the other compares each digit with the one
that it was made from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import minitorch
from minitorch import Tensor
from minitorch.data import ImageDataset

__all__ = ["differing_pixels", "find_rotation", "lean", "ones", "rotate"]

# Digits of a file that are compared to find the angle roughly, and then closely.
FEW, MANY = 50, 500


# --- from the digits alone -----------------------------------------------------------------------------------


def ones(digits: ImageDataset) -> Tensor:
    """Pick the images of ones, ``batch x channel x height x width``."""
    return minitorch.tensor(digits.images)[minitorch.tensor(digits.labels) == 1]


def lean(digits: Tensor) -> float:
    r"""Measure how far strokes lean to the right, in degrees, from how their ink is spread.

    With the ink's variances $v_x$, $v_y$ and covariance $c$ about its centre, the main axis of a digit is at the angle

    $$\tfrac12 \operatorname{atan2}(2 c, \; v_y - v_x)$$

    to the vertical, with $y$ counted upwards. The variances of all digits are added up first. A digit that has one
    stroke, a 1, is turned as its stroke is.

    Args:
        digits: images, ``batch x channel x height x width``, of ones best.
    """
    ink = digits.to("float64")
    side = ink.shape[-1]
    x = minitorch.arange(side).to("float64").view(1, 1, 1, side)
    y = x.view(1, 1, side, 1) * -1.0

    def mean(values: Tensor) -> Tensor:
        """Average over each image, weighted with its ink."""
        return (ink * values).sum(3).sum(2) / ink.sum(3).sum(2)

    across, up = x - mean(x), y - mean(y)
    variance_x, variance_y, covariance = (
        mean(product).sum().item() for product in (across * across, up * up, across * up)
    )
    return math.degrees(math.atan2(2 * covariance, variance_y - variance_x) / 2)


# --- from the digits before and after ------------------------------------------------------------------------


def rotate(images: Tensor, degrees: float) -> Tensor:
    r"""Rotate images clockwise about their centre; each pixel is the nearest one of the original.

    The new pixel at distance $(x, y)$ from the centre, with $y$ counted downwards, is the one that lay at

    $$(x \cos a + y \sin a, \; y \cos a - x \sin a).$$

    Args:
        images: ``batch x channel x height x width``, with as many rows as columns.
        degrees: the angle $a$.

    Returns:
        Images of the same shape; pixels that lay outside are 0.
    """
    batch, channels, side, _ = images.shape
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    middle = (side - 1) / 2
    x = minitorch.arange(side).to("float64").view(1, side) - middle
    y = x.view(side, 1)
    column, row = _nearest(cosine * x + sine * y + middle), _nearest(cosine * y - sine * x + middle)
    inside = (column >= 0) & (column < side) & (row >= 0) & (row < side)
    source = minitorch.where(inside, row * side + column, 0).view(side * side)
    pixels = images.view(batch, channels, side * side)[:, :, source]
    return minitorch.where(inside.view(side * side), pixels, 0.0).view(batch, channels, side, side)


def _nearest(numbers: Tensor) -> Tensor:
    """Round to whole numbers; those below zero are not far below."""
    above_zero = 100
    return (numbers + (above_zero + 0.5)).to("int64") - above_zero


def find_rotation(rotated: Tensor, upright: Tensor) -> tuple[float, list[tuple[float, float]]]:
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


def errors_at(angles: Sequence[float], rotated: Tensor, upright: Tensor) -> list[tuple[float, float]]:
    """Rotate upright digits to each angle, and give the angles with the mean squared difference from the others."""
    found = []
    for angle in angles:
        difference = rotate(upright, angle) - rotated
        found.append((angle, (difference * difference).mean().item()))
    return found


def best_angle(errors: list[tuple[float, float]]) -> float:
    """Give the middle of the angles with the least error."""
    least = min(error for _, error in errors)
    best = [angle for angle, error in errors if error == least]
    return (best[0] + best[-1]) / 2


def differing_pixels(rotated: Tensor, upright: Tensor, angle: float) -> int:
    """Count the pixels that differ after upright digits are rotated by an angle."""
    return int((rotate(upright, angle) != rotated).to("int64").sum().item())
