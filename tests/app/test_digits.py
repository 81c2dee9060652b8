from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from interface.corruption import doubt, examples, lean, search, search_file, turn, twins
from interface.digits import (
    Digits,
    DigitSettings,
    draw_confusion,
    draw_images,
    draw_probabilities,
    load,
    report,
    train,
)

import minitorch

QUICK = DigitSettings(epochs=2, train_size=1000)


@pytest.fixture(scope="module")
def digits() -> Digits:
    return load(train_size=1000, test_size=500)


@pytest.fixture(scope="module")
def shown(digits: Digits):
    return list(train(QUICK, digits))


@pytest.fixture(scope="module")
def reader(shown):
    return shown[-1].reader


def test_it_learns_and_is_seen_doing_it(shown) -> None:
    assert [progress.step for progress in shown] == [20, 40, 60, 63, 80, 100, 120, 126]
    assert len(shown) == QUICK.updates
    assert shown[-1].losses[-1] < shown[0].losses[0]
    assert shown[-1].accuracies[-1] > 0.5 > shown[0].accuracies[0]
    assert shown[-1].digits_per_second > 100


def test_a_reader_stays_as_it_was(shown, digits: Digits) -> None:
    first, last = (progress.reader.probabilities(digits.test_images) for progress in (shown[0], shown[-1]))
    for progress, answers in ((shown[0], first), (shown[-1], last)):
        assert (answers.argmax(1) == digits.test_labels).mean() == progress.accuracies[-1]
    np.testing.assert_allclose(last.sum(1), 1.0, rtol=1e-5)


def test_the_same_seed_gives_the_same_training(shown, digits: Digits) -> None:
    again = next(train(QUICK, digits))
    assert again.losses == shown[0].losses
    assert next(train(replace(QUICK, seed=2), digits)).losses != shown[0].losses


def test_nothing_to_train_on_is_refused(digits: Digits) -> None:
    with pytest.raises(minitorch.DataError, match="got none"):
        next(train(replace(QUICK, train_size=0), digits))


def test_a_rate_that_is_too_high_is_told(digits: Digits) -> None:
    with pytest.raises(minitorch.NaNError, match="smaller learning rate"):
        list(train(replace(QUICK, rate=1e6), digits))


def test_the_hidden_layers_are_those_of_the_answer(reader, digits: Digits) -> None:
    hidden = reader.hidden(digits.test_images[3])
    assert (hidden.mid.shape, hidden.out.shape) == ((4, 28, 28), (8, 28, 28))
    np.testing.assert_array_equal(hidden.pooled, hidden.out.reshape(8, 7, 4, 7, 4).max((2, 4)))
    assert hidden.mid.min() == hidden.out.min() == 0.0
    assert reader.filters().shape == (4, 3, 3)


def test_the_report_counts(reader, digits: Digits) -> None:
    result = report(reader, digits.test_images, digits.test_labels)
    assert result.confusion.sum() == 500
    assert np.trace(result.confusion) / 500 == result.accuracy
    assert len(result.mistakes) == 500 - np.trace(result.confusion)
    sure = [mistake.probability for mistake in result.mistakes]
    assert sure == sorted(sure, reverse=True)
    for mistake in result.mistakes[:20]:
        answer = reader.probabilities(digits.test_images[mistake.index][None])[0]
        assert answer.argmax() == mistake.answer != mistake.label == digits.test_labels[mistake.index]
        assert answer.max() == pytest.approx(mistake.probability)


def test_dropout_samples_scatter_and_depend_on_the_seed(reader, digits: Digits) -> None:
    image = digits.test_images[0]
    minitorch.manual_seed(5)
    samples = reader.dropout_samples(image, 50, seed=1)
    assert minitorch.default_generator.state == (5, 0)
    assert len({row.tobytes() for row in samples}) > 40
    np.testing.assert_array_equal(samples, reader.dropout_samples(image, 50, seed=1))
    assert not np.array_equal(samples, reader.dropout_samples(image, 50, seed=2))
    answers = reader.probabilities(np.stack([image, image]))
    np.testing.assert_array_equal(answers[0], answers[1])  # dropout is off again


def test_doubt_summarises_the_samples(reader, digits: Digits) -> None:
    found = doubt(reader, digits.test_images[0], samples=40)
    samples = reader.dropout_samples(digits.test_images[0], 40)
    np.testing.assert_allclose(found.mean, samples.mean(0))
    np.testing.assert_allclose(found.spread, samples.std(0))
    assert 0.0 <= found.entropy <= np.log2(10)
    assert found.agreement == (samples.argmax(1) == samples.mean(0).argmax()).mean()


def test_what_is_read_surely_is_doubted_less(reader, digits: Digits) -> None:
    order = reader.probabilities(digits.test_images).max(1).argsort()

    def agreement(rows) -> float:
        return float(np.mean([doubt(reader, digits.test_images[i]).agreement for i in rows]))

    assert agreement(order[-15:]) > agreement(order[:15]) + 0.1


# --- corrupted MNIST -----------------------------------------------------------------------------------------


def test_digits_that_are_turned_back_are_mnists() -> None:
    rotated, upright = load(corrupted=True, train_size=600), load(train_size=60)
    assert [name for name, _ in lean()] == [*(f"train_{i}" for i in range(6)), "test"]
    (angle, published, back), *_ = examples(rotated)
    assert angle == lean()[0][1]
    # The first digit of the first file is MNIST's first, turned; turning it back loses only a little.
    turned = turn(upright.images[:1], angle)
    np.testing.assert_array_equal(published[:1], turned)

    def distance(image) -> float:
        return np.abs(image.astype(int) - upright.images[0]).mean()

    assert distance(back[0]) < 0.5 * distance(published[0])


def test_the_angle_of_every_file_is_found() -> None:
    rotated = load(corrupted=True, train_size=120)
    upright = twins(rotated)
    assert upright is not None
    parts = (np.array_split(images, 6) for images in (rotated.images, upright))
    for part, ((_, angle), published, original) in enumerate(zip(lean(), *parts)):
        np.testing.assert_array_equal(turn(original, angle), published)
        columns = search_file(rotated, part)
        assert columns is not None
        assert columns == search(published, original)
        best = columns["degrees"][int(np.argmin(columns["difference"]))]
        # Turns of a few degrees move hardly a pixel, so they look alike.
        assert abs(best - angle) <= (1.0 if abs(angle) > 10 else 5.0)


def test_other_digits_than_those_that_were_turned_are_no_twins() -> None:
    rotated = load(corrupted=True, train_size=60)
    others = replace(rotated, stand_in=not rotated.stand_in)
    assert twins(others) is None
    assert search_file(others, 0) is None


def test_turning_goes_clockwise() -> None:
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 2, 13:15] = 255  # at the top
    assert turn(image, 90)[0, 13:15, 25].all()  # on the right
    np.testing.assert_array_equal(turn(image, 0), image)


# --- drawings ------------------------------------------------------------------------------------------------


def tags(drawing, name: str) -> list[ET.Element]:
    return [node for node in ET.fromstring(str(drawing)).iter() if node.tag.endswith(name)]


def test_drawings_hold_what_they_are_given() -> None:
    sheet = draw_images(np.zeros((5, 4, 4)), list("abcde"), columns=2)
    assert len(tags(sheet, "image")) == 5
    assert [node.text for node in tags(sheet, "text")] == list("abcde")
    bars = draw_probabilities([0.1, 0.9], ["no", "yes"], spread=[0.05, 0.05])
    assert [float(node.attrib["width"]) for node in tags(bars, "rect")] == [30.0, 270.0]
    assert len(tags(bars, "line")) == 2
    assert [node.text for node in tags(bars, "text")] == ["no", "10.0%", "yes", "90.0%"]
    confusion = draw_confusion(np.diag([3, 4]) + np.array([[0, 1], [0, 0]]))
    texts = [node.text for node in tags(confusion, "text")]
    assert texts == ["read as", "is", "0", "0", "3", "1", "1", "1", "4"]
