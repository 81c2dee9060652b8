"""Train the course's LeNet on handwritten digits (course task 4.5).

    python project/run_mnist_multiclass.py                      train, and keep log, model and curve in ./out
    python project/run_mnist_multiclass.py --no-compile         the same, operation by operation
    python project/run_mnist_multiclass.py --resume             go on after ctrl-C, with the same bits
    python project/run_mnist_multiclass.py --predict digit.png  read one digit with the model that was trained

The setting is the course's: 5,000 digits to train on, batches of 16, plain gradient descent at a rate of 0.01. Three
things are ours. Pixels are centred and divided by 10: at this rate the course's 0 to 255 learn in leaps, 0 to 1 or
standardised pixels hardly at all. A layer begins uniform between plus and minus the square root of one over its
inputs, as PyTorch's do. Dropout scales what it keeps, so that evaluation sees numbers of the size that training saw.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from command_line import BACKENDS, add_common_flags, mistakes_in_one_line, read_settings
from timing import describe_times

import minitorch
from minitorch import Tensor
from minitorch.data import DataLoader, TensorDataset, load_mnist, one_hot
from minitorch.layers import Dropout
from minitorch.training import LAST, History, RunLog, Training, describe_run, fit

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
    compile: bool = True  # the simple backend is never compiled
    resume: bool = False  # go on from the checkpoint in out_dir
    data_dir: str | None = None  # where MNIST's files are; searched for when left out
    out_dir: str = "out"  # receives mnist.txt, mnist.safetensors, mnist.png and checkpoints
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
        self.arguments = {"dtype": dtype}  # what a file needs to know to make the network anew

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


def negative_log_likelihood(log_probabilities: Tensor, one_hot: Tensor) -> Tensor:
    """Give the mean over the batch of what the right classes' probabilities lack."""
    return (log_probabilities * one_hot).sum() * (-1.0 / one_hot.shape[0])


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
        self.compiled = compiled
        self.model = Network(self.backend, dtype)
        self.validate = minitorch.compile(self.log_probabilities) if compiled else self.log_probabilities
        self.history = History()  # of the latest training

    def pixels(self, images: Any) -> Tensor:
        """Bring ``count x 28 x 28`` centred pixels onto this trainer's backend, in the network's shape."""
        return minitorch.tensor(np.asarray(images, self.dtype), backend=self.backend).view(len(images), 1, H, W)

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

    def train(
        self,
        data_train: tuple[Any, Any],
        data_val: tuple[Any, Any],
        learning_rate: float,
        max_epochs: int = 500,
        log_fn: Callable[..., None] = default_log_fn,
        batch_size: int = 16,
        epoch_fn: Callable[[int, float], None] = lambda epoch, seconds: None,
        **options: Any,
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
            options: of :func:`minitorch.training.fit`, such as ``checkpoint``, ``resume`` and ``log``.

        Returns:
            The loss of every step.
        """
        images, labels = data_train
        if not len(images) or len(images) != len(labels):
            raise minitorch.DataError(
                f"expected digits to train on and as many labels, got {len(images)} and {len(labels)}. Pass "
                "a --train-size of 1 or more, and one label for each digit."
            )
        digits = TensorDataset(np.reshape(images, (-1, 1, H, W)), labels)
        self.history = fit(
            self.model,
            DataLoader(digits, batch_size, shuffle=True, dtype=self.dtype, backend=self.backend),
            loss=negative_log_likelihood,
            optimizer=minitorch.SGD(self.model.parameters(), learning_rate),
            epochs=max_epochs,
            compile=self.compiled,
            callbacks=[CourseLog(self, (data_val[0][:batch_size], data_val[1][:batch_size]), log_fn, epoch_fn)],
            progress=False,  # a line comes every five steps
            **{"log": None, **options},
        )
        return self.history.losses


class CourseLog:
    """Validates on a batch every five steps and logs as the course does: a callback of ``fit``.

    Args:
        trainer: whose network is validated.
        batch: images and one-hot labels to validate on.
        log_fn: takes a line's numbers.
        epoch_fn: takes each epoch's number and seconds.
    """

    def __init__(
        self,
        trainer: ImageTrain,
        batch: tuple[Any, Any],
        log_fn: Callable[..., None],
        epoch_fn: Callable[[int, float], None],
    ) -> None:
        self.trainer, self.batch, self.log_fn, self.epoch_fn = trainer, batch, log_fn, epoch_fn
        self.total_loss = 0.0  # since the last line

    def start(self, training: Training) -> None:
        """Compile the validation before an epoch is timed."""
        self.trainer.count_correct(*self.batch)

    def after_step(self, training: Training) -> None:
        """Log every five steps of an epoch, from its first on."""
        losses = training.history.losses
        self.total_loss += losses[-1]
        if (training.batch - 1) % VALIDATE_EVERY == 0:
            correct = self.trainer.count_correct(*self.batch)
            self.log_fn(training.epoch + 1, self.total_loss, correct, len(self.batch[0]), losses, training.model)
            self.total_loss = 0.0
            training.model.train()

    def __call__(self, training: Training) -> None:
        """Tell that an epoch has ended."""
        self.epoch_fn(training.epoch, training.history[-1]["seconds"])

    def state_dict(self) -> dict[str, float]:
        """Copy what the next line depends on."""
        return {"total_loss": self.total_loss}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on as a log that was copied."""
        self.total_loss = state["total_loss"]


# --- the command line ----------------------------------------------------------------------------------------


def run(settings: Settings) -> float:
    """Train as the settings say, write log, model and curve, and give the accuracy on the held-out digits."""
    minitorch.manual_seed(settings.seed)
    train, held_out = load_digits(settings)
    out = Path(settings.out_dir)
    checkpoint = out / "mnist"
    resumed = settings.resume and (checkpoint / LAST).exists()
    compiled = settings.compile and settings.backend != "simple"
    trainer = ImageTrain(BACKENDS[settings.backend], settings.dtype, compiled)

    def held_out_accuracy() -> float:
        return trainer.count_correct(held_out.images, held_out.one_hot) / len(held_out)

    with RunLog(out / "mnist.txt", append=resumed) as say:
        if not resumed:
            say(describe_run(f"{len(train)} digits of {train.name}", settings.seed, settings.dtype))

        def log_fn(
            epoch: int, total_loss: float, correct: int, total: int, losses: Sequence[float], model: Network
        ) -> None:
            say(f"Epoch {epoch} loss {total_loss} valid acc {correct}/{total}")

        def epoch_fn(epoch: int, seconds: float) -> None:
            accuracy = held_out_accuracy()
            say(f"Epoch {epoch}: held-out accuracy {accuracy:.2%} on {len(held_out)} digits, {seconds:.2f} s")

        trainer.train(
            (train.images, train.one_hot),
            (held_out.images, held_out.one_hot),
            settings.lr,
            settings.epochs,
            log_fn,
            settings.batch_size,
            epoch_fn,
            checkpoint=checkpoint,
            resume=settings.resume,
            log=say,
        )
        accuracy = held_out_accuracy()
        minitorch.save({"model": trainer.model, "accuracy": accuracy}, out / "mnist.safetensors")
        draw_curve(trainer.history, out / "mnist.png")
        say(describe_times(trainer.history, trainer.validate))
        say(f"Held-out accuracy: {accuracy:.2%}")
    return accuracy


def draw_curve(history: History, path: Path) -> None:
    """Draw the loss of every step, where there is something to draw with."""
    try:
        history.plot_steps(path, "LeNet on MNIST")
    except minitorch.MissingDependencyError as error:
        print(f"No curve was drawn: {error}", file=sys.stderr)


def predict(settings: Settings) -> int:
    """Print the digit in a picture and the probability of each class."""
    from minitorch.data.drawing import read_digit

    assert settings.predict is not None
    path = settings.model or Path(settings.out_dir, "mnist.safetensors")
    model = minitorch.load_model(path, Network, backend=BACKENDS[settings.backend])
    trainer = ImageTrain(BACKENDS[settings.backend], model.arguments["dtype"])
    trainer.model = model
    digit = centre(read_digit(settings.predict), trainer.dtype)
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
    add_common_flags(parser, data="MNIST's", results="mnist.txt, mnist.safetensors, mnist.png and checkpoints")
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
