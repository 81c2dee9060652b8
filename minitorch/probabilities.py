"""Numbers turned into probabilities: the softmax along a dimension, and its logarithm (course module 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .autodiff import Context
from .errors import IndexingError, ShapeError
from .function import Function, require_tensor
from .tensor_functions import Add, Exp, Mul, Neg, Sum, as_dims

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["LogSoftmaxFun", "SoftmaxFun", "logsoftmax", "one_dim", "softmax"]


def one_dim(x: Tensor, dim: Any) -> int:
    """Read the dimension along which elements are compared.

    Raises:
        DTypeError: it is no tensor.
        IndexingError: the dimension does not exist, or it is not one.
        ShapeError: it has no elements.
    """
    require_tensor("a function along a dimension", x)
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


class SoftmaxFun(Function):
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


class LogSoftmaxFun(Function):
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
    dim = one_dim(input, dim)
    return SoftmaxFun.apply(input._real("softmax"), dim)


def logsoftmax(input: Tensor, dim: int | Tensor) -> Tensor:
    r"""Compute the logarithm of the softmax, $x_i - \ln \sum_j e^{x_j}$, without losing small probabilities (task 4.4).

    >>> from minitorch.creation import tensor
    >>> logsoftmax(tensor([0.0, -10000.0]), 0).tolist()
    [0.0, -10000.0]
    """
    dim = one_dim(input, dim)
    return LogSoftmaxFun.apply(input._real("logsoftmax"), dim)
