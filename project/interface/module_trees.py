"""Modules as a tree with their parameters, for looking at (module 0)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import run_mnist_multiclass
import run_scalar
import run_sentiment
import run_tensor

import minitorch

from .run import Randomness
from .svg import BLUE, GREEN, GREY, Drawing

__all__ = ["MODELS", "Branch", "branches", "build", "count", "draw_tree", "parameter_table"]

ROW, INDENT = 26, 26

# What there is to look at. A hidden size means something for the first two alone.
MODELS: dict[str, Callable[[int], minitorch.Module]] = {
    "Points, with tensors": lambda hidden: run_tensor.Network(hidden),
    "Points, with scalars": lambda hidden: run_scalar.Network(hidden),
    "LeNet, for digits": lambda hidden: run_mnist_multiclass.Network(minitorch.FastBackend),
    "Kim's CNN, for sentences": lambda hidden: run_sentiment.CNNSentimentKim(),
}


@dataclass(frozen=True)
class Branch:
    """A module or a parameter in the tree.

    Attributes:
        name: of it alone; empty for the root.
        path: the dotted name from the root.
        kind: the class of a module, the shape or the number of a parameter.
        depth: how far below the root it is.
        parameters: how many numbers training changes in it and below.
        is_parameter: whether it is one.
        training: the mode of a module.
    """

    name: str
    path: str
    kind: str
    depth: int
    parameters: int
    is_parameter: bool
    training: bool = True


def build(name: str, hidden: int, seed: int = 1) -> minitorch.Module:
    """Make one of :data:`MODELS` with random numbers of its own.

    Args:
        name: which.
        hidden: units in each hidden layer, where the model leaves that open.
        seed: of its initial weights.
    """
    with Randomness(seed):
        return MODELS[name](hidden)


def branches(model: minitorch.Module, most: int = 80) -> list[Branch]:
    """Walk a model: each module, then its parameters, then the modules in it.

    Args:
        model: the root.
        most: how many rows to give at most.

    >>> [(branch.path, branch.kind) for branch in branches(minitorch.layers.Linear(2, 3))]
    [('', 'Linear'), ('weight', '3 x 2'), ('bias', '3')]
    """
    rows: list[Branch] = []
    for path, module in model.named_modules():
        depth = path.count(".") + 1 if path else 0
        name = path.rpartition(".")[2]
        rows.append(Branch(name, path, type(module).__name__, depth, count(module), False, module.training))
        inside = {id(p) for child in module.modules() for p in child.parameters()}
        for key, parameter in module.named_parameters():
            if id(parameter) not in inside:
                own = f"{path}.{key}" if path else key
                rows.append(Branch(key, own, _shape(parameter), depth + 1, _size(parameter), True))
    return rows[:most]


def count(module: minitorch.Module) -> int:
    """Count the numbers that training changes."""
    return sum(_size(parameter) for parameter in module.parameters())


def parameter_table(model: minitorch.Module) -> list[dict[str, Any]]:
    """Describe each parameter: dotted name, shape, count, mean, and the standard deviation of its numbers."""
    table = []
    for name, parameter in model.named_parameters():
        values = _numbers(parameter)
        table.append(
            {
                "name": name,
                "shape": _shape(parameter),
                "numbers": values.size,
                "mean": float(values.mean()),
                "deviation": float(values.std()),
            }
        )
    return table


def draw_tree(rows: list[Branch]) -> Drawing:
    """Draw the tree, a row for each module and each parameter."""
    sheet = Drawing(620, ROW * len(rows) + 8)
    last_at: dict[int, float] = {}  # where the latest module of each depth stands
    for i, row in enumerate(rows):
        x, y = 12 + INDENT * row.depth, 16 + ROW * i
        if row.depth:
            above = last_at[row.depth - 1]
            sheet.line(x - INDENT + 4, above + 10, x - INDENT + 4, y)
            sheet.line(x - INDENT + 4, y, x - 4, y)
        if row.is_parameter:
            sheet.circle(x + 3, y, 5, fill=BLUE)
            sheet.text(x + 16, y, f"{row.name}   {row.kind}", anchor="start")
        else:
            last_at[row.depth] = y
            sheet.box(x - 4, y - 8, 15, 16, fill=GREEN if row.training else GREY)
            label = f"{row.name}: {row.kind}" if row.name else row.kind
            sheet.text(x + 18, y, label, anchor="start", bold=True)
            sheet.text(608, y, f"{row.parameters:,}", anchor="end", size=12)
    return sheet


def _numbers(parameter: minitorch.Parameter) -> np.ndarray:
    value = parameter.value
    return np.asarray(value.to_numpy() if hasattr(value, "to_numpy") else float(value))


def _size(parameter: minitorch.Parameter) -> int:
    return _numbers(parameter).size


def _shape(parameter: minitorch.Parameter) -> str:
    return " x ".join(map(str, _numbers(parameter).shape)) or f"{float(parameter.value):.3f}"
