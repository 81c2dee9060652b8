"""One table: how to call every registered operation on random tensors, and what NumPy says it gives.

A new operation needs a row here; ``tests/test_tensor_functions.py`` runs every row on every backend, element type and
memory layout, to second order.
"""

from __future__ import annotations

import importlib
import pkgutil
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from scipy import special

import minitorch
from minitorch import fast_conv, nn, pointwise, pooling, shaping
from minitorch import tensor_functions as tf
from minitorch.activations import Erf
from minitorch.kernels.geometry import Geometry, Space, same_size
from minitorch.probabilities import LogSoftmaxFun, SoftmaxFun
from minitorch.random import Generator
from minitorch.tensor import Tensor
from minitorch.tensor_data import TensorData
from minitorch.tensor_functions import Function, Places

from .cases import (
    Array,
    away_from_zero,
    convolve,
    convolve_weight,
    correlate,
    correlate_weight,
    distinct,
    integers,
    normal,
    pool_windows,
    positive,
    truth,
    windows_at,
)

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Case:
    """One way to call an operation.

    Attributes:
        op: the class.
        call: the operation as a function of its tensors.
        numpy: the same as a function of arrays.
        ordinary: a shape for each tensor.
        none: the same with a size of 0 in it.
        one: the same with sizes of 1 only.
        draw: how operands are drawn for derivatives: away from kinks and jumps.
        draw_values: how they are drawn for values, where jumps and ties are wanted too.
        expand: the axis that the expanded layout repeats; None for the last one.
        flat: whether the derivative is zero wherever there is one.
        empty: by layout, or for ``"derivatives"`` of every layout, why a cell of the suite is left out.
    """

    op: type[Function]
    call: Callable[..., Tensor]
    numpy: Callable[..., Any]
    ordinary: Shapes
    none: Shapes
    one: Shapes
    draw: Callable[..., Array] = normal
    draw_values: Callable[..., Array] | None = None
    expand: int | None = None
    flat: bool = False
    empty: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def id(self) -> str:
        return f"{self.op.__name__}{'-' if self.note else ''}{self.note}"


def one_operand(
    op: type[Function], numpy: Callable[..., Any], call: Callable[..., Tensor] | None = None, **more: Any
) -> Case:
    return Case(op, call or op.apply, numpy, ((2, 3, 4),), ((2, 0, 4),), ((1, 1, 1),), **more)


def two_operands(op: type[Function], numpy: Callable[..., Any], **more: Any) -> list[Case]:
    same = Case(op, op.apply, numpy, ((2, 3, 4),) * 2, ((2, 0, 4),) * 2, ((1, 1, 1),) * 2, **more)
    broadcast = {"ordinary": ((3, 4), (2, 3, 1)), "none": ((0, 4), (2, 1, 1)), "one": ((1,), (1, 1, 1))}
    return [same, Case(op, op.apply, numpy, **broadcast, **more, note="broadcast")]


def with_arguments(op: type[Function], *arguments: Any) -> Callable[..., Tensor]:
    return lambda *tensors: op.apply(*tensors, *arguments)


def at(places: Array, x: Tensor) -> Places:
    """Wrap places for an operation on ``x``."""
    return Places(x._new(TensorData.from_array(np.asarray(places, np.int64))))


def places_within(shape: tuple[int, ...], count: int) -> Array:
    """List ``count`` places of a shape; some come twice when it has fewer elements."""
    return np.arange(count) * 7 % max(1, int(np.prod(shape)))


def take(x: Tensor) -> Tensor:
    return tf.Take.apply(x, at(places_within(x.shape, x.size + 3 if x.size else 0).reshape(1, -1), x))


def take_numpy(x: Array) -> Array:
    return x.reshape(-1)[places_within(x.shape, x.size + 3 if x.size else 0)].reshape(1, -1)


def put(x: Tensor) -> Tensor:
    return tf.Put.apply(x, at(places_within((5, 3), x.size).reshape(x.shape), x), (5, 3))


def put_numpy(x: Array) -> Array:
    out = np.zeros(15, x.dtype)
    np.add.at(out, places_within((5, 3), x.size), x.reshape(-1))
    return out.reshape(5, 3)


DROPOUT = (0.4, 2.0, 11, 3)  # rate, scale, seed, stream


def dropout_numpy(x: Array) -> Array:
    generator = Generator(11)
    generator.state = (11, 3)
    return np.where(generator.uniform(x.shape, x.dtype) >= 0.4, 2.0 * x, 0.0)


def join(*tensors: Tensor) -> Tensor:
    return tf.Cat.apply(*tensors, 1)


def sums() -> list[Case]:
    shapes = {"ordinary": ((2, 3, 4),), "none": ((2, 0, 4),), "one": ((1, 1, 1),)}
    whole = Case(tf.Sum, with_arguments(tf.Sum, None, (1,)), lambda x: x.sum().reshape(1), **shapes, note="everything")
    rows = []
    for dim in [0, 1, 2, -1, (0, 2), (1, 2)]:
        numpy = partial(np.sum, axis=dim, keepdims=True)
        rows.append(Case(tf.Sum, with_arguments(tf.Sum, dim), numpy, **shapes, note=f"dim={dim}"))
    nothing = Case(
        tf.Sum,
        lambda x: tf.Sum.apply(x, (), (x.shape[0], x.size // max(1, x.shape[0]))),
        lambda x: x.reshape(x.shape[0], x.size // max(1, x.shape[0])),
        **shapes,
        note="no dimension",
    )
    return [whole, nothing, *rows]


def products() -> list[Case]:
    plain = Case(tf.MatMul, tf.MatMul.apply, np.matmul, ((3, 4), (4, 5)), ((3, 0), (0, 2)), ((1, 1), (1, 1)))
    batched = {"ordinary": ((2, 3, 4), (2, 4, 2)), "none": ((0, 3, 4), (0, 4, 2)), "one": ((1, 1, 1), (1, 1, 1))}
    broadcast = {"ordinary": ((2, 1, 3, 4), (3, 4, 2)), "none": ((2, 1, 0, 4), (3, 4, 2)), "one": ((1, 1, 1), (1, 1))}
    return [
        plain,
        Case(tf.MatMul, tf.MatMul.apply, np.matmul, **batched, note="batched"),
        Case(tf.MatMul, tf.MatMul.apply, np.matmul, **broadcast, note="broadcast"),
    ]


def weight_gradient(x: Tensor, d: Tensor, kernel: tuple[int, ...], reverse: bool) -> Tensor:
    return fast_conv._ConvWeight.apply(x, d, kernel, same_size(x.shape[2:], reverse))


def convolutions() -> list[Case]:
    one = {"ordinary": ((2, 2, 5), (3, 2, 2)), "none": ((0, 2, 5), (3, 2, 2)), "one": ((1, 1, 1), (1, 1, 1))}
    two = {
        "ordinary": ((2, 2, 4, 3), (3, 2, 2, 3)),
        "none": ((0, 2, 4, 3), (3, 2, 2, 3)),
        "one": ((1, 1, 1, 1), (1, 1, 1, 1)),
    }
    by_weight = {
        1: {"ordinary": ((2, 2, 5), (2, 3, 5)), "none": ((0, 2, 5), (0, 3, 5)), "one": ((1, 1, 1), (1, 1, 1))},
        2: {
            "ordinary": ((2, 2, 4, 3), (2, 3, 4, 3)),
            "none": ((0, 2, 4, 3), (0, 3, 4, 3)),
            "one": ((1, 1, 1, 1), (1, 1, 1, 1)),
        },
    }
    weight_of = fast_conv._ConvWeight
    rows = []
    for reverse in (False, True):
        note = "reverse" if reverse else "forward"
        numpy = partial(correlate, reverse=reverse)
        for op, shapes in [(fast_conv.Conv1dFun, one), (fast_conv.Conv2dFun, two)]:
            rows.append(Case(op, with_arguments(op, reverse), numpy, **shapes, note=note))
        for dims, kernel in [(1, (2,)), (2, (2, 3))]:
            call = partial(weight_gradient, kernel=kernel, reverse=reverse)
            numpy_weight = partial(correlate_weight, kernel=kernel, reverse=reverse)
            rows.append(Case(weight_of, call, numpy_weight, **by_weight[dims], note=f"{dims}d-{note}"))
    # A kernel as long as the input, and one that is longer.
    long = {"ordinary": ((1, 2, 3), (2, 2, 5)), "none": ((1, 2, 0), (2, 2, 5)), "one": ((1, 1, 1), (1, 1, 1))}
    rows.append(Case(fast_conv.Conv1dFun, fast_conv.Conv1dFun.apply, correlate, **long, note="long"))
    return [*rows, *convolutions_in_other_geometries()]


def strided(x: tuple[int, ...], kernel: tuple[int, ...]) -> Space:
    """Every second window, with gaps between its taps, one place beyond the edge."""
    return tuple(Geometry((n + 1 - 2 * (k - 1)) // 2 + 1, 2, 1, 2, -1) for n, k in zip(x[2:], kernel, strict=True))


def spread(x: tuple[int, ...], kernel: tuple[int, ...]) -> Space:
    """What leads back from there: a zero between any two inputs, read backwards."""
    return tuple(Geometry(2 * (n - 1) + k, 1, 2, -1, 0) for n, k in zip(x[2:], kernel, strict=True))


def convolutions_in_other_geometries() -> list[Case]:
    one = {"ordinary": ((2, 2, 5), (3, 2, 2)), "none": ((0, 2, 5), (3, 2, 2)), "one": ((1, 1, 1), (1, 1, 1))}
    two = {
        "ordinary": ((2, 2, 4, 3), (3, 2, 2, 2)),
        "none": ((0, 2, 4, 3), (3, 2, 2, 2)),
        "one": ((1, 1, 1, 1), (1, 1, 1, 1)),
    }
    rows = []
    for lay in (strided, spread):
        for op, shapes in [(fast_conv.Conv1dFun, one), (fast_conv.Conv2dFun, two)]:
            rows.append(
                Case(
                    op,
                    lambda x, w, op=op, lay=lay: op.apply(x, w, lay(x.shape, w.shape[2:])),
                    lambda x, w, lay=lay: convolve(x, w, lay(x.shape, w.shape[2:])),
                    **shapes,
                    note=lay.__name__,
                )
            )
    weight_of, kernel = fast_conv._ConvWeight, (2,)
    rows.append(
        Case(
            weight_of,
            lambda x, d: weight_of.apply(x, d, kernel, strided(x.shape, kernel)),
            lambda x, d: convolve_weight(x, d, kernel, strided(x.shape, kernel)),
            ((2, 2, 5), (2, 3, 3)),
            ((0, 2, 5), (0, 3, 3)),
            ((1, 1, 1), (1, 1, 1)),
            note="1d-strided",
        )
    )
    return rows


image: dict[str, Any] = {
    "ordinary": ((2, 2, 4, 6),),
    "none": ((0, 2, 4, 6),),
    "one": ((1, 1, 2, 3),),
    "draw": distinct,
    "draw_values": integers,
    "expand": 0,
}


def overlapping_maxima(x: Array) -> Array:
    rows, columns = x.shape[2:]
    geometry = (Geometry(rows // 2 + 1, 2, offset=-1), Geometry(columns, 1, offset=-1))
    return windows_at(x, (2, 3), geometry, beyond=-np.inf).max((-2, -1))


def every_third(x: Tensor) -> Places:
    """Make a mask of truth values: true for every third element."""
    return Places(x._new(TensorData.from_array(np.arange(x.size).reshape(x.shape) % 3 == 0)))


def every_other_column(x: Tensor) -> Places:
    """Make a mask of 1 and 0 that broadcasts: 1 for every other place of the last dimension."""
    return Places(x._new(TensorData.from_array((np.arange(x.shape[-1]) + 1.0) % 2)))


NO_VIEW = dict.fromkeys(
    ["permuted", "expanded", "sliced"],
    "a view of elements that are not contiguous raises, as tests/test_error_table.py checks",
)

LINES = {"ordinary": ((2, 3, 4),), "none": ((0, 3, 4),), "one": ((1, 1, 1),)}

TABLE: list[Case] = [
    one_operand(tf.Neg, np.negative),
    one_operand(tf.Inv, np.reciprocal, draw=away_from_zero),
    one_operand(tf.Exp, np.exp),
    one_operand(tf.Log, np.log, draw=positive),
    one_operand(tf.Sqrt, np.sqrt, draw=positive),
    one_operand(tf.Sigmoid, special.expit),
    one_operand(tf.Tanh, np.tanh),
    one_operand(tf.ReLU, lambda x: np.maximum(x, 0), draw=away_from_zero),
    *two_operands(tf.ReLUGrad, lambda x, d: np.where(x > 0, d, 0), draw=away_from_zero),
    *two_operands(tf.Add, np.add),
    *two_operands(tf.Mul, np.multiply),
    *two_operands(tf.Div, np.divide, draw=away_from_zero),
    *two_operands(tf.LT, lambda a, b: 1.0 * (a < b), draw=distinct, draw_values=integers, flat=True),
    *two_operands(tf.EQ, lambda a, b: 1.0 * (a == b), draw=distinct, draw_values=integers, flat=True),
    *two_operands(
        tf.IsClose, lambda a, b: 1.0 * (np.abs(a - b) < 0.01), draw=distinct, draw_values=integers, flat=True
    ),
    *sums(),
    Case(
        tf.Expand,
        with_arguments(tf.Expand, (3, 2, 4)),
        lambda x: np.broadcast_to(x, (3, 2, 4)),
        ((2, 1),),
        ((1, 1),),
        ((1, 1),),
        empty={"none": "the result of this row is never empty; the next row is"},
    ),
    Case(
        tf.Expand,
        lambda x: tf.Expand.apply(x, (2, *x.shape[:-1], 3)),
        lambda x: np.broadcast_to(x, (2, *x.shape[:-1], 3)),
        ((2, 1),),
        ((0, 1),),
        ((1, 1),),
        note="leading",
    ),
    Case(
        tf.All,
        tf.All.apply,
        lambda x: np.prod(x).reshape(1),
        **LINES,
        draw=truth,
        empty={"derivatives": "it asks whether all are true: defined on 0 and 1, so there is nothing to differentiate"},
    ),
    Case(
        tf.All,
        with_arguments(tf.All, 1),
        lambda x: np.prod(x, axis=1, keepdims=True),
        **LINES,
        draw=truth,
        note="dim=1",
        empty={"derivatives": "it asks whether all are true: defined on 0 and 1, so there is nothing to differentiate"},
    ),
    one_operand(tf.Copy, lambda x: x),
    one_operand(tf.Copy, lambda x: x, with_arguments(tf.Copy, True), note="always"),
    Case(tf.Permute, with_arguments(tf.Permute, (2, 0, 1)), lambda x: x.transpose(2, 0, 1), **LINES),
    Case(
        tf.View,
        with_arguments(tf.View, (3, -1)),
        lambda x: x.reshape(3, -1),
        ((2, 3, 4),),
        ((3, 0, 4),),
        ((3, 1, 1),),
        empty=NO_VIEW | {"none": "-1 cannot be worked out for no elements; the next row has this cell"},
    ),
    Case(
        tf.View,
        lambda x: tf.View.apply(x, (x.shape[2], x.shape[0] * x.shape[1])),
        lambda x: x.reshape(x.shape[2], x.shape[0] * x.shape[1]),
        **LINES,
        note="regrouped",
        empty=NO_VIEW,
    ),
    Case(
        tf.Cat,
        join,
        lambda *arrays: np.concatenate(arrays, 1),
        ((2, 3, 2), (2, 1, 2), (2, 2, 2)),
        ((2, 3, 2), (2, 0, 2), (2, 2, 2)),
        ((1, 1, 1), (1, 1, 1)),
    ),
    Case(tf.Narrow, with_arguments(tf.Narrow, 1, 1, 3), lambda x: x[:, 1:3], ((2, 4, 3),), ((0, 4, 3),), ((1, 3, 1),)),
    Case(tf.Narrow, with_arguments(tf.Narrow, 0, 0, 1), lambda x: x[:1], ((2, 3),), ((2, 0),), ((1, 1),), note="first"),
    Case(
        tf.Narrow,
        with_arguments(tf.Narrow, 1, 2, 2),
        lambda x: x[:, 2:2],
        ((2, 3),),
        ((0, 3),),
        ((1, 2),),
        note="empty",
    ),
    one_operand(shaping.Squeeze, lambda x: x[:, None], lambda x: shaping.unsqueeze(x, 1), note="insert"),
    Case(
        shaping.Squeeze,
        lambda x: shaping.squeeze(x, 1),
        lambda x: x[:, 0],
        ((2, 1, 3),),
        ((0, 1, 3),),
        ((1, 1, 1),),
        note="drop",
    ),
    Case(
        shaping.Step,
        with_arguments(shaping.Step, 1, 2),
        lambda x: x[:, ::2],
        ((2, 5, 3),),
        ((2, 0, 3),),
        ((1, 1, 1),),
    ),
    Case(shaping.Step, with_arguments(shaping.Step, 0, 3), lambda x: x[::3], ((7, 2),), ((7, 0),), ((1, 1),), note="0"),
    one_operand(
        pointwise.Keep,
        lambda x: np.where(np.arange(x.size).reshape(x.shape) % 3 == 0, x, 0),
        lambda x: pointwise.Keep.apply(x, every_third(x)),
    ),
    one_operand(
        pointwise.Keep,
        lambda x: np.where(np.arange(x.shape[-1]) % 2 == 0, 0, x),
        lambda x: pointwise.Keep.apply(x, every_other_column(x), False),
        note="opposite",
    ),
    *two_operands(pointwise.Pow, np.power, draw=positive),
    *two_operands(pointwise.Maximum, np.maximum, draw_values=integers),
    *two_operands(pointwise.Minimum, np.minimum, draw_values=integers),
    Case(tf.Take, take, take_numpy, ((2, 3, 4),), ((2, 0, 4),), ((1, 1, 1),)),
    Case(tf.Put, put, put_numpy, ((2, 3, 4),), ((2, 0, 4),), ((1, 1, 1),)),
    *products(),
    Case(
        nn.Max,
        with_arguments(nn.Max, 1),
        lambda x: x.max(1, keepdims=True),
        **LINES,
        draw=distinct,
        draw_values=integers,
    ),
    Case(
        nn.Max,
        with_arguments(nn.Max, 2),
        lambda x: x.max(2, keepdims=True),
        **LINES,
        draw=distinct,
        draw_values=integers,
        expand=0,
        note="last",
    ),
    Case(nn.MaxPool2dFun, lambda x: nn.maxpool2d(x, (2, 3)), lambda x: pool_windows(x, (2, 3)).max(-1), **image),
    Case(
        nn.MaxPool2dFun,
        lambda x: pooling.max_pool2d(x, (2, 3), stride=(2, 1), padding=1),
        overlapping_maxima,
        **image,
        note="overlapping",
    ),
    Case(SoftmaxFun, with_arguments(SoftmaxFun, 1), partial(special.softmax, axis=1), **LINES),
    Case(SoftmaxFun, with_arguments(SoftmaxFun, 2), partial(special.softmax, axis=2), **LINES, note="last"),
    Case(
        LogSoftmaxFun,
        with_arguments(LogSoftmaxFun, 0),
        partial(special.log_softmax, axis=0),
        ((2, 3, 4),),
        ((2, 0, 4),),
        ((1, 1, 1),),
    ),
    Case(
        LogSoftmaxFun,
        with_arguments(LogSoftmaxFun, 2),
        partial(special.log_softmax, axis=2),
        **LINES,
        note="last",
    ),
    one_operand(Erf, special.erf),
    one_operand(nn.DropoutFun, dropout_numpy, call=with_arguments(nn.DropoutFun, *DROPOUT)),
    *convolutions(),
]

# Registered classes without a row, and why.
WITHOUT_ROW: dict[type[Function], str] = {
    tf._Step: "what LT, EQ and IsClose share: it has no forward of its own",
    fast_conv._Convolution: "what Conv1dFun and Conv2dFun share: it has no dimensions of its own",
}


def registered() -> set[type[Function]]:
    """List every operation that the package defines, in whichever module."""
    for module in pkgutil.walk_packages(minitorch.__path__, "minitorch."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return {op for op in Function.registry if op.__module__.partition(".")[0] == "minitorch"}


def shapes_of(case: Case, cell: str) -> tuple[tuple[int, ...], ...]:
    return {"none": case.none, "one": case.one}.get(cell, case.ordinary)


def drawn(case: Case, cell: str, draw: Callable[..., Array]) -> list[Array]:
    """Draw the operands of a cell, always the same."""
    rng = np.random.default_rng(zlib.crc32(f"{case.id} {cell}".encode()))
    joint = draw(rng, (sum(int(np.prod(s)) for s in shapes_of(case, cell)),))  # distinct across operands too
    arrays, start = [], 0
    for shape in shapes_of(case, cell):
        stop = start + int(np.prod(shape))
        arrays.append(joint[start:stop].reshape(shape))
        start = stop
    return arrays
