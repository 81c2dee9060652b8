"""A download is whole and verified, or not there: broken lines, silent servers, wrong bytes, two at once."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minitorch.data import download
from minitorch.data.download import fetch, own_name
from minitorch.data.records import RemoteFile
from minitorch.errors import DataError

from ..threads import at_once

CONTENT = np.random.default_rng(0).bytes(120_000)
OTHER = np.random.default_rng(1).bytes(120_000)


def record(*urls: str, content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile("file.bin", urls, hashlib.sha256(content).hexdigest(), len(content))


def ignore(line: str) -> None:
    """Take a notice that the test is not about."""


def only_file(folder):
    (path,) = folder.iterdir()
    return path


def test_a_whole_file_arrives_alone(server, answers, tmp_path, lines):
    remote = record(server.plan("/a", CONTENT, answers.whole))
    path = fetch(remote, tmp_path / "deep" / "cache", lines.append)
    assert path == tmp_path / "deep" / "cache" / "file.bin" == only_file(tmp_path / "deep" / "cache")
    assert path.read_bytes() == CONTENT
    assert lines == [f"Downloading file.bin (0.1 MB) from 127.0.0.1:{server.http.server_port}"]


def test_a_cut_connection_is_resumed_where_it_broke(server, answers, tmp_path):
    remote = record(server.plan("/a", CONTENT, answers.cut(50_000), answers.cut(30_000), answers.whole))
    assert fetch(remote, tmp_path, ignore).read_bytes() == CONTENT
    assert server.requests == [("/a", None), ("/a", "bytes=50000-"), ("/a", "bytes=80000-")]


def test_a_mirror_continues_what_another_began(server, answers, tmp_path):
    first = server.plan("/a", CONTENT, answers.cut(50_000), answers.status(500))
    remote = record(first, server.plan("/b", CONTENT, answers.whole))
    assert fetch(remote, tmp_path, ignore).read_bytes() == CONTENT
    assert server.requests == [("/a", None), ("/b", "bytes=50000-")]


def test_a_server_without_ranges_is_read_from_the_beginning(server, answers, tmp_path):
    plan = server.plan("/a", CONTENT, answers.cut(50_000, ranges=False), answers.whole_without_ranges)
    assert fetch(record(plan), tmp_path, ignore).read_bytes() == CONTENT


def test_half_a_download_is_never_taken_for_a_whole_one(server, answers, tmp_path):
    remote = record(server.plan("/a", CONTENT, answers.cut(50_000, ranges=False)))
    with pytest.raises(DataError, match=r"the connection ended after 50,000 of 120,000 bytes"):
        fetch(remote, tmp_path, ignore)
    assert only_file(tmp_path).name == "file.bin.part"
    server.plan("/a", CONTENT, answers.whole)
    asked = len(server.requests)
    assert fetch(remote, tmp_path, ignore).read_bytes() == CONTENT
    assert server.requests[asked:] == [("/a", "bytes=50000-")]
    assert only_file(tmp_path).name == "file.bin"


def test_half_a_download_of_an_unrecorded_size_is_not_taken_either(server, answers, tmp_path):
    remote = RemoteFile("file.bin", (server.plan("/a", CONTENT, answers.cut(50_000, ranges=False)),))
    with pytest.raises(DataError, match="50,000 of 120,000"):
        fetch(remote, tmp_path, ignore)
    assert not (tmp_path / "file.bin").exists()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 60_000), max_size=2), ranges=st.booleans())
def test_wherever_it_is_cut_the_bytes_are_right(server, answers, tmp_path, cuts, ranges):
    last = answers.whole if ranges else answers.whole_without_ranges
    url = server.plan("/a", CONTENT, *(answers.cut(count, ranges) for count in cuts), last)
    path = fetch(record(url), tmp_path, ignore)
    assert path.read_bytes() == CONTENT
    path.unlink()


def test_wrong_bytes_are_refused_with_both_digests(server, answers, tmp_path):
    remote = record(server.plan("/a", OTHER, answers.whole))
    with pytest.raises(DataError) as caught:
        fetch(remote, tmp_path, ignore)
    assert hashlib.sha256(CONTENT).hexdigest() in str(caught.value)
    assert hashlib.sha256(OTHER).hexdigest() in str(caught.value)
    assert len(server.requests) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [OTHER, b"<html>Please log in</html>", b"", CONTENT + b"x"])
def test_the_mirror_makes_good_for_wrong_bytes(server, answers, tmp_path, wrong):
    first = server.plan("/a", wrong, answers.whole)
    remote = record(first, server.plan("/b", CONTENT, answers.whole))
    assert fetch(remote, tmp_path, ignore).read_bytes() == CONTENT
    assert server.requests == [("/a", None), ("/b", None)]


def test_a_stream_without_end_is_stopped_at_the_recorded_size(server, answers, tmp_path):
    with pytest.raises(DataError, match="expected 120,000 bytes, got"):
        fetch(record(server.plan("/a", OTHER, answers.endless)), tmp_path, ignore)


def test_a_missing_file_is_asked_for_once_and_the_mirror_serves(server, answers, tmp_path):
    first = server.plan("/a", b"", answers.status(404))
    remote = record(first, server.plan("/b", CONTENT, answers.cut(50_000), answers.whole))
    assert fetch(remote, tmp_path, ignore).read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/a", "/b", "/b"]


def test_the_message_has_a_reason_for_every_address(server, answers, tmp_path, dead_address):
    first = server.plan("/a", b"", answers.status(404))
    with pytest.raises(DataError) as caught:
        fetch(record(first, dead_address), tmp_path, ignore)
    assert f"{first}: HTTP 404 Not Found" in str(caught.value)
    assert f"{dead_address}: " in str(caught.value)
    assert "refused" in str(caught.value)


def test_a_server_in_trouble_is_asked_again(server, answers, tmp_path):
    remote = record(server.plan("/a", CONTENT, answers.status(503), answers.status(503), answers.whole))
    assert fetch(remote, tmp_path, ignore).read_bytes() == CONTENT


def test_a_slow_but_steady_server_gets_the_time_it_needs(server, answers, tmp_path):
    content = CONTENT * 4
    remote = record(server.plan("/a", content, answers.slow(step=4_800, pause=0.05)), content=content)
    began = time.monotonic()
    assert fetch(remote, tmp_path, ignore, patience=4).read_bytes() == content
    assert time.monotonic() - began > 4.1


def test_a_dripping_server_does_not_hold_us(server, answers, tmp_path):
    remote = record(server.plan("/a", CONTENT, answers.slow(step=10, pause=0.05)))
    began = time.monotonic()
    with pytest.raises(DataError, match=r"fewer than 16,384 bytes in 4 seconds"):
        fetch(remote, tmp_path, ignore, patience=4)
    assert time.monotonic() - began < 30


def test_a_server_that_falls_silent_midway_is_left_for_the_mirror(server, answers, tmp_path):
    first = server.plan("/a", CONTENT, answers.slow(step=50_000, pause=30))
    remote = record(first, server.plan("/b", CONTENT, answers.whole))
    assert fetch(remote, tmp_path, ignore, patience=8).read_bytes() == CONTENT
    assert server.requests[1] == ("/b", "bytes=50000-")


def test_a_silent_host_costs_the_patience_once(silent_address, tmp_path):
    began = time.monotonic()
    with pytest.raises(DataError, match="no answer in"):
        fetch(record(silent_address), tmp_path, ignore, patience=0.6)
    assert 0.5 < time.monotonic() - began < 20
    began = time.monotonic()
    with pytest.raises(DataError, match="no answer from this host a moment ago"):
        fetch(record(silent_address), tmp_path, ignore, patience=30)
    assert time.monotonic() - began < 20


def test_a_silent_host_leaves_time_for_the_mirror(silent_address, server, answers, tmp_path):
    remote = record(silent_address, server.plan("/b", CONTENT, answers.whole))
    assert fetch(remote, tmp_path, ignore, patience=8).read_bytes() == CONTENT


def test_names_that_do_not_resolve_in_time_do_not_hold_us(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: time.sleep(30))
    began = time.monotonic()
    with pytest.raises(DataError, match="no answer in"):
        fetch(record(*(f"http://{name}.invalid/a" for name in "abcdef")), tmp_path, ignore, patience=4)
    assert 3.9 < time.monotonic() - began < 20, "a patience for each name would be 24 seconds"


def test_no_server_at_all_is_told_quickly(dead_address, tmp_path):
    began = time.monotonic()
    with pytest.raises(DataError, match="refused"):
        fetch(record(dead_address), tmp_path, ignore)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("left", [OTHER[:50_000], OTHER, OTHER + OTHER])
def test_a_leftover_of_other_bytes_is_thrown_away(server, answers, tmp_path, left):
    (tmp_path / "file.bin.part").write_bytes(left)
    remote = record(server.plan("/a", CONTENT, answers.whole))
    assert fetch(remote, tmp_path, ignore).read_bytes() == CONTENT
    assert only_file(tmp_path).name == "file.bin"


@pytest.mark.parametrize(("age", "resumed"), [(3600, True), (0, False)])
def test_the_leftover_of_a_killed_process_is_claimed_once_it_is_old(server, answers, tmp_path, age, resumed):
    left = tmp_path / "file.bin.99999-1.part"
    left.write_bytes(CONTENT[:70_000])
    os.utime(left, (time.time() - age, time.time() - age))
    remote = record(server.plan("/a", CONTENT, answers.whole))
    assert fetch(remote, tmp_path, ignore).read_bytes() == CONTENT
    assert server.requests == [("/a", "bytes=70000-" if resumed else None)]
    assert left.exists() is not resumed


def test_two_downloads_of_one_file_do_not_disturb_each_other(server, answers, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:20_000])
    remote = record(server.plan("/a", CONTENT, answers.slow(step=20_000, pause=0.02)))
    at_once(*[lambda: fetch(remote, tmp_path, ignore)] * 4)
    assert only_file(tmp_path).read_bytes() == CONTENT


def test_an_interrupted_download_is_kept_for_the_next_one(server, answers, tmp_path, monkeypatch):
    remote = record(server.plan("/a", CONTENT, answers.slow(step=30_000, pause=0.01)))

    def interrupt(self, size, total):
        raise KeyboardInterrupt

    monkeypatch.setattr(download.Watch, "advance", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(remote, tmp_path, ignore)
    left = only_file(tmp_path)
    assert left.name == "file.bin.part"
    assert CONTENT.startswith(left.read_bytes())
    assert left.stat().st_size > 0


def test_a_long_download_reports(server, answers, tmp_path, lines, monkeypatch):
    monkeypatch.setattr(download, "REPORT", 0.1)
    remote = record(server.plan("/a", CONTENT, answers.slow(step=30_000, pause=0.08)))
    fetch(remote, tmp_path, lines.append)
    assert lines[1].endswith("MB of 0.1 MB")


def test_a_folder_that_cannot_be_written_is_told(server, answers, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"cannot be written.*Set MINITORCH_CACHE"):
        fetch(record(server.plan("/a", CONTENT, answers.whole)), tmp_path / "cache", ignore)
    assert server.requests == []


def test_a_disk_that_fails_keeps_what_came(server, answers, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DataError, match=r"cannot be written \(disk full\)"):
        fetch(record(server.plan("/a", CONTENT, answers.whole)), tmp_path, ignore)
    left = only_file(tmp_path)
    assert left.name == "file.bin.part"
    assert left.read_bytes() == CONTENT


def test_temporary_names_are_a_threads_own(tmp_path):
    names = []
    thread = threading.Thread(target=lambda: names.append(own_name(tmp_path, "x")))
    thread.start()
    thread.join()
    assert names[0] != own_name(tmp_path, "x")
