"""Optimisers: how parameters move once their gradients are known.

A step builds the new value from the old one and the gradient with tensor operations and hands it to
``Parameter.update``, as in the course: no memory is overwritten, so a value kept from before a step stays what it was.
The new value has no gradient yet. So gradients add up over the backward passes before a step, as in PyTorch, and not
over steps, where PyTorch needs ``zero_grad``: the course's own scripts for MNIST and for sentiment never call it.

Here are the formulas; groups, settings and the state are those of :mod:`minitorch.optimizer`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from .cells import is_set, read, write
from .errors import ArgumentError
from .module import Parameter
from .optimizer import Group, Optimizer
from .tensor import Tensor
from .tensor_functions import ReLU, Sqrt

__all__ = ["SGD", "Adadelta", "Adam", "AdamW", "Optimizer", "RMSprop"]


class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum if wanted (course module 1; Sutskever and others, 2013).

    With the gradient $g$, to which weight decay adds $\lambda w$:

    $$b \leftarrow \mu b + (1 - \tau) g, \quad w \leftarrow w - \eta\, b$$

    In its first step $b$ is $g$ whatever $\tau$ is. Without momentum $b$ is $g$ always; with ``nesterov``, $g + \mu b$
    takes the place of $b$ in the second formula.

    Args:
        parameters: what to train; tensors or scalars.
        lr: the learning rate $\eta$; 1 unless given, as in the course.
        momentum: $\mu$, the share of the last step that is kept.
        dampening: $\tau$.
        weight_decay: $\lambda$.
        nesterov: look ahead along the momentum.
        maximize: go along the gradient instead of against it.

    Raises:
        ArgumentError: a number is out of range, ``nesterov`` comes without momentum or with dampening, or there are
            no parameters.

    >>> from minitorch.scalar import Scalar
    >>> weight = Parameter(Scalar(3.0))
    >>> optimiser = SGD([weight], lr=0.5)
    >>> (weight.value * weight.value).backward()
    >>> optimiser.step()
    >>> weight.value.data
    0.0
    """

    def __init__(
        self,
        parameters: Iterable[Parameter] | Iterable[Group],
        lr: float = 1.0,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        if nesterov and (momentum <= 0.0 or dampening != 0.0):
            raise ArgumentError(
                f"nesterov needs momentum above 0 and no dampening, got {momentum} and {dampening}. Write momentum=0.9."
            )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(parameters, defaults)

    def _averages(self, group: Group) -> Sequence[str]:
        return ("momentum_buffer",) if is_set(group, "momentum") else ()

    def _moved(self, i: int, group: Group, value: Any, gradient: Any) -> Any:
        gradient = _directed(group, value, gradient)
        if is_set(group, "momentum"):
            gradient = self._with_momentum(i, group, gradient)
        return value + gradient * -read(group, "lr")

    def _with_momentum(self, i: int, group: Group, gradient: Any) -> Any:
        state, momentum = self._state(i, group), read(group, "momentum")
        share = gradient
        if is_set(group, "dampening") and is_set(state, "step"):
            share = gradient * (1.0 - read(group, "dampening"))
        buffer = read(state, "momentum_buffer") * momentum + share
        write(state, "momentum_buffer", buffer)
        write(state, "step", read(state, "step") + 1)
        return gradient + buffer * momentum if is_set(group, "nesterov") else buffer


class Adam(Optimizer):
    r"""Adam (Kingma and Ba, 2015): steps scaled by running averages of the gradient and of its square.

    $$m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
      w \leftarrow w - \eta \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}$$

    Args:
        parameters: what to train.
        lr: the learning rate $\eta$.
        betas: $\beta_1$ and $\beta_2$.
        eps: $\epsilon$.
        weight_decay: $\lambda$; $\lambda w$ is added to the gradient.
        amsgrad: divide by the largest $v$ so far (Reddi, Kale and Kumar, 2018).
        maximize: go along the gradient instead of against it.
        decoupled_weight_decay: let $w$ shrink by $\eta \lambda w$ instead, past the averages; see :class:`AdamW`.

    Raises:
        ArgumentError: an argument is out of range, or there are no parameters.

    The first step is of the size $\eta$, whatever the gradient:

    >>> from minitorch.scalar import Scalar
    >>> weight = Parameter(Scalar(3.0))
    >>> optimiser = Adam([weight], lr=0.5)
    >>> (weight.value * 1000.0).backward()
    >>> optimiser.step()
    >>> round(weight.value.data, 6)
    2.5
    """

    def __init__(
        self,
        parameters: Iterable[Parameter] | Iterable[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(parameters, defaults)

    def _averages(self, group: Group) -> Sequence[str]:
        names = ("exp_avg", "exp_avg_sq")
        return (*names, "max_exp_avg_sq") if is_set(group, "amsgrad") else names

    def _moved(self, i: int, group: Group, value: Any, gradient: Any) -> Any:
        state, lr = self._state(i, group), read(group, "lr")
        beta1, beta2 = read(group, "betas")
        if not is_set(group, "decoupled_weight_decay"):
            gradient = _directed(group, value, gradient)
        else:
            gradient = -gradient if is_set(group, "maximize") else gradient
            if is_set(group, "weight_decay"):
                value = value * (1.0 - lr * read(group, "weight_decay"))
        step = read(state, "step") + 1
        mean = read(state, "exp_avg") * beta1 + gradient * (1.0 - beta1)
        square = read(state, "exp_avg_sq") * beta2 + gradient * gradient * (1.0 - beta2)
        write(state, "step", step)
        write(state, "exp_avg", mean)
        write(state, "exp_avg_sq", square)
        if is_set(group, "amsgrad"):
            largest = read(state, "max_exp_avg_sq")
            square = largest + _positive_part(square - largest)
            write(state, "max_exp_avg_sq", square)
        scale = _root(square * (1.0 / (1.0 - beta2**step))) + read(group, "eps")
        return value + mean / scale * (-lr / (1.0 - beta1**step))


class AdamW(Adam):
    r"""Adam with decoupled weight decay (Loshchilov and Hutter, 2019): $w$ also shrinks by $\eta \lambda w$ a step.

    Args:
        parameters: what to train.
        lr: the learning rate $\eta$.
        betas: as in :class:`Adam`.
        eps: as in :class:`Adam`.
        weight_decay: $\lambda$.
        amsgrad: as in :class:`Adam`.
        maximize: go along the gradient instead of against it.

    Raises:
        ArgumentError: an argument is out of range, or there are no parameters.

    Where there is no slope, the decay alone is left:

    >>> from minitorch.scalar import Scalar
    >>> weight = Parameter(Scalar(3.0))
    >>> optimiser = AdamW([weight], lr=0.5, weight_decay=0.5)
    >>> (weight.value * 0.0).backward()
    >>> optimiser.step()
    >>> weight.value.data
    2.25
    """

    def __init__(
        self,
        parameters: Iterable[Parameter] | Iterable[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            parameters, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True
        )


class RMSprop(Optimizer):
    r"""RMSprop (Tieleman and Hinton, 2012): steps divided by the root of a running average of the squared gradient.

    $$v \leftarrow \alpha v + (1 - \alpha) g^2, \quad b \leftarrow \mu b + \frac{g}{\sqrt{v} + \epsilon}, \quad
      w \leftarrow w - \eta\, b$$

    Args:
        parameters: what to train.
        lr: the learning rate $\eta$.
        alpha: $\alpha$.
        eps: $\epsilon$.
        weight_decay: $\lambda$; $\lambda w$ is added to the gradient.
        momentum: $\mu$.
        centered: take the square of the average gradient off $v$ before the root: the variance (Graves, 2013).
        maximize: go along the gradient instead of against it.

    Raises:
        ArgumentError: an argument is out of range, or there are no parameters.

    >>> from minitorch.scalar import Scalar
    >>> weight = Parameter(Scalar(3.0))
    >>> optimiser = RMSprop([weight], lr=0.5, alpha=0.75)
    >>> (weight.value * 1000.0).backward()
    >>> optimiser.step()
    >>> round(weight.value.data, 6)
    2.0
    """

    def __init__(
        self,
        parameters: Iterable[Parameter] | Iterable[Group],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(parameters, defaults)

    def _averages(self, group: Group) -> Sequence[str]:
        chosen = {"momentum_buffer": "momentum", "grad_avg": "centered"}
        return ("square_avg", *(name for name, choice in chosen.items() if is_set(group, choice)))

    def _moved(self, i: int, group: Group, value: Any, gradient: Any) -> Any:
        state, alpha = self._state(i, group), read(group, "alpha")
        gradient = _directed(group, value, gradient)
        square = read(state, "square_avg") * alpha + gradient * gradient * (1.0 - alpha)
        write(state, "step", read(state, "step") + 1)
        write(state, "square_avg", square)
        if is_set(group, "centered"):
            mean = read(state, "grad_avg") * alpha + gradient * (1.0 - alpha)
            write(state, "grad_avg", mean)
            # Rounding can take a variance below zero.
            square = _positive_part(square - mean * mean)
        step = gradient / (_root(square) + read(group, "eps"))
        if is_set(group, "momentum"):
            step = read(state, "momentum_buffer") * read(group, "momentum") + step
            write(state, "momentum_buffer", step)
        return value + step * -read(group, "lr")


class Adadelta(Optimizer):
    r"""Adadelta (Zeiler, 2012): steps of the size that earlier steps had, whatever the size of the gradient.

    $$v \leftarrow \rho v + (1 - \rho) g^2, \quad \delta = \frac{\sqrt{u + \epsilon}}{\sqrt{v + \epsilon}}\, g, \quad
      u \leftarrow \rho u + (1 - \rho) \delta^2, \quad w \leftarrow w - \eta\, \delta$$

    Args:
        parameters: what to train.
        lr: the learning rate $\eta$.
        rho: $\rho$.
        eps: $\epsilon$; the first steps are of the size $\sqrt{\epsilon}$.
        weight_decay: $\lambda$; $\lambda w$ is added to the gradient.
        maximize: go along the gradient instead of against it.

    Raises:
        ArgumentError: an argument is out of range, or there are no parameters.

    >>> from minitorch.scalar import Scalar
    >>> weight = Parameter(Scalar(3.0))
    >>> optimiser = Adadelta([weight], rho=0.75, eps=0.25)
    >>> (weight.value * 1000.0).backward()
    >>> optimiser.step()
    >>> round(weight.value.data, 6)
    2.0
    """

    def __init__(
        self,
        parameters: Iterable[Parameter] | Iterable[Group],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(parameters, defaults)

    def _averages(self, group: Group) -> Sequence[str]:
        return "square_avg", "acc_delta"

    def _moved(self, i: int, group: Group, value: Any, gradient: Any) -> Any:
        state, rho, eps = self._state(i, group), read(group, "rho"), read(group, "eps")
        gradient = _directed(group, value, gradient)
        square, past = read(state, "square_avg"), read(state, "acc_delta")
        square = square * rho + gradient * gradient * (1.0 - rho)
        delta = _root(past + eps) / _root(square + eps) * gradient
        write(state, "step", read(state, "step") + 1)
        write(state, "square_avg", square)
        write(state, "acc_delta", past * rho + delta * delta * (1.0 - rho))
        return value + delta * -read(group, "lr")


# --- what the formulas share ---------------------------------------------------------------------------------


def _directed(group: Group, value: Any, gradient: Any) -> Any:
    """Turn the gradient round to maximise, and add the slope of the penalty on large weights."""
    if is_set(group, "maximize"):
        gradient = -gradient
    if is_set(group, "weight_decay"):
        gradient = gradient + value * read(group, "weight_decay")
    return gradient


def _root(x: Any) -> Any:
    return Sqrt.apply(x) if isinstance(x, Tensor) else math.sqrt(x)


def _positive_part(x: Any) -> Any:
    return ReLU.apply(x) if isinstance(x, Tensor) else max(x, 0.0)
