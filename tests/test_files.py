"""A file is written as a whole or not at all, whatever happens on the way."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.files import move_into_place, write_atomically

from .threads import at_once

OLD, NEW = b"old content", bytes(100_000)

on_posix = pytest.mark.skipif(os.name != "posix", reason="Windows has neither permission bits nor folders to flush")


@pytest.fixture
def old(tmp_path):
    """A file that is there already, and must stay as it is and alone."""
    path = tmp_path / "file"
    path.write_bytes(OLD)
    yield path
    assert path.read_bytes() == OLD
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name], "something was left behind"


# --- when all goes well --------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=3))
def test_a_file_holds_what_was_written_last(tmp_path_factory, contents):
    path = tmp_path_factory.mktemp("folder") / "deep" / "er" / "file"
    for content in contents:
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_finished_file_takes_the_name_of_another(tmp_path):
    (tmp_path / "finished").write_bytes(NEW)
    (tmp_path / "file").write_bytes(OLD)
    move_into_place(tmp_path / "finished", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == NEW
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@on_posix
def test_the_content_is_flushed_before_the_move_and_the_folder_after_it(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace

    def flush(handle):
        steps.append("flush folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "flush file")
        fsync(handle)

    def move(source, destination):
        steps.append("move")
        replace(source, destination)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", move)
    write_atomically(tmp_path / "file", NEW)
    assert steps == ["flush file", "move", "flush folder"]


def test_writers_at_once_leave_the_whole_file_of_one(tmp_path):
    path = tmp_path / "file"
    contents = [bytes([i]) * 50_000 for i in range(8)]
    at_once(*[partial(write_atomically, path, content) for content in contents])
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


# --- permissions ---------------------------------------------------------------------------------------------


@on_posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "file", NEW)
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~mask


@on_posix
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o755, 0o444])
def test_a_file_that_is_replaced_hands_its_permissions_on(tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    path.chmod(mode)
    write_atomically(path, NEW)
    assert path.read_bytes() == NEW
    assert path.stat().st_mode & 0o777 == mode


# --- when writing fails --------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot limit the size of a process's files")
def test_a_full_disk_leaves_the_old_file_whole(old):
    """The limit on a file's size makes the system refuse to write on, as a full disk does."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(NEW) // 2, hard))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            write_atomically(old, NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG


@pytest.mark.parametrize("call", ["fsync", "chmod", "replace"])
def test_a_failure_at_any_later_moment_leaves_the_old_file_whole(old, monkeypatch, call):
    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(old, NEW)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_process_that_is_killed_in_the_middle_leaves_the_old_file_whole(tmp_path, call):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    script = (
        "import os, sys; from pathlib import Path; from minitorch.files import write_atomically\n"
        f"os.{call} = lambda *args: os._exit(9)\n"
        "write_atomically(Path(sys.argv[1]), bytes(100_000))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == 9
    assert path.read_bytes() == OLD
    write_atomically(path, NEW)  # what the killed process left is in nobody's way
    assert path.read_bytes() == NEW


def test_an_unwritable_folder_leaves_the_old_file_whole(old, monkeypatch):
    """Permissions do not bind an administrator, so the refusal itself is played."""

    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PermissionError):
        write_atomically(old, NEW)


def test_a_folder_that_is_a_file(old):
    with pytest.raises(OSError, match=r"exists|directory"):
        write_atomically(old / "file", NEW)


def test_a_file_that_is_a_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"directory|denied"):
        write_atomically(tmp_path / "folder", NEW)
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]
