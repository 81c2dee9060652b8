"""The exercises call no NumPy outside loading and plotting."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

from scripts import EXERCISES

SOURCES = sorted(EXERCISES.glob("*/*.py"))

# The methods of Matplotlib that take arrays.
PLOTS = {"bar", "barh", "errorbar", "fill_between", "hist", "imshow", "pcolormesh", "plot", "scatter", "step"}

# Methods and attributes of an array that compute nothing.
CONVERSIONS = {"copy", "tolist"}
FACTS = {"dtype", "ndim", "shape", "size"}

# Functions of Python that let the elements of an array compute.
COMPUTING = {"abs", "divmod", "max", "min", "pow", "round", "sorted", "sum"}

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def numpy_calls(source: str) -> list[str]:
    """List the places of a module's source that let NumPy compute; into what a function is given, nobody looks."""
    tree = ast.parse(source)
    return [*imports(tree), *arrays_of_tensors(tree), *computing(tree, set())]


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
            yield from (f"line {node.lineno}: imports numpy" for name in modules if name.split(".")[0] == "numpy")


def arrays_of_tensors(tree: ast.AST) -> Iterator[str]:
    plotted = {
        id(argument.func)
        for call in calls(ast.walk(tree))
        if method(call) in PLOTS
        for argument in arguments(call)
        if isinstance(argument, ast.Call)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("numpy", "to_numpy") and id(node) not in plotted:
            yield f"line {node.lineno}: {node.attr}() outside a plot"


def computing(scope: ast.AST, outer: set[str]) -> Iterator[str]:
    """Find what computes with a data set's arrays, by whatever name: in a module or a function, and in those within.

    Args:
        scope: a module or a function.
        outer: the names of arrays around it.
    """
    nodes = list(own_nodes(scope))
    outer = outer - own_names(nodes)
    arrays = outer | names_of_arrays(nodes, outer)
    for node in nodes:
        if any(is_array(operand, arrays) for operand in operands(node)):
            yield f"line {node.lineno}: computes with a data set's array"
    for call in calls(nodes):
        if isinstance(call.func, ast.Attribute) and is_array(call.func.value, arrays):
            if method(call) not in CONVERSIONS:
                yield f"line {call.lineno}: {method(call)}() of a data set's array"
        elif function(call) in COMPUTING and any(is_array(argument, arrays) for argument in arguments(call)):
            yield f"line {call.lineno}: {function(call)}() of a data set's array"
    for node in nodes:
        if isinstance(node, FUNCTIONS):
            yield from computing(node, arrays)


def own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Go through a module or a function, without what is in the functions within."""
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, FUNCTIONS):
            yield from own_nodes(child)


def own_names(nodes: list[ast.AST]) -> set[str]:
    """List the names that a scope gives a meaning of its own: its arguments, and what it assigns to."""
    return {node.arg for node in nodes if isinstance(node, ast.arg)} | {node.id for node in nodes if is_given(node)}


def is_given(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def names_of_arrays(nodes: list[ast.AST], outer: set[str]) -> set[str]:
    """List the names that are given to a data set's arrays, also one after the other."""
    found: set[str] = set()
    pairs = [pair for node in nodes for pair in assignments(node)]
    for _ in pairs:
        found |= {
            node.id
            for target, value in pairs
            if is_array(value, found | outer)
            for node in ast.walk(target)
            if is_given(node)
        }
    return found


def assignments(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Give what is assigned to, with what it is given."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from side_by_side(target, node.value)
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield node.target, node.value
    elif isinstance(node, ast.For | ast.comprehension):  # its elements are arrays, or numbers of NumPy's
        if isinstance(node.iter, ast.Call) and function(node.iter) == "zip":
            yield from side_by_side(node.target, ast.Tuple(node.iter.args))
        else:
            yield node.target, node.iter


def side_by_side(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        yield from zip(target.elts, value.elts)
    else:
        yield target, value


def calls(nodes: Iterator[ast.AST] | list[ast.AST]) -> Iterator[ast.Call]:
    return (node for node in nodes if isinstance(node, ast.Call))


def arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def function(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def operands(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.AugAssign):
        return [node.target, node.value]
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    return [node.operand] if isinstance(node, ast.UnaryOp) else []


def is_array(node: ast.expr, names: set[str]) -> bool:
    """Tell whether this is ``dataset.images`` or ``dataset.labels``, a part or a copy of it, or a name of one."""
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.Subscript | ast.NamedExpr):
        return is_array(node.value, names)
    if isinstance(node, ast.Attribute):
        return node.attr in ("images", "labels") or (node.attr not in FACTS and is_array(node.value, names))
    copied = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "copy"
    return copied and is_array(node.func.value, names)


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
        "y = x.numpy()",
        "axes.plot(x.numpy().cumsum())",
        "arrays = [take(x) for take in (Tensor.numpy, list)]",
        "train.images.mean()",
        "train.labels[:5].astype(float)",
        "ones = train.images[train.labels == 1]",
        "wrong = answers != test.labels[:100]",
        "pixels = train.images / 255",
        "darker = 255 - train.images[0]",
        "images = -train.images",
        "images = train.images\nimages.mean()",
        "first = train.images[:9].copy()\nsome = first\nsome[0].std()",
        "images, labels = train.images, train.labels\nright = answers == labels",
        "for image in train.images[:3]:\n    image.max()",
        "means = [image.mean() for image in train.images]",
        "for image, label in zip(train.images, names):\n    darker = image // 2",
        "if (count := train.labels[0]) > 3: pass",
        "pixels: Any = train.images\npixels /= 255",
        "pixels = train.images\ndef f():\n    return pixels.sum()",
        "def f(train):\n    pixels = train.images\n    return lambda: pixels.sum()",
        "number = sum(train.labels)",
        "largest = max(train.images[0])",
        "train.images.T.mean()",
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
        "axes.imshow(x.numpy())",
        "labels = train.labels.tolist()\nright = sum(labels) + labels[0]",
        "images = train.images\ncopied = minitorch.tensor(images)\ncopied.mean()",
        "images = train.images\ndef f(images):\n    return images.mean()",
        "def f():\n    images = train.images\n\ndef g(images):\n    return images.mean()",
        "for image, name in zip(train.images, names):\n    print(name + str(image.shape))",
        "images = train.images\ncount = images.shape[0] + images.ndim",
        "train_images = 0 - settings.train_images",
    ],
)
def test_the_check_lets_loading_and_plotting_pass(source: str) -> None:
    assert numpy_calls(source) == []
