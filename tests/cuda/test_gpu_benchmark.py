"""The benchmark of the GPU: cases compute what NumPy does, trainings train, and nothing simulated is measured."""

from __future__ import annotations

import numpy as np
import pytest
import run_mnist_multiclass
import run_sentiment

import minitorch
from benchmarks import gpu, gpu_trainings
from tests.cases import BACKENDS, assert_close

from .small_networks import SmallKim, SmallLeNet

GPU = BACKENDS["cuda"]

RESULTS = {
    "gpu": "Tesla X1, compute capability 9.0",
    "driver": "CUDA 13.0, 1 device",
    "machine": {"date": "2026-11-21"},
    "peaks": {"GB/s": 100.4, "GFLOP/s": 1000.0, "by": "PyTorch"},
    "GB/s": [{"name": "sum", "ours": 10.0, "theirs": 20.0, "numpy": 1.0}],
    "GFLOP/s": [{"name": "product", "ours": 10.0}],
    "trainings": [
        {"name": "LeNet", "data": "MNIST", "work": 2e9, "ours": 0.5, "compiled": 0.1, "theirs": 0.3, "processor": 0.9},
        {"name": "film reviews", "data": "noise", "work": 3e9, "ours": 0.25, "theirs": 0.2},
        {"name": "alone", "data": "noise", "work": 1e9, "ours": 0.25},
    ],
}


# --- operations ----------------------------------------------------------------------------------------------


def test_the_cases_compute_what_numpy_does():
    cases = gpu.Cases(GPU, None)
    for case in (*cases.memory(40), cases.product(6)):
        assert case.theirs is None
        assert_close(case.ours().to_numpy().reshape(-1), np.reshape(case.numpy(), -1), "float32")


def test_a_convolution_runs_with_and_without_gradients():
    with minitorch.no_grad():
        forward, step = gpu.Cases(GPU, None).convolution("small", (1, 2, 3, 3, 4, 2, 2))
        assert forward.ours().shape == (1, 3, 3, 4)
        step.ours()
    assert step.work == 3 * forward.work == 3 * 2 * 3 * 2 * 3 * 4 * 2 * 2


def test_numpy_convolves_as_we_do():
    """Also with gradients, which ours leaves in the leaves of its own graph."""
    a, b, g = (gpu.drawn(*shape) for shape in ((2, 3, 4, 5), (2, 3, 3, 2), (2, 2, 4, 5)))
    x, w = (minitorch.tensor(array, requires_grad=True) for array in (a, b))
    out = minitorch.conv2d(x, w)
    out.backward(minitorch.tensor(g))
    assert_close(gpu.numpy_convolution(a, b), out.to_numpy())
    found = gpu.numpy_convolution_with_gradients(a, b, g)
    for ours, expected in zip(found, (out, x.grad, w.grad), strict=True):
        assert_close(ours, expected.to_numpy())


@pytest.mark.parametrize("training", ["lenet", "film_reviews"])
def test_the_processor_trains_too(training, small_networks, monkeypatch, tmp_path):
    """On FastBackend, which the table has as a column of its own."""
    used = []
    for trainer in (run_mnist_multiclass.ImageTrain, run_sentiment.SentenceSentimentTrain):
        monkeypatch.setattr(trainer, "train", lambda self, *a, **k: used.append(self))
    if training == "lenet":
        made = gpu_trainings.lenet(GPU, None, tmp_path, compiled=False, digits=2, batch=1)
    else:
        made = gpu_trainings.film_reviews(GPU, None, gpu_trainings.noise(2, 1, words=10, longest=5), compiled=False)
    made.runs["processor"]()
    (trainer,) = used
    assert trainer.compiled
    assert {p.value.backend for p in trainer.model.parameters()} == {minitorch.FastBackend}


def test_speeds_count_every_start(monkeypatch):
    monkeypatch.setattr(gpu, "in_turns", lambda runs, rounds: [0.5] * len(runs))
    case = gpu.Case("nothing", 1e9, lambda: None, lambda: None, None)
    assert gpu.speeds(case, None, 1) == {"name": "nothing", "ours": 40.0, "numpy": 2.0}


def test_the_peaks_are_those_of_a_copy_and_a_product(monkeypatch):
    def in_turns(runs, rounds):
        for run in runs:
            run()
        return [0.5] * len(runs)

    monkeypatch.setattr(gpu, "in_turns", in_turns)
    assert gpu.copy_peak(1, size=1000) == gpu.STARTED * 2 * 1000 / 0.5 / 1e9
    assert gpu.product_peak(gpu.Cases(GPU, None), 1, side=2) == (gpu.STARTED * 2 * 2**3 / 0.5 / 1e9, "MiniTorch")


# --- trainings -----------------------------------------------------------------------------------------------


@pytest.fixture
def small_networks(monkeypatch):
    monkeypatch.setattr(run_mnist_multiclass, "Network", SmallLeNet)
    monkeypatch.setattr(run_sentiment, "CNNSentimentKim", SmallKim)


def epoch_of(training, trainer, monkeypatch):
    """The losses of an epoch, and where they were computed."""
    seen = []
    train = trainer.train
    monkeypatch.setattr(trainer, "train", lambda self, *a, **k: seen.append((self.model, train(self, *a, **k), self)))
    training.runs["ours"]()
    ((model, _, used),) = seen
    assert {p.value.backend for p in model.parameters()} == {GPU}
    return used.history.losses


def test_digits_are_trained_on(small_networks, monkeypatch, tmp_path):
    training = gpu_trainings.lenet(GPU, None, tmp_path, compiled=False, digits=2, batch=1)
    assert list(training.runs) == ["ours", "processor"]
    losses = epoch_of(training, run_mnist_multiclass.ImageTrain, monkeypatch)
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    # Of LeNet's products: forward, the weights' gradients, and the inputs' of all layers but the first.
    forward = [784 * 4 * 9, 784 * 8 * 4 * 9, 392 * 64, 64 * 10]
    assert training.work == 2 * 2 * (3 * sum(forward) - forward[0])


def test_film_reviews_are_trained_on(small_networks, monkeypatch):
    reviews = gpu_trainings.noise(2, 1, words=10, longest=5)
    training = gpu_trainings.film_reviews(GPU, None, reviews, compiled=False)
    (loss,) = epoch_of(training, run_sentiment.SentenceSentimentTrain, monkeypatch)
    assert np.isfinite(loss)
    assert training.work == 2 * 2 * (8 * 100 * 50 * (3 + 4 + 5)) * 2 + 3 * 2 * 300 * 2  # two sentences of eight places


def test_everybody_takes_turns(monkeypatch):
    def training(*arguments):
        return gpu_trainings.Training("a", "noise", 7.0, {"ours": lambda: None, "theirs": lambda: None})

    monkeypatch.setattr(gpu_trainings, "lenet", training)
    monkeypatch.setattr(gpu_trainings, "film_reviews", training)
    monkeypatch.setattr(gpu_trainings, "in_turns", lambda runs, rounds: list(range(1, len(runs) + 1)))
    row = {"name": "a", "data": "noise", "work": 7.0, "ours": 1, "theirs": 2}
    assert gpu_trainings.measure(GPU, None, 3) == [row, row]


# --- results -------------------------------------------------------------------------------------------------


def test_nothing_simulated_is_measured(monkeypatch):
    monkeypatch.setattr(gpu, "simulated", lambda: True)
    with pytest.raises(minitorch.BackendError, match="simulated GPU say nothing"):
        gpu.measure(1)


def test_the_summary_names_the_gpu_and_what_is_lost():
    text = gpu.summary(RESULTS)
    assert text.startswith(
        "Tesla X1, compute capability 9.0; driver: CUDA 13.0, 1 device. A copy within its memory moves 100 GB/s, a "
        "large product of matrices by PyTorch reaches 1000 GFLOP/s."
    )
    assert "| LeNet (MNIST) | 0.100 | 0.500 | 0.300 | 0.900 | 3.00 | 20.0 | 2% |" in text
    assert "| film reviews (noise) (lost) |  | 0.250 | 0.200 |  | 0.80 | 12.0 | 1% |" in text
    assert "| alone (noise) |  | 0.250 |  |  |  | 4.0 | 0% |" in text
    assert "| sum (lost) | 10.0 | 10% | 20.0 | 20% | 1.0 |" in text
    assert "| product | 10.0 | 1% |  |  |  |" in text
