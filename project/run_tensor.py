r"""Teach three layers to tell two kinds of points apart, with tensors computed in plain Python (course task 2.5).

    python project/run_tensor.py --DATASET xor --HIDDEN 10 --RATE 0.2

The network is the one of run_scalar.py, and so are the draws and the order of the points: the same seed gives the same
losses. There a number was a Python object; here a whole batch is one tensor. run_fast_tensor.py is this script on
compiled kernels. The loop that all three share is in point_training.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from command_line import mistakes_in_one_line
from point_training import PointTrain, default_log_fn, point_flags, train_and_report

import minitorch

__all__ = ["Network", "TensorTrain", "default_log_fn"]


def RParam(*shape: int, bound: float) -> minitorch.Parameter:
    """Draw a parameter from the uniform distribution on [-bound, bound)."""
    return minitorch.Parameter((minitorch.rand(shape) - 0.5) * (2 * bound))


class Linear(minitorch.Module):
    r"""A layer $y_j = \sum_i x_i w_{ij} + b_j$, as a product of expanded tensors and a sum.

    Weights are drawn so that a ReLU behind them keeps the size of its input (He et al., 2015); offsets are drawn from
    [-1, 1), so that the layer's folds lie all over the unit square.
    """

    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__()
        self.weights = RParam(in_size, out_size, bound=math.sqrt(6 / in_size))
        self.bias = RParam(out_size, bound=1.0)
        self.out_size = out_size

    def forward(self, x: minitorch.Tensor) -> minitorch.Tensor:
        """Turn ``batch x in_size`` into ``batch x out_size``."""
        batch, in_size = x.shape
        products = x.view(batch, in_size, 1) * self.weights.value.view(1, in_size, self.out_size)
        return products.sum(1).view(batch, self.out_size) + self.bias.value


class Network(minitorch.Module):
    """Two hidden layers with ReLU, and a sigmoid that gives the probability of class 1."""

    def __init__(self, hidden_layers: int) -> None:
        super().__init__()
        if hidden_layers < 1:
            raise minitorch.ArgumentError(
                f"a hidden layer has at least one unit, got {hidden_layers}. Pass --HIDDEN 10, for example."
            )
        self.layer1 = Linear(2, hidden_layers)
        self.layer2 = Linear(hidden_layers, hidden_layers)
        self.layer3 = Linear(hidden_layers, 1)

    def forward(self, x: minitorch.Tensor) -> minitorch.Tensor:
        """Turn points, ``batch x 2``, into probabilities, ``batch x 1``."""
        middle = self.layer1(x).relu()
        end = self.layer2(middle).relu()
        return self.layer3(end).sigmoid()


class TensorTrain(PointTrain):
    """Trains a network of tensors, a batch at once.

    Args:
        hidden_layers: the number of units in each hidden layer.
    """

    def network(self) -> minitorch.Module:
        """Make a fresh network."""
        return Network(self.hidden_layers)

    def tensor(self, values: Any) -> minitorch.Tensor:
        """Turn numbers into a tensor for the network."""
        return minitorch.tensor(values)

    def run_one(self, x: Sequence[float]) -> minitorch.Tensor:
        """Give the probability that one point is of class 1, as a tensor of shape (1, 1)."""
        return self.run_many([x])

    def run_many(self, X: Sequence[Sequence[float]]) -> minitorch.Tensor:
        """Give the probabilities of many points, ``batch x 1``."""
        return self.model(self.tensor(X))

    def probabilities(self, X: Sequence[Sequence[float]]) -> npt.NDArray[np.float64]:
        """Give the probabilities of many points as an array, without recording how."""
        with minitorch.no_grad():
            return self.run_many(X).to_numpy()[:, 0]

    def backpropagate(self, X: Sequence[Sequence[float]], y: Sequence[int]) -> float:
        """Add the gradient of a batch's mean loss to the parameters, and give the sum of its losses."""
        out = self.run_many(X).view(len(X))
        labels = self.tensor(y)
        # The probability of the right class: out where the label is 1, and 1 - out where it is 0.
        prob = out * labels + (out - 1.0) * (labels - 1.0)
        loss = -prob.log()
        loss.mean().backward()
        return loss.sum()[0]

    def birthplace_of_nan(self, X: Sequence[Sequence[float]]) -> str:
        """Name the first layer that answers with something else than finite numbers."""
        x = self.tensor(X)
        for name, layer in zip(("layer1", "layer2", "layer3"), self.model.modules(), strict=True):
            x = layer(x)
            if not np.isfinite(x.to_numpy()).all():
                return name
            x = x.relu()
        return "the loss"


def main(argv: Sequence[str] | None = None) -> TensorTrain:
    """Train as the command line says, and return what was trained."""
    flags = point_flags("Classify points with tensors in plain Python.", picture="run_tensor.png")
    return train_and_report(TensorTrain, flags.parse_args(argv))


if __name__ == "__main__":
    with mistakes_in_one_line():
        main()
