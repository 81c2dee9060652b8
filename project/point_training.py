"""What the trainings on points share: their loop and their command line.

run_scalar.py, run_tensor.py and run_fast_tensor.py say what a network is made of, and how a batch of points passes
through it, forwards and backwards. Who calls them in which order, and what is printed, stands here once.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from decision_boundary import Picture

import minitorch

__all__ = ["PointTrain", "default_log_fn", "point_flags", "train_and_report"]

BATCH = 10

LogFn = Callable[[int, float, int, list[float]], None]
Points = Sequence[Sequence[float]]


def default_log_fn(epoch: int, total_loss: float, correct: int, losses: list[float]) -> None:
    """Print one line."""
    print(f"Epoch {epoch:4d}  loss {total_loss:9.4f}  correct {correct}", flush=True)


class PointTrain(ABC):
    """A network and the loop that trains it.

    Args:
        hidden_layers: the number of units in each hidden layer.

    Attributes:
        losses: the loss of each epoch of the last training.
        seconds: the time of each epoch.
    """

    def __init__(self, hidden_layers: int) -> None:
        self.hidden_layers = hidden_layers
        self.model = self.network()
        self.losses: list[float] = []
        self.seconds: list[float] = []

    @abstractmethod
    def network(self) -> minitorch.Module:
        """Make a fresh network."""

    @abstractmethod
    def run_many(self, X: Points) -> Any:
        """Give the probabilities that points are of class 1, recorded for a backward pass."""

    @abstractmethod
    def probabilities(self, X: Points) -> npt.ArrayLike:
        """Give the probabilities of many points as plain numbers."""

    @abstractmethod
    def backpropagate(self, X: Points, y: Sequence[int]) -> float:
        """Add the gradient of a batch's mean loss to the parameters, and give the sum of its losses."""

    @abstractmethod
    def birthplace_of_nan(self, X: Points) -> str:
        """Name the first layer that answers with something else than finite numbers."""

    def correct(self, data: minitorch.Graph) -> int:
        """Count the points that end up on their own side of one half."""
        return int(((np.asarray(self.probabilities(data.X)) > 0.5) == np.array(data.y)).sum())

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
                f"training needs at least one point and one epoch, got {data.N} points and {max_epochs} epochs. Pass "
                "--PTS 50 --EPOCHS 100, for example."
            )
        self.model = self.network()
        self.losses, self.seconds = [], []
        optim = minitorch.SGD(self.model.parameters(), learning_rate)

        for epoch in range(1, max_epochs + 1):
            start = time.perf_counter()
            total_loss = self.train_epoch(data, optim, epoch)
            self.seconds.append(time.perf_counter() - start)
            self.losses.append(total_loss)
            if epoch % 10 == 0 or epoch == max_epochs:
                log_fn(epoch, total_loss, self.correct(data), self.losses)

    def train_epoch(self, data: minitorch.Graph, optimizer: minitorch.Optimizer, epoch: int) -> float:
        """See every point once, in a new order, ten a step.

        Args:
            data: the points.
            optimizer: moves the network's parameters.
            epoch: the number of the epoch, for a message.

        Returns:
            The sum of the points' losses.

        Raises:
            NaNError: the loss is no longer a finite number.
        """
        total_loss = 0.0
        order = minitorch.default_generator.permutation(data.N).tolist()
        for step, first in enumerate(range(0, data.N, BATCH), start=1):
            batch = order[first : first + BATCH]
            X, y = [data.X[i] for i in batch], [data.y[i] for i in batch]
            optimizer.zero_grad()
            total_loss += self.backpropagate(X, y)
            if not math.isfinite(total_loss):
                raise minitorch.NaNError(
                    f"epoch {epoch}, step {step}: the loss is {total_loss}. The first numbers that are not "
                    f"finite come out of {self.birthplace_of_nan(X)}. Choose a smaller learning rate."
                )
            optimizer.step()
        return total_loss


def point_flags(description: str, picture: str) -> argparse.ArgumentParser:
    """Make a command line with the flags of a training on points.

    Args:
        description: what ``--help`` begins with.
        picture: the file that ``--PLOT`` writes when it names none.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--DATASET", default="simple", choices=[name.lower() for name in minitorch.datasets])
    parser.add_argument("--PTS", type=int, default=50, help="number of points")
    parser.add_argument("--HIDDEN", type=int, default=10, help="units in each hidden layer")
    parser.add_argument("--RATE", type=float, default=0.2, help="learning rate")
    parser.add_argument("--EPOCHS", type=int, default=100, help="how often every point is seen")
    parser.add_argument("--SEED", type=int, default=0, help="fixes points, initial weights and order")
    parser.add_argument("--PLOT", nargs="?", const=picture, metavar="PNG", help="draw the boundary")
    return parser


T = TypeVar("T", bound=PointTrain)


def train_and_report(make: Callable[[int], T], args: argparse.Namespace) -> T:
    """Train as the flags say, print accuracy and time, and draw the boundary if asked to.

    Args:
        make: gives a trainer for a number of hidden units.
        args: the flags of :func:`point_flags`.

    Returns:
        What was trained.
    """
    picture = Picture() if args.PLOT else None
    minitorch.manual_seed(args.SEED)
    data = minitorch.datasets[args.DATASET.capitalize()](args.PTS)
    trainer = make(args.HIDDEN)
    trainer.train(data, args.RATE, args.EPOCHS)

    correct = trainer.correct(data)
    print(f"Final accuracy: {correct / data.N:.2%} ({correct}/{data.N})")
    print(f"Seconds per epoch (median): {statistics.median(trainer.seconds):.4f}")
    if picture:
        picture.draw(data, trainer.probabilities, args.DATASET)
        picture.save(args.PLOT)
    return trainer
