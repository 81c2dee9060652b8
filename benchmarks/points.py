"""Train on every point set, and write the README's table of accuracies and times and the picture of the boundaries.

    python benchmarks/points.py

The trainings are those of project/run_fast_tensor.py, 50 points, ten a step. The learning rate and the number of
epochs that each point set needs stand in SETTINGS below; they were found by trying. The accuracy is that on the 50
points themselves.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np

import minitorch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "project"))

from decision_boundary import Picture  # noqa: E402
from run_fast_tensor import FastTrain  # noqa: E402

from benchmarks.report import put_between_markers  # noqa: E402

POINTS = 50
WIDTHS = (100, 200)


@dataclass
class Setting:
    """How a point set is trained.

    Attributes:
        rate: the learning rate.
        epochs: how often every point is seen.
    """

    rate: float
    epochs: int


SETTINGS = {
    "Simple": Setting(0.1, 500),
    "Diag": Setting(0.1, 500),
    "Split": Setting(0.1, 500),
    "Xor": Setting(0.1, 500),
    "Circle": Setting(0.1, 1000),
    "Spiral": Setting(0.1, 3000),
}


@dataclass
class Result:
    """A row of the table.

    Attributes:
        name: the point set.
        hidden: the number of units in each hidden layer.
        setting: how it was trained.
        accuracy: the share of points on their own side of one half, after training.
        seconds: the median time of an epoch.
    """

    name: str
    hidden: int
    setting: Setting
    accuracy: float
    seconds: float


def quiet(epoch: int, total_loss: float, correct: int, losses: list[float]) -> None:
    """Print nothing."""


def train(name: str, hidden: int, setting: Setting, seed: int) -> tuple[Result, FastTrain, minitorch.Graph]:
    """Train one network."""
    minitorch.manual_seed(seed)
    data = minitorch.datasets[name](POINTS)
    trainer = FastTrain(hidden)
    trainer.train(data, setting.rate, setting.epochs, quiet)
    accuracy = trainer.correct(data) / data.N
    return Result(name, hidden, setting, accuracy, statistics.median(trainer.seconds)), trainer, data


def table(results: Sequence[Result], seed: int) -> str:
    """Write results as a Markdown table with a line on where they come from."""
    rows = [
        (r.name, r.hidden, f"{r.setting.rate:g}", f"{r.setting.epochs:,}", f"{r.accuracy:.0%}", f"{r.seconds:.4f}")
        for r in results
    ]
    lines = [
        "| Point set | Hidden units | Learning rate | Epochs | Accuracy | Seconds per epoch |",
        "|---|---:|---:|---:|---:|---:|",
        *(f"| {' | '.join(map(str, row))} |" for row in rows),
        "",
        f"{POINTS} points, ten a step, seed {seed}; accuracy on these points, median time of an epoch. "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, Numba {numba.__version__}.",
    ]
    return "\n".join(lines)


PAGE = """# The point sets

Every point set of the course, learned by three layers on compiled kernels. `python benchmarks/points.py` writes this
page and the picture.

<!-- points:begin -->
<!-- points:end -->

![The points, and the sides that the networks gave to each class](images/points.png)
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Train, and write the table and the picture."""
    parser = argparse.ArgumentParser(description="Train on every point set and write the table and the picture.")
    parser.add_argument("--seed", type=int, default=0, help="fixes points, initial weights and order")
    args = parser.parse_args(argv)

    picture = Picture(rows=len(WIDTHS), columns=len(SETTINGS))
    results = []
    for column, (name, setting) in enumerate(SETTINGS.items()):
        for row, hidden in enumerate(WIDTHS):
            result, trainer, data = train(name, hidden, setting, args.seed)
            print(f"{name:7} {hidden:4}  accuracy {result.accuracy:.0%}  {result.seconds:.4f} s per epoch", flush=True)
            results.append(result)
            picture.draw(data, trainer.probabilities, f"{name}, {hidden} hidden", row, column)

    docs = ROOT / "docs"
    picture.save(docs / "images" / "points.png")
    (docs / "points.md").write_text(PAGE, encoding="utf-8")
    for page in (docs / "points.md", ROOT / "README.md"):
        if put_between_markers(page, "points", table(results, args.seed)):
            print(f"The table is in {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
