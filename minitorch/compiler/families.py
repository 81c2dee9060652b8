"""How a program calls the kernels that are not written for it: one entry for each operation.

An entry looks at a node and says what its kernel needs beside its operands, and writes the call. The kernels are the
library's own, or short loops below; Numba sees the shapes as literals, and compiles what is called into the program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels.compile import jit
from ..kernels.cpu import fused_conv, pool, softmax, sparse_conv
from ..kernels.geometry import Geometry
from .entries import Entry, entry
from .graph import Node

__all__ = ["FAMILIES", "Call"]

Pair = tuple[int, int]

_compiled: Any = partial(jit, keep=False, fastmath={"contract", "reassoc", "nsz"})
_exact: Any = partial(jit, keep=False)


@dataclass
class Call:
    """A call of a kernel.

    Attributes:
        write: gives its lines, from the name of the result (two names for a maximum and its places), the operands, the
            extra arrays, and the first image and the one behind the last.
        functions: what the lines call, by name.
        tables: arrays of constants that become parameters, in order.
        scratch: bytes of memory that the kernel works in; the last extra array, when there are any.
        flops: additions and multiplications.
        entry: a kernel that is called by its address; ``write`` then gives its arguments, from addresses.
    """

    write: Callable[[Sequence[str], list[str], list[str], str, str], list[str]]
    functions: dict[str, Any]
    tables: list[npt.NDArray[Any]] = field(default_factory=list)
    scratch: int = 0
    flops: int = 0
    entry: Entry | None = None


# --- lines: softmax and maxima -----------------------------------------------------------------------------------

softmax_lines = jit(softmax._softmax.fn, keep=False, fastmath={"contract"})
logsoftmax_lines = jit(softmax._logsoftmax.fn, keep=False, fastmath={"contract"})
max_of_lines = jit(pool._max_of_lines.fn, keep=False)
max_of_rows = jit(pool._max_of_rows.fn, keep=False)
max_pool_beside = jit(pool._max_pool.fn, keep=False)
max_pool_anywhere = jit(pool._max_pool_anywhere.fn, keep=False)


@_exact
def shift(places, by):
    """Count places from the start of the whole array instead of that of the chunk."""
    for i in range(places.size):
        places[i] += by


def _lines_call(kernel: Any, name: str) -> Callable[[Node, int], Call]:
    def family(node: Node, images: int) -> Call:
        (ref,) = node.inputs
        (dim,) = node.args
        n, inner = ref.shape[dim], math.prod(ref.shape[dim + 1 :])
        image = ref.size // max(1, ref.shape[0])

        def write(out: Sequence[str], names: list[str], extra: list[str], b0: str, b1: str) -> list[str]:
            if not ref.size:
                return ["pass"]
            part = f"[{b0} * {image} : {b1} * {image}]"
            return [f"{name}({out[0]}{part}, {names[0]}{part}, int64({n}), int64({inner}))"]

        return Call(write, {name: kernel}, flops=20 * ref.size)

    return family


def _max(node: Node, images: int) -> Call:
    (ref,) = node.inputs
    (dim,) = node.args
    n, inner = ref.shape[dim], math.prod(ref.shape[dim + 1 :])
    batch = ref.shape[0] if dim else 1
    image, lines = ref.size // max(1, batch), node.size // max(1, batch)

    def write(out: Sequence[str], names: list[str], extra: list[str], b0: str, b1: str) -> list[str]:
        if not node.size:
            return ["pass"]
        if dim == 0:
            b0, b1 = "0", "1"
        part = f"[{b0} * {lines} : {b1} * {lines}]"
        arguments = f"{out[0]}{part}, {out[1]}{part}, {names[0]}[{b0} * {image} : {b1} * {image}], int64({n})"
        call = f"max_of_lines({arguments})" if inner == 1 else f"max_of_rows({arguments}, int64({inner}))"
        return [call, f"shift({out[1]}{part}, int64({b0}) * {image})"]

    functions = {"max_of_lines": max_of_lines, "max_of_rows": max_of_rows, "shift": shift}
    return Call(write, functions, flops=ref.size)


def _max_pool(node: Node, images: int) -> Call:
    (ref,) = node.inputs
    kernel, geometry = node.args
    batch, _, height, width = ref.shape
    image, windows = ref.size // max(1, batch), node.size // max(1, batch)
    (kh, kw), (down, right) = kernel, geometry
    beside = down == (height // kh, kh, 1, 1, 0) and right == (width // kw, kw, 1, 1, 0)

    def write(out: Sequence[str], names: list[str], extra: list[str], b0: str, b1: str) -> list[str]:
        if not node.size:
            return ["pass"]
        part = f"[{b0} * {windows} : {b1} * {windows}]"
        arguments = f"{out[0]}{part}, {out[1]}{part}, {names[0]}[{b0} * {image} : {b1} * {image}], {height}, {width}"
        if beside:
            call = f"max_pool_beside({arguments}, {down.size}, {right.size}, {kh}, {kw})"
        else:
            rows, columns = (f"{g.size}, {g.stride}, {g.dilation}, {g.offset}" for g in geometry)
            call = f"max_pool_anywhere({arguments}, {kh}, {kw}, {rows}, {columns})"
        return [call, f"shift({out[1]}{part}, int64({b0}) * {image})"]

    functions = {"max_pool_beside": max_pool_beside, "max_pool_anywhere": max_pool_anywhere, "shift": shift}
    return Call(write, functions, flops=ref.size)


# --- places --------------------------------------------------------------------------------------------------------


@_exact
def put_places(out, values, places, faults, first, last, windows, plane):
    """Add values at places; with ``windows``, places of a plane, of which ``windows`` values belong to each."""
    for i in range(first, last):
        place = places[i] + (i // windows * plane if windows else 0)
        if place < 0 or place >= out.size:
            faults[0] = 1
        else:
            out[place] += values[i]


@_exact
def take_places(out, values, places, faults, first, last, windows, plane):
    """Read values at places."""
    for i in range(first, last):
        place = places[i] + (i // windows * plane if windows else 0)
        if place < 0 or place >= values.size:
            faults[0] = 1
        else:
            out[i] = values[place]


@_exact
def clear(out, first, last):
    """Write zeros."""
    part = out[first:last]
    for i in range(part.size):
        part[i] = 0


def _faults() -> npt.NDArray[np.int32]:
    """Where a kernel notes that a place was out of range. Equal constants are one, so a program has one of these."""
    return np.zeros(1, np.int32)


def _plane(node: Node, places: Node) -> tuple[int, int]:
    """The values and the elements of each plane that places count in; 0 where they count in the whole array."""
    if not node.args:
        return 0, 0
    space = math.prod(node.args[0][2:])
    return math.prod(places.shape[2:]), space


def _put(node: Node, images: int) -> Call:
    values, places = node.inputs
    windows, plane = _plane(node, places.node)
    batch = values.shape[0] if values.shape else 1
    image, count = node.size // max(1, batch), values.size // max(1, batch)

    def write(out: Sequence[str], names: list[str], extra: list[str], b0: str, b1: str) -> list[str]:
        if b0 == "0":
            cleared, range_ = f"int64(0), int64({node.size})", f"int64(0), int64({values.size})"
        else:
            cleared, range_ = f"{b0} * {image}, {b1} * {image}", f"{b0} * {count}, {b1} * {count}"
        return [
            f"clear({out[0]}, {cleared})",
            f"put_places({out[0]}, {names[0]}, {names[1]}, {extra[0]}, {range_}, int64({windows}), int64({plane}))",
        ]

    return Call(write, {"clear": clear, "put_places": put_places}, [_faults()], flops=values.size)


def _take(node: Node, images: int) -> Call:
    places = node.inputs[1]
    windows, plane = _plane(node, places.node)
    batch = places.shape[0] if places.shape else 1
    count = node.size // max(1, batch)

    def write(out: Sequence[str], names: list[str], extra: list[str], b0: str, b1: str) -> list[str]:
        range_ = f"int64(0), int64({node.size})" if b0 == "0" else f"{b0} * {count}, {b1} * {count}"
        return [
            f"take_places({out[0]}, {names[0]}, {names[1]}, {extra[0]}, {range_}, int64({windows}), int64({plane}))"
        ]

    return Call(write, {"take_places": take_places}, [_faults()])


# --- convolution -----------------------------------------------------------------------------------------------------


def _four(shape: Sequence[int]) -> tuple[int, ...]:
    """Give ``batch x channel x width`` a height of 1."""
    return (*shape[:2], 1, shape[2]) if len(shape) == 3 else tuple(shape)


def _plane_geometry(geometry: Sequence[Geometry]) -> tuple[Geometry, Geometry]:
    return (Geometry(1), geometry[0]) if len(geometry) == 1 else (geometry[0], geometry[1])


def _windows(geometry: Sequence[Geometry]) -> tuple[Pair, Pair, Pair]:
    """Give sizes, offsets and dilations for rows and columns, as the planners of kernels take them."""
    down, right = _plane_geometry(geometry)
    return (down.size, right.size), (down.offset, right.offset), (down.dilation, right.dilation)


def _shaped(name: str, shape: Sequence[int]) -> str:
    return f"{name}.reshape(({', '.join(map(str, _four(shape)))}))"


def _conv_flops(node: Node) -> int:
    x, w = node.inputs[0], node.inputs[1]
    space = math.prod(g.size for g in node.args[0])
    return 2 * x.shape[0] * space * w.size


def _conv_act(node: Node, images: int) -> Call:
    """Convolution with bias and ReLU; where its arguments name windows, only their maxima are kept."""
    x, w = node.inputs[:2]
    geometry, relu, transposed, *pooled = node.args
    size, start, dilation = _windows(geometry)
    out_channels = w.shape[1] if transposed else w.shape[0]
    plan = fused_conv.plan_conv(
        images,
        x.shape[1],
        out_channels,
        size,
        _four(w.shape)[2:],  # type: ignore[arg-type]
        start,
        dilation,
        pooled[1] if pooled else None,
        relu,
        transposed=transposed,
    )
    result = node.shape
    sizes = [*_four(result), *_four(x.shape), *_four(w.shape), plan.numbers.size, plan.scratch, out_channels]
    tables = [plan.numbers, np.array(sizes)]
    if len(node.inputs) == 2:
        tables.append(np.zeros(out_channels, x.dtype))

    def write(out: Sequence[str], names: list[str], extra: list[str], b0: str, b1: str) -> list[str]:
        bias = names[2] if len(names) == 3 else extra[2]
        places = out[1] if pooled else extra[1]
        return [out[0], places, names[0], names[1], bias, extra[0], extra[1], extra[-1], b0, b1]

    kernel = entry("convolve", x.dtype)
    return Call(write, {}, tables, plan.scratch * x.dtype.itemsize, _conv_flops(node), kernel)


def _conv_weight(node: Node, images: int) -> Call:
    """The gradient of a weight, from a gradient without gaps."""
    x, d = node.inputs
    geometry = node.args[1]
    if any(g.stride != 1 or g.spread != 1 for g in geometry):
        return _general(convolve_weight)(node, images)
    size, start, dilation = _windows(geometry)
    shape = node.shape[-len(x.shape) :]
    plan = fused_conv.plan_conv(
        images,
        x.shape[1],
        d.shape[1],
        size,
        _four(shape)[2:],  # type: ignore[arg-type]
        start,
        dilation,
        gradient=True,
    )

    sizes = [*_four(shape), *_four(x.shape), *_four(d.shape), plan.numbers.size, plan.scratch, d.shape[1]]
    itemsize = x.dtype.itemsize

    def write(out: Sequence[str], names: list[str], extra: list[str], b0: str, b1: str) -> list[str]:
        # The gradient of the bias comes with it; it is written behind the kernel's own scratch and left there.
        bias = f"{extra[-1]} + {plan.scratch * itemsize}"
        return [out[0], bias, names[0], names[1], extra[0], extra[1], extra[-1], b0, b1]

    scratch = (plan.scratch + d.shape[1]) * itemsize
    flops = 2 * d.size * math.prod(shape[1:])
    return Call(write, {}, [plan.numbers, np.array(sizes)], scratch, flops, entry("conv_grad_weight", x.dtype))


def _conv_at(node: Node, images: int) -> Call:
    """Gradients of weight or input, or of both at once, from a list of values and places."""
    to_input = node.op == "conv_at"
    if to_input:
        values, _, w = node.inputs
        x_shape, shape = node.shape, w.shape
    else:
        x, values, _ = node.inputs
        x_shape, shape = x.shape, node.shape[-len(x.shape) :]
    geometry, dense = node.args
    size, start, dilation = _windows(geometry)
    plan = sparse_conv.plan_sparse(
        images,
        x_shape[1],
        shape[0],
        size,
        _four(shape)[2:],  # type: ignore[arg-type]
        start,
        dilation,
        _window(values.shape, dense),
        to_input=to_input,
    )
    sizes = [*_four(shape), *_four(x_shape), *_four(values.shape), plan.numbers.size, plan.scratch, shape[0]]
    itemsize = values.dtype.itemsize

    def write(out: Sequence[str], names: list[str], extra: list[str], b0: str, b1: str) -> list[str]:
        bias = f"{extra[-1]} + {plan.scratch * itemsize}"
        unread = f"{extra[-1]} + {(plan.scratch + shape[0]) * itemsize}"
        if to_input:
            v, p, weight = names[:3]
            dx, dw = out[0], out[1] if len(out) > 1 else unread
            image = names[3] if len(names) > 3 else dx
        else:
            image, v, p = names
            dw = weight = out[0]
            dx = image
        return [dw, bias, dx, image, weight, v, p, extra[0], extra[1], extra[-1], b0, b1]

    scratch = (plan.scratch + shape[0] + math.prod(shape)) * itemsize
    flops = 2 * values.size * math.prod(shape[1:]) * (2 if to_input else 1)
    kernel = entry("conv_pool_backward", values.dtype)
    return Call(write, {}, [plan.numbers, np.array(sizes)], scratch, flops, kernel)


def _window(values: Sequence[int], dense: Sequence[int]) -> tuple[int, int]:
    (height, width), (rows, columns) = _four(dense)[2:], _four(values)[2:]
    return height // max(1, rows), width // max(1, columns)


def _numbers(geometry: Sequence[Geometry]) -> npt.NDArray[np.int64]:
    return np.array([(g.stride, g.spread, g.dilation, g.offset) for g in _plane_geometry(geometry)]).reshape(-1)


@_compiled
def convolve_any(out, x, w, g, b0, b1):
    """Convolve images ``b0`` to ``b1`` with any geometry."""
    for b in range(b0, b1):
        for o in range(out.shape[1]):
            for i in range(out.shape[2]):
                for j in range(out.shape[3]):
                    total = out.dtype.type(0)
                    for k in range(w.shape[2]):
                        row = g[0] * i + g[2] * k + g[3]
                        if row < 0 or row % g[1] or row // g[1] >= x.shape[2]:
                            continue
                        for l in range(w.shape[3]):
                            column = g[4] * j + g[6] * l + g[7]
                            if column < 0 or column % g[5] or column // g[5] >= x.shape[3]:
                                continue
                            for c in range(x.shape[1]):
                                total += x[b, c, row // g[1], column // g[5]] * w[o, c, k, l]
                    out[b, o, i, j] = total


@_compiled
def convolve_weight(out, x, d, g, b0, b1):
    """Compute the gradient of a weight over images ``b0`` to ``b1``, with any geometry."""
    out[...] = 0
    for b in range(b0, b1):
        for o in range(out.shape[0]):
            for c in range(out.shape[1]):
                for k in range(out.shape[2]):
                    for l in range(out.shape[3]):
                        total = out.dtype.type(0)
                        for i in range(d.shape[2]):
                            row = g[0] * i + g[2] * k + g[3]
                            if row < 0 or row % g[1] or row // g[1] >= x.shape[2]:
                                continue
                            for j in range(d.shape[3]):
                                column = g[4] * j + g[6] * l + g[7]
                                if column < 0 or column % g[5] or column // g[5] >= x.shape[3]:
                                    continue
                                total += x[b, c, row // g[1], column // g[5]] * d[b, o, i, j]
                        out[o, c, k, l] += total


def _general(function: Any) -> Callable[[Node, int], Call]:
    """A call of one of the loops above, whose operands are images, weights and places."""

    def family(node: Node, images: int) -> Call:
        geometry = node.args[-1]
        # A partial sum has a dimension of chunks in front.
        rank = len(node.inputs[0].shape)
        shape = node.shape[len(node.shape) - rank :]

        def write(out: Sequence[str], names: list[str], extra: list[str], b0: str, b1: str) -> list[str]:
            operands = ", ".join(_shaped(n, r.shape) for n, r in zip(names, node.inputs, strict=True))
            return [f"{function.__name__}({_shaped(out[0], shape)}, {operands}, {extra[0]}, {b0}, {b1})"]

        return Call(write, {function.__name__: function}, [_numbers(geometry)], flops=_general_flops(node, shape))

    return family


def _general_flops(node: Node, shape: Sequence[int]) -> int:
    if node.op == "conv":
        return _conv_flops(node)
    return 2 * node.inputs[1].size * math.prod(shape[1:])


FAMILIES: dict[str, Callable[[Node, int], Call]] = {
    "softmax": _lines_call(softmax_lines, "_softmax"),
    "logsoftmax": _lines_call(logsoftmax_lines, "_logsoftmax"),
    "max": _max,
    "max_place": _max,
    "max_pool": _max_pool,
    "max_pool_place": _max_pool,
    "put": _put,
    "take": _take,
    "conv": _general(convolve_any),
    "conv_weight": _conv_weight,
    "conv_act": _conv_act,
    "conv_pool": _conv_act,
    "conv_pool_place": _conv_act,
    "conv_weight_at": _conv_at,
    "conv_at": _conv_at,
}
