"""The recipes of this exercise: how each network is trained on each data set, in one table.

A recipe says everything that the result depends on but the seed. The accuracy after the last epoch counts: nothing is
chosen by looking at the test set.
"""

from __future__ import annotations

from dataclasses import dataclass

from models import build

import minitorch
from minitorch.data import Compose, DataLoader, ImageDataset, Normalize, RandomCrop, RandomHorizontalFlip, ToDtype
from minitorch.layers import Sequential
from minitorch.schedules import LRScheduler, OneCycleLR

__all__ = ["RECIPES", "STATISTICS", "Recipe", "find", "loaders", "make_model", "make_optimizer", "make_schedule"]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        network: its name in ``models.py``.
        dataset: ``mnist``, ``fashionmnist`` or ``cifar``.
        epochs: how often the training images are seen.
        batch_size: images a step.
        lr: the learning rate, or the highest one of a schedule.
        schedule: ``"onecycle"`` (up to ``lr`` and down again, a little with each step), or ``"constant"``.
        augment: ``"shift"`` moves each image by up to two pixels, ``"shift and flip"`` by up to four and turns half of
            them left to right, ``"none"`` leaves them alone.
        optimizer: ``"adam"``, or ``"sgd"`` with momentum 0.9.
        weight_decay: how strongly parameters are drawn to zero.
    """

    network: str
    dataset: str
    epochs: int
    batch_size: int
    lr: float
    schedule: str = "onecycle"
    augment: str = "none"
    optimizer: str = "adam"
    weight_decay: float = 0.0


RECIPES = (
    Recipe("mlp", "fashionmnist", epochs=10, batch_size=64, lr=0.002),
    Recipe("cnn", "fashionmnist", epochs=6, batch_size=64, lr=0.003),
    Recipe("mlp", "mnist", epochs=10, batch_size=64, lr=0.002),
    Recipe("cnn", "mnist", epochs=5, batch_size=64, lr=0.003),
    Recipe("lenet", "mnist", epochs=12, batch_size=64, lr=0.01),
    Recipe("wide", "mnist", epochs=5, batch_size=64, lr=0.005, augment="shift"),
    Recipe("mlp", "cifar", epochs=15, batch_size=64, lr=0.001),
    Recipe("cnn", "cifar", epochs=15, batch_size=64, lr=0.005, augment="shift and flip"),
)

# Mean and standard deviation of each channel of the training pixels, on a scale of 0 to 1: of all 60,000 images of
# MNIST and Fashion-MNIST, and of the 10,000 in data_batch_1, the first of CIFAR-10's five files.
STATISTICS = {
    "mnist": ((0.1307,), (0.3081,)),
    "fashionmnist": ((0.2860,), (0.3530,)),
    "cifar": ((0.4935, 0.4834, 0.4472), (0.2476, 0.2431, 0.2621)),
}


def find(network: str, dataset: str) -> Recipe:
    """Give the recipe for a network and a data set.

    Raises:
        ArgumentError: there is none; the message lists what there is.
    """
    for recipe in RECIPES:
        if (recipe.network, recipe.dataset) == (network, dataset):
            return recipe
    known = ", ".join(f"{recipe.network} on {recipe.dataset}" for recipe in RECIPES)
    raise minitorch.ArgumentError(
        f"expected a network and a data set that there is a recipe for ({known}), got {network!r} on {dataset!r}. "
        "Write one of these, or add a recipe."
    )


def make_model(recipe: Recipe) -> Sequential:
    """Make the network with its first parameters, which are drawn from MiniTorch's seed."""
    return build(recipe.network, recipe.dataset)


def loaders(
    recipe: Recipe, train: ImageDataset, test: ImageDataset, seed: int | None = None
) -> tuple[DataLoader, DataLoader]:
    """Give the training images in batches, shuffled and augmented, and the test images in larger ones, as they are."""
    to_numbers = [ToDtype("float32", scale=True), Normalize(*STATISTICS[recipe.dataset])]
    changes = {
        "none": [],
        "shift": [RandomCrop(28, padding=2)],
        "shift and flip": [RandomCrop(32, padding=4), RandomHorizontalFlip()],
    }[recipe.augment]
    train = train.with_transform(Compose(changes + to_numbers))
    test = test.with_transform(Compose(to_numbers))
    batches = DataLoader(train, recipe.batch_size, shuffle=True, seed=seed)
    return batches, DataLoader(test, 500)


def make_optimizer(recipe: Recipe, model: minitorch.Module) -> minitorch.Optimizer:
    """Make what moves the parameters."""
    if recipe.optimizer == "adam":
        return minitorch.Adam(model.parameters(), recipe.lr, weight_decay=recipe.weight_decay)
    return minitorch.SGD(model.parameters(), recipe.lr, momentum=0.9, weight_decay=recipe.weight_decay)


def make_schedule(recipe: Recipe, optimizer: minitorch.Optimizer, steps_per_epoch: int) -> LRScheduler | None:
    """Make what changes the learning rate after each step, or None where it stays."""
    if recipe.schedule == "constant":
        return None
    return OneCycleLR(optimizer, recipe.lr, epochs=recipe.epochs, steps_per_epoch=steps_per_epoch)
