r"""Teach three layers to tell two kinds of points apart, one number at a time (course task 1.5).

    python project/run_scalar.py --DATASET simple --HIDDEN 10 --RATE 0.2

Every weight, every product and every sum is a Scalar, a Python object that remembers how it was made: this is all that
deep learning needs, and it is slow. run_tensor.py and run_fast_tensor.py compute the same with fewer, larger objects:
from the same seed all three have the same losses. The loop that they share is in point_training.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from command_line import mistakes_in_one_line
from point_training import PointTrain, default_log_fn, point_flags, train_and_report

import minitorch
from minitorch import Scalar

__all__ = ["Network", "ScalarTrain", "default_log_fn"]


class Linear(minitorch.Module):
    r"""A layer $y_j = \sum_i x_i w_{ij} + b_j$ whose every weight is a parameter of its own.

    Weights are drawn so that a ReLU behind them keeps the size of its input (He et al., 2015); offsets are drawn from
    [-1, 1), so that the layer's folds lie all over the unit square.
    """

    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__()
        weights = draw(in_size, out_size, bound=math.sqrt(6 / in_size))
        bias = draw(1, out_size, bound=1.0)[0]
        self.weights = [
            [self.add_parameter(f"weight_{i}_{j}", Scalar(weight)) for j, weight in enumerate(row)]
            for i, row in enumerate(weights)
        ]
        self.bias = [self.add_parameter(f"bias_{j}", Scalar(offset)) for j, offset in enumerate(bias)]

    def forward(self, inputs: Sequence[Scalar]) -> list[Scalar]:
        """Turn ``in_size`` numbers into ``out_size``."""
        outputs = []
        for j, bias in enumerate(self.bias):
            y = bias.value
            for x, row in zip(inputs, self.weights, strict=True):
                y = y + x * row[j].value
            outputs.append(y)
        return outputs


def draw(rows: int, columns: int, bound: float) -> list[list[float]]:
    """Draw numbers from the uniform distribution on [-bound, bound)."""
    draws = minitorch.default_generator.uniform((rows, columns))
    return ((draws - 0.5) * (2 * bound)).tolist()


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

    def forward(self, x: Sequence[Scalar]) -> Scalar:
        """Turn the two coordinates of a point into a probability."""
        middle = [h.relu() for h in self.layer1(x)]
        end = [h.relu() for h in self.layer2(middle)]
        return self.layer3(end)[0].sigmoid()


class ScalarTrain(PointTrain):
    """Trains a network of scalars, one point after the other.

    Args:
        hidden_layers: the number of units in each hidden layer.
    """

    def network(self) -> Network:
        """Make a fresh network."""
        return Network(self.hidden_layers)

    def run_one(self, x: Sequence[float]) -> Scalar:
        """Give the probability that a point is of class 1."""
        return self.model((Scalar(x[0], name="x_1"), Scalar(x[1], name="x_2")))

    def run_many(self, X: Sequence[Sequence[float]]) -> list[Scalar]:
        """Give the probabilities of many points."""
        return [self.run_one(x) for x in X]

    def probabilities(self, X: Sequence[Sequence[float]]) -> list[float]:
        """Give the probabilities of many points as plain numbers, without recording how."""
        with minitorch.no_grad():
            return [out.data for out in self.run_many(X)]

    def backpropagate(self, X: Sequence[Sequence[float]], y: Sequence[int]) -> float:
        """Add the gradient of a batch's mean loss to the parameters, and give the sum of its losses."""
        total_loss = 0.0
        for x, label in zip(X, y, strict=True):
            out = self.run_one(x)
            prob = out if label == 1 else 1.0 - out
            loss = -prob.log()
            # Derivatives of the points add up in the parameters, so no graph holds more than one point.
            (loss / len(X)).backward()
            total_loss += loss.data
        return total_loss

    def birthplace_of_nan(self, X: Sequence[Sequence[float]]) -> str:
        """Name the first layer that answers with something else than finite numbers."""
        rows = [[Scalar(coordinate) for coordinate in x] for x in X]
        for name, layer in zip(("layer1", "layer2", "layer3"), self.model.modules(), strict=True):
            rows = [layer(row) for row in rows]
            if not all(math.isfinite(h.data) for row in rows for h in row):
                return name
            rows = [[h.relu() for h in row] for row in rows]
        return "the loss"


def main(argv: Sequence[str] | None = None) -> ScalarTrain:
    """Train as the command line says, and return what was trained."""
    flags = point_flags("Classify points with one Python object for each number.", picture="run_scalar.png")
    return train_and_report(ScalarTrain, flags.parse_args(argv))


if __name__ == "__main__":
    with mistakes_in_one_line():
        main()
