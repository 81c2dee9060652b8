r"""Schedules: how the learning rate changes while a model is trained.

A schedule is made from an optimiser, whose learning rates it takes as the *base* $\eta_0$, and writes the rate of step
$t = 0$ at once. Each call of ``step()`` goes on by one: after every epoch or after every batch, whatever ``step`` is to
mean. Names, arguments and values are PyTorch's.

The rate is a function of $\eta_0$ and $t$ alone: a schedule goes on exactly where its
:meth:`~minitorch.scheduler.LRScheduler.state_dict` was made, and a rate that is written by hand lasts until the next
step. :class:`~minitorch.plateau.ReduceLROnPlateau` is the exception: it looks at how training goes.

A compiled step follows a schedule without being compiled again, because the optimiser reads its learning rate through
:mod:`minitorch.cells`. ``step()`` itself is called outside the compiled step.

>>> from minitorch.module import Parameter
>>> from minitorch.optim import SGD
>>> optimiser = SGD([Parameter(1.0)], lr=0.5)
>>> schedule = StepLR(optimiser, step_size=2, gamma=0.5)
>>> for _ in range(4):
...     print(optimiser.lr)  # here the epoch trains
...     schedule.step()
0.5
0.5
0.25
0.25
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .cells import write
from .errors import ArgumentError
from .optimizer import Optimizer
from .plateau import ReduceLROnPlateau
from .scheduler import LRScheduler, checked_optimizer, for_each_group, refuse_inside_a_compiled_step

__all__ = [
    "ChainedScheduler",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]

# --- functions of the step -----------------------------------------------------------------------------------


class LambdaLR(LRScheduler):
    r"""Any function of the step: $\eta_t = \eta_0 f(t)$.

    Args:
        optimizer: whose learning rates are scheduled.
        lr_lambda: $f$, or one for each group. It is no part of the state.
        last_epoch: as in :class:`~minitorch.scheduler.LRScheduler`.

    Raises:
        ArgumentError: there are not as many functions as groups, or a rate is negative.

    >>> from minitorch.module import Parameter
    >>> from minitorch.optim import SGD
    >>> schedule = LambdaLR(SGD([Parameter(1.0)], lr=0.5), lambda t: 1.0 / (1.0 + t))
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        self.lr_lambdas = for_each_group("lr_lambda", checked_optimizer(self, optimizer), lr_lambda)
        super().__init__(optimizer, last_epoch)

    def _rate(self, base: float, step: int, group: int) -> float:
        return base * self.lr_lambdas[group](step)


class StepLR(LRScheduler):
    r"""Multiply by $\gamma$ every ``step_size`` steps: $\eta_t = \eta_0 \gamma^{\lfloor t / s \rfloor}$.

    Args:
        optimizer: whose learning rates are scheduled.
        step_size: $s$.
        gamma: $\gamma$.
        last_epoch: as in :class:`~minitorch.scheduler.LRScheduler`.

    Raises:
        ArgumentError: ``step_size`` is no whole number from 1.

    >>> from minitorch.module import Parameter
    >>> from minitorch.optim import SGD
    >>> schedule = StepLR(SGD([Parameter(1.0)], lr=0.5), 1, gamma=0.5)
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size, self.gamma = _whole("step_size", step_size), gamma
        super().__init__(optimizer, last_epoch)

    def _rate(self, base: float, step: int, group: int) -> float:
        return base * self.gamma ** (step // self.step_size)


class MultiStepLR(LRScheduler):
    r"""Multiply by $\gamma$ at chosen steps.

    Args:
        optimizer: whose learning rates are scheduled.
        milestones: the steps, in any order; one that comes twice multiplies twice.
        gamma: $\gamma$.
        last_epoch: as in :class:`~minitorch.scheduler.LRScheduler`.

    >>> from minitorch.module import Parameter
    >>> from minitorch.optim import SGD
    >>> schedule = MultiStepLR(SGD([Parameter(1.0)], lr=0.5), [1, 30], gamma=0.5)
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def _rate(self, base: float, step: int, group: int) -> float:
        return base * self.gamma ** bisect_right(self.milestones, step)


class ExponentialLR(LRScheduler):
    r"""Multiply by $\gamma$ in every step: $\eta_t = \eta_0 \gamma^t$.

    Args:
        optimizer: whose learning rates are scheduled.
        gamma: $\gamma$.
        last_epoch: as in :class:`~minitorch.scheduler.LRScheduler`.

    >>> from minitorch.module import Parameter
    >>> from minitorch.optim import SGD
    >>> schedule = ExponentialLR(SGD([Parameter(1.0)], lr=0.5), 0.5)
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _rate(self, base: float, step: int, group: int) -> float:
        return base * self.gamma**step


class LinearLR(LRScheduler):
    r"""Go from one share of the base to another along a line, then stay there: a linear warm-up.

    $$\eta_t = \eta_0 \left(a + (b - a) \frac{\min(t, n)}{n}\right)$$

    Args:
        optimizer: whose learning rates are scheduled.
        start_factor: $a$, above 0 and up to 1.
        end_factor: $b$, from 0 to 1.
        total_iters: $n$, the steps on the way.
        last_epoch: as in :class:`~minitorch.scheduler.LRScheduler`.

    Raises:
        ArgumentError: a share is not from 0 to 1, or ``total_iters`` is no whole number from 1.

    >>> from minitorch.module import Parameter
    >>> from minitorch.optim import SGD
    >>> schedule = LinearLR(SGD([Parameter(1.0)], lr=0.5), start_factor=0.5, total_iters=2)
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.375]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3.0,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0.0 < start_factor <= 1.0 or not 0.0 <= end_factor <= 1.0:
            raise ArgumentError(
                f"expected a start_factor above 0 and up to 1 and an end_factor from 0 to 1, got {start_factor} and "
                f"{end_factor}. They are shares of the optimiser's learning rate: raise that one."
            )
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = _whole("total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def _rate(self, base: float, step: int, group: int) -> float:
        share = min(step, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * share)


class CosineAnnealingLR(LRScheduler):
    r"""Go down along half a wave of a cosine (Loshchilov and Hutter, "SGDR", 2017), and up again if it goes on.

    $$\eta_t = \eta_\mathrm{min} + \frac{\eta_0 - \eta_\mathrm{min}}{2} \left(1 + \cos \frac{\pi t}{T}\right)$$

    Args:
        optimizer: whose learning rates are scheduled.
        T_max: $T$, the steps on the way down.
        eta_min: $\eta_\mathrm{min}$.
        last_epoch: as in :class:`~minitorch.scheduler.LRScheduler`.

    Raises:
        ArgumentError: ``T_max`` is no whole number from 1.

    >>> from minitorch.module import Parameter
    >>> from minitorch.optim import SGD
    >>> schedule = CosineAnnealingLR(SGD([Parameter(1.0)], lr=0.5), T_max=2)
    >>> schedule.step()
    >>> round(schedule.get_last_lr()[0], 6)
    0.25
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max, self.eta_min = _whole("T_max", T_max), eta_min
        super().__init__(optimizer, last_epoch)

    def _rate(self, base: float, step: int, group: int) -> float:
        return _along_cosine(base, self.eta_min, step / self.T_max)


class OneCycleLR(LRScheduler):
    r"""Go up to a large rate and far down again, while the momentum goes the other way (Smith and Topin, 2018).

    The rate goes from ``max_lr / div_factor`` to ``max_lr`` during the first ``pct_start`` of the steps, and then to
    ``max_lr / div_factor / final_div_factor``. With ``three_phase`` it takes as long to come back to where it began,
    and goes down from there. Here a step is a batch, and ``step()`` is called after each.

    Args:
        optimizer: whose learning rates, and momentum or first beta, are scheduled.
        max_lr: the largest rate, or one for each group.
        total_steps: the number of steps; or
        epochs: the number of epochs, together with
        steps_per_epoch: the number of batches in each.
        pct_start: the share of the steps that go up.
        anneal_strategy: ``"cos"`` along half a wave, or ``"linear"``.
        cycle_momentum: schedule the momentum too.
        base_momentum: the smallest momentum, or one for each group.
        max_momentum: the largest momentum, or one for each group.
        div_factor: the largest rate divided by the first.
        final_div_factor: the first rate divided by the last.
        three_phase: go down in two parts.
        last_epoch: as in :class:`~minitorch.scheduler.LRScheduler`.

    Raises:
        ArgumentError: the number of steps is not given, a share is not from 0 to 1, the strategy is unknown, the
            optimiser has no momentum to schedule, or there are more steps than were announced.

    >>> from minitorch.module import Parameter
    >>> from minitorch.optim import SGD
    >>> optimiser = SGD([Parameter(1.0)], momentum=0.9)
    >>> schedule = OneCycleLR(optimiser, max_lr=1.0, total_steps=5, pct_start=0.4, anneal_strategy="linear")
    >>> optimiser.lr, optimiser.param_groups[0]["momentum"]
    (0.04, 0.95)
    >>> schedule.step()
    >>> optimiser.lr, round(optimiser.param_groups[0]["momentum"], 6)
    (1.0, 0.85)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        groups = checked_optimizer(self, optimizer).param_groups
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        if not 0.0 <= pct_start <= 1.0:
            raise ArgumentError(f"expected pct_start from 0 to 1, got {pct_start}. Write 30 % as 0.3.")
        if anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(
                f"expected the anneal_strategy 'cos' or 'linear', got {anneal_strategy!r}. Write one of these."
            )
        if cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ArgumentError(
                f"expected an optimiser with momentum or betas, got {type(optimizer).__name__}. Write "
                "cycle_momentum=False."
            )
        self._between = _along_cosine if anneal_strategy == "cos" else _along_line
        self.cycle_momentum, self.final_div_factor = cycle_momentum, final_div_factor
        self.max_lrs = for_each_group("max_lr", optimizer, max_lr)
        self.max_momentums = for_each_group("max_momentum", optimizer, max_momentum)
        self.base_momentums = for_each_group("base_momentum", optimizer, base_momentum)
        if last_epoch == -1:
            for group, rate in zip(groups, self.max_lrs, strict=True):
                group["initial_lr"] = rate / div_factor
        up = pct_start * self.total_steps - 1
        # Where each phase ends, and which of the three rates, and of the two momenta, it goes to.
        self._phases = [(up, "max", "base"), (self.total_steps - 1, "min", "max")]
        if three_phase:
            down = 2 * pct_start * self.total_steps - 2
            self._phases = [(up, "max", "base"), (down, "base", "max"), (self.total_steps - 1, "min", "max")]
        super().__init__(optimizer, last_epoch)

    def step(self) -> None:
        """Go on by one step, and write its rates and momenta.

        Raises:
            CompileError: a compiled step calls it.
            ArgumentError: there are more steps than were announced.
        """
        super().step()
        if self.cycle_momentum:
            for i, group in enumerate(self.optimizer.param_groups):
                momenta = {"max": self.max_momentums[i], "base": self.base_momentums[i]}
                start, end, share = self._phase(self.last_epoch, "max", 2)
                momentum = self._between(momenta[start], momenta[end], share)
                if "betas" in group:
                    write(group, "betas", (momentum, *group["betas"][1:]))
                else:
                    write(group, "momentum", momentum)

    def _rate(self, base: float, step: int, group: int) -> float:
        if step > self.total_steps:
            raise ArgumentError(
                f"expected at most the {self.total_steps} steps that OneCycleLR was made for, got one more. Count "
                "total_steps again: it is the number of batches in all epochs."
            )
        rates = {"base": base, "max": self.max_lrs[group], "min": base / self.final_div_factor}
        start, end, share = self._phase(step, "base", 1)
        return self._between(rates[start], rates[end], share)

    def _phase(self, step: int, start: str, column: int) -> tuple[str, str, float]:
        """Find the phase of a step: what it goes from and to, and the share of the way that is behind it."""
        begin = 0.0
        for phase in self._phases:
            if step <= phase[0] or phase is self._phases[-1]:
                length = phase[0] - begin
                return start, str(phase[column]), (step - begin) / length if length else 1.0
            begin, start = phase[0], str(phase[column])
        raise AssertionError("the last phase has no end")


# --- schedules of schedules ----------------------------------------------------------------------------------


class SequentialLR(LRScheduler):
    """Run one schedule behind the other, each from its own beginning: a warm-up and then a cosine, for example.

    Args:
        optimizer: whose learning rates are scheduled.
        schedulers: the schedules, all made for this optimiser.
        milestones: the steps at which the second begins, the third, and so on.
        last_epoch: as in :class:`~minitorch.scheduler.LRScheduler`.

    Raises:
        ArgumentError: they belong to another optimiser, or there is not one milestone between each two.

    >>> from minitorch.module import Parameter
    >>> from minitorch.optim import SGD
    >>> optimiser = SGD([Parameter(1.0)], lr=0.5)
    >>> warm_up = LinearLR(optimiser, start_factor=0.5, total_iters=2)
    >>> schedule = SequentialLR(optimiser, [warm_up, ExponentialLR(optimiser, 0.5)], [2])
    >>> for _ in range(4):
    ...     print(optimiser.lr)
    ...     schedule.step()
    0.25
    0.375
    0.5
    0.25
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        self.schedulers = _functions_of_the_step(self, optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ArgumentError(
                f"expected a milestone between each two of the {len(schedulers)} schedules, got {len(milestones)}. "
                "Name the step at which each but the first begins."
            )
        self.milestones = list(milestones)
        super().__init__(optimizer, last_epoch)

    def step(self) -> None:
        """Go on by one step of the schedule whose turn it is."""
        refuse_inside_a_compiled_step()
        self.last_epoch += 1
        turn = bisect_right(self.milestones, self.last_epoch)
        begin = self.milestones[turn - 1] if turn else 0
        self.schedulers[turn].last_epoch = self.last_epoch - begin - 1
        self.schedulers[turn].step()


class ChainedScheduler(LRScheduler):
    """Run several schedules at once: the rates of each are the base of the next.

    Schedules that multiply give the product of their factors.

    Args:
        schedulers: the schedules, all made for one optimiser.
        optimizer: that optimiser; the first one's when left out.

    Raises:
        ArgumentError: there is none, or they belong to several optimisers.

    >>> from minitorch.module import Parameter
    >>> from minitorch.optim import SGD
    >>> optimiser = SGD([Parameter(1.0)], lr=0.5)
    >>> schedule = ChainedScheduler([ExponentialLR(optimiser, 0.5), StepLR(optimiser, 1, gamma=0.1)])
    >>> schedule.step()
    >>> round(optimiser.lr, 6)
    0.025
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if optimizer is None and schedulers:
            optimizer = schedulers[0].optimizer
        self.schedulers = _functions_of_the_step(self, optimizer, schedulers)
        super().__init__(self.schedulers[0].optimizer, self.schedulers[0].last_epoch - 1)

    def step(self) -> None:
        """Go on by one step of every schedule."""
        refuse_inside_a_compiled_step()
        self.last_epoch += 1
        rates = self.base_lrs
        for schedule in self.schedulers:
            schedule.base_lrs, schedule.last_epoch = rates, self.last_epoch - 1
            schedule.step()
            rates = schedule.get_last_lr()


# --- what they share -----------------------------------------------------------------------------------------


def _along_line(start: float, end: float, share: float) -> float:
    return start + (end - start) * share


def _along_cosine(start: float, end: float, share: float) -> float:
    """Go from one number to another along half a wave."""
    return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * share))


def _functions_of_the_step(
    schedule: LRScheduler, optimizer: Any, schedulers: Sequence[LRScheduler]
) -> list[LRScheduler]:
    """Check the schedules that a schedule is made of."""
    name = type(schedule).__name__
    if not schedulers:
        raise ArgumentError(f"{name} expects at least one schedule, got none. Pass a list of them.")
    for part in schedulers:
        if not isinstance(part, LRScheduler) or isinstance(part, ReduceLROnPlateau):
            raise ArgumentError(
                f"{name} expects schedules that are functions of the step, got {type(part).__name__}. Step a "
                "ReduceLROnPlateau by itself."
            )
        if part.optimizer is not optimizer:
            raise ArgumentError(
                f"{name} expects schedules of one optimiser, got a {type(part).__name__} of another. Make it from the "
                "same one."
            )
    return list(schedulers)


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise ArgumentError(f"expected {name} as a whole number from 1, got {value!r}. It counts steps.")
    return value


def _total_steps(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total_steps is not None:
        return _whole("total_steps", total_steps)
    if epochs is None or steps_per_epoch is None:
        raise ArgumentError(
            f"expected total_steps, or epochs and steps_per_epoch, got {total_steps}, {epochs} and {steps_per_epoch}. "
            "Write epochs=10, steps_per_epoch=len(loader)."
        )
    return _whole("epochs", epochs) * _whole("steps_per_epoch", steps_per_epoch)
