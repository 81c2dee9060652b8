"""The loop that people write every time: epochs of steps, validation, log, checkpoints, and going on after a stop.

What the next steps depend on is all in the checkpoint: parameters, the optimiser's averages, the schedule, the state
of the random numbers, the history. A training that goes on from there has the same bits as one that never stopped.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, DataError
from ..io.checkpoint import save
from ..module import Module
from ..optim import Optimizer
from ..random import default_generator
from .evaluation import measure
from .history import History
from .interrupts import Interrupts
from .metrics import Means, Metric, batch_size, default_metrics
from .progress import Clock, ProgressBar, epoch_line
from .resuming import RandomState, load_training, training_state
from .step import EvaluationStep, Loss, TrainingStep
from .stopping import Best

__all__ = ["BEST", "LAST", "Training", "fit"]

Batches = Iterable[tuple[Any, Any]]

# The files of a checkpoint folder: the whole training after its last epoch, and the best model alone.
LAST, BEST = "last.safetensors", "best.safetensors"


def fit(
    model: Module,
    train: Batches,
    validation: Batches | None = None,
    *,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    schedule: Any = None,
    schedule_every: str = "epoch",
    clip_norm: float | None = None,
    metrics: Mapping[str, Metric] | None = None,
    compile: bool = True,
    callbacks: Sequence[Callable[[Training], None]] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    monitor: str | None = None,
    history: History | None = None,
    log: Callable[[str], None] | None = print,
    progress: bool = True,
) -> History:
    """Train a model, and give what was measured.

    After each epoch, in this order: the model is measured on the validation data, the schedule goes on, a line is
    logged, the callbacks run, and the checkpoints are written.

    Args:
        model: what learns.
        train: batches of inputs and targets that can be gone through again and again, such as a ``DataLoader`` or a
            list. With ``len`` it also tells how far an epoch is.
        validation: batches to measure on after each epoch; left out where there are none.
        loss: gives the mean loss of a batch from the model's output and the target, such as
            :func:`minitorch.losses.cross_entropy`.
        optimizer: moves the model's parameters.
        epochs: how often the training data are gone through, in all: a training that is resumed goes on up to here.
        schedule: what changes the learning rate, with ``step()`` and state dicts as in :mod:`minitorch.schedules`. One
            whose attribute ``takes_measure`` is True is given the monitored number: ``step(number)``.
        schedule_every: ``"epoch"`` or ``"step"``: when the schedule goes on.
        clip_norm: the largest norm that the gradients of all parameters together may have: longer ones are scaled down
            to it before the update, see :func:`minitorch.clipping.clip_grad_norm_`.
        metrics: functions of output and target by name, each a mean over the batch; the accuracy when left out and
            the targets are numbers of classes.
        compile: run a step as one program; the data must be on ``minitorch.FastBackend`` or a GPU.
        callbacks: called with the :class:`Training` after each epoch; set its ``stop`` to end it. Where a callback has
            the methods ``start`` and ``finish`` they are called before the first epoch and at the end, ``after_step``
            is called after each step, and with ``state_dict`` and ``load_state_dict`` it is a part of the checkpoints.
        checkpoint: a folder for the files ``last.safetensors``, the whole training, and ``best.safetensors``, the
            model after its best epoch; those of an earlier training are replaced. Ctrl-C lets the step end and writes
            the first of them before it raises KeyboardInterrupt.
        resume: go on from ``last.safetensors``, with the same bits as if the training had never stopped; begin where
            there is no such file. Everything else is given as before.
        monitor: the number that says which epoch is best; ``"validation_loss"``, or ``"loss"`` where there is no
            validation, when left out.
        history: is filled as the training goes, and returned; a new one when left out. Pass a ``History()`` of your own
            to have the numbers also where ``fit`` raises, after ctrl-C for instance. A callback that calls its
            ``write_csv``, ``plot`` or ``write_tensorboard`` keeps such a file up to date after each epoch.
        log: takes a line after each epoch; None for silence.
        progress: draw a line at the bottom of the terminal, or below the cell of a notebook, where there is one.

    Returns:
        The numbers of each epoch and the loss of each step.

    Raises:
        ArgumentError: an argument makes no sense, such as data that can be gone through once.
        DataError: there are no batches, inputs and targets differ in number, or the checkpoint is broken.
        ShapeError: the checkpoint is of another model; the message lists everything that does not fit.
        NaNError: the loss is no longer a finite number. The model, its running averages and the optimiser are what they
            were before that step.
        KeyboardInterrupt: somebody pressed ctrl-C.

    >>> import minitorch
    >>> minitorch.manual_seed(1)
    >>> model = minitorch.layers.Linear(1, 1)
    >>> x = minitorch.tensor([[0.0], [1.0], [2.0]])
    >>> batches = [(x, x * 2.0 + 1.0)]
    >>> sgd = minitorch.SGD(model.parameters(), 0.3)
    >>> mse = minitorch.losses.mse_loss
    >>> history = fit(model, batches, loss=mse, optimizer=sgd, epochs=100, compile=False, log=None)
    >>> len(history), history["loss"][-1] < 1e-4
    (100, True)
    """
    _check(train, validation, epochs, schedule, schedule_every, clip_norm, checkpoint, resume)
    if monitor is None:
        monitor = "loss" if validation is None else "validation_loss"
    bar = ProgressBar(progress)

    def say(line: str) -> None:
        bar.clear()
        if log is not None:
            log(line)

    training = Training(model, optimizer, schedule, epochs, monitor, History() if history is None else history, say)
    loop = _Loop(
        training,
        train,
        validation,
        step=TrainingStep(model, loss, optimizer, compile, clip_norm),
        evaluation=EvaluationStep(model, loss, compile),
        metrics=metrics,
        callbacks=callbacks,
        schedule_each_step=schedule_every == "step",
        folder=None if checkpoint is None else Path(checkpoint),
        bar=bar,
    )
    loop.run(resume)
    return training.history


class Training:
    """A training as its callbacks see it.

    Attributes:
        model: what learns.
        optimizer: what moves its parameters.
        schedule: what changes the learning rate, or None.
        history: the numbers so far: ``history[-1]`` has the last epoch's, ``history.losses`` the loss of every step.
        epoch: how many epochs have ended.
        epochs: how many there shall be.
        step: how many steps there were.
        batch: how many of them in the epoch that runs.
        monitor: the name of the number that says which epoch is best.
        stop: set it to end the training after this epoch.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        schedule: Any,
        epochs: int,
        monitor: str,
        history: History,
        say: Callable[[str], None],
    ) -> None:
        self.model, self.optimizer, self.schedule = model, optimizer, schedule
        self.epochs, self.monitor, self.history = epochs, monitor, history
        self.epoch = self.step = self.batch = 0
        self.stop = False
        self._say = say

    def say(self, line: str) -> None:
        """Log a line."""
        self._say(line)


class _Loop:
    """What runs a training."""

    def __init__(
        self,
        training: Training,
        train: Batches,
        validation: Batches | None,
        *,
        step: TrainingStep,
        evaluation: EvaluationStep,
        metrics: Mapping[str, Metric] | None,
        callbacks: Sequence[Callable[[Training], None]],
        schedule_each_step: bool,
        folder: Path | None,
        bar: ProgressBar,
    ) -> None:
        self.training, self.train, self.validation = training, train, validation
        self.step, self.evaluation, self.folder = step, evaluation, folder
        self.metrics, self.callbacks, self.schedule_each_step = metrics, callbacks, schedule_each_step
        self.best = Best(training.monitor)
        self.interrupts = Interrupts()
        self.random = RandomState(train, validation)
        self.clock = Clock(training.epochs, len(train) if isinstance(train, Sized) else None, bar)
        # Of the epoch that runs: its means, and the random numbers' state at its beginning and, while its validation
        # runs, after its steps.
        self.means: Means | None = None
        self.begun: dict[str, Any] = {}
        self.trained: dict[str, Any] | None = None
        # Where an epoch stands that was stopped in its midst.
        self.partial: dict[str, Any] | None = None

    def run(self, resume: bool) -> None:
        """Train until the epochs are over or somebody stops."""
        training = self.training
        go_on = resume and self.folder is not None and (self.folder / LAST).exists()
        if training.history.losses and not go_on:
            raise ArgumentError(
                f"expected an empty history to begin with, got one of {len(training.history.losses)} steps. Pass a new "
                "History(), or resume=True where there is a checkpoint."
            )
        self._hook("start")
        if go_on:
            assert self.folder is not None
            self.partial = load_training(self.folder / LAST, training, self.callbacks, self.best, self.random)
            training.say(f"Resumed after epoch {training.epoch} and step {training.step}.")
        with self.interrupts:
            try:
                while training.epoch < training.epochs and not training.stop:
                    self._epoch()
            finally:
                self.clock.bar.clear()
        self._hook("finish")

    def _hook(self, name: str) -> None:
        for callback in self.callbacks:
            if hasattr(callback, name):
                getattr(callback, name)(self.training)

    # --- an epoch --------------------------------------------------------------------------------------------

    def _epoch(self) -> None:
        training = self.training
        training.model.train()
        started, compiled = time.perf_counter(), self._compile_seconds()
        for x, y in self._remaining():
            self._step(x, y)
            self._interrupt_here()
        if self.means is None:
            raise DataError("expected at least one batch to train on, got none. Check the data's size and drop_last.")
        row = {"epoch": training.epoch + 1, "step": training.step, **self.means.read()}
        seconds = time.perf_counter() - started - (self._compile_seconds() - compiled)
        if self.validation is not None:
            self.trained = self.random.state_dict()
            means = measure(
                training.model, self.validation, self.evaluation, self.metrics, between=self._interrupt_here
            ).read()
            row |= {f"validation_{name}": value for name, value in means.items()}
            self.trained = None
        training.history.compile_seconds += self._compile_seconds() - compiled
        row["learning_rate"] = training.optimizer.lr
        row["seconds"], row["samples_per_second"] = seconds, self.clock.examples / max(seconds, 1e-9)
        self._end(row)

    def _compile_seconds(self) -> float:
        return self.step.compile_seconds + self.evaluation.compile_seconds

    def _remaining(self) -> Iterator[tuple[Any, Any]]:
        """Give the batches of this epoch, without those that a stopped training has had."""
        self.means, self.training.batch = None, 0
        skip = 0
        if self.partial is not None:
            skip = self.partial["batches"]
            self.random.load_state_dict(self.partial["begun"])
        self.begun = self.random.state_dict()
        for number, (x, y) in enumerate(self.train, start=1):
            if number == 1:
                self.means = Means(default_metrics(y) if self.metrics is None else self.metrics)
                self.clock.begin_epoch()
            if number > skip:
                yield x, y
            elif number == skip:
                self._go_on()
        if self.partial is not None:
            raise DataError(
                f"the checkpoint stands behind batch {skip} of an epoch, got data with fewer batches. Resume with the "
                "data and the batch size that the training began with."
            )

    def _go_on(self) -> None:
        """Stand where the stopped epoch stood, now that its batches have been drawn again."""
        assert self.partial is not None
        assert self.means is not None
        ours, theirs = self.means.state_dict()["sums"], self.partial["means"]["sums"]
        if set(ours) != set(theirs):
            raise ArgumentError(
                f"the checkpoint stands in the midst of an epoch that measures {', '.join(theirs)}, got one that "
                f"measures {', '.join(ours)}. Resume with the metrics that the training began with."
            )
        default_generator.state = self.partial["now"]
        self.means.load_state_dict(self.partial["means"])
        self.training.batch = self.partial["batches"]
        self.partial = None

    def _step(self, x: Any, y: Any) -> None:
        training, means = self.training, self.means
        assert means is not None
        size = batch_size(x, y)
        loss, output = self.step(x, y, training.step + 1)
        training.step += 1
        training.batch += 1
        training.history.losses.append(loss)
        means.add(loss, output, y, size)
        if self.schedule_each_step and training.schedule is not None:
            training.schedule.step()
        self._hook("after_step")
        self.clock.count(size)
        if self.clock.bar.due():
            self.clock.draw(training.epoch, training.batch, means.read())

    def _end(self, row: dict[str, float]) -> None:
        """Do what is to be done after an epoch."""
        training = self.training
        training.history.rows.append(row)
        self.means, training.batch = None, 0
        training.epoch += 1
        improved = self.best.take(row)
        if training.schedule is not None and not self.schedule_each_step:
            training.schedule.step(*([row[training.monitor]] if _takes_measure(training.schedule) else []))
        training.say(epoch_line(row, training.epochs, self.clock.left(training.epoch)))
        for callback in self.callbacks:
            callback(training)
        if self.folder is not None:
            if improved:
                save(training.model, self.folder / BEST)
            self._save(self.folder / LAST)
        if self.interrupts.requested:
            self._raise_interrupt()

    # --- stopping and going on -------------------------------------------------------------------------------

    def _interrupt_here(self) -> None:
        """Save the epoch as far as it is and leave, if somebody has asked for it."""
        if self.interrupts.requested:
            if self.folder is not None:
                self._save(self.folder / LAST)
            self._raise_interrupt()

    def _save(self, path: Path) -> None:
        """Write everything that the next steps depend on."""
        state = training_state(self.training, self.callbacks, self.best)
        now = self.trained or self.random.state_dict()
        partial = None
        if self.means is not None:
            partial = {"batches": self.training.batch, "means": self.means, "begun": self.begun, "now": now["default"]}
        save({**state, "random": now, "partial": partial}, path)

    def _raise_interrupt(self) -> None:
        where = "" if self.folder is None else f" resume=True goes on from {self.folder / LAST}."
        self.training.say(f"Interrupted after step {self.training.step}.{where}")
        raise KeyboardInterrupt


def _takes_measure(schedule: Any) -> bool:
    """Tell whether a schedule goes by a number that is measured, as one which waits for a plateau does."""
    return getattr(schedule, "takes_measure", False)


def _check(
    train: Any,
    validation: Any,
    epochs: int,
    schedule: Any,
    schedule_every: str,
    clip_norm: float | None,
    checkpoint: Any,
    resume: bool,
) -> None:
    """Refuse arguments that make no sense together."""
    for name, data in (("train", train), ("validation", validation)):
        if data is not None and (not hasattr(data, "__iter__") or hasattr(data, "__next__")):
            raise ArgumentError(
                f"expected {name} as batches that can be gone through again in each epoch, got {type(data).__name__}. "
                "Pass a DataLoader or a list of (inputs, targets)."
            )
    if epochs < 1:
        raise ArgumentError(f"expected at least one epoch, got {epochs}. Write epochs=10.")
    if schedule_every not in ("epoch", "step"):
        raise ArgumentError(f"expected schedule_every as 'epoch' or 'step', got {schedule_every!r}. Write one of them.")
    if schedule_every == "step" and _takes_measure(schedule):
        raise ArgumentError(
            f"{type(schedule).__name__} goes by a number that is measured once an epoch, got schedule_every='step'. "
            "Leave that out."
        )
    if clip_norm is not None and not clip_norm > 0.0:
        raise ArgumentError(
            f"expected clip_norm above 0, the largest norm of all gradients together, got {clip_norm}. Write "
            "clip_norm=1.0, or leave it out."
        )
    if resume and checkpoint is None:
        raise ArgumentError("expected a checkpoint folder to resume from, got none. Pass checkpoint=FOLDER too.")
