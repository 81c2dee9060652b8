r"""Teach three layers to tell two kinds of points apart, one number at a time (course task 1.5).

    python project/run_scalar.py --DATASET simple --HIDDEN 10 --RATE 0.2

Every weight, every product and every sum is a Scalar, a Python object that remembers how it was made: this is all that
deep learning needs, and it is slow. run_tensor.py and run_fast_tensor.py compute the same with fewer, larger objects:
from the same seed all three have the same losses.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from decision_boundary import Picture

import minitorch
from minitorch import Scalar

BATCH = 10

LogFn = Callable[[int, float, int, list[float]], None]


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
            raise minitorch.ArgumentError(f"a hidden layer has at least one unit, got {hidden_layers}")
        self.layer1 = Linear(2, hidden_layers)
        self.layer2 = Linear(hidden_layers, hidden_layers)
        self.layer3 = Linear(hidden_layers, 1)

    def forward(self, x: Sequence[Scalar]) -> Scalar:
        """Turn the two coordinates of a point into a probability."""
        middle = [h.relu() for h in self.layer1(x)]
        end = [h.relu() for h in self.layer2(middle)]
        return self.layer3(end)[0].sigmoid()


def default_log_fn(epoch: int, total_loss: float, correct: int, losses: list[float]) -> None:
    """Print one line."""
    print(f"Epoch {epoch:4d}  loss {total_loss:9.4f}  correct {correct}", flush=True)


def birthplace_of_nan(model: Network, x: Sequence[Scalar]) -> str:
    """Name the first layer that answers with something else than finite numbers."""
    for name, layer in zip(("layer1", "layer2", "layer3"), model.modules(), strict=True):
        x = layer(x)
        if not all(math.isfinite(h.data) for h in x):
            return name
        x = [h.relu() for h in x]
    return "the loss"


class ScalarTrain:
    """A network and the loop that trains it.

    Args:
        hidden_layers: the number of units in each hidden layer.

    Attributes:
        losses: the loss of each epoch of the last training.
        seconds: the time of each epoch.
    """

    def __init__(self, hidden_layers: int) -> None:
        self.hidden_layers = hidden_layers
        self.model = Network(hidden_layers)
        self.losses: list[float] = []
        self.seconds: list[float] = []

    def run_one(self, x: Sequence[float]) -> Scalar:
        """Give the probability that a point is of class 1."""
        return self.model((Scalar(x[0], name="x_1"), Scalar(x[1], name="x_2")))

    def run_many(self, X: Sequence[Sequence[float]]) -> list[Scalar]:
        """Give the probabilities of many points."""
        return [self.run_one(x) for x in X]

    def probabilities(self, X: Sequence[Sequence[float]]) -> list[float]:
        """Give the probabilities of many points as plain numbers."""
        return [out.data for out in self.run_many(X)]

    def correct(self, data: minitorch.Graph) -> int:
        """Count the points that end up on their own side of one half."""
        return sum((p > 0.5) == y for p, y in zip(self.probabilities(data.X), data.y, strict=True))

    def train(
        self, data: minitorch.Graph, learning_rate: float, max_epochs: int = 500, log_fn: LogFn = default_log_fn
    ) -> None:
        """Train a fresh network by stochastic gradient descent, ten points a step.

        The loss of an epoch is the sum over the points of the negative logarithm of the probability given to their
        class, each taken before the step of its batch.

        Args:
            data: the points.
            learning_rate: the step size; gradients are averaged over a batch.
            max_epochs: how often every point is seen.
            log_fn: called as ``log_fn(epoch, total_loss, correct, losses)`` every tenth epoch and after the last.

        Raises:
            ArgumentError: there are no points or no epochs.
            NaNError: the loss is no longer a finite number.
        """
        if data.N < 1 or max_epochs < 1:
            raise minitorch.ArgumentError(
                f"training needs at least one point and one epoch, got {data.N} points and {max_epochs} epochs"
            )
        self.model = Network(self.hidden_layers)
        self.losses, self.seconds = [], []
        optim = minitorch.SGD(self.model.parameters(), learning_rate)

        for epoch in range(1, max_epochs + 1):
            start = time.perf_counter()
            total_loss = 0.0
            order = minitorch.default_generator.permutation(data.N).tolist()
            for step, first in enumerate(range(0, data.N, BATCH), start=1):
                batch = order[first : first + BATCH]

                optim.zero_grad()
                for i in batch:
                    out = self.run_one(data.X[i])
                    prob = out if data.y[i] == 1 else 1.0 - out
                    loss = -prob.log()
                    total_loss += loss.data
                    if not math.isfinite(total_loss):
                        x = [Scalar(coordinate) for coordinate in data.X[i]]
                        raise minitorch.NaNError(
                            f"epoch {epoch}, step {step}: the loss is {total_loss}. The first numbers that are not "
                            f"finite come out of {birthplace_of_nan(self.model, x)}. Choose a smaller learning rate."
                        )
                    # Derivatives of the points add up in the parameters, so no graph holds more than one point.
                    (loss / len(batch)).backward()
                optim.step()
            self.seconds.append(time.perf_counter() - start)
            self.losses.append(total_loss)
            if epoch % 10 == 0 or epoch == max_epochs:
                log_fn(epoch, total_loss, self.correct(data), self.losses)


def main(argv: Sequence[str] | None = None) -> ScalarTrain:
    """Train as the command line says, and return what was trained."""
    parser = argparse.ArgumentParser(description="Classify points with one Python object for each number.")
    parser.add_argument("--DATASET", default="simple", choices=[name.lower() for name in minitorch.datasets])
    parser.add_argument("--PTS", type=int, default=50, help="number of points")
    parser.add_argument("--HIDDEN", type=int, default=10, help="units in each hidden layer")
    parser.add_argument("--RATE", type=float, default=0.2, help="learning rate")
    parser.add_argument("--EPOCHS", type=int, default=100, help="how often every point is seen")
    parser.add_argument("--SEED", type=int, default=0, help="fixes points, initial weights and order")
    parser.add_argument("--PLOT", nargs="?", const="run_scalar.png", metavar="PNG", help="draw the boundary")
    args = parser.parse_args(argv)

    picture = Picture() if args.PLOT else None
    minitorch.manual_seed(args.SEED)
    data = minitorch.datasets[args.DATASET.capitalize()](args.PTS)
    trainer = ScalarTrain(args.HIDDEN)
    trainer.train(data, args.RATE, args.EPOCHS)

    correct = trainer.correct(data)
    print(f"Final accuracy: {correct / data.N:.2%} ({correct}/{data.N})")
    print(f"Seconds per epoch (median): {statistics.median(trainer.seconds):.4f}")
    if picture:
        picture.draw(data, trainer.probabilities, args.DATASET)
        picture.save(args.PLOT)
    return trainer


if __name__ == "__main__":
    try:
        main()
    except minitorch.MiniTorchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
