"""SST-2: sentences from film reviews, positive or negative; 67,349 phrases to train on, 872 sentences to validate with.

The sentences are those of the Stanford Sentiment Treebank (R. Socher and others, EMNLP 2013); the two classes and the
files are those of the GLUE benchmark (A. Wang and others, 2018). The test split of GLUE has no public labels.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..errors import ArgumentError, DataError
from .records import DataFile, DataSet, RemoteFile
from .search import Notice, announce, search

__all__ = ["SST2", "load_sst2", "parse_tsv"]

HEADER = "sentence\tlabel"

ARCHIVE = RemoteFile("SST-2.zip", ("https://dl.fbaipublicfiles.com/glue/data/SST-2.zip",))
SPLITS = {
    "train": DataFile(
        "train.tsv",
        "48eac26399f8456935f81dd9e3a745c1430adb6c62e233ccfe22db4a0d15d1d1",
        3_806_081,
        ARCHIVE,
        member="SST-2/train.tsv",
    ),
    "dev": DataFile(
        "dev.tsv",
        "54a9c12c77e402fc14d6a66a506f24d999f596b0176eb777c972cccc2f9cc4b0",
        94_931,
        ARCHIVE,
        member="SST-2/dev.tsv",
    ),
}
SST2_FILES = DataSet("SST-2", folders=("sst2", "SST-2"), files=tuple(SPLITS.values()))


@dataclass(frozen=True, eq=False)
class SST2:
    """One split of SST-2.

    Args:
        sentences: lower-case tokens separated by single spaces.
        labels: uint8, ``count``, read-only; 1 is positive, 0 negative.
        source: where the sentences come from, in words.
    """

    sentences: list[str]
    labels: npt.NDArray[np.uint8]
    source: str


def load_sst2(
    split: Literal["train", "dev"],
    path: str | os.PathLike[str] | None = None,
    download: bool = True,
    notice: Notice = announce,
) -> SST2:
    r"""Load a split of SST-2 from the first place that has it, in the order of ``minitorch.data.search``.

    Args:
        split: ``"train"`` (67,349 phrases and sentences) or ``"dev"`` (872 sentences).
        path: the folder that holds ``train.tsv`` and ``dev.tsv``, gzip-compressed or not, or GLUE's ``SST-2.zip``; or
            one of these files. Sentences of your own are accepted there.
        download: whether the network may be used.
        notice: receives a line on a download or on sentences of your own; printed to stderr by default.

    Returns:
        Sentences, labels and their source.

    Raises:
        ArgumentError: the split is unknown.
        DataError: nothing was found (the message says which file to put where), or a file is truncated, swapped or
            corrupted.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "dev.tsv").write_text("sentence\tlabel\na witty film \t1\n")
    ...     films = load_sst2("dev", folder, notice=lambda line: None)
    >>> films.sentences, films.labels.tolist()
    (['a witty film'], [1])
    """
    if split not in SPLITS:
        raise ArgumentError(
            f"split must be 'train' or 'dev', got {split!r}. Score on 'dev', as everybody does: the labels of 'test' "
            "are not public."
        )
    found = search(SST2_FILES, (SPLITS[split],), path=path, download=download, notice=notice)
    sentences, labels = parse_tsv(found.contents[0], found.paths[0])
    return SST2(sentences, labels, f"SST-2 {split}: {found.source}")


def parse_tsv(content: bytes, path: Path) -> tuple[list[str], npt.NDArray[np.uint8]]:
    r"""Read sentences and labels, one pair a line with a tab between them, under a header.

    There are no quoting rules: a quotation mark is a token like any other. The space that ends every published
    sentence is dropped.

    Args:
        content: the uncompressed file, UTF-8.
        path: where it comes from, for the message.

    Returns:
        The sentences, and their labels as a read-only uint8 array.

    Raises:
        DataError: a line is not a sentence, a tab and 0 or 1; the message has its number.

    >>> parse_tsv(b'sentence\tlabel\n" dull \t0\n', Path("dev.tsv"))[0]
    ['" dull']
    """
    try:
        header, *lines = content.decode("utf-8").replace("\r\n", "\n").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected UTF-8 text, got other bytes ({error}). Get the file again.") from error
    if header != HEADER:
        raise DataError(f"{path}: expected the header {HEADER!r}, got {header[:80]!r}. Get the file again.")
    sentences: list[str] = []
    labels = bytearray()
    for number, line in enumerate(lines, start=2):
        sentence, tab, label = line.rpartition("\t")
        if not tab or label not in ("0", "1"):
            raise DataError(
                f"{path}, line {number}: expected a sentence, a tab and the label 0 or 1, got {line[:80]!r} "
                "(truncated or corrupted). Get the file again."
            )
        sentences.append(sentence.rstrip(" "))
        labels.append(int(label))
    return sentences, np.frombuffer(bytes(labels), np.uint8)
