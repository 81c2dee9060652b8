"""The order of search, what is accepted where, and the one message at its end."""

from __future__ import annotations

import ast
import gzip
import hashlib
import io
import os
import socket
import time
import zipfile
from pathlib import Path

import pytest

import minitorch.data
from minitorch.data import DataFile, DataNotFoundError, DataSet, RemoteFile, load_glove, load_mnist, load_sst2
from minitorch.data.search import announce, search
from minitorch.errors import DataError

A, B = b"first content" * 99, b"second content" * 99


def record(name: str, content: bytes, url: str | None = None, member: str | None = None) -> DataFile:
    digest = hashlib.sha256(content).hexdigest()
    if url is None:
        return DataFile(name, digest, len(content))
    remote = RemoteFile(url.rsplit("/", 1)[1], (url,), None if member else digest, None if member else len(content))
    return DataFile(name, digest, len(content), remote, member)


def toy(*files: DataFile) -> DataSet:
    return DataSet("Toy", folders=("toy", "Toy/raw"), files=files, advice="Or do without.")


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def cache() -> Path:
    return Path(os.environ["MINITORCH_CACHE"], "data", "toy")


def test_the_order_of_the_places(tmp_path, monkeypatch, server, answers):
    file = record("a", A, server.plan("/a", A, answers.whole))
    dataset = toy(file)
    named = put(tmp_path / "named" / "a", A)
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path / "root"))
    places = [
        put(tmp_path / "root" / "toy" / "a.gz", gzip.compress(A)),
        put(Path.cwd() / "data" / "toy" / "a", A),
        put(Path.cwd() / "project" / "data" / "Toy" / "raw" / "a", A),
        put(cache() / "a", A),
    ]
    assert search(dataset, [file], path=tmp_path / "named").paths == (named,)
    for place in places:
        found = search(dataset, [file])
        assert (found.paths, found.contents, found.published) == ((place,), (A,), True)
        assert found.source == f"{place} (as published)"
        place.unlink()
    assert server.requests == []
    assert search(dataset, [file]).paths == (cache() / "a",)
    assert server.requests == [("/a", None)]
    assert search(dataset, [file], download=False).contents == (A,)
    assert len(server.requests) == 1


def test_a_script_inside_project_sees_the_data_beside_it(monkeypatch):
    place = put(Path.cwd() / "data" / "toy" / "a", A)
    (Path.cwd() / "project").mkdir()
    monkeypatch.chdir(Path.cwd() / "project")
    file = record("a", A)
    assert search(toy(file), [file]).paths == (place,)


def test_a_forbidden_network_is_not_used(server, answers):
    file = record("a", A, server.plan("/a", A, answers.whole))
    with pytest.raises(DataNotFoundError, match="Download: not tried, because of download=False"):
        search(toy(file), [file], download=False)
    assert server.requests == []


def test_a_place_serves_only_with_all_files_of_a_choice(tmp_path):
    files = record("a", A), record("b", B)
    put(Path.cwd() / "data" / "toy" / "a", A)
    with pytest.raises(DataNotFoundError):
        search(toy(*files), files)
    put(cache() / "a", A)
    put(cache() / "b.gz", gzip.compress(B))
    assert search(toy(*files), files).contents == (A, B)


def test_the_first_choice_wins_in_a_place_and_the_first_place_wins_over_choices():
    best, second = record("a", A), record("b*", B)
    put(Path.cwd() / "data" / "toy" / "b7", B)
    put(cache() / "a", A)
    assert search(toy(best, second), [best], [second]).contents == (B,)
    put(Path.cwd() / "data" / "toy" / "a", A)
    assert search(toy(best, second), [best], [second]).contents == (A,)


@pytest.mark.parametrize(
    "content", [A[:-1], b"x" + A[1:], gzip.compress(A)[:-9]], ids=["short", "changed", "half unpacked"]
)
@pytest.mark.parametrize("place", ["MINITORCH_DATA", "data", "cache"])
def test_a_damaged_file_is_an_error_wherever_it_lies(tmp_path, monkeypatch, place, content):
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path))
    folder = {"MINITORCH_DATA": tmp_path / "toy", "data": Path.cwd() / "data" / "toy", "cache": cache()}[place]
    path = put(folder / "a", content)
    file = record("a", A)
    with pytest.raises(DataError) as caught:
        search(toy(file), [file])
    assert not isinstance(caught.value, DataNotFoundError)
    assert str(path) in str(caught.value)
    assert "elete it" in str(caught.value)


def test_a_damaged_file_in_the_cache_is_explained_and_downloaded_again(server, answers, lines):
    packed = gzip.compress(A)
    url = server.plan("/a.gz", packed, answers.whole)
    remote = RemoteFile("a.gz", (url,), hashlib.sha256(packed).hexdigest(), len(packed))
    file = DataFile("a", hashlib.sha256(A).hexdigest(), len(A), remote)
    put(cache() / "a", A[:-5])
    assert search(toy(file), [file], notice=lines.append).contents == (A,)
    assert "is not the published a of Toy" in lines[0]
    assert lines[0].endswith("It is downloaded again.")
    assert [path.name for path in cache().iterdir()] == ["a.gz"]


def test_a_damaged_file_in_the_cache_is_kept_from_use_without_a_network(server, answers, lines, dead_address):
    file = record("nobody", A, dead_address)
    put(cache() / "nobody", A[:-5])
    with pytest.raises(DataNotFoundError, match="refused"):
        search(toy(file), [file], notice=lines.append)


def test_only_what_the_cache_lacks_is_downloaded(server, answers):
    files = record("a", A, server.plan("/a", A, answers.whole)), record("b", B, server.plan("/b", B, answers.whole))
    put(cache() / "a", A)
    assert search(toy(*files), files).contents == (A, B)
    assert server.requests == [("/b", None)]


def archive_of(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"in/{name}", content)
    return buffer.getvalue()


def test_an_archive_is_downloaded_once_and_its_verified_members_are_kept(server, answers):
    url = server.plan("/toy.zip", archive_of(a=A, b=B), answers.cut(100), answers.whole)
    files = record("a", A, url, "in/a"), record("b", B, url, "in/b")
    assert search(toy(*files), files[:1]).contents == (A,)
    assert search(toy(*files), files[1:]).contents == (B,)
    assert server.requests == [("/toy.zip", None), ("/toy.zip", "bytes=100-")]
    assert sorted(path.name for path in cache().iterdir()) == ["a", "b"]


def test_an_archive_with_other_members_is_refused_and_not_kept(server, answers):
    url = server.plan("/toy.zip", archive_of(a=b"x" + A[1:]), answers.whole)
    file = record("a", A, url, "in/a")
    with pytest.raises(DataNotFoundError, match="expected SHA-256"):
        search(toy(file), [file])
    assert list(cache().iterdir()) == []


@pytest.mark.parametrize("as_file", [False, True])
def test_an_archive_that_lies_in_a_folder_is_read_as_it_is(tmp_path, as_file):
    file = record("a", A, "http://127.0.0.1:1/toy.zip", "in/a")
    path = put(tmp_path / "toy.zip", archive_of(a=A))
    assert search(toy(file), [file], path=path if as_file else tmp_path).contents == (A,)


def test_data_of_ones_own_is_accepted_at_an_explicit_path_and_said(tmp_path, lines):
    file = record("a", A)
    path = put(tmp_path / "toy" / "a", b"my own")
    found = search(toy(file), [file], path=tmp_path, notice=lines.append)
    assert (found.contents, found.published) == ((b"my own",), False)
    assert lines == [f"Toy: {path} (not a published file) is used as data of your own"]


def test_published_data_at_an_explicit_path_needs_no_words(tmp_path, lines):
    file = record("a", A)
    put(tmp_path / "a", A)
    assert search(toy(file), [file], path=str(tmp_path), notice=lines.append).published
    assert lines == []


def test_an_explicit_path_is_the_only_place(tmp_path):
    file = record("a", A)
    put(cache() / "a", A)
    with pytest.raises(DataError, match=r"does not hold Toy: expected a .* toy or Toy/raw below it") as caught:
        search(toy(file), [file], path=tmp_path)
    assert not isinstance(caught.value, DataNotFoundError)
    with pytest.raises(DataError, match="does not exist"):
        search(toy(file), [file], path=tmp_path / "nowhere")


def test_a_file_as_path_serves_a_choice_of_one_file_under_any_name(tmp_path, lines):
    first, other = record("a", A), DataFile("*.own")
    path = put(tmp_path / "something", b"my own")
    found = search(toy(first, other), [first], [other], path=path, notice=lines.append)
    assert (found.files, found.contents) == ((other,), (b"my own",))
    assert search(toy(first, other), [first], [other], path=put(tmp_path / "a.gz", A)).files == (first,)
    with pytest.raises(DataError, match="is a file: expected the folder that holds a and b"):
        search(toy(first, record("b", B)), [first, record("b", B)], path=path)


def test_the_message_says_which_file_to_put_where(monkeypatch, tmp_path, dead_address):
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path / "root"))
    file = record("a", A, dead_address)
    with pytest.raises(DataNotFoundError) as caught:
        search(toy(file), [file], notice=lambda line: None)
    message = str(caught.value)
    assert "Toy was not found: expected a (gzip-compressed or not)." in message
    for place in (tmp_path / "root", Path.cwd() / "data", Path.cwd() / "project" / "data"):
        assert f"\n  {place / 'toy'}\n" in message
    assert f"\n  {cache()}\n" in message
    assert message.count(dead_address) == 2
    assert message.endswith("Or do without.")
    assert "MINITORCH_DATA is not set" not in message


PUBLISHERS = {
    load_mnist: ("storage.googleapis.com/cvdf-datasets/mnist/train-", "ossci-datasets.s3.amazonaws.com/mnist/train-"),
    load_sst2: ("https://dl.fbaipublicfiles.com/glue/data/SST-2.zip",),
    load_glove: ("https://nlp.stanford.edu/data/glove.6B.zip",),
}
ARGUMENTS = {
    load_mnist: {"split": "train", "stand_in": False},
    load_sst2: {"split": "train"},
    load_glove: {"vocabulary": ["film"], "download": True},
}


@pytest.mark.parametrize("load", PUBLISHERS)
def test_without_a_network_there_is_one_message_with_the_publishers_addresses(load):
    began = time.monotonic()
    with pytest.raises(DataError) as caught:
        load(**ARGUMENTS[load], notice=lambda line: None)
    assert time.monotonic() - began < 30
    for address in PUBLISHERS[load]:
        assert address in str(caught.value)
    assert "asked for" in str(caught.value), "the reason for which each address failed"


def test_a_network_that_swallows_everything_ends_the_whole_search_within_ten_seconds(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: time.sleep(60))
    began = time.monotonic()
    for split in ("train", "test", "train"):
        with pytest.raises(DataNotFoundError, match="no answer"):
            load_mnist(split, stand_in=False, notice=lambda line: None)
    # Eight seconds of patience and, on a busy machine, some more; a patience for each search would be 24.
    assert 5 < time.monotonic() - began < 22


# A part of a data set


def test_a_part_serves_where_the_whole_is_not(tmp_path, monkeypatch):
    first, second = record("a", A), record("b", B)
    dataset = toy(first, second)
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path))
    put(tmp_path / "toy" / "b", B)
    put(cache() / "a", A)
    put(cache() / "b", B)
    found = search(dataset, [first, second], partial=[[first], [second]])
    assert found.files == (second,), "a place that comes first serves with what it has"
    put(tmp_path / "toy" / "a", A)
    assert search(dataset, [first, second], partial=[[first], [second]]).files == (first, second)
    assert search(dataset, [first, second], partial=[[second]], path=tmp_path / "toy").files == (first, second)


def test_a_part_in_the_cache_is_completed_if_the_network_allows(server, answers, lines):
    first, second = (
        record("a", A, server.plan("/a", A, answers.whole)),
        record("b", B, server.plan("/b", B, answers.status(404), answers.whole)),
    )
    dataset = toy(first, second)
    put(cache() / "a", A)
    partial = [[first]]
    assert search(dataset, [first, second], partial=partial, download=False).files == (first,)
    assert search(dataset, [first, second], partial=partial, notice=lines.append).files == (first,), "it failed"
    assert search(dataset, [first, second], partial=partial, notice=lines.append).files == (first, second)


def test_announce_prints_to_stderr(capsys):
    announce("a line")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "a line\n")


# The files that make tensors of data, and those that name them as items of a data set.
KNOW_TENSORS = {"collate.py", "dataset.py", "images.py", "loader.py"}


def test_all_but_the_makers_of_tensors_stand_on_the_lowest_floors():
    folder = Path(minitorch.data.__file__).parent
    assert {path.name for path in folder.glob("*.py")} >= KNOW_TENSORS
    for path in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 2 and path.name not in KNOW_TENSORS:
                allowed = ("dtypes", "errors", "files", "paths", "random")
                assert node.module in allowed, f"{path.name} imports {node.module}"
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                assert node.module is not None
                assert node.module.split(".")[0] != "minitorch", f"{path.name} imports the package itself"
