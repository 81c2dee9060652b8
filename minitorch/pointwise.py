r"""Functions of single elements beyond the course's, with PyTorch's names and meanings: choices, limits and powers.

A condition is a tensor of truth values, as comparisons of whole numbers give, or of the 1.0 and 0.0 that comparisons of
floats give here. It chooses and is not multiplied by: what is not chosen may be infinite or NaN, and sends no gradient
back. Conditions are combined with ``&``, ``|`` and ``~``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .autodiff import Context, no_grad
from .cells import tracing
from .dtypes import default_dtype
from .errors import ArgumentError, BackendError, DTypeError
from .function import Function, Places, explain_mix, is_tensor, not_a_tensor, require_tensor
from .kernels import elements
from .tensor_functions import EQ, LT, Add, Log, Mul, Neg, ReLU, Sqrt

if TYPE_CHECKING:
    from .tensor import Tensor, TensorLike

__all__ = [
    "Keep",
    "Maximum",
    "Minimum",
    "Pow",
    "abs",
    "both",
    "clamp",
    "clip",
    "either",
    "opposite",
    "pow",
    "sqrt",
    "where",
]


class Keep(Function):
    """$y = x$ where a mask is not zero, else 0: ``Keep.apply(x, Places(mask))``, or the opposite with ``False`` behind.

    The mask may have any element type. It broadcasts against $x$, and has no derivative.
    """

    @staticmethod
    def forward(ctx: Context, x: Tensor, mask: Places, where: bool = True) -> Tensor:
        """Choose."""
        ctx.save_for_backward(mask, where)
        return x.backend.ops.zip(elements.keep if where else elements.drop)(x, mask.places)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        """What was replaced by zero had no part in the result."""
        return Keep.apply(d, *ctx.saved_values)


class Pow(Function):
    """$y = a^b$."""

    @staticmethod
    def forward(ctx: Context, a: Tensor, b: Tensor) -> Tensor:
        """Raise to a power, broadcasting; NaN where $a$ is negative and $b$ is not whole."""
        ctx.save_for_backward(a, b)
        return a.backend.ops.zip(elements.power)(a, b)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> tuple[Tensor | None, Tensor | None]:
        r"""$\partial y / \partial a = b\, a^{b-1}$, which is 0 for $b = 0$, and $\partial y / \partial b = y \ln a$.

        The second is taken as 0 where $a = 0$ and $b \ge 0$: there $y$ is as small as it can be.
        """
        a, b = ctx.saved_values
        for_a, for_b = ctx.needs_input_grad
        zero = a._ensure_tensor(0.0)
        gradient_a = gradient_b = None
        if for_a:
            with no_grad():
                constant = Places(EQ.apply(b, zero))
            slope = Mul.apply(b, Pow.apply(a, Add.apply(b, b._ensure_tensor(-1.0))))
            gradient_a = Keep.apply(Mul.apply(d, slope), constant, False)
        if for_b:
            with no_grad():
                flat = Places(Mul.apply(EQ.apply(a, zero), Add.apply(LT.apply(zero, b), EQ.apply(b, zero))))
            gradient_b = Keep.apply(Mul.apply(d, Mul.apply(ctx.output, Log.apply(a))), flat, False)
        return gradient_a, gradient_b


class Maximum(Function):
    r"""$y = \max(a, b)$; NaN where one of them is. Where they are equal $y$ is $a$, and the slope is its."""

    @staticmethod
    def forward(ctx: Context, a: Tensor, b: Tensor) -> Tensor:
        """Choose the larger, broadcasting."""
        ctx.save_for_backward(a, b)
        return a.backend.ops.zip(elements.maximum)(a, b)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The other one had no part in the result."""
        a, b = ctx.saved_values
        return _to_chosen(ctx, d, a, b)


class Minimum(Function):
    r"""$y = \min(a, b)$; NaN where one of them is. Where they are equal $y$ is $a$, and the slope is its."""

    @staticmethod
    def forward(ctx: Context, a: Tensor, b: Tensor) -> Tensor:
        """Choose the smaller, broadcasting."""
        ctx.save_for_backward(a, b)
        return a.backend.ops.zip(elements.minimum)(a, b)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The other one had no part in the result."""
        a, b = ctx.saved_values
        return _to_chosen(ctx, d, b, a)


def _to_chosen(ctx: Context, d: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Give ``d`` to the second operand where ``a`` is less than ``b``, and to the first elsewhere."""
    with no_grad():
        second = Places(LT.apply(a, b))
    for_a, for_b = ctx.needs_input_grad
    return Keep.apply(d, second, False) if for_a else None, Keep.apply(d, second) if for_b else None


def where(condition: Tensor, input: TensorLike, other: TensorLike) -> Tensor:
    """Take each element from ``input`` where the condition holds, and from ``other`` elsewhere.

    Args:
        condition: truth values, or numbers of which 0 means false. The three broadcast against each other.
        input: a tensor or a number.
        other: a tensor or a number; two tensors have the same dtype.

    Raises:
        DTypeError: the condition is no tensor, or the dtypes differ.
        BackendError: the tensors live on different backends.

    >>> from minitorch.creation import tensor
    >>> x = tensor([-1.0, 2.0, -3.0])
    >>> where(x > 0, x, x * 0.5).tolist()
    [-0.5, 2.0, -1.5]
    """
    require_tensor("where, for its condition,", condition)
    like = next((x for x in (input, other) if is_tensor(x)), None)
    if like is None:
        like = condition._new(condition._tensor)
        if like.dtype.kind != "f":
            like = condition.zeros(()).to(default_dtype())
    if tracing.tracer is None and condition.backend is not like.backend:
        raise BackendError(
            f"where: the condition is on {condition.backend}, what it chooses from on {like.backend}. Nothing is moved "
            "silently: move one with t.to(backend)."
        )
    mask = Places(condition.detach())
    chosen, rest = like._ensure_tensor(input), like._ensure_tensor(other)
    return Add.apply(Keep.apply(chosen, mask), Keep.apply(rest, mask, False))


def both(a: Tensor, b: Tensor) -> Tensor:
    """Tell where two masks hold: ``a & b``. No gradient.

    A mask is a tensor of bool, or one of floats that are 1 and 0. Of two masks of floats the result has their dtype,
    and otherwise it is one of bool. In a step that is traced the floats are not looked at, and all but 0 count as true.

    Raises:
        DTypeError: one is no mask, or they are floats of different types.
        BackendError: they live on different backends.

    >>> from minitorch.creation import tensor
    >>> x = tensor([-0.5, 0.5, 1.5])
    >>> both(x > 0, x < 1).tolist()
    [0.0, 1.0, 0.0]
    """
    return _combined("&", elements.both, a, b)


def either(a: Tensor, b: Tensor) -> Tensor:
    """Tell where one of two masks holds, or both: ``a | b``. No gradient; see :func:`both`.

    >>> from minitorch.creation import tensor
    >>> labels = tensor([3, 1, 4], dtype="int64")
    >>> either(labels == 3, labels == 4).tolist()
    [True, False, True]
    """
    return _combined("|", elements.either, a, b)


def opposite(a: Tensor) -> Tensor:
    """Tell where a mask does not hold: ``~a``. No gradient; see :func:`both`.

    >>> from minitorch.creation import tensor
    >>> opposite(tensor([1.0, 0.0])).tolist()
    [0.0, 1.0]
    """
    _require_mask("~", a)
    with no_grad():
        return EQ.apply(a, a._ensure_tensor(False))


def _combined(name: str, fn: Callable[[float, float], float], a: Tensor, b: Tensor) -> Tensor:
    for mask in (a, b):
        _require_mask(name, mask)
    if tracing.tracer is not None:
        a, b = tracing.tracer.lift((a, b))
    alike = a.dtype == b.dtype
    if a.backend is not b.backend or not (alike or "b" in (a.dtype.kind, b.dtype.kind)):
        explain_mix(name, a, b)
    first, second = (a, b) if alike or a.dtype.kind == "b" else (b, a)
    return a.backend.ops.zip(fn)(first, second)


def _require_mask(name: str, x: Tensor) -> None:
    """Check that something is a mask; the values of floats only where there are any.

    Raises:
        DTypeError: it is none.
    """
    if x.dtype.kind == "f":
        if tracing.tracer is not None:
            return
        values = x.to_numpy()
        if ((values == 0) | (values == 1)).all():
            return
    if x.dtype.kind != "b":
        raise DTypeError(
            f"{name} combines masks, of bool or of 1.0 and 0.0, and got other numbers of {x.dtype}. Make masks by "
            "comparisons, in brackets: (x > 0) & (x < 1)."
        )


def clip(input: Tensor, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
    r"""Replace what is below ``min`` by it, and then what is above ``max``: $\min(\max(x, \min), \max)$.

    The slope is 1 from limit to limit, both included, and 0 beyond. NaN stays NaN.

    Args:
        input: any shape.
        min: the lower limit, a number or a tensor that broadcasts; none when left out.
        max: the upper limit.

    Raises:
        ArgumentError: there is no limit.

    >>> from minitorch.creation import tensor
    >>> clip(tensor([-1.0, 0.25, 7.0]), 0.0, 1.0).tolist()
    [0.0, 0.25, 1.0]
    """
    require_tensor("clip", input)
    if min is None and max is None:
        raise ArgumentError("clip expected a lower limit, an upper limit, or both; got neither. Give min= or max=.")
    out = input
    if min is not None:
        out = Maximum.apply(out, out._ensure_tensor(min))
    if max is not None:
        out = Minimum.apply(out, out._ensure_tensor(max))
    return out


clamp = clip


def abs(input: Tensor) -> Tensor:
    """$|x|$; its slope at zero is taken as zero.

    >>> from minitorch.creation import tensor
    >>> abs(tensor([-2.0, 0.5])).tolist()
    [2.0, 0.5]
    """
    require_tensor("abs", input)
    return Add.apply(ReLU.apply(input), ReLU.apply(Neg.apply(input)))


def sqrt(input: Tensor) -> Tensor:
    r"""$\sqrt{x}$; NaN below zero.

    Raises:
        DTypeError: the elements are not float32 or float64.

    >>> from minitorch.creation import tensor
    >>> sqrt(tensor([4.0, 9.0])).tolist()
    [2.0, 3.0]
    """
    require_tensor("sqrt", input)
    return Sqrt.apply(input._real("sqrt"))


def pow(input: TensorLike, exponent: TensorLike) -> Tensor:
    """$x^y$, where either is a tensor and the other a tensor or a number.

    Args:
        input: $x$.
        exponent: $y$; they broadcast.

    Raises:
        DTypeError: neither is a tensor, or a power of integers that may be no integer.

    >>> from minitorch.creation import tensor
    >>> pow(tensor([1.0, 2.0, 3.0]), 3).tolist(), pow(2, tensor([1.0, -1.0])).tolist()
    ([1.0, 8.0, 27.0], [2.0, 0.5])
    """
    if not is_tensor(input):
        if not is_tensor(exponent):
            raise not_a_tensor("pow", input)
        input = exponent._ensure_tensor(input)
    if isinstance(exponent, (int, float)) and exponent == 2:
        return Mul.apply(input, input)
    if isinstance(exponent, float) and exponent == 0.5:
        return sqrt(input)
    exponent_is_index = isinstance(exponent, int) and exponent >= 0
    if input.dtype.kind != "f" and not exponent_is_index:
        raise DTypeError(
            f"a power of {input.dtype} numbers is one only where the exponent is a whole number of 0 or more, got "
            f'{exponent if not is_tensor(exponent) else "a tensor"}. Convert first: t.to("float32").'
        )
    return Pow.apply(input, input._ensure_tensor(exponent))
