"""Train the course's LeNet on handwritten digits (course task 4.5).

    python project/run_mnist_multiclass.py                      train, and keep log, model and curve in ./out
    python project/run_mnist_multiclass.py --no-compile         the same, operation by operation
    python project/run_mnist_multiclass.py --predict digit.png  read one digit with the model that was trained

The setting is the course's: 5,000 digits to train on, batches of 16, plain gradient descent at a rate of 0.01. Three
things are ours. Pixels are centred and divided by 10: at this rate the course's 0 to 255 learn in leaps, 0 to 1 or
standardised pixels hardly at all. A layer begins uniform between plus and minus the square root of one over its
inputs, as PyTorch's do. Dropout scales what it keeps, so that evaluation sees numbers of the size that training saw.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from command_line import BACKENDS, add_common_flags, mistakes_in_one_line, read_settings
from timing import Timing

import minitorch
from minitorch import Tensor
from minitorch.data import load_mnist, one_hot
from minitorch.io import load, load_state_dict, save, state_dict
from minitorch.layers import Dropout
from minitorch.training import RunLog, describe_run, require_finite

C = 10  # classes
H, W = 28, 28  # image height and width
VALIDATE_EVERY = 5  # steps

# The mean of MNIST's training pixels, on their own scale of 0 to 255, and the scale that they enter at.
PIXEL_MEAN, PIXEL_SCALE = 33.32, 10.0


@dataclass
class Settings:
    """What a run depends on; each field is a flag of the command line."""

    epochs: int = 10
    batch_size: int = 16
    lr: float = 0.01
    train_size: int = 5000
    seed: int = 1
    dtype: str = "float32"
    backend: str = "fast"
    compile: bool = True  # on the fast backend; the simple one is never compiled
    data_dir: str | None = None  # where MNIST's files are; searched for when left out
    out_dir: str = "out"  # receives mnist.txt, mnist.safetensors and mnist.png
    model: str | None = None  # the model file for --predict; out_dir's when left out
    predict: str | None = None  # a picture of a digit


# --- the model -----------------------------------------------------------------------------------------------


class Linear(minitorch.Module):
    """$y = x w + b$, for ``batch x in_size``."""

    def __init__(self, in_size: int, out_size: int, make: Callable[..., minitorch.Parameter]) -> None:
        super().__init__()
        self.weights = make(in_size, out_size, fan_in=in_size)
        self.bias = make(out_size, fan_in=None)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply and add."""
        return x @ self.weights.value + self.bias.value


class Conv2d(minitorch.Module):
    """The course's convolution of ``batch x in_channels x height x width``, with a bias for each output channel."""

    def __init__(
        self, in_channels: int, out_channels: int, kh: int, kw: int, make: Callable[..., minitorch.Parameter]
    ) -> None:
        super().__init__()
        self.weights = make(out_channels, in_channels, kh, kw, fan_in=in_channels * kh * kw)
        self.bias = make(out_channels, 1, 1, fan_in=None)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve and add."""
        return minitorch.conv2d(input, self.weights.value) + self.bias.value


class Network(minitorch.Module):
    """LeNet as the course draws it.

    Convolution 1 to 4 channels, 3x3, ReLU (kept as ``mid``); convolution 4 to 8 channels, 3x3, ReLU (kept as ``out``);
    4x4 max pooling; 392 to 64, ReLU, dropout of 25 %; 64 to 10, log-softmax.
    """

    def __init__(self, backend: minitorch.TensorBackend, dtype: str = "float32") -> None:
        super().__init__()

        def make(*shape: int, fan_in: int | None) -> minitorch.Parameter:
            if fan_in is None:
                return minitorch.Parameter(minitorch.zeros(shape, backend=backend, dtype=dtype))
            draw = minitorch.rand(shape, backend=backend, dtype=dtype)
            return minitorch.Parameter((draw - 0.5) * (2.0 * fan_in**-0.5))

        # What the hidden layers saw last, for pictures. A compiled step keeps nothing that it does not return:
        # ImageTrain.run_many, which is not compiled, makes them.
        self.mid: Tensor | None = None
        self.out: Tensor | None = None
        self.conv1 = Conv2d(1, 4, 3, 3, make)
        self.conv2 = Conv2d(4, 8, 3, 3, make)
        self.hidden = Linear(392, 64, make)
        self.dropout = Dropout(0.25)
        self.classify = Linear(64, C, make)

    def forward(self, x: Tensor) -> Tensor:
        """Give the log-probabilities of the classes, ``batch x 10``, for ``batch x 1 x 28 x 28``."""
        self.mid = mid = self.conv1(x).relu()
        self.out = out = self.conv2(mid).relu()
        pooled = minitorch.maxpool2d(out, (4, 4))
        hidden = self.dropout(self.hidden(pooled.view(x.shape[0], 392)).relu())
        return minitorch.logsoftmax(self.classify(hidden), 1)


# --- the data ------------------------------------------------------------------------------------------------


@dataclass
class Digits:
    """Centred images ``count x 28 x 28``, one-hot labels ``count x 10``, and what they are."""

    images: npt.NDArray[Any]
    one_hot: npt.NDArray[Any]
    name: str

    def __len__(self) -> int:
        return len(self.images)


def make_mnist(split: str, start: int, stop: int, settings: Settings) -> Digits:
    """Take the digits ``start`` to ``stop - 1`` of a split."""
    mnist = load_mnist(split, settings.data_dir)  # type: ignore[arg-type]
    images = centre(mnist.images[start:stop], settings.dtype)
    labels = one_hot(mnist.labels[start:stop], C, settings.dtype)
    return Digits(images, labels, mnist.source if mnist.stand_in else "MNIST")


def centre(images: npt.NDArray[np.uint8], dtype: str) -> npt.NDArray[Any]:
    """Bring pixels to a mean of 0 over the training set, and to the scale that the network learns at."""
    return ((images - PIXEL_MEAN) / PIXEL_SCALE).astype(dtype)


def load_digits(settings: Settings) -> tuple[Digits, Digits]:
    """Load the digits to train on and the 500 held out: 10,000 to 10,499 of MNIST's training set, as in the course."""
    train = make_mnist("train", 0, settings.train_size, settings)
    held_out = make_mnist("train", 10_000, 10_500, settings)
    if not len(held_out):  # the 5,000 digits of the stand-in have a split of their own
        held_out = make_mnist("test", 0, 500, settings)
    return train, held_out


# --- training ------------------------------------------------------------------------------------------------


def default_log_fn(
    epoch: int, total_loss: float, correct: int, total: int, losses: Sequence[float], model: Network
) -> None:
    """Print the loss since the last line, and how many of the validation digits are right."""
    print(f"Epoch {epoch} loss {total_loss} valid acc {correct}/{total}")


class ImageTrain:
    """Trains a :class:`Network` and answers with it.

    Args:
        backend: what computes; the fast one when left out.
        dtype: float32 or float64.
        compiled: whether the training step and its validation are compiled; ``run_many`` never is.
    """

    def __init__(
        self, backend: minitorch.TensorBackend | None = None, dtype: str = "float32", compiled: bool = False
    ) -> None:
        self.backend = backend or minitorch.FastBackend
        self.dtype = dtype
        self.model = Network(self.backend, dtype)
        self.timing = Timing(compiled)
        self.validate = self.timing.compile(self.log_probabilities)

    def tensor(self, array: Any) -> Tensor:
        """Put numbers on this trainer's backend."""
        return minitorch.tensor(np.asarray(array, dtype=self.dtype), backend=self.backend)

    def pixels(self, images: Any) -> Tensor:
        """Bring ``count x 28 x 28`` centred pixels into the network's shape."""
        return self.tensor(images).view(len(images), 1, H, W)

    def log_probabilities(self, x: Tensor) -> Tensor:
        """Run the network, and record nothing for a gradient."""
        with minitorch.no_grad():
            return self.model(x)

    def run_many(self, images: Any) -> Tensor:
        """Give the log-probabilities for ``count x 28 x 28`` centred pixels, without dropout."""
        self.model.eval()
        return self.log_probabilities(self.pixels(images))

    def run_one(self, image: Any) -> Tensor:
        """Give the log-probabilities for one image, ``1 x 10``."""
        return self.run_many([image])

    def count_correct(self, images: Any, one_hot: Any) -> int:
        """Count the images whose most probable class is the label's."""
        self.model.eval()
        answers = self.validate(self.pixels(images)).to_numpy().argmax(axis=1)
        return int((answers == np.argmax(one_hot, axis=1)).sum())

    def training_step(self, learning_rate: float) -> Callable[[Tensor, Tensor], Tensor]:
        """Make the function that learns from a batch of pixels and one-hot labels, and gives their loss."""
        model = self.model
        optim = minitorch.SGD(model.parameters(), learning_rate)

        def step(x: Tensor, y: Tensor) -> Tensor:
            log_likelihood = (model(x) * y).sum()
            loss = log_likelihood * (-1.0 / x.shape[0])
            optim.zero_grad()
            loss.backward()
            optim.step()
            return loss

        return step

    def train(
        self,
        data_train: tuple[Any, Any],
        data_val: tuple[Any, Any],
        learning_rate: float,
        max_epochs: int = 500,
        log_fn: Callable[..., None] = default_log_fn,
        batch_size: int = 16,
        epoch_fn: Callable[[int, float], None] = lambda epoch, seconds: None,
    ) -> list[float]:
        """Train with gradient descent on the mean negative log-likelihood.

        Args:
            data_train: images ``count x 28 x 28`` and one-hot labels ``count x 10``.
            data_val: the same; a batch of it is validated on every five steps.
            learning_rate: the step size.
            max_epochs: how often every digit is seen.
            log_fn: called with epoch, loss since the last call, correct, total, losses of all steps, model.
            batch_size: digits a step; a last, smaller batch counts too.
            epoch_fn: called with the epoch and its seconds, without what compiling took.

        Returns:
            The loss of every step.
        """
        X_train, y_train = data_train
        X_val, y_val = data_val
        if not len(X_train) or len(X_train) != len(y_train):
            raise minitorch.DataError(
                f"expected digits to train on and as many labels, got {len(X_train)} and {len(y_train)}. Pass "
                "a --train-size of 1 or more, and one label for each digit."
            )
        step = self.timing.compile(self.training_step(learning_rate))
        parameters = self.model.parameters()
        losses: list[float] = []
        total_loss = 0.0
        for epoch in range(1, max_epochs + 1):
            with self.timing.epoch():
                self.model.train()
                order = minitorch.default_generator.permutation(len(X_train))
                for batch_num, start in enumerate(range(0, len(X_train), batch_size)):
                    rows = order[start : start + batch_size]
                    x, y = self.pixels(X_train[rows]), self.tensor(y_train[rows])
                    before = [parameter.value for parameter in parameters]
                    loss = step(x, y).item()
                    require_finite(loss, self.model, x, step=len(losses) + 1, before=before)

                    losses.append(loss)
                    total_loss += loss
                    if batch_num % VALIDATE_EVERY == 0:
                        correct = self.count_correct(X_val[:batch_size], y_val[:batch_size])
                        log_fn(epoch, total_loss, correct, len(X_val[:batch_size]), losses, self.model)
                        total_loss = 0.0
                        self.model.train()
            epoch_fn(epoch, self.timing.epochs[-1])
        return losses


# --- the command line ----------------------------------------------------------------------------------------


def run(settings: Settings) -> float:
    """Train as the settings say, write log, model and curve, and give the accuracy on the held-out digits."""
    minitorch.manual_seed(settings.seed)
    train, held_out = load_digits(settings)
    out = Path(settings.out_dir)
    compiled = settings.compile and settings.backend == "fast"
    trainer = ImageTrain(BACKENDS[settings.backend], settings.dtype, compiled)
    accuracy = 0.0

    with RunLog(out / "mnist.txt") as say:
        say(describe_run(f"{len(train)} digits of {train.name}", settings.seed, settings.dtype))

        def log_fn(
            epoch: int, total_loss: float, correct: int, total: int, losses: Sequence[float], model: Network
        ) -> None:
            say(f"Epoch {epoch} loss {total_loss} valid acc {correct}/{total}")

        def epoch_fn(epoch: int, seconds: float) -> None:
            nonlocal accuracy
            accuracy = trainer.count_correct(held_out.images, held_out.one_hot) / len(held_out)
            say(f"Epoch {epoch}: held-out accuracy {accuracy:.2%} on {len(held_out)} digits, {seconds:.2f} s")

        losses = trainer.train(
            (train.images, train.one_hot),
            (held_out.images, held_out.one_hot),
            settings.lr,
            settings.epochs,
            log_fn,
            settings.batch_size,
            epoch_fn,
        )
        save(out / "mnist.safetensors", state_dict(trainer.model), {"network": "LeNet", "accuracy": accuracy})
        draw_curve(losses, out / "mnist.png")
        say(trainer.timing.report())
        say(f"Held-out accuracy: {accuracy:.2%}")
    return accuracy


def draw_curve(losses: Sequence[float], path: Path) -> None:
    """Draw the loss of every step, and its running mean, on a logarithmic axis."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("No curve was drawn: it needs matplotlib (pip install matplotlib).", file=sys.stderr)
        return
    window = min(50, len(losses))
    smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
    axes = (figure := Figure(figsize=(7, 4), layout="constrained")).add_subplot()
    axes.semilogy(range(1, len(losses) + 1), losses, color="#c7d3e8", linewidth=0.6, label="one step")
    axes.semilogy(range(window, len(losses) + 1), smooth, color="#1f4e9c", label=f"mean of {window} steps")
    axes.set(xlabel="step", ylabel="negative log-likelihood", title="LeNet on MNIST")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def predict(settings: Settings) -> int:
    """Print the digit in a picture and the probability of each class."""
    from minitorch.data.drawing import read_digit

    trainer = ImageTrain(BACKENDS[settings.backend], settings.dtype)
    arrays, _ = load(settings.model or Path(settings.out_dir, "mnist.safetensors"))
    load_state_dict(trainer.model, arrays)
    assert settings.predict is not None
    digit = centre(read_digit(settings.predict), settings.dtype)
    probabilities = np.exp(trainer.run_one(digit).to_numpy()[0])
    answer = int(probabilities.argmax())
    print(f"{settings.predict} shows a {answer} ({probabilities[answer]:.1%})")
    print("  ".join(f"{k}: {p:.3f}" for k, p in enumerate(probabilities)))
    return answer


def parse(argv: Sequence[str] | None = None) -> Settings:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train LeNet on MNIST, or read a digit with it.")
    parser.add_argument("--epochs", type=int, help="how often every digit is seen")
    parser.add_argument("--batch-size", type=int, help="digits a step")
    parser.add_argument("--lr", type=float, help="learning rate")
    parser.add_argument("--train-size", type=int, help="digits to train on")
    add_common_flags(parser, data="MNIST's", results="mnist.txt, mnist.safetensors, mnist.png")
    parser.add_argument("--predict", metavar="PNG", help="read the digit in a picture instead of training")
    return read_settings(parser, Settings(), argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Train, or predict."""
    settings = parse(argv)
    with mistakes_in_one_line():
        if settings.predict is not None:
            predict(settings)
        else:
            run(settings)


if __name__ == "__main__":
    main()
