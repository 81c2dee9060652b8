"""SST-2: the TSV rules, the archive of GLUE, and the genuine files where there are some."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.data import load_sst2
from minitorch.data.sst2 import parse_tsv
from minitorch.errors import ArgumentError, DataError

HERE = Path("here.tsv")
# Quotation marks, tabs-free Unicode and characters that str.splitlines would break at.
words = st.text(st.characters(exclude_characters="\t\n\r ", exclude_categories=("Cs",)), min_size=1)
sentences = st.lists(words, min_size=1, max_size=6).map(" ".join)


@given(st.lists(st.tuples(sentences, st.integers(0, 1)), max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_pairs_come_back_as_written(pairs, end, final_end):
    lines = ["sentence\tlabel", *(f"{sentence} \t{label}" for sentence, label in pairs)]
    content = (end.join(lines) + (end if final_end else "")).encode()
    read, labels = parse_tsv(content, HERE)
    assert read == [sentence for sentence, _ in pairs]
    assert labels.dtype == np.uint8
    assert labels.tolist() == [label for _, label in pairs]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "expected the header"),
        (b"index\tsentence\n0\ta film\n", "expected the header 'sentence.tlabel', got 'index.tsentence'"),
        (b"sentence\tlabel\na film\t1\na fil", "here.tsv, line 3: .* got 'a fil'"),
        (b"sentence\tlabel\na film\t\n", "line 2"),
        (b"sentence\tlabel\na film\t2\n", "line 2"),
        (b"sentence\tlabel\na film\t1\n\n", "line 3"),
        (b"sentence\tlabel\n\xff\xfe\t1\n", "expected UTF-8"),
    ],
)
def test_what_is_not_such_a_file_is_told(content, problem):
    with pytest.raises(DataError, match=problem):
        parse_tsv(content, HERE)


@pytest.mark.parametrize("form", ["dev.tsv", "dev.tsv.gz", "SST-2.zip"])
@pytest.mark.parametrize("below", ["", "sst2", "SST-2"])
@pytest.mark.parametrize("as_file", [False, True])
def test_sentences_of_ones_own(tmp_path, lines, form, below, as_file):
    content = b"sentence\tlabel\na film \t0\n"
    (tmp_path / below).mkdir(exist_ok=True)
    path = tmp_path / below / form
    if form.endswith("zip"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("SST-2/dev.tsv", content)
        content = buffer.getvalue()
    path.write_bytes(gzip.compress(content) if form.endswith("gz") else content)
    films = load_sst2("dev", path if as_file else tmp_path, notice=lines.append)
    assert (films.sentences, films.labels.tolist()) == (["a film"], [0])
    assert films.source == f"SST-2 dev: {path} (not a published file)"
    assert len(lines) == 1


def test_a_file_named_train_in_some_data_folder_is_left_alone(monkeypatch, tmp_path):
    """Only folders that carry the data set's name are searched: train.tsv is a common name."""
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path))
    (tmp_path / "train.tsv").write_text("text\tclass\nhello\t3\n")
    with pytest.raises(DataError, match="SST-2 was not found"):
        load_sst2("train", download=False)


def test_an_unknown_split_is_told():
    with pytest.raises(ArgumentError, match="'train' or 'dev', got 'test'"):
        load_sst2("test")  # pyright: ignore


def test_genuine_sst2(genuine, lines):
    train, dev = load_sst2("train", notice=lines.append), load_sst2("dev", notice=lines.append)
    assert (len(train.sentences), len(dev.sentences)) == (67_349, 872)
    assert np.bincount(train.labels).tolist() == [29_780, 37_569]
    assert np.bincount(dev.labels).tolist() == [428, 444]
    lengths = [len(sentence.split()) for sentence in train.sentences]
    assert (round(np.mean(lengths), 1), max(lengths)) == (9.4, 52)
    assert dev.sentences[0] == "it 's a charming and often affecting journey ."
    assert train.sentences[0] == "hide new secretions from the parental units"
    assert lines == []


def test_genuine_files_under_each_others_name_are_told(genuine, tmp_path):
    (tmp_path / "train.tsv").symlink_to(genuine / "sst2" / "dev.tsv.gz")
    with pytest.raises(DataError, match=r"holds the content of dev.tsv"):
        load_sst2("train", tmp_path)


def test_genuine_sst2_arrives_in_the_archive(genuine, monkeypatch, server, answers, lines):
    import minitorch.data.sst2 as sst2
    from minitorch.data.records import DataFile, DataSet, RemoteFile

    monkeypatch.delenv("MINITORCH_DATA")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("train.tsv", "dev.tsv"):
            archive.writestr(f"SST-2/{name}", gzip.decompress((genuine / "sst2" / f"{name}.gz").read_bytes()))
    url = server.plan("/SST-2.zip", buffer.getvalue(), answers.cut(1_000_000), answers.whole)
    remote = RemoteFile("SST-2.zip", (url,))
    local = {split: DataFile(f.name, f.sha256, f.size, remote, f.member) for split, f in sst2.SPLITS.items()}
    monkeypatch.setattr(sst2, "SPLITS", local)
    monkeypatch.setattr(sst2, "SST2_FILES", DataSet("SST-2", ("sst2",), tuple(local.values())))
    assert len(load_sst2("dev", notice=lines.append).sentences) == 872
    assert len(load_sst2("train", notice=lines.append).sentences) == 67_349
    assert len(server.requests) == 2
