"""Stopping a training that no longer improves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError
from ..saved import mapping, number, whole
from ..state import fitting

if TYPE_CHECKING:
    from ..module import Module
    from .loop import Training

__all__ = ["Best", "EarlyStopping"]


class Best:
    """The best value so far of one number among those of each epoch.

    Args:
        name: the number's name, such as ``"validation_loss"``.
        mode: ``"min"`` where smaller is better, ``"max"`` where larger is; the names of losses and accuracies say it.
        min_delta: by how much a better value must be better.

    Attributes:
        value: the best value; NaN before there is one.
        epoch: the epoch that it is of; 0 before there is one.

    Raises:
        ArgumentError: the mode cannot be told, or ``min_delta`` is negative.
    """

    def __init__(self, name: str, mode: str | None = None, min_delta: float = 0.0) -> None:
        if mode is None:
            mode = "min" if name.endswith("loss") else "max" if name.endswith("accuracy") else None
        if mode not in ("min", "max"):
            raise ArgumentError(
                f"expected mode as 'min' or 'max', to tell whether a smaller or a larger {name!r} is better, got "
                f"{mode!r}. Write one of them."
            )
        if not min_delta >= 0.0:
            raise ArgumentError(f"expected min_delta as 0 or more, got {min_delta}. It is a distance in either mode.")
        self.name, self.mode, self.min_delta = name, mode, min_delta
        self.value, self.epoch = math.nan, 0

    def take(self, row: Mapping[str, float]) -> bool:
        """Look at an epoch's numbers, and tell whether they are the best so far; NaN never is.

        Raises:
            ArgumentError: the number is not among them.
        """
        if self.name not in row:
            raise ArgumentError(
                f"expected {self.name!r} among the numbers of an epoch, got {', '.join(row)}. Choose one of these, or "
                "pass validation data."
            )
        value = row[self.name]
        gain = self.value - value if self.mode == "min" else value - self.value
        if math.isnan(value) or gain <= self.min_delta:  # the first value has a gain of NaN
            return False
        self.value, self.epoch = value, int(row["epoch"])
        return True

    def state_dict(self) -> dict[str, Any]:
        """Copy the best value and its epoch."""
        return {"value": self.value, "epoch": self.epoch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a best value that was copied.

        Raises:
            DataError: something else stands in the place of a number.
        """
        mapping("best", state, "value", "epoch")
        self.value, self.epoch = number("the best value", state["value"]), whole("the best epoch", state["epoch"])


class EarlyStopping:
    """End a training when a number has not improved for some epochs, and go back to the best parameters.

    Pass it to :func:`fit` among the callbacks (Prechelt, "Early stopping - but when?", 1998).

    Args:
        patience: how many epochs in a row may pass without an improvement.
        min_delta: what counts as an improvement: a change by more than this.
        monitor: the number's name; ``"validation_loss"``, or ``"loss"`` where there is no validation, when left out.
        mode: ``"min"`` where smaller is better, ``"max"`` where larger is; needed only where the name ends neither
            with ``loss`` nor with ``accuracy``.
        restore_best: whether the model has the parameters of its best epoch at the end, also where the epochs ran out.

    Raises:
        ArgumentError: ``patience`` is below 1, ``min_delta`` is negative, or the mode cannot be told.
    """

    def __init__(
        self,
        patience: int = 5,
        min_delta: float = 0.0,
        monitor: str | None = None,
        mode: str | None = None,
        restore_best: bool = True,
    ) -> None:
        if patience < 1:
            raise ArgumentError(f"expected a patience of at least one epoch, got {patience}. Write patience=5.")
        self.patience, self.restore_best = patience, restore_best
        self._settings = monitor, mode, min_delta
        self.best = Best(monitor or "loss", mode, min_delta)
        self.waited = 0
        self._model: Module | None = None
        self._parameters: dict[str, Any] = {}

    def start(self, training: Training) -> None:
        """Forget an earlier training."""
        monitor, mode, min_delta = self._settings
        self.best = Best(monitor or training.monitor, mode, min_delta)
        self.waited, self._model, self._parameters = 0, training.model, {}

    def __call__(self, training: Training) -> None:
        """Look at the epoch that has ended."""
        if self.best.take(training.history[-1]):
            self.waited = 0
            if self.restore_best:
                self._parameters = training.model.state_dict()
            return
        self.waited += 1
        if self.waited >= self.patience:
            training.stop = True
            training.say(
                f"Stopped: for {self.waited} epochs the {self.best.name.replace('_', ' ')} has not improved on "
                f"{self.best.value:.4g}, that of epoch {self.best.epoch}."
            )

    def finish(self, training: Training) -> None:
        """Go back to the best parameters."""
        if self._parameters:
            training.model.load_state_dict(self._parameters)

    def state_dict(self) -> dict[str, Any]:
        """Copy everything that the next epochs depend on, the best parameters among it."""
        return {"best": self.best.state_dict(), "waited": self.waited, "parameters": dict(self._parameters)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that was copied.

        Raises:
            DataError: something else stands in the place of a number.
            ShapeError: the best parameters are those of another model.
        """
        mapping("the state of EarlyStopping", state, "best", "waited", "parameters")
        waited = whole("the epochs waited", state["waited"])
        parameters = dict(mapping("parameters", state["parameters"]))
        if parameters and self._model is not None:
            fitting(type(self._model).__name__, self._model.named_state(), parameters)
        self.best.load_state_dict(state["best"])
        self.waited, self._parameters = waited, parameters
