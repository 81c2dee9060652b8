"""Labelled points in the unit square, for trying classifiers on (course module 0, task 0.5).

All but the spiral are random: ``minitorch.manual_seed`` fixes them.

>>> graph = datasets["Xor"](4)
>>> graph.N, len(graph.X), set(graph.y) <= {0, 1}
(4, 4, True)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .errors import ArgumentError
from .random import default_generator

__all__ = ["Graph", "circle", "datasets", "diag", "make_pts", "simple", "spiral", "split", "xor"]

Point = tuple[float, float]


@dataclass
class Graph:
    """Points of the plane and their classes.

    Attributes:
        N: the number of points.
        X: the points $(x_1, x_2)$.
        y: the class of each, 0 or 1.
    """

    N: int
    X: list[Point]
    y: list[int]


def make_pts(N: int) -> list[Point]:
    """Draw ``N`` points, uniform on the unit square.

    Raises:
        ArgumentError: ``N`` is not a whole number from zero up.
    """
    _check_count(N)
    return [(x_1, x_2) for x_1, x_2 in default_generator.uniform((N, 2)).tolist()]


def _check_count(N: int) -> None:
    if not isinstance(N, int) or N < 0:
        raise ArgumentError(
            f"Expected a number of points, a whole number from zero up, got {N!r}. Pass an int such as 50."
        )


def _label(N: int, is_one: Callable[[float, float], bool]) -> Graph:
    X = make_pts(N)
    return Graph(N, X, [int(is_one(x_1, x_2)) for x_1, x_2 in X])


def simple(N: int) -> Graph:
    """Draw points of class 1 left of the line $x_1 = 0.5$."""
    return _label(N, lambda x_1, x_2: x_1 < 0.5)


def diag(N: int) -> Graph:
    """Draw points of class 1 below the diagonal $x_1 + x_2 = 0.5$: one in eight."""
    return _label(N, lambda x_1, x_2: x_1 + x_2 < 0.5)


def split(N: int) -> Graph:
    """Draw points of class 1 in the two outer fifths, $x_1 < 0.2$ or $x_1 > 0.8$."""
    return _label(N, lambda x_1, x_2: x_1 < 0.2 or x_1 > 0.8)


def xor(N: int) -> Graph:
    """Draw points of class 1 in the upper left and the lower right quarter."""
    return _label(N, lambda x_1, x_2: (x_1 < 0.5 < x_2) or (x_2 < 0.5 < x_1))


def circle(N: int) -> Graph:
    r"""Draw points of class 1 outside the circle around the centre, $(x_1 - 0.5)^2 + (x_2 - 0.5)^2 > 0.1$."""
    return _label(N, lambda x_1, x_2: (x_1 - 0.5) ** 2 + (x_2 - 0.5) ** 2 > 0.1)


def spiral(N: int) -> Graph:
    r"""Place points along the two arms of a spiral, one arm for each class.

    At the parameter $t$ the arm of class 0 is at $0.5 + \frac{t}{20}(\cos t, \sin t)$ and the arm of class 1 at
    $0.5 + \frac{t}{20}(\sin t, -\cos t)$, a quarter turn behind. On an arm of $n$ points
    $t = 10 i / n$ for $i = 5, \dots, n + 4$. Of an odd number of points class 1 has one more.
    """
    _check_count(N)
    half = N // 2
    arm_0 = [(0.5 + t * math.cos(t) / 20, 0.5 + t * math.sin(t) / 20) for t in _spiral_parameters(half)]
    arm_1 = [(0.5 + t * math.sin(t) / 20, 0.5 - t * math.cos(t) / 20) for t in _spiral_parameters(N - half)]
    return Graph(N, arm_0 + arm_1, [0] * len(arm_0) + [1] * len(arm_1))


def _spiral_parameters(n: int) -> list[float]:
    return [10 * i / n for i in range(5, n + 5)]


class PointSets(dict[str, Callable[[int], Graph]]):
    """A dictionary that knows its functions as attributes too.

    In the package, ``minitorch.datasets`` is the dictionary and hides this module, as in the course, whose scripts say
    ``minitorch.datasets["Xor"](50)``. With the attributes, ``minitorch.datasets.xor(50)`` works as well.
    """

    def __getattr__(self, name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"The point sets have no attribute {name!r}. They are {', '.join(self)}.")
        return globals()[name]

    def __missing__(self, name: str) -> Callable[[int], Graph]:
        raise ArgumentError(f"Expected the name of a point set, one of {', '.join(self)}, got {name!r}.")


datasets = PointSets(
    {
        "Simple": simple,
        "Diag": diag,
        "Split": split,
        "Xor": xor,
        "Circle": circle,
        "Spiral": spiral,
    }
)
