"""The steps of a training and of an evaluation, as one program each or operation by operation."""

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

# From the inputs and the targets of a batch to its loss and the model's output.
Step = Callable[[Any, Any], tuple[Any, Any]]


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
        if not compile:  # a traced step has no values to look at
            require_finite(value, model, x, step=number())
        value.backward()
        optimizer.step()
        return value, output

    return compile_step(step) if compile else step


def evaluation_step(model: Module, loss: Loss | None, compile: bool) -> Step:
    """Make the step of an evaluation: forward alone; it gives the loss, None without one, and the model's output."""

    def step(x: Any, y: Any) -> tuple[Any, Any]:
        with no_grad():
            output = model(x)
            return None if loss is None else loss(output, y), output

    return compile_step(step) if compile else step
