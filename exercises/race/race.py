# The clock starts before the imports, which take their part of the time.
"""Race to 99 % on MNIST: train from nothing, test, and say how long it all took.

    python race.py --seed 1                       one race: 60,000 digits to train on, MNIST's 10,000 to test with
    python race.py --seed 1 --held-out 10000      for tuning: tests on the last 10,000 training digits instead

One epoch of a small network with two convolutions. What makes it short: convolution and pooling are one loop in a
compiled step, whose gradient leaves out the three of four pixels that are no maximum; the learning rate goes up and
down once, which one epoch is enough for; and labels are smoothed. README.md says how the settings were chosen.
"""

from __future__ import annotations

import time

BEGUN = time.perf_counter()

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import minitorch
from minitorch.data import MNIST, Compose, DataLoader, ImageDataset, Normalize, ToDtype, load_mnist
from minitorch.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from minitorch.losses import cross_entropy
from minitorch.schedules import OneCycleLR
from minitorch.training import evaluate

BATCH_SIZE = 64
LARGEST_RATE = 0.008
BETAS = (0.9, 0.99)  # the second: an average of squared gradients over 100 steps, as a race has few
LABEL_SMOOTHING = 0.1
PIXEL_MEAN, PIXEL_STD = 0.1307, 0.3081
PIXELS = Compose([ToDtype("float32", scale=True), Normalize(PIXEL_MEAN, PIXEL_STD)])


def make_network() -> Sequential:
    """Make the network, with its first weights."""
    return Sequential(
        Conv2d(1, 16, 5),  # 28 x 28 pixels to 24 x 24
        MaxPool2d(2),  # to 12 x 12
        ReLU(),
        Conv2d(16, 32, 3),  # to 10 x 10
        MaxPool2d(2),  # to 5 x 5
        ReLU(),
        Flatten(),
        Linear(32 * 5 * 5, 128),
        ReLU(),
        Linear(128, 10),
    )


def load_digits(folder: str | None, limit: int | None, held_out: int) -> tuple[ImageDataset, ImageDataset]:
    """Load the digits to train on and those to test with, both files at once."""

    def images(digits: MNIST, place: slice) -> ImageDataset:
        return ImageDataset(digits.images[place], digits.labels[place], transform=PIXELS, source=digits.source)

    with ThreadPoolExecutor() as pool:
        train, test = pool.map(load_mnist, ("train", "test"), (folder, folder))
    if held_out:
        return images(train, slice(-held_out)), images(train, slice(-held_out, None))
    return images(train, slice(limit)), images(test, slice(None))


def train_once(model: Sequential, batches: DataLoader) -> None:
    """Go through the batches once, with one program a step."""
    optimizer = minitorch.Adam(model.parameters(), LARGEST_RATE, BETAS)
    schedule = OneCycleLR(optimizer, LARGEST_RATE, total_steps=len(batches))

    @minitorch.compile
    def step(images: minitorch.Tensor, labels: minitorch.Tensor) -> None:
        optimizer.zero_grad()
        cross_entropy(model(images), labels, label_smoothing=LABEL_SMOOTHING).backward()
        optimizer.step()

    for images, labels in batches:
        step(images, labels)
        schedule.step()


def race(seed: int, folder: str | None = None, limit: int | None = None, held_out: int = 0) -> float:
    """Do it all, print what it took, and give the accuracy."""
    minitorch.manual_seed(seed)
    minitorch.set_default_backend(minitorch.FastBackend)
    minitorch.set_default_dtype("float32")
    imported = time.perf_counter()
    train, test = load_digits(folder, limit, held_out)
    loaded = time.perf_counter()
    model = make_network()
    train_once(model, DataLoader(train, BATCH_SIZE, shuffle=True, drop_last=True))
    trained = time.perf_counter()
    accuracy = evaluate(model, DataLoader(test, 500))["accuracy"]
    ended = time.perf_counter()

    print(f"Trained on {len(train):,} digits ({train.source}), tested on {len(test):,}")
    phases = (imported - BEGUN, loaded - imported, trained - loaded, ended - trained)
    names = ("importing", "loading", "compiling and training", "testing")
    print(", ".join(f"{name} {seconds:.2f} s" for name, seconds in zip(names, phases)))
    print(f"Test accuracy: {accuracy:.2%} after {ended - BEGUN:.2f} s")
    return accuracy


def main(argv: Sequence[str] | None = None) -> None:
    """Read the command line and race."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="fixes the first weights and the order of the digits")
    parser.add_argument("--data-dir", metavar="FOLDER", help="holds MNIST's files (searched for)")
    parser.add_argument("--limit", type=int, metavar="N", help="train on the first N digits, to see that it runs")
    parser.add_argument("--held-out", type=int, default=0, metavar="N", help="test on the last N training digits")
    args = parser.parse_args(argv)
    try:
        race(args.seed, args.data_dir, args.limit, args.held_out)
    except minitorch.MiniTorchError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
