"""Rotation, against SciPy's and against quarter turns."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given
from hypothesis import strategies as st

from minitorch.data.rotation import rotate


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(1, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("side", [1, 2, 5, 28])
@pytest.mark.parametrize("turns", [-2, -1, 0, 1, 2, 3, 5])
def test_quarter_turns_are_exact(side, turns):
    batch = images(3, 2, side, side)
    np.testing.assert_array_equal(rotate(batch, 90 * turns), np.rot90(batch, turns, axes=(2, 3)))


@given(st.floats(-180, 180), st.integers(1, 12), st.integers(1, 12))
def test_the_nearest_pixel_is_what_scipy_takes(angle, height, width):
    batch = images(2, 1, height, width).astype(np.float64)
    got = rotate(batch, angle)
    # SciPy turns the plane of the axes (2, 3) from the first to the second, which is counter-clockwise as it is seen.
    expected = scipy.ndimage.rotate(batch, angle, axes=(3, 2), reshape=False, order=0, mode="constant", cval=0.0)
    place = sources(angle, height, width)
    near_a_border = (np.abs(np.abs(place - np.rint(place)) - 0.5) < 1e-6).any(axis=0)
    last = np.array([height - 1, width - 1])[:, None, None]
    at_the_edge = ((place < 1e-6) | (place > last - 1e-6)).any(axis=0)
    decided = ~near_a_border & ~at_the_edge  # of the edge's pixels SciPy takes the inner half only
    np.testing.assert_array_equal(got[:, :, decided], expected[:, :, decided])


def sources(angle: float, height: int, width: int) -> np.ndarray:
    """Say where each pixel comes from, by a rotation of complex numbers."""
    row, column = np.mgrid[:height, :width]
    centre = complex((width - 1) / 2, (height - 1) / 2)
    turned = (column + 1j * row - centre) * np.exp(1j * np.deg2rad(angle)) + centre
    return np.stack([turned.imag, turned.real])


def test_each_image_may_have_its_angle_and_what_lay_outside_is_filled():
    batch = images(4, 3, 7, 7)
    angles = [0.0, 33.0, -90.0, 45.0]
    together = rotate(batch, angles, fill=9)
    for image, angle, turned in zip(batch, angles, together, strict=True):
        np.testing.assert_array_equal(rotate(image[None], angle, fill=9)[0], turned)
    assert (together[3, :, 0, 0] == 9).all(), "a corner of a square turned by 45 degrees lay outside"
    assert together.dtype == np.uint8


def test_the_batch_itself_is_left_alone():
    batch = images(1, 1, 4, 4)
    before = batch.copy()
    rotate(batch, 30)
    np.testing.assert_array_equal(batch, before)
