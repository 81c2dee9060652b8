r"""Functions of single elements beyond the course's, with PyTorch's names and meanings: choices, limits and powers.

A condition is a tensor of truth values, or of the 1.0 and 0.0 that comparisons give here. It chooses and is not
multiplied by: what is not chosen may be infinite or NaN, and sends no gradient back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .autodiff import Context, no_grad
from .cells import tracing
from .dtypes import default_dtype
from .errors import ArgumentError, BackendError, DTypeError
from .kernels import elements
from .tensor_functions import EQ, LT, Add, Function, Index, Log, Mul, Neg, ReLU, Sqrt, is_tensor, not_a_tensor

if TYPE_CHECKING:
    from .tensor import Tensor, TensorLike

__all__ = ["Keep", "Pow", "abs", "clamp", "clip", "pow", "sqrt", "where"]


class Keep(Function):
    """$y = x$ where a mask is not zero, else 0: ``Keep.apply(x, Index(mask))``, or the opposite with ``False`` behind.

    The mask may have any element type. It broadcasts against $x$, and has no derivative.
    """

    @staticmethod
    def forward(ctx: Context, x: Tensor, mask: Index, where: bool = True) -> Tensor:
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
                constant = Index(EQ.apply(b, zero))
            slope = Mul.apply(b, Pow.apply(a, Add.apply(b, b._ensure_tensor(-1.0))))
            gradient_a = Keep.apply(Mul.apply(d, slope), constant, False)
        if for_b:
            with no_grad():
                flat = Index(Mul.apply(EQ.apply(a, zero), Add.apply(LT.apply(zero, b), EQ.apply(b, zero))))
            gradient_b = Keep.apply(Mul.apply(d, Mul.apply(ctx.output, Log.apply(a))), flat, False)
        return gradient_a, gradient_b


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
    if not is_tensor(condition):
        raise not_a_tensor("where, for its condition,", condition)
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
    mask = Index(condition.detach())
    chosen, rest = like._ensure_tensor(input), like._ensure_tensor(other)
    return Add.apply(Keep.apply(chosen, mask), Keep.apply(rest, mask, False))


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
    if not is_tensor(input):
        raise not_a_tensor("clip", input)
    if min is None and max is None:
        raise ArgumentError("clip expected a lower limit, an upper limit, or both; got neither. Give min= or max=.")
    out = input
    if min is not None:
        low = out._ensure_tensor(min)
        out = where(_less(out, low), low, out)
    if max is not None:
        high = out._ensure_tensor(max)
        out = where(_less(high, out), high, out)
    return out


clamp = clip


def _less(a: Tensor, b: Tensor) -> Tensor:
    """Compare without recording: a condition has no slope."""
    with no_grad():
        return LT.apply(a, b)


def abs(input: Tensor) -> Tensor:
    """$|x|$; its slope at zero is taken as zero.

    >>> from minitorch.creation import tensor
    >>> abs(tensor([-2.0, 0.5])).tolist()
    [2.0, 0.5]
    """
    if not is_tensor(input):
        raise not_a_tensor("abs", input)
    return Add.apply(ReLU.apply(input), ReLU.apply(Neg.apply(input)))


def sqrt(input: Tensor) -> Tensor:
    r"""$\sqrt{x}$; NaN below zero.

    Raises:
        DTypeError: the elements are not float32 or float64.

    >>> from minitorch.creation import tensor
    >>> sqrt(tensor([4.0, 9.0])).tolist()
    [2.0, 3.0]
    """
    if not is_tensor(input):
        raise not_a_tensor("sqrt", input)
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
