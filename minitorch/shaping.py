"""Giving tensors other shapes, and joining them, with PyTorch's names and meanings.

No element moves, except where tensors are joined, and where elements that are not contiguous have to be regrouped.
Dimensions may be counted from the end: -1 is the last.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .autodiff import Context
from .errors import ArgumentError, ShapeError
from .function import Function, require_tensor
from .tensor_functions import Cat, Copy, Expand, Narrow, Permute, View, as_dims, as_integers

if TYPE_CHECKING:
    from .tensor import Tensor
    from .tensor_data import UserShape

__all__ = [
    "Squeeze",
    "Step",
    "broadcast_to",
    "cat",
    "clone",
    "flatten",
    "reshape",
    "split",
    "squeeze",
    "stack",
    "transpose",
    "unsqueeze",
]


class Squeeze(Function):
    """Drop and insert dimensions of size 1, without a copy: ``Squeeze.apply(x, shape)``."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, shape: UserShape) -> Tensor:
        """Walk the same elements."""
        ctx.save_for_backward(x.shape)
        return x._new(x._tensor.squeeze(shape))

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        """Put the dimensions back."""
        (shape,) = ctx.saved_values
        return Squeeze.apply(d, shape)


class Step(Function):
    """Every ``step``-th element of a dimension, from the first on, without a copy: ``Step.apply(x, dim, step)``."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, dim: int, step: int) -> Tensor:
        """Take longer strides."""
        ctx.save_for_backward(dim, step, x.shape)
        return x._new(x._tensor.step(dim, step))

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        """What was stepped over had no part in the result: zeros stand behind every element of the gradient."""
        dim, step, shape = ctx.saved_values
        before, count, behind = d.shape[:dim], d.shape[dim], d.shape[dim + 1 :]
        if not d.size:
            return d.zeros(shape)
        gaps = d.zeros((*before, count, step - 1, *behind))
        pairs = Cat.apply(Squeeze.apply(d, (*before, count, 1, *behind)), gaps, dim + 1)
        return Narrow.apply(View.apply(pairs, (*before, count * step, *behind)), dim, 0, shape[dim])


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Drop dimensions of size 1.

    Args:
        input: any shape.
        dim: the dimension, or several; all of size 1 when left out. One of another size stays.

    Raises:
        IndexingError: the dimension does not exist.

    >>> from minitorch.creation import ones
    >>> squeeze(ones((2, 1, 3, 1))).shape, squeeze(ones((2, 1, 3, 1)), -1).shape
    ((2, 3), (2, 1, 3))
    """
    dims = as_dims(dim, require_tensor("squeeze", input).shape)
    return Squeeze.apply(input, tuple(n for d, n in enumerate(input.shape) if d not in dims or n != 1))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """Insert a dimension of size 1, which becomes dimension ``dim`` of the result.

    Raises:
        IndexingError: the result has no such dimension.

    >>> from minitorch.creation import ones
    >>> unsqueeze(ones((2, 3)), 1).shape, unsqueeze(ones((2, 3)), -1).shape
    ((2, 1, 3), (2, 3, 1))
    """
    shape = require_tensor("unsqueeze", input).shape
    (dim,) = as_dims(dim, (*shape, 1))
    return Squeeze.apply(input, (*shape[:dim], 1, *shape[dim:]))


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """Regroup the elements, in row-major order, into another shape. They are copied only where they have to be.

    Args:
        input: any shape.
        shape: the sizes, as numbers or as one tuple; one may be -1, to be worked out from the others.

    Raises:
        ShapeError: the shapes hold different numbers of elements.

    >>> from minitorch.creation import arange
    >>> reshape(arange(6), (3, -1)).tolist()
    [[0, 1], [2, 3], [4, 5]]
    """
    require_tensor("reshape", input)
    return View.apply(Copy.apply(input), shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Join the dimensions from ``start_dim`` to ``end_dim``, both included, into one.

    Args:
        input: any shape; without a dimension it becomes one of one element.
        start_dim: the first.
        end_dim: the last.

    Raises:
        IndexingError: a dimension does not exist.
        ArgumentError: the last comes before the first.

    >>> from minitorch.creation import ones
    >>> flatten(ones((2, 3, 4)), 1).shape
    (2, 12)
    """
    shape = require_tensor("flatten", input).shape or (1,)
    first, last = as_dims((start_dim, end_dim), shape)
    if first > last:
        raise ArgumentError(
            f"expected start_dim before end_dim, got {start_dim} and {end_dim} of shape {shape}. Exchange them."
        )
    joined = 1
    for n in shape[first : last + 1]:
        joined *= n
    return reshape(input, (*shape[:first], joined, *shape[last + 1 :]))


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Exchange two dimensions.

    Raises:
        IndexingError: a dimension does not exist.

    >>> from minitorch.creation import ones
    >>> transpose(ones((2, 3, 4)), 0, -1).shape
    (4, 3, 2)
    """
    first, second = as_dims((dim0, dim1), require_tensor("transpose", input).shape)
    order = list(range(input.dims))
    order[first], order[second] = second, first
    return Permute.apply(input, order)


def broadcast_to(input: Tensor, *shape: Any) -> Tensor:
    """Repeat dimensions of size 1, and insert dimensions at the left, to reach a shape. No element is copied.

    This is PyTorch's ``expand``; the course's method of that name has another meaning for a tensor.

    Args:
        input: any shape.
        shape: the sizes, as numbers or as one tuple; -1 keeps the size that is there.

    Raises:
        ShapeError: a size that is not 1 would have to change, or -1 stands for a dimension that is not there.

    >>> from minitorch.creation import tensor
    >>> broadcast_to(tensor([[1.0], [2.0]]), -1, 3).tolist()
    [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]
    """
    sizes = as_integers(shape)
    padded = (-1,) * (len(sizes) - len(require_tensor("expand", input).shape)) + input.shape
    target = tuple(own if n == -1 else n for n, own in zip(sizes, padded, strict=False))
    if len(sizes) < input.dims or -1 in target:
        raise ShapeError(
            f"cannot expand {input.shape} to {sizes}: expected a size for each of its dimensions, or -1 to keep one, "
            "and full sizes for new dimensions at the left. Name them all."
        )
    return Expand.apply(input, target)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join tensors along a dimension.

    Args:
        tensors: equal in every size but that of ``dim``, and in dtype and backend.
        dim: the dimension.

    Raises:
        ShapeError: there are none, or other sizes differ.
        IndexingError: the dimension does not exist.

    >>> from minitorch.creation import tensor
    >>> cat([tensor([[1, 2]]), tensor([[3, 4], [5, 6]])]).tolist()
    [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    """
    tensors = _several("cat", tensors)
    return Cat.apply(*tensors, *as_dims(dim, tensors[0].shape))


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join tensors of one shape along a new dimension.

    Args:
        tensors: equal in shape, dtype and backend.
        dim: which dimension of the result is the new one.

    Raises:
        ShapeError: there are none, or the shapes differ.
        IndexingError: the result has no such dimension.

    >>> from minitorch.creation import tensor
    >>> stack([tensor([1, 2]), tensor([3, 4])], 1).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    tensors = _several("stack", tensors)
    shapes = [t.shape for t in tensors]
    if shapes.count(shapes[0]) != len(shapes):
        raise ShapeError(f"stack expected tensors of one shape, got {shapes}. Join tensors that differ with cat.")
    return cat([unsqueeze(t, dim) for t in tensors], dim)


def split(input: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Cut a tensor into pieces along a dimension, without a copy.

    Args:
        input: any shape.
        split_size: the size of each piece, where the last may be smaller; or a size for each of them.
        dim: the dimension.

    Raises:
        ArgumentError: a size is no whole number from 1, or sizes do not add up to that of the dimension.
        IndexingError: the dimension does not exist.

    >>> from minitorch.creation import tensor
    >>> [piece.tolist() for piece in split(tensor([1, 2, 3, 4, 5]), 2)]
    [[1.0, 2.0], [3.0, 4.0], [5.0]]
    >>> [piece.tolist() for piece in split(tensor([1, 2, 3, 4, 5]), [4, 1])]
    [[1.0, 2.0, 3.0, 4.0], [5.0]]
    """
    shape = require_tensor("split", input).shape
    (dim,) = as_dims(dim, shape)
    whole, sizes = shape[dim], split_size
    if isinstance(sizes, int) and sizes > 0:
        sizes = [min(sizes, whole - start) for start in range(0, max(whole, 1), sizes)]
    if (
        not isinstance(sizes, (list, tuple))
        or not all(isinstance(n, int) and n >= 0 for n in sizes)
        or sum(sizes) != whole
    ):
        raise ArgumentError(
            f"split expected the size of a piece, from 1, or sizes that add up to the {whole} of dimension {dim} of "
            f"shape {shape}, got {split_size!r}. Name the sizes of all pieces."
        )
    ends = itertools.accumulate(sizes)
    return tuple(Narrow.apply(input, dim, end - size, end) for size, end in zip(sizes, ends, strict=True))


def clone(input: Tensor) -> Tensor:
    """Copy the elements into memory of their own. Gradients pass through.

    >>> from minitorch.creation import tensor
    >>> x = tensor([1.0, 2.0])
    >>> y = clone(x)
    >>> y[0] = 5.0
    >>> x.tolist()
    [1.0, 2.0]
    """
    require_tensor("clone", input)
    return Copy.apply(input, True)


def _several(name: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    given: list[Any] = list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]
    for t in given:
        require_tensor(name, t)
    if not given or not isinstance(tensors, (list, tuple)):
        what = "an empty list" if not given else f"a {type(tensors).__name__}"
        raise ShapeError(f"{name} expected a list of one tensor or more, got {what}. Write {name}([a, b]).")
    return given
