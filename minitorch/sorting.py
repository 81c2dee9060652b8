"""Bringing elements into order, with PyTorch's names and meanings.

Equal elements stay in the order in which they came, whichever way they are sorted. NaN counts as larger than every
number. Gradients flow back to where the values came from; positions have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .autodiff import no_grad
from .cells import tracing
from .errors import ArgumentError
from .function import Places, require_tensor
from .indexing import gather, integers, places_along
from .kernels import elements
from .pointwise import Keep
from .reductions import argmax
from .shaping import unsqueeze
from .tensor_functions import Add, Narrow, Neg, Sum, as_dims

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = ["Ordered", "argsort", "argsort_by_counting", "sort", "topk"]


class Ordered(NamedTuple):
    """Elements in order, and the position along the dimension that each came from (int64)."""

    values: Tensor
    indices: Tensor


def argsort(input: Tensor, dim: int = -1, descending: bool = False) -> Tensor:
    """Give the positions along a dimension in the order of what stands there.

    Args:
        input: any shape.
        dim: the dimension; the last when left out.
        descending: the largest first.

    Returns:
        The shape of ``input``, int64.

    Raises:
        IndexingError: the dimension does not exist.

    >>> from minitorch.creation import tensor
    >>> argsort(tensor([3.0, 1.0, 2.0])).tolist()
    [1, 2, 0]
    """
    require_tensor("a sort", input)
    if tracing.tracer is not None:
        (input,) = tracing.tracer.lift((input,))
    (dim,) = as_dims(dim, input.shape)
    return input.backend.ops.argsort(input.detach(), dim, descending)


def sort(input: Tensor, dim: int = -1, descending: bool = False) -> Ordered:
    """Sort along a dimension.

    A compiled step sorts lines of up to 4096 elements: it compares each of them with every other.

    Args:
        input: any shape.
        dim: the dimension; the last when left out.
        descending: the largest first.

    Returns:
        The sorted values and where they came from, both of the shape of ``input``.

    Raises:
        IndexingError: the dimension does not exist.
        CompileError: the line is too long for a step that is traced.

    >>> from minitorch.creation import tensor
    >>> values, indices = sort(tensor([3.0, 1.0, 2.0]))
    >>> values.tolist(), indices.tolist()
    ([1.0, 2.0, 3.0], [1, 2, 0])
    """
    indices = argsort(input, dim, descending)
    return Ordered(gather(input, dim, indices), indices)


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True) -> Ordered:
    """Find the ``k`` largest elements along a dimension, or the smallest, in order.

    A compiled step sorts the line for it, as :func:`sort` says; the largest alone, ``k = 1``, comes without.

    Args:
        input: any shape.
        k: how many.
        dim: the dimension; the last when left out.
        largest: the largest; otherwise the smallest.

    Returns:
        The values and where they came from: the shape of ``input`` with size ``k`` along ``dim``.

    Raises:
        ArgumentError: there are not that many.
        IndexingError: the dimension does not exist.
        CompileError: the line is too long for a step that is traced.

    >>> from minitorch.creation import tensor
    >>> top_p, top_class = topk(tensor([[0.1, 0.7, 0.2], [0.5, 0.1, 0.4]]), 1)
    >>> top_p.tolist(), top_class.tolist()
    ([[0.7], [0.5]], [[1], [0]])
    """
    require_tensor("topk", input)
    (dim,) = as_dims(dim, input.shape)
    if not 0 <= k <= input.shape[dim]:
        raise ArgumentError(
            f"topk expected k from 0 to {input.shape[dim]}, the size of dimension {dim} of {input.shape}; got {k}. "
            "Take fewer, or name another dimension."
        )
    if k == 1 and largest:
        first = argmax(input, dim, keepdim=True)
    else:
        first = Narrow.apply(argsort(input, dim, largest), dim, 0, k).contiguous()
    return Ordered(gather(input, dim, first), first)


def argsort_by_counting(a: Tensor, dim: int, descending: bool) -> Tensor:
    r"""Sort by comparing each element with every other: its place is the number of those that stand before it.

    These are $n^2$ comparisons for a line of $n$ elements, but they need nothing beside map, zip, reduce and ``put``,
    and so a compiled step sorts in this way: in one loop, which writes no more than the line.
    """
    n, lines = a.shape[dim], (1,) * (a.dims - dim - 1)

    def count(x: Tensor, y: Tensor) -> Tensor:
        """Give 1 where $x$ stands before $y$, as an integer."""
        one_or_zero = ops.zip(elements.precedes)(x, y)
        return ops.zip(elements.second)(integers(a, 0), one_or_zero)

    ops = a.backend.ops
    with no_grad():
        this, other = unsqueeze(a, dim + 1), unsqueeze(a, dim)
        first, last = (this, other) if descending else (other, this)
        positions = integers(a, np.broadcast_to(np.arange(n).reshape(n, *lines), a.shape))
        here, there = unsqueeze(positions, dim + 1), unsqueeze(positions, dim)
        earlier, later = (Places(ops.zip(elements.precedes)(x, y)) for x, y in ((there, here), (here, there)))
        not_behind = Add.apply(integers(a, 1), Neg.apply(count(last, first)))
        before = Add.apply(Keep.apply(not_behind, earlier), Keep.apply(count(first, last), later))
        rank = Sum.apply(before, dim + 1, a.shape)
        return ops.put(positions, places_along(a.shape, dim, rank), a.shape)
