"""A file is what its content says: compressed or not, whole or damaged, its own or another's."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.data.records import DataFile, DataSet, identify, read_content
from minitorch.errors import DataError

A, B = b"the first file" * 40, b"another file!!" * 40  # of the same size


def record(name: str, content: bytes) -> DataFile:
    return DataFile(name, hashlib.sha256(content).hexdigest(), len(content))


FILES = DataSet("Toy", ("toy",), (record("a", A), record("b", B)))


@pytest.mark.parametrize("name", ["a", "a.gz", "a.txt"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_compression_is_told_by_content_and_not_by_name(tmp_path, name, compress):
    path = tmp_path / name
    path.write_bytes(compress(A))
    assert read_content(path) == A


def test_member_of_an_archive_is_read(tmp_path):
    path = tmp_path / "toy.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("toy/a", A)
    assert read_content(path, "toy/a") == A
    with pytest.raises(DataError, match=r"toy\.zip is a zip archive without the member toy/b"):
        read_content(path, "toy/b")


def tar(path: Path, **members: bytes) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(f"toy/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        archive.addfile(tarfile.TarInfo("toy/link"), None)
    return path


def test_member_of_a_tar_archive_is_read(tmp_path):
    path = tar(tmp_path / "toy.tar.gz", a=A, b=B)
    assert read_content(path, "toy/a") == A
    assert read_content(path, "toy/b") == B
    with pytest.raises(DataError, match=r"toy\.tar\.gz is a tar archive without the member toy/c"):
        read_content(path, "toy/c")


@pytest.mark.parametrize("length", [0, 1, 20, 60, 100])
def test_a_tar_archive_that_is_cut_off_is_told(tmp_path, length):
    path = tar(tmp_path / "toy.tar.gz", a=np.random.default_rng(0).bytes(9999))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError, match=r"toy\.tar\.gz is truncated or corrupted"):
        read_content(path, "toy/a")


def test_what_only_claims_to_be_a_tar_archive_is_told(tmp_path):
    (tmp_path / "toy.tar.gz").write_bytes(gzip.compress(A))
    with pytest.raises(DataError, match=r"toy\.tar\.gz is truncated or corrupted: expected a tar archive"):
        read_content(tmp_path / "toy.tar.gz", "toy/a")


def test_without_a_digest_the_size_is_what_describes():
    sized, any_size = DataFile("c", size=3), DataFile("d")
    assert sized.describes(b"abc")
    assert not sized.describes(b"ab")
    assert any_size.describes(b"ab")
    with pytest.raises(DataError, match="expected 3 bytes uncompressed, got 2"):
        identify(b"ab", sized, FILES, Path("c"), own=False)
    assert identify(b"abc", sized, FILES, Path("c"), own=False) is False, "nothing says that it is the published file"


def test_an_archive_that_is_itself_the_file_is_not_opened(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, x=np.arange(3))
    (tmp_path / "x.npz").write_bytes(buffer.getvalue())
    assert read_content(tmp_path / "x.npz") == buffer.getvalue()


@given(st.integers(min_value=2, max_value=len(gzip.compress(A)) - 1))
def test_every_truncation_of_a_gzip_file_is_seen(tmp_path_factory, length):
    path = tmp_path_factory.getbasetemp() / "cut.gz"
    path.write_bytes(gzip.compress(A)[:length])
    with pytest.raises(DataError, match=r"cut\.gz is truncated or corrupted.*get it again"):
        read_content(path)


def test_a_damaged_archive_is_named(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("toy/a", A)
    damaged = bytearray(buffer.getvalue())
    damaged[60] ^= 1  # in the stored content: the checksum of the member differs
    (tmp_path / "toy.zip").write_bytes(damaged)
    with pytest.raises(DataError, match=r"toy\.zip is truncated or corrupted"):
        read_content(tmp_path / "toy.zip", "toy/a")


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_content(tmp_path)


def test_the_published_content_is_recognised():
    assert identify(A, FILES.files[0], FILES, Path("a"), own=False) is True
    assert identify(A, FILES.files[0], FILES, Path("a"), own=True) is True


@pytest.mark.parametrize("own", [False, True])
def test_swapped_files_are_recognised_even_in_a_folder_of_ones_own(own):
    with pytest.raises(DataError, match=r"here/a should hold a of Toy, but holds the content of b: .* swapped"):
        identify(B, FILES.files[0], FILES, Path("here/a"), own)


@given(st.integers(0, len(A) - 1), st.integers(1, 255))
def test_every_changed_byte_is_seen(position, change):
    damaged = bytearray(A)
    damaged[position] ^= change
    with pytest.raises(DataError) as caught:
        identify(bytes(damaged), FILES.files[0], FILES, Path("here/a"), own=False)
    message = str(caught.value)
    assert "here/a is not the published a of Toy" in message
    assert hashlib.sha256(A).hexdigest() in message
    assert hashlib.sha256(damaged).hexdigest() in message
    assert identify(bytes(damaged), FILES.files[0], FILES, Path("here/a"), own=True) is False


@pytest.mark.parametrize("content", [b"", A[:-1], A + b"x"])
def test_a_wrong_size_is_told_in_bytes(content):
    with pytest.raises(DataError, match=rf"expected {len(A)} bytes uncompressed, got {len(content)} "):
        identify(content, FILES.files[0], FILES, Path("a"), own=False)


def test_a_record_without_a_digest_takes_anything_but_calls_nothing_published():
    anything = DataFile("*.txt")
    assert identify(b"x", anything, FILES, Path("x.txt"), own=False) is False
