"""How a program calls the kernels of convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...kernels.addresses import integers
from ...kernels.cpu import fused_conv, sparse_conv
from ...kernels.geometry import Geometry
from ..arguments import ConvPool
from ..graph import Node
from .entries import entry
from .family import Family, other_of_pair, zeros_for_bias
from .program import Operand

__all__ = ["CONVOLUTIONS"]

Pair = tuple[int, int]

real: Any = None  # bound in the copy of a template for each type of elements, like what follows
real_at: Any = None
convolve = fused_conv.convolve
conv_grad_weight = fused_conv.conv_grad_weight
conv_pool_backward = sparse_conv.conv_pool_backward


# --- in compiled code ----------------------------------------------------------------------------------------------


def _convolve(operands, b0, b1):
    """Operands: out, places, x, weight, bias, plan, work."""
    at = integers(operands)
    out, places, x = real_at(operands, 0), integers(at[1]), real_at(operands, 2)
    weight, bias, work = real_at(operands, 3), real_at(operands, 4), real_at(operands, 6)
    convolve(out, places, x, weight, bias, integers(at[5]), work, b0, b1)


def _conv_grad_weight(operands, b0, b1):
    """Operands: gradients of weight and bias, x, gradient, plan, work."""
    at = integers(operands)
    d_weight, d_bias, x = real_at(operands, 0), real_at(operands, 1), real_at(operands, 2)
    gradient, work = real_at(operands, 3), real_at(operands, 5)
    conv_grad_weight(d_weight, d_bias, x, gradient, integers(at[4]), work, b0, b1)


def _conv_pool_backward(operands, b0, b1):
    """Operands: gradients of weight and x, then x, weight, values, places, plan, sizes of x, work."""
    at = integers(operands)
    sizes = integers(at[7])
    d_weight, d_x = real_at(operands, 0), real_at(operands, 1)
    x, weight, values, work = real_at(operands, 2), real_at(operands, 3), real_at(operands, 4), real_at(operands, 8)
    places, plan = integers(at[5]), integers(at[6])
    conv_pool_backward(d_weight, d_x, x, sizes[2], sizes[3], weight, values, places, plan, work, b0, b1)


# --- shapes --------------------------------------------------------------------------------------------------------


def _four(shape: Sequence[int]) -> tuple[int, ...]:
    """Give ``batch x channel x width`` a height of 1."""
    return (*shape[:2], 1, shape[2]) if len(shape) == 3 else tuple(shape)


def _image(shape: Sequence[int]) -> tuple[int, int, int]:
    """Give channels, height and width."""
    _, channels, height, width = _four(shape)
    return channels, height, width


def _kernel(shape: Sequence[int]) -> Pair:
    """Give the height and width of a weight."""
    _, _, height, width = _four(shape)
    return height, width


def _plane_geometry(geometry: Sequence[Geometry]) -> tuple[Geometry, Geometry]:
    return (Geometry(1), geometry[0]) if len(geometry) == 1 else (geometry[0], geometry[1])


def _windows(geometry: Sequence[Geometry]) -> tuple[Pair, Pair, Pair]:
    """Give sizes, offsets and dilations for rows and columns, as the planners of kernels take them."""
    down, right = _plane_geometry(geometry)
    return (down.size, right.size), (down.offset, right.offset), (down.dilation, right.dilation)


def _conv_flops(node: Node) -> int:
    x, w = node.inputs[0], node.inputs[1]
    geometry = node.args.geometry
    space = math.prod(g.size for g in geometry)
    return 2 * x.shape[0] * space * w.size // math.prod(g.spread for g in geometry)


def _sizes(*shapes: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.array([n for shape in shapes for n in _four(shape)], np.int64)


# --- dense --------------------------------------------------------------------------------------


def _conv_act(node: Node, images: int) -> Family:
    """Convolution with bias and ReLU; where its arguments name windows, only their maxima are kept."""
    x, w = node.inputs[:2]
    args = node.args
    pooled = isinstance(args, ConvPool)
    out_channels = w.shape[1] if args.transposed else w.shape[0]
    plan = fused_conv.plan_conv(
        images,
        _image(x.shape),
        out_channels,
        _kernel(w.shape),
        _plane_geometry(args.geometry),
        args.window if pooled else None,
        args.relu,
        transposed=args.transposed,
    )

    def arrange(results: list[Operand], inputs: list[Operand], tables: list[Operand], work: Operand) -> list[Operand]:
        # A convolution that is not pooled writes no places.
        places = results[1] if pooled else work
        return [results[0], places, *inputs, *tables, work]

    return Family(
        name="convolve",
        entry=entry(_convolve, x.dtype),
        tables=[*zeros_for_bias(node, 2, out_channels), plan.numbers],
        arrange=arrange,
        scratch=plan.scratch * x.dtype.itemsize,
        other=other_of_pair(node, x.dtype) if pooled else None,
        flops=_conv_flops(node),
        extent=x.shape[0],
    )


def _conv_weight(node: Node, images: int) -> Family:
    """The gradient of a weight, from a gradient without gaps."""
    x, d = node.inputs
    # A partial sum has a dimension of chunks in front.
    shape = node.shape[-len(x.shape) :]
    space = _plane_geometry(node.args.geometry)
    plan = fused_conv.plan_conv(images, _image(x.shape), d.shape[1], _kernel(shape), space, gradient=True)
    itemsize = x.dtype.itemsize

    def arrange(results: list[Operand], inputs: list[Operand], tables: list[Operand], work: Operand) -> list[Operand]:
        # The gradient of the bias comes with it; where nobody reads it, it is left behind the kernel's own scratch.
        bias = results[1] if len(results) > 1 else work.plus(plan.scratch * itemsize, "unread")
        return [results[0], bias, *inputs, *tables, work]

    return Family(
        name="conv_grad_weight",
        entry=entry(_conv_grad_weight, x.dtype),
        tables=[plan.numbers],
        arrange=arrange,
        scratch=(plan.scratch + d.shape[1]) * itemsize,
        flops=2 * d.size * math.prod(shape[1:]) // math.prod(g.spread for g in space),
        extent=x.shape[0],
    )


def _conv_at(node: Node, images: int) -> Family:
    """Gradients of weight or input, or of both at once, from a list of values and places."""
    to_input = node.op == "conv_at"
    if to_input:
        values, _, w = node.inputs
        x_shape, shape = node.shape, w.shape
    else:
        x, values, _ = node.inputs
        x_shape, shape = x.shape, node.shape[-len(x.shape) :]
    size, start, dilation = _windows(node.args.geometry)
    plan = sparse_conv.plan_sparse(
        images,
        x_shape[1],
        shape[0],
        size,
        _kernel(shape),
        start,
        dilation,
        _window(values.shape, node.args.shape),
        to_input=to_input,
    )
    itemsize = values.dtype.itemsize

    def arrange(results: list[Operand], inputs: list[Operand], tables: list[Operand], work: Operand) -> list[Operand]:
        unread = work.plus(plan.scratch * itemsize, "unread")
        if to_input:
            values, places, weight = inputs[:3]
            d_image, d_weight = results[0], results[1] if len(results) > 1 else unread
            image = inputs[3] if len(inputs) > 3 else d_image
        else:
            image, values, places = inputs
            d_weight = weight = results[0]
            d_image = image
        return [d_weight, d_image, image, weight, values, places, *tables, work]

    return Family(
        name="conv_pool_backward",
        entry=entry(_conv_pool_backward, values.dtype),
        tables=[plan.numbers, _sizes(x_shape)],
        arrange=arrange,
        scratch=(plan.scratch + math.prod(shape)) * itemsize,
        flops=2 * values.size * math.prod(shape[1:]) * (2 if to_input else 1),
        extent=values.shape[0],
    )


def _window(values: Sequence[int], dense: Sequence[int]) -> tuple[int, int]:
    (height, width), (rows, columns) = _four(dense)[2:], _four(values)[2:]
    return height // max(1, rows), width // max(1, columns)


CONVOLUTIONS: dict[str, Callable[[Node, int], Family]] = {
    "conv_weight": _conv_weight,
    "conv_act": _conv_act,
    "conv_pool": _conv_act,
    "conv_pool_place": _conv_act,
    "conv_weight_at": _conv_at,
    "conv_at": _conv_at,
}
