"""Download a recorded file so that it is either whole and verified in its place, or not there.

The bytes go to a temporary name beside the destination, are checked against the record, flushed to the disk and then
moved in one step. What a broken connection leaves is kept as ``NAME.part`` and continued by the next attempt with an
HTTP range request, on whichever mirror answers.

Patience is counted from the last progress, over all mirrors together: without a network the attempt ends within
``PATIENCE`` seconds, while a slow but steady download takes the time that it needs.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from ..errors import DataError
from ..files import move_into_place
from .records import RemoteFile

__all__ = ["fetch"]

PATIENCE = 8.0  # seconds without progress, over all mirrors: leaves room for the rest of a search in ten seconds
PROGRESS = 16 * 1024  # bytes that count as progress, so that a server that drips does not hold us for ever
ROUNDS = 3  # times that the mirrors are asked in turn without progress
PAUSE = 0.5  # seconds before the second round, twice that before the third
SILENCE = 60.0  # seconds for which a host that did not answer is not asked again
REPORT = 10.0  # seconds between two lines about a long download
ABANDONED = 60.0  # seconds after which an untouched temporary file has lost its process
CHUNK = 256 * 1024

T = TypeVar("T")

# Hosts that did not answer, and when they may be asked again: without this memory each file of a data set would wait
# for the same silence.
silent_hosts: dict[str, float] = {}


class WrongAddressError(Exception):
    """An address will not deliver the recorded file, however often it is asked."""


class WrongContentError(Exception):
    """The bytes that arrived are not the recorded ones."""


def fetch(remote: RemoteFile, folder: Path, notice: Callable[[str], None], patience: float = PATIENCE) -> Path:
    """Download ``remote`` into ``folder``.

    Args:
        remote: the record of the file.
        folder: where it goes; made if it is not there.
        notice: receives one line when the download begins and one every ten seconds.
        patience: seconds without progress, over all mirrors, after which the attempt is given up.

    Returns:
        The path of the whole, verified file.

    Raises:
        DataError: no address delivered the recorded bytes (the message has the reason of each), or the folder cannot
            be written.
    """
    destination = folder / remote.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial_file(folder, remote.name) as part:
            transfer(remote, part, notice, patience)
            move_into_place(part, destination)
    except DataError:
        raise
    except OSError as error:
        raise DataError(
            f"{destination} cannot be written ({error}). Set MINITORCH_CACHE to a folder that can be written."
        ) from error
    return destination


def own_name(folder: Path, name: str) -> Path:
    """Name a temporary file that belongs to this thread alone."""
    return folder / f"{name}.{os.getpid()}-{threading.get_ident()}.part"


@contextmanager
def partial_file(folder: Path, name: str) -> Iterator[Path]:
    """Yield a temporary path that nobody else writes, holding what an earlier attempt left.

    A leftover is claimed by a rename, which only one process can win. What is not moved into place becomes
    ``NAME.part``, the leftover for the next attempt.
    """
    own, leftover = own_name(folder, name), folder / f"{name}.part"
    for candidate in [leftover, *folder.glob(f"{name}.*.part")]:
        with suppress(OSError):  # somebody else was faster
            if candidate == leftover or time.time() - candidate.stat().st_mtime > ABANDONED:
                candidate.rename(own)
                break
    try:
        yield own
    finally:
        with suppress(FileNotFoundError):
            own.replace(leftover)


class Watch:
    """Count the time since a download last got ahead, and report on a long one."""

    def __init__(self, patience: float, notice: Callable[[str], None]) -> None:
        self.patience, self.notice = patience, notice
        self.best = 0
        self.deadline = time.monotonic() + patience
        self.next_report = time.monotonic() + REPORT

    @property
    def left(self) -> float:
        """Seconds until patience ends, at least 0."""
        return max(self.deadline - time.monotonic(), 0.0)

    def advance(self, size: int, total: int | None) -> None:
        """Take note that ``size`` of ``total`` bytes are there.

        Raises:
            TimeoutError: it took too long to get here.
        """
        if size >= self.best + PROGRESS:
            self.best = size
            self.deadline = time.monotonic() + self.patience
        elif not self.left:
            raise TimeoutError(f"fewer than {PROGRESS:,} bytes in {self.patience:g} seconds")
        if time.monotonic() > self.next_report:
            self.next_report = time.monotonic() + REPORT
            self.notice(f"  {size / 1e6:,.1f} MB" + (f" of {total / 1e6:,.1f} MB" if total else ""))


def transfer(remote: RemoteFile, part: Path, notice: Callable[[str], None], patience: float) -> None:
    """Fill ``part`` with the recorded bytes, asking the mirrors in turn.

    Raises:
        DataError: none of them delivered.
    """
    watch = Watch(patience, notice)
    addresses, reasons = list(remote.urls), dict.fromkeys(remote.urls, "not asked")
    size = f" ({remote.size / 1e6:,.1f} MB)" if remote.size else ""
    notice(f"Downloading {remote.name}{size} from {urlsplit(remote.urls[0]).netloc}")
    rounds = 0
    while addresses and watch.left and rounds < ROUNDS:
        if rounds:
            time.sleep(min(PAUSE * 2 ** (rounds - 1), watch.left))
        before = watch.best
        for url in tuple(addresses):
            begun = part.exists()
            try:
                pull(url, part, remote, watch, timeout=min(patience / len(remote.urls), watch.left))
                check(part, remote)
                return
            except WrongContentError as error:
                reasons[url] = str(error)
                part.unlink()
                watch.best = 0
                if not begun:  # otherwise the fault may lie in what an earlier attempt left
                    addresses.remove(url)
            except WrongAddressError as error:
                reasons[url] = str(error)
                addresses.remove(url)
            except (OSError, http.client.HTTPException) as error:
                reasons[url] = str(getattr(error, "reason", "") or error or type(error).__name__)
        rounds = 0 if watch.best > before else rounds + 1
    raise DataError(
        f"{remote.name} could not be downloaded" + "".join(f"\n  {url}: {why}" for url, why in reasons.items())
    )


def pull(url: str, part: Path, remote: RemoteFile, watch: Watch, timeout: float) -> None:
    """Append what ``url`` still has to give to ``part``.

    Raises:
        ConnectionError: the connection ended before the file did.
        TimeoutError: nothing, or hardly anything, came in time.
        WrongAddressError: the server refuses.
    """
    size = part.stat().st_size if part.exists() else 0
    with open_url(url, size, part, timeout) as response:
        resumes = response.headers.get("Content-Range", "").startswith(f"bytes {size}-")
        if not resumes:
            size = 0  # the server sends the file from its beginning
        total = remote.size if response.length is None else size + response.length
        with part.open("ab" if resumes else "wb") as stream:
            # read1 returns what has come; read would wait for a whole chunk, without end when the server drips.
            while chunk := response.read1(CHUNK):
                stream.write(chunk)
                size += len(chunk)
                watch.advance(size, total)
                if remote.size and size > remote.size:
                    return  # too much already: the check will say so
    if total is not None and size < total:
        raise ConnectionError(f"the connection ended after {size:,} of {total:,} bytes")


def open_url(url: str, start: int, part: Path, timeout: float) -> http.client.HTTPResponse:
    """Ask for the bytes from ``start`` on and return the response, with its headers read."""
    host = urlsplit(url).netloc
    if time.monotonic() < silent_hosts.get(host, 0.0):
        raise WrongAddressError("no answer from this host a moment ago")
    headers = {"User-Agent": "minitorch", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)
    opener = urllib.request.build_opener()
    try:
        return within(timeout, lambda: opener.open(request, timeout=timeout))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # what we have is longer than the file
            part.unlink(missing_ok=True)
        elif 400 <= error.code < 500 and error.code not in (408, 429):
            raise WrongAddressError(f"HTTP {error.code} {error.reason}") from None
        raise ConnectionError(f"HTTP {error.code} {error.reason}") from None
    except (TimeoutError, urllib.error.URLError) as error:
        if isinstance(getattr(error, "reason", error), TimeoutError):
            silent_hosts[host] = time.monotonic() + SILENCE
            raise TimeoutError(f"no answer in {timeout:.1f} seconds") from None
        raise


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return ``call()``, or give up after ``seconds``.

    The call runs in a thread of its own because the resolution of a host's name takes no timeout. The thread is a
    daemon: one that is stuck does not keep the process alive.

    Raises:
        TimeoutError: the call is not done in time; it is left to itself.
    """
    outcome: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((call(), None))
        except BaseException as error:  # handed over to the caller, who raises it
            outcome.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        result, error = outcome.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return result  # pyright: ignore[reportReturnType]


def check(part: Path, remote: RemoteFile) -> None:
    """Compare ``part`` with its record.

    Raises:
        WrongContentError: size or digest differ.
    """
    size = part.stat().st_size
    if remote.size is not None and size != remote.size:
        raise WrongContentError(f"expected {remote.size:,} bytes, got {size:,}")
    if remote.sha256 is not None:
        with part.open("rb") as stream:
            got = hashlib.file_digest(stream, "sha256").hexdigest()
        if got != remote.sha256:
            raise WrongContentError(f"expected SHA-256 {remote.sha256}, got {got}")
