"""Exercise 5: compiled passes are those line by line, with masks of their own; entropy and top-k accuracy by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import minitorch

from .defined import defined


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    given = {**vars(minitorch.layers), "Iterable": Iterable, "Sequence": Sequence}
    with defined("5_inference", "network", "passes", "entropy", "top k accuracy", **given) as names:
        yield names


def ask(names: dict[str, Any], model: minitorch.Module, images: minitorch.Tensor) -> np.ndarray[Any, Any]:
    """Give the probabilities of five passes, `pass x image x class`, from the same seed every time."""
    minitorch.manual_seed(7)
    return np.stack([answer.to_numpy() for answer in names["monte_carlo"](model, images, 5)])


@pytest.mark.parametrize("count", [1, 3, 64])
def test_compiled_passes_are_those_that_run_line_by_line(names: dict[str, Any], count: int) -> None:
    images = minitorch.tensor(np.random.default_rng(0).random((count, 1, 28, 28), np.float32))
    model = names["make_network"](0.5)
    compiled = ask(names, model, images)
    with minitorch.debug():
        line_by_line = ask(names, model, images)
    np.testing.assert_allclose(compiled, line_by_line, rtol=1e-5)
    assert compiled.shape == (5, count, 10)
    assert len({answer.tobytes() for answer in compiled}) == 5


def test_a_program_serves_the_second_call_and_another_network_has_its_own(names: dict[str, Any]) -> None:
    images = minitorch.tensor(np.random.default_rng(1).random((2, 1, 28, 28), np.float32))
    first, second = names["make_network"](0.5), names["make_network"](0.5)
    before = ask(names, first, images)
    other = ask(names, second, images)
    np.testing.assert_array_equal(ask(names, first, images), before)
    assert (other != before).any()
    assert "2 programs" in repr(names["one_pass"])
    assert not any(module.training for _, module in first.named_modules())


# --- how sure it is ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("passes", "images", "classes"), [(1, 1, 2), (3, 1, 10), (2, 7, 3), (100, 5, 10)])
def test_the_entropy_is_that_of_the_mean_probabilities(
    names: dict[str, Any], passes: int, images: int, classes: int
) -> None:
    drawn = np.random.default_rng(2).dirichlet(np.ones(classes), (passes, images)).astype(np.float32)
    found = names["predictive_entropy"]([minitorch.tensor(one) for one in drawn]).to_numpy()
    mean = drawn.astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(found, -(mean * np.log(mean)).sum(axis=1), atol=2e-5)


def test_the_entropy_of_a_sure_answer_is_zero_and_of_ten_equal_ones_log_10(names: dict[str, Any]) -> None:
    sure, even = np.eye(10)[3:4], np.full((1, 10), 0.1)
    found = names["predictive_entropy"]([minitorch.tensor(np.concatenate([sure, even]))] * 4).tolist()
    assert found[0] == 0.0  # a class of probability 0 adds nothing, and the logarithm's rounding is clipped
    assert found[1] == pytest.approx(np.log(10), abs=2e-5)


def test_passes_that_contradict_each_other_are_doubt(names: dict[str, Any]) -> None:
    """Each pass is sure, and of another class: the mean is an even choice between two."""
    passes = [minitorch.tensor([[1.0, 0.0, 0.0]]), minitorch.tensor([[0.0, 0.0, 1.0]])]
    assert names["predictive_entropy"](passes).tolist() == pytest.approx([np.log(2)], abs=2e-5)


# --- top-k ---------------------------------------------------------------------------------------------------


class Scores(minitorch.Module):
    """A model that gives its input as scores."""

    def forward(self, scores: minitorch.Tensor) -> minitorch.Tensor:
        return scores


def batched(scores: np.ndarray, labels: np.ndarray, size: int) -> list[tuple[minitorch.Tensor, minitorch.Tensor]]:
    """Cut scores and labels into batches, of which the last may be smaller."""
    parts = [slice(start, start + size) for start in range(0, len(labels), size)]
    return [(minitorch.tensor(scores[part]), minitorch.tensor(labels[part])) for part in parts]


@pytest.mark.parametrize("k", [1, 2, 5, 10])
@pytest.mark.parametrize("size", [1, 16, 37, 64])
def test_top_k_counts_images_whose_class_has_fewer_than_k_above_it(names: dict[str, Any], k: int, size: int) -> None:
    rng = np.random.default_rng(3)
    scores, labels = rng.normal(size=(37, 10)).astype(np.float32), rng.integers(0, 10, 37)
    above = (scores > scores[np.arange(37), labels][:, None]).sum(axis=1)
    found = names["top_k_accuracy"](Scores(), batched(scores, labels, size), k)
    assert found == pytest.approx((above < k).mean())


@pytest.mark.parametrize("k", [1, 3, 4])
def test_equal_scores_are_k_classes_all_the_same(names: dict[str, Any], k: int) -> None:
    """Where all scores tie, k of the four classes are called, each one once: k of the four labels are right."""
    found = names["top_k_accuracy"](Scores(), batched(np.zeros((4, 4), np.float32), np.arange(4), 4), k)
    assert found == k / 4


def test_the_class_that_is_called_is_the_place_and_not_the_score(names: dict[str, Any]) -> None:
    scores = np.array([[2.0, 0.0, 1.0]], np.float32)
    found = [names["top_k_accuracy"](Scores(), batched(scores, np.array([label]), 1), 2) for label in range(3)]
    assert found == [1.0, 0.0, 1.0]
