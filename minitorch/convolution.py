r"""Convolution with PyTorch's meanings: stride, padding, dilation and groups.

In each dimension of space an input of size $n$ gives

$$\left\lfloor \frac{n + 2p - d (k - 1) - 1}{s} \right\rfloor + 1$$

outputs, for $k$ taps that lie $d$ apart (the dilation), in windows that move by $s$ (the stride), over an input with
$p$ zeros on either side (the padding). Every size may be one number, for all dimensions, or one for each.

The course's ``conv1d`` and ``conv2d`` in :mod:`minitorch.fast_conv`, which have one window for each input, run on the
same kernels: a :class:`~minitorch.kernels.geometry.Geometry` tells these where the windows lie.

>>> from minitorch.creation import ones
>>> layer = Conv2d(3, 8, kernel_size=3, stride=2, padding=1)
>>> layer(ones((1, 3, 32, 32))).shape
(1, 8, 16, 16)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy.typing as npt

from .errors import ArgumentError, ShapeError
from .fast_conv import Conv1dFun, Conv2dFun
from .function import require_tensor
from .init import kaiming_uniform, uniform
from .kernels.geometry import Geometry, Space
from .module import Module, Parameter
from .tensor import Tensor
from .tensor_functions import Add, Cat, Narrow, View
from .tensor_ops import TensorBackend
from .windows import LAYOUTS, WHOLE, Sizes, as_given, batched, read_sizes

__all__ = ["Conv1d", "Conv2d", "conv1d", "conv2d"]


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
    return [(p, p) for p in read_sizes(name, "padding", padding, len(kernel), 0)]


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
    require_tensor(name, weight)
    if weight.dims != dims + 2:
        raise ShapeError(
            f"{name} expects a weight of out_channels x in_channels / groups x the kernel's {LAYOUTS[dims]}, got "
            f"{weight.shape}. Insert missing dimensions with view."
        )
    kernel = weight.shape[2:]
    x = batched(name, input, dims)
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
    strides, dilations = read_sizes(name, "stride", stride, dims, 1), read_sizes(name, "dilation", dilation, dims, 1)
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
    return as_given(out, input)


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
        self.kernel_size = read_sizes(name, "kernel_size", kernel_size, self.dims, 1)
        self.stride = read_sizes(name, "stride", stride, self.dims, 1)
        self.dilation = read_sizes(name, "dilation", dilation, self.dims, 1)
        _paddings(name, padding, self.kernel_size, self.stride, self.dilation)
        self.padding = padding if isinstance(padding, str) else read_sizes(name, "padding", padding, self.dims, 0)
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
