"""Fashion-MNIST: its files, mistakes with them, and the published counts."""

from __future__ import annotations

import numpy as np
import pytest

from minitorch.data import load_fashion_mnist
from minitorch.data.fashion_mnist import CLASSES, SPLITS
from minitorch.errors import ArgumentError, DataError


def test_an_unknown_split_is_told():
    with pytest.raises(ArgumentError, match=r"'train' or 'test', got 'valid'.*random_split"):
        load_fashion_mnist("valid")  # pyright: ignore


def test_absent_files_are_named_with_their_address():
    with pytest.raises(DataError, match="Fashion-MNIST was not found") as caught:
        load_fashion_mnist("train", download=False)
    assert "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-images-idx3-ubyte.gz" in str(caught.value)


def test_a_truncated_file_is_told(genuine, tmp_path, monkeypatch):
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path))
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    for file in SPLITS["test"]:
        whole = (genuine / "fashion-mnist" / f"{file.name}.gz").read_bytes()
        (folder / f"{file.name}.gz").write_bytes(whole[:-100])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz is truncated or corrupted"):
        load_fashion_mnist("test", download=False)


def test_digits_are_not_clothing(genuine, tmp_path, monkeypatch):
    (tmp_path / "fashion-mnist").symlink_to(genuine / "mnist")
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match="is not the published t10k-images-idx3-ubyte of Fashion-MNIST"):
        load_fashion_mnist("test", download=False)


def test_genuine_fashion_mnist(genuine, lines):
    train, test = load_fashion_mnist("train", notice=lines.append), load_fashion_mnist("test", notice=lines.append)
    assert (train.images.shape, test.images.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert np.bincount(train.labels).tolist() == [6000] * 10
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert train.images.mean() / 255 == pytest.approx(0.2860, abs=5e-5)
    assert train.images.std() / 255 == pytest.approx(0.3530, abs=5e-5)
    assert [CLASSES[label] for label in train.labels[:3]] == ["Ankle boot", "T-shirt/top", "T-shirt/top"]
    assert train.classes == CLASSES
    assert train.source == f"Fashion-MNIST train: {genuine / 'fashion-mnist'} (as published)"
    assert lines == []
