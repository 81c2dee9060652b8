r"""Writing into a part of a tensor: ``t[:, 1] = 0``, ``t[mask] = 0``, ``t[i, j] = v``.

A write replaces numbers that a gradient may still need, so it is for tensors that no gradient comes back through: data,
masks, and parameters inside ``no_grad()``. A recorded tensor refuses it. Where a recorded function has used the numbers
that are replaced, ``backward()`` finds that out and refuses. What shall have a gradient is built by functions instead:

=================  ==========================================
``x[mask] = 0``    ``x = minitorch.where(mask, 0.0, x)``
``x[:, 1] = v``    ``x = minitorch.cat([x[:, :1], v, x[:, 2:]], 1)``
``x[places] = v``  ``x = x.scatter(0, places, v)``
=================  ==========================================

A compiled step refuses every write: it would happen once, while the step is traced, and in no later call.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from .autodiff import grad_mode, no_grad
from .cells import tracing
from .errors import BroadcastError, GraphError
from .function import explain_mix
from .indexing import counted_from_zero, element_of, narrowed
from .kernels import elements
from .tensor_data import shape_broadcast

if TYPE_CHECKING:
    from .tensor import Tensor, TensorLike

__all__ = ["setitem"]


def setitem(x: Tensor, key: Any, value: TensorLike) -> None:
    """Write into a part of a tensor: ``x[key] = value``.

    Every view of the same memory sees it. Of several values that go to one place the last stays.

    Args:
        x: is written to.
        key: names the part that ``x[key]`` reads.
        value: a number, or a tensor that broadcasts to the shape of the part; of the same backend and element type.

    Raises:
        IndexingError: there is no such part.
        BroadcastError: the value has another shape.
        BackendError: the value is on another backend.
        DTypeError: the value is of another type; a fraction for integers too.
        GraphError: ``x`` or the value is recorded for differentiation, or ``x`` repeats one element in several places.
        CompileError: a step is traced.

    >>> from minitorch.creation import tensor
    >>> x = tensor([[1.0, -2.0], [-3.0, 4.0]])
    >>> x[x < 0] = 0.0
    >>> x[:, 1] = tensor([7.0, 8.0])
    >>> x.tolist()
    [[1.0, 7.0], [0.0, 8.0]]
    """
    _require_writable(x)
    value = _fitting(x, value)
    element = element_of(x.shape, key)
    if element is not None and value.size == 1:
        x._tensor.set(element, value.item())
        return
    with no_grad():
        part, picks = narrowed(x.detach(), key)
    # Where a GPU's tensor names places, they are needed here: of several values for one of them the last stays.
    picks = {dim: index if isinstance(index, np.ndarray) else index.to_numpy() for dim, index in picks.items()}
    functools.reduce(shape_broadcast, (index.shape for index in picks.values()), ())  # raises where they do not fit
    places = tuple(
        counted_from_zero(picks[dim], n, elements.index_from_either_end) if dim in picks else slice(None)
        for dim, n in enumerate(part.shape)
    )
    try:
        part._tensor.assign((*places, ...), value._tensor)
    except ValueError:
        raise BroadcastError(
            f"expected a value that broadcasts to the shape of the part, {part.to_numpy()[places].shape}, got one of "
            f"{value.shape}. Give a number, or sizes that are equal or 1."
        ) from None


def _require_writable(x: Tensor) -> None:
    """Refuse a write that would happen once instead of in every call, make a gradient wrong, or change other elements.

    Raises:
        CompileError: a step is traced.
        GraphError: the tensor is recorded, or repeats elements.
    """
    if tracing.tracer is not None:
        tracing.tracer.refuse(
            "a compiled step cannot write into a tensor: the write would happen once, while the step is traced. Build "
            "the value with minitorch.where, cat or scatter, write outside the step, or run inside `with "
            "minitorch.debug():`."
        )
    if x.history is not None and (x.history.last_fn is not None or grad_mode.enabled):
        raise GraphError(
            "cannot write into a tensor that is recorded for differentiation. Write into t.detach() before it is "
            "used, build the value with functions instead (minitorch.where, cat or scatter), or, for a parameter, "
            "write inside no_grad()."
        )
    if any(n > 1 and stride == 0 for n, stride in zip(x.shape, x._tensor.strides, strict=True)):
        raise GraphError(
            f"cannot write into a tensor that repeats elements: expected one place in memory for each of {x.shape}, "
            f"got strides {x._tensor.strides}. Write into t.clone()."
        )


def _fitting(x: Tensor, value: TensorLike) -> Tensor:
    """Check that numbers may go from a value into a tensor.

    Raises:
        BackendError: they live on different backends.
        DTypeError: they are of different types.
        GraphError: the value is recorded, and its gradient would end here.
    """
    value = x._compared(value)
    if value.backend is not x.backend or value.dtype != x.dtype:
        explain_mix("t[...] = value", x, value)
    if value.history is not None and grad_mode.enabled:
        raise GraphError(
            "cannot write a value that is recorded for differentiation: no gradient would come back from what it was "
            "written into. Build the tensor with functions instead (minitorch.where, cat or scatter), or write "
            "value.detach()."
        )
    return value
