"""Kim's CNN on film reviews: trained step by step, and asked which words made it say so (module 4)."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from run_sentiment import PADDING, TOKEN, UNKNOWN, CNNSentimentKim, make_table

import minitorch
from minitorch.data import load_glove, load_sst2
from minitorch.io import load_state_dict, state_dict

from .run import Randomness, seeded
from .svg import BLUE, GREY, ORANGE, STRONG, Drawing

__all__ = [
    "Judge",
    "Opinion",
    "Reviews",
    "SentenceProgress",
    "SentenceSettings",
    "Winner",
    "draw_words",
    "load",
    "train",
]

# A batch is padded to a multiple of so many words: each width that occurs is a program of its own.
WIDTH = 16
LONGEST = 60  # words of a sentence that somebody types


@dataclass(frozen=True, eq=False)
class Reviews:
    """Sentences as lists of words, their labels (1 is praise), a table of word vectors, and the row of each word."""

    sentences: tuple[tuple[str, ...], ...]
    labels: npt.NDArray[np.float32]
    test_sentences: tuple[tuple[str, ...], ...]
    test_labels: npt.NDArray[np.float32]
    table: npt.NDArray[np.float32]
    row: dict[str, int]
    source: str

    def vectors(self, sentences: Sequence[Sequence[str]]) -> npt.NDArray[np.float32]:
        """Give the vectors of sentences, ``count x words x size``, padded with zeros to a common length.

        There is always a place with padding only, so that what a filter finds does not depend on the other sentences.
        """
        longest = max(len(words) for words in sentences)
        index = np.full((len(sentences), WIDTH * (longest // WIDTH + 1)), PADDING)
        for numbers, words in zip(index, sentences, strict=True):
            numbers[: len(words)] = [self.row.get(word, UNKNOWN) for word in words]
        return self.table[index]


@dataclass(frozen=True)
class SentenceSettings:
    """What a training depends on; the rate and the size of a batch are the course's."""

    epochs: int = 30
    train_size: int = 450
    batch_size: int = 10
    rate: float = 0.01
    feature_maps: int = 100
    seed: int = 1


@dataclass(frozen=True, eq=False)
class SentenceProgress:
    """What there is to see after an epoch: its number, losses and accuracies so far, and the network as it is now."""

    epoch: int
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]
    judge: Judge


@dataclass(frozen=True)
class Winner:
    """Words that filters chose as their maximum over time.

    Attributes:
        width: of the filters, in words.
        first: the number of the first word.
        words: the words; fewer than ``width`` at the end of the sentence, none in the padding.
        filters: how many filters chose this place.
        moved: what they added to the logit together.
    """

    width: int
    first: int
    words: tuple[str, ...]
    filters: int
    moved: float


@dataclass(frozen=True)
class Opinion:
    """What the network says of a sentence.

    Attributes:
        words: as the network reads them.
        unknown: those that it has no vector for.
        probability: that the sentence is praise.
        bias: the logit of a sentence in which no filter finds anything.
        winners: what moved the logit from there, by width and then by how far.
    """

    words: tuple[str, ...]
    unknown: tuple[str, ...]
    probability: float
    bias: float
    winners: tuple[Winner, ...]

    @property
    def logit(self) -> float:
        """The bias and what all winners moved; its sigmoid is the probability."""
        return self.bias + sum(winner.moved for winner in self.winners)


def load(train_size: int = 450, test_size: int = 300) -> Reviews:
    """Load SST-2 and the word vectors without the network.

    Raises:
        DataError: something is not there; the message tells how to get it.
    """
    quiet: Any = {"download": False, "notice": lambda line: None}
    train, dev = load_sst2("train", **quiet), load_sst2("dev", **quiet)
    vocabulary = sorted({word for sentence in [*train.sentences, *dev.sentences] for word in sentence.split()})
    words = load_glove(vocabulary, **quiet)
    with Randomness(1):
        table = make_table(words, "float32")
    return Reviews(
        tuple(tuple(sentence.split()) for sentence in train.sentences[:train_size]),
        np.asarray(train.labels[:train_size], np.float32),
        tuple(tuple(sentence.split()) for sentence in dev.sentences[:test_size]),
        np.asarray(dev.labels[:test_size], np.float32),
        table,
        {word: i + 2 for word, i in words.index.items()},
        train.source,
    )


class Judge:
    """The network with fixed weights, in evaluation mode.

    Args:
        cnn: whose weights are copied.
        reviews: whose words it knows.
    """

    def __init__(self, cnn: CNNSentimentKim, reviews: Reviews) -> None:
        maps = cnn.conv3.bias.value.shape[1]
        self.cnn = CNNSentimentKim(feature_map_size=maps, embedding_size=reviews.table.shape[1])
        load_state_dict(self.cnn, {name: np.array(value) for name, value in state_dict(cnn).items()})
        self.cnn.eval()
        self.reviews = reviews

    def probabilities(self, sentences: Sequence[Sequence[str]], at_once: int = 100) -> npt.NDArray[np.float64]:
        """Give the probability that each sentence is praise."""
        parts = [sentences[i : i + at_once] for i in range(0, len(sentences), at_once)]
        with minitorch.no_grad():
            answers = [self.cnn(_tensor(self.reviews.vectors(part))).to_numpy() for part in parts]
        return np.concatenate([*answers, np.zeros(0)]).astype(np.float64)

    def opinion(self, text: str) -> Opinion:
        """Judge a sentence, and find what made the network say so.

        A filter slides over the sentence, and its largest answer counts: the maximum over time. This answer, times its
        weight in the last layer, is what the filter adds to the logit.

        Args:
            text: a sentence.

        Raises:
            DataError: there are no words in it, or too many.
        """
        words = tuple(TOKEN.findall(text.lower()))
        if not words:
            raise minitorch.DataError("there are no words in it. Type a sentence, such as: a gorgeous, witty film")
        if len(words) > LONGEST:
            raise minitorch.DataError(f"expected at most {LONGEST} words, got {len(words)}. Type a shorter sentence.")
        x = _tensor(self.reviews.vectors([words])).permute(0, 2, 1).contiguous()
        weights = self.cnn.classify.weights.value.to_numpy()[:, 0].astype(np.float64)
        winners: list[Winner] = []
        before = 0  # features of the widths before
        with minitorch.no_grad():
            for width in self.cnn.filter_sizes:
                maps = getattr(self.cnn, f"conv{width}")(x).relu().to_numpy()[0].astype(np.float64)
                places = maps.argmax(1)
                moved = maps.max(1) * weights[before : before + len(maps)]
                before += len(maps)
                winners += _winners(width, words, places, moved)
        return Opinion(
            words,
            tuple(word for word in words if word not in self.reviews.row),
            float(self.probabilities([words])[0]),
            float(self.cnn.classify.bias.value.to_numpy()[0]),
            tuple(winners),
        )


def _winners(
    width: int, words: tuple[str, ...], places: npt.NDArray[np.int64], moved: npt.NDArray[np.float64]
) -> list[Winner]:
    """Put the filters together that chose the same place; those that found nothing anywhere moved nothing."""
    found = []
    for place in sorted(set(places[moved != 0.0].tolist())):
        chosen = (places == place) & (moved != 0.0)
        chunk = words[place : place + width]
        found.append(Winner(width, place, chunk, int(chosen.sum()), float(moved[chosen].sum())))
    return sorted(found, key=lambda winner: -abs(winner.moved))


def train(settings: SentenceSettings, reviews: Reviews) -> Generator[SentenceProgress, None, None]:
    """Train the network, and hand out what there is to see after each epoch.

    Raises:
        DataError: there is nothing to train on.
        NaNError: the loss is no longer a finite number.
    """
    return seeded(lambda: _epochs(settings, reviews), settings.seed)


def _epochs(settings: SentenceSettings, reviews: Reviews) -> Generator[SentenceProgress, None, None]:
    sentences, labels = reviews.sentences[: settings.train_size], reviews.labels[: settings.train_size]
    if not sentences:
        raise minitorch.DataError("expected sentences to train on, got none.")
    cnn = CNNSentimentKim(feature_map_size=settings.feature_maps, embedding_size=reviews.table.shape[1])
    optimizer = minitorch.SGD(cnn.parameters(), settings.rate)

    @minitorch.compile
    def step(vectors: minitorch.Tensor, label: minitorch.Tensor) -> minitorch.Tensor:
        probability = cnn(vectors)
        of_label = probability * label + (1.0 - probability) * (1.0 - label)
        loss = -of_label.log().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    cnn.train()
    losses: list[float] = []
    accuracies: list[float] = []
    for epoch in range(1, settings.epochs + 1):
        order = minitorch.default_generator.permutation(len(sentences))
        total = 0.0
        for first in range(0, len(order), settings.batch_size):
            rows = order[first : first + settings.batch_size]
            vectors = reviews.vectors([sentences[i] for i in rows])
            loss = step(_tensor(vectors), _tensor(labels[rows])).item()
            if not np.isfinite(loss):
                raise minitorch.NaNError(f"epoch {epoch}: the loss is {loss}. Choose a smaller learning rate.")
            total += loss * len(rows)
        judge = Judge(cnn, reviews)
        answers = judge.probabilities(reviews.test_sentences) > 0.5
        losses.append(total / len(sentences))
        accuracies.append(float((answers == (reviews.test_labels > 0.5)).mean()))
        yield SentenceProgress(epoch, tuple(losses), tuple(accuracies), judge)


def _tensor(x: npt.NDArray[Any]) -> minitorch.Tensor:
    return minitorch.tensor(x, backend=minitorch.FastBackend)


def draw_words(opinion: Opinion) -> Drawing:
    """Draw the sentence, each word in the colour of what moved the answer: orange for praise, blue for blame.

    What an n-gram moved is divided over its words.
    """
    moved = np.zeros(len(opinion.words))
    for winner in opinion.winners:
        for i in range(len(winner.words)):
            moved[winner.first + i] += winner.moved / len(winner.words)
    most = max(1e-9, float(np.abs(moved).max(initial=0.0)))
    widths = [10 + 9 * len(word) for word in opinion.words]
    spots, x, y = [], 6.0, 6.0
    for width in widths:
        if x + width > 754:
            x, y = 6.0, y + 34
        spots.append((x, y))
        x += width + 4
    sheet = Drawing(760, y + 36)
    for word, width, (x, y), amount in zip(opinion.words, widths, spots, moved, strict=True):
        colour = GREY if word in opinion.unknown else ORANGE if amount > 0 else BLUE
        sheet.box(x, y, width, 28, fill=colour, opacity=0.08 + (STRONG - 0.08) * abs(amount) / most)
        sheet.text(x + width / 2, y + 14, word, size=15)
    return sheet
