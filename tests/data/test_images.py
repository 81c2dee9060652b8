"""Images with classes: what an item is, what a batch is, and mistakes in either."""

from __future__ import annotations

import numpy as np
import pytest

from minitorch.data import Compose, DataLoader, ImageDataset, RandomHorizontalFlip, Subset, ToDtype
from minitorch.errors import DataError, IndexingError, ShapeError
from minitorch.random import Generator


def pictures(count: int = 6, **more) -> ImageDataset:
    images = np.arange(count * 12, dtype=np.uint8).reshape(count, 3, 2, 2)
    return ImageDataset(images, np.arange(count) % 2, ("cat", "dog"), **more)


def test_an_item_is_an_image_and_the_number_of_its_class():
    dataset = pictures(transform=ToDtype("float32", scale=True))
    image, label = dataset[-1]
    np.testing.assert_array_equal(image.to_numpy(), dataset.images[5].astype(np.float32) / np.float32(255))
    assert (image.shape, image.dtype, label, type(label)) == ((3, 2, 2), np.float32, 1, int)
    assert len(list(dataset)) == len(dataset) == 6  # pyright: ignore
    with pytest.raises(IndexingError, match="index from -6 to 5, got 6"):
        dataset[6]


def test_a_batch_is_transformed_as_a_whole():
    calls = []

    def negative(images):
        calls.append(images.shape)
        return 255 - images

    images, labels = pictures(transform=negative).gather(np.array([4, 1, 1]), Generator(0))
    np.testing.assert_array_equal(images, 255 - pictures().images[[4, 1, 1]])
    assert (labels.tolist(), labels.dtype, calls) == ([0, 1, 1], np.int64, [(3, 3, 2, 2)])
    raw, _ = pictures().gather(np.array([0]), Generator(0))
    raw[:] = 0
    assert pictures().images[0].max() > 0, "a batch is a copy"


def test_another_transform_shares_the_images():
    dataset = pictures(source="somewhere", stand_in=True)
    other = dataset.with_transform(RandomHorizontalFlip(1.0))
    assert other.images is dataset.images
    assert (other.source, other.stand_in, dataset.transform) == ("somewhere", True, None)
    np.testing.assert_array_equal(other[0][0].to_numpy(), dataset.images[0, :, :, ::-1])


def test_a_subclass_that_changes_items_is_not_bypassed():
    class Negative(ImageDataset):
        def __getitem__(self, index):
            image, label = super().__getitem__(index)
            return -image, label

    dataset = Negative(np.full((3, 1, 1), 5), [0, 1, 2])
    ((images, labels),) = DataLoader(Subset(dataset, [2, 0]), batch_size=2)
    assert (images.tolist(), labels.tolist()) == ([[[[-5]]], [[[-5]]]], [2, 0])


def test_one_channel_is_added_where_there_is_none():
    assert ImageDataset(np.zeros((2, 5, 7)), [0, 1]).images.shape == (2, 1, 5, 7)
    with pytest.raises(ShapeError, match=r"count x channel x height x width, got shape \(2, 5\)"):
        ImageDataset(np.zeros((2, 5)), [0, 1])


@pytest.mark.parametrize(("images", "labels"), [(7, 6), (0, 1), (1, 0)])
def test_images_and_labels_of_different_length_are_told(images, labels):
    with pytest.raises(DataError, match=f"one label for each image, got {images} images and {labels} labels"):
        ImageDataset(np.zeros((images, 2, 2)), np.zeros(labels, int))


def test_labels_are_numbers_of_classes():
    images = np.zeros((2, 2, 2))
    with pytest.raises(DataError, match=r"labels from 0 to 1, the numbers of 2 classes, got 0 to 2"):
        ImageDataset(images, [0, 2], ("cat", "dog"))
    with pytest.raises(DataError, match="got -1 to 0"):
        ImageDataset(images, [0, -1], ("cat", "dog"))
    with pytest.raises(DataError, match="whole numbers as labels, got float64"):
        ImageDataset(images, [0.0, 1.0])
    with pytest.raises(ShapeError, match=r"in one dimension, got shape \(2, 3\)"):
        ImageDataset(images, np.eye(2, 3))
    assert len(ImageDataset(np.zeros((0, 2, 2)), [], ("cat",))) == 0


def test_it_says_what_it_is():
    dataset = pictures(source="a box", transform=Compose([]))
    assert repr(dataset) == "ImageDataset(6 x 3 x 2 x 2 uint8, 2 classes, a box)"
