r"""The functions of scalars: each with its value and its derivative side by side (course module 1, tasks 1.2 and 1.4).

``forward(ctx, *inputs)`` takes and gives plain floats, and leaves in ``ctx`` what the derivative needs.
``backward(ctx, d_output)`` takes the derivative of some final quantity $z$ with respect to the output and gives the
one with respect to each input:

$$\frac{\partial z}{\partial x_i} = d_\mathrm{output}\, f'_{x_i}(x_0, x_1, \dots)$$

Everything else (subtraction, division, the other comparisons) is composed of these in :mod:`minitorch.scalar`.
"""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING

from . import operators
from .autodiff import Context, grad_mode
from .errors import DTypeError

if TYPE_CHECKING:
    from .scalar import Scalar, ScalarLike

__all__ = ["EQ", "LT", "Add", "Exp", "Inv", "Log", "Mul", "Neg", "ReLU", "ScalarFunction", "Sigmoid"]


class ScalarFunction:
    """A function of scalars, as a class that is never instantiated: it keeps ``forward`` and ``backward`` together.

    A subclass gives ``forward(ctx, *inputs)``, which returns a float, and ``backward(ctx, d_output)``, which returns
    one derivative for each input: a tuple, or a float when there is one input.

    >>> class Triple(ScalarFunction):
    ...     @staticmethod
    ...     def forward(ctx: Context, x: float) -> float:
    ...         return 3 * x
    ...
    ...     @staticmethod
    ...     def backward(ctx: Context, d_output: float) -> float:
    ...         return 3 * d_output
    >>> Triple.apply(2.0)
    Scalar(6.0)
    """

    @classmethod
    def _forward(cls, ctx: Context, *inputs: float) -> float:
        value = cls.forward(ctx, *inputs)  # type: ignore[attr-defined]
        if not isinstance(value, Real):
            raise DTypeError(
                f"Expected {cls.__name__}.forward to return a float, got {type(value).__name__}. "
                "Compute with the plain numbers that it is given."
            )
        return float(value)

    @classmethod
    def _backward(cls, ctx: Context, d_output: float) -> tuple[float, ...]:
        derivatives = cls.backward(ctx, d_output)  # type: ignore[attr-defined]
        return derivatives if isinstance(derivatives, tuple) else (derivatives,)

    @classmethod
    def apply(cls, *vals: ScalarLike) -> Scalar:
        """Compute the value of the function, and record in it how it was made, except under ``no_grad``.

        Args:
            vals: the inputs; a plain number becomes a leaf Scalar.

        Returns:
            A Scalar whose history is this function and these inputs; under ``no_grad`` a constant.

        Raises:
            DTypeError: an input is neither a number nor a Scalar, or ``forward`` returns something else than a number.
        """
        # Scalars call these functions and these functions make Scalars: one of the two imports must wait.
        from .scalar import Scalar, ScalarHistory

        inputs = [val if isinstance(val, Scalar) else Scalar(val) for val in vals]
        ctx = Context(no_grad=not grad_mode.enabled)
        value = cls._forward(ctx, *[scalar.data for scalar in inputs])
        return Scalar(value, ScalarHistory(cls, ctx, inputs) if grad_mode.enabled else None)


class Add(ScalarFunction):
    r"""Add: $f(x, y) = x + y$, with $f'_x = f'_y = 1$."""

    @staticmethod
    def forward(ctx: Context, a: float, b: float) -> float:
        """Return the sum."""
        return operators.add(a, b)

    @staticmethod
    def backward(ctx: Context, d_output: float) -> tuple[float, float]:
        """Pass the derivative on to both."""
        return d_output, d_output


class Mul(ScalarFunction):
    """Multiply: $f(x, y) = x y$, with $f'_x = y$ and $f'_y = x$."""

    @staticmethod
    def forward(ctx: Context, a: float, b: float) -> float:
        """Return the product; keep both factors."""
        ctx.save_for_backward(a, b)
        return operators.mul(a, b)

    @staticmethod
    def backward(ctx: Context, d_output: float) -> tuple[float, float]:
        """Multiply by the other factor."""
        a, b = ctx.saved_values
        return operators.mul(b, d_output), operators.mul(a, d_output)


class Neg(ScalarFunction):
    """Negate: $f(x) = -x$, with $f' = -1$."""

    @staticmethod
    def forward(ctx: Context, a: float) -> float:
        """Return the negative."""
        return operators.neg(a)

    @staticmethod
    def backward(ctx: Context, d_output: float) -> float:
        """Negate the derivative too."""
        return operators.neg(d_output)


class Inv(ScalarFunction):
    """Invert: $f(x) = 1 / x$, with $f' = -1 / x^2$."""

    @staticmethod
    def forward(ctx: Context, a: float) -> float:
        """Return the reciprocal; keep the argument."""
        ctx.save_for_backward(a)
        return operators.inv(a)

    @staticmethod
    def backward(ctx: Context, d_output: float) -> float:
        """Multiply by $-1 / x^2$."""
        (a,) = ctx.saved_values
        return operators.inv_back(a, d_output)


class Log(ScalarFunction):
    r"""Take the course's logarithm: $f(x) = \ln(x + 10^{-6})$, with $f' = 1 / (x + 10^{-6})$."""

    @staticmethod
    def forward(ctx: Context, a: float) -> float:
        """Return the logarithm; keep the argument."""
        ctx.save_for_backward(a)
        return operators.log(a)

    @staticmethod
    def backward(ctx: Context, d_output: float) -> float:
        """Divide by the shifted argument."""
        (a,) = ctx.saved_values
        return operators.log_back(a, d_output)


class Exp(ScalarFunction):
    """Take the exponential: $f(x) = e^x$, with $f' = e^x$."""

    @staticmethod
    def forward(ctx: Context, a: float) -> float:
        """Return the exponential; keep it, for it is its own derivative."""
        value = operators.exp(a)
        ctx.save_for_backward(value)
        return value

    @staticmethod
    def backward(ctx: Context, d_output: float) -> float:
        """Multiply by the value."""
        (value,) = ctx.saved_values
        return operators.mul(value, d_output)


class Sigmoid(ScalarFunction):
    r"""Apply the sigmoid: $f(x) = \sigma(x)$, with $f' = \sigma(x) (1 - \sigma(x))$."""

    @staticmethod
    def forward(ctx: Context, a: float) -> float:
        """Return the sigmoid; keep the argument, from which the derivative loses no digits."""
        ctx.save_for_backward(a)
        return operators.sigmoid(a)

    @staticmethod
    def backward(ctx: Context, d_output: float) -> float:
        """Multiply by the derivative."""
        (a,) = ctx.saved_values
        return operators.sigmoid_back(a, d_output)


class ReLU(ScalarFunction):
    r"""Apply ReLU: $f(x) = \max(x, 0)$, with $f' = 1$ above zero and 0 elsewhere."""

    @staticmethod
    def forward(ctx: Context, a: float) -> float:
        """Return the positive part; keep the argument."""
        ctx.save_for_backward(a)
        return operators.relu(a)

    @staticmethod
    def backward(ctx: Context, d_output: float) -> float:
        """Pass the derivative on where the argument is positive."""
        (a,) = ctx.saved_values
        return operators.relu_back(a, d_output)


class LT(ScalarFunction):
    """Compare: 1.0 where $x < y$, else 0.0. It is flat wherever it has a derivative."""

    @staticmethod
    def forward(ctx: Context, a: float, b: float) -> float:
        """Return 1.0 or 0.0."""
        return operators.lt(a, b)

    @staticmethod
    def backward(ctx: Context, d_output: float) -> tuple[float, float]:
        """Pass on nothing."""
        return 0.0, 0.0


class EQ(ScalarFunction):
    """Compare: 1.0 where $x = y$, else 0.0. It is flat wherever it has a derivative."""

    @staticmethod
    def forward(ctx: Context, a: float, b: float) -> float:
        """Return 1.0 or 0.0."""
        return operators.eq(a, b)

    @staticmethod
    def backward(ctx: Context, d_output: float) -> tuple[float, float]:
        """Pass on nothing."""
        return 0.0, 0.0
