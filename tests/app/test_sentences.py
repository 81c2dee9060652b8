from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from interface.sentences import Reviews, SentenceSettings, draw_words, train

import minitorch

GOOD, BAD = ("fine", "witty", "gorgeous"), ("dull", "boring", "awful")
SETTINGS = SentenceSettings(epochs=12, train_size=60, feature_maps=12, rate=0.1)


@pytest.fixture(scope="module")
def reviews() -> Reviews:
    """Sixty sentences of which one word tells what they are, so that no data set is needed."""
    words = [*GOOD, *BAD, "a", "film", "is", "the", "and", "plot", "it", "n't"]
    rng = np.random.default_rng(1)
    filler = words[6:]
    sentences, labels = [], []
    for i in range(90):
        praised = i % 2
        sentence = [str(word) for word in rng.choice(filler, size=rng.integers(3, 20))]
        sentence[rng.integers(len(sentence))] = str(rng.choice(GOOD if praised else BAD))
        sentences.append(tuple(sentence))
        labels.append(praised)
    table = np.concatenate([np.zeros((2, 16)), rng.normal(size=(len(words), 16))]).astype(np.float32)
    label = np.array(labels, np.float32)
    row = {word: i + 2 for i, word in enumerate(words)}
    return Reviews(tuple(sentences[:60]), label[:60], tuple(sentences[60:]), label[60:], table, row, "made up")


@pytest.fixture(scope="module")
def shown(reviews: Reviews):
    return list(train(SETTINGS, reviews))


@pytest.fixture(scope="module")
def judge(shown):
    return shown[-1].judge


def test_it_learns(shown, judge) -> None:
    assert [progress.epoch for progress in shown] == list(range(1, 13))
    assert shown[-1].losses[-1] < shown[0].losses[0]
    assert shown[-1].accuracies[-1] > 0.8
    assert judge.opinion("the film is witty").probability > judge.opinion("the film is boring").probability


def test_the_winners_add_up_to_the_answer(judge) -> None:
    for text in ("a fine film", "it isn't boring, and the plot is witty", "film", "unheard-of words only"):
        opinion = judge.opinion(text)
        assert opinion.probability == pytest.approx(1 / (1 + math.exp(-opinion.logit)), abs=1e-5)


def test_a_winner_is_a_place_in_the_sentence(judge) -> None:
    opinion = judge.opinion("the plot is n't witty and the film is boring")
    assert {winner.width for winner in opinion.winners} == {3, 4, 5}
    for winner in opinion.winners:
        assert winner.words == opinion.words[winner.first : winner.first + winner.width]
        assert winner.filters > 0
    for width in (3, 4, 5):
        moved = [abs(winner.moved) for winner in opinion.winners if winner.width == width]
        assert moved == sorted(moved, reverse=True)
        assert sum(w.filters for w in opinion.winners if w.width == width) <= SETTINGS.feature_maps


def test_the_answer_does_not_depend_on_the_other_sentences(judge, reviews: Reviews) -> None:
    together = judge.probabilities(reviews.test_sentences)
    alone = np.array([judge.probabilities([sentence])[0] for sentence in reviews.test_sentences])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_words_are_read_as_the_data_writes_them(judge) -> None:
    opinion = judge.opinion("It isn't FINE")
    assert opinion.words == ("it", "is", "n't", "fine")
    assert judge.opinion("a blorp film").unknown == ("blorp",)


@pytest.mark.parametrize(("text", "words"), [("", "no words"), ("   ", "no words"), ("a " * 61, "at most 60 words")])
def test_what_is_no_sentence_is_refused(judge, text: str, words: str) -> None:
    with pytest.raises(minitorch.DataError, match=words):
        judge.opinion(text)


def test_nothing_to_train_on_is_refused(reviews: Reviews) -> None:
    with pytest.raises(minitorch.DataError, match="got none"):
        next(train(replace(SETTINGS, train_size=0), reviews))


def test_the_same_seed_gives_the_same_training(shown, reviews: Reviews) -> None:
    assert next(train(SETTINGS, reviews)).losses == shown[0].losses


def test_every_word_is_drawn(judge) -> None:
    opinion = judge.opinion("the blorp film " * 15)
    texts = [node.text for node in ET.fromstring(str(draw_words(opinion))).iter() if node.tag.endswith("text")]
    assert tuple(texts) == opinion.words
