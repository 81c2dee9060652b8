"""Draw what a classifier of points has learned: the plane in the colours of its answers, and the points on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import minitorch

__all__ = ["Picture"]

# Each panel asks the classifier about this many points a side.
SIDE = 50

# Points of a spiral leave the unit square a little.
LOW, HIGH = -0.05, 1.05

# Readable by people who see red and green alike.
CLASS_COLOURS = ("tab:blue", "tab:orange")


class Picture:
    """A grid of panels, one for each trained classifier.

    Args:
        rows: panels below each other.
        columns: panels beside each other.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """

    def __init__(self, rows: int = 1, columns: int = 1) -> None:
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise minitorch.MissingDependencyError(
                'pictures are drawn by matplotlib, which is not installed: pip install -e ".[extra]"'
            ) from None
        self.figure = Figure(figsize=(2.2 * columns + 0.2, 2.4 * rows), layout="constrained")
        self.panels = self.figure.subplots(rows, columns, squeeze=False)

    def draw(
        self,
        data: minitorch.Graph,
        predict: Callable[[Sequence[Sequence[float]]], npt.ArrayLike],
        title: str,
        row: int = 0,
        column: int = 0,
    ) -> None:
        """Fill a panel.

        Args:
            data: the points and their classes.
            predict: gives the probability of class 1 for each point of a list.
            title: what to write above.
            row: which panel.
            column: which panel.
        """
        axis = np.linspace(LOW, HIGH, SIDE).tolist()
        # As an image is stored: one row of pixels after the other, the lowest first.
        plane = [(x_1, x_2) for x_2 in axis for x_1 in axis]
        answers = np.reshape(predict(plane), (SIDE, SIDE))

        panel = self.panels[row, column]
        panel.contourf(axis, axis, answers, levels=[0.0, 0.5, 1.0], colors=CLASS_COLOURS, alpha=0.25)
        panel.contour(axis, axis, answers, levels=[0.5], colors="black", linewidths=0.8)
        for label, colour in enumerate(CLASS_COLOURS):
            chosen = [point for point, y in zip(data.X, data.y, strict=True) if y == label]
            panel.scatter([x_1 for x_1, _ in chosen], [x_2 for _, x_2 in chosen], s=9, color=colour)
        panel.set_title(title, fontsize=9)
        panel.set_xticks([])
        panel.set_yticks([])
        panel.set_aspect("equal")

    def save(self, path: str | Path) -> None:
        """Write the picture to a file, whose ending says in which format."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self.figure.savefig(path, dpi=110)
        print(f"The decision boundary is drawn in {path}")
