r"""Methods of tensors as functions, under PyTorch's names: ``minitorch.exp(x)`` is ``x.exp()``.

What the course's methods do, these do: :func:`log` adds $10^{-6}$, and :func:`sum` and :func:`mean` keep the dimension
that they reduce. Two of PyTorch's names have another meaning in the course and keep it here, :func:`minitorch.max`,
which needs a dimension, and :func:`minitorch.argmax`, which marks places with ones; as methods both are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Sequence

from .function import require_tensor
from .probabilities import logsoftmax
from .tensor import Tensor

__all__ = ["exp", "log", "log_softmax", "matmul", "mean", "relu", "sigmoid", "sum", "tanh"]

log_softmax = logsoftmax


def exp(input: Tensor) -> Tensor:
    """Compute $e^x$ of every element.

    Raises:
        DTypeError: it is no tensor, or its elements are not float32 or float64.

    >>> from minitorch.creation import tensor
    >>> exp(tensor([0.0, 1.0])).tolist()
    [1.0, 2.718281828459045]
    """
    return require_tensor("exp", input).exp()


def log(input: Tensor) -> Tensor:
    r"""Compute $\ln(x + 10^{-6})$ of every element, as the course does: the logarithm of zero is -13.8, not infinite.

    Raises:
        DTypeError: it is no tensor, or its elements are not float32 or float64.

    >>> from minitorch.creation import tensor
    >>> [round(y, 4) for y in log(tensor([0.0, 1.0]))]
    [-13.8155, 0.0]
    """
    return require_tensor("log", input).log()


def relu(input: Tensor) -> Tensor:
    r"""Compute $\max(x, 0)$ of every element.

    Raises:
        DTypeError: it is no tensor.

    >>> from minitorch.creation import tensor
    >>> relu(tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return require_tensor("relu", input).relu()


def sigmoid(input: Tensor) -> Tensor:
    r"""Compute $1 / (1 + e^{-x})$ of every element.

    Raises:
        DTypeError: it is no tensor, or its elements are not float32 or float64.

    >>> from minitorch.creation import tensor
    >>> sigmoid(tensor([0.0])).tolist()
    [0.5]
    """
    return require_tensor("sigmoid", input).sigmoid()


def tanh(input: Tensor) -> Tensor:
    r"""Compute $\tanh x$ of every element.

    Raises:
        DTypeError: it is no tensor, or its elements are not float32 or float64.

    >>> from minitorch.creation import tensor
    >>> tanh(tensor([0.0, 100.0])).tolist()
    [0.0, 1.0]
    """
    return require_tensor("tanh", input).tanh()


def sum(input: Tensor, dim: int | Sequence[int] | None = None, keepdim: bool = True) -> Tensor:
    r"""Add up, $\sum_i x_i$; see :meth:`minitorch.Tensor.sum`.

    Args:
        input: any shape.
        dim: the dimension, or several; all when left out.
        keepdim: keep each with size 1, as the course does; with False they go, as in PyTorch.

    Returns:
        Shape ``(1,)`` for all, and ``()`` without ``keepdim``.

    Raises:
        DTypeError: it is no tensor.
        IndexingError: the dimension does not exist.

    >>> from minitorch.creation import tensor
    >>> x = tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> sum(x, 1).tolist(), sum(x, 1, keepdim=False).tolist()
    ([[3.0], [7.0]], [3.0, 7.0])
    """
    return require_tensor("sum", input).sum(dim, keepdim)


def mean(input: Tensor, dim: int | Sequence[int] | None = None, keepdim: bool = True) -> Tensor:
    r"""Average, $\frac{1}{n} \sum_i x_i$; see :meth:`minitorch.Tensor.mean`. The arguments are those of :func:`sum`.

    Raises:
        DTypeError: it is no tensor, or its elements are not float32 or float64.
        IndexingError: the dimension does not exist.
        ShapeError: there is nothing to average.

    >>> from minitorch.creation import tensor
    >>> mean(tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [2.5]
    """
    return require_tensor("mean", input).mean(dim, keepdim)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Multiply matrices, ``... x m x k`` and ``... x k x n``, as ``input @ other`` does.

    Raises:
        DTypeError: one is no tensor, or the element types differ.
        ShapeError: the sizes do not fit.

    >>> from minitorch.creation import tensor
    >>> matmul(tensor([[1.0, 2.0]]), tensor([[3.0], [4.0]])).tolist()
    [[11.0]]
    """
    return require_tensor("matmul", input).matmul(require_tensor("matmul", other))
