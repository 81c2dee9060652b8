"""Numbers that remember how they were made, and so know their derivatives (course module 1).

>>> x = Scalar(3.0)
>>> y = x * x + 2 * x
>>> y.backward()
>>> x.derivative
8.0
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Real

from .autodiff import Context, Variable, backpropagate, topological_sort
from .errors import DTypeError, GradientError, GraphError
from .finite_differences import derivative_range
from .scalar_functions import EQ, LT, Add, Exp, Inv, Log, Mul, Neg, ReLU, ScalarFunction, Sigmoid

__all__ = ["Scalar", "ScalarHistory", "ScalarLike", "derivative_check"]

_unique_ids = itertools.count(1)


@dataclass
class ScalarHistory:
    """How a Scalar was made.

    Attributes:
        last_fn: the function that made it; None for a leaf, which a user made.
        ctx: what that function's ``forward`` left for its ``backward``; None once the graph has been released.
        inputs: what the function was applied to.
    """

    last_fn: type[ScalarFunction] | None = None
    ctx: Context | None = None
    inputs: Sequence[Scalar] = ()


@dataclass(eq=False, repr=False, slots=True, weakref_slot=True)
class Scalar:
    """A number with a history; it behaves as a Python number wherever it can.

    Arithmetic and comparisons give Scalars (a comparison gives 1.0 or 0.0) and take plain numbers on either side.

    Attributes:
        data: the value.
        history: how it was made; None for a constant, into which no derivative flows.
        derivative: for a leaf, the derivatives of all backward passes so far, added up; None before the first.
        name: what to call it in a drawing of the graph; its number unless given.
        unique_id: a number that no other Scalar has.

    Raises:
        DTypeError: ``data`` is not a number.

    >>> Scalar(2.0) / 4 - 1
    Scalar(-0.5)
    """

    data: float
    history: ScalarHistory | None = field(default_factory=ScalarHistory)
    derivative: float | None = None
    name: str = ""
    unique_id: int = field(init=False)

    # NumPy's numbers would otherwise take a Scalar for an array of objects.
    __array_ufunc__ = None

    def __post_init__(self) -> None:
        if not isinstance(self.data, Real):
            kind = type(self.data).__name__
            hint = " Did you mean its .value?" if hasattr(self.data, "value") else " Convert it with float() first."
            raise DTypeError(f"Expected a number or a Scalar, got {kind}.{hint}")
        self.data = float(self.data)
        self.unique_id = next(_unique_ids)
        self.name = self.name or str(self.unique_id)

    def __repr__(self) -> str:
        return f"Scalar({self.data})"

    def __hash__(self) -> int:
        # Comparison by value makes no Scalar equal to another in a set's sense: each is itself only.
        return self.unique_id

    def __bool__(self) -> bool:
        return bool(self.data)

    def __float__(self) -> float:
        return self.data

    # --- arithmetic ---

    def __add__(self, b: ScalarLike) -> Scalar:
        return Add.apply(self, b)

    def __radd__(self, b: ScalarLike) -> Scalar:
        return Add.apply(b, self)

    def __sub__(self, b: ScalarLike) -> Scalar:
        return Add.apply(self, Neg.apply(b))

    def __rsub__(self, b: ScalarLike) -> Scalar:
        return Add.apply(b, Neg.apply(self))

    def __mul__(self, b: ScalarLike) -> Scalar:
        return Mul.apply(self, b)

    def __rmul__(self, b: ScalarLike) -> Scalar:
        return Mul.apply(b, self)

    def __truediv__(self, b: ScalarLike) -> Scalar:
        return Mul.apply(self, Inv.apply(b))

    def __rtruediv__(self, b: ScalarLike) -> Scalar:
        return Mul.apply(b, Inv.apply(self))

    def __neg__(self) -> Scalar:
        return Neg.apply(self)

    # --- comparisons ---

    def __lt__(self, b: ScalarLike) -> Scalar:
        return LT.apply(self, b)

    def __gt__(self, b: ScalarLike) -> Scalar:
        return LT.apply(b, self)

    def __le__(self, b: ScalarLike) -> Scalar:
        return LT.apply(self, b) + EQ.apply(self, b)

    def __ge__(self, b: ScalarLike) -> Scalar:
        return LT.apply(b, self) + EQ.apply(self, b)

    def __eq__(self, b: object) -> Scalar:  # type: ignore[override]
        if not isinstance(b, (Real, Scalar)):
            # Python then answers False, so that `x == None` and a search in a mixed list work.
            return NotImplemented
        return EQ.apply(self, b)  # type: ignore[arg-type]

    def __ne__(self, b: object) -> Scalar:  # type: ignore[override]
        if not isinstance(b, (Real, Scalar)):
            return NotImplemented
        return 1.0 - EQ.apply(self, b)  # type: ignore[arg-type]

    # --- functions ---

    def log(self) -> Scalar:
        r"""Take the course's logarithm, $\ln(x + 10^{-6})$."""
        return Log.apply(self)

    def exp(self) -> Scalar:
        """Take the exponential, $e^x$."""
        return Exp.apply(self)

    def sigmoid(self) -> Scalar:
        r"""Apply the sigmoid, $1 / (1 + e^{-x})$."""
        return Sigmoid.apply(self)

    def relu(self) -> Scalar:
        r"""Apply ReLU, $\max(x, 0)$."""
        return ReLU.apply(self)

    # --- differentiation: the contract of autodiff.Variable ---

    def is_leaf(self) -> bool:
        """Tell whether a user made this Scalar, rather than a function."""
        return self.history is not None and self.history.last_fn is None

    def is_constant(self) -> bool:
        """Tell whether no derivative flows into this Scalar."""
        return self.history is None

    @property
    def parents(self) -> Iterable[Variable]:
        """The inputs of the function that made this Scalar; none for a leaf or a constant."""
        return () if self.history is None else self.history.inputs

    def accumulate_derivative(self, x: float) -> None:
        """Add ``x`` to the derivative of this leaf.

        Raises:
            GraphError: this is no leaf.
        """
        if not self.is_leaf():
            raise GraphError(
                f"Expected a leaf to keep a derivative in, got {self!r}, which a function made or which is constant. "
                "Only a Scalar that you made from a number keeps one."
            )
        self.derivative = x if self.derivative is None else self.derivative + x

    def chain_rule(self, d_output: float) -> Iterable[tuple[Scalar, float]]:
        """Carry a derivative one step back (task 1.3).

        Args:
            d_output: the derivative of the final quantity with respect to this Scalar.

        Returns:
            Each input of the function that made this Scalar, with the derivative with respect to it.

        Raises:
            GraphError: no function made this Scalar, its graph has been released, or the function's ``backward``
                returned more or fewer derivatives than there are inputs.

        >>> x = Scalar(3.0)
        >>> list((x * 5.0).chain_rule(2.0))
        [(Scalar(3.0), 10.0), (Scalar(5.0), 6.0)]
        """
        if self.history is None or self.history.last_fn is None:
            raise GraphError(
                f"Expected a Scalar that a function made, got {self!r}, a leaf or a constant. Ask is_leaf() and "
                "is_constant() first: the chain rule ends there."
            )
        function, ctx, inputs = self.history.last_fn, self.history.ctx, self.history.inputs
        if ctx is None:
            raise GraphError(
                f"Expected a recorded graph behind {self!r}, but a backward pass has released it. "
                "Pass retain_graph=True to that one, or compute the value again."
            )
        derivatives = function._backward(ctx, d_output)
        if len(derivatives) != len(inputs):
            raise GraphError(
                f"Expected {function.__name__}.backward to return {len(inputs)} derivatives, one for each input, "
                f"got {len(derivatives)}. Return a tuple in the order of forward's inputs."
            )
        return list(zip(inputs, derivatives))

    def release_graph(self) -> None:
        """Forget the inputs and what was saved for them; a later backward pass through here raises GraphError."""
        if self.history is not None and self.history.last_fn is not None:
            self.history = ScalarHistory(self.history.last_fn)

    def backward(self, d_output: float | None = None, retain_graph: bool = True) -> None:
        """Add the derivative of this Scalar to every leaf that it was made from (task 1.4).

        Args:
            d_output: the derivative of the final quantity with respect to this Scalar; 1.0 unless given.
            retain_graph: keep the graph, as the course does, so that it can be drawn or differentiated again; False
                frees it on the way.

        Raises:
            GraphError: this is a constant, or a part of the graph has been released before.

        >>> a = Scalar(1.0)
        >>> b = a + a
        >>> c = b + b
        >>> c.backward()
        >>> a.derivative
        4.0
        """
        if self.is_constant():
            raise GraphError(
                f"Expected a Scalar with a history to differentiate, got the constant {self!r}. Compute it from "
                "Scalars, outside no_grad()."
            )
        backpropagate(self, 1.0 if d_output is None else d_output, retain_graph)


ScalarLike = float | int | Scalar


def derivative_check(f: Callable[..., Scalar], *scalars: ScalarLike) -> None:
    r"""Check the derivatives that backpropagation finds for ``f`` against slopes found from its values alone.

    Each derivative must be within 0.5 % of the slope, or as near as float64 lets the slope be known. At a kink or a
    jump, any value between the slopes to the left and to the right is accepted. Where ``f`` is defined on one side
    only, that side decides; where it has no finite value, no derivative is wrong.

    Args:
        f: a function of ``len(scalars)`` Scalars that returns one.
        scalars: the point to check at; their own derivatives stay as they are.

    Raises:
        GradientError: a derivative is wrong; the message says which, and what was expected.
        DTypeError: ``f`` returns no Scalar.

    >>> derivative_check(lambda x, y: x * y.exp(), Scalar(2.0), Scalar(0.5))
    """
    point = [float(x) for x in scalars]
    leaves = [Scalar(x) for x in point]
    out = f(*leaves)
    if not isinstance(out, Scalar):
        raise DTypeError(
            f"Expected the function to return a Scalar, got {type(out).__name__}. Compute with the Scalars it is given."
        )
    out.backward()
    rounding = _rounding_error(out)
    for i, leaf in enumerate(leaves):

        def displaced(t: float, i: int = i) -> float:
            return f(*[Scalar(x + t if j == i else x) for j, x in enumerate(point)]).data

        derivative = 0.0 if leaf.derivative is None else leaf.derivative
        low, high = derivative_range(displaced, max(1.0, abs(point[i])), rounding)
        if (low, high) != (-math.inf, math.inf) and not low <= derivative <= high:
            raise GradientError(
                f"Expected a derivative between {low:.6g} and {high:.6g} with respect to argument {i} at "
                f"{tuple(point)}, got {derivative:.6g} from backward. Look for the function whose backward is wrong."
            )


def _rounding_error(out: Scalar) -> float:
    r"""Bound how far rounding may move ``out``: $\epsilon \sum_v |v \cdot \partial\,\mathrm{out} / \partial v|$.

    The sum is over its graph: every intermediate value is rounded once, and its derivative says how much of that
    reaches the result.
    """
    derivatives = {out.unique_id: 1.0}
    total = 0.0
    for scalar in topological_sort(out):
        derivative = derivatives.pop(scalar.unique_id, 0.0)
        share = abs(scalar.data * derivative)
        # An infinite derivative says nothing about rounding, and must not excuse itself.
        total += share if math.isfinite(share) else 0.0
        if not scalar.is_leaf():
            for parent, d_parent in scalar.chain_rule(derivative):
                derivatives[parent.unique_id] = derivatives.get(parent.unique_id, 0.0) + d_parent
    return math.ulp(1.0) * total
