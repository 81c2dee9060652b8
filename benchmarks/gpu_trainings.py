"""Whole trainings on a GPU, for benchmarks/gpu.py: the scripts' LeNet and CNN of film reviews, and PyTorch's of both.

An epoch is what the scripts make of it: batches, the loss of every step read, and validation. PyTorch has its data on
the GPU from the beginning. Where digits or reviews are absent, noise of their shape takes as long, and results say so.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "project"))

import run_mnist_multiclass as mnist
import run_sentiment as sentiment

import minitorch
from benchmarks.digits import find_digits
from benchmarks.report import in_turns
from benchmarks.workloads import EMBEDDING, MAPS, WIDTHS, WORKLOADS
from minitorch.data import load_glove, load_sst2

Array = npt.NDArray[Any]
Run = Callable[[], object]

DIGITS, DIGITS_BATCH, DIGITS_RATE = 5000, 16, 0.01


@dataclass
class Training:
    """A training and who runs it.

    Attributes:
        name: what is trained.
        data: what on, in words.
        work: floating-point operations of the products in an epoch's steps.
        runs: train an epoch: ``ours``, ``compiled``, ``theirs`` where PyTorch is, and ``processor``, compiled for it.
    """

    name: str
    data: str
    work: float
    runs: dict[str, Run]


def measure(backend: minitorch.TensorBackend, torch: Any, rounds: int) -> list[dict[str, Any]]:
    """Give the seconds of an epoch of each training; everybody takes turns."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for training in (
            lenet(backend, torch, Path(folder)),
            film_reviews(backend, torch, load_reviews()),
        ):
            seconds = in_turns(list(training.runs.values()), rounds)
            print(".", end="", file=sys.stderr, flush=True)
            row = {"name": training.name, "data": training.data, "work": training.work}
            rows.append(row | dict(zip(training.runs, seconds, strict=True)))
    return rows


# --- LeNet ---------------------------------------------------------------------------------------------------


def lenet(
    backend: minitorch.TensorBackend,
    torch: Any,
    folder: Path,
    compiled: bool = True,
    digits: int = DIGITS,
    batch: int = DIGITS_BATCH,
) -> Training:
    """Give the training of project/run_mnist_multiclass.py.

    Args:
        backend: ours.
        torch: PyTorch, or None.
        folder: an empty folder, for noise.
        compiled: whether our steps are compiled too.
        digits: how many to train on.
        batch: digits a step.
    """
    source, flags = find_digits(folder)
    train, held_out = mnist.load_digits(mnist.parse(flags))
    images, labels = (np.resize(a, (digits, *a.shape[1:])) for a in (train.images, train.one_hot))
    validation = held_out.images, held_out.one_hot

    def ours(backend: minitorch.TensorBackend, compiled: bool) -> Run:
        trainer = mnist.ImageTrain(backend, compiled=compiled)
        return lambda: trainer.train((images, labels), validation, DIGITS_RATE, 1, lambda *line: None, batch)

    def theirs() -> Run:
        from benchmarks.peers.lenet_torch import TorchTrain

        classes = validation[0], validation[1].argmax(axis=1)
        return TorchTrain(images, labels.argmax(axis=1), classes, batch, DIGITS_RATE, "cuda").epoch

    workload = next(w for w in WORKLOADS if w.key == "lenet-mnist-16")
    work = workload.flops() / workload.batch * digits
    return Training(f"LeNet, {digits:,} digits", source, work, runs_of(backend, ours, compiled, theirs, torch))


def runs_of(
    backend: minitorch.TensorBackend,
    ours: Callable[[minitorch.TensorBackend, bool], Run],
    compiled: bool,
    theirs: Callable[[], Run],
    torch: Any,
) -> dict[str, Run]:
    """Make what trains, where it can."""
    runs = {"ours": ours(backend, False), "processor": ours(minitorch.FastBackend, True)}
    if compiled:
        runs["compiled"] = ours(backend, True)
    if torch is not None:
        runs["theirs"] = theirs()
    return runs


# --- film reviews --------------------------------------------------------------------------------------------


@dataclass
class Reviews:
    """Sentences of word numbers, and the table of their vectors.

    Attributes:
        train: to train on.
        validation: to validate on.
        table: ``words x 50``, the padding first.
        source: what they are, in words.
    """

    train: sentiment.Sentences
    validation: sentiment.Sentences
    table: Array
    source: str


def load_reviews() -> Reviews:
    """Take the sentences of the course's setting, without a network, or noise where they are not here."""
    count = sentiment.COURSE.train_size
    assert count is not None
    try:
        train, dev = (load_sst2(split, download=False, notice=lambda line: None) for split in ("train", "dev"))
        chosen = train.sentences[:count], dev.sentences[: sentiment.VALIDATION]
        vocabulary = sorted({word for sentences in chosen for sentence in sentences for word in sentence.split()})
        words = load_glove(vocabulary, download=False, notice=lambda line: None)
    except (minitorch.DataError, minitorch.MissingDependencyError):
        return noise(count, sentiment.VALIDATION)
    row = {word: i + 2 for word, i in words.index.items()}
    encoded = (
        sentiment.encode_sentences(sentences, split.labels[: len(sentences)], row, "float32")
        for sentences, split in zip(chosen, (train, dev), strict=True)
    )
    return Reviews(*encoded, sentiment.make_table(words, "float32"), "SST-2, GloVe")


def noise(train: int, validation: int, words: int = 1000, longest: int = 40) -> Reviews:
    """Draw sentences of random lengths and words."""
    rng = np.random.default_rng(0)

    def drawn(count: int) -> sentiment.Sentences:
        lengths = rng.integers(1, longest + 1, count)
        return sentiment.Sentences(
            [rng.integers(2, words, length) for length in lengths], rng.integers(0, 2, count).astype(np.float32)
        )

    table = rng.standard_normal((words, EMBEDDING)).astype(np.float32)
    table[sentiment.PADDING] = 0
    source = "noise of the shape of SST-2, as no sentences or no vectors were found"
    return Reviews(drawn(train), drawn(validation), table, source)


def film_reviews(backend: minitorch.TensorBackend, torch: Any, reviews: Reviews, compiled: bool = True) -> Training:
    """Give the training of project/run_sentiment.py, in the course's setting.

    Args:
        backend: ours.
        torch: PyTorch, or None.
        reviews: what to train on.
        compiled: whether our steps are compiled too.
    """
    plan = sentiment.COURSE

    def ours(backend: minitorch.TensorBackend, compiled: bool) -> Run:
        vectors = minitorch.tensor(reviews.table, backend=backend)
        model = sentiment.SentenceClassifier(vectors, sentiment.CNNSentimentKim(backend=backend), tuned=False)
        trainer = sentiment.SentenceSentimentTrain(model, plan.optimizer, compiled)
        return lambda: trainer.train(
            reviews.train, plan.lr, plan.batch_size, 1, reviews.validation, lambda *line: None, progress=False
        )

    def theirs() -> Run:
        from benchmarks.peers.sentiment_torch import SentimentTrain

        train, validation = cut(reviews.train, plan.batch_size), cut(reviews.validation, sentiment.SCORED)
        return SentimentTrain(train, validation, reviews.table, plan.lr, "cuda").epoch

    # The vectors are not trained: a convolution's products are its own and its weight's gradient.
    places = sum(index.size for index, _ in cut(reviews.train, plan.batch_size))
    work = 4 * MAPS * EMBEDDING * sum(WIDTHS) * places + 6 * MAPS * len(WIDTHS) * len(reviews.train)
    name = f"film reviews, {len(reviews.train):,} sentences"
    return Training(name, reviews.source, work, runs_of(backend, ours, compiled, theirs, torch))


def cut(data: sentiment.Sentences, size: int) -> list[tuple[Array, Array]]:
    """Cut sentences into the script's batches: tables of word numbers, and labels."""
    picked = (data.pick(rows) for rows in sentiment.batches(data.lengths(), size))
    return [(batch.table(), batch.label) for batch in picked]
