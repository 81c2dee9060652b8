"""The names of what operations with many arguments depend on."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..kernels.geometry import Geometry, Space

__all__ = ["ARGUMENTS", "Conv", "ConvAct", "ConvAt", "ConvLine", "ConvPool", "ConvWeight", "MaxPool"]

Shape = tuple[int, ...]


class Conv(NamedTuple):
    """Of ``conv``."""

    geometry: Space


class ConvAct(NamedTuple):
    """Of ``conv_act``: a convolution with what is done to its results at once.

    Attributes:
        geometry: how the windows lie.
        relu: whether negative results become zero.
        transposed: whether the weight has its input channels first.
    """

    geometry: Space
    relu: bool
    transposed: bool


class ConvPool(NamedTuple):
    """Of ``conv_pool``, ``conv_line`` and their places: beside what :class:`ConvAct` has, a maximum over windows.

    Attributes:
        geometry: how the windows of the convolution lie.
        relu: whether negative results become zero.
        transposed: whether the weight has its input channels first.
        shape: of the convolution's result, which is not kept.
        window: height and width of the windows of the maximum, which lie side by side.
    """

    geometry: Space
    relu: bool
    transposed: bool
    shape: Shape
    window: tuple[int, int]


class ConvWeight(NamedTuple):
    """Of ``conv_weight`` and ``conv_bias``.

    Attributes:
        kernel: the taps in each dimension of space.
        geometry: how the windows of the forward convolution lie.
    """

    kernel: Shape
    geometry: Space


class ConvAt(NamedTuple):
    """Of ``conv_at`` and ``conv_weight_at``.

    Attributes:
        geometry: how the windows of the forward convolution lie.
        shape: of its result, whose gradient is a list of values and places.
    """

    geometry: Space
    shape: Shape


class ConvLine(NamedTuple):
    """Of ``conv_line_weight``: how the windows of the forward convolution lie along its one dimension of space."""

    geometry: Geometry


class MaxPool(NamedTuple):
    """Of ``max_pool`` and ``max_pool_place``.

    Attributes:
        kernel: height and width of a window.
        geometry: how the windows lie.
    """

    kernel: tuple[int, int]
    geometry: Space


# By operation; the arguments of all others are a plain tuple of at most three.
ARGUMENTS: dict[str, Any] = {
    "conv": Conv,
    "conv_act": ConvAct,
    "conv_pool": ConvPool,
    "conv_pool_place": ConvPool,
    "conv_line": ConvPool,
    "conv_line_place": ConvPool,
    "conv_weight": ConvWeight,
    "conv_bias": ConvWeight,
    "conv_at": ConvAt,
    "conv_weight_at": ConvAt,
    "conv_line_weight": ConvLine,
    "max_pool": MaxPool,
    "max_pool_place": MaxPool,
}
