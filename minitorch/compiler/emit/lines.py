"""How a program calls the kernels of convolutions over lines, of which one result for each output channel counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...kernels.addresses import integers
from ...kernels.cpu import line_conv
from ...kernels.cpu.vectors import LANES
from ..graph import Node
from .entries import entry
from .family import Family, other_of_pair, with_work, zeros_for_bias

__all__ = ["LINES"]

real: Any = None  # bound in the copy of a template for each type of elements, like what follows
real_at: Any = None
convolve_lines = line_conv.convolve_lines
evaluate_taps = line_conv.evaluate_taps


# --- the maximum ---------------------------------------------------------------------------------------------------


def _conv_line_points(operands, o0, o1):
    """Operands: points, weight, table, sizes, work."""
    points, weight, table = real_at(operands, 0), real_at(operands, 1), real_at(operands, 2)
    evaluate_taps(points, weight, table, integers(integers(operands)[3]), real_at(operands, 4), o0, o1)


def _conv_line(operands, b0, b1):
    """Operands: out, places, lines, points, weight, bias, plan, work."""
    at = integers(operands)
    out, places, x, points = real_at(operands, 0), integers(at[1]), real_at(operands, 2), real_at(operands, 3)
    weight, bias, work = real_at(operands, 4), real_at(operands, 5), real_at(operands, 7)
    convolve_lines(out, places, x, points, weight, bias, integers(at[6]), work, b0, b1)


def _points(node: Node, images: int) -> Family:
    """The values of a weight at the points, for 16 output channels at a time."""
    (w,) = node.inputs
    _, channels, taps = w.shape
    return Family(
        name="evaluate_taps",
        entry=entry(_conv_line_points, w.dtype),
        tables=[line_conv.points_of_taps(taps).astype(w.dtype), np.array(w.shape, np.int64)],
        arrange=with_work,
        scratch=LANES * channels * taps * w.dtype.itemsize,
        flops=2 * node.size * taps,
        extent=node.shape[0],
        strip=1,
    )


def _maximum(node: Node, images: int) -> Family:
    """The maximum of a convolution over each line, and its place."""
    x, _, w = node.inputs[:3]
    args = node.args
    (batch, width, channels), (out_channels, _, taps) = x.shape, w.shape
    (geometry,) = args.geometry
    plan = line_conv.plan_lines(images, width, channels, out_channels, taps, geometry.size, geometry.offset, args.relu)
    return Family(
        name="convolve_lines",
        entry=entry(_conv_line, x.dtype),
        tables=[*zeros_for_bias(node, 3, out_channels), plan.numbers],
        arrange=with_work,
        scratch=plan.scratch * x.dtype.itemsize,
        other=other_of_pair(node, x.dtype),
        flops=2 * batch * line_conv.multiplications(channels, out_channels, taps, geometry.size),
        extent=batch,
    )


# --- the gradient of the weight --------------------------------------------------------------------------------------


def _conv_line_weight(operands, b0, b1):
    """Add up the gradient of channels ``b0`` to ``b1`` of a weight, from one value for each image and channel.

    Operands: gradient ``out x in x taps``, images ``batch x width x in``, values and places ``batch x out``, plan, and
    memory for one channel's gradient, ``taps x in``: there every tap reads and writes neighbours.
    """
    at = integers(operands)
    out, x, values = real_at(operands, 0), real_at(operands, 1), real_at(operands, 2)
    places, plan, total = integers(at[3]), integers(at[4]), real_at(operands, 5)
    batch, channels, width, in_channels, taps, start, dilation = (
        plan[0],
        plan[1],
        plan[2],
        plan[3],
        plan[4],
        plan[5],
        plan[6],
    )
    for o in range(b0, b1):
        for i in range(taps * in_channels):
            total[i] = real(0)
        for b in range(batch):
            value, place = values[b * channels + o], places[b * channels + o] + start
            if dilation == 1 and place >= 0 and place + taps <= width:
                first = (b * width + place) * in_channels
                for i in range(taps * in_channels):
                    total[i] = total[i] + value * x[first + i]
                continue
            for tap in range(taps):
                position = place + tap * dilation
                if position >= 0 and position < width:
                    first = (b * width + position) * in_channels
                    for i in range(in_channels):
                        total[tap * in_channels + i] = total[tap * in_channels + i] + value * x[first + i]
        for tap in range(taps):
            for i in range(in_channels):
                out[(o * in_channels + i) * taps + tap] = total[tap * in_channels + i]


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
        scratch=taps * in_channels * values.dtype.itemsize,
        flops=2 * values.size * taps * in_channels,
        extent=out_channels,
        strip=4,
    )


LINES: dict[str, Callable[[Node, int], Family]] = {
    "conv_line_points": _points,
    "conv_line": _maximum,
    "conv_line_place": _maximum,
    "conv_line_weight": _weight,
}
