"""The numbers of a training, epoch by epoch and step by step: kept, written, drawn."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, overload

import numpy as np

from ..errors import ArgumentError, MissingDependencyError
from ..files import write_atomically
from ..saved import mapping, number, sequence, whole
from .tensorboard import write_events

__all__ = ["History"]

Row = dict[str, float]

# Numbers of an epoch that are no measure of the model.
ABOUT = ("epoch", "step", "learning_rate", "seconds", "samples_per_second")


class History:
    """What a training has measured.

    ``history[-1]`` is the last epoch's row, a dictionary; ``history["validation_loss"]`` is a column, a list.

    Attributes:
        rows: a dictionary for each epoch: ``epoch`` and ``step`` (from 1, as they stood at its end), ``loss`` and the
            metrics, the same with ``validation_`` before their names, ``learning_rate``, ``seconds`` (without the
            validation, and without compiling) and ``samples_per_second``.
        losses: the training loss of each step.
        compile_seconds: what compiling has taken, in all.

    >>> history = History()
    >>> history.rows += [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]
    >>> history["loss"], history[-1]["loss"], len(history)
    ([0.5, 0.25], 0.25, 2)
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.losses: list[float] = []
        self.compile_seconds = 0.0

    @property
    def columns(self) -> list[str]:
        """The names of all numbers, in the order of their first appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @overload
    def __getitem__(self, key: str) -> list[float]: ...

    @overload
    def __getitem__(self, key: int) -> Row: ...

    def __getitem__(self, key: str | int) -> list[float] | Row:
        """Give the column of a name, or the row of an epoch by its place.

        Raises:
            ArgumentError: there is no such number.
        """
        if isinstance(key, int):
            return self.rows[key]
        if key not in self.columns:
            raise ArgumentError(
                f"expected the name of a column, got {key!r}. The columns are {', '.join(self.columns) or 'none yet'}."
            )
        return [row[key] for row in self.rows if key in row]

    def state_dict(self) -> dict[str, Any]:
        """Copy everything."""
        return {
            "rows": [dict(row) for row in self.rows],
            "losses": np.array(self.losses),
            "compile_seconds": self.compile_seconds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Become what was copied.

        Raises:
            DataError: something else stands in the place of a number.
        """
        mapping("the history", state, "rows", "losses", "compile_seconds")
        rows = [
            {str(name): _checked(name, value) for name, value in mapping("an epoch's row", row).items()}
            for row in sequence("the rows of the history", state["rows"])
        ]
        losses = [float(number("the loss of a step", loss)) for loss in np.atleast_1d(state["losses"]).tolist()]
        seconds = float(number("compile_seconds", state["compile_seconds"]))
        self.rows, self.losses, self.compile_seconds = rows, losses, seconds

    # --- files -----------------------------------------------------------------------------------------------

    def write_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a line for each epoch, under a line with the names.

        Args:
            path: the file; its folder is made.

        Raises:
            OSError: the file cannot be written; an older one stays as it was.
        """
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(Path(path), text.getvalue().encode())

    def write_tensorboard(self, folder: str | os.PathLike[str]) -> Path:
        """Write a log that TensorBoard shows: ``tensorboard --logdir FOLDER``.

        Each number of an epoch has a curve over the epochs (``train/loss``, ``validation/loss``), and ``step/loss`` is
        the loss over the steps. No package is needed to write it.

        Args:
            folder: the folder of this run, which is made. An earlier log in it is replaced.

        Returns:
            The file.
        """
        scalars = [("step/loss", step, loss) for step, loss in enumerate(self.losses, start=1)]
        for row in self.rows:
            for name, value in row.items():
                if name not in ("epoch", "step"):
                    group = "validation" if name.startswith("validation_") else "train"
                    scalars.append((f"{group}/{name.removeprefix('validation_')}", int(row["epoch"]), value))
        return write_events(Path(folder), scalars)

    def plot(self, path: str | os.PathLike[str], title: str = "") -> None:
        """Draw the loss and each metric over the epochs, of training and validation, beside each other.

        Args:
            path: the picture; what its name ends with says the kind, such as ``.png``.
            title: stands above it.

        Raises:
            MissingDependencyError: matplotlib is not installed.
            ArgumentError: there is no epoch to draw.
        """
        names = [name for name in self.columns if name not in ABOUT and not name.startswith("validation_")]
        if not names:
            raise ArgumentError("expected at least one epoch to draw, got none. Train first.")
        figure = _figure(4.5 * len(names))
        for place, name in enumerate(names, start=1):
            axes = figure.add_subplot(1, len(names), place)
            for column, label in ((name, "training"), (f"validation_{name}", "validation")):
                points = [(row["epoch"], row[column]) for row in self.rows if column in row]
                if points:
                    axes.plot(*zip(*points), marker=".", label=label)
            axes.set(xlabel="epoch", ylabel=name.replace("_", " "))
            axes.locator_params(axis="x", integer=True)
            axes.legend(frameon=False)
        if title:
            figure.suptitle(title)
        _save(figure, path)

    def plot_steps(self, path: str | os.PathLike[str], title: str = "", window: int = 50) -> None:
        """Draw the training loss over the training steps, and its running mean.

        Args:
            path: the picture, as in :meth:`plot`.
            title: stands above it.
            window: how many steps the mean is of.

        Raises:
            MissingDependencyError: matplotlib is not installed.
            ArgumentError: there is no step to draw.
        """
        if not self.losses:
            raise ArgumentError("expected at least one step to draw, got none. Train first.")
        window = max(1, min(window, len(self.losses)))
        smooth = np.convolve(self.losses, np.ones(window) / window, mode="valid")
        figure = _figure(7.0)
        axes = figure.add_subplot()
        axes.plot(range(1, len(self.losses) + 1), self.losses, color="#c7d3e8", linewidth=0.6, label="one step")
        axes.plot(range(window, len(self.losses) + 1), smooth, color="#1f4e9c", label=f"mean of {window} steps")
        axes.set(xlabel="training step", ylabel="training loss", title=title)
        axes.legend(frameon=False)
        _save(figure, path)


def _checked(name: str, value: Any) -> Any:
    """Check a number of an epoch that was saved."""
    return (whole if name in ("epoch", "step") else number)(f"{name} of an epoch", value)


def _figure(width: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependencyError("drawing curves needs matplotlib: pip install matplotlib") from None
    return Figure(figsize=(width, 4.0), layout="constrained")


def _save(figure: Any, path: str | os.PathLike[str]) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, dpi=120, format=Path(path).suffix.removeprefix(".") or "png")
    write_atomically(Path(path), picture.getvalue())
