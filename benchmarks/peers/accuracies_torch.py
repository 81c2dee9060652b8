"""The networks of the exercises trained in PyTorch, eager, for benchmarks/accuracies.py.

The same layers, batch size, optimizer, schedule, augmentation and loss, with PyTorch's own initialisation and its own
random numbers. What makes PyTorch fast is done: Adam is fused, images that no augmentation changes are normalised once
and not in every batch, and ``channels_last`` is used where it is faster.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from torch.optim.lr_scheduler import OneCycleLR

TEST_BATCH = 500


def make_network(layers: list[tuple[str, dict[str, Any]]]) -> nn.Sequential:
    """Make a network of layers that are given by name, with their arguments."""

    def as_tuple(value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    return nn.Sequential(
        *(getattr(nn, name)(**{key: as_tuple(value) for key, value in given.items()}) for name, given in layers)
    )


def make_optimizer(network: nn.Module, training: dict[str, Any]) -> torch.optim.Optimizer:
    """Make what moves the parameters."""
    lr, decay = training["lr"], training["weight_decay"]
    if training["optimizer"] == "adam":
        return torch.optim.Adam(network.parameters(), lr, tuple(training["betas"]), weight_decay=decay, fused=True)
    return torch.optim.SGD(network.parameters(), lr, momentum=0.9, weight_decay=decay, fused=True)


# --- images --------------------------------------------------------------------------------------------------


def shift(images: Tensor, by: int) -> Tensor:
    """Move each image by up to so many pixels; zeros come in."""
    batch, _, height, width = images.shape
    parts = pad(images, (by, by, by, by)).unfold(2, height, 1).unfold(3, width, 1)
    down, right = torch.randint(0, 2 * by + 1, (2, batch))
    return parts[torch.arange(batch), :, down, right]


def flip(images: Tensor) -> Tensor:
    """Turn half of the images left to right."""
    turned = torch.rand(len(images)) < 0.5
    return torch.where(turned.view(-1, 1, 1, 1), images.flip(3), images)


AUGMENT: dict[str, Callable[[Tensor], Tensor]] = {
    "shift": lambda images: shift(images, 2),
    "shift and flip": lambda images: flip(shift(images, 4)),
}


def normalize(images: Tensor, training: dict[str, Any]) -> Tensor:
    """Bring bytes from 0 to 255, or floats from 0 to 1, to mean 0 and standard deviation 1."""
    mean, std = (torch.tensor(training[name]).view(-1, 1, 1) for name in ("mean", "std"))
    scaled = images / 255 if images.dtype == torch.uint8 else images
    return (scaled - mean) / std


def load(folder: str, split: str, limit: int = 0) -> tuple[Tensor, Tensor]:
    """Read images, ``count x channel x height x width``, and their classes."""
    images, labels = (np.load(os.path.join(folder, f"{split}_{name}.npy")) for name in ("images", "labels"))
    return torch.from_numpy(images[: limit or None]), torch.from_numpy(labels[: limit or None])


# --- training ------------------------------------------------------------------------------------------------


def train(request: dict[str, Any]) -> dict[str, float]:
    """Train a network, test it after the last epoch, and give accuracy and seconds."""
    training = request["training"]
    torch.manual_seed(request["seed"])
    images, labels = load(request["folder"], "train", request["limit"])
    test_images, test_labels = load(request["folder"], "test")
    layout = torch.channels_last if request["channels_last"] else torch.contiguous_format

    begun = time.perf_counter()
    if training["held_out"]:
        kept = torch.randperm(len(images))[round(len(images) * training["held_out"]) :]
        images, labels = images[kept], labels[kept]
    augment = AUGMENT.get(training["augment"])
    if augment is None:
        images = normalize(images, training)

    network = make_network(training["layers"])
    network.to(memory_format=layout)  # pyright: ignore[reportCallIssue]
    optimizer = make_optimizer(network, training)
    size, last = training["batch_size"], training["drop_last"]
    starts = range(0, len(images) - (size - 1 if last else 0), size)
    schedule = None
    if training["schedule"] == "onecycle":
        schedule = OneCycleLR(optimizer, training["lr"], training["epochs"] * len(starts))
    for _ in range(training["epochs"]):
        order = torch.randperm(len(images))
        for start in starts:
            rows = order[start : start + size]
            x, y = images[rows], labels[rows]
            if augment is not None:
                x = normalize(augment(x), training)
            x = x.contiguous(memory_format=layout)
            optimizer.zero_grad()
            loss = cross_entropy(network(x), y, label_smoothing=training["label_smoothing"])
            loss.backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
    accuracy = evaluate(network, normalize(test_images, training).contiguous(memory_format=layout), test_labels)
    return {"accuracy": accuracy, "training_s": time.perf_counter() - begun}


def evaluate(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Give the share of images whose highest score is at the right class."""
    network.eval()
    with torch.no_grad():
        correct = sum(
            int((network(images[start : start + TEST_BATCH]).argmax(1) == labels[start : start + TEST_BATCH]).sum())
            for start in range(0, len(images), TEST_BATCH)
        )
    return correct / len(images)


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    print(json.dumps(train(json.loads(sys.argv[1]))))
