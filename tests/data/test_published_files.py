"""MNIST and Fashion-MNIST as they are published: the digests of their files, and a download of them."""

from __future__ import annotations

import gzip
import hashlib

import numpy as np
import pytest

from minitorch.data import fashion_mnist, load_fashion_mnist, load_mnist, mnist
from minitorch.data.records import DataFile, RemoteFile


@pytest.mark.parametrize(
    ("folder", "files"),
    [("mnist", mnist.MNIST_FILES.files), ("fashion-mnist", fashion_mnist.FASHION_MNIST_FILES.files)],
    ids=["mnist", "fashion-mnist"],
)
def test_the_published_gzip_files_fit_both_digests(folder, files, genuine):
    for file in files:
        assert file.remote is not None
        packed = (genuine / folder / file.remote.name).read_bytes()
        assert (len(packed), hashlib.sha256(packed).hexdigest()) == (file.remote.size, file.remote.sha256)
        assert file.describes(gzip.decompress(packed))


@pytest.mark.parametrize(
    ("folder", "module", "load", "zeros"),
    [("mnist", mnist, load_mnist, 980), ("fashion-mnist", fashion_mnist, load_fashion_mnist, 1000)],
    ids=["mnist", "fashion-mnist"],
)
def test_they_arrive_by_download(folder, module, load, zeros, genuine, monkeypatch, server, answers, lines):
    monkeypatch.delenv("MINITORCH_DATA")
    local = []
    for file in module.SPLITS["test"]:
        assert file.remote is not None
        packed = (genuine / folder / file.remote.name).read_bytes()
        url = server.plan(f"/{file.remote.name}", packed, answers.cut(3000), answers.whole)
        remote = RemoteFile(file.remote.name, (url,), file.remote.sha256, file.remote.size)
        local.append(DataFile(file.name, file.sha256, file.size, remote))
    monkeypatch.setitem(module.SPLITS, "test", tuple(local))
    labels = load("test", notice=lines.append).labels
    assert (len(labels), np.count_nonzero(labels == 0)) == (10_000, zeros)
    asked = len(server.requests)
    assert load("test", download=False).source.endswith("(as published)")
    assert len(server.requests) == asked == 4
