"""The race, on a few drawings: what it prints, what it learns, and that its clock tells the truth."""

from __future__ import annotations

import gzip
import importlib
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import minitorch

from ..defaults import on_fast_backend

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "exercises" / "race" / "race.py"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """MNIST's files with squares in their places: class k has a square in the k-th of ten places."""
    folder = tmp_path_factory.mktemp("digits")
    rng = np.random.default_rng(0)
    for split, count in (("train", 960), ("t10k", 100)):
        labels = rng.integers(0, 10, count).astype(np.uint8)
        images = rng.integers(0, 60, (count, 28, 28), np.uint8)
        for image, label in zip(images, labels):
            top, left = divmod(int(label), 5)
            image[4 + 12 * top : 12 + 12 * top, 5 * left + 1 : 5 * left + 6] += 180
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
            (folder / f"{split}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes(), 1))
    return folder


def run(*flags):
    begun = time.perf_counter()
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(SCRIPT), *map(str, flags)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    return done, time.perf_counter() - begun


def test_a_race_learns_and_says_how_long_it_took(digits):
    done, waited = run("--seed", 2, "--data-dir", digits)
    assert done.returncode == 0, done.stderr
    first, phases, last = done.stdout.splitlines()
    assert re.fullmatch(r"Trained on 960 digits \(.*\), tested on 100", first)
    accuracy, seconds = map(float, re.fullmatch(r"Test accuracy: ([\d.]+)% after ([\d.]+) s", last).groups())
    assert accuracy > 60, "ten classes: guessing gives 10"
    parts = [float(part) for part in re.findall(r"([\d.]+) s", phases)]
    assert len(parts) == 4
    assert sum(parts) == pytest.approx(seconds, abs=0.05)
    assert max(parts) < seconds <= waited


def test_held_out_digits_are_not_trained_on(digits):
    done, _ = run("--data-dir", digits, "--held-out", 160)
    assert done.returncode == 0, done.stderr
    assert re.match(r"Trained on 800 digits \(.*\), tested on 160$", done.stdout.splitlines()[0])


def test_missing_digits_end_in_one_sentence(tmp_path):
    done, _ = run("--data-dir", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("DataError: ")
    assert len(done.stderr.splitlines()) == 1


# --- how its settings were chosen ----------------------------------------------------------------------------


@pytest.fixture
def tuning(monkeypatch):
    """Import tuning.py as it is run, beside race.py, and forget both."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    yield importlib.import_module("tuning")
    del sys.modules["tuning"], sys.modules["race"]


@pytest.fixture
def fast():
    """New tensors are on the fast backend."""
    with on_fast_backend():
        yield


def settings(race):
    return race.BATCH_SIZE, race.LARGEST_RATE, race.BETAS, race.LABEL_SMOOTHING


def described(network):
    """List the layers with their sizes."""
    return [
        (type(layer).__name__, {k: v for k, v in vars(layer).items() if not k.startswith("_")}) for layer in network
    ]


def test_the_chosen_setting_is_the_races(tuning):
    race = tuning.race
    before = settings(race), described(race.make_network())
    with tuning.in_race(tuning.CHOSEN):
        assert (settings(race), described(race.make_network())) == before


def test_a_setting_holds_as_long_as_it_is_tried(tuning):
    race = tuning.race
    before = settings(race), described(race.make_network()), race.load_digits
    with tuning.in_race(tuning.FIRST):
        assert settings(race) == (120, 0.01, (0.9, 0.999), 0.0)
        assert race.make_network()[0].out_channels == 24
    assert (settings(race), described(race.make_network()), race.load_digits) == before


@pytest.mark.usefixtures("fast")
def test_every_setting_has_a_network_for_digits(tuning):
    digits = minitorch.zeros((2, 1, 28, 28))
    for setting in tuning.TRIED.values():
        network = setting.make_network()
        assert network(digits).shape == (2, 10)
        assert len([layer for layer in network if type(layer).__name__ == "Linear"]) == (2 if setting.hidden else 1)


def test_digits_are_moved_for_training_only(tuning, digits):
    with tuning.in_race(replace(tuning.CHOSEN, shift=1)):
        train, test = tuning.race.load_digits(str(digits), None, 160)
    still, _ = tuning.race.load_digits(str(digits), None, 160)
    assert (len(train), len(test)) == (800, 160)
    moved, same = (np.stack([part[place][0].to_numpy() for place in range(20)]) for part in (train, still))
    assert moved.shape == same.shape
    assert not np.array_equal(moved, same)
    assert "RandomCrop" not in repr(vars(test.transform))


def test_every_setting_has_a_line_and_every_seed(tuning, monkeypatch, capsys):
    monkeypatch.setattr(tuning, "accuracy", lambda seed, held_out=0: 0.98 + seed / 1000 + held_out / 1e6)
    tuning.main([])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(tuning.TRIED)
    assert [line.split()[-2:] for line in lines] == [["0", "1"]] + [["99.00%", "99.10%"]] * len(tuning.TRIED)
    tuning.main(["--test"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "seed 11: test accuracy 99.10%"
    assert lines[-1] == "5 of 5 reach 99 %"
