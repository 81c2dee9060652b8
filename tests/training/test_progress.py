"""The line at the bottom of a terminal or in a notebook, and the times in it."""

from __future__ import annotations

import io
import itertools
import sys
import time
from types import SimpleNamespace

import pytest

from minitorch.training.progress import Clock, ProgressBar, TerminalLine, duration, epoch_line


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def now(monkeypatch):
    """A clock that the test sets."""
    moment = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: moment[0])
    return moment


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (0.6, "0:01"), (59.4, "0:59"), (59.6, "1:00"), (3599.7, "1:00:00"), (360000, "100:00:00")],
)
def test_a_duration_is_written_as_people_read_it(seconds, text):
    assert duration(seconds) == text


def test_nothing_is_drawn_where_there_is_no_terminal_or_nobody_wants_it(monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    bar = ProgressBar()
    assert not bar.due()
    bar.draw(0.5, "Epoch 1/2", "loss 1")
    bar.clear()
    assert stream.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert not ProgressBar(False).due()
    assert ProgressBar().due()


class Display:
    """Stands for IPython's function `display`, and keeps what the notebook shows: a list of lines that change."""

    def __init__(self):
        self.lines = []

    def __call__(self, content, raw, display_id):
        assert raw
        assert display_id is True
        self.lines.append(content["text/plain"])
        place = len(self.lines) - 1

        def update(content, raw):
            assert raw
            self.lines[place] = content["text/plain"]

        return SimpleNamespace(update=update)


@pytest.fixture
def ipython(monkeypatch):
    """Have IPython imported, without a shell; gives what sets the shell, and what is displayed."""
    shell = SimpleNamespace(now=None)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell.now))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=Display()))
    return shell, sys.modules["IPython.display"].display


def test_in_a_notebook_each_bar_is_one_line_that_changes(ipython, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    shell, display = ipython
    shell.now = SimpleNamespace(kernel=object())
    first, second = ProgressBar(), ProgressBar()
    assert first.due()
    first.clear()
    assert display.lines == []
    for share, after in ((0.5, "loss 1"), (1.0, "loss 0.5")):
        first.draw(share, "Epoch 1/2", after)
    assert display.lines == ["Epoch 1/2 " + "━" * 20 + " 100% loss 0.5"]
    first.clear()
    second.draw(None, "Epoch 1/2", "loss 2")
    assert display.lines == ["", "Epoch 1/2 loss 2"]
    assert stream.getvalue() == ""
    assert not ProgressBar(False).due()


@pytest.mark.parametrize("shell_now", [None, SimpleNamespace()])
def test_ipython_without_a_notebook_draws_nothing_into_a_pipe(ipython, shell_now, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    ipython[0].now = shell_now
    assert not ProgressBar().due()


def test_the_line_is_drawn_over_itself_and_wiped():
    stream = Terminal()
    bar = ProgressBar(line=TerminalLine(stream))
    bar.clear()
    assert stream.getvalue() == ""
    bar.draw(0.5, "Epoch 1/2", "loss 1")
    assert stream.getvalue() == "\r\x1b[KEpoch 1/2 " + "━" * 10 + "─" * 10 + "  50% loss 1"
    bar.clear()
    bar.clear()
    assert stream.getvalue().endswith("loss 1\r\x1b[K")
    assert "\n" not in stream.getvalue()


def test_it_is_drawn_ten_times_a_second_at_most(now):
    bar = ProgressBar(line=TerminalLine(Terminal()))
    bar.draw(None, "", "")
    drawings = []
    for _ in range(10):
        now[0] += 0.03
        drawings.append(bar.due())
        if bar.due():
            bar.draw(None, "", "")
    assert drawings == [False, False, False, True, False, False, False, True, False, False]


def test_rate_and_time_left(now):
    stream = Terminal()
    clock = Clock(epochs=3, length=10, bar=ProgressBar(line=TerminalLine(stream)))
    clock.begin_epoch()
    now[0] += 60.0  # the first step is compiled
    clock.count(64)
    assert clock.left(0, 1) is None
    for _ in range(4):
        now[0] += 2.0
        clock.count(64)
    # 5 batches are done, 25 are left, 2 seconds each.
    assert clock.left(0, 5) == pytest.approx(50.0)
    clock.draw(0, 5, {"loss": 0.123456, "accuracy": 0.5})
    assert stream.getvalue().endswith("──  50% loss 0.1235, accuracy 50.00%, 5 samples/s, 0:50 left")
    assert "Epoch 1/3" in stream.getvalue()


def test_without_a_length_nobody_knows_how_long_it_takes(now):
    stream = Terminal()
    clock = Clock(epochs=3, length=None, bar=ProgressBar(line=TerminalLine(stream)))
    for _ in range(3):
        now[0] += 1.0
        clock.count(10)
    clock.draw(1, 3, {"validation_loss": 1e-5})
    assert stream.getvalue() == "\r\x1b[KEpoch 2/3 validation loss 1e-05, 10 samples/s"


def test_the_line_of_an_epoch():
    row = {"epoch": 2, "step": 9, "loss": 0.5, "validation_accuracy": 0.9123, "learning_rate": 0.1, "seconds": 1.25}
    row["samples_per_second"] = 12345.6
    for epochs, left in itertools.product((2, 3), (None, 61.0)):
        line = epoch_line(row, epochs, left)
        end = ", 1:01 left" if epochs == 3 and left else ""
        assert line == f"Epoch 2/{epochs}: loss 0.5, validation accuracy 91.23%, 12,346 samples/s, 1.2 s{end}"
