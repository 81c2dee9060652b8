"""The benchmark of the exercises' parts: both libraries compute the same, and the table says who is faster."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import exercises


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    with exercises.as_the_exercises():
        found = exercises.parts(tmp_path_factory.mktemp("files"))
    return {part.name: part for part in found}


@pytest.fixture(autouse=True)
def fast():
    with exercises.as_the_exercises():
        yield


def find(parts, beginning):
    (part,) = [part for name, part in parts.items() if name.startswith(beginning)]
    return part


def test_every_exercise_without_a_training_of_its_own_is_there(parts):
    assert {name[0] for name in parts} == {"1", "2", "3", "5", "6"}
    assert len(parts) == 11
    assert all(part.why for part in parts.values())


@pytest.mark.parametrize("beginning", ["1. squared", "2. 64 digits through 784-256", "2. 64 digits through 784-128"])
def test_both_compute_the_same(parts, beginning):
    part = find(parts, beginning)
    ours, theirs = part.ours().to_numpy(), part.theirs().detach().numpy()
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "beginning",
    ["3. a training step of 64 digits, eager", "3. a training step of 64 digits, compiled", "6. a training"],
)
def test_both_learn_the_same(parts, beginning):
    part = find(parts, beginning)
    losses = [(part.ours(), part.theirs()) for _ in range(4)]
    np.testing.assert_allclose(*zip(*losses), rtol=1e-4)
    assert losses[-1][0] < losses[0][0]


def test_both_learn_with_dropout(parts):
    part = find(parts, "5. a training step of 100 images")
    ours, theirs = ([run() for _ in range(60)] for run in (part.ours, part.theirs))
    for found in (ours, theirs):
        assert len(set(found)) == 60  # a mask of its own each time
    # Without dropout the first losses would be the same; with other masks the same images are learnt as fast.
    assert ours[0] == pytest.approx(theirs[0], rel=0.2)
    assert np.mean(ours[-10:]) == pytest.approx(np.mean(theirs[-10:]), rel=0.2)
    assert np.mean(ours[-10:]) < 0.9 * ours[0]


@pytest.mark.parametrize(
    ("beginning", "images"), [("5. 100 passes with dropout, 1 i", 1), ("5. 100 passes with dropout, 1,", 1000)]
)
def test_both_ask_as_often_and_with_dropout(parts, beginning, images):
    part = find(parts, beginning)
    means = []
    for passes in (part.ours(), part.theirs()):
        answers = np.stack([one.numpy() if isinstance(one, torch.Tensor) else one.to_numpy() for one in passes])
        assert answers.shape == (100, images, 10)
        assert answers.std(axis=0).min() > 0
        means.append(answers.mean(axis=0))
    np.testing.assert_allclose(*means, atol=0.05)


def test_both_read_as_many_images_right(parts):
    part = find(parts, "6. validation")
    ours, theirs = part.ours(), part.theirs()
    assert 0 < ours < 1
    assert ours == pytest.approx(theirs, abs=1e-3)  # scores that are nearly equal


def test_both_write_all_parameters(tmp_path):
    part = find({part.name: part for part in exercises.parts(tmp_path)}, "6. saving")
    part.ours()
    part.theirs()
    sizes = [(tmp_path / name).stat().st_size for name in ("ours", "theirs")]
    numbers = 4 * (784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10)
    assert all(numbers < size < 1.1 * numbers for size in sizes)


def test_the_table_marks_what_is_slower():
    results = {
        "rounds": 7,
        "threads": (1, 2),
        "parts": {
            "1. a": {"why": "A", "MiniTorch 1": 0.002, "MiniTorch 2": 0.001, "PyTorch 1": 0.0025, "PyTorch 2": 0.003},
            "2. b": {"why": "B", "MiniTorch 1": 0.004, "MiniTorch 2": 0.005, "PyTorch 1": 0.003, "PyTorch 2": 0.006},
        },
    }
    lines = exercises.summary(results).splitlines()
    assert "| 1. a | 2.000 | 1.000 | 2.500 | 3.000 | 2.50 |  |" in lines
    assert "| 2. b | 4.000 | 5.000 | 3.000 | 6.000 | 0.75 | slower: B |" in lines
    assert "PyTorch eager is ahead in 1 of 2 parts" in lines[-1]


def test_every_part_is_measured_with_each_number_of_threads(monkeypatch):
    part = exercises.Part("1. a", lambda: None, lambda: None, "A")
    monkeypatch.setattr(exercises, "parts", lambda folder: [part])
    monkeypatch.setattr(exercises, "in_turns", lambda runs, rounds: [0.25 * rounds, 0.5 * rounds])
    found = exercises.measure(8)
    times = {f"{who} {n}": s for n in exercises.THREADS for who, s in (("MiniTorch", 2.0), ("PyTorch", 4.0))}
    assert found["parts"] == {"1. a": {"why": "A", **times}}
