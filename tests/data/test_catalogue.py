"""The data sets of images by name."""

from __future__ import annotations

import numpy as np
import pytest

import minitorch
from minitorch.data import DataLoader, load
from minitorch.errors import ArgumentError, DataError

SIZES = {
    "mnist": (60_000, 10_000, (1, 28, 28)),
    "fashionmnist": (60_000, 10_000, (1, 28, 28)),
    "corruptmnist": (30_000, 5000, (1, 28, 28)),
    "cifar": (10_000, 2000, (3, 32, 32)),
}


@pytest.mark.parametrize("name", ["MNIST", "imagenet", "", None])
def test_an_unknown_name_is_told_with_the_list(name):
    with pytest.raises(ArgumentError, match=f"one of mnist, fashionmnist, cifar, corruptmnist, got {name!r}"):
        load(name)


@pytest.mark.parametrize("name", SIZES)
def test_a_genuine_data_set_is_ready_to_train_on(genuine, lines, name):
    train, test = load(dataset=name, notice=lines.append)
    train_size, test_size, shape = SIZES[name]
    assert len(train) >= train_size  # the whole of CIFAR-10 may be there
    assert len(test) >= test_size
    assert (len(train.classes), train.classes) == (10, test.classes)
    for part in (train, test):
        images, labels = next(iter(DataLoader(part, 64, shuffle=True, backend=minitorch.FastBackend)))
        assert (images.shape, images.dtype, labels.shape, labels.dtype) == ((64, *shape), np.float32, (64,), np.int64)
        assert 0.0 <= images.to_numpy().min() < images.to_numpy().max() <= 1.0
        assert not part.stand_in
        assert str(genuine) in part.source


def test_bytes_as_published_without_a_transform(genuine):
    train, _ = load("mnist", transform=None)
    images, _ = next(iter(DataLoader(train, 2)))
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images.to_numpy(), train.images[:2])


@pytest.mark.parametrize("name", SIZES)
def test_nothing_is_found_in_an_empty_folder(name, tmp_path):
    with pytest.raises(DataError, match="does not hold"):
        load(name, tmp_path)


def test_the_choice_of_places_is_passed_on(genuine, lines):
    for name, folder in (("mnist", "mnist"), ("fashionmnist", "fashion-mnist"), ("cifar", "cifar10")):
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("MINITORCH_DATA")
            train, _ = load(name, genuine / folder, download=False, notice=lines.append)
            assert str(genuine / folder) in train.source
            with pytest.raises(DataError, match="not tried, because of download=False"):
                load(name, download=False, stand_in=False)
