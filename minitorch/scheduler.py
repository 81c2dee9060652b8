"""What schedules of the learning rate share: counting steps, writing rates, their state, and checks.

The schedules themselves are in :mod:`minitorch.schedules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from .cells import tracing, write
from .errors import ArgumentError
from .optimizer import Optimizer
from .saved import number, sequence, whole

__all__ = ["LRScheduler", "checked_optimizer", "for_each_group", "refuse_inside_a_compiled_step"]


class LRScheduler:
    r"""What schedules share: counting steps, writing rates, and their state.

    A subclass gives the rates of step ``self.last_epoch`` in :meth:`get_lr`, one for each of the optimiser's groups,
    from ``self.base_lrs``.

    Args:
        optimizer: whose learning rates are scheduled.
        last_epoch: the number of the last step that was made, to go on from; -1 begins. Going on needs groups with an
            ``"initial_lr"``, such as an optimiser has whose state was loaded.

    Attributes:
        last_epoch: $t$, the number of the step whose rates were written last.
        base_lrs: $\eta_0$ of each group.

    Raises:
        ArgumentError: the optimiser is something else, or ``last_epoch`` goes on from where nothing began.

    >>> from minitorch.module import Parameter
    >>> from minitorch.optim import SGD
    >>> class Halving(LRScheduler):
    ...     def get_lr(self) -> list[float]:
    ...         return [base * 0.5**self.last_epoch for base in self.base_lrs]
    >>> schedule = Halving(SGD([Parameter(1.0)], lr=0.5))
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    # What a state holds. Settings are not among it: whoever goes on makes the schedule anew, with or without others.
    kept: ClassVar[Sequence[str]] = ("last_epoch", "base_lrs")

    # Whether step takes a number that was measured; training.fit passes the monitored one then.
    takes_measure: ClassVar[bool] = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = checked_optimizer(self, optimizer)
        for group in optimizer.param_groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ArgumentError(
                    f"expected groups with an initial_lr to go on from last_epoch={last_epoch}, got one with "
                    f"{', '.join(group)}. Load the optimiser's state first, or leave last_epoch out to begin."
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.step()

    def get_lr(self) -> list[float]:
        """Compute the rate of each group for step ``self.last_epoch``; a subclass defines it."""
        return [self._rate(base, self.last_epoch, i) for i, base in enumerate(self.base_lrs)]

    def _rate(self, base: float, step: int, group: int) -> float:
        """Compute the rate of one group."""
        raise NotImplementedError(f"expected {type(self).__name__} to define get_lr(self). Write that method.")

    def get_last_lr(self) -> list[float]:
        """Give the rate of each group as it is now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self) -> None:
        """Go on by one step, and write its rates.

        Raises:
            CompileError: a compiled step calls it.
            ArgumentError: a rate is negative or not a number.
        """
        refuse_inside_a_compiled_step()
        self.last_epoch += 1
        self._write(self.get_lr())

    def _write(self, rates: Iterable[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            if not rate >= 0.0:
                raise ArgumentError(
                    f"{type(self).__name__}: expected a learning rate of 0 or more for step {self.last_epoch}, got "
                    f"{rate}. Check the function or the numbers that it comes from."
                )
            write(group, "lr", float(rate))

    def state_dict(self) -> dict[str, Any]:
        """Copy what the next steps depend on, beside the settings: plain numbers, which JSON can hold."""
        return {name: _copied(getattr(self, name)) for name in self.kept}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where a schedule stood when its :meth:`state_dict` was made; PyTorch's can be loaded too.

        The learning rate of now is the optimiser's: load its state as well.

        Nothing is changed unless everything fits.

        Raises:
            ArgumentError: a name is missing, or it belongs to another number of groups.
            DataError: something else stands in the place of a number.
        """
        if missing := [name for name in self.kept if name not in state_dict]:
            raise ArgumentError(
                f"expected the state of a {type(self).__name__} with {', '.join(self.kept)}, got one without "
                f"{', '.join(missing)}. Load it into the kind of schedule that it was saved from."
            )
        loaded = {name: _like(name, getattr(self, name), state_dict[name]) for name in self.kept}
        rates = loaded.get("base_lrs")
        if rates is not None and len(rates) != len(self.optimizer.param_groups):
            raise ArgumentError(
                f"expected the state of a schedule of {len(self.optimizer.param_groups)} groups, got one of "
                f"{len(rates)}. Build the optimiser with the same groups."
            )
        for name, value in loaded.items():
            setattr(self, name, value)


def checked_optimizer(schedule: LRScheduler, optimizer: Any) -> Optimizer:
    """Give the optimiser of a schedule, if it is one.

    Raises:
        ArgumentError: it is something else.
    """
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError(
            f"{type(schedule).__name__} schedules the learning rates of an optimiser, got {type(optimizer).__name__}. "
            "Pass the optimiser itself, such as SGD(model.parameters(), lr=0.1)."
        )
    return optimizer


def refuse_inside_a_compiled_step() -> None:
    """Let schedules step in plain Python alone.

    Raises:
        CompileError: a step is being compiled.
    """
    if tracing.tracer is not None:
        tracing.tracer.refuse(
            "a schedule counts its steps in Python, and a compiled step would not repeat that. Call schedule.step() "
            "outside the compiled step, behind it: the step follows the learning rate."
        )


def for_each_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """Read one value for every group, or one for each.

    Raises:
        ArgumentError: there are not as many values as groups.
    """
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ArgumentError(
            f"expected {name} for each of the optimiser's {groups} groups, got {len(value)}. Give one for each, or a "
            "single one for all."
        )
    return list(value)


def _like(name: str, own: Any, value: Any) -> Any:
    """Check that a value that was saved is of the kind of our own, and copy it."""
    if isinstance(own, list):
        return [number(name, element) for element in sequence(name, value)]
    if isinstance(own, int):
        return whole(name, value)
    return number(name, value) if isinstance(own, float) else _copied(value)


def _copied(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value
