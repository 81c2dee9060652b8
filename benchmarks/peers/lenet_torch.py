"""The network of project/run_mnist_multiclass.py and its training loop, as one writes them in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

VALIDATE_EVERY = 5  # steps


class LeNet(nn.Module):
    """Two convolutions, 4x4 max pooling, two linear layers.

    Args:
        centred: pad images by one pixel on every side, which PyTorch's convolution does by itself, instead of by two
            at the right and bottom, as MiniTorch's does. The arithmetic is the same, the result is the image's
            shifted by one pixel.
    """

    def __init__(self, centred: bool = False) -> None:
        super().__init__()
        self.centred = centred
        padding = 1 if centred else 0
        self.conv1 = nn.Conv2d(1, 4, 3, padding=padding)
        self.conv2 = nn.Conv2d(4, 8, 3, padding=padding)
        self.hidden = nn.Linear(392, 64)
        self.dropout = nn.Dropout(0.25)
        self.classify = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Give the log-probabilities of the classes, ``batch x 10``, for ``batch x 1 x 28 x 28``."""
        mid = self.conv1(self.padded(x)).relu()
        out = self.conv2(self.padded(mid)).relu()
        hidden = self.dropout(self.hidden(self.pool(out).flatten(1)).relu())
        return F.log_softmax(self.classify(hidden), 1)

    def pool(self, x: Tensor) -> Tensor:
        """Take the maximum of each 4x4 window."""
        return F.max_pool2d(x, 4)

    def padded(self, x: Tensor) -> Tensor:
        """Write MiniTorch's zeros where the convolution does not supply its own."""
        return x if self.centred else F.pad(x, (0, 2, 0, 2))

    def load_minitorch(self, state: Mapping[str, npt.NDArray[np.floating]]) -> None:
        """Take the parameters that ``minitorch.io.state_dict`` gives for MiniTorch's network.

        A linear layer of MiniTorch's holds ``in x out``, one of PyTorch's ``out x in``.
        """
        taken = {}
        for name, array in state.items():
            layer, _, kind = name.partition(".")
            if kind == "bias":
                array = array.reshape(-1)
            elif array.ndim == 2:
                array = array.T
            taken[f"{layer}.{'bias' if kind == 'bias' else 'weight'}"] = torch.tensor(array)
        self.load_state_dict(taken)


def count_correct(model: LeNet, images: Tensor, labels: Tensor) -> int:
    """Count the images whose most probable class is the label."""
    model.eval()
    with torch.no_grad():
        return int((model(images).argmax(1) == labels).sum())


class TorchTrain:
    """Trains the network one epoch after the other.

    Args:
        images: standardised, ``count x 28 x 28``.
        labels: ``count`` classes.
        held_out: images and labels to validate on; a batch of them counts.
        batch_size: digits a step.
        lr: the learning rate.
        device: where it is computed, and where everything lies from the beginning.
    """

    def __init__(
        self,
        images: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int64],
        held_out: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]],
        batch_size: int,
        lr: float,
        device: str = "cpu",
    ) -> None:
        def placed(array: npt.NDArray[Any]) -> Tensor:
            return torch.from_numpy(array).to(device)

        self.images, self.labels = placed(images).unsqueeze(1), placed(labels)
        self.val_images = placed(held_out[0][:batch_size]).unsqueeze(1)
        self.val_labels = placed(held_out[1][:batch_size])
        self.batch_size = batch_size
        self.model = LeNet(centred=True).to(device)
        self.optim = torch.optim.SGD(self.model.parameters(), lr)
        self.losses: list[float] = []

    def epoch(self) -> None:
        """See every digit once, and validate every five steps."""
        order = torch.randperm(len(self.images), device=self.images.device)
        for batch_num, start in enumerate(range(0, len(self.images), self.batch_size)):
            self.model.train()
            rows = order[start : start + self.batch_size]
            x, y = self.images[rows], self.labels[rows]

            self.optim.zero_grad()
            loss = F.nll_loss(self.model(x), y)
            loss.backward()
            self.optim.step()

            self.losses.append(loss.item())
            if batch_num % VALIDATE_EVERY == 0:
                count_correct(self.model, self.val_images, self.val_labels)
