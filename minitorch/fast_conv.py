r"""Convolution in one and two dimensions (course tasks 4.1 and 4.2).

$$y_{b,o,i} = \sum_{c,k} x_{b,c,i+k}\, w_{o,c,k} \qquad\text{(reverse: } x_{b,c,i-k}\text{)}$$

In two dimensions $i$ and $k$ are pairs, of a row and a column. The output is as large as the input; beyond the edge
the input counts as zero. This is what the field calls convolution, and mathematics
cross-correlation: the kernel is not mirrored.

:data:`tensor_conv1d` and :data:`tensor_conv2d` are the readable kernels: Numba dispatchers over storages, shapes and
strides, for every memory layout. :func:`conv1d` and :func:`conv2d` run what the tensors' backend has: for
:class:`~minitorch.fast_ops.FastOps` the blocked kernels of :mod:`minitorch.kernels.cpu.conv`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .autodiff import Context
from .errors import ShapeError
from .function import Function
from .kernels.compile import jit
from .kernels.geometry import Space, same_size
from .kernels.strided import _tensor_conv1d, _tensor_conv2d
from .tensor_functions import Permute

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "Conv1dFun",
    "Conv2dFun",
    "_tensor_conv1d",
    "_tensor_conv2d",
    "conv1d",
    "conv2d",
    "tensor_conv1d",
    "tensor_conv2d",
]

# Kept in memory only: code that comes from the disk cache has no parallel diagnostics to print.
tensor_conv1d: Any = jit(_tensor_conv1d, keep=False, parallel=True, fastmath={"contract", "reassoc", "nsz"})
tensor_conv2d: Any = jit(_tensor_conv2d, keep=False, parallel=True, fastmath={"contract", "reassoc", "nsz"})


class _Convolution(Function):
    """The function of an input and a weight, for a space of ``dims`` dimensions."""

    dims: ClassVar[int]
    layout: ClassVar[str]

    @classmethod
    def forward(cls, ctx: Context, input: Tensor, weight: Tensor, geometry: Space | bool = False) -> Tensor:
        """Slide the kernel over the input.

        Args:
            ctx: remembers what ``backward`` needs.
            input: ``batch x in_channels x *space``.
            weight: ``out_channels x in_channels x *kernel``.
            geometry: how the kernel lies over each dimension of space; or the course's ``reverse``.

        Raises:
            ShapeError: an operand has another number of dimensions, or the channels differ.
        """
        if input.dims != cls.dims + 2 or weight.dims != cls.dims + 2:
            raise ShapeError(
                f"conv{cls.dims}d expects an input of batch x in_channels x {cls.layout} and a weight of out_channels "
                f"x in_channels x the kernel's {cls.layout}, got {input.shape} and {weight.shape}. Insert missing "
                "dimensions with view."
            )
        if input.shape[1] != weight.shape[1]:
            raise ShapeError(
                f"conv{cls.dims}d: the input {input.shape} has {input.shape[1]} channels, but the weight "
                f"{weight.shape} expects {weight.shape[1]}. Expected shape[1] of both to be equal."
            )
        if not isinstance(geometry, tuple):
            geometry = same_size(input.shape[2:], geometry)
        ctx.save_for_backward(input, weight, geometry)
        return input.backend.ops.conv(input, weight, geometry)

    @classmethod
    def backward(cls, ctx: Context, d: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Both gradients are convolutions again.

        For the input, with channels exchanged and the geometry read from the outputs to the inputs; for the weight, of
        the input with the gradient.
        """
        input, weight, geometry = ctx.saved_values
        for_input, for_weight = ctx.needs_input_grad[:2]
        return (
            cls.apply(d, _swap(weight), _transposed(geometry, input)) if for_input else None,
            _ConvWeight.apply(input, d, weight.shape[2:], geometry) if for_weight else None,
        )


class Conv1dFun(_Convolution):
    """``batch x in_channels x width`` with ``out_channels x in_channels x kernel_width``."""

    dims = 1
    layout = "width"


class Conv2dFun(_Convolution):
    """``batch x in_channels x height x width`` with ``out_channels x in_channels x kernel_height x kernel_width``."""

    dims = 2
    layout = "height x width"


class _ConvWeight(Function):
    r"""The weight's gradient $\sum_{b,i} d_{b,o,i}\, x_{b,c,j(i,k)}$, which can itself be differentiated."""

    @staticmethod
    def forward(ctx: Context, input: Tensor, d: Tensor, kernel: tuple[int, ...], geometry: Space) -> Tensor:
        """Multiply the gradient by the input that each tap saw, and add up."""
        ctx.save_for_backward(input, d, geometry)
        return input.backend.ops.conv_weight(input, d, kernel, geometry)

    @staticmethod
    def backward(ctx: Context, dd: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Linear in both: ``dd`` takes the part of the weight."""
        input, d, geometry = ctx.saved_values
        convolution = Conv1dFun if input.dims == 3 else Conv2dFun
        for_input, for_d = ctx.needs_input_grad[:2]
        return (
            convolution.apply(d, _swap(dd), _transposed(geometry, input)) if for_input else None,
            convolution.apply(input, dd, geometry) if for_d else None,
        )


def _swap(weight: Tensor) -> Tensor:
    """Exchange the two channel dimensions."""
    return Permute.apply(weight, (1, 0, *range(2, weight.dims)))


def _transposed(geometry: Space, input: Tensor) -> Space:
    """Lead from the outputs back to the places of ``input``."""
    return tuple(g.transposed(size) for g, size in zip(geometry, input.shape[2:], strict=True))


def conv1d(input: Tensor, weight: Tensor, reverse: bool = False) -> Tensor:
    """Convolve in one dimension, with an output as wide as the input.

    Args:
        input: ``batch x in_channels x width``.
        weight: ``out_channels x in_channels x kernel_width``.
        reverse: anchor the kernel at the right: output ``i`` reads the inputs up to ``i`` instead of those from ``i``.

    Returns:
        ``batch x out_channels x width``.

    Raises:
        ShapeError: the shapes are not these.

    >>> from minitorch.creation import tensor
    >>> conv1d(tensor([[[0, 1, 2, 3]]]), tensor([[[1, 2, 3]]])).tolist()
    [[[8.0, 14.0, 8.0, 3.0]]]
    """
    return Conv1dFun.apply(input, weight, reverse)


def conv2d(input: Tensor, weight: Tensor, reverse: bool = False) -> Tensor:
    """Convolve in two dimensions, with an output as large as the input.

    Args:
        input: ``batch x in_channels x height x width``.
        weight: ``out_channels x in_channels x kernel_height x kernel_width``.
        reverse: anchor the kernel at the bottom right instead of the top left.

    Returns:
        ``batch x out_channels x height x width``.

    Raises:
        ShapeError: the shapes are not these.

    >>> from minitorch.creation import tensor
    >>> conv2d(tensor([[[[1, 2], [3, 4]]]]), tensor([[[[1, 1], [1, 1]]]])).tolist()
    [[[[10.0, 6.0], [7.0, 4.0]]]]
    """
    return Conv2dFun.apply(input, weight, reverse)
