"""What benchmarks/accuracies.py trains: the networks of the exercises as they stand there, and in words for PyTorch."""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "exercises"))

from minitorch import Module
from minitorch.data import ImageDataset, load
from refresh import code_lines, places_left_out

BENCHMARKS = Path(__file__).parent
EXERCISES = BENCHMARKS.parent / "exercises"
SCRIPTS = {"corrupted": EXERCISES / "corrupted_mnist" / "main.py", "race": EXERCISES / "race" / "race.py"}

# What trains each task with MiniTorch, and with PyTorch; FASHION is for those of exercises/4_fashion_mnist.
FASHION = (
    EXERCISES / "4_fashion_mnist" / "models.py",
    EXERCISES / "4_fashion_mnist" / "recipes.py",
    BENCHMARKS / "accuracies_minitorch.py",
)
SOURCES = {
    "corrupted": tuple(EXERCISES / "corrupted_mnist" / f"{name}.py" for name in ("data", "model", "main")),
    "race": (SCRIPTS["race"],),
}
PEER = BENCHMARKS / "peers" / "accuracies_torch.py"

# How many images each data set has as it is published: to train on, and to test with.
PUBLISHED = {
    "mnist": (60_000, 10_000),
    "fashionmnist": (60_000, 10_000),
    "cifar": (50_000, 10_000),
    "corruptmnist": (30_000, 5_000),
}

LIBRARIES = ("MiniTorch", "PyTorch")


@dataclass(frozen=True)
class Training:
    """How a network is trained: all that PyTorch needs to do the same.

    Attributes:
        layers: the name of each layer with its arguments, which are PyTorch's.
        dataset: which images.
        epochs: how often they are seen.
        batch_size: images a step.
        lr: the learning rate, or the highest one of a schedule.
        betas: how slowly Adam's averages change.
        schedule: ``onecycle`` or ``constant``.
        augment: ``none``, ``shift`` or ``shift and flip``.
        optimizer: ``adam``, or ``sgd`` with momentum 0.9.
        weight_decay: how strongly parameters are drawn to zero.
        label_smoothing: the share of probability that all classes have in common.
        drop_last: whether a last, smaller batch is left out.
        held_out: the share of the training images that is not trained on.
        mean: of each channel's training pixels, on a scale of 0 to 1.
        std: their standard deviation.
    """

    layers: tuple[tuple[str, dict[str, Any]], ...]
    dataset: str
    epochs: int
    batch_size: int
    lr: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: str = "onecycle"
    augment: str = "none"
    optimizer: str = "adam"
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    drop_last: bool = False
    held_out: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Write it down."""
        return asdict(self)


@dataclass(frozen=True)
class Task:
    """A network to train, and how good it shall be.

    Attributes:
        name: what the command line calls it.
        title: what the table calls it.
        dataset: which images.
        network: its name in exercises/4_fashion_mnist, where it is from there.
        aim: the accuracy to reach; None where it is PyTorch's, less a point.
        seeds: one for each training.
    """

    name: str
    title: str
    dataset: str
    network: str = ""
    aim: float | None = None
    seeds: tuple[int, ...] = (1, 2, 3)


TASKS = (
    Task("mlp-fashion", "three hidden layers", "fashionmnist", "mlp", aim=0.88),
    Task("cnn-fashion", "two convolutions", "fashionmnist", "cnn", aim=0.91),
    Task("lenet-mnist", "LeNet", "mnist", "lenet", aim=0.988),
    Task("wide-mnist", "a wider network", "mnist", "wide", aim=0.993),
    Task("cnn-cifar", "three convolutions", "cifar", "cnn"),
    Task("corrupted", "the final exercise", "corruptmnist", aim=0.97),
    Task("race", "the race", "mnist", aim=0.99, seeds=(11, 12, 13, 14, 15)),
    Task("mlp-mnist", "three hidden layers", "mnist", "mlp"),
    Task("cnn-mnist", "two convolutions", "mnist", "cnn"),
    Task("mlp-cifar", "three hidden layers", "cifar", "mlp"),
)


def training_of(task: Task) -> Training:
    """Say how a task is trained, from the files of its exercise."""
    if task.name == "corrupted":
        return corrupted()
    if task.name == "race":
        return race()
    recipes = exercise_module("4_fashion_mnist", "recipes")
    recipe = recipes.find(task.network, task.dataset)
    mean, std = recipes.STATISTICS[task.dataset]
    same = ("epochs", "batch_size", "lr", "schedule", "augment", "optimizer", "weight_decay")
    settings = {name: getattr(recipe, name) for name in same}
    layers = in_words(list(recipes.make_model(recipe)))
    return Training(layers, task.dataset, mean=tuple(mean), std=tuple(std), **settings)


def digest_of(task: Task) -> str:
    """Digest the code that trains a task, by which results of older code are told; the library is not part of it."""
    lines = code_lines([*SOURCES.get(task.name, FASHION), PEER])
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def corrupted() -> Training:
    """Read the final exercise's settings."""
    data, model, main = (exercise_module("corrupted_mnist", name) for name in ("data", "model", "main"))
    args = main.parse(["train"])
    return Training(
        in_words(list(model.DigitClassifier().layers)),
        "corruptmnist",
        args.epochs,
        args.batch_size,
        args.lr,
        mean=(data.PIXEL_MEAN,),
        std=(data.PIXEL_STD,),
        betas=main.BETAS,
        label_smoothing=main.LABEL_SMOOTHING,
        held_out=data.HELD_OUT,
    )


def race() -> Training:
    """Read the race's settings."""
    script = exercise_module("race", "race")
    return Training(
        in_words(list(script.make_network())),
        "mnist",
        epochs=1,
        batch_size=script.BATCH_SIZE,
        lr=script.LARGEST_RATE,
        mean=(script.PIXEL_MEAN,),
        std=(script.PIXEL_STD,),
        betas=script.BETAS,
        label_smoothing=script.LABEL_SMOOTHING,
        drop_last=True,
    )


@cache
def exercise_module(folder: str, name: str) -> Any:
    """Import a file of an exercise as the exercise itself does."""
    place = str(EXERCISES / folder)
    if place not in sys.path:
        sys.path.insert(0, place)
    return importlib.import_module(name)


def in_words(layers: Sequence[Module]) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Give the name of each layer and its arguments, which are PyTorch's too."""

    def arguments(layer: Module) -> dict[str, Any]:
        public = {name: value for name, value in vars(layer).items() if not name.startswith("_")}
        public.pop("training")
        return public

    return tuple((type(layer).__name__, arguments(layer)) for layer in layers)


def images_of(dataset: str) -> tuple[ImageDataset, ImageDataset]:
    """Load a data set's images as they are published; of CIFAR-10, and of MNIST's stand-in, this may be a part."""
    return load(dataset, transform=None)


def data_of(dataset: str) -> dict[str, Any]:
    """Say which images there are of a data set: how many to train on and to test with, and where they come from."""
    train, test = images_of(dataset)
    sources = [places_left_out(images.source) for images in (train, test)]
    return {"train": len(train), "test": len(test), "source": sources}
