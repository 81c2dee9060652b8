"""Stopping at the first NaN, and saying in which layer it was born."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autodiff import no_grad
from ..errors import NaNError
from ..module import Module
from ..tensor import Tensor

__all__ = ["require_finite"]


def require_finite(
    loss: Tensor | float, model: Module, *inputs: Any, step: int, before: Sequence[Any] | None = None
) -> None:
    """Check that a loss is a finite number; otherwise find the layer that first made it anything else, and stop.

    The search runs the model once more on the same inputs, operation by operation, and looks at the output of every
    layer, so it costs nothing while all is well.

    Args:
        loss: the loss of this step, one number.
        model: what computed it.
        inputs: what the model was given.
        step: the number of the step, for the message.
        before: the values of ``model.parameters()`` that the loss was computed with, where the optimiser has replaced
            them since, as at the end of a compiled step. When the loss is not finite, the model gets them back.

    Raises:
        NaNError: the loss is NaN or infinite.
    """
    value = loss.item() if isinstance(loss, Tensor) else loss
    if np.isfinite(value):
        return
    if before is not None:
        for parameter, old in zip(model.parameters(), before, strict=True):
            parameter.value = old
    raise NaNError(
        f"the loss became {value} at step {step}: expected a finite number. {_birthplace(model, inputs)} "
        "Try a smaller learning rate, and check the scale of the inputs."
    )


def _birthplace(model: Module, inputs: tuple[Any, ...]) -> str:
    for name, parameter in model.named_parameters():
        if bad := _count(parameter.value):
            return f"The parameter {name} holds {bad} values that are not finite: the step before overshot."
    for x in inputs:
        if bad := _count(x):
            return f"The model's input holds {bad} values that are not finite."
    found: list[str] = []

    def watch(name: str, module: Module) -> None:
        forward = module.forward

        def watched(*args: Any, **kwargs: Any) -> Any:
            out = forward(*args, **kwargs)
            if not found and (bad := _count(out)):
                found.append(
                    f"It was born in {name or 'the model'} ({type(module).__name__}), whose output of shape "
                    f"{out.shape} holds {bad} values that are not finite."
                )
            return out

        module.__dict__["forward"] = watched

    named = list(model.named_modules())
    try:
        for name, module in named:
            watch(name, module)
        with no_grad():
            model(*inputs)
    finally:
        for _, module in named:
            module.__dict__.pop("forward", None)
    return found[0] if found else "Every layer's output is finite: it was born in the loss itself."


def _count(value: Any) -> int:
    return int((~np.isfinite(value.to_numpy())).sum()) if isinstance(value, Tensor) else 0
