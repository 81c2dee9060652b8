"""What a training takes: compiling on one side, epochs on the other."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from minitorch.training import History

__all__ = ["describe_times"]


def describe_times(history: History, evaluate: Callable[..., Any]) -> str:
    """Tell in one line what compiling and what an epoch took.

    Args:
        history: of the training.
        evaluate: what judged the model beside the training; it is compiled where the training is.
    """
    seconds = history["seconds"]
    epochs = f"{statistics.median(seconds):.2f} s (median of {len(seconds)})"
    compiling = getattr(evaluate, "compile_seconds", None)
    if compiling is None:
        return f"Time per epoch: {epochs}, operation by operation"
    return f"Compile time: {history.compile_seconds + compiling:.2f} s. Time per epoch: {epochs}"
