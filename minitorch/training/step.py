"""A step that is compiled for the batches of one shape, and runs operation by operation on others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autodiff import no_grad
from ..compiler import compile as compile_step
from ..module import Module
from ..optim import Optimizer
from .finite import require_finite

__all__ = ["Loss", "Step", "evaluation_step", "training_step"]

# From the model's output and the target of a batch to one number, a tensor of one element.
Loss = Callable[[Any, Any], Any]


class Step:
    """Runs a function of a batch, compiled where the batch has the shapes of the first one.

    A program is made for one size of the batch. Most epochs end with a smaller batch, for which another program would
    take longer to make than it could ever save.

    Args:
        fn: the function, of inputs and targets.
        compile: whether to compile at all.
    """

    def __init__(self, fn: Callable[[Any, Any], Any], compile: bool) -> None:
        self.fn = fn
        self.program = compile_step(fn) if compile else fn
        self.shapes: Any = None

    def fit_to(self, x: Any, y: Any) -> None:
        """Take this batch as the first one, unless there was one before."""
        if self.shapes is None:
            self.shapes = _shapes((x, y))

    def __call__(self, x: Any, y: Any) -> Any:
        """Run it."""
        self.fit_to(x, y)
        return (self.program if _shapes((x, y)) == self.shapes else self.fn)(x, y)


def _shapes(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_shapes(v) for v in value)
    if isinstance(value, dict):
        return tuple((key, _shapes(v)) for key, v in value.items())
    return tuple(value.shape) if hasattr(value, "shape") else None


def training_step(
    model: Module, loss: Loss, optimizer: Optimizer, compile: bool, number: Callable[[], int] = lambda: 1
) -> Step:
    """Make the step of a training: forward, backward, update; it gives the loss and the model's output.

    A step that is not compiled looks at its loss before the update, and says in which layer a NaN was born; ``number``
    gives the step's number for the message.
    """

    def step(x: Any, y: Any) -> tuple[Any, Any]:
        optimizer.zero_grad()
        output = model(x)
        value = loss(output, y)
        value.backward()
        optimizer.step()
        return value, output

    def watched_step(x: Any, y: Any) -> tuple[Any, Any]:
        optimizer.zero_grad()
        output = model(x)
        value = loss(output, y)
        require_finite(value, model, x, step=number())
        value.backward()
        optimizer.step()
        return value, output

    return Step(step if compile else watched_step, compile)


def evaluation_step(model: Module, loss: Loss | None, compile: bool) -> Step:
    """Make the step of an evaluation: forward alone; it gives the loss, None without one, and the model's output."""

    def step(x: Any, y: Any) -> tuple[Any, Any]:
        with no_grad():
            output = model(x)
            return None if loss is None else loss(output, y), output

    return Step(step, compile)
