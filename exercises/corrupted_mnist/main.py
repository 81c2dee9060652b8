"""Recognise corrupted digits.

    python main.py identify                      what the corruption is: prints it, and draws corruption.png
    python main.py train                         trains, and writes trained_model.pt and training_loss.png
    python main.py train --resume                goes on after ctrl-C, with the same bits
    python main.py evaluate trained_model.pt     prints the accuracy on the test set

This folder needs MiniTorch and nothing else of the project it comes from: it may be copied anywhere. With
MINITORCH_SMALL=1 in the environment a training is short, to see that it runs: --epochs 1 --limit 3000.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from corruption import differing_pixels, find_rotation, lean, ones
from data import FILES, file_parts, load_digits, load_originals, make_loaders
from model import DigitClassifier

import minitorch
from minitorch.data import DataLoader, ImageDataset
from minitorch.data.corrupt_mnist import ANGLES
from minitorch.losses import cross_entropy
from minitorch.schedules import OneCycleLR
from minitorch.training import LAST, fit
from minitorch.training import evaluate as measure

BETAS = (0.9, 0.99)  # of Adam; the second: an average of squared gradients over 100 steps
LABEL_SMOOTHING = 0.1  # the right class is given 91 %, so that the network does not learn to be too sure
KNOWN_ANGLES = (*ANGLES["train"], *ANGLES["test"])


def train(args: argparse.Namespace) -> None:
    """Train a new network, and write it and its curve."""
    begun = time.perf_counter()
    checkpoint = checkpoint_folder(args)
    for folder in (args.model.parent, args.plot.parent, checkpoint):  # better now than after the training
        folder.mkdir(parents=True, exist_ok=True)
    minitorch.manual_seed(args.seed)
    digits, _ = load_digits(args.data_dir)
    print(f"Data: {digits.source}")
    learned, watched = make_loaders(digits, args.batch_size, args.limit)

    model = DigitClassifier()
    optimizer = minitorch.Adam(model.parameters(), args.lr, BETAS)
    history = fit(
        model,
        learned,
        watched,
        loss=lambda scores, labels: cross_entropy(scores, labels, label_smoothing=LABEL_SMOOTHING),
        optimizer=optimizer,
        epochs=args.epochs,
        schedule=OneCycleLR(optimizer, args.lr, epochs=args.epochs, steps_per_epoch=len(learned)),
        schedule_every="step",
        checkpoint=checkpoint,
        resume=args.resume,
    )
    minitorch.save(model, args.model)
    print(f"Model: {args.model}")
    history.plot_steps(args.plot, "Corrupted MNIST")
    print(f"Curve: {args.plot}")
    print(f"{time.perf_counter() - begun:.1f} s for loading, compiling and training")


def checkpoint_folder(args: argparse.Namespace) -> Path:
    """Name the folder for the training so far: beside the trained network."""
    return args.model.parent / "checkpoint"


def evaluate(args: argparse.Namespace) -> None:
    """Print the accuracy of a trained network on the test set."""
    model = minitorch.load_model(args.checkpoint, DigitClassifier)
    _, digits = load_digits(args.data_dir)
    print(f"Data: {digits.source}")
    accuracy = measure(model, DataLoader(digits, 500))["accuracy"]
    print(f"Test accuracy: {accuracy:.2%}")


def identify(args: argparse.Namespace) -> None:
    """Print by how much each file is rotated, found in two ways, and draw it."""
    digits, test_digits = load_digits(args.data_dir)
    print(f"Data: {digits.source}")
    upright = load_originals(digits, test_digits, args.data_dir)
    files, originals = file_parts(digits, test_digits), file_parts(*upright)
    upright_lean = lean(ones(upright[0]))

    print("\nRotated clockwise by      leaning ones   comparing   known    pixels that still differ")
    searches = []
    for name, file, original, known in zip(FILES, files, originals, KNOWN_ANGLES):
        after, before = minitorch.tensor(file.images), minitorch.tensor(original.images)
        leaning = lean(ones(file)) - upright_lean
        angle, tried = find_rotation(after, before)
        differing = differing_pixels(after, before, angle)
        print(f"{name:<22} {leaning:>13.1f}° {angle:>10.3f}° {known:>7.3f}° {differing:>8,} of {after.size:,}")
        searches.append((name, angle, tried))
    draw_corruption(files, originals, searches, args.figure)
    print(f"Figure: {args.figure}")


def draw_corruption(
    files: list[ImageDataset],
    originals: list[ImageDataset],
    searches: list[tuple[str, float, list[tuple[float, float]]]],
    path: Path,
) -> None:
    """Draw digits of each file before and after, and how well each angle explains the file."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise minitorch.MissingDependencyError("drawing figures needs matplotlib: pip install matplotlib") from None
    figure = Figure(figsize=(9.0, 5.6), layout="constrained")
    grid = figure.add_gridspec(3, len(files), height_ratios=(1, 1, 2))
    for column, (file, original, (name, angle, _)) in enumerate(zip(files, originals, searches)):
        for row, (images, title) in enumerate(((original, name), (file, f"{angle:.2f}°"))):
            axes = figure.add_subplot(grid[row, column], xticks=[], yticks=[], title=title)
            axes.imshow(images.images[column, 0], cmap="gray_r", interpolation="nearest")
            if column == 0:
                axes.set_ylabel("MNIST" if row == 0 else "corrupted")
    axes = figure.add_subplot(grid[2, :])
    for name, _, tried in searches:
        axes.plot(*zip(*tried), label=name, linewidth=1.2)
    axes.set(xlabel="MNIST's digits rotated clockwise by (degrees)", ylabel="mean squared difference")
    axes.set(xticks=range(-90, 91, 30), ylim=(0, 0.19))
    axes.legend(frameon=False, loc="upper center", ncol=7, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)


# --- the command line ----------------------------------------------------------------------------------------


def above_zero(kind: type) -> Any:
    """Make a reader of numbers above zero for the command line."""

    def read(text: str) -> Any:
        number = kind(text)
        if not 0 < number < float("inf"):
            raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
        return number

    read.__name__ = kind.__name__  # argparse names it where the text is no number
    return read


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(run: Callable[[argparse.Namespace], None]) -> argparse.ArgumentParser:
        about = (run.__doc__ or "").removesuffix(".")
        added = commands.add_parser(run.__name__, help=about, description=about)
        added.set_defaults(run=run)
        added.add_argument("--data-dir", metavar="FOLDER", help="holds the data files (searched for)")
        return added

    small = os.environ.get("MINITORCH_SMALL", "") not in ("", "0")
    epochs, limit = (1, 3000) if small else (6, None)
    training = command(train)
    training.add_argument("--epochs", type=above_zero(int), default=epochs, help="how often each digit is seen (6)")
    training.add_argument("--batch-size", type=above_zero(int), default=64, help="digits a step (64)")
    training.add_argument("--lr", type=above_zero(float), default=0.008, help="the largest learning rate (0.008)")
    training.add_argument("--seed", type=int, default=1, help="fixes first weights, order and dropout (1)")
    training.add_argument(
        "--limit", type=above_zero(int), default=limit, metavar="N", help="train with no more than N digits (all)"
    )
    training.add_argument("--model", type=Path, default=Path("trained_model.pt"), help="(trained_model.pt)")
    training.add_argument("--plot", type=Path, default=Path("training_loss.png"), help="(training_loss.png)")
    training.add_argument("--resume", action="store_true", help="go on from the checkpoint, with settings as before")

    evaluation = command(evaluate)
    evaluation.add_argument("checkpoint", type=Path, help="what train wrote: trained_model.pt")

    identification = command(identify)
    identification.add_argument("--figure", type=Path, default=Path("corruption.png"), help="(corruption.png)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Do what the command line says; a mistake and ctrl-C end in one sentence and the exit status 1."""
    args = parse(argv)
    minitorch.set_default_backend(minitorch.FastBackend)
    minitorch.set_default_dtype("float32")
    try:
        args.run(args)
    except (minitorch.MiniTorchError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        begun = args.run is train and (checkpoint_folder(args) / LAST).exists()
        sys.exit("Interrupted. Add --resume to go on from the checkpoint." if begun else "Interrupted.")


if __name__ == "__main__":
    main()
