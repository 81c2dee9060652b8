"""Draw a graph: operations in rows, each below all that it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import ArgumentError, MissingDependencyError
from .graph import Graph, Node

__all__ = ["draw", "place"]

# In units of the drawing, which are inches: a box, and from one to the next.
WIDTH, HEIGHT, RIGHT, DOWN = 1.9, 0.5, 2.15, 0.95

# Walks from the first row to the last, and back, in which operations move to the middle of what they are joined to.
SWEEPS = 6

COLOURS = {
    "input": "#dfe7f3",
    "number": "#dfe7f3",
    "constant": "#eeeeee",
    "uniform": "#eeeeee",
    "map": "#ffffff",
    "zip": "#ffffff",
    "dropout": "#ffffff",
    "reduce": "#e4f1e1",
    "matrix_multiply": "#fbe3cf",
}
CONVOLUTION, OTHER = "#f6d3d3", "#efe6f6"


def draw(graph: Graph, path: str | Path) -> None:
    """Write a drawing of a graph.

    Args:
        graph: the graph.
        path: of the file; its name ends in ``.svg``, ``.png`` or ``.pdf``.

    Raises:
        ArgumentError: another ending.
        MissingDependencyError: matplotlib is not installed.
    """
    path = Path(path)
    if path.suffix not in (".svg", ".png", ".pdf"):
        raise ArgumentError(f"a graph is drawn as .svg, .png or .pdf, got {path.name!r}. Give the file one of these.")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependencyError("drawing a graph needs matplotlib (pip install matplotlib)") from None
    places = place(graph)
    right = max((x for x, _ in places.values()), default=0.0)
    down = max((y for _, y in places.values()), default=0.0)
    figure = Figure(figsize=(right + RIGHT, down + DOWN))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(-RIGHT / 2, right + RIGHT / 2), ylim=(down + DOWN / 2, -DOWN / 2))
    axes.set_axis_off()
    wanted = {ref.node.number for ref in graph.outputs}
    for node in graph:
        x, y = places[node.number]
        for source in dict.fromkeys(ref.node.number for ref in node.inputs):
            from_x, from_y = places[source]
            ends: Any = {"xytext": (from_x, from_y + HEIGHT / 2), "xy": (x, y - HEIGHT / 2)}
            axes.annotate("", arrowprops={"arrowstyle": "-|>", "color": "#777777", "linewidth": 0.7}, **ends)
    for node in graph:
        x, y = places[node.number]
        shape = " x ".join(map(str, node.shape)) or "number"
        text = f"{node.name}  {_title(node)}\n{node.dtype} {shape}"
        edge = "#1f4e9c" if node.number in wanted else "#555555"
        box: Any = {"boxstyle": "round,pad=0.3", "facecolor": _colour(node), "edgecolor": edge}
        box["linewidth"] = 1.8 if node.number in wanted else 0.7
        axes.text(x, y, text, ha="center", va="center", fontsize=7, bbox=box)
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}  # the same graph gives the same file
    figure.savefig(path, dpi=110, metadata=metadata.get(path.suffix))


def place(graph: Graph) -> dict[int, tuple[float, float]]:
    """Find the middle of each operation's box, by number, in inches to the right and down.

    >>> import numpy as np
    >>> graph = Graph()
    >>> x = graph.add("input", (), (0, "argument"), (3,), np.dtype(float))
    >>> y = graph.add("map", (x.ref(),), (abs,), (3,), np.dtype(float))
    >>> place(graph)
    {0: (0.0, 0.0), 1: (0.0, 0.95)}
    """
    row: dict[int, int] = {}
    joined: dict[int, list[int]] = {node.number: [] for node in graph}
    for node in graph:
        sources = {ref.node.number for ref in node.inputs}
        row[node.number] = 1 + max((row[source] for source in sources), default=-1)
        for source in sources:
            joined[source].append(node.number)
            joined[node.number].append(source)
    # What reads nothing stands right above its first reader.
    for node in graph:
        if not node.inputs and joined[node.number]:
            row[node.number] = max(0, min(row[reader] for reader in joined[node.number]) - 1)
    rows: list[list[int]] = [[] for _ in range(max(row.values(), default=-1) + 1)]
    for number, place_of in row.items():
        rows[place_of].append(number)
    widest = max(map(len, rows), default=0)
    across = {number: _column(i, len(members), widest) for members in rows for i, number in enumerate(members)}
    for sweep in range(SWEEPS):
        for members in rows if sweep % 2 == 0 else reversed(rows):
            middle = {n: sum(across[m] for m in joined[n]) / max(1, len(joined[n])) for n in members}
            members.sort(key=lambda n: middle[n])
            across.update({n: _column(i, len(members), widest) for i, n in enumerate(members)})
    return {number: (across[number] * RIGHT, row[number] * DOWN) for number in row}


def _column(i: int, count: int, widest: int) -> float:
    """Centre a row of boxes."""
    return i + (widest - count) / 2


def _title(node: Node) -> str:
    if node.op in ("map", "zip"):
        return node.args[0].__name__
    if node.op == "reduce":
        return f"reduce {node.args[0].__name__}"
    return str(node.args[0]) if node.op in ("constant", "number") else node.op


def _colour(node: Node) -> str:
    return CONVOLUTION if node.op.startswith("conv") else COLOURS.get(node.op, OTHER)
