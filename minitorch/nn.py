"""The functions of networks: pooling, maximum, softmax and dropout (course module 4).

As in the course, reductions keep the reduced dimension with size 1, and :func:`dropout` does not scale what it keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .autodiff import Context, no_grad
from .cells import tracing
from .creation import ones
from .errors import ArgumentError, IndexingError, ShapeError
from .fast_conv import conv1d, conv2d
from .kernels.geometry import Space, side_by_side
from .random import default_generator
from .tensor import Tensor
from .tensor_functions import Add, Exp, Function, Index, Mul, Neg, Put, Sum, as_dims, not_a_tensor

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


# --- pooling -------------------------------------------------------------------------------------------------


def _pooled_size(input: Tensor, kernel: tuple[int, int]) -> tuple[int, int]:
    """Check a pooling's arguments and give the output's height and width."""
    if not isinstance(input, Tensor):
        raise not_a_tensor("pooling", input)
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


class MaxPool2d(Function):
    """The maximum of each window; its whole gradient goes to the first one, in row-major order."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, kernel: tuple[int, int], geometry: Space) -> Tensor:
        """Find the maxima, and remember their places."""
        values, places = x.backend.ops.max_pool(x, kernel, geometry)
        ctx.save_for_backward(Index(places), x.shape)
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
    return MaxPool2d.apply(input, tuple(kernel), side_by_side(input.shape[2:], kernel))


# --- maximum -------------------------------------------------------------------------------------------------


class Max(Function):
    """The maximum along a dimension; its whole gradient goes to the first one."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, dim: Any) -> Tensor:
        """Find the maxima, and remember their places."""
        values, places = x.backend.ops.max(x, _one_dim(x, dim))
        ctx.save_for_backward(Index(places), x.shape)
        return values

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        """Only the maxima had a part in the result."""
        index, shape = ctx.saved_values
        return Put.apply(d, index, shape)


def _one_dim(x: Tensor, dim: Any) -> int:
    if not isinstance(x, Tensor):
        raise not_a_tensor("a function along a dimension", x)
    dims = as_dims(dim, x.shape)
    if len(dims) != 1:
        raise IndexingError(
            f"expected one dimension of shape {x.shape}, got {dim}. Join several with view, or take each by itself."
        )
    (d,) = dims
    if x.shape[d] == 0:
        raise ShapeError(
            f"expected elements to compare, got none: shape {x.shape}, dimension {d}. Check that the batch is not "
            "empty, or name another dimension."
        )
    return d


def max(input: Tensor, dim: int | Tensor) -> Tensor:
    """Take the maximum along a dimension, which keeps size 1 (course task 4.4). NaN counts as the largest number.

    Args:
        input: any shape.
        dim: the dimension, an int or a tensor of one element.

    >>> from minitorch.creation import tensor
    >>> max(tensor([[1, 3, 2], [6, 5, 4]]), 1).tolist()
    [[3.0], [6.0]]
    """
    return Max.apply(input, _one_dim(input, dim))


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
    dim = _one_dim(input, dim)
    if tracing.tracer is not None:
        (input,) = tracing.tracer.lift((input,))
    with no_grad():
        _, places = input.backend.ops.max(input, dim)
        marks = ones(places.shape, backend=input.backend, dtype=input.dtype)
        return Put.apply(marks, Index(places), input.shape)


# --- softmax -------------------------------------------------------------------------------------------------


class Softmax(Function):
    r"""$y_i = e^{x_i} / \sum_j e^{x_j}$."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, dim: int) -> Tensor:
        """Exponentiate and divide by the sum, after the maximum has been subtracted."""
        ctx.save_for_backward(dim)
        return x.backend.ops.softmax(x, dim)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        r"""$\partial z / \partial x_i = y_i \left(d_i - \sum_j d_j y_j\right)$."""
        (dim,) = ctx.saved_values
        y = ctx.output
        mean = Sum.apply(Mul.apply(d, y), dim)
        return Mul.apply(y, Add.apply(d, Neg.apply(mean)))


class LogSoftmax(Function):
    r"""$y_i = x_i - \ln \sum_j e^{x_j}$."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, dim: int) -> Tensor:
        """Subtract the maximum and then the logarithm of the sum."""
        ctx.save_for_backward(dim)
        return x.backend.ops.logsoftmax(x, dim)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        r"""$\partial z / \partial x_i = d_i - e^{y_i} \sum_j d_j$."""
        (dim,) = ctx.saved_values
        return Add.apply(d, Neg.apply(Mul.apply(Exp.apply(ctx.output), Sum.apply(d, dim))))


def softmax(input: Tensor, dim: int | Tensor) -> Tensor:
    r"""Turn numbers into probabilities along a dimension: $e^{x_i} / \sum_j e^{x_j}$ (course task 4.4).

    The maximum is subtracted first, so that no exponential overflows.

    >>> from minitorch.creation import tensor
    >>> softmax(tensor([10000.0, 10000.0]), 0).tolist()
    [0.5, 0.5]
    """
    dim = _one_dim(input, dim)
    return Softmax.apply(input._real("softmax"), dim)


def logsoftmax(input: Tensor, dim: int | Tensor) -> Tensor:
    r"""Compute the logarithm of the softmax, $x_i - \ln \sum_j e^{x_j}$, without losing small probabilities (task 4.4).

    >>> from minitorch.creation import tensor
    >>> logsoftmax(tensor([0.0, -10000.0]), 0).tolist()
    [0.0, -10000.0]
    """
    dim = _one_dim(input, dim)
    return LogSoftmax.apply(input._real("logsoftmax"), dim)


# --- dropout -------------------------------------------------------------------------------------------------


class Dropout(Function):
    """Multiply each element by ``scale`` or by 0, by a mask that depends on seed, stream and place alone."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, rate: float, scale: float, seed: int, stream: int) -> Tensor:
        """Keep what the draw of its place lets through."""
        ctx.save_for_backward(rate, scale, seed, stream)
        return x.backend.ops.dropout(x, rate, scale, seed, stream)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        """The same mask."""
        return Dropout.apply(d, *ctx.saved_values)


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
    return Dropout.apply(input, float(rate), 1.0, *default_generator.next_stream())
