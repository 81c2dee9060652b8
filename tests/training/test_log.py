"""A training's log: on the screen and in a file, line by line."""

from __future__ import annotations

import platform

import numpy as np
import pytest

import minitorch
from minitorch.training import RunLog, describe_run


def test_lines_go_to_the_screen_and_to_the_file(tmp_path, capsys):
    path = tmp_path / "new" / "folder" / "run.txt"
    with RunLog(path) as say:
        say("Epoch 1 loss 2.5 valid acc 3/16")
        say("größer als 50 %")
    expected = "Epoch 1 loss 2.5 valid acc 3/16\ngrößer als 50 %\n"
    assert capsys.readouterr().out == expected
    assert path.read_text(encoding="utf-8") == expected


def test_a_line_is_in_the_file_as_soon_as_it_was_said(tmp_path):
    """Whoever watches the file, or stops the run, has every line."""
    with RunLog(tmp_path / "run.txt") as say:
        for count in range(1, 4):
            say(f"line {count}")
            assert len(say.path.read_text().splitlines()) == count


def test_the_file_is_written_anew(tmp_path):
    for text in ("a long line of an earlier run", "short"):
        with RunLog(tmp_path / "run.txt") as say:
            say(text)
    assert (tmp_path / "run.txt").read_text() == "short\n"


def test_a_run_that_goes_on_writes_below_the_lines_of_the_earlier_one(tmp_path):
    for text in ("first", "second"):
        with RunLog(tmp_path / "run.txt", append=True) as say:
            say(text)
    assert (tmp_path / "run.txt").read_text() == "first\nsecond\n"


def test_the_file_is_closed_and_kept_when_the_training_fails(tmp_path):
    log = RunLog(tmp_path / "run.txt")

    def training():
        with log as say:
            say("first")
            raise minitorch.NaNError("step 3")

    with pytest.raises(minitorch.NaNError, match="step 3"):
        training()
    assert (tmp_path / "run.txt").read_text() == "first\n"
    with pytest.raises(ValueError, match="closed file"):
        log("second")


def test_the_first_line_says_what_ran_where():
    line = describe_run("5000 digits of MNIST train", 7, "float32")
    assert "\n" not in line
    assert line.startswith("5000 digits of MNIST train; seed 7, float32; ")
    for part in (
        f"MiniTorch {minitorch.__version__}",
        f"NumPy {np.__version__}",
        f"Python {platform.python_version()}",
        platform.machine(),
        "cores",
    ):
        assert part in line
