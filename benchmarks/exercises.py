"""Measure the heavy parts of the exercises beside the same in PyTorch, eager: float32, on one thread and on two.

    python benchmarks/exercises.py

The exercises' own functions are measured, on random images of MNIST's size; exercises 4 and 7 and the race are trained
as a whole by accuracies.py. Both libraries begin with the same numbers and take turns in one process; medians of
several rounds. A part is compared with PyTorch's better number of threads.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "exercises"))

import minitorch
from benchmarks.peers import exercises_torch as theirs
from benchmarks.report import in_turns, machine, measure_and_print, table
from minitorch import Module, layers, losses, optim
from minitorch.training import evaluate
from scripts import run_cells

THREADS = (1, min(2, numba.get_num_threads()))

# Sizes that the exercises have.
POINTS, OTHERS, DIMENSIONS = 1500, 1000, 64
BATCH = 64  # of exercises 2 and 3
LARGER_BATCH = 100  # of exercises 5 and 6
ASKED, PASSES = 1000, 100
VALIDATION, VALIDATION_BATCH = 5000, 500

Run = Callable[[], Any]
Both = tuple[minitorch.Tensor, torch.Tensor]  # the same numbers in both libraries


@dataclass
class Part:
    """A part of an exercise, in both libraries.

    Attributes:
        name: what the table calls it.
        ours: computes it with MiniTorch.
        theirs: computes the same with PyTorch.
        why: where MiniTorch loses time, for the table to say where it is slower.
    """

    name: str
    ours: Run
    theirs: Run
    why: str


# What costs time in several parts.
EAGER = "Python between the operations"
PRODUCTS = "the products take longer than PyTorch's"


def cells(exercise: str, *names: str, **given: Any) -> SimpleNamespace:
    """Give what cells of an exercise define, where they use nothing of the cells before them but what is given."""
    known = {"minitorch": minitorch, "layers": layers, "losses": losses, **vars(layers)}
    return SimpleNamespace(**run_cells(exercise, names, {**known, **given}))


def parts(folder: Path) -> list[Part]:
    """Give every part, with networks of their own.

    Args:
        folder: receives the files that are saved.
    """
    rng = np.random.default_rng(0)

    def both(array: Any) -> Both:
        return minitorch.tensor(array), torch.from_numpy(array)

    def images(count: int) -> Both:
        return both(rng.random((count, 1, 28, 28), np.float32))

    def labels(count: int) -> Both:
        return both(rng.integers(0, 10, count))

    return [
        *distances(
            both(rng.random((POINTS, DIMENSIONS), np.float32)), both(rng.random((OTHERS, DIMENSIONS), np.float32))
        ),
        *forward(images(BATCH)),
        *training_loop(images(BATCH), labels(BATCH)),
        *dropout(images(LARGER_BATCH), labels(LARGER_BATCH), images(1), images(ASKED)),
        *saving(images(LARGER_BATCH), labels(LARGER_BATCH), images(VALIDATION), labels(VALIDATION), folder),
    ]


def distances(a: Both, b: Both) -> list[Part]:
    """Exercise 1: all pairwise squared distances."""
    exercise = cells("1_tensors", "by the identity")
    return [
        Part(
            f"1. squared distances of {POINTS} and {OTHERS} points of {DIMENSIONS} coordinates",
            lambda: exercise.squared_distances(a[0], b[0]),
            lambda: theirs.squared_distances(a[1], b[1]),
            "each sum, difference and limit is a pass over all distances, which takes longer",
        )
    ]


def forward(images: Both) -> list[Part]:
    """Exercise 2: probabilities of a batch, recorded for a backward pass, as in both libraries without ``no_grad``."""
    exercise = cells("2_networks", "class", "deeper class")
    network, deeper = exercise.Network(), exercise.DeeperNetwork()
    their_network = theirs.mlp(network.state_dict(), lambda: [nn.Sigmoid()], nn.Softmax(dim=1))
    their_deeper = theirs.mlp(deeper.state_dict(), lambda: [nn.ReLU()], nn.Softmax(dim=1))
    return [
        Part(
            f"2. {BATCH} digits through 784-256-10",
            lambda: network(images[0]),
            lambda: their_network(images[1]),
            f"{EAGER}; an exponential takes longer",
        ),
        Part(
            f"2. {BATCH} digits through 784-128-64-10",
            lambda: deeper(images[0]),
            lambda: their_deeper(images[1]),
            EAGER,
        ),
    ]


def training_loop(images: Both, labels: Both) -> list[Part]:
    """Exercise 3: a step of the loop, line by line, as where lines are left out, and compiled."""
    exercise = cells("3_training", "network", "compiled step", settings=SimpleNamespace(seed=0))

    def peer() -> Run:
        network = theirs.mlp(exercise.new_network().state_dict(), lambda: [nn.ReLU()], nn.LogSoftmax(dim=1))
        step = theirs.training_step(
            network, nn.functional.nll_loss, torch.optim.SGD(network.parameters(), 0.1, fused=True)
        )
        return lambda: step(images[1], labels[1]).item()

    network = exercise.new_network()
    optimizer = optim.SGD(network.parameters(), lr=0.1)

    def eager() -> float:
        optimizer.zero_grad()
        loss = losses.nll_loss(network(images[0]), labels[0])
        loss.backward()
        optimizer.step()
        return loss.item()

    other = exercise.new_network()
    compiled = exercise.compiled_step(other, optim.SGD(other.parameters(), lr=0.1))
    return [
        Part(f"3. a training step of {BATCH} digits, eager", eager, peer(), EAGER),
        Part(
            f"3. a training step of {BATCH} digits, compiled",
            lambda: compiled(images[0], labels[0]).item(),
            peer(),
            PRODUCTS,
        ),
    ]


def adam(name: str, model: Module, their_model: nn.Module, images: Both, labels: Both) -> Part:
    """Give a compiled training step with Adam, as the exercise takes with :func:`minitorch.training.fit`."""
    optimizer = optim.Adam(model.parameters(), lr=0.001)

    @minitorch.compile
    def step(images: minitorch.Tensor, labels: minitorch.Tensor) -> minitorch.Tensor:
        optimizer.zero_grad()
        loss = losses.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss

    their_optimizer = torch.optim.Adam(their_model.parameters(), lr=0.001, fused=True)
    their_step = theirs.training_step(their_model, nn.functional.cross_entropy, their_optimizer)
    return Part(
        f"{name}, compiled",
        lambda: step(images[0], labels[0]).item(),
        lambda: their_step(images[1], labels[1]).item(),
        PRODUCTS,
    )


def dropout(images: Both, labels: Both, image: Both, asked: Both) -> list[Part]:
    """Exercise 5: a training step with dropout, and Monte Carlo dropout, of one image and of many."""
    exercise = cells("5_inference", "network", "passes")
    learner, network = exercise.make_network(0.5), exercise.make_network(0.5)
    their_learner, their_network = (
        theirs.mlp(model.state_dict(), lambda: [nn.ReLU(), nn.Dropout(0.5)]) for model in (learner, network)
    )
    step = f"5. a training step of {LARGER_BATCH} images with dropout and Adam"
    return [
        adam(step, learner, their_learner, images, labels),
        *(
            Part(
                f"5. {PASSES} passes with dropout, {images[0].shape[0]:,} image{'s' * (images[0].shape[0] > 1)}",
                lambda images=images: exercise.monte_carlo(network, images[0], PASSES),
                lambda images=images: theirs.monte_carlo(their_network, images[1], PASSES),
                why,
            )
            for images, why in ((image, "Python around each call of the program"), (asked, PRODUCTS))
        ),
    ]


def saving(images: Both, labels: Both, seen: Both, classes: Both, folder: Path) -> list[Part]:
    """Exercise 6: a training step with Adam, compiled, the validation, and a file there and back."""
    exercise = cells("6_saving", "classifier")
    model = exercise.Classifier(hidden=[256, 128])
    their_model = theirs.mlp(model.state_dict(), lambda: [nn.ReLU()])
    places = range(0, VALIDATION, VALIDATION_BATCH)
    batches, their_batches = (
        [(x[at : at + VALIDATION_BATCH], y[at : at + VALIDATION_BATCH]) for at in places]
        for x, y in zip(seen, classes, strict=True)
    )

    def save_and_load() -> None:
        minitorch.save(model.state_dict(), folder / "ours")
        model.load_state_dict(minitorch.load(folder / "ours"))

    return [
        adam(f"6. a training step of {LARGER_BATCH} images with Adam", model, their_model, images, labels),
        Part(
            f"6. validation with {VALIDATION:,} images",
            lambda: evaluate(model, batches)["accuracy"],
            lambda: theirs.accuracy(their_model, their_batches),
            PRODUCTS,
        ),
        Part(
            "6. saving and loading",
            save_and_load,
            lambda: theirs.save_and_load(their_model, folder / "theirs"),
            "the file is on the disk before it gets its name",
        ),
    ]


# --- measuring -----------------------------------------------------------------------------------------------


@contextmanager
def as_the_exercises() -> Iterator[None]:
    """Compute in float32 on the fast backend."""
    minitorch.set_default_backend(minitorch.FastBackend)
    minitorch.set_default_dtype("float32")
    try:
        yield
    finally:
        minitorch.set_default_backend(minitorch.SimpleBackend)
        minitorch.set_default_dtype("float64")


def measure(rounds: int = 7) -> dict[str, Any]:
    """Measure every part with each number of threads."""
    results: dict[str, Any] = {"machine": machine(), "rounds": rounds, "threads": THREADS, "parts": {}}
    for threads in THREADS:
        numba.set_num_threads(threads)
        torch.set_num_threads(threads)
        with as_the_exercises(), tempfile.TemporaryDirectory() as folder:
            for part in parts(Path(folder)):
                ours, others = in_turns([part.ours, part.theirs], rounds)
                row = results["parts"].setdefault(part.name, {"why": part.why})
                row |= {f"MiniTorch {threads}": ours, f"PyTorch {threads}": others}
                print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return results


def summary(results: dict[str, Any]) -> str:
    """Write the results as a table, and say how often PyTorch is ahead."""
    columns = [f"{library} {n}" for library in ("MiniTorch", "PyTorch") for n in results["threads"]]
    header = [f"{library}, {n}" for library in ("MiniTorch", "PyTorch") for n in results["threads"]]
    rows, slower = [], 0
    for name, found in results["parts"].items():
        ours, others = (min(found[f"{who} {n}"] for n in results["threads"]) for who in ("MiniTorch", "PyTorch"))
        slower += ours > others
        times = [f"{1000 * found[column]:.3f}" for column in columns]
        rows.append((name, *times, f"{others / ours:.2f}", f"slower: {found['why']}" if ours > others else ""))
    return (
        f"{table(('milliseconds, threads', *header, 'times faster', 'where it is slower, why'), rows)}\n\n"
        f"PyTorch eager is ahead in {slower} of {len(rows)} parts, each library with its better number of threads; "
        f"medians of {results['rounds']} rounds. Whole trainings, of exercises 4 and 7 and the race, are measured by "
        "accuracies.py."
    )


if __name__ == "__main__":
    measure_and_print("exercises", __doc__, 7, measure, summary)
