r"""Teach three layers to tell two kinds of points apart, with tensors on compiled kernels (course task 3.5).

    python project/run_fast_tensor.py --DATASET spiral --HIDDEN 100 --RATE 0.1 --EPOCHS 3000

This is run_tensor.py with two changes: the tensors live on a backend that is given, and a layer is a matrix product.
The same seed gives the same losses, only sooner.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from decision_boundary import Picture

import minitorch

BATCH = 10

FastTensorBackend = minitorch.TensorBackend(minitorch.FastOps)

LogFn = Callable[[int, float, int, list[float]], None]


def choose_backend(name: str) -> minitorch.TensorBackend:
    """Turn the flag ``--BACKEND`` into a backend.

    Raises:
        BackendError: it is ``gpu``.
    """
    if name == "gpu":
        raise minitorch.BackendError(
            "--BACKEND gpu needs kernels for CUDA, which this version of MiniTorch does not have: use --BACKEND cpu."
        )
    return FastTensorBackend


def RParam(*shape: int, bound: float, backend: minitorch.TensorBackend) -> minitorch.Parameter:
    """Draw a parameter from the uniform distribution on [-bound, bound)."""
    return minitorch.Parameter((minitorch.rand(shape, backend=backend) - 0.5) * (2 * bound))


class Linear(minitorch.Module):
    r"""A layer $y_j = \sum_i x_i w_{ij} + b_j$, as a matrix product $x w + b$.

    Weights are drawn so that a ReLU behind them keeps the size of its input (He et al., 2015); offsets are drawn from
    [-1, 1), so that the layer's folds lie all over the unit square.
    """

    def __init__(self, in_size: int, out_size: int, backend: minitorch.TensorBackend) -> None:
        super().__init__()
        self.weights = RParam(in_size, out_size, bound=math.sqrt(6 / in_size), backend=backend)
        self.bias = RParam(out_size, bound=1.0, backend=backend)

    def forward(self, x: minitorch.Tensor) -> minitorch.Tensor:
        """Turn ``batch x in_size`` into ``batch x out_size``."""
        return x @ self.weights.value + self.bias.value


class Network(minitorch.Module):
    """Two hidden layers with ReLU, and a sigmoid that gives the probability of class 1."""

    def __init__(self, hidden_layers: int, backend: minitorch.TensorBackend = FastTensorBackend) -> None:
        super().__init__()
        if hidden_layers < 1:
            raise minitorch.ArgumentError(f"a hidden layer has at least one unit, got {hidden_layers}")
        self.layer1 = Linear(2, hidden_layers, backend)
        self.layer2 = Linear(hidden_layers, hidden_layers, backend)
        self.layer3 = Linear(hidden_layers, 1, backend)

    def forward(self, x: minitorch.Tensor) -> minitorch.Tensor:
        """Turn points, ``batch x 2``, into probabilities, ``batch x 1``."""
        middle = self.layer1(x).relu()
        end = self.layer2(middle).relu()
        return self.layer3(end).sigmoid()


def default_log_fn(epoch: int, total_loss: float, correct: int, losses: list[float]) -> None:
    """Print one line."""
    print(f"Epoch {epoch:4d}  loss {total_loss:9.4f}  correct {correct}", flush=True)


def birthplace_of_nan(model: Network, x: minitorch.Tensor) -> str:
    """Name the first layer that answers with something else than finite numbers."""
    for name, layer in zip(("layer1", "layer2", "layer3"), model.modules(), strict=True):
        x = layer(x)
        if not np.isfinite(x.to_numpy()).all():
            return name
        x = x.relu()
    return "the loss"


class FastTrain:
    """A network and the loop that trains it.

    Args:
        hidden_layers: the number of units in each hidden layer.
        backend: what computes.

    Attributes:
        losses: the loss of each epoch of the last training.
        seconds: the time of each epoch.
    """

    def __init__(self, hidden_layers: int, backend: minitorch.TensorBackend = FastTensorBackend) -> None:
        self.hidden_layers = hidden_layers
        self.backend = backend
        self.model = Network(hidden_layers, backend)
        self.losses: list[float] = []
        self.seconds: list[float] = []

    def run_one(self, x: Sequence[float]) -> minitorch.Tensor:
        """Give the probability that one point is of class 1, as a tensor of shape (1, 1)."""
        return self.run_many([x])

    def run_many(self, X: Sequence[Sequence[float]]) -> minitorch.Tensor:
        """Give the probabilities of many points, ``batch x 1``."""
        return self.model(minitorch.tensor(X, backend=self.backend))

    def probabilities(self, X: Sequence[Sequence[float]]) -> npt.NDArray[np.float64]:
        """Give the probabilities of many points as an array, without recording how."""
        with minitorch.no_grad():
            return self.run_many(X).to_numpy()[:, 0]

    def correct(self, data: minitorch.Graph) -> int:
        """Count the points that end up on their own side of one half."""
        return int(((self.probabilities(data.X) > 0.5) == np.array(data.y)).sum())

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
        self.model = Network(self.hidden_layers, self.backend)
        self.losses, self.seconds = [], []
        optim = minitorch.SGD(self.model.parameters(), learning_rate)

        for epoch in range(1, max_epochs + 1):
            start = time.perf_counter()
            total_loss = 0.0
            order = minitorch.default_generator.permutation(data.N).tolist()
            for step, first in enumerate(range(0, data.N, BATCH), start=1):
                batch = order[first : first + BATCH]
                X = minitorch.tensor([data.X[i] for i in batch], backend=self.backend)
                y = minitorch.tensor([data.y[i] for i in batch], backend=self.backend)

                optim.zero_grad()
                out = self.model(X).view(len(batch))
                # The probability of the right class: out where y is 1, and 1 - out where it is 0.
                prob = out * y + (out - 1.0) * (y - 1.0)
                loss = -prob.log()
                total_loss += loss.sum()[0]
                if not math.isfinite(total_loss):
                    raise minitorch.NaNError(
                        f"epoch {epoch}, step {step}: the loss is {total_loss}. The first numbers that are not "
                        f"finite come out of {birthplace_of_nan(self.model, X)}. Choose a smaller learning rate."
                    )
                loss.mean().backward()
                optim.step()
            self.seconds.append(time.perf_counter() - start)
            self.losses.append(total_loss)
            if epoch % 10 == 0 or epoch == max_epochs:
                log_fn(epoch, total_loss, self.correct(data), self.losses)


def main(argv: Sequence[str] | None = None) -> FastTrain:
    """Train as the command line says, and return what was trained."""
    parser = argparse.ArgumentParser(description="Classify points with tensors on compiled kernels.")
    parser.add_argument("--DATASET", default="simple", choices=[name.lower() for name in minitorch.datasets])
    parser.add_argument("--PTS", type=int, default=50, help="number of points")
    parser.add_argument("--HIDDEN", type=int, default=10, help="units in each hidden layer")
    parser.add_argument("--RATE", type=float, default=0.2, help="learning rate")
    parser.add_argument("--BACKEND", default="cpu", choices=["cpu", "gpu"], help="what computes")
    parser.add_argument("--EPOCHS", type=int, default=100, help="how often every point is seen")
    parser.add_argument("--SEED", type=int, default=0, help="fixes points, initial weights and order")
    parser.add_argument("--PLOT", nargs="?", const="run_fast_tensor.png", metavar="PNG", help="draw the boundary")
    args = parser.parse_args(argv)

    backend = choose_backend(args.BACKEND)
    picture = Picture() if args.PLOT else None
    minitorch.manual_seed(args.SEED)
    data = minitorch.datasets[args.DATASET.capitalize()](args.PTS)
    trainer = FastTrain(args.HIDDEN, backend)
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
