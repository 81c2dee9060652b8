from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "sync_previous_module.py"


@pytest.fixture
def modules(tmp_path):
    """Two modules side by side, and a list of three files: new, changed and equal."""
    source, dest = tmp_path / "Module-3", tmp_path / "Module-4"
    for folder in (source, dest):
        (folder / "minitorch").mkdir(parents=True)
    (source / "tests").mkdir()
    (source / "tests/new.py").write_text("new = 1\n")
    (source / "minitorch/changed.py").write_text("from_source = 1\n")
    (dest / "minitorch/changed.py").write_text("my_own_work = 1\n")
    for folder in (source, dest):
        (folder / "minitorch/equal.py").write_text("equal = 1\n")
    (dest / "files_to_sync.txt").write_text("minitorch/changed.py\n\nminitorch/equal.py\ntests/new.py\ntests/new.py\n")
    (dest / "sync_previous_module.py").write_bytes(SCRIPT.read_bytes())
    return source, dest


def run(cwd, *arguments):
    command = [sys.executable, "sync_previous_module.py", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=os.environ, check=False)


@pytest.mark.parametrize("arguments", [("../Module-3", "."), ("Module-3", "Module-4")], ids=["paths", "names"])
def test_copies_what_is_new_and_keeps_what_differs(modules, arguments):
    _, dest = modules
    result = run(dest, *arguments)
    assert result.returncode == 1
    assert (dest / "tests/new.py").read_text() == "new = 1\n"
    assert (dest / "minitorch/changed.py").read_text() == "my_own_work = 1\n"
    assert result.stdout.splitlines() == [
        "minitorch/changed.py: kept: the destination's file differs (--force overwrites it)",
        "minitorch/equal.py: already the same",
        "tests/new.py: copied",
        "3 files: 1 copied, 0 overwritten, 1 same, 1 kept, 0 own, 0 missing",
    ]


def test_force_overwrites_and_a_second_run_finds_nothing_to_do(modules):
    source, dest = modules
    first = run(dest, source, dest, "--force")
    assert first.returncode == 0
    assert "minitorch/changed.py: overwritten" in first.stdout
    assert (dest / "minitorch/changed.py").read_text() == "from_source = 1\n"
    second = run(dest, source, dest)
    assert second.returncode == 0
    assert second.stdout.endswith("3 files: 0 copied, 0 overwritten, 3 same, 0 kept, 0 own, 0 missing\n")


def test_names_a_file_that_both_lack(modules):
    source, dest = modules
    (source / "tests/new.py").unlink()
    result = run(dest, source, dest, "--force")
    assert result.returncode == 1
    assert "tests/new.py: missing: neither the source nor the destination has it" in result.stdout
    assert not (dest / "tests").exists()


def test_a_file_that_only_the_destination_has_stays(modules):
    """A finished repository has files that a learner's earlier module never had."""
    source, dest = modules
    (source / "minitorch/changed.py").unlink()
    result = run(dest, source, dest, "--force")
    assert result.returncode == 0
    assert "minitorch/changed.py: not in the source: the destination's stays" in result.stdout
    assert (dest / "minitorch/changed.py").read_text() == "my_own_work = 1\n"


def test_equal_size_and_time_are_not_equal_contents(modules):
    source, dest = modules
    (source / "minitorch/equal.py").write_text("equal = 2\n")
    for folder in (source, dest):
        os.utime(folder / "minitorch/equal.py", (0, 0))
    assert "minitorch/equal.py: kept" in run(dest, source, dest).stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "required: source, dest"),
        (("Module-3",), "required: dest"),
        (("Module-2", "."), "no folder Module-2: neither here nor beside"),
        ((".", "../Module-4"), "source and destination are the same folder"),
        (("../Module-3", ".", "--files", "absent.txt"), "absent.txt"),
    ],
)
def test_usage_errors_exit_with_2_and_touch_nothing(modules, arguments, complaint):
    _, dest = modules
    result = run(dest, *arguments)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert not (dest / "tests").exists()


@pytest.mark.parametrize("outside", ["../elsewhere.py", "/etc/elsewhere.py"])
def test_a_list_cannot_lead_out_of_the_module(modules, outside):
    source, dest = modules
    (dest / "files_to_sync.txt").write_text(outside + "\n")
    result = run(dest, source, dest)
    assert result.returncode == 2
    assert "is not a path inside a module's folder" in result.stderr


def test_the_list_names_files_that_exist_each_once():
    listed = (ROOT / "files_to_sync.txt").read_text().splitlines()
    assert sorted(set(listed)) == listed
    assert [file for file in listed if not (ROOT / file).is_file()] == []


def test_a_module_of_the_courses_kind_is_carried_into_this_repository(tmp_path):
    """What a learner brings from module 3: what is missing here is added, and nothing here is lost."""
    source, dest = tmp_path / "Module-3", tmp_path / "Module-4"
    for file in ("minitorch/operators.py", "minitorch/tensor.py", "project/run_manual.py"):
        (source / file).parent.mkdir(parents=True, exist_ok=True)
        (source / file).write_text("learned = 1\n")
    for file in ("files_to_sync.txt", "sync_previous_module.py", *(ROOT / "files_to_sync.txt").read_text().split()):
        (dest / file).parent.mkdir(parents=True, exist_ok=True)
        (dest / file).write_bytes((ROOT / file).read_bytes())
    (dest / "project/run_manual.py").unlink()
    result = run(dest, "Module-3", "Module-4")
    assert result.returncode == 1
    assert (dest / "project/run_manual.py").read_text() == "learned = 1\n"
    assert (dest / "minitorch/tensor.py").read_bytes() == (ROOT / "minitorch/tensor.py").read_bytes()
    assert "1 copied, 0 overwritten, 0 same, 2 kept," in result.stdout
    assert result.stdout.endswith(" 0 missing\n")
