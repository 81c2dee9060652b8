"""The training of project/run_sentiment.py, as one writes it in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.peers.training_torch import Kim

Batch = tuple[npt.NDArray[np.int64], npt.NDArray[Any]]


class SentimentTrain:
    """Trains the network one epoch after the other, with word vectors that stay as they are.

    Args:
        train: tables of word numbers, ``batch x words``, and labels 0.0 and 1.0.
        validation: the same.
        vectors: ``words x 50``; row 0 is zero, and stands for padding.
        lr: the learning rate.
        device: where it is computed, and where everything lies from the beginning.
    """

    def __init__(
        self,
        train: Sequence[Batch],
        validation: Sequence[Batch],
        vectors: npt.NDArray[np.float32],
        lr: float,
        device: str = "cpu",
    ) -> None:
        def placed(batches: Sequence[Batch]) -> list[tuple[Tensor, Tensor]]:
            return [(torch.from_numpy(i).to(device), torch.from_numpy(label).to(device)) for i, label in batches]

        self.batches, self.validation = placed(train), placed(validation)
        self.vectors = torch.from_numpy(vectors).to(device)
        self.model = Kim().to(device)
        self.optim = torch.optim.SGD(self.model.parameters(), lr)
        self.losses: list[float] = []
        self.accuracies: list[tuple[float, float]] = []  # on train and on validation, of each epoch

    def logits(self, index: Tensor) -> Tensor:
        """Run the network on word numbers."""
        return self.model(F.embedding(index, self.vectors).transpose(1, 2))

    def epoch(self) -> None:
        """See every sentence once, and validate."""
        self.model.train()
        right = 0
        for index, label in self.batches:
            self.optim.zero_grad()
            logits = self.logits(index)
            loss = F.binary_cross_entropy_with_logits(logits, label)
            loss.backward()
            self.optim.step()
            self.losses.append(loss.item())
            right += count_correct(logits, label)
        self.model.eval()
        with torch.no_grad():
            held_out = sum(count_correct(self.logits(index), label) for index, label in self.validation)
        self.accuracies.append((right / count(self.batches), held_out / count(self.validation)))


def count_correct(logits: Tensor, label: Tensor) -> int:
    """Count the sentences whose logit is on the side of the label."""
    return int(((logits > 0) == (label > 0.5)).sum())


def count(batches: Sequence[tuple[Tensor, Tensor]]) -> int:
    """Count the sentences of batches."""
    return sum(len(label) for _, label in batches)
