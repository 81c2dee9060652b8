"""What the scripts' command lines share."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import pytest
from command_line import BACKENDS, add_common_flags, mistakes_in_one_line, read_settings

import minitorch
from minitorch.kernels.cuda.driver import Obstacle


@dataclass
class Settings:
    seed: int = 3
    dtype: str = "float64"
    backend: str = "simple"
    compile: bool = True
    data_dir: str | None = None
    out_dir: str = "elsewhere"
    model: str | None = None
    resume: bool = False
    no_flag_of_its_own: int = 7


def parser():
    made = argparse.ArgumentParser()
    add_common_flags(made, data="a data set's", results="log.txt")
    return made


def test_what_is_not_given_is_as_in_the_default_settings():
    default = Settings(seed=5, no_flag_of_its_own=8)
    assert read_settings(parser(), default, []) == default
    assert read_settings(parser(), default, ["--out-dir", "x", "--seed", "0"]) == Settings(
        seed=0, out_dir="x", no_flag_of_its_own=8
    )
    assert default == Settings(seed=5, no_flag_of_its_own=8)


def test_the_programs_own_command_line_is_read_unless_one_is_given(monkeypatch):
    monkeypatch.setattr("sys.argv", ["script.py", "--seed", "9"])
    assert read_settings(parser(), Settings(), None).seed == 9


def test_the_names_of_data_and_results_are_in_the_help():
    text = " ".join(parser().format_help().split())
    assert "folder of a data set's files" in text
    assert "receives log.txt" in text


def test_every_backend_has_a_name():
    assert list(BACKENDS) == ["fast", "gpu", "simple"]
    for name in BACKENDS:
        assert read_settings(parser(), Settings(), ["--backend", name]).backend == name
    for name in ("fast", "simple"):
        assert minitorch.tensor([1.0, 2.0], backend=BACKENDS[name]).sum().item() == 3.0


def test_the_gpu_is_looked_for_when_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(minitorch.TensorBackend, "_made", {})
    monkeypatch.setattr("minitorch.cuda_ops.obstacle", lambda: None)
    assert BACKENDS["gpu"].cuda
    monkeypatch.setattr(minitorch.TensorBackend, "_made", {})
    monkeypatch.setattr("minitorch.cuda_ops.obstacle", lambda: Obstacle("there is no GPU", "buy one"))
    with pytest.raises(minitorch.BackendError, match="there is no GPU"):
        BACKENDS["gpu"]


def test_compiling_is_left_out_where_that_is_asked_for():
    assert read_settings(parser(), Settings(), []).compile
    assert not read_settings(parser(), Settings(), ["--no-compile"]).compile


def test_a_users_mistake_is_one_line_and_anything_else_a_traceback():
    with pytest.raises(SystemExit) as caught, mistakes_in_one_line():
        raise minitorch.ShapeError("expected one row, got two")
    assert caught.value.code == "ShapeError: expected one row, got two"
    with pytest.raises(ValueError, match="of our own"), mistakes_in_one_line():
        raise ValueError("a mistake of our own")
    with mistakes_in_one_line():
        pass
