"""CIFAR-10: the binary format, parts of the data set, and the archive."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from minitorch.data import cifar, load_cifar10
from minitorch.data.cifar import CIFAR_FILES, CLASSES, RECORD, parse_cifar
from minitorch.data.records import DataFile, DataSet, RemoteFile
from minitorch.errors import ArgumentError, DataError

HERE = Path("here.bin")
EACH = 20  # images in a file of the small edition


def file_of(images: np.ndarray, labels: np.ndarray) -> bytes:
    return b"".join(bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True))


def small_file(number: int) -> bytes:
    """Two images of each class, told apart by the number of the file and the first pixels."""
    images = np.full((EACH, 3, 32, 32), number, np.uint8)
    images[:, 0, 0, 0] = np.arange(EACH)
    return file_of(images, np.arange(EACH) % 10)


FILES = {f"data_batch_{k}.bin": small_file(k) for k in range(1, 6)} | {"test_batch.bin": small_file(6)}


@given(npst.arrays(np.uint8, st.tuples(st.integers(1, 3), st.just(3), st.just(32), st.just(32))), st.data())
def test_images_come_back_as_written(images, data):
    labels = data.draw(npst.arrays(np.uint8, len(images), elements=st.integers(0, 9)))
    got_images, got_labels = parse_cifar(file_of(images, labels), HERE)
    np.testing.assert_array_equal(got_images, images)
    np.testing.assert_array_equal(got_labels, labels)


@pytest.mark.parametrize("length", [0, 1, RECORD - 1, RECORD + 1, 2 * RECORD - 1])
def test_every_other_length_is_seen(length):
    with pytest.raises(DataError, match=rf"here\.bin is truncated or corrupted.*got {length:,} bytes in all"):
        parse_cifar(bytes(length), HERE)


def test_labels_are_classes():
    with pytest.raises(DataError, match="labels from 0 to 9, got 10"):
        parse_cifar(bytes([10]) + bytes(RECORD - 1), HERE)


def test_an_unknown_split_is_told():
    with pytest.raises(ArgumentError, match=r"'train' or 'test', got 'valid'.*random_split"):
        load_cifar10("valid")  # pyright: ignore


def test_absent_files_are_named_with_their_address():
    with pytest.raises(DataError, match=r"CIFAR-10 was not found: expected data_batch_1\.bin and") as caught:
        load_cifar10("train", download=False)
    assert "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz" in str(caught.value)
    assert "A part of the files serves too" in str(caught.value)


def put(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(FILES[name])


def test_a_part_of_the_files_is_accepted_and_announced(tmp_path, lines):
    put(tmp_path / "cifar10", "data_batch_4.bin", "data_batch_2.bin")
    dataset = load_cifar10("train", tmp_path, notice=lines.append)
    assert dataset.images[:, 2, 9, 9].tolist() == [2] * EACH + [4] * EACH, "in the order of their numbers"
    assert dataset.images[:EACH, 0, 0, 0].tolist() == list(range(EACH))
    assert (dataset.labels[:11].tolist(), dataset.classes) == ([*range(10), 0], CLASSES)
    assert "data of your own" in lines[0]
    assert lines[1] == (
        f"CIFAR-10 train: {tmp_path / 'cifar10'} (data_batch_2.bin, data_batch_4.bin) is a part of the data set: "
        "40 of 50,000 images"
    )


@pytest.fixture
def small_edition(monkeypatch, server, answers):
    """Record the small files instead of the published ones, in an archive on this machine."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, file in {"readme.html": b"read me", **FILES}.items():
            entry = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            entry.size = len(file)
            archive.addfile(entry, io.BytesIO(file))
    url = server.plan("/cifar.tar.gz", content.getvalue(), answers.cut(50), answers.whole)
    remote = RemoteFile("cifar-10-binary.tar.gz", (url,))
    files = tuple(
        DataFile(
            file.name,
            hashlib.sha256(FILES[file.name]).hexdigest() if file.sha256 else None,
            EACH * RECORD,
            remote,
            file.member,
        )
        for file in cifar.BATCHES + cifar.TEST
    )
    monkeypatch.setattr(cifar, "WHOLE", {"train": files[:5], "test": files[5:]})
    monkeypatch.setattr(cifar, "TEST", files[5:])
    monkeypatch.setattr(cifar, "PARTS", {"train": [files[:1]], "test": []})
    monkeypatch.setattr(cifar, "CIFAR_FILES", DataSet("CIFAR-10", CIFAR_FILES.folders, files))
    monkeypatch.setattr(cifar, "FIRST_TEST", 5)
    monkeypatch.setattr(cifar, "FIRST_TEST_SHA256", hashlib.sha256(FILES["test_batch.bin"][: 5 * RECORD]).hexdigest())
    return server


def test_the_archive_is_downloaded_once_and_unpacked(small_edition, lines):
    train = load_cifar10("train", notice=lines.append)
    assert train.images[:, 1, 0, 0].tolist() == [k for k in range(1, 6) for _ in range(EACH)]
    asked = len(small_edition.requests)
    test = load_cifar10("test", notice=lines.append)
    assert (len(test), test.images[0, 1, 0, 0]) == (EACH, 6)
    assert len(small_edition.requests) == asked == 2
    assert [line.split()[0] for line in lines] == ["Downloading"], "nothing is a part, nothing is announced as one"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("data_batch_1.bin", lambda file: file[:-1] + b"\0", "expected SHA-256"),
        ("data_batch_3.bin", lambda file: file[:-1], "truncated, or another file"),
        ("data_batch_3.bin", lambda file: b"\1" + file[1:], r"expected 10 images of each class in .*got \[9, 11, 10"),
        ("test_batch.bin", lambda file: b"\1" + file[1:], r"expected 2 images of each class"),
        ("test_batch.bin", lambda file: file[:9] + b"\0" + file[10:], "SHA-256 of its first 5 images differs"),
    ],
)
def test_files_that_are_not_the_published_ones_are_told(small_edition, tmp_path, monkeypatch, name, change, message):
    put(tmp_path / "cifar-10-batches-bin", *FILES)
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path))
    split = "test" if name.startswith("test") else "train"
    expected = len(load_cifar10(split))
    assert expected == EACH * (1 if split == "test" else 5)
    (tmp_path / "cifar-10-batches-bin" / name).write_bytes(change(FILES[name]))
    with pytest.raises(DataError, match=message):
        load_cifar10(split)


def test_the_subset_that_is_here(genuine, lines):
    train, test = load_cifar10("train", notice=lines.append), load_cifar10("test", notice=lines.append)
    assert len(lines) in (0, 2), "whole files are not announced"
    first = train.labels[:10_000]
    assert np.bincount(first).tolist() == [1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981]
    assert np.bincount(test.labels[:2000]).tolist() == [196, 198, 195, 199, 198, 185, 216, 193, 217, 203]
    means = train.images[:10_000].mean(axis=(0, 2, 3)) / 255
    np.testing.assert_allclose(means, [0.4935, 0.4834, 0.4472], atol=5e-5)
    assert [CLASSES[label] for label in first[:3]] == ["frog", "truck", "truck"]
    if len(lines) == 2:
        assert lines[0].endswith("(data_batch_1.bin) is a part of the data set: 10,000 of 50,000 images")
        assert lines[1].endswith("(test_batch_first2000.bin) is a part of the data set: 2,000 of 10,000 images")


def test_the_recorded_digests_are_those_of_the_files(genuine):
    checked = 0
    for file in CIFAR_FILES.files:
        packed = genuine / "cifar10" / f"{file.name}.gz"
        if packed.is_file() and file.sha256:
            assert file.describes(gzip.decompress(packed.read_bytes()))
            checked += 1
    assert checked == 2
