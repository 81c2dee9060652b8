from __future__ import annotations

import sys
from pathlib import Path

import pytest

from minitorch.paths import cache_folder


@pytest.fixture
def bare(monkeypatch):
    """An environment that says nothing about where caches are."""
    for name in ("MINITORCH_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/reader")
    monkeypatch.setenv("USERPROFILE", "/home/reader")
    return monkeypatch


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", "/home/reader/.cache/minitorch"),
        ("darwin", "/home/reader/Library/Caches/minitorch"),
        ("win32", "/home/reader/AppData/Local/minitorch"),
    ],
)
def test_each_platform_has_its_place(bare, platform, expected):
    bare.setattr(sys, "platform", platform)
    assert cache_folder() == Path(expected)


@pytest.mark.parametrize(("platform", "variable"), [("linux", "XDG_CACHE_HOME"), ("win32", "LOCALAPPDATA")])
def test_the_platforms_variable_moves_it(bare, platform, variable):
    bare.setattr(sys, "platform", platform)
    bare.setenv(variable, "/elsewhere")
    assert cache_folder() == Path("/elsewhere/minitorch")
    bare.setenv(variable, "")  # set to nothing is not set
    assert cache_folder().is_relative_to("/home/reader")


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_our_own_variable_wins_and_nothing_is_made(bare, tmp_path, platform):
    bare.setattr(sys, "platform", platform)
    bare.setenv("XDG_CACHE_HOME", "/elsewhere")
    bare.setenv("LOCALAPPDATA", "/elsewhere")
    bare.setenv("MINITORCH_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    assert not (tmp_path / "own").exists()
    bare.setenv("MINITORCH_CACHE", "~/kept")
    assert cache_folder() == Path("/home/reader/kept")
