"""The functions of networks: pooling, maximum, softmax and dropout (course module 4).

As in the course, reductions keep the reduced dimension with size 1, and :func:`dropout` does not scale what it keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from .autodiff import Context, no_grad
from .cells import tracing
from .creation import ones
from .errors import ArgumentError, ShapeError
from .fast_conv import conv1d, conv2d
from .function import Function, Places, require_tensor
from .kernels.geometry import Space, side_by_side
from .probabilities import logsoftmax, one_dim, softmax
from .random import default_generator
from .tensor import Tensor
from .tensor_functions import Put, Sum

__all__ = [
    "Max",
    "argmax",
    "avgpool2d",
    "conv1d",
    "conv2d",
    "dropout",
    "logsoftmax",
    "max",
    "maxpool2d",
    "softmax",
    "tile",
]


def __getattr__(name: str) -> NoReturn:
    """Say where a layer is, for in PyTorch it would be here."""
    from . import layers  # which stands on this module

    where = "It has the functions; layers are in minitorch.layers, and losses in minitorch.losses."
    if name in layers.__all__:
        where = f"It has the functions; the layer is minitorch.layers.{name}."
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}. {where}")


# --- pooling -------------------------------------------------------------------------------------------------


def _pooled_size(input: Tensor, kernel: tuple[int, int]) -> tuple[int, int]:
    """Check a pooling's arguments and give the output's height and width."""
    require_tensor("pooling", input)
    if input.dims != 4:
        raise ShapeError(
            f"pooling expects batch x channel x height x width, got {input.shape}. Insert missing dimensions with view."
        )
    height, width = input.shape[2:]
    if not isinstance(kernel, Sequence) or len(kernel) != 2 or min(kernel) < 1:
        raise ShapeError(
            f"expected a window of at least one row and one column, got {kernel}. Write (2, 2), for example."
        )
    kh, kw = kernel
    if height % kh or width % kw:
        raise ShapeError(
            f"a {kh}x{kw} window does not divide an image of {height}x{width}. Crop it to {height // kh * kh}x"
            f"{width // kw * kw}, pad it, or choose a window whose sides divide {height} and {width}."
        )
    return height // kh, width // kw


def tile(input: Tensor, kernel: tuple[int, int]) -> tuple[Tensor, int, int]:
    """Bring the elements of each pooling window together in a last dimension (course task 4.3).

    Args:
        input: ``batch x channel x height x width``.
        kernel: the window's height and width, which divide the image's.

    Returns:
        The windows, ``batch x channel x new_height x new_width x (kernel_height * kernel_width)``, the new height, and
        the new width.

    Raises:
        ShapeError: the window does not divide the image.

    >>> from minitorch.creation import tensor
    >>> windows, new_height, new_width = tile(tensor([[[[1, 2, 3, 4], [5, 6, 7, 8]]]]), (2, 2))
    >>> windows.tolist()
    [[[[[1.0, 2.0, 5.0, 6.0], [3.0, 4.0, 7.0, 8.0]]]]]
    """
    new_height, new_width = _pooled_size(input, kernel)
    batch, channel = input.shape[:2]
    kh, kw = kernel
    windows = input.contiguous().view(batch, channel, new_height, kh, new_width, kw).permute(0, 1, 2, 4, 3, 5)
    return windows.contiguous().view(batch, channel, new_height, new_width, kh * kw), new_height, new_width


def avgpool2d(input: Tensor, kernel: tuple[int, int]) -> Tensor:
    """Average each window (course task 4.3).

    Args:
        input: ``batch x channel x height x width``.
        kernel: the window's height and width, which divide the image's.

    Returns:
        ``batch x channel x new_height x new_width``.

    Raises:
        ShapeError: the window does not divide the image.

    >>> from minitorch.creation import tensor
    >>> avgpool2d(tensor([[[[1, 2, 3, 4], [5, 6, 7, 8]]]]), (2, 2)).tolist()
    [[[[3.5, 5.5]]]]
    """
    new_height, new_width = _pooled_size(input, kernel)
    batch, channel = input.shape[:2]
    kh, kw = kernel
    # The windows are dimensions 3 and 5 of this view: they can be summed where they lie.
    windows = input.contiguous().view(batch, channel, new_height, kh, new_width, kw)
    return Sum.apply(windows, (3, 5), (batch, channel, new_height, new_width)) * (1.0 / (kh * kw))


class MaxPool2dFun(Function):
    """The maximum of each window; its whole gradient goes to the first one, in row-major order."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, kernel: tuple[int, int], geometry: Space) -> Tensor:
        """Find the maxima, and remember their places."""
        values, places = x.backend.ops.max_pool(x, kernel, geometry)
        ctx.save_for_backward(Places(places), x.shape)
        return values

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        """Only the maxima had a part in the result."""
        index, shape = ctx.saved_values
        return Put.apply(d, index, shape)


def maxpool2d(input: Tensor, kernel: tuple[int, int]) -> Tensor:
    """Take the maximum of each window (course task 4.4). NaN counts as the largest number.

    Args:
        input: ``batch x channel x height x width``.
        kernel: the window's height and width, which divide the image's.

    Returns:
        ``batch x channel x new_height x new_width``.

    Raises:
        ShapeError: the window does not divide the image.

    >>> from minitorch.creation import tensor
    >>> maxpool2d(tensor([[[[1, 2, 3, 4], [5, 6, 7, 8]]]]), (2, 2)).tolist()
    [[[[6.0, 8.0]]]]
    """
    _pooled_size(input, kernel)
    return MaxPool2dFun.apply(input, tuple(kernel), side_by_side(input.shape[2:], kernel))


# --- maximum -------------------------------------------------------------------------------------------------


class Max(Function):
    """The maximum along a dimension; its whole gradient goes to the first one."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, dim: Any) -> Tensor:
        """Find the maxima, and remember their places."""
        values, places = x.backend.ops.max(x, one_dim(x, dim))
        ctx.save_for_backward(Places(places), x.shape)
        return values

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        """Only the maxima had a part in the result."""
        index, shape = ctx.saved_values
        return Put.apply(d, index, shape)


def max(input: Tensor, dim: int | Tensor) -> Tensor:
    """Take the maximum along a dimension, which keeps size 1 (course task 4.4). NaN counts as the largest number.

    Args:
        input: any shape.
        dim: the dimension, an int or a tensor of one element.

    >>> from minitorch.creation import tensor
    >>> max(tensor([[1, 3, 2], [6, 5, 4]]), 1).tolist()
    [[3.0], [6.0]]
    """
    return Max.apply(input, one_dim(input, dim))


def argmax(input: Tensor, dim: int | Tensor) -> Tensor:
    """Mark the first maximum along a dimension with 1 and everything else with 0 (course task 4.4); no gradient.

    Args:
        input: any shape.
        dim: the dimension, an int or a tensor of one element.

    Returns:
        A one-hot tensor of the input's shape.

    >>> from minitorch.creation import tensor
    >>> argmax(tensor([[1, 3, 3], [6, 5, 4]]), 1).tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    dim = one_dim(input, dim)
    if tracing.tracer is not None:
        (input,) = tracing.tracer.lift((input,))
    with no_grad():
        _, places = input.backend.ops.max(input, dim)
        marks = ones(places.shape, backend=input.backend, dtype=input.dtype)
        return Put.apply(marks, Places(places), input.shape)


# --- dropout -------------------------------------------------------------------------------------------------


class DropoutFun(Function):
    """Multiply each element by ``scale`` or by 0, by a mask that depends on seed, stream and place alone."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, rate: float, scale: float, seed: int, stream: int) -> Tensor:
        """Keep what the draw of its place lets through."""
        ctx.save_for_backward(rate, scale, seed, stream)
        return x.backend.ops.dropout(x, rate, scale, seed, stream)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        """The same mask."""
        return DropoutFun.apply(d, *ctx.saved_values)


def check_rate(rate: float) -> None:
    """Check a dropout rate.

    Raises:
        ArgumentError: it is not from 0 to 1.
    """
    if not 0.0 <= rate <= 1.0:
        raise ArgumentError(
            f"a dropout rate is the share of elements to drop, from 0 to 1; got {rate}. Write 25 % as 0.25."
        )


def dropout(input: Tensor, rate: float, ignore: bool = False) -> Tensor:
    """Set elements to zero at random (course task 4.4). What is kept keeps its value, as in the course.

    Training with it and evaluating without it therefore differ by a factor of ``1 - rate`` in what a following layer
    receives; ``layers.Dropout`` and PyTorch divide by that factor.

    Args:
        input: any shape.
        rate: the share of elements to drop, from 0 (none) to 1 (all).
        ignore: do nothing, as in evaluation.

    Raises:
        ArgumentError: ``rate`` is not from 0 to 1.

    >>> from minitorch.creation import tensor
    >>> dropout(tensor([1.0, 2.0]), 1.0).tolist()
    [0.0, 0.0]
    """
    check_rate(rate)
    if ignore or rate == 0.0:
        return input
    return DropoutFun.apply(input, float(rate), 1.0, *default_generator.next_stream())


# --- indices -------------------------------------------------------------------------------------------------


def as_int64(what: str, x: Tensor) -> Tensor:
    """Convert integers to int64, as the kernels read indices and labels.

    Args:
        what: what to call them in a message, in the plural.
        x: integers of any dtype.

    Raises:
        CompileError: they have another dtype in a step that is traced, where integers are not converted.
    """
    if x.dtype == np.int64:
        return x
    if tracing.tracer is not None:
        tracing.tracer.refuse(
            f"a compiled step takes {what} as int64, got {x.dtype}: it does not convert integers. Convert them "
            f'outside: {what}.to("int64"), or {what}.astype("int64") of an array.'
        )
    return x.to(np.int64)
