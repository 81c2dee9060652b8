"""What a training takes: compiling on one side, epochs on the other."""

from __future__ import annotations

import statistics

from minitorch.training import History

__all__ = ["describe_times"]


def describe_times(history: History, more_compiling: float | None = None) -> str:
    """Tell in one line what compiling and what an epoch took.

    Args:
        history: of the training.
        more_compiling: the seconds that compiling took beside the training itself; None where nothing was compiled.
    """
    seconds = history["seconds"]
    epochs = f"{statistics.median(seconds):.2f} s (median of {len(seconds)})"
    if more_compiling is None:
        return f"Time per epoch: {epochs}, operation by operation"
    return f"Compile time: {history.compile_seconds + more_compiling:.2f} s. Time per epoch: {epochs}"
