"""Measuring a model on data that it does not learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..errors import DataError
from ..module import Module
from .metrics import Means, Metric, batch_size, default_metrics
from .step import EvaluationStep, Loss

__all__ = ["evaluate", "measure"]


def evaluate(
    model: Module,
    data: Iterable[tuple[Any, Any]],
    *,
    loss: Loss | None = None,
    metrics: Mapping[str, Metric] | None = None,
    compile: bool = True,
) -> dict[str, float]:
    """Give the mean loss and metrics of a model over batches, in evaluation mode and without gradients.

    Args:
        model: the model, which comes back in the mode that it was in.
        data: batches of inputs and targets, such as a ``DataLoader`` gives.
        loss: gives the mean loss of a batch from output and target; left out where nobody wants it.
        metrics: functions of output and target by name, each a mean over the batch; :func:`accuracy` when left out and
            the targets are numbers of classes.
        compile: run one program a batch; model and data must be on ``minitorch.FastBackend`` or a GPU.

    Returns:
        The means by name, weighted with the sizes of the batches.

    Raises:
        DataError: there are no batches, or inputs and targets of different length.

    >>> from minitorch.creation import tensor
    >>> from minitorch.layers import Identity
    >>> batches = [(tensor([[0.2, 0.8], [0.6, 0.4]]), tensor([1, 1], dtype="int64"))]
    >>> evaluate(Identity(), batches, compile=False)
    {'accuracy': 0.5}
    """
    means = measure(model, data, EvaluationStep(model, loss, compile), metrics).read()
    return means if loss is not None else {name: value for name, value in means.items() if name != "loss"}


def measure(
    model: Module,
    data: Iterable[tuple[Any, Any]],
    step: EvaluationStep,
    metrics: Mapping[str, Metric] | None,
    between: Callable[[], None] = lambda: None,
) -> Means:
    """Run an evaluation's step over batches.

    Args:
        model: the model, which comes back in the mode that it was in.
        data: batches of inputs and targets.
        step: what computes a batch.
        metrics: as in :func:`evaluate`.
        between: called after each batch.
    """
    modes = [(module, module.training) for _, module in model.named_modules()]
    means = None
    model.eval()
    try:
        for x, y in data:
            means = means or Means(default_metrics(y) if metrics is None else metrics)
            size = batch_size(x, y)
            value, output = step(x, y)
            means.add(0.0 if value is None else value.item(), output, y, size)
            between()
    finally:
        for module, training in modes:
            module.training = training
    if means is None:
        raise DataError("expected at least one batch to measure on, got none. Check the data's size and drop_last.")
    return means
