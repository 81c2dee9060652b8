r"""Estimate a function's slopes from its values alone, to judge a derivative that came from somewhere else.

At a kink a function has two slopes, one to each side, and every number between them is a subgradient; at a jump one
of them is infinite. So the two sides are estimated apart, and a derivative is right when it lies between them.

Each side is tried at many step sizes $h$, because no single one serves: a large step sees curvature and the kink
next door, a small one sees rounding. At every size, two differences are combined so that their errors of order $h$
cancel (L. F. Richardson, "The approximate arithmetical solution by finite differences of physical problems
involving differential equations", 1911), and the size whose neighbour agrees with it best is believed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Slope", "derivative_range", "one_sided_slope"]

STEPS = tuple(4.0**-k for k in range(4, 19))
TOLERANCE = 0.005


@dataclass
class Slope:
    """An estimated slope, and how far it may be from the truth.

    Attributes:
        value: the slope; infinite at a jump.
        error: what disagreement between step sizes and rounding leave open.
    """

    value: float
    error: float

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest derivative that this slope allows: 0.5 % and the error to either side."""
        if math.isinf(self.value):
            return self.value, self.value
        margin = TOLERANCE * abs(self.value) + self.error
        return self.value - margin, self.value + margin


def derivative_range(g: Callable[[float], float], scale: float = 1.0, rounding: float = 0.0) -> tuple[float, float]:
    r"""Bound the derivatives of ``g`` at zero that its values allow.

    Args:
        g: a function of a displacement $t$, for example $t \mapsto f(x + t v)$.
        scale: the size of the point moved from; steps are multiples of it.
        rounding: how far rounding may move a value of ``g``.

    Returns:
        The smallest and the largest admissible derivative: the two one-sided slopes in order, a little widened. Where
        ``g`` has no finite value at zero, or on neither side of it, nothing can be said: minus to plus infinity.

    >>> low, high = derivative_range(abs)
    >>> round(low, 1), round(high, 1)
    (-1.0, 1.0)
    """
    sides = [one_sided_slope(g, direction * scale, rounding) for direction in (-1.0, 1.0)]
    bounds = [side.bounds for side in sides if side is not None]
    if not bounds:
        return -math.inf, math.inf
    return min(low for low, _ in bounds), max(high for _, high in bounds)


def one_sided_slope(g: Callable[[float], float], direction: float, rounding: float = 0.0) -> Slope | None:
    r"""Estimate the slope of ``g`` at zero from one side, $\lim_{t \to 0} (g(t) - g(0)) / t$ with $t$ of one sign.

    Args:
        g: the function. Where it raises an ArithmeticError or a ValueError, or is not finite, it is taken as undefined.
        direction: the sign says which side, the size is the unit of the steps.
        rounding: how far rounding may move a value of ``g``.

    Returns:
        The slope and its error; None where too few values are defined.

    >>> round(one_sided_slope(lambda t: max(t, 0.0), 1.0).value, 6)
    1.0
    """
    start = _finite_value(g, 0.0)
    if start is None:
        return None
    rises: list[float] = []
    sizes: list[float] = []
    for step in STEPS:
        t = direction * step
        if (value := _finite_value(g, t)) is None:
            # Only the steps nearer to the point count: there is a gap in between.
            rises, sizes = [], []
        else:
            rises.append(value - start)
            sizes.append(t)
    if len(rises) < 3:
        return None
    rounding = max(rounding, math.ulp(start))
    if _jumps(rises, rounding):
        return Slope(math.copysign(math.inf, rises[-1] / direction), 0.0)
    quotients = [rise / t for rise, t in zip(rises, sizes)]
    extrapolated = [(4.0 * finer - coarser) / 3.0 for coarser, finer in pairwise(quotients)]
    estimates: list[Slope] = []
    for slope, finer, rise, t in zip(extrapolated, extrapolated[1:], rises, sizes):
        # The two values in each quotient may be wrong by `rounding` at the start, and in proportion to the rise
        # later; over a quarter of the step, times 4/3, plus the same over the step, makes a factor of twelve.
        noise = 12.0 * (rounding + math.ulp(rise)) / abs(t)
        estimates.append(Slope(slope, 2.0 * abs(slope - finer) + noise))
    return min(estimates, key=lambda estimate: estimate.error)


def _finite_value(g: Callable[[float], float], t: float) -> float | None:
    try:
        value = g(t)
    except (ArithmeticError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _jumps(rises: list[float], rounding: float) -> bool:
    """Tell whether the function rises as much over a step as over one four times as long, however short."""
    shorter, longer = abs(rises[-1]), abs(rises[-2])
    return shorter > 100.0 * rounding and shorter > 0.9 * longer
