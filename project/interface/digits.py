"""LeNet on digits: trained step by step, and looked into (module 4)."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import run_mnist_multiclass as script

import minitorch
from minitorch.data import load_corrupt_mnist, load_mnist
from minitorch.io import load_state_dict, state_dict
from minitorch.losses import nll_loss

from .run import Randomness, seeded
from .svg import BLUE, GREEN, ORANGE, RED, STRONG, Drawing, grey, signed

__all__ = [
    "DigitProgress",
    "DigitSettings",
    "Digits",
    "Hidden",
    "Mistake",
    "Reader",
    "Report",
    "draw_confusion",
    "draw_images",
    "draw_probabilities",
    "load",
    "report",
    "spread_over",
    "train",
]

Images = npt.NDArray[np.uint8]

SHOW_EVERY = 20  # steps
WATCHED = 500  # digits whose accuracy is measured meanwhile


@dataclass(frozen=True, eq=False)
class Digits:
    """Digits to train on and others to test with, uint8 ``count x 28 x 28``, and where they are from."""

    images: Images
    labels: npt.NDArray[np.int64]
    test_images: Images
    test_labels: npt.NDArray[np.int64]
    source: str
    stand_in: bool


@dataclass(frozen=True)
class DigitSettings:
    """What a training depends on; the defaults are the course's but for the epochs."""

    epochs: int = 6
    train_size: int = 5000
    batch_size: int = 16
    rate: float = 0.01
    seed: int = 1

    @property
    def updates(self) -> int:
        """How often there is something new to see, where there are as many digits."""
        steps = -(-self.train_size // self.batch_size)
        return len(_shown(steps * self.epochs, steps))


@dataclass(frozen=True, eq=False)
class DigitProgress:
    """What there is to see of a training.

    Attributes:
        step: steps so far.
        losses: the mean loss of each so many steps.
        accuracies: on held-out digits, after each so many steps.
        digits_per_second: while it trained; compiling and measuring left out.
        reader: the network as it is now, for answering; it stays as it is while the training goes on.
    """

    step: int
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]
    digits_per_second: float
    reader: Reader


@dataclass(frozen=True, eq=False)
class Hidden:
    """What a digit makes of the hidden layers: ``channel x height x width`` each."""

    mid: npt.NDArray[np.float32]
    out: npt.NDArray[np.float32]
    pooled: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Mistake:
    """A digit that was read wrongly: its number, what it is, what was read, and with which probability."""

    index: int
    label: int
    answer: int
    probability: float


@dataclass(frozen=True, eq=False)
class Report:
    """How a network reads: the share that is right, label by answer, and the mistakes, most confident first."""

    accuracy: float
    confusion: npt.NDArray[np.int64]
    mistakes: tuple[Mistake, ...]


def load(corrupted: bool = False, train_size: int = 5000, test_size: int = 2000) -> Digits:
    """Load digits without the network: MNIST's where its files are, or else the stand-in.

    Args:
        corrupted: rotated ones, from corrupted MNIST; spread over all its files.
        train_size: how many to train on, at most.
        test_size: how many to test with, at most.

    Raises:
        DataError: there are neither; the message tells how to get them.
    """
    loaded = []
    source, stand_in = "", False
    for split, size in (("train", train_size), ("test", test_size)):
        if corrupted:
            found = load_corrupt_mnist(split, download=False, notice=lambda line: None)  # type: ignore[arg-type]
            images = np.round(np.asarray(found.images)[:, 0] * 255).astype(np.uint8)
            chosen = spread_over(len(images), min(size, len(images)))
        else:
            found = load_mnist(split, download=False, notice=lambda line: None)  # type: ignore[arg-type]
            images, chosen = found.images, slice(0, size)
        loaded.append((images[chosen], np.asarray(found.labels)[chosen].astype(np.int64)))
        source, stand_in = source or found.source, stand_in or found.stand_in
    return Digits(*loaded[0], *loaded[1], source=source, stand_in=stand_in)


def spread_over(count: int, chosen: int) -> npt.NDArray[np.int64]:
    """Choose numbers below ``count``, equally far apart.

    >>> spread_over(9, 3).tolist()
    [0, 4, 8]
    """
    return np.linspace(0, count - 1, chosen).astype(np.int64)


class Reader:
    """LeNet with fixed weights, in evaluation mode.

    Args:
        model: whose weights are copied.
    """

    def __init__(self, model: script.Network) -> None:
        self.model = script.Network(minitorch.FastBackend)
        load_state_dict(self.model, {name: np.array(value) for name, value in state_dict(model).items()})
        self.model.eval()

    def probabilities(self, images: npt.ArrayLike, at_once: int = 250) -> npt.NDArray[np.float64]:
        """Give the probability of each class, ``count x 10``, for ``count x 28 x 28`` pixels from 0 to 255."""
        x = _tensors(images)
        with minitorch.no_grad():
            parts = [self.model(_tensor(x[i : i + at_once])).to_numpy() for i in range(0, len(x), at_once)]
        return np.exp(np.concatenate([*parts, np.zeros((0, script.C))]).astype(np.float64))

    def hidden(self, image: npt.ArrayLike) -> Hidden:
        """Give what the hidden layers make of one digit."""
        self.probabilities(np.asarray(image)[None])
        mid, out = self.model.mid, self.model.out
        assert mid is not None
        assert out is not None
        with minitorch.no_grad():
            pooled = minitorch.maxpool2d(out, (4, 4))
        return Hidden(*(layer.to_numpy()[0] for layer in (mid, out, pooled)))

    def filters(self) -> npt.NDArray[np.float32]:
        """Give the first layer's weights, ``4 x 3 x 3``."""
        return self.model.conv1.weights.value.to_numpy()[:, 0]

    def dropout_samples(self, image: npt.ArrayLike, samples: int = 100, seed: int = 1) -> npt.NDArray[np.float64]:
        """Ask about one digit again and again with dropout switched on (Gal and Ghahramani, 2016).

        Args:
            image: ``28 x 28``.
            samples: how often.
            seed: of the masks.

        Returns:
            Probabilities, ``samples x 10``. Where they scatter, the network is in doubt.
        """
        repeated = np.repeat(np.asarray(image)[None], samples, axis=0)
        self.model.train()
        try:
            with Randomness(seed):
                return self.probabilities(repeated, at_once=samples)
        finally:
            self.model.eval()


def train(settings: DigitSettings, digits: Digits) -> Generator[DigitProgress, None, None]:
    """Train LeNet, and hand out what there is to see every few steps.

    Args:
        settings: what to train.
        digits: what to train on; the first 500 to test with are watched.

    Raises:
        DataError: there is nothing to train on.
        NaNError: the loss is no longer a finite number.
    """
    return seeded(lambda: _steps(settings, digits), settings.seed)


def _steps(settings: DigitSettings, digits: Digits) -> Generator[DigitProgress, None, None]:
    images, labels = digits.images[: settings.train_size], digits.labels[: settings.train_size]
    if not len(images):
        raise minitorch.DataError("expected digits to train on, got none.")
    x, y = _tensors(images), labels
    model = script.Network(minitorch.FastBackend)
    optimizer = minitorch.SGD(model.parameters(), settings.rate)

    @minitorch.compile
    def step(batch: minitorch.Tensor, targets: minitorch.Tensor) -> minitorch.Tensor:
        loss = nll_loss(model(batch), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    model.train()
    count, seconds, trained = 0, 0.0, 0
    recent: list[float] = []
    losses: list[float] = []
    accuracies: list[float] = []
    cut = range(0, len(x), settings.batch_size)
    shown = _shown(settings.epochs * len(cut), len(cut))
    for _ in range(settings.epochs):
        order = minitorch.default_generator.permutation(len(x))
        for first in cut:
            rows = order[first : first + settings.batch_size]
            compiled_before, started = step.compile_seconds, time.perf_counter()
            loss = step(_tensor(x[rows]), minitorch.tensor(y[rows], backend=minitorch.FastBackend)).item()
            if not np.isfinite(loss):
                raise minitorch.NaNError(f"step {count + 1}: the loss is {loss}. Choose a smaller learning rate.")
            if step.compile_seconds == compiled_before:
                seconds += time.perf_counter() - started
                trained += len(rows)
            count += 1
            recent.append(loss)
            if count in shown:
                reader = Reader(model)
                answers = reader.probabilities(digits.test_images[:WATCHED]).argmax(1)
                losses.append(float(np.mean(recent)))
                accuracies.append(float((answers == digits.test_labels[:WATCHED]).mean()))
                recent.clear()
                speed = trained / seconds if seconds else 0.0
                yield DigitProgress(count, tuple(losses), tuple(accuracies), speed, reader)


def _shown(steps: int, epoch: int) -> set[int]:
    """Number the steps after which there is something to see: every few, and the last of each epoch."""
    return {*range(SHOW_EVERY, steps + 1, SHOW_EVERY), *range(epoch, steps + 1, epoch)}


def report(reader: Reader, images: Images, labels: npt.NDArray[np.int64]) -> Report:
    """Let a network read digits, and count.

    Args:
        reader: the network.
        images: ``count x 28 x 28``.
        labels: what they are.
    """
    probabilities = reader.probabilities(images)
    answers = probabilities.argmax(1)
    confusion = np.zeros((script.C, script.C), np.int64)
    np.add.at(confusion, (labels, answers), 1)
    wrong = np.flatnonzero(answers != labels)
    wrong = wrong[np.argsort(-probabilities[wrong, answers[wrong]], kind="stable")]
    mistakes = [Mistake(int(i), int(labels[i]), int(answers[i]), float(probabilities[i, answers[i]])) for i in wrong]
    return Report(float((answers == labels).mean()), confusion, tuple(mistakes))


def _tensors(images: npt.ArrayLike) -> npt.NDArray[Any]:
    return script.centre(np.asarray(images), "float32").reshape(-1, 1, script.H, script.W)


def _tensor(x: npt.NDArray[Any]) -> minitorch.Tensor:
    return minitorch.tensor(x, backend=minitorch.FastBackend)


# --- drawings ------------------------------------------------------------------------------------------------


def draw_images(
    images: npt.ArrayLike, titles: Sequence[str] = (), columns: int = 8, size: float = 84, weights: bool = False
) -> Drawing:
    """Draw images ``count x height x width`` side by side, each from its darkest to its brightest number.

    Args:
        images: what to draw.
        titles: what to write above each.
        columns: images in a row.
        size: of each, in pixels.
        weights: the numbers have a sign: blue below zero, orange above.
    """
    pictures = np.asarray(images)
    rows = -(-len(pictures) // columns)
    down = size + (24 if titles else 8)
    sheet = Drawing(min(columns, len(pictures)) * (size + 8), max(1, rows) * down)
    for i, picture in enumerate(pictures):
        x, y = (i % columns) * (size + 8), (i // columns) * down + down - size - 4
        sheet.image(x, y, size, size, signed(picture) if weights else grey(picture))
        if i < len(titles):
            sheet.text(x + size / 2, y - 9, titles[i], size=12)
    return sheet


def draw_probabilities(
    probabilities: npt.ArrayLike, names: Sequence[str] = tuple("0123456789"), spread: npt.ArrayLike | None = None
) -> Drawing:
    """Draw a bar for each class, the most probable one in orange.

    Args:
        probabilities: of each class.
        names: of the classes.
        spread: how far they scatter, drawn as a line to both sides.
    """
    values = np.asarray(probabilities, np.float64)
    wide, high = 300.0, 24.0
    sheet = Drawing(wide + 110, high * len(values) + 6)
    for k, (value, name) in enumerate(zip(values, names, strict=True)):
        y = 4 + high * k
        sheet.text(16, y + high / 2, name, bold=True)
        sheet.box(34, y + 3, max(1.0, wide * value), high - 6, fill=ORANGE if k == values.argmax() else BLUE)
        if spread is not None:
            reach = wide * float(np.asarray(spread)[k])
            middle, centre = 34 + wide * value, y + high / 2
            sheet.line(max(34.0, middle - reach), centre, min(34 + wide, middle + reach), centre, RED, 2.5)
        sheet.text(wide + 104, y + high / 2, f"{value:.1%}", size=12, anchor="end")
    return sheet


def draw_confusion(confusion: npt.NDArray[np.int64]) -> Drawing:
    """Draw label by answer: what is right in green, what is wrong in orange, the stronger the more often."""
    classes, cell = len(confusion), 36
    sheet = Drawing(40 + classes * cell, 40 + classes * cell)
    sheet.text(40 + classes * cell / 2, 9, "read as", size=12)
    sheet.text(2, 24, "is", size=12, anchor="start")
    wrong = int((confusion * (1 - np.eye(classes, dtype=np.int64))).max())
    for label in range(classes):
        sheet.text(26, 38 + (label + 0.5) * cell, str(label), bold=True)
        sheet.text(38 + (label + 0.5) * cell, 27, str(label), bold=True)
        for answer in range(classes):
            count = int(confusion[label, answer])
            right = label == answer
            most = max(1, int(confusion[label].sum()) if right else wrong)
            x, y = 38 + answer * cell, 38 + label * cell
            colour = GREEN if right else ORANGE
            sheet.box(x, y, cell - 2, cell - 2, fill=colour, opacity=0.06 + (STRONG - 0.06) * count / most)
            if count:
                sheet.text(x + cell / 2 - 1, y + cell / 2 - 1, str(count), size=12)
    return sheet
