"""A training's numbers: looked up, written as CSV, drawn."""

from __future__ import annotations

import csv
import sys
from collections import Counter

import numpy as np
import pytest

import minitorch
from minitorch.errors import ArgumentError, MissingDependencyError
from minitorch.training import History


def example():
    history = History()
    for epoch in (1, 2, 3):
        history.rows.append(
            {
                "epoch": epoch,
                "step": 4 * epoch,
                "loss": 1.0 / 3.0 / epoch,
                "accuracy": 0.5 + epoch / 10,
                "validation_loss": 0.4,
                "validation_accuracy": 0.75,
                "learning_rate": 0.1,
                "seconds": 1.5,
                "samples_per_second": 1000.0,
            }
        )
    history.losses = [1.0 / (step + 1) for step in range(12)]
    return history


def test_rows_and_columns():
    history = example()
    assert history["epoch"] == [1, 2, 3]
    assert history["loss"] == [1 / 3, 1 / 6, 1 / 9]
    assert history[-1]["step"] == 12
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert len(history) == 3
    with pytest.raises(ArgumentError, match=r"got 'lost'\. The columns are epoch, step, loss, accuracy,"):
        history["lost"]
    with pytest.raises(ArgumentError, match="The columns are none yet"):
        History()["loss"]


def test_the_csv_has_every_number_to_the_last_digit(tmp_path):
    history = example()
    history.rows[0].pop("validation_loss")
    history.write_csv(tmp_path / "deep" / "history.csv")
    with open(tmp_path / "deep" / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == history.columns
    assert rows[0]["validation_loss"] == ""
    for row, written in zip(history.rows, rows, strict=True):
        assert {name: float(text) for name, text in written.items() if text} == row


def test_a_history_comes_back_from_a_file(tmp_path):
    history, again = example(), History()
    minitorch.save({"history": history}, tmp_path / "x")
    again.load_state_dict(minitorch.load(tmp_path / "x")["history"])
    assert again.rows == history.rows
    assert [type(v) for v in again.rows[0].values()] == [type(v) for v in history.rows[0].values()]
    assert again.losses == history.losses
    state = history.state_dict()
    history.rows[0]["loss"] = 7.0
    history.losses[0] = 7.0
    assert state["rows"][0]["loss"] == 1 / 3
    assert state["losses"][0] == 1.0


def drawn(path):
    """Read a picture: its shape, and how many pixels it has of each colour that is no grey."""
    from matplotlib.image import imread

    picture = (imread(path)[..., :3] * 255).astype(int)
    coloured = picture[np.ptp(picture, axis=2) > 60]
    return picture.shape, Counter(tuple(colour) for colour in coloured.tolist())


BLUE, ORANGE = (31, 119, 180), (255, 127, 14)  # matplotlib's first two


def test_the_curves_are_drawn(tmp_path):
    history = example()
    history.plot(tmp_path / "deep" / "curves.png", "Title")
    shape, colours = drawn(tmp_path / "deep" / "curves.png")
    assert {BLUE, ORANGE} <= set(colours)
    assert shape[1] > 2 * shape[0]  # loss and accuracy beside each other
    for row in history.rows:
        for name in ("accuracy", "validation_accuracy", "validation_loss"):
            row.pop(name)
    history.plot(tmp_path / "one.png")
    shape, colours = drawn(tmp_path / "one.png")
    assert BLUE in colours
    assert ORANGE not in colours
    assert shape[1] < 1.5 * shape[0]


def test_the_loss_of_each_step_is_drawn(tmp_path):
    mean = (31, 78, 156)
    pixels = {}
    for steps in (1, 500):
        history = History()
        history.losses = [1.0 / (step + 1) for step in range(steps)]
        history.plot_steps(tmp_path / "steps.png", window=5)
        pixels[steps] = drawn(tmp_path / "steps.png")[1][mean]
    assert pixels[1] > 0  # in the legend alone: of one point there is no line
    assert pixels[500] > pixels[1] + 100


def test_another_kind_of_picture_is_told_by_its_name(tmp_path):
    example().plot(tmp_path / "curves.svg")
    assert (tmp_path / "curves.svg").read_text().startswith("<?xml")


def test_nothing_to_draw_is_told(tmp_path):
    for draw in (History().plot, History().plot_steps):
        with pytest.raises(ArgumentError, match=r"to draw, got none\. Train first"):
            draw(tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_command_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for draw in (example().plot, example().plot_steps):
        with pytest.raises(MissingDependencyError, match="pip install matplotlib"):
            draw(tmp_path / "x.png")


def test_the_log_for_tensorboard_has_a_curve_for_each_number(tmp_path):
    content = example().write_tensorboard(tmp_path).read_bytes()
    for name in ("step/loss", "train/loss", "train/accuracy", "validation/loss", "train/learning_rate"):
        times = 12 if name == "step/loss" else 3
        assert content.count(name.encode()) == times
