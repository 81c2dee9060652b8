"""Find the files of a data set: one order of search for all of them.

1. ``path``, when it is given: that place and no other.
2. The folder that the environment variable ``MINITORCH_DATA`` names.
3. ``data`` and ``project/data`` in the working directory, which ``mnist_get_data.sh`` of python-mnist fills.
4. The user's cache, ``data`` in ``MINITORCH_CACHE`` or in the platform's cache folder.
5. A download into that cache, unless the network is forbidden.

Every file is compared with its record. Only below an explicit ``path`` is content accepted that nobody published,
as a person's own data, and then that is said. What to do when nothing is found (a stand-in, a package) is the data
set's own matter: it catches ``DataNotFoundError``.
"""

from __future__ import annotations

import fnmatch
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from ..files import write_atomically
from ..paths import cache_folder
from .records import DataFile, DataSet, identify, read_content

__all__ = ["DataNotFoundError", "Found", "Notice", "announce", "search"]

Notice = Callable[[str], None]
Choice = Sequence[DataFile]


class DataNotFoundError(DataError):
    """The search ended without a file; the message says which file to put where."""


@dataclass(frozen=True)
class Found:
    """Files that were found.

    Args:
        files: the records that were asked for.
        paths: where each of them was read.
        contents: their uncompressed bytes.
        published: whether each is known to be the published file.
    """

    files: tuple[DataFile, ...]
    paths: tuple[Path, ...]
    contents: tuple[bytes, ...]
    published: bool

    @property
    def source(self) -> str:
        """Where the data comes from, in words."""
        place = self.paths[0] if len(self.paths) == 1 else self.paths[0].parent
        return f"{place} ({'as published' if self.published else 'not a published file'})"


def announce(line: str) -> None:
    """Print a line to stderr: the notice that is used unless another one is given."""
    print(line, file=sys.stderr, flush=True)


def search(
    dataset: DataSet,
    *choices: Choice,
    partial: Sequence[Choice] = (),
    path: str | os.PathLike[str] | None = None,
    download: bool = True,
    notice: Notice = announce,
) -> Found:
    """Find the files of one of ``choices``, in the order that the module's text gives.

    Args:
        dataset: the data set that the files belong to.
        *choices: groups of files, best first; a place serves when it holds all files of a group.
        partial: groups that hold only a part of the data set, best first. They serve where no group of ``choices``
            does; in the cache, which a download may complete, only after the download has failed.
        path: a folder, or for a group of a single file that file (or its archive). Nothing else is searched.
        download: whether the network may be used.
        notice: receives a line on whatever the user should know.

    Returns:
        The contents, verified.

    Raises:
        DataError: ``path`` does not hold the files, or a file is truncated, swapped, corrupted or not published.
        DataNotFoundError: no place holds the files.
    """
    if path is not None:
        return search_path(Path(path).expanduser(), dataset, [*choices, *partial], notice)
    for place in standing_places():
        if found := look(folders_of(place, dataset), dataset, [*choices, *partial]):
            return found
    cache = cache_folder() / "data" / dataset.folders[0]
    wanted = next((files for files in choices if all(file.remote for file in files)), None)
    try:
        if found := look([cache], dataset, choices):
            return found
    except DataError as error:
        if not (download and wanted):
            raise
        notice(f"{error} It is downloaded again.")
    failure = "not tried, because of download=False" if wanted else "the files have no public address"
    if download and wanted:
        try:
            return obtain(cache, dataset, wanted, notice)
        except DataError as error:
            failure = str(error)
    if found := look([cache], dataset, partial):
        return found
    raise DataNotFoundError(not_found(dataset, choices, cache, failure))


def standing_places() -> Iterator[Path]:
    """Yield the places that are searched without being named in the call."""
    if named := os.environ.get("MINITORCH_DATA"):
        yield Path(named).expanduser()
    here = Path.cwd()
    yield here / "data"
    yield here / "project" / "data"
    if here.name == "project":  # a script started inside project/: the data may lie beside that folder
        yield here.parent / "data"


def folders_of(place: Path, dataset: DataSet) -> list[Path]:
    """List the folders of ``place`` that may hold ``dataset``."""
    return [place / folder for folder in dataset.folders]


def search_path(path: Path, dataset: DataSet, choices: Sequence[Choice], notice: Notice) -> Found:
    """Take the files from a place that was named, and from nowhere else."""
    if path.is_file():
        singles = [files[0] for files in choices if len(files) == 1]
        if not singles:
            raise DataError(f"{path} is a file: expected the folder that holds {names_of(choices)}. Name the folder.")
        named = [file for file in singles if any(fnmatch.fnmatch(path.name, name) for name in local_names(file))]
        found = read([path], [(named or singles[-1:])[0]], dataset, own=True)
    elif path.is_dir():
        found = look([path, *folders_of(path, dataset)], dataset, choices, own=True)
    else:
        raise DataError(f"{path} does not exist: expected {names_of(choices)} there. Correct the path.")
    if found is None:
        raise DataError(
            f"{path} does not hold {dataset.title}: expected {names_of(choices)} in it or in "
            f"{' or '.join(folder for folder in dataset.folders if folder)} below it. Put the files there, or leave "
            "the path out to search the usual places."
        )
    if not found.published:
        notice(f"{dataset.title}: {found.source} is used as data of your own")
    return found


def look(folders: Sequence[Path], dataset: DataSet, choices: Sequence[Choice], own: bool = False) -> Found | None:
    """Read the best choice of which one of ``folders`` holds every file; None if there is none."""
    for files in choices:
        for folder in folders:
            paths = [path for file in files if (path := locate(folder, file))]
            if len(paths) == len(files):
                return read(paths, files, dataset, own)
    return None


def locate(folder: Path, file: DataFile) -> Path | None:
    """Find ``file`` in ``folder``, compressed or not, or the archive that it comes in."""
    matches = (path for name in local_names(file) for path in sorted(folder.glob(name)))
    return next((path for path in matches if path.is_file()), None)


def local_names(file: DataFile) -> list[str]:
    """List the names under which ``file`` may lie in a folder."""
    names = [file.name, f"{file.name}.gz"]
    if file.remote and file.member:
        names.append(file.remote.name)
    return names


def read(paths: Sequence[Path], files: Choice, dataset: DataSet, own: bool) -> Found:
    """Read ``files`` from ``paths`` and compare them with their records."""
    contents = tuple(read_content(path, file.member) for path, file in zip(paths, files, strict=True))
    published = [
        identify(content, file, dataset, path, own) for content, file, path in zip(contents, files, paths, strict=True)
    ]
    return Found(tuple(files), tuple(paths), contents, all(published))


def obtain(cache: Path, dataset: DataSet, files: Choice, notice: Notice) -> Found:
    """Download what the cache lacks of ``files``, or holds damaged, and read them there.

    Raises:
        DataError: the download failed, or the archive does not hold the published files.
    """
    from .download import fetch  # on first use: the network modules are slow to load

    for file in files:
        if cached := locate(cache, file):
            try:
                read([cached], [file], dataset, own=False)
                continue
            except DataError:
                cached.unlink()
        assert file.remote is not None
        arrived = fetch(file.remote, cache, notice)
        if file.member is None:
            continue
        try:  # keep the verified members and not the archive, which has no recorded digest
            for member in (other for other in dataset.files if other.remote == file.remote):
                content = read_content(arrived, member.member)
                identify(content, member, dataset, arrived, own=False)
                write_atomically(cache / member.name, content)
        finally:
            arrived.unlink()
    found = look([cache], dataset, [files])
    assert found is not None
    return found


def names_of(choices: Sequence[Choice]) -> str:
    """Name the files of each choice."""
    return " or ".join(" and ".join(file.name for file in files) for files in choices) + " (gzip-compressed or not)"


def not_found(dataset: DataSet, choices: Sequence[Choice], cache: Path, failure: str) -> str:
    """Say which file to put where, and where it is published."""
    folder = dataset.folders[0]
    unset = "" if os.environ.get("MINITORCH_DATA") else " (MINITORCH_DATA is not set)"
    lines = [
        f"{dataset.title} was not found: expected {names_of(choices)}.",
        f"Searched{unset}:",
        *(f"  {place / folder}" for place in standing_places()),
        f"  {cache}",
        f"Download: {failure}.",
        f"Put the files into one of these folders, or set MINITORCH_DATA to the folder that holds {folder}/.",
    ]
    wanted = [file for files in choices for file in files if file.remote]
    if wanted:
        archive = any(file.member for file in wanted)
        lines.append(
            "They are published in an archive, which may be put there as it is:" if archive else "Published at:"
        )
        lines += dict.fromkeys(f"  {url}" for file in wanted if file.remote for url in file.remote.urls)
    if dataset.advice:
        lines.append(dataset.advice)
    return "\n".join(lines)
