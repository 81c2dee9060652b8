"""Reductions beyond the course's sum, mean and max: the extremes, the place of the largest, variance, deviation.

Like the course's, they keep the dimension that they reduce, with size 1; over everything, the result has shape
``(1,)``. With ``keepdim=False`` they drop it, as PyTorch does unless it is told otherwise. Only :func:`argmax`, which
the course has under another meaning, and :func:`argmin` drop it by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .cells import tracing
from .errors import DTypeError, ShapeError
from .function import Places, explain_mix, require_tensor
from .indexing import integers
from .pointwise import where
from .shaping import reshape, squeeze
from .tensor_data import shape_broadcast
from .tensor_functions import EQ, Add, Mul, Neg, Permute, Sqrt, Sum, Take, as_dims

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["allclose", "argmax", "argmin", "max", "min", "std", "var"]


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    r"""Tell whether $|x - y| \le \mathrm{atol} + \mathrm{rtol} \, |y|$ for all elements.

    Args:
        input: $x$.
        other: $y$, of the same dtype and backend; the shapes broadcast.
        rtol: the part of $y$ by which they may differ.
        atol: what is added to it.
        equal_nan: take NaN for equal to NaN.

    Raises:
        BroadcastError: the shapes do not fit.
        DTypeError: one is no tensor, or the element types differ.
        BackendError: they live on different backends.

    >>> from minitorch.creation import tensor
    >>> allclose(tensor([1.0, 2.0]), tensor([1.0, 2.0 + 1e-6])), allclose(tensor([1.0]), tensor([1.1]))
    (True, False)
    """
    for x in (input, other):
        require_tensor("allclose", x)
    if input.backend is not other.backend or input.dtype != other.dtype:
        explain_mix("allclose", input, other)
    shape_broadcast(input.shape, other.shape)
    return bool(np.allclose(input.to_numpy(), other.to_numpy(), rtol, atol, equal_nan))


def var(
    input: Tensor,
    dim: int | Sequence[int] | None = None,
    correction: int = 1,
    keepdim: bool = True,
    unbiased: bool | None = None,
) -> Tensor:
    r"""Compute the variance, $\frac{1}{n - c} \sum_i (x_i - \bar x)^2$.

    Args:
        input: any shape.
        dim: the dimension, or several; all when left out.
        correction: $c$: 1 for the unbiased estimate from a sample, as in PyTorch; 0 for the mean squared deviation.
        keepdim: keep what is reduced, with size 1.
        unbiased: PyTorch's older name for it, in the place of ``correction``: True for 1, False for 0.

    Returns:
        The dimensions of ``input``, size 1 where it was reduced; shape ``(1,)`` for all. Without ``keepdim`` the others
        alone; shape ``()`` for all.

    Raises:
        DTypeError: the elements are not float32 or float64.
        ShapeError: there are not more than ``correction`` elements.

    >>> from minitorch.creation import tensor
    >>> var(tensor([[1.0, 3.0], [2.0, 6.0]]), 1).tolist()
    [[2.0], [8.0]]
    """
    require_tensor("var", input)
    x = input._real("a variance")
    if unbiased is not None:
        correction = int(unbiased)
    dims = as_dims(dim, x.shape)
    count = 1
    for d in dims:
        count *= x.shape[d]
    if count <= correction:
        raise ShapeError(
            f"a variance with correction={correction} is that of more than {correction} elements, got {count}: shape "
            f"{x.shape}, dimension {dim}. Check that the batch is large enough, or pass correction=0."
        )
    mean = Mul.apply(Sum.apply(x, dims), x._ensure_tensor(1.0 / count))
    deviation = Add.apply(x, Neg.apply(mean))
    squares = Mul.apply(deviation, deviation)
    total = Sum.apply(squares, dims) if dim is not None else Sum.apply(squares, dims, (1,))
    return _shaped(Mul.apply(total, x._ensure_tensor(1.0 / (count - correction))), dim, keepdim)


def std(
    input: Tensor,
    dim: int | Sequence[int] | None = None,
    correction: int = 1,
    keepdim: bool = True,
    unbiased: bool | None = None,
) -> Tensor:
    """Compute the standard deviation, the square root of :func:`var`; its slope where it is zero is taken as zero.

    Args:
        input: any shape.
        dim: the dimension, or several; all when left out.
        correction: as in :func:`var`.
        keepdim: keep what is reduced, with size 1.
        unbiased: as in :func:`var`.

    Raises:
        DTypeError: the elements are not float32 or float64.
        ShapeError: there are not more than ``correction`` elements.

    >>> from minitorch.creation import tensor
    >>> std(tensor([1.0, 3.0, 5.0])).tolist()
    [2.0]
    """
    variance = var(input, dim, correction, keepdim, unbiased)
    flat = EQ.apply(variance.detach(), variance._ensure_tensor(0.0))
    return where(flat, variance, Sqrt.apply(where(flat, 1.0, variance)))


def min(input: Tensor, dim: int | Tensor | None = None, keepdim: bool = True) -> Tensor:
    """Take the smallest element along a dimension; the first has the whole gradient. NaN counts as the smallest.

    Args:
        input: any shape.
        dim: the dimension; all when left out.
        keepdim: keep it, with size 1.

    Returns:
        The dimensions of ``input``, size 1 where it was reduced; shape ``(1,)`` for all. Without ``keepdim`` the others
        alone; shape ``()`` for all.

    Raises:
        ShapeError: there is nothing to compare.
        DTypeError: the elements are truth values or unsigned, which cannot be negated.

    >>> from minitorch.creation import tensor
    >>> min(tensor([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0]]), 1).tolist()
    [[1.0], [4.0]]
    """
    x, d = _line("min", input, dim)
    return _shaped(Neg.apply(_largest(_negated("min", x), d)), dim, keepdim)


def max(input: Tensor, dim: int | Tensor | None = None, keepdim: bool = True) -> Tensor:
    """Take the largest element along a dimension, as :func:`minitorch.nn.max` does, or of all.

    Args:
        input: any shape.
        dim: the dimension; all when left out.
        keepdim: keep it, with size 1.

    Returns:
        The dimensions of ``input``, size 1 where it was reduced; shape ``(1,)`` for all. Without ``keepdim`` the others
        alone; shape ``()`` for all.

    Raises:
        ShapeError: there is nothing to compare.

    >>> from minitorch.creation import tensor
    >>> max(tensor([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0]])).tolist()
    [6.0]
    """
    return _shaped(_largest(*_line("max", input, dim)), dim, keepdim)


def argmax(input: Tensor, dim: int | Tensor | None = None, keepdim: bool = False) -> Tensor:
    """Find where the largest element along a dimension stands, or of all: PyTorch's ``argmax``; no gradient.

    :func:`minitorch.argmax` is the course's, which marks these elements with 1; so this one is a method of tensors
    alone. Of equal elements it gives the first. NaN counts as the largest.

    Args:
        input: any shape.
        dim: the dimension that the positions count in; when left out, all elements are counted in row-major order.
        keepdim: keep the dimension, with size 1.

    Returns:
        The positions, int64: the shape of ``input`` without the dimension.

    Raises:
        ShapeError: there is nothing to compare.

    >>> from minitorch.creation import tensor
    >>> scores = tensor([[0.1, 0.7, 0.2], [0.5, 0.1, 0.4]])
    >>> scores.argmax(1).tolist()
    [1, 0]
    >>> (scores.argmax(1) == tensor([1, 2], dtype="int64")).to("float32").mean().item()
    0.5
    """
    return _positions("argmax", input, dim, keepdim)


def argmin(input: Tensor, dim: int | Tensor | None = None, keepdim: bool = False) -> Tensor:
    """Find where the smallest element along a dimension stands, or of all: PyTorch's ``argmin``; no gradient.

    Of equal elements it gives the first. NaN counts as the smallest. The arguments are those of :func:`argmax`, and
    like it this one is a method of tensors alone.

    Returns:
        The positions, int64: the shape of ``input`` without the dimension.

    Raises:
        ShapeError: there is nothing to compare.
        DTypeError: the elements are truth values or unsigned, which cannot be negated.

    >>> from minitorch.creation import tensor
    >>> tensor([[0.1, 0.7, 0.2], [0.5, 0.1, 0.4]]).argmin(1).tolist()
    [0, 1]
    """
    require_tensor("argmin", input)
    return _positions("argmin", _negated("argmin", input.detach()), dim, keepdim)


def _positions(name: str, input: Tensor, dim: int | Tensor | None, keepdim: bool) -> Tensor:
    x, d = _line(name, input, dim)
    others = [i for i in range(x.dims) if i != d]
    lines = Permute.apply(x.detach(), (*others, d))
    *shape, size = lines.shape
    _, places = lines.backend.ops.max(lines, len(others))
    before = np.arange(places.size).reshape(places.shape) * size  # the elements of the lines before this one
    positions = Add.apply(places, integers(lines, -before))
    if not keepdim:
        return reshape(positions, tuple(shape))
    return reshape(positions, tuple(1 if dim is None or i == d else n for i, n in enumerate(input.shape)))


def _negated(name: str, x: Tensor) -> Tensor:
    """Turn the smallest into the largest."""
    if x.dtype.kind in "bu":
        raise DTypeError(f'{name} expected numbers with a sign, got {x.dtype}. Convert them first: t.to("int64").')
    return Neg.apply(x)


def _shaped(kept: Tensor, dim: Any, keepdim: bool) -> Tensor:
    """Drop what was reduced to size 1, unless it is to be kept."""
    return kept if keepdim else squeeze(kept, dim)


def _line(name: str, input: Tensor, dim: int | Tensor | None) -> tuple[Tensor, int]:
    """Check what is compared: elements along one dimension, which is made for all of them."""
    require_tensor(name, input)
    if tracing.tracer is not None:
        (input,) = tracing.tracer.lift((input,))
    x, d = (reshape(input, (-1,)), 0) if dim is None and input.size else (input, dim)
    dims = as_dims(d, x.shape)
    if len(dims) != 1 or x.shape[dims[0]] == 0:
        raise ShapeError(
            f"{name} expected one dimension with elements to compare, got {dim} of shape {input.shape}. Check that the "
            "batch is not empty, or join several dimensions with flatten."
        )
    return x, dims[0]


def _largest(x: Tensor, dim: int) -> Tensor:
    _, places = x.backend.ops.max(x.detach(), dim)
    return Take.apply(x, Places(places))
