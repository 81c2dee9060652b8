r"""Optimisers: how parameters move once their gradients are known.

A step builds the new value from the old one and the gradient with tensor operations and hands it to
``Parameter.update``, as in the course: no memory is overwritten, so a value kept from before a step stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .autodiff import no_grad
from .errors import ArgumentError
from .module import Parameter
from .tensor import Tensor
from .tensor_functions import Sqrt

__all__ = ["SGD", "Adam", "Optimizer"]


class Optimizer:
    """What optimisers share: the parameters, and forgetting their gradients.

    Args:
        parameters: what to train; their values are tensors or scalars.
    """

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self.parameters: Sequence[Parameter] = list(parameters)
        if not self.parameters:
            raise ArgumentError(
                "an optimiser needs at least one parameter, got none. Pass model.parameters(), and check that layers "
                "are attributes of the model, and not only elements of a list."
            )

    def zero_grad(self) -> None:
        """Forget every gradient: the next backward pass starts from nothing."""
        for p in self.parameters:
            if p.value is None:
                continue
            if hasattr(p.value, "derivative"):
                p.value.derivative = None
            else:
                p.value.grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        with no_grad():
            for i, p in enumerate(self.parameters):
                if p.value is None:
                    continue
                if hasattr(p.value, "derivative"):
                    gradient, value = p.value.derivative, p.value.data
                else:
                    gradient, value = p.value.grad, p.value.detach()
                if gradient is not None:
                    p.update(self._moved(i, value, gradient))

    def _moved(self, i: int, value: Any, gradient: Any) -> Any:
        """Give the new value of parameter ``i``."""
        raise NotImplementedError


class SGD(Optimizer):
    r"""Stochastic gradient descent: $w \leftarrow w - \eta\, g$ (course module 1).

    Args:
        parameters: what to train; tensors or scalars.
        lr: the learning rate $\eta$.

    Raises:
        ArgumentError: the learning rate is negative, or there are no parameters.

    >>> from minitorch.scalar import Scalar
    >>> weight = Parameter(Scalar(3.0))
    >>> optimiser = SGD([weight], lr=0.5)
    >>> (weight.value * weight.value).backward()
    >>> optimiser.step()
    >>> weight.value.data
    0.0
    """

    def __init__(self, parameters: Iterable[Parameter], lr: float = 1.0) -> None:
        super().__init__(parameters)
        self.lr = _checked_rate(lr)

    def _moved(self, i: int, value: Any, gradient: Any) -> Any:
        moved = value + gradient * -self.lr
        # The course's scalars train with the same optimiser.
        return moved if isinstance(moved, Tensor) else self.parameters[i].value.__class__(float(moved))


class Adam(Optimizer):
    r"""Adam (Kingma and Ba, 2015): steps scaled by running averages of the gradient and of its square.

    $$m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
      w \leftarrow w - \eta \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}$$

    Args:
        parameters: what to train; tensors.
        lr: the learning rate $\eta$.
        betas: $\beta_1$ and $\beta_2$.
        eps: $\epsilon$.
        weight_decay: $\lambda$; $\lambda w$ is added to the gradient.

    Raises:
        ArgumentError: an argument is out of range, or there are no parameters.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters)
        self.lr = _checked_rate(lr)
        if not all(0.0 <= beta < 1.0 for beta in betas):
            raise ArgumentError(
                f"expected betas from 0 to below 1, got {betas}. Write 0.9 to keep nine tenths of an average."
            )
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        # For each parameter: the number of steps, the average gradient, the average square.
        self.averages: dict[int, tuple[int, Tensor, Tensor]] = {}

    def _moved(self, i: int, value: Tensor, gradient: Tensor) -> Tensor:
        beta1, beta2 = self.betas
        if self.weight_decay:
            gradient = gradient + value * self.weight_decay
        step, mean, square = self.averages.get(i) or (0, gradient.zeros(), gradient.zeros())
        step += 1
        mean = mean * beta1 + gradient * (1.0 - beta1)
        square = square * beta2 + gradient * gradient * (1.0 - beta2)
        self.averages[i] = (step, mean, square)
        scale = Sqrt.apply(square * (1.0 / (1.0 - beta2**step))) + self.eps
        return value + mean / scale * (-self.lr / (1.0 - beta1**step))


def _checked_rate(lr: float) -> float:
    if lr < 0.0:
        raise ArgumentError(f"a learning rate is not negative, got {lr}. A step goes against the gradient by itself.")
    return lr
