"""How a program calls the kernels of convolutions over lines, of which one result for each output channel counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...kernels.addresses import integers
from ...kernels.cpu import line_conv, line_grad
from ..graph import Node
from .entries import entry
from .family import Family, other_of_pair, with_work, zeros_for_bias

__all__ = ["LINES"]

real: Any = None  # bound in the copy of a template for each type of elements, like what follows
real_at: Any = None
convolve_lines = line_conv.convolve_lines
line_grad_weight = line_grad.line_grad_weight


# --- the maximum ---------------------------------------------------------------------------------------------------


def _conv_line(operands, first, last):
    """Operands: out, places, lines, weight, bias, table of points, plan, work."""
    at = integers(operands)
    out, places, x = real_at(operands, 0), integers(at[1]), real_at(operands, 2)
    weight, bias = real_at(operands, 3), real_at(operands, 4)
    table, work = real_at(operands, 5), real_at(operands, 7)
    convolve_lines(out, places, x, weight, bias, table, integers(at[6]), work, first, last)


def _maximum(node: Node, images: int) -> Family:
    """The maximum of a convolution over each line, and its place."""
    x, w = node.inputs[:2]
    args = node.args
    (batch, width, channels), (out_channels, _, taps) = x.shape, w.shape
    (geometry,) = args.geometry
    plan = line_conv.plan_lines(batch, width, channels, out_channels, taps, geometry.size, geometry.offset, args.relu)
    return Family(
        name="convolve_lines",
        entry=entry(_conv_line, x.dtype),
        tables=[
            *zeros_for_bias(node, 2, out_channels),
            line_conv.points_of_taps(taps).astype(x.dtype),
            plan.numbers,
        ],
        arrange=with_work,
        scratch=plan.scratch * x.dtype.itemsize,
        other=other_of_pair(node, x.dtype),
        flops=2 * batch * line_conv.multiplications(channels, out_channels, taps, geometry.size),
        extent=line_conv.pieces_of(plan),
        strip=1,
    )


# --- the gradient of the weight --------------------------------------------------------------------------------------


def _conv_line_weight(operands, o0, o1):
    """Operands: gradient, lines, values, places, sizes, work."""
    at = integers(operands)
    out, x, values = real_at(operands, 0), real_at(operands, 1), real_at(operands, 2)
    line_grad_weight(out, x, values, integers(at[3]), integers(at[4]), real_at(operands, 5), o0, o1)


def _weight(node: Node, images: int) -> Family:
    x, values, _ = node.inputs
    batch, width, in_channels = x.shape
    out_channels, _, taps = node.shape
    geometry = node.args.geometry
    sizes = [batch, out_channels, width, in_channels, taps, geometry.offset, geometry.dilation]
    return Family(
        name="conv_line_weight",
        entry=entry(_conv_line_weight, values.dtype),
        tables=[np.array(sizes, np.int64)],
        arrange=with_work,
        scratch=line_grad.scratch_of(in_channels, taps) * values.dtype.itemsize,
        flops=2 * values.size * taps * in_channels,
        extent=out_channels,
        strip=4,
    )


LINES: dict[str, Callable[[Node, int], Family]] = {
    "conv_line": _maximum,
    "conv_line_place": _maximum,
    "conv_line_weight": _weight,
}
