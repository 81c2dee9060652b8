"""Pooling with PyTorch's meanings: the maximum or the average of windows with stride, padding and dilation.

Sizes and the number of windows are those of :mod:`minitorch.convolution`. The course's pooling in :mod:`minitorch.nn`,
whose windows lie side by side, runs on the same kernels.

>>> from minitorch.creation import ones
>>> MaxPool2d(2)(ones((1, 8, 16, 16))).shape
(1, 8, 8, 8)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from .errors import ArgumentError, ShapeError
from .fast_conv import Conv2dFun
from .kernels.geometry import Geometry, Space, side_by_side
from .module import Module
from .nn import MaxPool2dFun, avgpool2d
from .tensor import Tensor
from .tensor_data import TensorData
from .tensor_functions import Mul, View
from .windows import WHOLE, Sizes, as_given, batched, read_sizes

__all__ = ["AvgPool2d", "MaxPool1d", "MaxPool2d", "avg_pool2d", "max_pool1d", "max_pool2d"]


def _pool_windows(
    name: str,
    space: Sequence[int],
    kernel: Sequence[int],
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
) -> Space:
    """Lay windows over every dimension of space."""
    dims = len(kernel)
    strides = tuple(kernel) if stride is None else read_sizes(name, "stride", stride, dims, 1)
    paddings, dilations = read_sizes(name, "padding", padding, dims, 0), read_sizes(name, "dilation", dilation, dims, 1)
    geometry = []
    for n, k, s, p, d in zip(space, kernel, strides, paddings, dilations, strict=True):
        reach = d * (k - 1) + 1
        if 2 * p > reach:
            raise ArgumentError(
                f"{name}: expected a padding of at most half a window, {reach // 2} for {k} elements with dilation "
                f"{d}, got {p}. A window would see nothing but padding: pad less, or choose a larger window."
            )
        steps = n + 2 * p - reach
        count = (-(-steps // s) if ceil_mode else steps // s) + 1
        if (count - 1) * s >= n + p:  # the last window would begin in the padding
            count -= 1
        if count < 1:
            raise ShapeError(
                f"{name}: expected at least {reach} elements under a window of {k} with dilation {d}, got {n} and a "
                f"padding of {2 * p}. Pad more, or choose a smaller window."
            )
        geometry.append(Geometry(count, s, 1, d, -p))
    return tuple(geometry)


def max_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """Take the maximum of each window of ``batch x channel x width``; see :func:`max_pool2d`.

    >>> from minitorch.creation import tensor
    >>> max_pool1d(tensor([[[1, 3, 2, 5]]]), 3, stride=1).tolist()
    [[[3.0, 5.0]]]
    """
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """Take the maximum of each window; its whole gradient goes to the first one, in row-major order.

    NaN counts as the largest number, and what lies in the padding as smaller than every one.

    Args:
        input: ``batch x channel x height x width``, or without the batch.
        kernel_size: rows and columns of a window.
        stride: rows and columns from one window to the next; as many as it has, unless given.
        padding: rows and columns on either side that windows may reach into, at most half a window.
        dilation: rows and columns from one element of a window to the next.
        ceil_mode: let a last window that is cut off count too, if it begins inside.

    Returns:
        ``batch x channel x out_height x out_width``.

    Raises:
        ShapeError: there is no room for a window, or one sees nothing but padding.
        ArgumentError: a number is too small, or the padding is more than half a window.

    >>> from minitorch.creation import tensor
    >>> max_pool2d(tensor([[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]]), 2, stride=1).tolist()
    [[[[5.0, 6.0], [8.0, 9.0]]]]
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode)


def _max_pool(
    name: str,
    dims: int,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    dilation: Sizes,
    ceil_mode: bool,
) -> Tensor:
    x = batched(name, input, dims)
    kernel = read_sizes(name, "kernel_size", kernel_size, dims, 1)
    geometry = _pool_windows(name, x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    for g, n, k in zip(geometry, x.shape[2:], kernel, strict=True):
        _refuse_blind_windows(name, g, n, k)
    if dims == 2:
        return as_given(MaxPool2dFun.apply(x, kernel, geometry), input)
    # An image of one row.
    image = View.apply(x.contiguous(), (*x.shape[:2], 1, x.shape[2]))
    out = MaxPool2dFun.apply(image, (1, *kernel), (Geometry(1), *geometry))
    return as_given(View.apply(out, (*out.shape[:2], out.shape[3])), input)


def _refuse_blind_windows(name: str, g: Geometry, size: int, taps: int) -> None:
    """Only a window that begins before a small input can have all its taps beside it."""
    for i in range(min(g.size, -(g.offset // g.stride))):
        start = g.stride * i + g.offset
        if not any(0 <= start + g.dilation * k < size for k in range(taps)):
            raise ShapeError(
                f"{name}: expected every window to see an element, but window {i} of {taps} with dilation "
                f"{g.dilation} steps over all {size} of them into the padding. Reduce the dilation or the padding."
            )


def avg_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Average each window.

    Args:
        input: ``batch x channel x height x width``, or without the batch.
        kernel_size: rows and columns of a window.
        stride: rows and columns from one window to the next; as many as it has, unless given.
        padding: rows and columns of zeros on either side, at most half a window.
        ceil_mode: let a last window that is cut off count too, if it begins inside.
        count_include_pad: divide by the number of elements and zeros of the padding; otherwise of elements alone.
        divisor_override: divide by this instead.

    Returns:
        ``batch x channel x out_height x out_width``.

    Raises:
        ShapeError: there is no room for a window.
        ArgumentError: a number is too small, or the padding is more than half a window.

    >>> from minitorch.creation import tensor
    >>> avg_pool2d(tensor([[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]]), 2, stride=1).tolist()
    [[[[3.0, 4.0], [6.0, 7.0]]]]
    """
    return _avg_pool("avg_pool2d", input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _avg_pool(
    name: str,
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    if divisor_override is not None and (not isinstance(divisor_override, WHOLE) or divisor_override == 0):
        raise ArgumentError(
            f"{name}: expected divisor_override as a whole number other than 0, got {divisor_override!r}. Leave it out "
            "to divide by the number of elements."
        )
    x = batched(name, input, 2)
    kernel = read_sizes(name, "kernel_size", kernel_size, 2, 1)
    geometry = _pool_windows(name, x.shape[2:], kernel, stride, padding, 1, ceil_mode)
    divided = all(n % k == 0 for n, k in zip(x.shape[2:], kernel, strict=True))
    if divisor_override is None and divided and geometry == side_by_side(x.shape[2:], kernel):
        return as_given(avgpool2d(x, (kernel[0], kernel[1])), input)
    # The sum of a window is a convolution with ones, of each channel by itself.
    channels = View.apply(x.contiguous(), (x.shape[0] * x.shape[1], 1, *x.shape[2:]))
    ones = x._new(TensorData.from_array(np.ones((1, 1, *kernel), x.dtype)))
    sums = Conv2dFun.apply(channels, ones, geometry)
    if divisor_override is not None:
        parts = np.full((1, 1), 1.0 / divisor_override)
    else:
        rows, columns = (
            _counted(g, n, k, count_include_pad) for g, n, k in zip(geometry, x.shape[2:], kernel, strict=True)
        )
        parts = 1.0 / np.outer(rows, columns)
    means = Mul.apply(sums, x._new(TensorData.from_array(parts.astype(x.dtype))))
    return as_given(View.apply(means, (*x.shape[:2], *means.shape[2:])), input)


def _counted(g: Geometry, size: int, taps: int, with_padding: bool) -> npt.NDArray[np.int64]:
    """Count the elements of each window along one dimension, with those of the padding or without."""
    first = g.stride * np.arange(g.size) + g.offset
    beyond = -g.offset if with_padding else 0
    return np.minimum(first + taps, size + beyond) - np.maximum(first, -beyond)


def _short(sizes: Sequence[int]) -> int | tuple[int, ...]:
    """Give one number for sizes that are all the same."""
    return sizes[0] if len(set(sizes)) == 1 else tuple(sizes)


class _MaxPool(Module):
    """What the maxima over windows of one and two dimensions share."""

    dims: ClassVar[int]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if return_indices:
            raise ArgumentError(
                f"{name}: expected return_indices=False, got {return_indices!r}: only the maxima are returned. Compare "
                "them with the input to find where they are."
            )
        self.kernel_size = read_sizes(name, "kernel_size", kernel_size, self.dims, 1)
        self.stride = self.kernel_size if stride is None else read_sizes(name, "stride", stride, self.dims, 1)
        self.padding = read_sizes(name, "padding", padding, self.dims, 0)
        self.dilation = read_sizes(name, "dilation", dilation, self.dims, 1)
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        """Name the settings, as PyTorch's layer does."""
        names = ("kernel_size", "stride", "padding", "dilation")
        return ", ".join(f"{name}={_short(getattr(self, name))}" for name in names) + f", ceil_mode={self.ceil_mode}"

    def forward(self, input: Tensor) -> Tensor:
        """Take the maximum of each window."""
        name = type(self).__name__
        where = self.stride, self.padding, self.dilation, self.ceil_mode
        return _max_pool(name, self.dims, input, self.kernel_size, *where)


class MaxPool1d(_MaxPool):
    """The maximum of each window of ``batch x channel x width``; see :func:`max_pool2d` for the arguments.

    Args:
        kernel_size: elements of a window.
        stride: elements from one window to the next; as many as it has, unless given.
        padding: elements at either end that windows may reach into.
        dilation: elements from one element of a window to the next.
        return_indices: False; the places of the maxima are not returned.
        ceil_mode: let a last window that is cut off count too, if it begins inside.

    Raises:
        ArgumentError: a number is too small.

    >>> from minitorch.creation import tensor
    >>> MaxPool1d(2)(tensor([[[1, 3, 2, 5]]])).tolist()
    [[[3.0, 5.0]]]
    """

    dims = 1


class MaxPool2d(_MaxPool):
    """The maximum of each window of ``batch x channel x height x width``; see :func:`max_pool2d`.

    Args:
        kernel_size: rows and columns of a window.
        stride: rows and columns from one window to the next; as many as it has, unless given.
        padding: rows and columns on either side that windows may reach into.
        dilation: rows and columns from one element of a window to the next.
        return_indices: False; the places of the maxima are not returned.
        ceil_mode: let a last window that is cut off count too, if it begins inside.

    Raises:
        ArgumentError: a number is too small.

    >>> from minitorch.creation import ones
    >>> MaxPool2d(3, stride=2, padding=1)(ones((1, 2, 8, 8))).shape
    (1, 2, 4, 4)
    """

    dims = 2


class AvgPool2d(Module):
    """The average of each window of ``batch x channel x height x width``; see :func:`avg_pool2d`.

    Args:
        kernel_size: rows and columns of a window.
        stride: rows and columns from one window to the next; as many as it has, unless given.
        padding: rows and columns of zeros on either side.
        ceil_mode: let a last window that is cut off count too, if it begins inside.
        count_include_pad: divide by the number of elements and zeros of the padding; otherwise of elements alone.
        divisor_override: divide by this instead.

    Raises:
        ArgumentError: a number is too small.

    >>> from minitorch.creation import ones
    >>> AvgPool2d((2, 4))(ones((1, 2, 8, 8))).shape
    (1, 2, 4, 2)
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = read_sizes("AvgPool2d", "kernel_size", kernel_size, 2, 1)
        self.stride = self.kernel_size if stride is None else read_sizes("AvgPool2d", "stride", stride, 2, 1)
        self.padding = read_sizes("AvgPool2d", "padding", padding, 2, 0)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def extra_repr(self) -> str:
        """Name the settings, as PyTorch's layer does."""
        return ", ".join(f"{name}={_short(getattr(self, name))}" for name in ("kernel_size", "stride", "padding"))

    def forward(self, input: Tensor) -> Tensor:
        """Average each window."""
        counted = self.ceil_mode, self.count_include_pad, self.divisor_override
        return _avg_pool("AvgPool2d", input, self.kernel_size, self.stride, self.padding, *counted)
