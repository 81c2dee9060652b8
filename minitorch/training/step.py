"""The steps of a training and of an evaluation, as one program each or operation by operation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..autodiff import no_grad
from ..clipping import clip_grad_norm_
from ..compiler import compile as compile_step
from ..module import Module
from ..optim import Optimizer
from .finite import require_finite

__all__ = ["EvaluationStep", "Loss", "TrainingStep"]

# From the model's output and the target of a batch to one number, a tensor of one element.
Loss = Callable[[Any, Any], Any]


class TrainingStep:
    """Learns from a batch: forward, backward, clipping, update.

    Args:
        model: what learns.
        loss: gives the mean loss of a batch from output and target.
        optimizer: moves the model's parameters.
        compile: run all of it as one program.
        clip_norm: the largest norm that all gradients together may have; None for any.
    """

    def __init__(
        self, model: Module, loss: Loss, optimizer: Optimizer, compile: bool, clip_norm: float | None = None
    ) -> None:
        def step(x: Any, y: Any) -> tuple[Any, Any]:
            optimizer.zero_grad()
            output = model(x)
            value = loss(output, y)
            value.backward()
            if clip_norm is not None:
                clip_grad_norm_(model.parameters(), clip_norm)
            optimizer.step()
            return value, output

        self._model, self._optimizer = model, optimizer
        self._parameters = list(model.parameters())
        # What holds the values that a step replaces, beside the optimiser's state.
        self._held = [vars(held) for held in (*self._parameters, *model.buffers())]
        self._step = compile_step(step) if compile else step

    @property
    def compile_seconds(self) -> float:
        """The time that compiling has taken."""
        return _compile_seconds(self._step)

    def __call__(self, x: Any, y: Any, number: int = 1) -> tuple[float, Any]:
        """Learn from a batch.

        Args:
            x: the inputs.
            y: the targets.
            number: of the step, for a message.

        Returns:
            The loss, and the model's output.

        Raises:
            NaNError: the loss is not a finite number. The model has the parameters and the running averages from before
                the step again, the optimiser its averages, and the message names the layer.
        """
        state = self._optimizer.state
        before = [(held, dict(held)) for held in (*self._held, *state.values())]
        known = set(state)
        value, output = self._step(x, y)
        loss = value.item()
        if not math.isfinite(loss):
            parameters = [values["_value"] for _, values in before[: len(self._parameters)]]
            try:
                require_finite(loss, self._model, x, step=number, before=parameters)
            finally:  # behind the search, which runs the model
                for held, values in before:
                    held.update(values)
                for i in state.keys() - known:
                    del state[i]
        return loss, output


class EvaluationStep:
    """Measures a batch: forward alone, in the mode that the model is in.

    The programs stay with the model, and whoever measures it again finds them.

    Args:
        model: what is measured.
        loss: gives the mean loss of a batch from output and target; None leaves it out.
        compile: run all of it as one program.
    """

    def __init__(self, model: Module, loss: Loss | None, compile: bool) -> None:
        self._step = (compiled_evaluation if compile else _evaluation).__get__(model)
        self._loss = loss

    @property
    def compile_seconds(self) -> float:
        """The time that compiling has taken, with that of earlier steps for this model."""
        return _compile_seconds(self._step)

    def __call__(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Give the loss of a batch, None without one, and the model's output."""
        return self._step(self._loss, x, y)


def _evaluation(model: Module, loss: Loss | None, x: Any, y: Any) -> tuple[Any, Any]:
    with no_grad():
        output = model(x)
        return None if loss is None else loss(output, y), output


# As a method of the model, for which it is compiled once; a copy's is its own.
compiled_evaluation = compile_step(_evaluation)


def _compile_seconds(step: Any) -> float:
    """Give the time that compiling a step has taken; none where it is plain Python."""
    return getattr(step, "compile_seconds", 0.0)
