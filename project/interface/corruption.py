"""What was done to MNIST, and how sure a network is of digits that lean (corrupted MNIST)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minitorch.data import load_mnist
from minitorch.data.corrupt_mnist import ANGLES, PER_FILE
from minitorch.data.rotation import rotate

from .digits import Digits, Images, Reader, spread_over

__all__ = ["Doubt", "doubt", "examples", "lean", "search", "search_file", "turn", "twins"]

FARTHEST = 60  # degrees that are searched to either side


@dataclass(frozen=True, eq=False)
class Doubt:
    """What a network with dropout says of one digit when it is asked again and again.

    Attributes:
        mean: the probability of each class, over all answers.
        spread: the standard deviation of each.
        entropy: of the mean, in bits: 0 where all answers are certain and the same, 3.3 where nothing is known.
        agreement: the share of answers whose most probable class is that of the mean.
    """

    mean: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]
    entropy: float
    agreement: float


def lean() -> list[tuple[str, float]]:
    """Give each published file and the angle by which its digits were turned, in degrees, clockwise."""
    train = [(f"train_{i}", angle) for i, angle in enumerate(ANGLES["train"])]
    return [*train, *(("test", angle) for angle in ANGLES["test"])]


def examples(digits: Digits, each: int = 8) -> list[tuple[float, Images, Images]]:
    """Take digits of each training file, as they are published and turned back.

    Args:
        digits: corrupted ones, as many of each file.
        each: how many of each file.

    Returns:
        For each file its angle, its first digits, and the same turned back.
    """
    parts = np.array_split(digits.images, len(ANGLES["train"]))
    taken = [(angle, part[:each]) for angle, part in zip(ANGLES["train"], parts, strict=True)]
    return [(angle, part, turn(part, -angle)) for angle, part in taken]


def twins(digits: Digits) -> Images | None:
    """Find the upright digits that the training digits of corrupted MNIST were made of.

    Returns:
        As many as there are training digits, in their order; None where the set was made of other digits than those
        that are here.
    """
    mnist = load_mnist("train", download=False, notice=lambda line: None)
    if mnist.stand_in != digits.stand_in:
        return None
    images = mnist.images[: PER_FILE * len(ANGLES["train"])]
    return images[spread_over(len(images), len(digits.images))]


def search(published: Images, upright: Images) -> dict[str, list[float]]:
    """Turn upright digits by every angle, and measure how far they are from the published ones.

    Args:
        published: digits of one file, ``count x 28 x 28``.
        upright: the same digits of MNIST.

    Returns:
        The columns ``degrees``, clockwise, and ``difference``, the mean over all pixels. It is least at the angle by
        which the file was turned.
    """
    degrees = [float(angle) for angle in range(-FARTHEST, FARTHEST + 1)]
    target = np.asarray(published, np.int64)
    difference = [float(np.abs(turn(upright, angle) - target).mean()) for angle in degrees]
    return {"degrees": degrees, "difference": difference}


def search_file(digits: Digits, part: int, each: int = 40) -> dict[str, list[float]] | None:
    """Search for the angle by which a file of corrupted MNIST was turned.

    Args:
        digits: corrupted ones, as many of each file.
        part: the number of the training file.
        each: how many of its digits to turn.

    Returns:
        What :func:`search` finds; None where MNIST's own digits are not here.
    """
    upright = twins(digits)
    if upright is None:
        return None
    published, originals = (np.array_split(i, len(ANGLES["train"]))[part][:each] for i in (digits.images, upright))
    return search(published, originals)


def turn(images: Images, clockwise: float) -> Images:
    """Turn digits ``count x 28 x 28`` by an angle in degrees, as the published ones were."""
    return rotate(np.asarray(images)[:, None], -clockwise)[:, 0]


def doubt(reader: Reader, image: Images, samples: int = 100, seed: int = 1) -> Doubt:
    """Ask a network about a digit with dropout switched on.

    Args:
        reader: the network.
        image: ``28 x 28``.
        samples: how often.
        seed: of the masks.
    """
    answers = reader.dropout_samples(image, samples, seed)
    mean = answers.mean(0)
    entropy = -float((mean * np.log2(np.maximum(mean, 1e-12))).sum())
    agreement = float((answers.argmax(1) == mean.argmax()).mean())
    return Doubt(mean, answers.std(0), max(0.0, entropy), agreement)
