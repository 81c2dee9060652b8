"""The trainings that benchmarks/accuracies.py compares: PyTorch's networks, losses and images are MiniTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minitorch
from benchmarks.accuracy_tasks import TASKS, exercise_module, training_of
from benchmarks.peers import accuracies_torch as peer
from minitorch.layers import Dropout, Sequential
from minitorch.losses import cross_entropy
from minitorch.schedules import OneCycleLR

from ..defaults import on_fast_backend

SIDES = {"cifar": (3, 32, 32)}


def our_layers(task):
    """Make MiniTorch's network of a task."""
    if task.name == "race":
        return exercise_module("race", "race").make_network()
    if task.name == "corrupted":
        return exercise_module("corrupted_mnist", "model").DigitClassifier().layers
    recipes = exercise_module("4_fashion_mnist", "recipes")
    return recipes.make_model(recipes.find(task.network, task.dataset))


@pytest.fixture
def fast():
    """New tensors are on the fast backend."""
    with on_fast_backend():
        yield


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_three_steps_of_a_training_are_the_same(task):
    """Same weights, images and labels: the losses agree to float64's rounding, without dropout."""
    minitorch.manual_seed(4)
    training = training_of(task).to_json()
    network: Sequential = our_layers(task)
    theirs = peer.make_network(training["layers"]).double()
    theirs.load_state_dict({name: torch.tensor(array) for name, array in minitorch.state_dict(network).items()})
    for layer in (*network, *theirs):
        if isinstance(layer, (Dropout, torch.nn.Dropout)):
            layer.p = 0.0
    ours = minitorch.Adam(network.parameters(), training["lr"], training["betas"])
    schedule = OneCycleLR(ours, training["lr"], total_steps=3)
    optimizer = peer.make_optimizer(theirs, training)
    their_schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training["lr"], 3)

    rng = np.random.default_rng(0)
    losses: list[list[float]] = [[], []]
    for _ in range(3):
        x, y = rng.normal(size=(8, *SIDES.get(task.dataset, (1, 28, 28)))), rng.integers(0, 10, 8)
        ours.zero_grad()
        scores = network(minitorch.from_numpy(x))
        loss = cross_entropy(scores, minitorch.from_numpy(y), label_smoothing=training["label_smoothing"])
        loss.backward()
        ours.step()
        schedule.step()
        losses[0].append(loss.item())

        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            theirs(torch.from_numpy(x)), torch.from_numpy(y), label_smoothing=training["label_smoothing"]
        )
        loss.backward()
        optimizer.step()
        their_schedule.step()
        losses[1].append(loss.item())
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-8)


def test_images_are_moved_by_up_to_so_many_pixels_and_turned():
    torch.manual_seed(0)
    image = torch.arange(1, 26, dtype=torch.uint8).view(1, 1, 5, 5)
    whole = np.pad(image[0, 0].numpy(), 2)
    places = {(top, left): whole[top : top + 5, left : left + 5].tobytes() for top in range(5) for left in range(5)}
    moved = peer.shift(image.expand(2000, 1, 5, 5), 2)
    assert {m.numpy().tobytes() for m in moved} == set(places.values())
    assert moved.dtype == torch.uint8
    turned = peer.flip(image.expand(1000, 1, 5, 5))
    flipped = [bool((t == image[0].flip(2)).all()) for t in turned]
    assert all(f or bool((t == image[0]).all()) for f, t in zip(flipped, turned))
    assert 400 < sum(flipped) < 600


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_pixels_are_normalised_as_transforms_do(dtype):
    images = np.random.default_rng(1).integers(0, 256, (4, 3, 6, 6)).astype(np.uint8)
    if dtype == np.float32:
        images = (images / 255).astype(np.float32)
    mean, std = (0.4, 0.5, 0.3), (0.2, 0.1, 0.3)
    steps = [minitorch.data.ToDtype("float32", scale=True), minitorch.data.Normalize(mean, std)]
    expected = minitorch.data.Compose(steps)(images)
    found = peer.normalize(torch.from_numpy(images), {"mean": mean, "std": std})
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_short_training_learns(tmp_path, channels_last):
    """Black and white images, told apart after an epoch or two, with everything that a training can have."""
    rng = np.random.default_rng(2)
    for split, count in (("train", 330), ("test", 40)):
        labels = rng.integers(0, 2, count)
        images = (labels[:, None, None, None] * 150 + rng.integers(0, 80, (count, 1, 28, 28))).astype(np.uint8)
        np.save(tmp_path / f"{split}_images.npy", images)
        np.save(tmp_path / f"{split}_labels.npy", labels)
    race = training_of(next(task for task in TASKS if task.name == "race")).to_json()
    training = {**race, "epochs": 2, "batch_size": 32, "held_out": 0.1, "augment": "shift"}
    request = {"training": training, "seed": 0, "folder": str(tmp_path), "limit": 320, "channels_last": channels_last}
    found = peer.train(request)
    assert found["accuracy"] > 0.9
    assert found["training_s"] > 0
