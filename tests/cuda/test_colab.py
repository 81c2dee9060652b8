"""The notebook for Colab: the file in the repository is its script's, and its cells run on a simulated GPU.

Three things are otherwise here, and each is a cell that is put in by name. Nothing is installed: the repository is this
one. The settings are small. And the networks are small, for LeNet alone would take the simulator minutes a step.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
import numpy as np
import pytest

from benchmarks.digits import write_idx
from minitorch.kernels.cuda.driver import simulated
from notebooks import COLAB, execute, make_colab, mistakes, printed
from tests.project.test_run_sentiment import write_films

ROOT = Path(__file__).parents[2]
KEPT = COLAB.with_suffix(".ipynb")

INSTALLED = """
import os
import sys

os.chdir({root!r})
# What pytest tells its own processes is not for the one that the notebook starts.
for name in [name for name in os.environ if name.startswith("PYTEST_")]:
    del os.environ[name]
sys.path[:0] = [{root!r}, {root!r} + "/project"]
"""

SMALL_SETTINGS = """
TESTS = ["tests/cuda/test_backend.py", "-k", "test_views_share_the_storage"]
DIGITS = ["--epochs", "1", "--batch-size", "1", "--data-dir", {data!r}, "--out-dir", {out!r}]
REVIEWS = DIGITS
"""

SMALL_NETWORKS = """
import run_mnist_multiclass
import run_sentiment
from tests.cuda.small_networks import SmallKim, SmallLeNet

run_mnist_multiclass.Network = SmallLeNet
run_sentiment.CNNSentimentKim = SmallKim
"""


def named(notebook):
    """The cells of code by their names."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {cell.metadata["title"]: cell for cell in cells}


def small_data(folder):
    """A digit and a sentence to train on, and one of each to validate on."""
    rng = np.random.default_rng(0)
    for split in ("train", "t10k"):
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", rng.integers(0, 256, (1, 28, 28), np.uint8))
        write_idx(folder / f"{split}-labels-idx1-ubyte.gz", rng.integers(0, 10, 1, np.uint8))
    write_films(folder, train=1, dev=1)
    return folder


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colab")
    notebook = nbformat.read(KEPT, as_version=4)
    cells = named(notebook)
    cells["install"].source = INSTALLED.format(root=str(ROOT))
    small = SMALL_SETTINGS.format(data=str(small_data(folder)), out=str(folder / "out"))
    assert {line.split(" = ")[0] for line in small.strip().splitlines()} < set(cells["settings"].source.split())
    cells["settings"].source += small
    if simulated():
        cells["device"].source += SMALL_NETWORKS
    nbformat.write(notebook, folder / KEPT.name)
    return execute(folder / KEPT.name, small=True)


def test_the_notebook_in_the_repository_is_made_from_its_script(tmp_path):
    """After a change of the script: `python exercises/notebooks.py --colab`."""
    made = make_colab(tmp_path / KEPT.name).read_text(encoding="utf-8")
    assert KEPT.read_text(encoding="utf-8") == made
    assert '"output_type"' not in made
    assert set(named(nbformat.read(KEPT, as_version=4))) == {
        *("settings", "tools", "install", "device", "tests", "digits", "reviews")
    }


def test_every_cell_runs_and_says_something(executed):
    assert mistakes(executed) == []


@pytest.mark.parametrize(
    ("cell", "lines"),
    [
        ("device", ["numba-cuda", "driver", "The GPU: ", "It computes: the mean of 1,000 random numbers is 0."]),
        ("tests", ["1 passed"]),
        ("digits", ["Epoch 1 loss ", "Epoch 1: held-out accuracy ", "Time per epoch: ", "Held-out accuracy: "]),
        ("reviews", ["Epoch 1, loss ", "Validation accuracy: ", "Time per epoch: "]),
    ],
)
def test_what_a_person_sees(executed, cell, lines):
    said = printed({"cells": [named(executed)[cell]]})
    assert [line for line in lines if line not in said] == []


def test_a_command_that_fails_ends_the_notebook():
    names = {}
    exec(named(nbformat.read(KEPT, as_version=4))["tools"].source, names)
    with pytest.raises(RuntimeError, match="ended with status 3; its last lines say why"):
        names["run"](names["sys"].executable, "-c", "import sys; sys.exit(3)")


def test_without_an_address_nothing_is_installed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="address of MiniTorch's repository"):
        exec(named(nbformat.read(KEPT, as_version=4))["install"].source, {"ADDRESS": ""})
