"""One table: how to call every function that is composed of operations, and what NumPy says it gives.

A row runs in test_functions.py on every backend, element type and memory layout, with its derivatives of both orders,
and beside PyTorch and compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

import minitorch
from minitorch.tensor import Tensor
from minitorch.tensor_data import TensorData

from .cases import Array, away_from_zero, distinct, normal, positive

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Row:
    """One way to call a function.

    Attributes:
        module: the file that defines it.
        name: what is called, and how.
        call: the function of tensors.
        numpy: the same of arrays.
        shapes: of its operands.
        draw: how operands are drawn: away from kinks and jumps.
    """

    module: str
    name: str
    call: Callable[..., Tensor]
    numpy: Callable[..., Any]
    shapes: Shapes = ((2, 3, 4),)
    draw: Callable[..., Array] = normal

    @property
    def id(self) -> str:
        return f"{self.module}-{self.name}"

    def operands(self) -> list[Array]:
        """Draw the operands, always the same; no two elements of a distinct draw are equal."""
        rng = np.random.default_rng(len(self.id))
        sizes = [int(np.prod(shape)) for shape in self.shapes]
        parts = np.split(self.draw(rng, (sum(sizes),)), np.cumsum(sizes)[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]


def whole(like: Tensor, values: Any) -> Tensor:
    """Make a tensor of integers on the backend of another."""
    return like._new(TensorData.from_array(np.array(values, np.int64)))


# --- keys ----------------------------------------------------------------------------------------------------

# For a tensor of 4 x 5 x 3. No plain number stands beside an array: there NumPy and PyTorch differ.
KEYS: dict[str, Any] = {
    "row": 1,
    "last row": -1,
    "two numbers": (0, -2),
    "slice": slice(1, 3),
    "slice from the end": (slice(None), slice(-2, None)),
    "slice of nothing": slice(3, 1),
    "steps": (slice(None, None, 2), slice(1, None, 3)),
    "long step": (slice(0, 4, 9), slice(4, 5, 2)),
    "new dimensions": (None, slice(None), None, 0),
    "ellipsis": (..., 0),
    "ellipsis in the middle": (0, ..., slice(0, 2)),
    "ellipsis of nothing": (0, slice(None), ..., slice(1, 2)),
    "list": [0, 2],
    "list from the end, twice": [-1, 0, 0],
    "list of a later dimension": (slice(None), slice(None), [2, 0]),
    "list with a step": (slice(None, None, 2), [0, 2, 3]),
    "lists side by side": (slice(0, 3), [0, 1, 4], [2, 2, 0]),
    "lists apart": ([0, 1], slice(None), [2, 0]),
    "lists with a new dimension between": ([0, 1], None, [2, 0]),
    "lists apart behind a slice": (slice(0, 3), [0, 1], None, [2, 0]),
    "lists that broadcast": ([[0], [3]], [2, 0, 1]),
    "list for every dimension": ([0, 1], [4, 1], [2, 2]),
    "range": range(1, 4),
    "array": np.array([[0, 1], [2, 3]]),
    "empty list": [],
    "mask": [True, False, True, True],
    "mask of two dimensions": np.arange(20).reshape(4, 5) % 3 == 1,
    "mask behind a slice": (slice(1, 3), np.array([True, False, False, True, True])),
    "mask and list": ([True, False, True, False], slice(None), [0, 1]),
}

PLACES = [[0, 3, 3, 1], [2, 0, 1, 1]]
COLUMN = [[1], [0], [3]]


def along(x: Array, dim: int, index: Any, src: Any, add: bool = False) -> Array:
    """Write along a dimension of a copy, element by element."""
    out, index = x.copy(), np.array(index)
    for place in np.ndindex(index.shape):
        target = (*place[:dim], index[place], *place[dim + 1 :])
        value = src[place] if isinstance(src, np.ndarray) else src
        out[target] = out[target] + value if add else value
    return out


def order(x: Array, dim: int, descending: bool = False) -> Array:
    """Sort with equal elements in order."""
    return np.argsort(-x if descending else x, dim, kind="stable")


def ordered(x: Array, dim: int, descending: bool = False) -> Array:
    return np.take_along_axis(x, order(x, dim, descending), dim)


def kept(reduce: Callable[..., Array], **options: Any) -> Callable[[Array], Array]:
    return lambda x: reduce(x, keepdims=True, **options)


ROWS: list[Row] = [
    Row("shaping", "cat", lambda a, b: minitorch.cat([a, b, a], -1), lambda a, b: np.concatenate([a, b, a], -1)),
    Row("shaping", "stack", lambda a, b: minitorch.stack([a, b], 1), lambda a, b: np.stack([a, b], 1)),
    Row("shaping", "stack behind", lambda a, b: minitorch.stack([a, b], -1), lambda a, b: np.stack([a, b], -1)),
    Row("shaping", "squeeze", lambda x: x.squeeze(), np.squeeze, ((2, 1, 3, 1),)),
    Row("shaping", "squeeze one", lambda x: x.squeeze(-1), lambda x: x.squeeze(-1), ((2, 1, 3, 1),)),
    Row("shaping", "squeeze two", lambda x: x.squeeze((1, 2)), lambda x: x.squeeze(1), ((2, 1, 3, 1),)),
    Row("shaping", "unsqueeze", lambda x: x.unsqueeze(-1), lambda x: x[..., None]),
    Row("shaping", "split", lambda x: x.split(3, -1)[1], lambda x: x[..., 3:]),
    Row("shaping", "split by sizes", lambda x: minitorch.split(x, [1, 0, 2], 1)[2], lambda x: x[:, 1:]),
    Row("shaping", "exchanged", lambda x: x.T, np.transpose, ((3, 4),)),
    Row("shaping", "flatten", lambda x: x.flatten(), np.ravel),
    Row("shaping", "flatten some", lambda x: x.flatten(1, -1), lambda x: x.reshape(2, 12)),
    Row("shaping", "flatten a number", lambda x: x.flatten(), lambda x: x.reshape(1), ((),)),
    Row("shaping", "reshape", lambda x: x.reshape(3, -1), lambda x: x.reshape(3, -1)),
    Row("shaping", "transpose", lambda x: x.transpose(0, -1), lambda x: x.swapaxes(0, -1)),
    Row(
        "shaping",
        "expand",
        lambda x: x.expand(2, 3, -1, -1),
        lambda x: np.broadcast_to(x, (2, 3, 1, 4)),
        ((3, 1, 4),),
    ),
    Row("shaping", "clone", lambda x: x.clone(), np.copy),
    Row("tensor", "at most", lambda a, b: (a <= b) * a + b, lambda a, b: (a <= b) * a + b, draw=distinct),
    Row("tensor", "at least", lambda a, b: (a >= b) * a + b, lambda a, b: (a >= b) * a + b, draw=distinct),
    Row(
        "tensor",
        "unequal",
        lambda x: (x != -0.5) * x,
        lambda x: (x != -0.5) * x,
        draw=lambda rng, shape: distinct(rng, shape) + 0.1,
    ),
    Row("tensor", "exp", minitorch.exp, np.exp),
    Row("tensor", "log", minitorch.log, lambda x: np.log(x + 1e-6), draw=positive),
    Row("tensor", "relu", minitorch.relu, lambda x: np.maximum(x, 0.0), draw=away_from_zero),
    Row("tensor", "sigmoid", minitorch.sigmoid, special.expit),
    Row("tensor", "tanh", minitorch.tanh, np.tanh),
    Row("tensor", "softmax", lambda x: x.softmax(1), lambda x: special.softmax(x, 1)),
    Row("tensor", "log_softmax", lambda x: x.log_softmax(-1), lambda x: special.log_softmax(x, -1)),
    Row("tensor", "sum", minitorch.sum, lambda x: x.sum().reshape(1)),
    Row("tensor", "sum to a number", lambda x: minitorch.sum(x, keepdim=False), np.sum),
    Row("tensor", "sum without its dimension", lambda x: x.sum(1, keepdim=False), lambda x: x.sum(1)),
    Row("tensor", "mean", lambda x: minitorch.mean(x, 1), kept(np.mean, axis=1)),
    Row("tensor", "mean without two", lambda x: x.mean((0, -1), keepdim=False), lambda x: x.mean((0, -1))),
    Row("tensor", "matmul", minitorch.matmul, np.matmul, ((2, 3, 4), (4, 5))),
    Row("pointwise", "where", lambda a, b: minitorch.where(a < b, a, b), np.minimum, draw=distinct),
    Row(
        "pointwise",
        "where with a number",
        lambda x: minitorch.where(x > 0, x, -0.5),
        lambda x: np.where(x > 0, x, -0.5),
        draw=away_from_zero,
    ),
    Row(
        "pointwise",
        "where that broadcasts",
        lambda a, b: minitorch.where(whole(a, [[1], [0], [1]]), a, b),
        lambda a, b: np.where([[1], [0], [1]], a, b),
        ((4,), (2, 1, 1)),
    ),
    Row("pointwise", "clip", lambda x: x.clip(-1.1, 1.1), lambda x: x.clip(-1.1, 1.1), draw=distinct),
    Row("pointwise", "clip below", lambda x: x.clamp(min=0.1), lambda x: np.maximum(x, 0.1), draw=distinct),
    Row("pointwise", "clip above", lambda x: x.clip(max=0.1), lambda x: np.minimum(x, 0.1), draw=distinct),
    Row(
        "pointwise",
        "clip by tensors",
        lambda x, low: minitorch.clip(x, low, 1.1),
        lambda x, low: np.minimum(np.maximum(x, low), 1.1),
        ((2, 3, 4), (3, 1)),
        distinct,
    ),
    Row("pointwise", "abs", minitorch.abs, np.abs, draw=away_from_zero),
    Row("pointwise", "sqrt", lambda x: x.sqrt(), np.sqrt, draw=positive),
    Row("pointwise", "square", lambda x: x**2, np.square),
    Row("pointwise", "cube", lambda x: x.pow(3), lambda x: x**3),
    Row("pointwise", "power of a fraction", lambda x: x**-1.5, lambda x: x**-1.5, draw=positive),
    Row("pointwise", "power of zero", lambda x: x**0, np.ones_like),
    Row("pointwise", "power of a number", lambda x: 2.5**x, lambda x: 2.5**x),
    Row("pointwise", "power of a tensor", lambda a, b: a**b, lambda a, b: a**b, ((2, 3, 4), (3, 1)), positive),
    Row("reductions", "var", lambda x: x.var(), lambda x: x.var(ddof=1).reshape(1)),
    Row("reductions", "var along", lambda x: x.var(-1), kept(np.var, axis=-1, ddof=1)),
    Row("reductions", "var of all", lambda x: x.var((0, 2), 0), kept(np.var, axis=(0, 2))),
    Row("reductions", "std", lambda x: x.std(), lambda x: x.std(ddof=1).reshape(1)),
    Row("reductions", "std along", lambda x: x.std(1), kept(np.std, axis=1, ddof=1)),
    Row("reductions", "min", lambda x: x.min(), lambda x: x.min().reshape(1), draw=distinct),
    Row("reductions", "min along", lambda x: x.min(-1), kept(np.min, axis=-1), draw=distinct),
    Row("reductions", "max", lambda x: x.max(), lambda x: x.max().reshape(1), draw=distinct),
    Row("reductions", "max along", lambda x: x.max(0), kept(np.max, axis=0), draw=distinct),
    Row("reductions", "var to a number", lambda x: x.var(keepdim=False, unbiased=False), np.var),
    Row("reductions", "std without its dimension", lambda x: x.std(1, keepdim=False), lambda x: x.std(1, ddof=1)),
    Row(
        "reductions", "min without its dimension", lambda x: x.min(1, keepdim=False), lambda x: x.min(1), draw=distinct
    ),
    Row("reductions", "max without its dimension", lambda x: x.max(-1, False), lambda x: x.max(-1), draw=distinct),
    Row("reductions", "max to a number", lambda x: x.max(keepdim=False), np.max, draw=distinct),
    Row("sorting", "sort", lambda x: x.sort().values, lambda x: np.sort(x), draw=distinct),
    Row(
        "sorting",
        "sort the other way",
        lambda x: x.sort(0, descending=True).values,
        lambda x: ordered(x, 0, True),
        ((5, 2),),
        distinct,
    ),
    Row("sorting", "topk", lambda x: x.topk(2, 1).values, lambda x: ordered(x, 1, True)[:, :2], draw=distinct),
    Row(
        "sorting",
        "topk of the smallest",
        lambda x: x.topk(3, largest=False).values,
        lambda x: ordered(x, -1)[..., :3],
        draw=distinct,
    ),
    *(
        Row("indexing", name, lambda x, key=key: x[key], lambda x, key=key: x[key], ((4, 5, 3),))
        for name, key in KEYS.items()
    ),
    Row(
        "indexing",
        "tensor",
        lambda x: x[:, whole(x, [[4, -1], [0, 2]])],
        lambda x: x[:, np.array([[4, -1], [0, 2]])],
        ((4, 5, 3),),
    ),
    Row("indexing", "tensor of a number", lambda x: x[:, whole(x, 3)], lambda x: x[:, 3], ((4, 5, 3),)),
    Row(
        "indexing",
        "gather",
        lambda x: x.gather(1, whole(x, PLACES)),
        lambda x: np.take_along_axis(x, np.array(PLACES), 1),
        ((2, 4),),
    ),
    Row(
        "indexing",
        "gather of less",
        lambda x: minitorch.gather(x, -1, whole(x, COLUMN)),
        lambda x: np.take_along_axis(x[:3], np.array(COLUMN), 1),
        ((5, 4),),
    ),
    Row(
        "indexing",
        "scatter",
        lambda x, src: x.scatter(1, whole(x, PLACES), src),
        lambda x, src: along(x, 1, PLACES, src),
        ((3, 4), (2, 4)),
    ),
    Row(
        "indexing",
        "scatter of a number",
        lambda x: minitorch.scatter(x, 1, whole(x, COLUMN), -0.5),
        lambda x: along(x, 1, COLUMN, -0.5),
        ((3, 4),),
    ),
    Row(
        "indexing",
        "scatter of a part",
        lambda x, src: x.scatter(0, whole(x, [[1, 0], [1, 0]]), src),
        lambda x, src: along(x, 0, [[1, 0], [1, 0]], src),
        ((2, 3), (3, 4)),
    ),
    Row(
        "indexing",
        "scatter_add",
        lambda x, src: x.scatter_add(1, whole(x, PLACES), src),
        lambda x, src: along(x, 1, PLACES, src, add=True),
        ((3, 4), (2, 4)),
    ),
]
TWICE = {"cat", "stack", "stack behind", "at most", "at least", "where"}
ROWS = [
    Row(row.module, row.name, row.call, row.numpy, row.shapes * 2, row.draw) if row.name in TWICE else row
    for row in ROWS
]
