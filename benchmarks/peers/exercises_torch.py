"""The heavy parts of the exercises in PyTorch, eager, for benchmarks/exercises.py: written as its users write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["accuracy", "mlp", "monte_carlo", "save_and_load", "squared_distances", "training_step"]


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Compute all squared distances by the identity of exercise 1, ``N x M``."""
    return ((a * a).sum(1, keepdim=True) + (b * b).sum(1) - 2 * (a @ b.T)).clamp(min=0)


def mlp(state: Mapping[str, Any], between: Callable[[], Sequence[nn.Module]], *last: nn.Module) -> nn.Sequential:
    """Make a network of linear layers with the parameters of one of MiniTorch's.

    Args:
        state: weight and bias of each layer, as arrays.
        between: makes the layers that stand behind each linear layer but the last.
        last: the layers that stand behind the last one.
    """
    arrays = list(state.values())
    layers: list[nn.Module] = [nn.Flatten()]
    for weight, bias in zip(arrays[::2], arrays[1::2]):
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        linear.weight.data, linear.bias.data = torch.from_numpy(weight.copy()), torch.from_numpy(bias.copy())
        layers += [linear, *between()]
    return nn.Sequential(*layers[: len(layers) - len(between())], *last)


def training_step(
    network: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], optimizer: torch.optim.Optimizer
) -> Callable[[Tensor, Tensor], Tensor]:
    """Make the step that a network learns by: from images and labels to their loss."""

    def step(images: Tensor, labels: Tensor) -> Tensor:
        optimizer.zero_grad()
        found = loss(network(images), labels)
        found.backward()
        optimizer.step()
        return found

    return step


def monte_carlo(network: nn.Module, images: Tensor, samples: int) -> list[Tensor]:
    """Give the class probabilities of each pass of exercise 5, with nothing but dropout in training mode."""
    network.eval()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.train()
    with torch.no_grad():
        passes = [network(images).softmax(1) for _ in range(samples)]
    network.eval()
    return passes


def accuracy(network: nn.Module, batches: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Give the share of images that a network reads right."""
    network.eval()
    with torch.no_grad():
        right = sum(int((network(images).argmax(1) == labels).sum()) for images, labels in batches)
    network.train()
    return right / sum(len(labels) for _, labels in batches)


def save_and_load(network: nn.Module, path: Path) -> None:
    """Write the parameters of a network, and read them back into it."""
    torch.save(network.state_dict(), path)
    network.load_state_dict(torch.load(path, weights_only=True))
