"""How far a training is, and how fast: a line at the bottom of a terminal or in a notebook, and one for each epoch."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TextIO

__all__ = ["Clock", "NotebookLine", "ProgressBar", "TerminalLine", "duration", "epoch_line"]

WIDTH = 20  # characters of the bar
INTERVAL = 0.1  # seconds between two drawings


def duration(seconds: float) -> str:
    """Write a time as people read it.

    >>> duration(7.3), duration(192), duration(3792)
    ('0:07', '3:12', '1:03:12')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class TerminalLine:
    """The line at the bottom of a terminal, which is written over.

    Args:
        stream: the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Put a text in the place of the one before."""
        self._stream.write(f"\r\x1b[K{text}")
        self._stream.flush()


class NotebookLine:
    """A line of its own below the cell of a notebook: what the cell prints stands apart from it.

    Args:
        display: IPython's function of this name.
    """

    def __init__(self, display: Callable[..., Any]) -> None:
        self._display, self._shown = display, None

    def write(self, text: str) -> None:
        """Put a text in the place of the one before."""
        content = {"text/plain": text}
        if self._shown is None:
            self._shown = self._display(content, raw=True, display_id=True)
        else:
            self._shown.update(content, raw=True)


def line_here() -> TerminalLine | NotebookLine | None:
    """Find what can be drawn on: the terminal behind the standard error, or a notebook; None for a pipe or a file."""
    if sys.stderr.isatty():
        return TerminalLine(sys.stderr)
    ipython = sys.modules.get("IPython")  # which the kernel behind a notebook has imported
    shell = None if ipython is None else ipython.get_ipython()
    return NotebookLine(import_module("IPython.display").display) if hasattr(shell, "kernel") else None


class ProgressBar:
    """Draws over its own line, ten times a second at most; where there is neither terminal nor notebook, nothing.

    Args:
        wanted: whether to draw at all.
        line: where to draw; what there is when the bar is made, if left out.
    """

    def __init__(self, wanted: bool = True, line: TerminalLine | NotebookLine | None = None) -> None:
        self._line = (line or line_here()) if wanted else None
        self._next = 0.0
        self._drawn = False

    def due(self) -> bool:
        """Tell whether it is time to draw."""
        return self._line is not None and time.perf_counter() >= self._next

    def draw(self, share: float | None, before: str, after: str) -> None:
        """Draw the line.

        Args:
            share: how much is done, from 0 to 1; None where nobody knows.
            before: what stands left of the bar.
            after: what stands right of it.
        """
        bar = ""
        if share is not None:
            full = int(share * WIDTH)
            bar = f" {'━' * full}{'─' * (WIDTH - full)} {share:4.0%}"
        if self._line is not None:
            self._line.write(f"{before}{bar} {after}")
            self._drawn = True
        self._next = time.perf_counter() + INTERVAL

    def clear(self) -> None:
        """Wipe the line, so that others can print."""
        if self._line is not None and self._drawn:
            self._line.write("")
            self._drawn = False


class Clock:
    """How fast a training is, how long it will take, and the line that says so.

    Args:
        epochs: how many epochs there shall be.
        length: the number of batches of an epoch; None where nobody knows.
        bar: where to draw.

    Attributes:
        examples: how many examples this epoch has had.
    """

    def __init__(self, epochs: int, length: int | None, bar: ProgressBar) -> None:
        self.epochs, self.length, self.bar = epochs, length, bar
        self.examples = 0
        self._steps = 0
        self._epoch_started = self._started = time.perf_counter()

    def begin_epoch(self) -> None:
        """Count the examples of a new epoch."""
        self.examples = 0
        self._epoch_started = time.perf_counter()

    def count(self, size: int) -> None:
        """Count a step."""
        self.examples += size
        self._steps += 1
        if self._steps == 1:  # which compiled the step: it says nothing of the others
            self._started = time.perf_counter()

    def left(self, epoch: int, batches: int = 0) -> float | None:
        """Estimate the seconds that are left, after so many epochs and batches; None where nobody knows."""
        if self.length is None or self._steps < 2:
            return None
        remaining = (self.epochs - epoch) * self.length - batches
        return (time.perf_counter() - self._started) / (self._steps - 1) * remaining

    def draw(self, epoch: int, batches: int, means: Mapping[str, float]) -> None:
        """Draw the line, after so many epochs and batches."""
        rate = self.examples / max(time.perf_counter() - self._epoch_started, 1e-9)
        share = min(1.0, batches / self.length) if self.length else None
        parts = [*_written(means), f"{rate:,.0f} samples/s"]
        if (left := self.left(epoch, batches)) is not None:
            parts.append(f"{duration(left)} left")
        self.bar.draw(share, f"Epoch {epoch + 1}/{self.epochs}", ", ".join(parts))


def epoch_line(row: Mapping[str, float], epochs: int, left: float | None) -> str:
    """Write the line of an epoch.

    >>> epoch_line({"epoch": 1, "loss": 0.5, "accuracy": 0.75, "seconds": 2.0, "samples_per_second": 1e4}, 3, 4.0)
    'Epoch 1/3: loss 0.5, accuracy 75.00%, 10,000 samples/s, 2.0 s, 0:04 left'
    """
    measured = {name: value for name, value in row.items() if name not in ("epoch", "step", "learning_rate")}
    seconds, rate = measured.pop("seconds"), measured.pop("samples_per_second")
    parts = [*_written(measured), f"{rate:,.0f} samples/s", f"{seconds:.1f} s"]
    if left is not None and row["epoch"] < epochs:
        parts.append(f"{duration(left)} left")
    return f"Epoch {row['epoch']}/{epochs}: {', '.join(parts)}"


def _written(means: Mapping[str, float]) -> list[str]:
    """Write measured numbers: an accuracy in percent, others with four digits."""
    return [
        f"{name.replace('_', ' ')} {value:.2%}"
        if name.endswith("accuracy")
        else f"{name.replace('_', ' ')} {value:.4g}"
        for name, value in means.items()
    ]
