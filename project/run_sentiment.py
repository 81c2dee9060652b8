"""Train Kim's sentence CNN to tell praise from blame in film reviews (course task 4.5; Y. Kim, EMNLP 2014).

    python project/run_sentiment.py                          the course's setting: 450 sentences, 100 to validate on
    python project/run_sentiment.py --full                   all of SST-2, word vectors tuned
    python project/run_sentiment.py --predict "a gorgeous, witty film"

The course's own network puts a ReLU between the last layer and the sigmoid. Its output could then never fall below
0.5, so the model could not say "negative" with any confidence; this one has no ReLU there.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import minitorch
from minitorch import Tensor
from minitorch.data import WordVectors, load_glove, load_sst2
from minitorch.io import load, load_state_dict, save, state_dict
from minitorch.layers import Dropout, Embedding
from minitorch.tensor_functions import Cat
from minitorch.training import RunLog, describe_run, require_finite

BACKENDS = {"fast": minitorch.FastOps, "simple": minitorch.SimpleOps}

# Rows of the table of word vectors that stand for no word of its own.
PADDING, UNKNOWN = 0, 1


@dataclass
class Settings:
    """What a run depends on; each field is a flag of the command line. None takes the setting's own value."""

    full: bool = False
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    train_size: int | None = None
    seed: int = 1
    dtype: str = "float32"
    backend: str = "fast"
    data_dir: str | None = None  # where SST-2's and GloVe's files are; searched for when left out
    out_dir: str = "out"  # receives sentiment.txt and sentiment.safetensors
    model: str | None = None  # the model file for --predict; out_dir's when left out
    predict: str | None = None  # a sentence

    def complete(self) -> Settings:
        """Fill in what was left out."""
        if self.full:
            own = {"epochs": 3, "batch_size": 50, "lr": 5e-4, "train_size": 1_000_000}
        else:
            own = {"epochs": 250, "batch_size": 10, "lr": 0.01, "train_size": 450}
        return replace(self, **{k: v for k, v in own.items() if getattr(self, k) is None})  # type: ignore[arg-type]


# --- the model -----------------------------------------------------------------------------------------------


def uniform(shape: tuple[int, ...], bound: float, backend: minitorch.TensorBackend, dtype: str) -> minitorch.Parameter:
    """Draw a parameter between ``-bound`` and ``bound``."""
    draw = minitorch.rand(shape, backend=backend, dtype=dtype)
    return minitorch.Parameter((draw - 0.5) * (2.0 * bound))


class Linear(minitorch.Module):
    """$y = x w + b$, for ``batch x in_size``."""

    def __init__(self, in_size: int, out_size: int, backend: minitorch.TensorBackend, dtype: str) -> None:
        super().__init__()
        self.weights = uniform((in_size, out_size), in_size**-0.5, backend, dtype)
        self.bias = minitorch.Parameter(minitorch.zeros((out_size,), backend=backend, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Multiply and add."""
        return x @ self.weights.value + self.bias.value


class Conv1d(minitorch.Module):
    """The course's convolution of ``batch x in_channels x width``, with a bias for each output channel."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_width: int, backend: minitorch.TensorBackend, dtype: str
    ) -> None:
        super().__init__()
        bound = (in_channels * kernel_width) ** -0.5
        self.weights = uniform((out_channels, in_channels, kernel_width), bound, backend, dtype)
        self.bias = minitorch.Parameter(minitorch.zeros((1, out_channels, 1), backend=backend, dtype=dtype))

    def forward(self, input: Tensor) -> Tensor:
        """Convolve and add."""
        return minitorch.conv1d(input, self.weights.value) + self.bias.value


class CNNSentimentKim(minitorch.Module):
    """Kim's network: convolutions of several widths over the words, the maximum over time, dropout, a linear layer.

    Args:
        feature_map_size: maps of each width.
        embedding_size: length of a word vector.
        filter_sizes: the widths, in words.
        dropout: the share of the features that are dropped while training.
        backend: what computes.
        dtype: float32 or float64.
    """

    def __init__(
        self,
        feature_map_size: int = 100,
        embedding_size: int = 50,
        filter_sizes: Sequence[int] = (3, 4, 5),
        dropout: float = 0.25,
        backend: minitorch.TensorBackend = minitorch.FastBackend,
        dtype: str = "float32",
    ) -> None:
        super().__init__()
        self.filter_sizes = tuple(filter_sizes)
        for size in self.filter_sizes:
            setattr(self, f"conv{size}", Conv1d(embedding_size, feature_map_size, size, backend, dtype))
        self.dropout = Dropout(dropout)
        self.classify = Linear(feature_map_size * len(self.filter_sizes), 1, backend, dtype)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Give the probability that a sentence is positive, ``batch``, for ``batch x words x embedding_size``."""
        x = embeddings.permute(0, 2, 1).contiguous()
        batch = x.shape[0]
        features = []
        for size in self.filter_sizes:
            maps = getattr(self, f"conv{size}")(x).relu()
            features.append(minitorch.max(maps, 2).view(batch, maps.shape[1]))
        joined = self.dropout(Cat.apply(*features, 1))
        return self.classify(joined).sigmoid().view(batch)


class SentenceClassifier(minitorch.Module):
    """Word vectors and Kim's network on top, for tables of word numbers.

    Args:
        vectors: ``words x embedding_size``; rows 0 and 1 stand for padding and for unknown words.
        cnn: the network.
        tuned: whether the vectors are trained too.
    """

    def __init__(self, vectors: Tensor, cnn: CNNSentimentKim, tuned: bool) -> None:
        super().__init__()
        self.cnn = cnn
        self.tuned = tuned
        if tuned:
            self.embedding = Embedding(*vectors.shape, weight=vectors)
        else:
            self.vectors = vectors

    def forward(self, index: npt.NDArray[np.int64]) -> Tensor:
        """Give the probability that each row of word numbers, ``batch x words``, is positive."""
        if self.tuned:
            return self.cnn(self.embedding(minitorch.tensor(index, backend=self.embedding.weight.value.backend)))
        table = self.vectors
        return self.cnn(minitorch.tensor(table.to_numpy()[index], backend=table.backend))


# --- the data ------------------------------------------------------------------------------------------------


@dataclass
class Sentences:
    """Word numbers ``count x words`` (padded with :data:`PADDING`) and labels ``count``, 1 for positive."""

    index: npt.NDArray[np.int64]
    label: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, rows: Any) -> Sentences:
        return Sentences(self.index[rows], self.label[rows])


def encode_sentences(sentences: Sequence[str], labels: Any, row: dict[str, int], length: int, dtype: str) -> Sentences:
    """Replace words by the rows of their vectors, and pad to ``length`` words; longer sentences are cut."""
    index = np.full((len(sentences), length), PADDING, dtype=np.int64)
    for i, sentence in enumerate(sentences):
        numbers = [row.get(word, UNKNOWN) for word in sentence.split()[:length]]
        index[i, : len(numbers)] = numbers
    return Sentences(index, np.asarray(labels, dtype=dtype))


def make_table(words: WordVectors, dtype: str) -> npt.NDArray[Any]:
    """Put the padding (zeros) and one small random vector for all unknown words above the words' own."""
    unknown = 0.1 * (minitorch.default_generator.uniform((1, words.vectors.shape[1])) - 0.5)
    return np.concatenate([np.zeros_like(unknown), unknown, words.vectors]).astype(dtype)


def longest(sentences: Iterable[str]) -> int:
    """Count the words of the longest sentence."""
    return max(len(sentence.split()) for sentence in sentences)


# --- training ------------------------------------------------------------------------------------------------


def get_accuracy(label: npt.NDArray[Any], probability: npt.NDArray[Any]) -> float:
    """Give the share of sentences on whose side of one half the probability falls."""
    return float(((probability > 0.5) == (label > 0.5)).mean()) if len(label) else 0.0


def default_log_fn(
    epoch: int,
    train_loss: float,
    losses: Sequence[float],
    train_accuracy: Sequence[float],
    validation_accuracy: Sequence[float],
) -> None:
    """Print the course's three lines."""
    for line in epoch_lines(epoch, train_loss, train_accuracy, validation_accuracy):
        print(line)


def epoch_lines(
    epoch: int, train_loss: float, train_accuracy: Sequence[float], validation_accuracy: Sequence[float]
) -> list[str]:
    """Write what the course logs for an epoch."""
    lines = [f"Epoch {epoch}, loss {train_loss}, train accuracy: {train_accuracy[-1]:.2%}"]
    if validation_accuracy:
        lines.append(f"Validation accuracy: {validation_accuracy[-1]:.2%}")
        lines.append(f"Best Valid accuracy: {max(validation_accuracy):.2%}")
    return lines


class SentenceSentimentTrain:
    """Trains a :class:`SentenceClassifier` and scores with it."""

    def __init__(
        self, model: SentenceClassifier, optimizer: Callable[..., minitorch.Optimizer] = minitorch.SGD
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.steps = 0

    def probabilities(self, data: Sentences, batch_size: int = 200) -> npt.NDArray[Any]:
        """Give the probability of every sentence, without dropout."""
        self.model.eval()
        with minitorch.no_grad():
            batches = [
                self.model(data.index[start : start + batch_size]).to_numpy()
                for start in range(0, len(data), batch_size)
            ]
        return np.concatenate(batches) if batches else np.zeros(0)

    def train(
        self,
        data_train: Sentences,
        learning_rate: float,
        batch_size: int = 10,
        max_epochs: int = 500,
        data_val: Sentences | None = None,
        log_fn: Callable[..., None] = default_log_fn,
        shuffle: bool = False,
    ) -> list[float]:
        """Train with gradient descent on the mean negative log-likelihood, and validate after each epoch.

        Args:
            data_train: what to train on.
            learning_rate: the step size.
            batch_size: sentences a step; a last, smaller batch counts too.
            max_epochs: how often every sentence is seen.
            data_val: what to validate on.
            log_fn: called after each epoch with its number, its summed loss, the losses of all epochs, and the
                accuracies of all epochs on train and validation.
            shuffle: draw a new order for each epoch.

        Returns:
            The validation accuracy of every epoch.
        """
        optim = self.optimizer(self.model.parameters(), learning_rate)
        losses: list[float] = []
        train_accuracy: list[float] = []
        validation_accuracy: list[float] = []
        for epoch in range(1, max_epochs + 1):
            total_loss = 0.0
            self.model.train()
            order = minitorch.default_generator.permutation(len(data_train)) if shuffle else np.arange(len(data_train))
            predictions = np.zeros(len(data_train))
            for start in range(0, len(data_train), batch_size):
                rows = order[start : start + batch_size]
                batch = data_train[rows]
                optim.zero_grad()
                probability = self.model(batch.index)
                loss = negative_log_likelihood(probability, batch.label)
                loss.backward()
                self.steps += 1
                require_finite(loss, self.model, batch.index, step=self.steps)
                optim.step()
                total_loss += loss.item()
                predictions[rows] = probability.to_numpy()
            losses.append(total_loss)
            train_accuracy.append(get_accuracy(data_train.label, predictions))
            if data_val is not None:
                validation_accuracy.append(get_accuracy(data_val.label, self.probabilities(data_val)))
            log_fn(epoch, total_loss, losses, train_accuracy, validation_accuracy)
        return validation_accuracy


def negative_log_likelihood(probability: Tensor, label: npt.NDArray[Any]) -> Tensor:
    r"""Give $-\frac{1}{n} \sum_i \ln(p_i y_i + (1 - p_i)(1 - y_i))$ for probabilities $p$ and labels $y$."""
    y = minitorch.tensor(label, backend=probability.backend)
    of_label = probability * y + (1.0 - probability) * (1.0 - y)
    return of_label.log().sum() * (-1.0 / len(label))


# --- the two settings ----------------------------------------------------------------------------------------


def run(settings: Settings) -> float:
    """Train as the settings say, write log and model, and give the accuracy that the last line reports."""
    settings = settings.complete()
    assert settings.lr is not None
    assert settings.batch_size is not None
    assert settings.epochs is not None
    minitorch.manual_seed(settings.seed)
    train = load_sst2("train", settings.data_dir)
    dev = load_sst2("dev", settings.data_dir)
    length = longest([*train.sentences, *dev.sentences])

    if settings.full:
        sentences, labels = train.sentences[: settings.train_size], train.labels[: settings.train_size]
        held_out_sentences, held_out_labels = dev.sentences, dev.labels
    else:
        sentences, labels = train.sentences[: settings.train_size], train.labels[: settings.train_size]
        held_out_sentences, held_out_labels = dev.sentences[:100], dev.labels[:100]
    vocabulary = sorted({word for s in [*sentences, *held_out_sentences] for word in s.split()})
    words = load_glove(vocabulary, settings.data_dir)
    row = {word: i + 2 for word, i in words.index.items()}
    table = make_table(words, settings.dtype)
    data = encode_sentences(sentences, labels, row, length, settings.dtype)
    held_out = encode_sentences(held_out_sentences, held_out_labels, row, length, settings.dtype)

    backend = minitorch.TensorBackend(BACKENDS[settings.backend])
    cnn = CNNSentimentKim(backend=backend, dtype=settings.dtype)
    model = SentenceClassifier(minitorch.tensor(table, backend=backend), cnn, tuned=settings.full)
    trainer = SentenceSentimentTrain(model, minitorch.Adam if settings.full else minitorch.SGD)
    out = Path(settings.out_dir)

    with RunLog(out / "sentiment.txt") as say:
        say(describe_run(f"{len(data)} sentences of {train.source}; {words.source}", settings.seed, settings.dtype))
        say(f"missing pre-trained embedding for {len(words.missing)} unknown words")
        started = time.perf_counter()

        def log_fn(
            epoch: int, loss: float, losses: Sequence[float], train_accuracy: Sequence[float], accuracy: Sequence[float]
        ) -> None:
            nonlocal started
            for line in epoch_lines(epoch, loss, train_accuracy, accuracy):
                say(line)
            say(f"Epoch {epoch} took {time.perf_counter() - started:.2f} s")
            started = time.perf_counter()

        if settings.full:
            # Nothing is chosen on the 872 sentences of dev: 2,000 of train are held out to watch, dev is scored once.
            order = minitorch.default_generator.permutation(len(data))
            watch, rest = data[order[:2000]], data[order[2000:]]
            trainer.train(rest, settings.lr, settings.batch_size, settings.epochs, watch, log_fn, shuffle=True)
            result = get_accuracy(held_out.label, trainer.probabilities(held_out))
            say(f"Dev accuracy: {result:.2%} of {len(held_out)} sentences")
        else:
            best = trainer.train(data, settings.lr, settings.batch_size, settings.epochs, held_out, log_fn)
            result = max(best)
            say(f"Best Valid accuracy: {result:.2%}")
        # The table travels with the model, so that it can answer without the data.
        arrays = {
            **state_dict(model.cnn),
            "vectors": (model.embedding.weight.value if settings.full else model.vectors),
        }
        save(out / "sentiment.safetensors", arrays, {"network": "Kim", "words": row, "accuracy": result})
    return result


def predict(settings: Settings) -> float:
    """Print and give the probability that a sentence is positive."""
    assert settings.predict is not None
    if not settings.predict.split():
        raise minitorch.DataError("expected a sentence for --predict, got no words")
    arrays, metadata = load(settings.model or Path(settings.out_dir, "sentiment.safetensors"))
    if "vectors" not in arrays or "words" not in metadata:
        raise minitorch.DataError("expected a model that run_sentiment.py saved; this file has no word vectors in it")
    backend = minitorch.TensorBackend(BACKENDS[settings.backend])
    cnn = CNNSentimentKim(backend=backend, dtype=str(arrays["vectors"].dtype))
    table = arrays.pop("vectors")
    load_state_dict(cnn, arrays)
    model = SentenceClassifier(minitorch.tensor(table, backend=backend), cnn, tuned=False)
    # SST-2 writes punctuation as words of their own.
    words = "".join(f" {c} " if c in ",.!?;:()" else c for c in settings.predict.lower()).split()
    data = encode_sentences([" ".join(words)], [0], metadata["words"], max(len(words), 5), str(table.dtype))
    probability = float(SentenceSentimentTrain(model).probabilities(data)[0])
    unknown = [word for word in words if word not in metadata["words"]]
    print(f"{'positive' if probability > 0.5 else 'negative'} ({probability:.1%} positive)")
    if unknown:
        print(f"unknown words: {', '.join(unknown)}")
    return probability


def parse(argv: Sequence[str] | None = None) -> Settings:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train Kim's CNN on SST-2, or judge a sentence with it.")
    default = Settings()
    parser.add_argument("--full", action="store_true", help="all of SST-2, word vectors tuned")
    parser.add_argument("--epochs", type=int, help="default 250, or 3 with --full")
    parser.add_argument("--batch-size", type=int, help="default 10, or 50 with --full")
    parser.add_argument("--lr", type=float, help="default 0.01, or 0.0005 with --full")
    parser.add_argument("--train-size", type=int, help="sentences to train on; default 450, or all with --full")
    parser.add_argument("--seed", type=int, default=default.seed, help="fixes initialisation, order and dropout")
    parser.add_argument("--dtype", choices=("float32", "float64"), default=default.dtype)
    parser.add_argument("--backend", choices=sorted(BACKENDS), default=default.backend)
    parser.add_argument("--data-dir", help="folder of SST-2's and GloVe's files; searched for when left out")
    parser.add_argument("--out-dir", default=default.out_dir, help="receives sentiment.txt and sentiment.safetensors")
    parser.add_argument("--model", help="model file for --predict (default: the one in --out-dir)")
    parser.add_argument("--predict", metavar="SENTENCE", help="judge a sentence instead of training")
    values = vars(parser.parse_args(argv))
    return Settings(**{field.name: values[field.name] for field in fields(Settings)})


def main(argv: Sequence[str] | None = None) -> None:
    """Train, or predict."""
    settings = parse(argv)
    try:
        if settings.predict is not None:
            predict(settings)
        else:
            run(settings)
    except minitorch.MiniTorchError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
