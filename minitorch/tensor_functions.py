r"""The differentiable functions of tensors: one class an operation, forward beside backward (course module 2).

A *forward* calls the backend and records nothing. A *backward* receives $d = \partial z / \partial y$ for the
function's result $y$ and gives $\partial z / \partial x$ for each input $x$; it is written with the same differentiable
functions, so a gradient can itself be differentiated (``backward(create_graph=True)``).

What a function is, with its ``apply``, is in :mod:`minitorch.function`.

These functions are exact and keep to no front end's habits. What the course does differently is in
:mod:`minitorch.tensor`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import operators
from .autodiff import Context
from .errors import DTypeError, IndexingError, ShapeError
from .function import Function, History, Places
from .kernels import elements
from .tensor_data import shape_broadcast
from .tensor_ops import matmul_shape

if TYPE_CHECKING:
    from .tensor import Tensor
    from .tensor_data import UserShape

__all__ = [
    "EQ",
    "LT",
    "Add",
    "All",
    "Cat",
    "Copy",
    "Div",
    "Exp",
    "Expand",
    "Function",
    "History",
    "Inv",
    "IsClose",
    "Log",
    "MatMul",
    "Mul",
    "Narrow",
    "Neg",
    "Permute",
    "Places",
    "Put",
    "ReLU",
    "ReLUGrad",
    "Sigmoid",
    "Sqrt",
    "Sum",
    "Take",
    "Tanh",
    "View",
]

# --- element by element --------------------------------------------------------------------------------------


class Neg(Function):
    """$y = -x$."""

    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        """Negate.

        Raises:
            DTypeError: these are truth values.
        """
        if x.dtype.kind == "b":
            raise DTypeError(
                "expected numbers to negate or subtract, got truth values (bool). Write ~mask for the opposite of a "
                'mask, or convert it first: mask.to("int64").'
            )
        return x.backend.neg_map(x)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        r"""$\partial y / \partial x = -1$."""
        return Neg.apply(d)


class Inv(Function):
    """$y = 1 / x$."""

    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        """Invert; infinity at zero."""
        return x.backend.inv_map(x)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        r"""$\partial y / \partial x = -1 / x^2 = -y^2$."""
        y = ctx.output
        return Neg.apply(Mul.apply(d, Mul.apply(y, y)))


class Exp(Function):
    """$y = e^x$."""

    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        """Raise e to the power of each element."""
        return x.backend.exp_map(x)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        r"""$\partial y / \partial x = y$."""
        return Mul.apply(d, ctx.output)


class Log(Function):
    r"""$y = \ln x$."""

    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        """Take the natural logarithm; minus infinity at zero, NaN below."""
        ctx.save_for_backward(x)
        return x.backend.log_map(x)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        r"""$\partial y / \partial x = 1 / x$."""
        (x,) = ctx.saved_values
        return Div.apply(d, x)


class Sqrt(Function):
    r"""$y = \sqrt{x}$."""

    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        """Take the square root; NaN below zero."""
        return x.backend.sqrt_map(x)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        r"""$\partial y / \partial x = 1 / (2 y)$."""
        y = ctx.output
        return Div.apply(d, Add.apply(y, y))


class Sigmoid(Function):
    r"""$y = 1 / (1 + e^{-x})$."""

    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        """Squash to (0, 1) without overflow on either side."""
        return x.backend.sigmoid_map(x)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        r"""$\partial y / \partial x = y (1 - y) = y - y^2$."""
        y = ctx.output
        return Mul.apply(d, Add.apply(y, Neg.apply(Mul.apply(y, y))))


class Tanh(Function):
    r"""$y = \tanh x$, with all its digits near zero, where $2 \sigma(2 x) - 1$ loses them."""

    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        """Squash to (-1, 1)."""
        return x.backend.ops.map(elements.tanh)(x)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        r"""$\partial y / \partial x = 1 - y^2$."""
        y = ctx.output
        return Add.apply(d, Neg.apply(Mul.apply(d, Mul.apply(y, y))))


class ReLU(Function):
    r"""$y = \max(x, 0)$; NaN stays NaN."""

    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        """Replace what is negative by zero."""
        ctx.save_for_backward(x)
        return x.backend.relu_map(x)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        """The slope is 1 above zero and 0 elsewhere."""
        (x,) = ctx.saved_values
        return ReLUGrad.apply(x, d)


class ReLUGrad(Function):
    """$y = d$ where $x > 0$, else 0: how ReLU passes a gradient on."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, d: Tensor) -> Tensor:
        """Keep ``d`` where ``x`` is positive."""
        ctx.save_for_backward(x)
        return x.backend.relu_back_zip(x, d)

    @staticmethod
    def backward(ctx: Context, dd: Tensor) -> tuple[None, Tensor]:
        """Linear in ``d``; constant in ``x`` except at the kink, where it jumps."""
        (x,) = ctx.saved_values
        return None, ReLUGrad.apply(x, dd)


class Add(Function):
    """$y = a + b$."""

    @staticmethod
    def forward(ctx: Context, a: Tensor, b: Tensor) -> Tensor:
        """Add, broadcasting."""
        return a.backend.add_zip(a, b)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> tuple[Tensor, Tensor]:
        r"""$\partial y / \partial a = \partial y / \partial b = 1$."""
        return d, d


class Mul(Function):
    """$y = a b$."""

    @staticmethod
    def forward(ctx: Context, a: Tensor, b: Tensor) -> Tensor:
        """Multiply, broadcasting."""
        ctx.save_for_backward(a, b)
        return a.backend.mul_zip(a, b)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> tuple[Tensor | None, Tensor | None]:
        r"""$\partial y / \partial a = b$ and $\partial y / \partial b = a$."""
        a, b = ctx.saved_values
        for_a, for_b = ctx.needs_input_grad
        return Mul.apply(d, b) if for_a else None, Mul.apply(d, a) if for_b else None


class Div(Function):
    """$y = a / b$, rounded once: the inverse of a tiny $b$ may overflow where the quotient does not."""

    @staticmethod
    def forward(ctx: Context, a: Tensor, b: Tensor) -> Tensor:
        """Divide, broadcasting; infinity or NaN where $b$ is zero."""
        ctx.save_for_backward(b)
        return a.backend.ops.zip(elements.div)(a, b)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> tuple[Tensor | None, Tensor | None]:
        r"""$\partial y / \partial a = 1 / b$ and $\partial y / \partial b = -a / b^2 = -y / b$."""
        (b,) = ctx.saved_values
        for_a, for_b = ctx.needs_input_grad
        share = Div.apply(d, b)
        return share if for_a else None, Neg.apply(Mul.apply(share, ctx.output)) if for_b else None


def _truth(compare: Callable[[float, float], float], a: Tensor, b: Tensor) -> Tensor:
    """Compare whole numbers, or truth values: the result is one of truth values."""
    return a.backend.ops.zip(compare, np.bool_)(a, b)


class _Step(Function):
    """A comparison of floats: 1.0 or 0.0 in their dtype. It is flat wherever it is continuous.

    The course wants numbers there, to multiply by. A 1 among whole numbers would be taken for an index, and so LT and
    EQ of these give truth values.
    """

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> tuple[Tensor, Tensor]:
        """The derivative is zero, and a zero is passed on so that a leaf behind a comparison has a gradient."""
        zero = d.zeros(d.shape)
        return zero, zero


class LT(_Step):
    """$y = 1$ where $a < b$, else 0; of whole numbers true and false."""

    @staticmethod
    def forward(ctx: Context, a: Tensor, b: Tensor) -> Tensor:
        """Compare, broadcasting."""
        return a.backend.lt_zip(a, b) if a.dtype.kind == "f" else _truth(operators.lt, a, b)


class EQ(_Step):
    """$y = 1$ where $a = b$, else 0; of whole numbers true and false."""

    @staticmethod
    def forward(ctx: Context, a: Tensor, b: Tensor) -> Tensor:
        """Compare, broadcasting."""
        return a.backend.eq_zip(a, b) if a.dtype.kind == "f" else _truth(operators.eq, a, b)


class IsClose(_Step):
    """$y = 1$ where $|a - b| < 0.01$ (the course's tolerance), else 0."""

    @staticmethod
    def forward(ctx: Context, a: Tensor, b: Tensor) -> Tensor:
        """Compare, broadcasting."""
        return a.backend.is_close_zip(a, b)


# --- reductions ----------------------------------------------------------------------------------------------


def as_dims(dim: Any, shape: UserShape) -> tuple[int, ...]:
    """Read dimensions: None for all, an int, several ints, or the course's one-element tensor.

    Raises:
        IndexingError: a dimension that ``shape`` does not have.
    """
    if dim is None:
        return tuple(range(len(shape)))
    if hasattr(dim, "item"):
        value = dim.item()
        dim = int(value) if float(value).is_integer() else value
    given = dim if isinstance(dim, (tuple, list)) else (dim,)
    dims = []
    for d in given:
        if not isinstance(d, int) or not -len(shape) <= d < len(shape):
            raise IndexingError(
                f"dimension {d!r} does not exist in shape {tuple(shape)}: expected an integer from {-len(shape)} to "
                f"{len(shape) - 1}. Add a dimension with view, or name one of these."
            )
        dims.append(d % len(shape))
    return tuple(dims)


class Sum(Function):
    r"""$y = \sum_i x_i$ over one dimension or several. The sum of truth values is the number of those that are true.

    Args of apply: the tensor; ``dim`` (int, tuple, one-element tensor, or None for all); optionally the shape of the
    result, when the reduced sizes of 1 are not to stay.
    """

    @staticmethod
    def forward(ctx: Context, x: Tensor, dim: Any = None, shape: UserShape | None = None) -> Tensor:
        """Add up."""
        if x.dtype.kind == "b":
            x = x.backend.ops.convert(x, np.dtype(np.int64))
        dims = as_dims(dim, x.shape)
        kept = tuple(1 if i in dims else n for i, n in enumerate(x.shape))
        ctx.save_for_backward(x.shape, kept)
        out = x.backend.add_reduce(x, dims) if dims else Copy.forward(ctx, x)  # a view needs contiguous elements
        return out if shape is None else out._new(out._tensor.view(shape))

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        r"""$\partial y / \partial x_i = 1$: every summand receives the same gradient."""
        shape, kept = ctx.saved_values
        return Expand.apply(_reshape(d, kept), shape)


class Expand(Function):
    """Repeat dimensions of size 1, without a copy (strides of zero)."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, shape: UserShape) -> Tensor:
        """Read each element several times."""
        shape = tuple(shape)
        if shape_broadcast(x.shape, shape) != shape:
            raise ShapeError(
                f"cannot expand {x.shape} to {shape}: expected sizes of 1, or missing ones at the left, where it is "
                "repeated. Sum or permute it first."
            )
        ctx.save_for_backward(x.shape)
        return x._new(x._tensor.expand(shape))

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        """Every repetition contributes."""
        (shape,) = ctx.saved_values
        return sum_to_shape(d, shape)


def sum_to_shape(d: Tensor, shape: UserShape) -> Tensor:
    """Give a gradient the shape of the input it belongs to: sum what was broadcast, repeat what was reduced."""
    shape = tuple(shape)
    if d.shape == shape:
        return d
    full = shape_broadcast(d.shape, shape)
    if d.shape != full:
        d = Expand.apply(d, full)
        if full == shape:
            return d
    missing = len(full) - len(shape)
    dims = tuple(i for i, n in enumerate(full) if i < missing or (shape[i - missing] == 1 and n != 1))
    return Sum.apply(d, dims, shape)


class All(Function):
    """$y = 1$ where every element along ``dim`` is 1 (the product), else 0; no gradient."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, dim: Any = None) -> Tensor:
        """Multiply along ``dim``; over everything, with shape ``(1,)``, when it is None."""
        out = x.backend.mul_reduce(x, as_dims(dim, x.shape))
        return out if dim is not None else out._new(out._tensor.view((1,)))

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> None:
        """A truth value has no slope."""
        return None


# --- layout --------------------------------------------------------------------------------------------------


def as_integers(values: Any) -> tuple[int, ...]:
    """Read a shape or an order: integers, a list of them, or the course's tensor of them."""
    if hasattr(values, "_tensor"):
        values = values._tensor.array.reshape(-1).tolist()
    elif len(values) == 1 and isinstance(values[0], (tuple, list)):
        values = values[0]
    for v in values:
        if isinstance(v, str) or v != int(v):
            raise DTypeError(f"expected whole numbers for a shape or an order, got {v!r}. Round it, or divide with //.")
    return tuple(int(v) for v in values)


class Permute(Function):
    """Reorder the dimensions, without a copy."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, order: Any) -> Tensor:
        """Exchange sizes and strides."""
        order = as_integers(order)
        ctx.save_for_backward(order)
        return x._new(x._tensor.permute(*order))

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        """Put the dimensions back."""
        (order,) = ctx.saved_values
        return Permute.apply(d, tuple(sorted(range(len(order)), key=order.__getitem__)))


class View(Function):
    """Give contiguous elements another shape, without a copy."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, shape: Any) -> Tensor:
        """Regroup the elements; one size may be -1, to be worked out from the others.

        Raises:
            ShapeError: the tensor is not contiguous, or the shapes hold different numbers of elements.
        """
        ctx.save_for_backward(x.shape)
        shape = _infer_size(as_integers(shape), x)
        if not x._tensor.is_contiguous():
            raise ShapeError(
                f"cannot view a tensor of shape {x.shape} and strides {x._tensor.strides} as {shape}: its elements are "
                "not contiguous. Write t.contiguous().view(...)."
            )
        return x._new(x._tensor.view(shape))

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        """Regroup back. The gradient may arrive permuted or expanded, so it is made contiguous first."""
        (shape,) = ctx.saved_values
        return _reshape(d, shape)


def _reshape(d: Tensor, shape: tuple[int, ...]) -> Tensor:
    if d.shape == shape:
        return d
    return View.apply(d if d._tensor.is_contiguous() else Copy.apply(d), shape)


def _infer_size(shape: tuple[int, ...], x: Tensor) -> tuple[int, ...]:
    if shape.count(-1) == 1:
        known = math.prod(n for n in shape if n != -1)
        if known and x.size % known == 0:
            shape = tuple(x.size // known if n == -1 else n for n in shape)
    if math.prod(shape) != x.size or any(n < 0 for n in shape):
        raise ShapeError(
            f"cannot view a tensor of shape {x.shape} ({x.size} elements) as {shape}: expected a shape with as many "
            "elements; at most one size may be -1."
        )
    return shape


class Copy(Function):
    """The same elements, contiguous; those that are so already are copied only with ``Copy.apply(x, True)``."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, always: bool = False) -> Tensor:
        """Write the elements in row-major order."""
        return x if x._tensor.is_contiguous() and not always else x.backend.id_map(x)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        """The identity."""
        return d


class Cat(Function):
    """Join tensors along a dimension: ``Cat.apply(a, b, ..., dim)``."""

    @staticmethod
    def forward(ctx: Context, *inputs: Any) -> Tensor:
        """Write one behind the other.

        Raises:
            ShapeError: the tensors differ in a size other than that of ``dim``.
        """
        *tensors, dim = inputs
        first = tensors[0]
        (dim,) = as_dims(dim, first.shape)
        others = [(*t.shape[:dim], *t.shape[dim + 1 :]) for t in tensors]
        if any(t.dims != first.dims for t in tensors) or others.count(others[0]) != len(others):
            raise ShapeError(
                f"cannot join shapes {[t.shape for t in tensors]} along dimension {dim}: expected all other sizes to "
                "be equal. Permute, or pad the smaller ones."
            )
        ctx.save_for_backward(dim, _ranges([t.shape[dim] for t in tensors]))
        return first.backend.ops.cat(tensors, dim)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> tuple[Any, ...]:
        """Each tensor receives its part."""
        dim, parts = ctx.saved_values
        return (*(Narrow.apply(d, dim, start, stop) for start, stop in parts), None)


def _ranges(sizes: Sequence[int]) -> list[tuple[int, int]]:
    stops = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return list(zip([0, *stops[:-1]], stops, strict=True))


class Narrow(Function):
    """The elements ``start`` to ``stop - 1`` of a dimension, without a copy: ``Narrow.apply(x, dim, start, stop)``."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, dim: int, start: int, stop: int) -> Tensor:
        """Begin further on in the storage.

        Raises:
            IndexingError: the dimension does not exist, or has not that many elements.
        """
        (dim,) = as_dims(dim, x.shape)
        if not 0 <= start <= stop <= x.shape[dim]:
            raise IndexingError(
                f"cannot take elements {start} to {stop} of dimension {dim} of shape {x.shape}: expected bounds in "
                f"order, from 0 to {x.shape[dim]}. Cut them to that range."
            )
        ctx.save_for_backward(dim, start, x.shape)
        return x._new(x._tensor.narrow(dim, start, stop))

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        """The rest of the dimension had no part in the result: zeros stand around the gradient."""
        dim, start, shape = ctx.saved_values
        stop = start + d.shape[dim]
        before = d.zeros((*shape[:dim], start, *shape[dim + 1 :]))
        behind = d.zeros((*shape[:dim], shape[dim] - stop, *shape[dim + 1 :]))
        return Cat.apply(*(t for t in (before, d, behind) if t.size), dim) if d.size else d.zeros(shape)


# --- picking elements ----------------------------------------------------------------------------------------


class Take(Function):
    """$y_j = x_{i_j}$: read the elements at given places, counted in row-major order.

    Args of apply: the tensor, and the places as :class:`~minitorch.function.Places`.
    """

    @staticmethod
    def forward(ctx: Context, x: Tensor, index: Places) -> Tensor:
        """Read."""
        ctx.save_for_backward(index, x.shape)
        return x.backend.ops.take(x, index.places)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        """What was read from a place returns to it."""
        index, shape = ctx.saved_values
        return Put.apply(d, index, shape)


class Put(Function):
    r"""$y_{i_j} = \sum x_j$: add elements up at given places of a tensor of zeros. The transpose of :class:`Take`."""

    @staticmethod
    def forward(ctx: Context, x: Tensor, index: Places, shape: UserShape) -> Tensor:
        """Write."""
        ctx.save_for_backward(index)
        return x.backend.ops.put(x, index.places, shape)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        """Read back."""
        (index,) = ctx.saved_values
        return Take.apply(d, index)


# --- matrix product ------------------------------------------------------------------------------------------


class MatMul(Function):
    r"""$y_{ij} = \sum_k a_{ik} b_{kj}$ for the two last dimensions; the others broadcast (course task 3.2)."""

    @staticmethod
    def forward(ctx: Context, a: Tensor, b: Tensor) -> Tensor:
        """Multiply ``... x m x k`` by ``... x k x n``.

        Raises:
            ShapeError: fewer than two dimensions, or inner sizes that differ.
        """
        matmul_shape(a.shape, b.shape)
        ctx.save_for_backward(a, b)
        return a.backend.matrix_multiply(a, b)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> tuple[Tensor | None, Tensor | None]:
        r"""$\partial z / \partial a = d\, b^T$ and $\partial z / \partial b = a^T d$."""
        a, b = ctx.saved_values
        for_a, for_b = ctx.needs_input_grad
        return (
            MatMul.apply(d, _transpose(b)) if for_a else None,
            MatMul.apply(_transpose(a), d) if for_b else None,
        )


def _transpose(a: Tensor) -> Tensor:
    return Permute.apply(a, (*range(a.dims - 2), a.dims - 1, a.dims - 2))
