"""Backpropagation one node at a time, with the numbers, and a drawing of the graph that it walks through (module 1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from minitorch import ArgumentError, Scalar, topological_sort
from minitorch.compiler.draw import place
from minitorch.compiler.graph import Graph, Node

from .lanes import Lanes
from .svg import BLUE, GREEN, GREY, ORANGE, Drawing

__all__ = ["Share", "Visit", "draw_graph", "title", "walk"]

# What a function is called in the drawing, and its derivative with respect to each input, as LaTeX.
SYMBOLS = {
    "Add": "+",
    "Mul": "×",
    "Neg": "−",
    "Inv": "1/x",
    "Log": "log",
    "Exp": "exp",
    "Sigmoid": "σ",
    "ReLU": "relu",
    "LT": "<",
    "EQ": "=",
}
RULES = {
    "Add": r"f(a, b) = a + b \qquad f'_a = 1, \; f'_b = 1",
    "Mul": r"f(a, b) = a\,b \qquad f'_a = b, \; f'_b = a",
    "Neg": r"f(a) = -a \qquad f' = -1",
    "Inv": r"f(a) = 1/a \qquad f' = -1/a^2",
    "Log": r"f(a) = \ln(a + 10^{-6}) \qquad f' = 1/(a + 10^{-6})",
    "Exp": r"f(a) = e^a \qquad f' = e^a",
    "Sigmoid": r"f(a) = \sigma(a) \qquad f' = \sigma(a)\,(1 - \sigma(a))",
    "ReLU": r"f(a) = \max(a, 0) \qquad f' = 1 \text{ above zero, else } 0",
    "LT": r"f(a, b) = 1 \text{ where } a < b \qquad f'_a = f'_b = 0",
    "EQ": r"f(a, b) = 1 \text{ where } a = b \qquad f'_a = f'_b = 0",
}

# A node's box, from one to the next, around all of them, and between two arrows from one box to another.
WIDTH, HEIGHT, RIGHT, DOWN, MARGIN, BESIDE = 104, 46, 160, 66, 10, 12

Point = tuple[float, float]


@dataclass(frozen=True)
class Share:
    """What a node hands to one of its inputs.

    Attributes:
        input: who receives it.
        local: the derivative of the node's function with respect to this input.
        amount: ``local`` times the derivative that has arrived at the node.
    """

    input: Scalar
    local: float
    amount: float


@dataclass(frozen=True)
class Visit:
    """One step of backpropagation: a node is visited once, when everything behind it has been.

    Attributes:
        node: the node.
        derivative: the derivative of the result with respect to it: all its shares, added up.
        shares: what it hands on; nothing for a leaf.
        known: the derivatives that have arrived anywhere so far, by unique_id.
    """

    node: Scalar
    derivative: float
    shares: tuple[Share, ...]
    known: Mapping[int, float] = field(repr=False)

    @property
    def rule(self) -> str:
        """The node's function and its derivatives, as LaTeX; empty for a leaf."""
        return RULES.get(_function(self.node), "")

    @property
    def sentence(self) -> str:
        """Say in words what happens."""
        here = f"The derivative {self.derivative:.4g} has arrived at {title(self.node)}"
        if not self.shares:
            return f"{here}. It is a leaf, and keeps it."
        parts = "; ".join(
            f"{title(share.input)} gets {self.derivative:.4g} x {share.local:.4g} = {share.amount:.4g}"
            for share in self.shares
        )
        return f"{here}, and is handed on: {parts}."


def walk(result: Scalar) -> list[Visit]:
    """Go backwards through a graph in the order of ``topological_sort``, and note each step.

    Args:
        result: what is differentiated.

    Returns:
        The visits. The last ones' derivatives are those that ``result.backward()`` leaves in the leaves.

    >>> x = Scalar(3.0, name="x")
    >>> [(visit.derivative, len(visit.shares)) for visit in walk(x * x)]
    [(1.0, 2), (6.0, 0)]
    """
    arrived = {result.unique_id: 1.0}
    visits = []
    for node in topological_sort(result):
        derivative = arrived[node.unique_id]
        shares: list[Share] = []
        if not node.is_leaf():
            slopes = node.chain_rule(1.0)
            for (parent, amount), (_, local) in zip(node.chain_rule(derivative), slopes, strict=True):
                if not parent.is_constant():
                    shares.append(Share(parent, local, amount))
                    arrived[parent.unique_id] = arrived.get(parent.unique_id, 0.0) + amount
        visits.append(Visit(node, derivative, tuple(shares), dict(arrived)))
    return visits


def title(scalar: Scalar) -> str:
    """Name a node: a variable by its name, a constant by its value, a result by its function and value."""
    if scalar.is_constant():
        return f"{scalar.data:g}"
    if scalar.is_leaf():
        return scalar.name
    return f"{SYMBOLS.get(_function(scalar), _function(scalar))} = {scalar.data:.4g}"


def draw_graph(result: Scalar, visit: Visit | None = None, done: Iterable[int] = ()) -> Drawing:
    """Draw the graph from the variables on the left to the result on the right.

    Args:
        result: the result.
        visit: the step to show: its node, what it hands on, and the derivatives that are known by then.
        done: the unique_ids of nodes that were visited before.

    Raises:
        ArgumentError: the graph is too large to be looked at.
    """
    scalars = _inputs_first(result)
    if len(scalars) > 120:
        raise ArgumentError(f"the graph has {len(scalars)} nodes, too many to draw. Shorten the expression.")
    at = _places(scalars)
    ways = _ways(scalars, at)
    # Some arrows pass above the highest box, or below the lowest.
    heights = [y + side for _, y in at.values() for side in (-HEIGHT / 2, HEIGHT / 2)]
    heights += [y for _, _, way in ways for _, y in way]
    down = MARGIN - min(heights)
    sheet = Drawing(max(x for x, _ in at.values()) + WIDTH / 2 + MARGIN, max(heights) + down + MARGIN)
    shares = {share.input.unique_id for share in visit.shares} if visit else set()
    for parent, scalar, way in ways:
        current = visit is not None and visit.node is scalar and parent.unique_id in shares
        points = [(x, y + down) for x, y in way]
        sheet.curve(points, colour=ORANGE if current else GREY, thickness=2.4 if current else 1.2)
    visited = set(done)
    for scalar in scalars:
        x, y = at[scalar.unique_id]
        _draw_node(sheet, scalar, x, y + down, visit, visited)
    return sheet


def _places(scalars: Sequence[Scalar]) -> dict[int, Point]:
    """Find the middle of each node's box, by unique_id, in columns from the variables to the result."""
    graph, nodes = Graph(), dict[int, Node]()
    number = np.dtype(float)
    for scalar in scalars:
        inputs = [nodes[parent.unique_id].ref() for parent in scalar.parents]
        nodes[scalar.unique_id] = graph.add("map" if inputs else "input", inputs, (), (1,), number)
    # The library's layout goes from the top to the bottom, in inches; here it goes from left to right.
    spots = place(graph)
    columns = sorted({y for _, y in spots.values()})
    rows = sorted({x for x, _ in spots.values()})
    unit = max(1.0, min((b - a for a, b in pairwise(rows) if b - a > 1e-6), default=1.0))
    return {
        key: (
            MARGIN + RIGHT * columns.index(spots[node.number][1]) + WIDTH / 2,
            DOWN * (spots[node.number][0] - rows[0]) / unit,
        )
        for key, node in nodes.items()
    }


def _ways(scalars: Sequence[Scalar], at: Mapping[int, Point]) -> list[tuple[Scalar, Scalar, list[Point]]]:
    """Lead an arrow from each input to each use of it, past the boxes of the columns between.

    An arrow bends between two columns only, and is level where it passes one, so it meets no box.
    """
    columns = sorted({x for x, _ in at.values()})
    lanes = {c: Lanes((y - HEIGHT / 2, y + HEIGHT / 2) for x, y in at.values() if x == c) for c in columns}
    ways = []
    for scalar in scalars:
        x, y = at[scalar.unique_id]
        parents = list(scalar.parents)
        for i, parent in enumerate(parents):
            uses = [j for j, other in enumerate(parents) if other.unique_id == parent.unique_id]
            aside = BESIDE * (uses.index(i) - (len(uses) - 1) / 2)  # the two arrows of x * x
            from_x, height = at[parent.unique_id]
            way = [(from_x + WIDTH / 2, height + aside)]
            between = [column for column in columns if from_x < column < x]
            for ahead, column in zip(range(len(between), 0, -1), between):
                height = lanes[column].take(height + (y - height) / (ahead + 1))
                way += [(column - WIDTH / 2, height), (column + WIDTH / 2, height)]
            way.append((x - WIDTH / 2 - 1, y + aside))
            ways.append((parent, scalar, way))
    return ways


def _draw_node(sheet: Drawing, scalar: Scalar, x: float, y: float, visit: Visit | None, visited: set[int]) -> None:
    """Draw a box: name and value above, the derivative that has arrived below."""
    current = visit is not None and visit.node is scalar
    colour = ORANGE if current else GREEN if scalar.unique_id in visited else BLUE
    if scalar.is_constant():
        colour = GREY
    sheet.box(x - WIDTH / 2, y - HEIGHT / 2, WIDTH, HEIGHT, fill=colour, opacity=0.22, edge=colour, radius=6)
    label = f"{scalar.name} = {scalar.data:.4g}" if scalar.is_leaf() else title(scalar)
    sheet.text(x, y - 10, label, bold=True)
    if visit is not None and scalar.unique_id in visit.known:
        sheet.text(x, y + 11, f"d = {visit.known[scalar.unique_id]:.4g}", size=12)


def _inputs_first(result: Scalar) -> list[Scalar]:
    """List the result and all that it depends on, constants too, each behind its inputs."""
    order: list[Scalar] = []
    seen: set[int] = set()
    stack: list[tuple[Scalar, bool]] = [(result, False)]
    while stack:
        scalar, inputs_done = stack.pop()
        if inputs_done:
            order.append(scalar)
        elif scalar.unique_id not in seen:
            seen.add(scalar.unique_id)
            stack.append((scalar, True))
            stack.extend((parent, False) for parent in reversed(list(scalar.parents)))  # type: ignore[misc]
    return order


def _function(scalar: Scalar) -> str:
    history = scalar.history
    return history.last_fn.__name__ if history is not None and history.last_fn is not None else ""
