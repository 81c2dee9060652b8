"""Records of published files, and whether a file on disk is the one that its record describes.

A record knows a file by its content: compressed or not, downloaded or copied, it is the published file exactly when its
uncompressed bytes have the recorded SHA-256. Where to get the file stands beside it.

>>> hello = DataFile("hello.txt", sha256="2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", size=5)
>>> hello.describes(b"hello"), hello.describes(b"jello")
(True, False)
"""

from __future__ import annotations

import gzip
import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError

__all__ = ["DataFile", "DataSet", "RemoteFile", "digest", "identify", "published_gzip", "read_content"]

GZIP_START = b"\x1f\x8b"
TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")  # a gzip file does not tell by its first bytes that it holds an archive


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be downloaded.

    Args:
        name: its name in the cache.
        urls: the same bytes at several addresses, best first.
        sha256: the digest of the bytes as they travel; None for an archive whose members are checked instead.
        size: their number; None where it is not recorded.
    """

    name: str
    urls: tuple[str, ...]
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class DataFile:
    """A file of a data set, told by its uncompressed content.

    Args:
        name: its name without ``.gz``; a pattern such as ``glove*.50d*.txt`` stands for any file that fits.
        sha256: the digest of the uncompressed content; None accepts any content of the right size.
        size: the number of uncompressed bytes; None, for a file without a digest, accepts any.
        remote: what to download for it; None where it has no public address.
        member: its path inside ``remote`` when that is an archive, zip or tar.
    """

    name: str
    sha256: str | None = None
    size: int | None = None
    remote: RemoteFile | None = None
    member: str | None = None

    def describes(self, content: bytes) -> bool:
        """Tell whether ``content`` is what the record promises; without digest and size it describes anything."""
        fits = self.size is None or len(content) == self.size
        return fits and (self.sha256 is None or digest(content) == self.sha256)


@dataclass(frozen=True)
class DataSet:
    """A data set: the files it consists of and the folders that people keep them in.

    Args:
        title: its name in messages.
        folders: the folders below a place of search that may hold it, best first; ``""`` is the place itself. The
            first one is its folder in the cache.
        files: every file of it, so that two that were swapped are recognised.
        advice: what else a person without the files can do, as sentences.
    """

    title: str
    folders: tuple[str, ...]
    files: tuple[DataFile, ...]
    advice: str = ""


def published_gzip(
    mirrors: tuple[str, ...], name: str, sha256: str, size: int, packed_sha256: str, packed_size: int
) -> DataFile:
    """Record a file that is published gzip-compressed, the same bytes on every mirror.

    Args:
        mirrors: addresses of folders, each ending in a slash.
        name: the name of the file without ``.gz``.
        sha256: the digest of the uncompressed content.
        size: its number of bytes.
        packed_sha256: the digest of the compressed file.
        packed_size: its number of bytes.
    """
    packed = f"{name}.gz"
    remote = RemoteFile(packed, tuple(mirror + packed for mirror in mirrors), packed_sha256, packed_size)
    return DataFile(name, sha256, size, remote)


def digest(content: bytes) -> str:
    """Compute the SHA-256 of ``content``, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read_content(path: Path, member: str | None = None) -> bytes:
    """Read a file whole, uncompressing what is gzip or zip by its first bytes, whatever its name says.

    Args:
        path: the file.
        member: the path to read when the file is an archive, a zip or a compressed tar. Without it, a zip archive is
            read as it is (an ``.npz`` is one).

    Raises:
        DataError: the compressed data is cut off or damaged, or the archive lacks ``member``.
    """
    raw = b""
    try:
        if member is not None and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return archive.read(member)
        if member is not None and path.name.endswith(TAR_ENDINGS):
            return read_tar_member(path, member)
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw.startswith(GZIP_START) else raw
    except DataError:
        raise
    except KeyError:
        raise DataError(f"{path} is a zip archive without the member {member}. Take the publisher's archive.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is truncated or corrupted: expected a whole compressed file, got {len(raw):,} bytes that do not "
            f"unpack ({error}). Delete it and get it again."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}). Check that it is a file that you may read.") from error


def read_tar_member(path: Path, member: str) -> bytes:
    """Read one member of a tar archive, front to back and no further than it.

    Raises:
        DataError: it is no whole archive, or lacks the member.
    """
    import tarfile  # on first use: few data sets come in one

    try:
        with tarfile.open(path) as archive:
            for entry in archive:
                stream = archive.extractfile(entry) if entry.name == member else None
                if stream is not None:
                    return stream.read()
    except tarfile.TarError as error:
        raise DataError(
            f"{path} is truncated or corrupted: expected a tar archive ({error}). Delete it and get it again."
        ) from error
    raise DataError(f"{path} is a tar archive without the member {member}. Take the publisher's archive.")


def identify(content: bytes, file: DataFile, dataset: DataSet, path: Path, own: bool) -> bool:
    """Tell whether ``content``, read from ``path``, is the published ``file``.

    Args:
        content: uncompressed bytes.
        file: the record that they should fit.
        dataset: the data set of ``file``.
        path: where they were read, for the message.
        own: accept content that nobody published, as for a person's own data in a folder named explicitly.

    Returns:
        True for the published file, False for a person's own.

    Raises:
        DataError: the content is another file of the same data set or, unless ``own``, not the published content.
    """
    if file.describes(content):
        return file.sha256 is not None
    twin = next((other for other in dataset.files if other.sha256 and other.describes(content)), None)
    if twin is not None:
        raise DataError(
            f"{path} should hold {file.name} of {dataset.title}, but holds the content of {twin.name}: the files are "
            "swapped or renamed. Give each its published name."
        )
    if own:
        return False
    if file.size is not None and len(content) != file.size:
        problem = f"expected {file.size:,} bytes uncompressed, got {len(content):,} (truncated, or another file)"
    else:
        problem = f"expected SHA-256 {file.sha256}, got {digest(content)} (corrupted, or another file)"
    raise DataError(
        f"{path} is not the published {file.name} of {dataset.title}: {problem}. Replace or delete it; "
        "if it is data of your own, name its folder explicitly (path=...)."
    )
