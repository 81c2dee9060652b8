"""Transforms, against NumPy's own words for a single image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch
from minitorch.data.transforms import (
    Compose,
    Lambda,
    Normalize,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    ToDtype,
    ToTensor,
    pixel_statistics,
)
from minitorch.errors import ArgumentError, DTypeError, ShapeError
from minitorch.random import Generator


def batch(count: int = 6, channels: int = 3, height: int = 8, width: int = 7) -> np.ndarray:
    """Images of which no two pixels are equal (but for the wrap of bytes)."""
    values = np.arange(count * channels * height * width) % 251
    return values.reshape(count, channels, height, width).astype(np.uint8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bytes_become_numbers_from_0_to_1(dtype):
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    scaled = ToDtype(dtype, scale=True)(pixels)
    assert scaled.dtype == dtype
    np.testing.assert_array_equal(scaled, pixels.astype(dtype) / np.dtype(dtype).type(255))
    np.testing.assert_array_equal(ToDtype(dtype)(pixels), pixels)
    np.testing.assert_array_equal(ToDtype(dtype, scale=True)(scaled), scaled)  # floats are on the scale already
    with pytest.raises(DTypeError, match="float32 or float64"):
        ToDtype("int32")


def test_to_tensor_and_functions_in_a_chain():
    chain = Compose([ToTensor(), Lambda(lambda images: images.reshape(len(images), -1))])
    got = chain(batch())
    assert (got.dtype, got.shape) == (np.float32, (6, 3 * 8 * 7))
    np.testing.assert_array_equal(got, batch().reshape(6, -1).astype(np.float32) / np.float32(255))


def test_each_channel_is_normalised():
    images = ToDtype("float32", scale=True)(batch())
    got = Normalize([0.1, 0.2, 0.3], [0.5, 1.0, 2.0])(images)
    assert got.dtype == np.float32
    for channel, (mean, std) in enumerate([(0.1, 0.5), (0.2, 1.0), (0.3, 2.0)]):
        np.testing.assert_allclose(got[:, channel], (images[:, channel] - mean) / std, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(Normalize(0.5, 0.25)(images), (images - 0.5) / 0.25, rtol=1e-6)


def test_what_cannot_be_normalised_is_told():
    with pytest.raises(DTypeError, match="expected floats to normalise, got uint8"):
        Normalize(0.5, 0.5)(batch())
    with pytest.raises(ShapeError, match=r"each of 3 channels.*got 2 and 1"):
        Normalize([0.5, 0.5], 0.5)(batch().astype(np.float32))
    with pytest.raises(ArgumentError, match="above 0"):
        Normalize(0.5, [0.5, 0.0, 1.0])
    with pytest.raises(ShapeError, match=r"batch x channel x height x width, got shape \(3, 8, 7\)"):
        Normalize(0.5, 0.5)(batch()[0].astype(np.float32))


@pytest.mark.parametrize("count", [1, 999, 1000, 2001])
def test_statistics_bring_images_to_mean_0_and_deviation_1(count):
    images = np.random.default_rng(count).integers(0, 200, (count, 2, 3, 3), dtype=np.uint8)
    mean, std = pixel_statistics(images)
    np.testing.assert_allclose(mean, images.mean(axis=(0, 2, 3)) / 255)
    np.testing.assert_allclose(std, images.std(axis=(0, 2, 3)) / 255)
    scaled = ToDtype("float64", scale=True)(images)
    np.testing.assert_allclose(pixel_statistics(scaled), (mean, std))
    np.testing.assert_allclose(pixel_statistics(Normalize(mean, std)(scaled))[1], [1, 1])


@pytest.mark.parametrize(
    ("padding", "borders"),
    [
        (2, ((0, 0), (0, 0), (2, 2), (2, 2))),
        ((1, 3), ((0, 0), (0, 0), (3, 3), (1, 1))),
        ((1, 2, 3, 4), ((0, 0), (0, 0), (2, 4), (1, 3))),
    ],
)
def test_a_border_is_added(padding, borders):
    np.testing.assert_array_equal(Pad(padding, fill=7)(batch()), np.pad(batch(), borders, constant_values=7))
    for mode in ("edge", "reflect", "symmetric"):
        expected = np.pad(batch(), borders, mode=mode)
        np.testing.assert_array_equal(Pad(padding, padding_mode=mode)(batch()), expected)


@pytest.mark.parametrize("padding", [-1, (1, 2, 3), (), (1, 2, 3, 4, 5)])
def test_a_border_that_is_none_is_told(padding):
    with pytest.raises(ArgumentError, match="1, 2 or 4 widths"):
        Pad(padding)


def test_an_unknown_mode_is_told():
    with pytest.raises(ArgumentError, match="constant, edge, reflect, symmetric, got 'mirror'"):
        Pad(1, padding_mode="mirror")


@given(st.integers(1, 8), st.integers(1, 7), st.integers(0, 3), st.integers(0, 999))
def test_a_crop_is_a_window_of_the_padded_image(height, width, padding, seed):
    images = batch()
    crops = RandomCrop((height, width), padding=padding)(images, Generator(seed))
    assert crops.shape == (6, 3, height, width)
    padded = Pad(padding)(images)
    for image, crop in zip(padded, crops, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(image, crop.shape)
        assert (windows == crop).all(axis=(-3, -2, -1)).any()


def test_crops_begin_everywhere_and_not_at_the_same_place():
    images = np.broadcast_to(np.arange(25).reshape(1, 1, 5, 5), (4000, 1, 5, 5))
    first = RandomCrop(3)(images, Generator(3))[:, 0, 0, 0]
    counts = np.bincount(first, minlength=25).reshape(5, 5)
    assert (counts[:3, :3] > 4000 / 9 * 0.8).all()
    assert counts.sum() == counts[:3, :3].sum() == 4000


def test_a_crop_larger_than_the_image_is_told():
    with pytest.raises(ShapeError, match=r"at least 9 x 9 to cut from, got 8 x 7"):
        RandomCrop(9)(batch())


def test_flips_turn_about_the_given_share():
    images = batch(1000, 1, 2, 3)
    flipped = RandomHorizontalFlip(0.3)(images, Generator(1))
    turned = (flipped != images).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(flipped[turned], images[turned][..., ::-1])
    assert 0.25 < turned.mean() < 0.35
    np.testing.assert_array_equal(RandomHorizontalFlip(0.0)(images), images)
    np.testing.assert_array_equal(RandomHorizontalFlip(1.0)(images), images[..., ::-1])
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(ArgumentError, match="probability from 0 to 1"):
            RandomHorizontalFlip(p)


def test_rotations_stay_in_their_range_and_differ():
    half_turn = RandomRotation((180, 180))(batch())
    np.testing.assert_array_equal(half_turn, batch()[..., ::-1, ::-1])
    ramp = np.broadcast_to(np.arange(101.0) - 50, (400, 1, 101, 101))  # a pixel's value is its column
    column = RandomRotation(30)(ramp, Generator(2))[:, 0, 50, 90]  # 40 pixels right of the centre
    angles = np.degrees(np.arccos(column / 40))
    assert angles.max() < 32
    assert len(np.unique(column)) >= 5
    with pytest.raises(ArgumentError, match="lower end first"):
        RandomRotation((10, -10))
    with pytest.raises(ArgumentError, match="lower end first"):
        RandomRotation(-10)


RANDOM = [RandomCrop(5, padding=1), RandomHorizontalFlip(), RandomRotation(40)]


@pytest.mark.parametrize("transform", RANDOM, ids=lambda transform: type(transform).__name__)
def test_chance_comes_from_the_generator_alone(transform):
    images = batch(50, 1, 8, 8)
    before = images.copy()
    first, again = transform(images, Generator(7)), transform(images, Generator(7))
    np.testing.assert_array_equal(first, again)
    assert (transform(images, Generator(8)) != first).any()
    np.testing.assert_array_equal(images, before)
    minitorch.manual_seed(7)
    np.testing.assert_array_equal(transform(images), first)


def test_a_chain_goes_through_in_order_with_one_generator():
    chain = Compose([*RANDOM, ToDtype("float32", scale=True), lambda images: images + 1])
    generator = Generator(4)
    expected = batch()
    for transform in RANDOM:
        expected = transform(expected, generator)
    got = chain(batch(), Generator(4))
    np.testing.assert_array_equal(got, expected.astype(np.float32) / np.float32(255) + 1)
