"""The networks and recipes of exercise 4: every network has a recipe, and a recipe does what its line says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch.data import ImageDataset
from minitorch.layers import Linear
from scripts import run_script

from ..defaults import on_fast_backend

FOLDER = Path(__file__).parents[2] / "exercises" / "4_fashion_mnist"
NAMES = [("mnist", "mlp"), ("mnist", "cnn"), ("mnist", "lenet"), ("mnist", "wide"), ("fashionmnist", "mlp")]
NAMES += [("fashionmnist", "cnn"), ("cifar", "mlp"), ("cifar", "cnn")]


@pytest.fixture(scope="module")
def exercise() -> Iterator[tuple[Any, Any]]:
    """Import models.py and recipes.py, which find each other from their folder, and forget their short names."""
    sys.path.insert(0, str(FOLDER))
    import models
    import recipes

    yield models, recipes
    sys.path.remove(str(FOLDER))
    del sys.modules["models"], sys.modules["recipes"]


@pytest.fixture(autouse=True)
def fast() -> Iterator[None]:
    """Compute as the exercise does."""
    with on_fast_backend("float32"):
        yield


def pictures(dataset, count):
    """Make images of a data set's size: a single bright pixel in the middle of each."""
    channels, size = (3, 32) if dataset == "cifar" else (1, 28)
    images = np.zeros((count, channels, size, size), np.uint8)
    images[:, :, size // 2, size // 2] = 255
    return ImageDataset(images, np.arange(count) % 10)


def test_every_network_has_one_recipe(exercise):
    models, recipes = exercise
    networks = [(dataset, name) for dataset, of_it in models.NETWORKS.items() for name in of_it]
    assert sorted(networks) == sorted(NAMES)
    assert sorted((recipe.dataset, recipe.network) for recipe in recipes.RECIPES) == sorted(NAMES)


@pytest.mark.parametrize(("dataset", "network"), NAMES)
def test_a_network_scores_ten_classes_and_a_step_of_its_recipe_lowers_the_loss(exercise, dataset, network):
    _, recipes = exercise
    recipe = recipes.find(network, dataset)
    assert (recipe.network, recipe.dataset) == (network, dataset)
    minitorch.manual_seed(0)
    model = recipes.make_model(recipe).eval()  # no dropout, so that the two losses can be compared
    optimizer = recipes.make_optimizer(replace(recipe, lr=1e-4), model)
    batches, _ = recipes.loaders(recipe, pictures(dataset, 3), pictures(dataset, 1))
    (images, labels), *_ = batches
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        scores = model(images)
        assert scores.shape == (3, 10)
        loss = minitorch.losses.cross_entropy(scores, labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]


def test_lenet_has_the_sizes_of_the_projects(exercise):
    models, _ = exercise
    from run_mnist_multiclass import Network

    ours = [p.value.shape for p in Network(minitorch.FastBackend).parameters()]
    theirs = [p.value.shape for p in models.lenet().parameters()]
    # The project keeps a linear layer as in x out, and a convolution's bias with two dimensions more.
    assert sorted(np.prod(shape) for shape in theirs) == sorted(np.prod(shape) for shape in ours)


def test_the_schedule_ends_with_the_last_epoch(exercise):
    _, recipes = exercise
    recipe = recipes.find("mlp", "fashionmnist")
    optimizer = recipes.make_optimizer(recipe, Linear(2, 2))
    schedule = recipes.make_schedule(recipe, optimizer, steps_per_epoch=7)
    rates = []
    for _ in range(7 * recipe.epochs):
        rates.append(optimizer.lr)
        schedule.step()
    assert max(rates) == pytest.approx(recipe.lr, rel=1e-3)
    assert rates[-1] < rates[0] < recipe.lr
    assert recipes.make_schedule(replace(recipe, schedule="constant"), optimizer, 7) is None


def test_only_training_images_are_moved_and_all_are_standardised(exercise):
    _, recipes = exercise
    recipe = recipes.find("wide", "mnist")
    train, test = pictures("mnist", 200), pictures("mnist", 3)
    (moved, _), *_ = recipes.loaders(replace(recipe, batch_size=200), train, test, seed=1)[0]
    (still, _), *_ = recipes.loaders(recipe, train, test)[1]
    moved, still = moved.to_numpy(), still.to_numpy()
    mean, deviation = 0.1307, 0.3081
    np.testing.assert_allclose(still.min(), (0.0 - mean) / deviation, rtol=1e-5)
    np.testing.assert_allclose(still.max(), (1.0 - mean) / deviation, rtol=1e-5)
    assert (still[:, 0, 14, 14] == still.max()).all()
    rows, columns = np.nonzero(moved[:, 0] == moved.max())[1:]
    assert sorted(set(rows)) == sorted(set(columns)) == [12, 13, 14, 15, 16]


def test_an_unknown_name_is_told_with_the_known_ones(exercise):
    models, recipes = exercise
    with pytest.raises(minitorch.ArgumentError, match=r"mnist, fashionmnist, cifar, got 'svhn'"):
        models.build("mlp", "svhn")
    with pytest.raises(minitorch.ArgumentError, match=r"mlp, cnn for cifar, got 'lenet'"):
        models.build("lenet", "cifar")
    with pytest.raises(minitorch.ArgumentError, match=r"cnn on cifar.*got 'lenet' on 'cifar'"):
        recipes.find("lenet", "cifar")


def test_a_network_without_a_recipe_ends_the_script_in_one_sentence(tmp_path):
    flags = ("--dataset", "cifar", "--network", "lenet", "--out-dir", str(tmp_path))
    done = run_script(FOLDER / "fashion_mnist.py", *flags, small=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("ArgumentError: expected a network and a data set that there is a recipe for (mlp on")
    assert len(done.stderr.splitlines()) == 1
