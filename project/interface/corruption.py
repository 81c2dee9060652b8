"""What was done to MNIST, and how sure a network is of digits that lean (corrupted MNIST)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from minitorch.data.corrupt_mnist import ANGLES
from minitorch.data.rotation import rotate

from .digits import Digits, Images, Reader

__all__ = ["Doubt", "doubt", "examples", "lean", "turn"]


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
