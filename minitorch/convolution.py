r"""Convolution and pooling with PyTorch's meanings: stride, padding, dilation and groups.

In each dimension of space an input of size $n$ gives

$$\left\lfloor \frac{n + 2p - d (k - 1) - 1}{s} \right\rfloor + 1$$

outputs, for $k$ taps that lie $d$ apart (the dilation), in windows that move by $s$ (the stride), over an input with
$p$ zeros on either side (the padding). Every size may be one number, for all dimensions, or one for each.

The course's ``conv1d`` and ``conv2d`` in :mod:`minitorch.fast_conv`, which have one window for each input, and its
pooling in :mod:`minitorch.nn`, run on the same kernels: a :class:`~minitorch.kernels.geometry.Geometry` tells these
where the windows lie.

>>> from minitorch.creation import ones
>>> layer = Conv2d(3, 8, kernel_size=3, stride=2, padding=1)
>>> layer(ones((1, 3, 32, 32))).shape
(1, 8, 16, 16)
>>> MaxPool2d(2)(layer(ones((1, 3, 32, 32)))).shape
(1, 8, 8, 8)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from .errors import ArgumentError, ShapeError
from .fast_conv import Conv1dFun, Conv2dFun
from .init import kaiming_uniform, uniform
from .kernels.geometry import Geometry, Space, side_by_side
from .module import Module, Parameter
from .nn import MaxPool2d as MaxPool2dFunction
from .nn import avgpool2d
from .tensor import Tensor
from .tensor_data import TensorData
from .tensor_functions import Add, Cat, Mul, Narrow, View, not_a_tensor
from .tensor_ops import TensorBackend

__all__ = [
    "AvgPool2d",
    "Conv1d",
    "Conv2d",
    "MaxPool1d",
    "MaxPool2d",
    "avg_pool2d",
    "conv1d",
    "conv2d",
    "max_pool1d",
    "max_pool2d",
]

Sizes: TypeAlias = int | Sequence[int]

WHOLE = (int, np.integer)

LAYOUTS = {1: "width", 2: "height x width"}

# --- arguments -----------------------------------------------------------------------------------------------


def _sizes(name: str, argument: str, value: Any, dims: int, least: int) -> tuple[int, ...]:
    """Read one number for each dimension of space."""
    given = (value,) * dims if isinstance(value, WHOLE) else value
    if (
        not isinstance(given, Sequence)
        or isinstance(given, str)
        or len(given) != dims
        or not all(isinstance(n, WHOLE) and n >= least for n in given)
    ):
        each = "" if dims == 1 else f" or {dims} of them, one for each of {LAYOUTS[dims]}"
        raise ArgumentError(
            f"{name}: expected {argument} as a whole number from {least}{each}, got {value!r}. "
            f"Write {argument}={max(least, 1)}, for example."
        )
    return tuple(int(n) for n in given)


def _paddings(
    name: str, padding: Sizes | str, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]]:
    """Find the zeros before and behind each dimension of space."""
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    if padding == "same":
        if any(s != 1 for s in stride):
            raise ArgumentError(
                f"{name}: padding='same' gives as many outputs as inputs, so it expects a stride of 1, got "
                f"{tuple(stride)}. Write the padding as a number."
            )
        beyond = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(total // 2, total - total // 2) for total in beyond]
    if isinstance(padding, str):
        raise ArgumentError(
            f"{name}: expected padding as a number, 'same' or 'valid', got {padding!r}. Write one of these."
        )
    return [(p, p) for p in _sizes(name, "padding", padding, len(kernel), 0)]


def _batched(name: str, input: Tensor, dims: int) -> Tensor:
    """Give an input without a batch dimension one, as PyTorch does."""
    if not isinstance(input, Tensor):
        raise not_a_tensor(name, input)
    if input.dims == dims + 2:
        return input
    if input.dims == dims + 1:
        return View.apply(input.contiguous(), (1, *input.shape))
    raise ShapeError(
        f"{name} expects an input of batch x channel x {LAYOUTS[dims]}, or one without the batch, got {input.shape}. "
        "Insert missing dimensions with view."
    )


def _as_given(out: Tensor, input: Tensor) -> Tensor:
    """Take the batch dimension away where the input had none."""
    return out if out.dims == input.dims else View.apply(out.contiguous(), out.shape[1:])


# --- convolution ---------------------------------------------------------------------------------------------


def _convolve(
    name: str,
    function: type[Conv1dFun] | type[Conv2dFun],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
) -> Tensor:
    dims = function.dims
    if not isinstance(weight, Tensor):
        raise not_a_tensor(name, weight)
    if weight.dims != dims + 2:
        raise ShapeError(
            f"{name} expects a weight of out_channels x in_channels / groups x the kernel's {LAYOUTS[dims]}, got "
            f"{weight.shape}. Insert missing dimensions with view."
        )
    kernel = weight.shape[2:]
    x = _batched(name, input, dims)
    out_channels = weight.shape[0]
    if not isinstance(groups, WHOLE) or groups < 1 or out_channels % groups:
        raise ArgumentError(
            f"{name}: expected a number of groups that divides the {out_channels} output channels, got {groups!r}. "
            "Write groups=1 to let every output see every input channel."
        )
    channels = weight.shape[1] * groups
    if x.shape[1] != channels:
        raise ShapeError(
            f"{name}: expected an input of {channels} channel{'s' * (channels != 1)} for a weight of shape "
            f"{weight.shape} in {groups} group{'s' * (groups != 1)}, got {x.shape[1]} in {input.shape}. "
            + _likely_fix(input, dims, channels)
        )
    if bias is not None and bias.shape != (out_channels,):
        raise ShapeError(
            f"{name}: expected a bias of shape ({out_channels},), one for each output channel, got {bias.shape}. "
            "Give it that shape with view."
        )
    strides, dilations = _sizes(name, "stride", stride, dims, 1), _sizes(name, "dilation", dilation, dims, 1)
    paddings = _paddings(name, padding, kernel, strides, dilations)
    geometry = tuple(
        _windows(name, n, k, s, p, d)
        for n, k, s, p, d in zip(x.shape[2:], kernel, strides, paddings, dilations, strict=True)
    )
    if groups == 1:
        out = function.apply(x, weight, geometry)
    else:
        out = Cat.apply(*_each_group(function, x, weight, geometry, groups), 1)
    if bias is not None:
        out = Add.apply(out, View.apply(bias.contiguous(), (out_channels, *(1,) * dims)))
    return _as_given(out, input)


def _likely_fix(input: Tensor, dims: int, channels: int) -> str:
    """Say what to do about another number of channels."""
    at = input.dims - dims - 1
    if input.shape[-1] == channels:
        order = (*range(at), input.dims - 1, *range(at, input.dims - 1))
        return f"The channels seem to come last: bring them forward with permute{order}."
    layer = f"make the layer with in_channels={input.shape[at]}"
    if at == 1:
        return f"M{layer[1:]}, or check the order of the dimensions."
    if channels == 1:
        return "The dimension of the channel seems to be missing: insert it with unsqueeze(1)."
    return (
        f"With {input.dims} dimensions it is one example, and its first dimension the channels: of a batch, insert the "
        f"channels with unsqueeze(1); otherwise {layer}."
    )


def _windows(name: str, size: int, taps: int, stride: int, padding: tuple[int, int], dilation: int) -> Geometry:
    """Lay windows over one dimension of space."""
    padded, reach = size + sum(padding), dilation * (taps - 1) + 1
    if padded < reach:
        raise ShapeError(
            f"{name}: expected at least {reach} elements under a kernel of {taps} with dilation {dilation}, got {size} "
            f"and a padding of {sum(padding)}. Pad more, or choose a smaller kernel."
        )
    return Geometry((padded - reach) // stride + 1, stride, 1, dilation, -padding[0])


def _each_group(
    function: type[Conv1dFun] | type[Conv2dFun], x: Tensor, weight: Tensor, geometry: Space, groups: int
) -> list[Tensor]:
    """Convolve each group of channels by its part of the weight."""
    ins, outs = weight.shape[1], weight.shape[0] // groups
    return [
        function.apply(
            Narrow.apply(x, 1, g * ins, (g + 1) * ins), Narrow.apply(weight, 0, g * outs, (g + 1) * outs), geometry
        )
        for g in range(groups)
    ]


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    r"""Convolve in one dimension: $y_{b,o,i} = \mathrm{bias}_o + \sum_{c,k} x_{b,c,s i + d k - p}\, w_{o,c,k}$.

    Args:
        input: ``batch x in_channels x width``, or without the batch.
        weight: ``out_channels x in_channels / groups x kernel_width``.
        bias: ``out_channels``.
        stride: $s$, inputs from one window to the next.
        padding: $p$ zeros at either end; ``"valid"`` for none; ``"same"`` for as many as make the output as wide as the
            input, one more at the right end where they are odd.
        dilation: $d$, inputs from one tap to the next.
        groups: parts that the channels are divided into; outputs of a part see inputs of that part alone.

    Returns:
        ``batch x out_channels x out_width``.

    Raises:
        ShapeError: the shapes do not fit each other, or the kernel is wider than the padded input.
        ArgumentError: a number is too small, or has no meaning together with another one.

    >>> from minitorch.creation import tensor
    >>> conv1d(tensor([[[1, 2, 3, 4]]]), tensor([[[1, 10]]]), stride=2, padding=1).tolist()
    [[[10.0, 32.0, 4.0]]]
    """
    return _convolve("conv1d", Conv1dFun, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve in two dimensions; see :func:`conv1d`.

    Args:
        input: ``batch x in_channels x height x width``, or without the batch.
        weight: ``out_channels x in_channels / groups x kernel_height x kernel_width``.
        bias: ``out_channels``.
        stride: rows and columns from one window to the next.
        padding: zeros on either side, ``"valid"``, or ``"same"``, with one more at the bottom and right where the
            zeros are odd.
        dilation: rows and columns from one tap to the next.
        groups: parts that the channels are divided into.

    Returns:
        ``batch x out_channels x out_height x out_width``.

    Raises:
        ShapeError: the shapes do not fit each other, or the kernel is larger than the padded input.
        ArgumentError: a number is too small, or has no meaning together with another one.

    >>> from minitorch.creation import tensor
    >>> conv2d(tensor([[[[1, 2], [3, 4]]]]), tensor([[[[1, 1], [1, 1]]]])).tolist()
    [[[[10.0]]]]
    """
    return _convolve("conv2d", Conv2dFun, input, weight, bias, stride, padding, dilation, groups)


class _Conv(Module):
    """What the convolutions of one and two dimensions share."""

    dims: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        dtype: npt.DTypeLike | None = None,
        backend: TensorBackend | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        if not all(isinstance(n, WHOLE) and n >= 1 for n in (in_channels, out_channels, groups)) or (
            in_channels % groups or out_channels % groups
        ):
            raise ArgumentError(
                f"{name}: expected numbers of channels that the number of groups divides, all 1 or more, got "
                f"in_channels={in_channels}, out_channels={out_channels}, groups={groups}. Round the channels up to a "
                "multiple of the groups."
            )
        if padding_mode != "zeros":
            raise ArgumentError(
                f"{name}: expected padding_mode='zeros', the only one there is, got {padding_mode!r}. Pad the input "
                "yourself, with Cat for example, and write padding=0."
            )
        self.padding_mode = padding_mode
        self.kernel_size = _sizes(name, "kernel_size", kernel_size, self.dims, 1)
        self.stride = _sizes(name, "stride", stride, self.dims, 1)
        self.dilation = _sizes(name, "dilation", dilation, self.dims, 1)
        _paddings(name, padding, self.kernel_size, self.stride, self.dilation)
        self.padding = padding if isinstance(padding, str) else _sizes(name, "padding", padding, self.dims, 0)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(kaiming_uniform(shape, math.sqrt(5.0), dtype=dtype, backend=backend))
        bound = 1.0 / math.sqrt(math.prod(shape[1:]))
        self.bias = Parameter(uniform((out_channels,), -bound, bound, dtype, backend)) if bias else None

    def extra_repr(self) -> str:
        """Name the settings that are not the usual ones, as PyTorch's layer does."""
        usual = {"padding": (0,) * self.dims, "dilation": (1,) * self.dims, "groups": 1}
        others = {name: getattr(self, name) for name in usual if getattr(self, name) != usual[name]}
        if self.bias is None:
            others["bias"] = False
        settings = {"kernel_size": self.kernel_size, "stride": self.stride, **others}
        named = ", ".join(f"{name}={value}" for name, value in settings.items())
        return f"{self.in_channels}, {self.out_channels}, {named}"

    def forward(self, input: Tensor) -> Tensor:
        """Convolve, and add the bias."""
        return _convolve(
            type(self).__name__,
            Conv1dFun if self.dims == 1 else Conv2dFun,
            input,
            self.weight.value,
            None if self.bias is None else self.bias.value,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )


class Conv1d(_Conv):
    r"""A convolution over ``batch x in_channels x width`` by ``weight`` and ``bias``; see :func:`conv1d`.

    Both are drawn uniformly from $\pm 1 / \sqrt{n}$, where $n$ is the number of taps behind an output, as in PyTorch.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: taps of the kernel.
        stride: inputs from one window to the next.
        padding: zeros at either end, ``"same"`` or ``"valid"``.
        dilation: inputs from one tap to the next.
        groups: parts that the channels are divided into.
        bias: learn an offset for each output channel too; without it ``bias`` is None.
        padding_mode: ``"zeros"``.
        dtype: of the parameters.
        backend: what computes.

    Raises:
        ArgumentError: a number is too small, or has no meaning together with another one.

    >>> from minitorch.creation import ones
    >>> Conv1d(4, 6, 3, padding="same")(ones((2, 4, 9))).shape
    (2, 6, 9)
    """

    dims = 1


class Conv2d(_Conv):
    r"""A convolution over ``batch x in_channels x height x width`` by ``weight`` and ``bias``; see :func:`conv2d`.

    Both are drawn uniformly from $\pm 1 / \sqrt{n}$, where $n$ is the number of taps behind an output, as in PyTorch.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: rows and columns of the kernel.
        stride: rows and columns from one window to the next.
        padding: zeros on either side, ``"same"`` or ``"valid"``.
        dilation: rows and columns from one tap to the next.
        groups: parts that the channels are divided into; ``in_channels`` parts make it a depthwise convolution.
        bias: learn an offset for each output channel too; without it ``bias`` is None.
        padding_mode: ``"zeros"``.
        dtype: of the parameters.
        backend: what computes.

    Raises:
        ArgumentError: a number is too small, or has no meaning together with another one.

    >>> from minitorch.creation import ones
    >>> layer = Conv2d(4, 6, (3, 1), stride=(2, 1), groups=2)
    >>> layer.weight.value.shape, layer(ones((1, 4, 9, 5))).shape
    ((6, 2, 3, 1), (1, 6, 4, 5))
    """

    dims = 2


# --- pooling -------------------------------------------------------------------------------------------------


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
    strides = tuple(kernel) if stride is None else _sizes(name, "stride", stride, dims, 1)
    paddings, dilations = _sizes(name, "padding", padding, dims, 0), _sizes(name, "dilation", dilation, dims, 1)
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
    x = _batched(name, input, dims)
    kernel = _sizes(name, "kernel_size", kernel_size, dims, 1)
    geometry = _pool_windows(name, x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    for g, n, k in zip(geometry, x.shape[2:], kernel, strict=True):
        _refuse_blind_windows(name, g, n, k)
    if dims == 2:
        return _as_given(MaxPool2dFunction.apply(x, kernel, geometry), input)
    # An image of one row.
    image = View.apply(x.contiguous(), (*x.shape[:2], 1, x.shape[2]))
    out = MaxPool2dFunction.apply(image, (1, *kernel), (Geometry(1), *geometry))
    return _as_given(View.apply(out, (*out.shape[:2], out.shape[3])), input)


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
    x = _batched(name, input, 2)
    kernel = _sizes(name, "kernel_size", kernel_size, 2, 1)
    geometry = _pool_windows(name, x.shape[2:], kernel, stride, padding, 1, ceil_mode)
    divided = all(n % k == 0 for n, k in zip(x.shape[2:], kernel, strict=True))
    if divisor_override is None and divided and geometry == side_by_side(x.shape[2:], kernel):
        return _as_given(avgpool2d(x, (kernel[0], kernel[1])), input)
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
    return _as_given(View.apply(means, (*x.shape[:2], *means.shape[2:])), input)


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
        self.kernel_size = _sizes(name, "kernel_size", kernel_size, self.dims, 1)
        self.stride = self.kernel_size if stride is None else _sizes(name, "stride", stride, self.dims, 1)
        self.padding = _sizes(name, "padding", padding, self.dims, 0)
        self.dilation = _sizes(name, "dilation", dilation, self.dims, 1)
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
        self.kernel_size = _sizes("AvgPool2d", "kernel_size", kernel_size, 2, 1)
        self.stride = self.kernel_size if stride is None else _sizes("AvgPool2d", "stride", stride, 2, 1)
        self.padding = _sizes("AvgPool2d", "padding", padding, 2, 0)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.divisor_override = divisor_override

    def extra_repr(self) -> str:
        """Name the settings, as PyTorch's layer does."""
        return ", ".join(f"{name}={_short(getattr(self, name))}" for name in ("kernel_size", "stride", "padding"))

    def forward(self, input: Tensor) -> Tensor:
        """Average each window."""
        counted = self.ceil_mode, self.count_include_pad, self.divisor_override
        return _avg_pool("AvgPool2d", input, self.kernel_size, self.stride, self.padding, *counted)
