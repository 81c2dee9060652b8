"""The exercises call no NumPy outside loading and plotting."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import EXERCISES

SOURCES = sorted(EXERCISES.glob("*/*.py"))

# The methods of Matplotlib that take arrays.
PLOTS = {"bar", "barh", "errorbar", "fill_between", "hist", "imshow", "pcolormesh", "plot", "scatter", "step"}

# Methods of an array that compute nothing.
CONVERSIONS = {"copy", "tolist"}


def numpy_calls(source: str) -> list[str]:
    """List the places of a module's source that let NumPy compute."""
    tree = ast.parse(source)
    plotted = {id(argument) for call in calls(tree) if method(call) in PLOTS for argument in arguments(call)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
            found += [f"line {node.lineno}: imports numpy" for name in modules if name.split(".")[0] == "numpy"]
        if isinstance(node, ast.BinOp | ast.Compare | ast.UnaryOp) and any(map(of_a_data_set, operands(node))):
            found.append(f"line {node.lineno}: computes with a data set's array")
    for call in calls(tree):
        if method(call) == "to_numpy" and id(call) not in plotted:
            found.append(f"line {call.lineno}: to_numpy() outside a plot")
        if isinstance(call.func, ast.Attribute) and of_a_data_set(call.func.value) and method(call) not in CONVERSIONS:
            found.append(f"line {call.lineno}: {method(call)}() of a data set's array")
    return found


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def operands(node: ast.BinOp | ast.Compare | ast.UnaryOp) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    return [node.operand] if isinstance(node, ast.UnaryOp) else [node.left, *node.comparators]


def of_a_data_set(node: ast.expr) -> bool:
    """Tell whether this is ``dataset.images`` or ``dataset.labels``, or a part of it."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return isinstance(node, ast.Attribute) and node.attr in ("images", "labels")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_exercise_computes_with_tensors(path: Path) -> None:
    assert numpy_calls(path.read_text(encoding="utf-8")) == []


def test_the_sources_are_found() -> None:
    assert {"tensors.py", "networks.py", "training.py", "data.py", "corruption.py"} <= {path.name for path in SOURCES}


@pytest.mark.parametrize(
    "source",
    [
        "import numpy",
        "import numpy.linalg as la",
        "from numpy import mean",
        "def f():\n    import numpy as np",
        "y = x.to_numpy()",
        "x.to_numpy().mean()",
        "axes.plot(x.to_numpy().cumsum())",
        "print(x.to_numpy())",
        "train.images.mean()",
        "train.labels[:5].astype(float)",
        "ones = train.images[train.labels == 1]",
        "wrong = answers != test.labels[:100]",
        "pixels = train.images / 255",
        "darker = 255 - train.images[0]",
        "images = -train.images",
    ],
)
def test_the_check_finds_numpy(source: str) -> None:
    assert len(numpy_calls(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import numpydoc",
        "axes.imshow(x.to_numpy(), cmap='gray')",
        "right.barh(y=range(10), width=p[0].to_numpy())",
        "minitorch.from_numpy(train.images[:3].copy())",
        "print(train.images.shape, train.labels[0], labels.sum())",
        "is_one = minitorch.tensor(train.labels) == 1",
        "if train.labels.tolist() != other.labels.tolist(): pass",
        "count = len(train.labels) - 1",
    ],
)
def test_the_check_lets_loading_and_plotting_pass(source: str) -> None:
    assert numpy_calls(source) == []
