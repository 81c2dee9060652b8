"""The race, on a few drawings: what it prints, what it learns, and that its clock tells the truth."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

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
    assert 0.5 * waited < seconds <= waited


def test_held_out_digits_are_not_trained_on(digits):
    done, _ = run("--data-dir", digits, "--held-out", 160)
    assert done.returncode == 0, done.stderr
    assert re.match(r"Trained on 800 digits \(.*\), tested on 160$", done.stdout.splitlines()[0])


def test_missing_digits_end_in_one_sentence(tmp_path):
    done, _ = run("--data-dir", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("DataError: ")
    assert len(done.stderr.splitlines()) == 1
