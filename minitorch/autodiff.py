r"""Reverse-mode automatic differentiation, for scalars and tensors alike (course module 1).

A *variable* remembers the function that made it and that function's inputs, so a result is the root of a
directed acyclic graph. Backpropagation visits the graph from the result to its inputs and applies the chain rule

$$\frac{\partial z}{\partial x} = \sum_i \frac{\partial z}{\partial y_i}\,\frac{\partial y_i}{\partial x}$$

once for every variable, after all of its uses have been visited. That order is why a topological sort is
needed: in ``b = a + a; c = b + b`` a walk in any other order would send a part of ``c``'s derivative to ``a``
before ``b`` has received all of its own.

Nothing here knows what a variable holds: :class:`Variable` is the whole contract.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ContextDecorator
from dataclasses import dataclass, field
from threading import local
from typing import Any, Protocol

__all__ = [
    "Context",
    "Variable",
    "backpropagate",
    "central_difference",
    "enable_grad",
    "is_grad_enabled",
    "no_grad",
    "topological_sort",
]


def central_difference(f: Callable[..., Any], *vals: Any, arg: int = 0, epsilon: float = 1e-6) -> Any:
    r"""Estimate the derivative of ``f`` with respect to one argument from two evaluations.

    $$\frac{\partial f}{\partial x_\mathrm{arg}} \approx
      \frac{f(\dots, x_\mathrm{arg} + \epsilon, \dots) - f(\dots, x_\mathrm{arg} - \epsilon, \dots)}{2\epsilon}$$

    The error is of order $\epsilon^2$ for a smooth function (course module 1, task 1.1).

    Args:
        f: a function of ``len(vals)`` numbers (or scalars) that returns one.
        vals: the point $x_0, \dots, x_{n-1}$.
        arg: which argument to move.
        epsilon: the step; 1e-6 balances truncation against rounding in float64.

    >>> round(central_difference(lambda x, y: x * y, 3.0, 5.0, arg=1), 6)
    3.0
    """
    above, below = list(vals), list(vals)
    above[arg] = vals[arg] + epsilon
    below[arg] = vals[arg] - epsilon
    return (f(*above) - f(*below)) / (2.0 * epsilon)


class _GradMode(local):
    """Whether tensor functions remember how their results were made, in this thread."""

    enabled = True

    def __init__(self) -> None:
        self.before: list[bool] = []  # what each block that this thread is inside of found


grad_mode = _GradMode()


class _SetGrad(ContextDecorator):
    """Switch recording on or off inside a ``with`` block or a decorated function."""

    enabled: bool

    def __enter__(self) -> None:
        grad_mode.before.append(grad_mode.enabled)
        grad_mode.enabled = self.enabled

    def __exit__(self, *_: object) -> None:
        grad_mode.enabled = grad_mode.before.pop()


class no_grad(_SetGrad):
    """Compute without remembering how: faster, and nothing is kept for a backward pass.

    >>> with no_grad():
    ...     is_grad_enabled()
    False
    """

    enabled = False


class enable_grad(_SetGrad):
    """Remember again, inside a :class:`no_grad` block."""

    enabled = True


def is_grad_enabled() -> bool:
    """Tell whether tensor functions remember how their results were made."""
    return grad_mode.enabled


class Variable(Protocol):
    """What backpropagation needs from a value: :class:`Scalar` and :class:`Tensor` both provide it."""

    @property
    def unique_id(self) -> int:
        """A number that no other living variable has."""
        ...

    @property
    def parents(self) -> Iterable[Variable]:
        """The inputs of the function that made this variable."""
        ...

    def is_leaf(self) -> bool:
        """True when a user made this variable and derivatives are to be kept in it."""
        ...

    def is_constant(self) -> bool:
        """True when no derivative flows into this variable."""
        ...

    def accumulate_derivative(self, x: Any) -> None:
        """Add ``x`` to the derivative kept in this leaf."""
        ...

    def chain_rule(self, d_output: Any) -> Iterable[tuple[Any, Any]]:
        """Pair each input with its share of the derivative ``d_output`` of this variable."""
        ...

    def release_graph(self) -> None:
        """Forget how this variable was made, so that what was saved for it can be freed."""
        ...


@dataclass
class Context:
    """What a function's ``forward`` leaves for its ``backward``.

    Attributes:
        no_grad: nothing will be differentiated, so nothing needs to be kept.
        saved_values: the values given to :meth:`save_for_backward`.
        needs_input_grad: for each input, whether its derivative is wanted. A context that a person made wants both
            (no function has more than two operands that it treats differently).
        output: the function's own result, present while ``backward`` runs (a function such as exp, whose
            derivative is its value, needs no second copy and makes no reference cycle).

    >>> ctx = Context()
    >>> ctx.save_for_backward(3.0, 4.0)
    >>> ctx.saved_values
    (3.0, 4.0)
    """

    no_grad: bool = False
    saved_values: tuple[Any, ...] = ()
    needs_input_grad: tuple[bool, ...] = (True, True)
    output: Any = field(default=None, repr=False)

    def save_for_backward(self, *values: Any) -> None:
        """Keep ``values`` until the backward pass; a no-op when nothing will be differentiated."""
        if not self.no_grad:
            self.saved_values = values

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The same as :attr:`saved_values`, under the name that PyTorch uses."""
        return self.saved_values


def topological_sort(variable: Variable) -> Sequence[Any]:
    """List every non-constant variable that ``variable`` depends on, each before all of its inputs.

    The walk keeps its own stack instead of recursing, so a chain of 100,000 operations is no problem.

    Args:
        variable: the result at the right-most end of the graph.

    Returns:
        The variables from ``variable`` itself to the leaves.
    """
    finished: list[Variable] = []
    if variable.is_constant():
        return finished
    seen = {variable.unique_id}
    # A depth-first walk: a variable is finished once all that it depends on is.
    stack = [(variable, iter(_inputs(variable)))]
    while stack:
        current, inputs = stack[-1]
        for parent in inputs:
            if parent.unique_id not in seen and not parent.is_constant():
                seen.add(parent.unique_id)
                stack.append((parent, iter(_inputs(parent))))
                break
        else:
            finished.append(current)
            stack.pop()
    finished.reverse()
    return finished


def _inputs(variable: Variable) -> Iterable[Variable]:
    return () if variable.is_leaf() else variable.parents


def backpropagate(variable: Variable, deriv: Any, retain_graph: bool = True) -> None:
    """Send ``deriv`` from ``variable`` to every leaf that it depends on (course module 1, task 1.4).

    Args:
        variable: the result to differentiate.
        deriv: the derivative of the final quantity with respect to ``variable``.
        retain_graph: keep what the functions saved, so that the graph can be used again; otherwise each variable
            forgets its function as soon as its derivative has been passed on.
    """
    pending = {variable.unique_id: deriv}
    remaining = list(reversed(topological_sort(variable)))
    while remaining:
        # Popping drops our own reference too, so that a released variable's memory is free at once.
        current = remaining.pop()
        # A variable reached only through functions that have no derivative for it receives none.
        if (d_current := pending.pop(current.unique_id, None)) is None:
            continue
        if current.is_leaf():
            current.accumulate_derivative(d_current)
            continue
        for parent, d_parent in current.chain_rule(d_current):
            if d_parent is None or parent.is_constant():
                continue
            earlier = pending.get(parent.unique_id)
            pending[parent.unique_id] = d_parent if earlier is None else earlier + d_parent
        if not retain_graph:
            current.release_graph()
