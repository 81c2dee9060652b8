"""Metrics: numbers that people watch beside the loss, and the means of all of them over an epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, ShapeError
from ..tensor import Tensor

__all__ = ["Means", "Metric", "accuracy", "as_numpy", "batch_size", "default_metrics"]

# From the model's output and the target of a batch to its mean over the batch.
Metric = Callable[[Tensor, Any], float]


def accuracy(output: Tensor, target: Any) -> float:
    """Give the share of examples whose largest output is at the right class.

    Args:
        output: a score for each class, ``batch x class``; of equal scores the first counts.
        target: the number of each example's class, ``batch``; or a row for each, ``batch x class``, with its largest
            value there.

    Returns:
        A number from 0 to 1.

    Raises:
        ShapeError: the shapes are others, or there is no example.

    >>> from minitorch.creation import tensor
    >>> accuracy(tensor([[0.1, 0.9], [0.8, 0.2]]), tensor([1, 1], dtype="int64"))
    0.5
    """
    scores, labels = as_numpy(output), as_numpy(target)
    if scores.ndim != 2 or scores.size == 0 or labels.shape not in (scores.shape, scores.shape[:1]):
        raise ShapeError(
            f"accuracy takes scores of batch x class and as many labels, got shapes {scores.shape} and {labels.shape}. "
            "Pass a metric of your own, or metrics={} for none."
        )
    if labels.ndim == 2:
        labels = labels.argmax(axis=1)
    return float((scores.argmax(axis=1) == labels).mean())


def default_metrics(target: Any) -> Mapping[str, Metric]:
    """Choose what to watch where nothing was said: the accuracy, if the targets of a batch are numbers of classes."""
    labels = as_numpy(target)
    return {"accuracy": accuracy} if labels.ndim == 1 and labels.dtype.kind in "iu" else {}


def as_numpy(value: Any) -> npt.NDArray[Any]:
    """Give the values of a tensor or of anything that NumPy makes an array of."""
    return value.to_numpy() if isinstance(value, Tensor) else np.asarray(value)


def batch_size(x: Any, y: Any) -> int:
    """Count the examples of a batch.

    Raises:
        DataError: there are no examples, or as many inputs as targets there are not.
    """
    sizes = [len(v.shape) and v.shape[0] if hasattr(v, "shape") else len(v) for v in (x, y)]
    if sizes[0] != sizes[1] or sizes[0] == 0:
        raise DataError(
            f"expected a batch of examples and as many targets, got {sizes[0]} and {sizes[1]}. Check that inputs and "
            "labels come from the same files, and that the batch is their first dimension."
        )
    return sizes[0]


class Means:
    """Means over an epoch of the loss and of metrics, each batch weighted with its size.

    Args:
        metrics: the metrics by name.

    Attributes:
        examples: how many examples there were.
    """

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        self.metrics = metrics
        self.examples = 0
        self._sums: dict[str, float] = dict.fromkeys(("loss", *metrics), 0.0)

    def add(self, loss: float, output: Any, target: Any, size: int) -> None:
        """Count a batch of ``size`` examples."""
        self.examples += size
        self._sums["loss"] += loss * size
        for name, metric in self.metrics.items():
            self._sums[name] += metric(output, target) * size

    def read(self) -> dict[str, float]:
        """Give the means so far."""
        return {name: total / self.examples for name, total in self._sums.items()} if self.examples else {}

    def state_dict(self) -> dict[str, Any]:
        """Copy the sums."""
        return {"sums": dict(self._sums), "examples": self.examples}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from sums that were copied."""
        self._sums, self.examples = dict(state["sums"]), state["examples"]
