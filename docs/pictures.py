"""Draw the guides' pictures: `python docs/pictures.py` writes them to docs/images/guides/."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

import minitorch
from minitorch import Scalar, operators
from minitorch.tensor_data import TensorData

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "project"))

from interface.backpropagation import draw_graph, walk  # noqa: E402
from interface.layouts import draw_layout  # noqa: E402
from interface.module_trees import branches, draw_tree  # noqa: E402
from interface.svg import BLUE, GREEN, GREY, ORANGE, Drawing  # noqa: E402

__all__ = ["PICTURES", "difference_errors"]

FOLDER = ROOT / "docs" / "images" / "guides"
Curve = Sequence[tuple[float, float]]


class Plot(Drawing):
    """A sheet with one pair of axes, on which curves are drawn in the units of the axes.

    Args:
        across: the lowest and the highest $x$.
        up: the lowest and the highest $y$.
    """

    def __init__(self, across: tuple[float, float], up: tuple[float, float]) -> None:
        super().__init__(560, 300)
        self.across, self.up = across, up

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Give the place of a point on the sheet."""
        (left, right), (low, high) = self.across, self.up
        return 60 + 480 * (x - left) / (right - left), 250 - 225 * (y - low) / (high - low)

    def ticks(self, xs: Sequence[float], ys: Sequence[float], write: Callable[[float], str] = "{:g}".format) -> None:
        """Draw a line and its number at each of these places."""
        for x in xs:
            self.line(*self.at(x, self.up[0]), *self.at(x, self.up[1]), thickness=0.4)
            self.text(self.at(x, 0)[0], 264, write(x), size=11, colour=GREY)
        for y in ys:
            self.line(*self.at(self.across[0], y), *self.at(self.across[1], y), thickness=0.4)
            self.text(52, self.at(0, y)[1], write(y), size=11, anchor="end", colour=GREY)

    def curve(self, points: Curve, colour: str, name: str, name_at: tuple[float, float]) -> None:
        """Join points by lines, and write the curve's name at a place of the axes."""
        for one, other in pairwise(points):
            self.line(*self.at(*one), *self.at(*other), colour=colour, thickness=2)
        self.text(*self.at(*name_at), name, anchor="start", colour=colour, bold=True)


def sigmoid() -> Drawing:
    """The sigmoid, its derivative from the rule, and points of that derivative from values alone."""
    plot = Plot((-6.0, 6.0), (0.0, 1.0))
    plot.ticks(range(-6, 7, 2), (0.0, 0.25, 0.5, 0.75, 1.0))
    xs = np.linspace(-6.0, 6.0, 97).tolist()
    plot.curve([(x, operators.sigmoid(x)) for x in xs], BLUE, "sigmoid(x)", (1.5, 0.7))
    plot.curve([(x, operators.sigmoid_back(x, 1.0)) for x in xs], ORANGE, "sigmoid_back(x, 1)", (2.4, 0.17))
    for x in range(-6, 7):
        slope = minitorch.central_difference(operators.sigmoid, float(x))
        plot.circle(*plot.at(x, slope), 4, fill=GREEN)
    plot.text(300, 288, "dots: central differences of the sigmoid's values", size=12, colour=GREEN)
    return plot


def module_tree() -> Drawing:
    """Two layers in a network, the tree that ``named_parameters`` walks through."""
    layers = minitorch.layers
    return draw_tree(branches(layers.Sequential(layers.Linear(2, 4), layers.ReLU(), layers.Linear(4, 1))))


def shared_node() -> Drawing:
    """A number that two functions use: one of them has handed its share back, the other has not been visited."""
    a = Scalar(1.0, name="a")
    b = a + a
    first, second, *_ = walk(b.relu() * -b)
    return draw_graph(first.node, second, done=[first.node.unique_id])


def difference_errors(dtype: type[np.floating], powers: Sequence[float]) -> list[float]:
    """Give the relative errors of the central differences of $x^3$ at 1.3 with steps of ten to the ``powers``."""
    x, two = dtype(1.3), dtype(2.0)
    errors = []
    for power in powers:
        step = dtype(10.0**power)
        above, below = x + step, x - step
        slope = (above * above * above - below * below * below) / (two * step)
        errors.append(abs(float(slope) / (3.0 * 1.3**2) - 1.0))
    return errors


def step_sizes() -> Drawing:
    """How wrong a central difference is, by the size of its step, in both precisions."""
    plot = Plot((-12.0, 0.0), (-12.0, 1.0))
    plot.ticks(range(-12, 1, 2), range(-12, 1, 3), lambda power: f"1e{power:g}")
    powers = np.linspace(-12.0, 0.0, 73).tolist()
    for dtype, colour, name, place in (
        (np.float32, ORANGE, "float32", (-6.2, -0.3)),
        (np.float64, BLUE, "float64", (-9.2, -9.8)),
    ):
        errors = difference_errors(dtype, powers)
        curve = [(p, math.log10(max(error, 1e-12))) for p, error in zip(powers, errors)]
        plot.curve(curve, colour, name, place)
    plot.text(300, 288, "size of the step; upwards: relative error of the slope", size=12, colour=GREY)
    return plot


def permuted() -> Drawing:
    """A tensor of shape (2, 3) seen as (3, 2), and the cell that one of its positions reads."""
    data = TensorData(np.arange(6.0), (2, 3)).permute(1, 0)
    return draw_layout(data, (2, 0))


def broadcast() -> Drawing:
    """A column and a row that stretch to a table, whose derivatives are added up on the way back."""
    column, row, cell = [10.0, 20.0, 30.0], [1.0, 2.0, 3.0, 4.0], 40.0
    sheet = Drawing(560, 250)

    def number(x: float, y: float, value: float, colour: str, opacity: float) -> None:
        sheet.box(x, y, cell - 3, cell - 3, fill=colour, opacity=opacity, edge=colour)
        sheet.text(x + cell / 2 - 1.5, y + cell / 2 - 1.5, f"{value:g}")

    for i, a in enumerate(column):
        number(20, 70 + i * cell, a, ORANGE, 0.6)
        for j, b in enumerate(row):
            number(130 + j * cell, 70 + i * cell, a + b, GREEN, 0.2)
        sheet.arrow(62, 88 + i * cell, 124, 88 + i * cell, colour=ORANGE)
        sheet.arrow(296, 88 + i * cell, 346, 88 + i * cell)
        sheet.text(352, 88 + i * cell, f"4 ones add up to the slope of {a:g}", anchor="start", size=12)
    for j, b in enumerate(row):
        number(130 + j * cell, 5, b, BLUE, 0.6)
        sheet.arrow(148 + j * cell, 44, 148 + j * cell, 66, colour=BLUE)
        sheet.arrow(148 + j * cell, 192, 148 + j * cell, 212)
    sheet.text(210, 226, "3 ones add up to the slope of each number of the row", size=12)
    sheet.text(38, 52, "(3, 1)", size=12)
    sheet.text(322, 22, "(1, 4)", size=12)
    return sheet


# By the file's name.
PICTURES: dict[str, Callable[[], Drawing]] = {
    "sigmoid.svg": sigmoid,
    "module_tree.svg": module_tree,
    "shared_node.svg": shared_node,
    "step_sizes.svg": step_sizes,
    "permuted.svg": permuted,
    "broadcast.svg": broadcast,
}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        draw().save(FOLDER / name)
