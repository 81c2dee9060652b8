"""The PyTorch trainings that benchmarks/gpu.py measures: they compute what the scripts compute."""

from __future__ import annotations

import numpy as np
import run_sentiment
import torch

import minitorch
from benchmarks import gpu_trainings
from benchmarks.peers.lenet_torch import TorchTrain
from benchmarks.peers.sentiment_torch import SentimentTrain


def test_film_reviews_have_the_same_losses_and_accuracies():
    reviews = gpu_trainings.noise(23, 7, words=30, longest=11)
    minitorch.manual_seed(0)
    cnn = run_sentiment.CNNSentimentKim(dropout=0.0)
    model = run_sentiment.SentenceClassifier(minitorch.tensor(reviews.table, backend=minitorch.FastBackend), cnn, False)
    trainer = run_sentiment.SentenceSentimentTrain(model)

    train, validation = (gpu_trainings.cut(data, 10) for data in (reviews.train, reviews.validation))
    peer = SentimentTrain(train, validation, reviews.table, lr=0.01)
    peer.model.dropout.p = 0.0
    weights = {name: torch.from_numpy(p.value.to_numpy()) for name, p in cnn.named_parameters()}
    peer.model.load_state_dict(
        {
            name.replace("weights", "weight"): w.reshape(-1) if name.endswith("bias") else w.T if w.ndim == 2 else w
            for name, w in weights.items()
        }
    )
    for _ in range(2):
        peer.epoch()
    trainer.train(reviews.train, 0.01, 10, 2, reviews.validation, lambda *line: None, progress=False)
    np.testing.assert_allclose(trainer.history.losses, peer.losses, rtol=1e-4)
    ours = zip(*run_sentiment.accuracies(trainer.history), strict=True)
    np.testing.assert_allclose(list(ours), peer.accuracies, rtol=1e-6)


def test_digits_are_seen_once_on_the_device_that_was_named():
    images = np.random.default_rng(0).standard_normal((20, 28, 28)).astype(np.float32)
    labels = np.arange(20) % 10
    trainer = TorchTrain(images, labels, (images, labels), 8, 0.01, "cpu")
    trainer.epoch()
    assert len(trainer.losses) == 3
    assert {p.device for p in trainer.model.parameters()} == {torch.device("cpu")}
