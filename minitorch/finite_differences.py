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

__all__ = ["derivative_range", "one_sided_range"]

STEPS = tuple(4.0**-k for k in range(4, 21))
TOLERANCE = 0.005

Range = tuple[float, float]


def derivative_range(
    g: Callable[[float], float], scale: float = 1.0, rounding: float = 0.0, tolerance: float = TOLERANCE
) -> Range:
    r"""Bound the derivatives of ``g`` at zero that its values allow.

    Args:
        g: a function of a displacement $t$, for example $t \mapsto f(x + t v)$.
        scale: the size of the point moved from; steps are multiples of it.
        rounding: how far rounding may move a value of ``g``.
        tolerance: the part of a slope that it is widened by.

    Returns:
        The smallest and the largest admissible derivative: the two one-sided slopes in order, a little widened. Where
        ``g`` has no finite value at zero, or on neither side of it, nothing can be said: minus to plus infinity.

    >>> low, high = derivative_range(abs)
    >>> round(low, 1), round(high, 1)
    (-1.0, 1.0)
    """
    sides = [one_sided_range(g, direction * scale, rounding, tolerance) for direction in (-1.0, 1.0)]
    known = [side for side in sides if side is not None]
    if not known:
        return -math.inf, math.inf
    return min(low for low, _ in known), max(high for _, high in known)


def one_sided_range(
    g: Callable[[float], float], direction: float, rounding: float = 0.0, tolerance: float = TOLERANCE
) -> Range | None:
    r"""Bound the slope of ``g`` at zero from one side, $\lim_{t \to 0} (g(t) - g(0)) / t$ with $t$ of one sign.

    Args:
        g: the function. Where it raises an ArithmeticError or a ValueError, or is not finite, it is taken as undefined.
        direction: the sign says which side, the size is the unit of the steps.
        rounding: how far rounding may move a value of ``g``.
        tolerance: the part of the slope that it is widened by.

    Returns:
        The bounds, tolerance and estimated error around the slope, one of them infinite at a jump and where a pole is
        too near to tell; None where too few values are defined.

    >>> low, high = one_sided_range(lambda t: 3.0 * max(t, 0.0), 1.0)
    >>> round(low, 3), round(high, 3)
    (2.985, 3.015)
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
    quotients = [rise / t for rise, t in zip(rises, sizes)]
    if _grows_without_end(rises, rounding):
        steepest = quotients[-1]
        return (steepest, math.inf) if steepest > 0 else (-math.inf, steepest)
    slope = _most_credible(_estimates(rises, sizes, quotients, rounding))
    margin = tolerance * abs(slope.value) + slope.error
    return slope.value - margin, slope.value + margin


def _finite_value(g: Callable[[float], float], t: float) -> float | None:
    try:
        value = g(t)
    except (ArithmeticError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _grows_without_end(rises: list[float], rounding: float) -> bool:
    """Tell whether even the shortest step leaves the slope growing: a jump, or a pole nearer than that step.

    Over a quarter of a step a smooth function rises a quarter as much, and a function that jumps just as much.
    """
    shorter, longer = abs(rises[-1]), abs(rises[-2])
    return shorter > 100.0 * rounding and shorter > 0.3 * longer


@dataclass
class _Slope:
    """An estimated slope, and how far it may be from the truth."""

    value: float
    error: float

    @property
    def is_clear(self) -> bool:
        return self.error < 0.5 * abs(self.value)


def _estimates(rises: list[float], sizes: list[float], quotients: list[float], rounding: float) -> list[_Slope]:
    """Extrapolate each pair of quotients to a step of zero; how much the next pair differs is the error."""
    extrapolated = [(4.0 * shorter - longer) / 3.0 for longer, shorter in pairwise(quotients)]
    slopes: list[_Slope] = []
    for value, following, rise, t in zip(extrapolated, extrapolated[1:], rises, sizes):
        # Both values in a quotient may be wrong, by `rounding` at the start and in proportion to the rise later.
        # Over a quarter of the step, times 4/3, plus the same over the step, that makes a factor of twelve.
        noise = 12.0 * (rounding + math.ulp(rise)) / abs(t)
        slopes.append(_Slope(value, 2.0 * abs(value - following) + noise))
    return slopes


def _most_credible(slopes: list[_Slope]) -> _Slope:
    """Choose among estimates, from the longest step to the shortest."""
    best = min(range(len(slopes)), key=lambda k: slopes[k].error)
    chosen = slopes[best]
    for shorter in slopes[best + 1 :]:
        # Across a pole the long steps agree with each other too, on a slope far too small. Shorter ones that see a
        # clear slope, and a different one, know better.
        if shorter.is_clear and abs(shorter.value - chosen.value) > shorter.error + chosen.error:
            chosen = shorter
    return chosen
