"""The accuracy, and means over the batches of an epoch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitorch
from minitorch import DataError, ShapeError
from minitorch.training import accuracy
from minitorch.training.metrics import Means, batch_size, default_metrics


def tensor(values, dtype="float64"):
    return minitorch.tensor(np.asarray(values, dtype), dtype=dtype)


SCORES = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=5), elements=st.integers(-2, 2).map(float)
)


@given(SCORES, st.data())
def test_the_accuracy_counts_the_first_of_the_largest_scores(scores, data):
    labels = data.draw(hnp.arrays(np.int64, len(scores), elements=st.integers(0, scores.shape[1] - 1)))
    right = 0
    for row, label in zip(scores.tolist(), labels.tolist(), strict=True):
        right += row.index(max(row)) == label
    expected = right / len(scores)
    assert accuracy(tensor(scores), tensor(labels, "int64")) == expected
    assert accuracy(tensor(scores), labels) == expected
    assert accuracy(tensor(scores), tensor(np.eye(scores.shape[1])[labels])) == expected


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((3, 2), (2,)), ((3, 2), (3, 1)), ((0, 2), (0,)), ((3, 2, 1), (3,))])
def test_other_shapes_are_told(shapes):
    with pytest.raises(ShapeError, match=r"scores of batch x class .* metrics=\{\} for none"):
        accuracy(tensor(np.zeros(shapes[0])), tensor(np.zeros(shapes[1])))


def test_the_accuracy_is_watched_where_targets_are_numbers_of_classes():
    assert list(default_metrics(tensor([1, 2], "int64"))) == ["accuracy"]
    assert list(default_metrics(np.array([1, 2]))) == ["accuracy"]
    assert list(default_metrics(tensor([1.0, 2.0]))) == []
    assert list(default_metrics(tensor([[1, 2]], "int64"))) == []


def test_inputs_and_targets_of_different_length_are_told():
    assert batch_size(tensor([[1.0], [2.0]]), [3, 4]) == 2
    with pytest.raises(DataError, match=r"as many targets, got 2 and 3\. Check that inputs and labels come from"):
        batch_size(tensor([[1.0], [2.0]]), tensor([1, 2, 3], "int64"))
    with pytest.raises(DataError, match="got 0 and 0"):
        batch_size(tensor(np.zeros((0, 2))), tensor([], "int64"))
    with pytest.raises(DataError, match="got 0 and 1"):
        batch_size(np.array(3.0), tensor([1.0]))


@pytest.mark.parametrize("batches", [1, 2, 33])
def test_means_are_weighted_with_the_sizes_of_the_batches(batches):
    rng = np.random.default_rng(batches)
    losses, sizes = rng.random(batches), rng.integers(1, 5, batches)
    means = Means({"largest": lambda output, target: float(output.max())})
    for i, (loss, size) in enumerate(zip(losses, sizes, strict=True)):
        means.add(loss, np.array([i, 0.0]), None, int(size))
    found = means.read()
    assert found["loss"] == pytest.approx(np.average(losses, weights=sizes), rel=1e-12)
    assert found["largest"] == pytest.approx(np.average(np.arange(batches), weights=sizes), rel=1e-12)
    assert means.examples == sizes.sum()
    assert means.read() == found


def test_going_on_from_a_copy_gives_the_same_bits(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.random((7, 2))

    def add(means, rows):
        for loss, metric in rows:
            means.add(float(loss), metric, None, 3)
        return means

    metrics = {"metric": lambda output, target: output}
    whole = add(Means(metrics), values)
    minitorch.save({"means": add(Means(metrics), values[:4])}, tmp_path / "x")
    again = Means(metrics)
    again.load_state_dict(minitorch.load(tmp_path / "x")["means"])
    assert add(again, values[4:]).read() == whole.read()
    assert again.examples == whole.examples


def test_nothing_was_measured():
    assert Means({"a": accuracy}).read() == {}
