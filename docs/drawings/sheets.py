"""What several drawings have in common: a sheet with axes, and numbers in cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from interface.svg import GREY, Drawing

__all__ = ["CELL", "Plot", "cell"]

# The side of a cell with a number, from one to the next.
CELL = 34.0


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

    def named_curve(
        self, points: Sequence[tuple[float, float]], colour: str, name: str, name_at: tuple[float, float]
    ) -> None:
        """Join points by lines, and write the curve's name at a place of the axes."""
        for one, other in pairwise(points):
            self.line(*self.at(*one), *self.at(*other), colour=colour, thickness=2)
        self.text(*self.at(*name_at), name, anchor="start", colour=colour, bold=True)


def cell(
    sheet: Drawing,
    x: float,
    y: float,
    number: float,
    colour: str,
    width: float = CELL,
    opacity: float = 0.2,
    bold: bool = False,
) -> None:
    """Draw a number in a cell whose upper left corner is at ``(x, y)``."""
    sheet.box(x, y, width - 2, CELL - 2, fill=colour, opacity=opacity, edge=colour)
    sheet.text(x + width / 2 - 1, y + CELL / 2 - 1, f"{number:g}", bold=bold)
