"""What every differentiable operation on tensors is: a forward, a backward, and how its result remembers them.

The operations themselves are in :mod:`minitorch.tensor_functions` and in the files that stand on it (course module 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeGuard

from .autodiff import Context, grad_mode
from .cells import tracing
from .errors import BackendError, DTypeError

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "Function",
    "History",
    "Places",
    "count_writes",
    "explain_mix",
    "is_tensor",
    "not_a_tensor",
    "require_tensor",
]


@dataclass(slots=True)
class History:
    """How a tensor was made.

    Attributes:
        last_fn: the function; None for a leaf.
        ctx: what its forward saved; None once the graph has been freed.
        inputs: what it was applied to.
        version: how often its inputs and its result had been written when it ran.
    """

    last_fn: type[Function] | None = None
    ctx: Context | None = None
    inputs: Sequence[Any] = ()
    version: int = 0


class Function:
    """A differentiable operation. A subclass gives ``forward(ctx, *inputs)`` and ``backward(ctx, d)``.

    Inputs are tensors first; further arguments may be numbers, tuples or flags, which have no derivative.
    ``backward`` returns one gradient for each input: anything, or nothing at the end, for those that are not tensors;
    None where ``ctx.needs_input_grad`` says that it is not wanted. A gradient may have the broadcast shape: it is
    summed to the input's shape afterwards.
    """

    registry: ClassVar[list[type[Function]]] = []

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Function.registry.append(cls)

    @classmethod
    def _forward(cls, ctx: Context, *inputs: Any) -> Tensor:
        return cls.forward(ctx, *inputs)  # type: ignore[attr-defined]

    @classmethod
    def _backward(cls, ctx: Context, d: Tensor) -> tuple[Any, ...]:
        gradients = cls.backward(ctx, d)  # type: ignore[attr-defined]
        return gradients if isinstance(gradients, tuple) else (gradients,)

    @classmethod
    def apply(cls, *inputs: Any) -> Any:
        """Run the forward and, when an input asks for gradients and they are enabled, remember how.

        Raises:
            BackendError: the tensors live on different backends.
            DTypeError: the tensors have different element types, or something else is given in the place of one.
        """
        if tracing.tracer is not None:
            inputs = tracing.tracer.lift(inputs)
        try:
            first = inputs[0]
            kind = type(first)
            recording = False
            for x in inputs:
                if isinstance(x, kind):
                    if x.backend is not first.backend or x._tensor._storage.dtype != first._tensor._storage.dtype:
                        explain_mix(cls.__name__, first, x)
                    recording = recording or x.history is not None
            if not (recording and grad_mode.enabled):
                return cls._forward(Context(no_grad=True), *inputs)

            ctx = Context(needs_input_grad=tuple(isinstance(x, kind) and x.history is not None for x in inputs))
            grad_mode.enabled = False
            try:
                out = cls._forward(ctx, *inputs)
            finally:
                grad_mode.enabled = True
        except AttributeError as error:
            # To ask every input what it is would slow every operation down; a mistake can wait for its explanation.
            if error.name and any(error.obj is x for x in inputs) and not hasattr(error.obj, "_tensor"):
                raise not_a_tensor(cls.__name__, error.obj) from error
            raise
        if any(x is out for x in inputs):  # an input handed through must keep its own history
            out = out._new(out._tensor)
        out.history = History(cls, ctx, inputs, count_writes(inputs) + out._tensor._version[0])
        return out


@dataclass(frozen=True, slots=True)
class Places:
    """Places of elements: an integer tensor, wrapped so that a function takes it as an argument, not as an operand."""

    places: Tensor


def count_writes(inputs: Sequence[Any]) -> int:
    """Count how often the tensors among a function's inputs have been written; masks and places are among them."""
    count = 0
    for x in inputs:
        if isinstance(x, Places):
            x = x.places
        if is_tensor(x):
            count += x._tensor._version[0]
    return count


def is_tensor(x: Any) -> TypeGuard[Tensor]:
    """Tell whether something is a tensor, whose class is defined on top of these functions."""
    return hasattr(x, "_tensor")


def not_a_tensor(name: str, given: Any) -> DTypeError:
    """Make the exception for a function that was given something else in the place of a tensor."""
    return DTypeError(
        f"{name} expected a tensor, got {type(given).__name__}. Make a tensor of it first: minitorch.tensor(...)."
    )


def require_tensor(name: str, given: Any) -> Tensor:
    """Give what a function was given back if it is a tensor.

    Raises:
        DTypeError: it is something else.
    """
    if not is_tensor(given):
        raise not_a_tensor(name, given)
    return given


def explain_mix(name: str, a: Tensor, b: Tensor) -> NoReturn:
    """Say in what two tensors differ that cannot be combined.

    Raises:
        BackendError: they live on different backends.
        DTypeError: they have different element types.
    """
    if a.backend is not b.backend:
        for data in (a._tensor, b._tensor):
            if (tracer := getattr(data, "tracer", None)) is not None:  # left behind by a compiled step
                tracer.refuse_reading()
        raise BackendError(
            f"{name}: one tensor is on {a.backend}, the other on {b.backend}. Nothing is moved silently: make both "
            "on one backend, or move one with t.to(backend)."
        )
    if "b" in (a.dtype.kind, b.dtype.kind):
        remedy = "convert the truth values, mask.to(x.dtype), or choose with minitorch.where(mask, x, 0.0)"
    else:
        remedy = 'make both with the same dtype=, or convert one with x.to(y.dtype) or t.to("float32")'
    raise DTypeError(f"{name}: one tensor is {a.dtype}, the other {b.dtype}. Nothing is converted silently: {remedy}.")
