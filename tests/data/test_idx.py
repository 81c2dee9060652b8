"""The reader of IDX files."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from minitorch.data.idx import parse_idx, read_idx_pair
from minitorch.data.search import Found
from minitorch.errors import DataError

HERE = Path("here")


def idx(array: np.ndarray) -> bytes:
    """Write an array in the IDX format (struct does the header, unlike in the reader)."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@given(npst.arrays(np.uint8, npst.array_shapes(min_dims=3, max_dims=3, min_side=0, max_side=5)))
def test_images_come_back_as_written(images):
    read = parse_idx(idx(images), HERE, dimensions=3)
    assert read.dtype == np.uint8
    assert not read.flags.writeable
    np.testing.assert_array_equal(read, images)


@given(npst.arrays(np.uint8, npst.array_shapes(min_dims=1, max_dims=1, min_side=0, max_side=9)), st.data())
def test_every_other_length_is_seen(labels, data):
    content = idx(labels)
    cut = data.draw(st.integers(0, len(content) - 1))
    for damaged in (content[:cut], content + b"x"):
        with pytest.raises(DataError, match=r"here is (truncated|not an IDX file)"):
            parse_idx(damaged, HERE, dimensions=1)


def test_a_header_that_announces_more_than_memory_holds_is_an_error_only():
    with pytest.raises(DataError, match="4294967295 x 4294967295 x 4294967295"):
        parse_idx(bytes([0, 0, 8, 3]) + b"\xff" * 12, HERE, dimensions=3)


def test_swapped_images_and_labels_are_told():
    with pytest.raises(DataError, match=r"IDX file of images: .* 00000803, got 00000801 \(labels: are two files swap"):
        parse_idx(idx(np.zeros(3, np.uint8)), HERE, dimensions=3)
    with pytest.raises(DataError, match=r"IDX file of labels: .* got 00000803 \(images: are two"):
        parse_idx(idx(np.zeros((1, 2, 2), np.uint8)), HERE, dimensions=1)


@pytest.mark.parametrize("magic", [b"", b"\x00", b"PNG!", bytes([0, 0, 13, 3]), bytes([1, 0, 8, 3])])
def test_what_is_not_idx_is_told(magic):
    with pytest.raises(DataError, match="expected the magic bytes 00000803, got"):
        parse_idx(magic, HERE, dimensions=3)


def pair(images: np.ndarray, labels: np.ndarray) -> Found:
    return Found((), (Path("images"), Path("labels")), (idx(images), idx(labels)), published=False)


def test_a_pair_is_read():
    pixels = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    images, labels = read_idx_pair(pair(pixels, np.array([4, 0], np.uint8)), classes=5)
    np.testing.assert_array_equal(images, pixels)
    assert labels.tolist() == [4, 0]


def test_a_pair_of_different_lengths_is_told():
    with pytest.raises(DataError, match="images holds 2 images but labels holds 3 labels"):
        read_idx_pair(pair(np.zeros((2, 1, 1), np.uint8), np.zeros(3, np.uint8)), classes=10)


def test_a_label_that_is_no_class_is_told():
    with pytest.raises(DataError, match="labels: expected labels from 0 to 4, got 5"):
        read_idx_pair(pair(np.zeros((1, 1, 1), np.uint8), np.array([5], np.uint8)), classes=5)
