"""Measure an epoch of LeNet beside PyTorch: 5,000 digits with their validations, eager, float32.

    python benchmarks/lenet.py

Each library trains in a process of its own, once with one thread and once with two; the processes take turns, an epoch
each, after two epochs to warm up. MiniTorch runs project/run_mnist_multiclass.py, PyTorch the same loop in
peers/lenet_torch.py. Medians of several rounds; the faster of PyTorch's two is what MiniTorch is compared with.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "project"))

from benchmarks.digits import find_digits
from benchmarks.report import environment, in_words, machine, save, table

LIBRARIES = ("MiniTorch", "PyTorch")
THREADS = (1, 2)
BATCH_SIZES = (16, 128)
WARM_UP = 2
DIGITS = 5000
RATE = 0.01


# --- a process that trains -----------------------------------------------------------------------------------


def minitorch_epoch(batch_size: int, flags: list[str]) -> Callable[[], float]:
    """Give a function that trains one epoch with MiniTorch, and returns its last loss."""
    import run_mnist_multiclass as script

    train, held_out = ((d.images, d.one_hot) for d in script.load_digits(script.parse(flags)))  # pyright: ignore
    train = tuple(repeat(array) for array in train)
    trainer = script.ImageTrain()

    def epoch() -> float:
        return trainer.train(train, held_out, RATE, 1, lambda *line: None, batch_size)[-1]

    return epoch


def torch_epoch(batch_size: int, flags: list[str]) -> Callable[[], float]:
    """Give a function that trains one epoch with PyTorch, and returns its last loss."""
    import run_mnist_multiclass as script
    import torch

    from benchmarks.peers.lenet_torch import TorchTrain

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    train, held_out = script.load_digits(script.parse(flags))
    validation = held_out.images, held_out.one_hot.argmax(axis=1)
    trainer = TorchTrain(repeat(train.images), repeat(train.one_hot).argmax(axis=1), validation, batch_size, RATE)

    def epoch() -> float:
        trainer.epoch()
        return trainer.losses[-1]

    return epoch


def repeat(array: Any) -> Any:
    """Fill up to 5,000 rows, of which the stand-in has 4,500."""
    import numpy as np

    return np.resize(array, (DIGITS, *array.shape[1:]))


def serve(library: str, batch_size: int, flags: list[str]) -> None:
    """Train an epoch for each line that comes in, and answer with its seconds."""
    epoch = {"MiniTorch": minitorch_epoch, "PyTorch": torch_epoch}[library](batch_size, flags)
    for _ in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        loss = epoch()
        answer = {
            "seconds": time.perf_counter() - wall,
            "processor seconds": time.process_time() - processor,
            "loss": loss,
        }
        print(json.dumps(answer), flush=True)


# --- the process that compares -------------------------------------------------------------------------------


class Trainer:
    """A process that trains an epoch when asked to."""

    def __init__(self, library: str, threads: int, batch_size: int, flags: list[str]) -> None:
        self.library, self.threads, self.batch_size = library, threads, batch_size
        self.answers: list[dict[str, float]] = []
        command = [sys.executable, __file__, "--serve", library, "--batch-size", str(batch_size), "--", *flags]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment(threads))

    def epoch(self) -> None:
        """Have it train an epoch, and keep its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("epoch\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.library} on {self.threads} threads ended with status {self.process.wait()}")
        self.answers.append(json.loads(answer))

    def result(self) -> dict[str, Any]:
        """End the process and sum up, without the epochs that warmed it up."""
        self.process.communicate()
        measured = self.answers[WARM_UP:]
        return {
            "library": self.library,
            "threads": self.threads,
            "batch size": self.batch_size,
            "median": statistics.median(a["seconds"] for a in measured),
            "best": min(a["seconds"] for a in measured),
            "processor": min(a["processor seconds"] for a in measured),
            "all": [round(a["seconds"], 4) for a in measured],
            "last loss": self.answers[-1]["loss"],
        }


def measure(rounds: int = 7) -> dict[str, Any]:
    """Compare the libraries, and give everything that was measured."""
    results = {"machine": machine(), "rounds": rounds, "epochs": []}
    with tempfile.TemporaryDirectory() as folder:
        results["digits"], flags = find_digits(Path(folder))
        for batch_size in BATCH_SIZES:
            trainers = [Trainer(library, n, batch_size, flags) for library in LIBRARIES for n in THREADS]
            for turn in range(WARM_UP + rounds):
                first = turn % len(trainers)
                for trainer in trainers[first:] + trainers[:first]:
                    trainer.epoch()
            results["epochs"] += [trainer.result() for trainer in trainers]
    return results


def of(results: dict[str, Any], library: str, batch_size: int) -> list[dict[str, Any]]:
    """Find a library's results at a batch size, one for each number of threads."""
    return [e for e in results["epochs"] if (e["library"], e["batch size"]) == (library, batch_size)]


def ratio(results: dict[str, Any], batch_size: int, key: str = "median") -> float:
    """Divide MiniTorch's time, on all threads as it runs by itself, by the better of PyTorch's."""
    ours = max(of(results, "MiniTorch", batch_size), key=lambda e: e["threads"])
    return ours[key] / min(e[key] for e in of(results, "PyTorch", batch_size))


def summary(results: dict[str, Any]) -> str:
    """Write the results as a table with a sentence on what they are."""
    rows = []
    for batch_size in BATCH_SIZES:
        for library in LIBRARIES:
            for e in of(results, library, batch_size):
                ours = library == "MiniTorch"
                best = min(p["median"] for p in of(results, "PyTorch", batch_size))
                share = f"{e['median'] / best:.2f}" if ours else ""
                times = (f"{e[key]:.2f}" for key in ("median", "best", "processor"))
                rows.append((library, batch_size, e["threads"], *times, share))
    header = ("library", "batch", "threads", "seconds per epoch", "best", "processor seconds", "time ÷ PyTorch's best")
    return (
        f"{table(header, rows)}\n\nLeNet, {DIGITS:,} digits ({results['digits']}) with a validation every five steps, "
        f"float32, eager; medians of {results['rounds']} rounds in which the four processes take turns."
    )


def main() -> None:
    """Measure and print, or train for the process that measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--serve", choices=LIBRARIES, help=argparse.SUPPRESS)
    parser.add_argument("--batch-size", type=int, default=16, help=argparse.SUPPRESS)
    parser.add_argument("flags", nargs="*", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, args.batch_size, args.flags)
        return
    results = measure(args.rounds)
    save("lenet", results)
    print(summary(results), in_words(results["machine"]), sep="\n\n")


if __name__ == "__main__":
    main()
