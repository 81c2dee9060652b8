"""Training on points, step by step, and a picture of the boundary between the classes (modules 0 to 3)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import run_fast_tensor
import run_scalar
import run_tensor
from point_training import PointTrain

import minitorch

from .run import Randomness, seeded
from .svg import BLUE, INK, ORANGE, Drawing

__all__ = ["KINDS", "Epoch", "Kind", "PointSettings", "draw_boundary", "make_points", "train"]

LOW, HIGH = -0.05, 1.05


@dataclass(frozen=True)
class Kind:
    """What a network is made of.

    Attributes:
        make: makes a trainer for a number of hidden units.
        side: the plane is asked about so many points a side.
        every: so many epochs apart; to answer for a plane takes the slow kinds longer than an epoch.
        most_hidden: with more hidden units, nobody would wait for an epoch.
    """

    make: Callable[[int], PointTrain]
    side: int
    every: int
    most_hidden: int


KINDS: dict[str, Kind] = {
    "Tensors, compiled kernels": Kind(
        lambda hidden: run_fast_tensor.FastTrain(hidden), side=40, every=1, most_hidden=200
    ),
    "Tensors, plain Python": Kind(lambda hidden: run_tensor.TensorTrain(hidden), side=16, every=5, most_hidden=30),
    "Scalars": Kind(lambda hidden: run_scalar.ScalarTrain(hidden), side=16, every=5, most_hidden=30),
}


@dataclass(frozen=True)
class PointSettings:
    """What a training on points depends on."""

    data: str = "Xor"
    points: int = 80
    hidden: int = 10
    rate: float = 0.5
    epochs: int = 500
    seed: int = 1
    made_of: str = "Tensors, compiled kernels"


@dataclass(frozen=True)
class Epoch:
    """What there is to see after an epoch.

    Attributes:
        number: of the epoch.
        losses: of all epochs so far: the mean over the points.
        correct: how many points are on their own side.
        plane: the probability of class 1 on a grid, ``side x side``, the lowest row first.
    """

    number: int
    losses: tuple[float, ...]
    correct: int
    plane: npt.NDArray[np.float64]


def make_points(settings: PointSettings) -> minitorch.Graph:
    """Draw the points; the same seed gives the same."""
    with Randomness(settings.seed):
        return minitorch.datasets[settings.data](settings.points)


def train(settings: PointSettings, data: minitorch.Graph | None = None) -> Generator[Epoch, None, None]:
    """Train a fresh network, and hand out what there is to see after each epoch.

    Args:
        settings: what to train.
        data: the points; those of :func:`make_points` when left out.

    Raises:
        ArgumentError: there are no points.
        NaNError: the loss is no longer a finite number.
    """
    points = make_points(settings) if data is None else data
    return seeded(lambda: _epochs(settings, points), settings.seed + 1)


def _epochs(settings: PointSettings, data: minitorch.Graph) -> Generator[Epoch, None, None]:
    if data.N < 1:
        raise minitorch.ArgumentError("expected at least one point to train on, got none.")
    kind = KINDS[settings.made_of]
    trainer = kind.make(settings.hidden)
    optimizer = minitorch.SGD(trainer.model.parameters(), settings.rate)
    plane = _ask(trainer, kind.side)
    losses: list[float] = []
    for epoch in range(1, settings.epochs + 1):
        losses.append(trainer.train_epoch(data, optimizer, epoch) / data.N)
        if epoch % kind.every == 0 or epoch == settings.epochs:
            plane = _ask(trainer, kind.side)
        yield Epoch(epoch, tuple(losses), trainer.correct(data), plane)


def _ask(trainer: PointTrain, side: int) -> npt.NDArray[np.float64]:
    """Ask for the probability of class 1 in the middle of each cell of the plane."""
    axis = (LOW + (HIGH - LOW) * (np.arange(side) + 0.5) / side).tolist()
    grid = [(x_1, x_2) for x_2 in axis for x_1 in axis]
    return np.reshape(np.asarray(trainer.probabilities(grid), np.float64), (side, side))


def draw_boundary(data: minitorch.Graph, plane: npt.NDArray[Any] | None = None, size: float = 420) -> Drawing:
    """Draw the points, over the probabilities of the plane where there are any: blue for class 0, orange for class 1.

    The boundary is where the colour changes.
    """
    sheet = Drawing(size, size)
    if plane is not None:
        blue, orange = (np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) for colour in (BLUE, ORANGE))
        share = plane[::-1, :, None]  # an image begins at the top
        mixed = (1.0 - share) * blue + share * orange
        # Pale, and paler where the network is in doubt.
        strength = 0.15 + 0.45 * np.abs(2.0 * share - 1.0)
        pixels = 255.0 + strength * (mixed - 255.0)
        sheet.image(0, 0, size, size, np.round(pixels).astype(np.uint8))

    def spot(value: float) -> float:
        return size * (value - LOW) / (HIGH - LOW)

    for (x_1, x_2), label in zip(data.X, data.y, strict=True):
        colour = ORANGE if label else BLUE
        sheet.circle(spot(x_1), size - spot(x_2), 4.5, fill=colour, edge=INK)
    return sheet
