"""The pictures of module 1: a graph during its backward pass, and how wrong a numerical derivative is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from interface.backpropagation import draw_graph, walk
from interface.svg import BLUE, GREY, ORANGE, Drawing

from minitorch import Scalar

from .sheets import Plot

__all__ = ["difference_errors", "shared_node", "step_sizes"]


def shared_node() -> Drawing:
    """Draw a number that two functions use: one has handed its share back, the other has not been visited."""
    a = Scalar(1.0, name="a")
    b = a + a
    first, second, *_ = walk(b.relu() * -b)
    return draw_graph(first.node, second, done=[first.node.unique_id])


def step_sizes() -> Drawing:
    """Draw how wrong a central difference is, by the size of its step, in both precisions."""
    plot = Plot((-12.0, 0.0), (-12.0, 1.0))
    plot.ticks(range(-12, 1, 2), range(-12, 1, 3), lambda power: f"1e{power:g}")
    powers = np.linspace(-12.0, 0.0, 73).tolist()
    for dtype, colour, name, place in (
        (np.float32, ORANGE, "float32", (-6.2, -0.3)),
        (np.float64, BLUE, "float64", (-9.2, -9.8)),
    ):
        errors = difference_errors(dtype, powers)
        curve = [(p, math.log10(max(error, 1e-12))) for p, error in zip(powers, errors)]
        plot.named_curve(curve, colour, name, place)
    plot.text(300, 288, "size of the step; upwards: relative error of the slope", size=12, colour=GREY)
    return plot


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
