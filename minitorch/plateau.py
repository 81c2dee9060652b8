"""The schedule that looks at how training goes: a smaller learning rate when a measure no longer becomes better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import SupportsFloat

from .errors import ArgumentError
from .optimizer import Optimizer
from .scheduler import LRScheduler, checked_optimizer, for_each_group, refuse_inside_a_compiled_step

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """Multiply by a factor when a measure has not become better for a while.

    Args:
        optimizer: whose learning rates are scheduled.
        mode: ``"min"`` for a measure that should fall, such as the loss; ``"max"`` for one that should rise.
        factor: what the rates are multiplied by, below 1.
        patience: how many steps in a row may pass without a better measure; the next one reduces the rates.
        threshold: by how much a measure must be better to count.
        threshold_mode: ``"rel"`` for a share of the best measure so far, ``"abs"`` for a difference.
        cooldown: steps after a reduction in which nothing is counted.
        min_lr: the smallest rate, or one for each group.
        eps: a reduction by less than this is not made.

    Raises:
        ArgumentError: ``factor`` is not from 0 to below 1, or a mode is unknown.

    >>> from minitorch.module import Parameter
    >>> from minitorch.optim import SGD
    >>> schedule = ReduceLROnPlateau(SGD([Parameter(1.0)], lr=0.5), factor=0.5, patience=1)
    >>> for loss in (2.0, 1.0, 1.0, 1.0):
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.25]
    """

    kept = ("last_epoch", "best", "num_bad_epochs", "cooldown_counter")
    takes_measure = True

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        self.optimizer = checked_optimizer(self, optimizer)
        if not 0.0 <= factor < 1.0:
            raise ArgumentError(f"expected a factor from 0 to below 1, got {factor}. Write 0.1 for a tenth.")
        for name, given, known in (
            ("mode", mode, ("min", "max")),
            ("threshold_mode", threshold_mode, ("rel", "abs")),
        ):
            if given not in known:
                raise ArgumentError(f"expected {name} as {known[0]!r} or {known[1]!r}, got {given!r}. Write one.")
        self.mode, self.threshold_mode, self.threshold = mode, threshold_mode, threshold
        self.factor, self.patience, self.cooldown, self.eps = factor, patience, cooldown, eps
        self.min_lrs = for_each_group("min_lr", optimizer, min_lr)
        self.last_epoch = 0
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0

    def step(self, metrics: SupportsFloat) -> None:  # type: ignore[override]
        """Look at a measure, and reduce the rates if it is time.

        Args:
            metrics: a number, or a tensor of one element.

        Raises:
            CompileError: a compiled step calls it.
        """
        refuse_inside_a_compiled_step()
        measure = float(metrics)
        self.last_epoch += 1
        if self._is_better(measure):
            self.best, self.num_bad_epochs = measure, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            old = self.get_last_lr()
            new = [max(rate * self.factor, least) for rate, least in zip(old, self.min_lrs, strict=True)]
            self._write(b if a - b > self.eps else a for a, b in zip(old, new, strict=True))

    def _is_better(self, measure: float) -> bool:
        margin = self.threshold
        if self.threshold_mode == "rel":
            margin = self.best * margin if math.isfinite(self.best) else 0.0
        return measure < self.best - margin if self.mode == "min" else measure > self.best + margin
