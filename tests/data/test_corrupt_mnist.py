"""Corrupted MNIST: from its files, made from MNIST to the last bit, or made of the stand-in."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from minitorch.data import corrupt_mnist, load_corrupt_mnist, load_mnist
from minitorch.data.corrupt_mnist import ANGLES, DIGESTS, SPLITS, make_corrupt_mnist, parse_npz
from minitorch.data.mnist import MNIST
from minitorch.data.records import digest
from minitorch.data.rotation import rotate
from minitorch.errors import ArgumentError, DataError

HERE = Path("here.npz")


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def some_digits(count: int, seed: int = 0) -> MNIST:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    return MNIST(images, rng.integers(0, 10, count, dtype=np.uint8), "drawn by chance")


@pytest.mark.parametrize("split", ["train", "test"])
def test_made_from_mnist_it_is_bit_identical_to_the_published_files(genuine, lines, split):
    published = load_corrupt_mnist(split, notice=lines.append)
    assert published.source.endswith("(as published)")
    assert lines == []
    made = make_corrupt_mnist(load_mnist(split), split, lines.append)
    assert (made.images.dtype, made.images.shape) == (np.float32, (30_000 if split == "train" else 5000, 1, 28, 28))
    assert made.images.tobytes() == published.images.tobytes()
    np.testing.assert_array_equal(made.labels, published.labels)
    assert "every pixel as published" in lines[0]
    assert not made.stand_in


def test_the_recorded_digests_are_those_of_the_published_arrays(genuine):
    for split, files in SPLITS.items():
        for file, expected in zip(files, DIGESTS[split], strict=True):
            content = (genuine / "corruptmnist" / file.name).read_bytes()
            assert file.describes(content)
            images, labels = parse_npz(content, HERE)
            assert digest(images.tobytes()) == expected
            assert (images.shape, labels.shape, labels.dtype) == ((5000, 28, 28), (5000,), np.int64)


def test_without_its_files_it_is_made_from_mnist(genuine, tmp_path, monkeypatch, lines):
    (tmp_path / "mnist").symlink_to(genuine / "mnist")
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path))
    test = load_corrupt_mnist("test", notice=lines.append)
    assert len(test) == 5000
    assert lines == [f"Files of corrupted MNIST were not found; made it: {test.source}"]
    assert test.source == (
        f"corrupted MNIST test: 5,000 digits of (MNIST test: {tmp_path / 'mnist'} (as published)), rotated, every "
        "pixel as published"
    )


def test_a_named_folder_may_hold_either(genuine, lines):
    for name in ("corruptmnist", "mnist"):
        images = load_corrupt_mnist("test", genuine / name, notice=lines.append).images
        assert digest(images.tobytes()) == DIGESTS["test"][0]
    assert len(lines) == 1, "only what was made is announced"


def test_digits_are_cut_into_equal_runs_one_angle_each(lines):
    digits = some_digits(20)
    made = make_corrupt_mnist(digits, "train", lines.append)
    assert made.labels.tolist() == digits.labels.tolist()
    assert "with the published angles, not the published set" in lines[0]
    start = 0
    for count, angle in zip([4, 4, 3, 3, 3, 3], ANGLES["train"], strict=True):
        for number in range(start, start + count):
            turned = rotate(digits.images[number][None, None], -angle)[0]
            np.testing.assert_array_equal(made.images[number], turned.astype(np.float32) / np.float32(255))
        start += count
    assert made.images.max() <= 1.0


def test_the_test_set_takes_the_first_5000_digits(lines):
    assert len(make_corrupt_mnist(some_digits(5003), "test", lines.append)) == 5000


def test_the_stand_in_is_rotated_and_that_is_said(monkeypatch, lines):
    stand_in = some_digits(12)
    stand_in = MNIST(stand_in.images, stand_in.labels, "stand-in for MNIST test: 12 digits", stand_in=True)

    def load(split, path, download, allowed, notice):
        assert (split, path, download, allowed) == ("test", None, False, True)
        return stand_in

    monkeypatch.setattr(corrupt_mnist, "load_mnist", load)
    made = load_corrupt_mnist("test", download=False, notice=lines.append)
    assert made.stand_in
    assert "12 digits of (stand-in for MNIST test: 12 digits), rotated" in lines[0]


def test_an_unknown_split_is_told():
    with pytest.raises(ArgumentError, match=r"'train' or 'test', got 'valid'.*random_split"):
        load_corrupt_mnist("valid")  # pyright: ignore


def test_without_files_and_digits_the_message_names_mnist():
    with pytest.raises(DataError, match="MNIST was not found"):
        load_corrupt_mnist("train", download=False, stand_in=False)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        npz(images=np.zeros((1, 28, 28), np.float32)),
        npy(np.zeros((1, 28, 28), np.float32)),
        npz(images=np.array([{"pickled": 1}], dtype=object), labels=np.zeros(1, np.int64)),
        npz(images=np.zeros((1, 28, 28), np.float32), labels=np.zeros(1, np.int64))[:300],
    ],
)
def test_a_hostile_or_damaged_archive_is_told(content):
    with pytest.raises(DataError, match=r"here\.npz: expected an \.npz archive with the arrays images and labels"):
        parse_npz(content, HERE)


def test_a_damaged_member_is_told():
    content = bytearray(npz(images=np.random.default_rng(0).random((9, 28, 28), np.float32), labels=np.arange(9)))
    content[5000:5010] = b"\xff" * 10
    with pytest.raises(DataError, match=r"expected an \.npz archive"):
        parse_npz(bytes(content), HERE)


def test_a_header_that_announces_more_than_memory_holds_is_an_error_only():
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 28, 28), }".ljust(117) + "\n"
    header = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("images.npy", header)
        archive.writestr("labels.npy", header)
    with pytest.raises(DataError, match=r"expected an \.npz archive"):
        parse_npz(buffer.getvalue(), HERE)


def test_a_member_that_is_no_array_is_told():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("images.npy", b"no array")
        archive.writestr("labels.npy", b"no array")
    with pytest.raises(DataError, match="expected float32 images"):
        parse_npz(buffer.getvalue(), HERE)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((3, 28, 28)), np.zeros(3, np.int64)),
        (np.zeros((3, 28, 27), np.float32), np.zeros(3, np.int64)),
        (np.zeros((3, 28, 28), np.float32), np.zeros(2, np.int64)),
        (np.float32(1), np.zeros(1, np.int64)),
    ],
)
def test_arrays_that_do_not_fit_are_told(images, labels):
    with pytest.raises(DataError, match=r"expected float32 images, count x 28 x 28, and as many labels, got"):
        parse_npz(npz(images=images, labels=labels), HERE)


def test_another_edition_is_not_taken_for_this_one(tmp_path, monkeypatch):
    folder = tmp_path / "corruptmnist"
    folder.mkdir()
    (folder / "test.npz").write_bytes(npz(images=np.zeros((1, 28, 28), np.float32), labels=np.zeros(1, np.int64)))
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"test\.npz is not the published test\.npz of corrupted MNIST"):
        load_corrupt_mnist("test")
