r"""Activations: functions of one element or of one dimension, as layers to put between others.

>>> from minitorch.creation import tensor
>>> x = tensor([-1.0, 0.0, 2.0])
>>> for layer in (ReLU(), LeakyReLU(), Tanh(), GELU()):
...     print(type(layer).__name__, [round(y, 3) for y in layer(x)])
ReLU [0.0, 0.0, 2.0]
LeakyReLU [-0.01, 0.0, 2.0]
Tanh [-0.762, 0.0, 0.964]
GELU [-0.159, 0.0, 1.954]
"""

from __future__ import annotations

import math
from typing import Any

from .autodiff import Context
from .errors import ArgumentError
from .function import Function, Places
from .module import Module
from .nn import logsoftmax, softmax
from .pointwise import Keep
from .tensor import Tensor
from .tensor_functions import Exp, Mul, Neg
from .tensor_functions import ReLU as ReLUFunction
from .tensor_functions import Sigmoid as SigmoidFunction
from .tensor_functions import Tanh as TanhFunction

__all__ = ["GELU", "Erf", "LeakyReLU", "LogSoftmax", "ReLU", "Sigmoid", "Softmax", "Tanh"]


class ReLU(Module):
    r"""$\max(x, 0)$.

    Args:
        inplace: taken for PyTorch's sake; no memory is overwritten either way.

    >>> from minitorch.creation import tensor
    >>> ReLU()(tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        """Name the settings, as PyTorch's layer does."""
        return "inplace=True" if self.inplace else ""

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        return ReLUFunction.apply(input)


class LeakyReLU(Module):
    """$x$ where it is positive, and a small part of it elsewhere (Maas, Hannun and Ng, 2013).

    Args:
        negative_slope: the part.
        inplace: taken for PyTorch's sake; no memory is overwritten either way.

    >>> from minitorch.creation import tensor
    >>> LeakyReLU(0.25)(tensor([-1.0, 2.0])).tolist()
    [-0.25, 2.0]
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace

    def extra_repr(self) -> str:
        """Name the settings, as PyTorch's layer does."""
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        positive = ReLUFunction.apply(input)
        rest = Keep.apply(input, Places(positive), False)  # chosen, for an infinity less itself is NaN
        return positive + rest * self.negative_slope


class Sigmoid(Module):
    r"""$1 / (1 + e^{-x})$.

    >>> from minitorch.creation import tensor
    >>> Sigmoid()(tensor([0.0])).tolist()
    [0.5]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        return SigmoidFunction.apply(input)


class Tanh(Module):
    r"""$\tanh x$.

    >>> from minitorch.creation import tensor
    >>> Tanh()(tensor([0.0, 100.0])).tolist()
    [0.0, 1.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        return TanhFunction.apply(input)


class GELU(Module):
    r"""$x \, \Phi(x)$ with the distribution function of the normal distribution (Hendrycks and Gimpel, 2016).

    Args:
        approximate: ``"none"`` computes $\Phi(x) = (1 + \mathrm{erf}(x / \sqrt{2})) / 2$; ``"tanh"`` takes
            $(1 + \tanh(\sqrt{2 / \pi} (x + 0.044715 x^3))) / 2$ instead.

    Raises:
        ArgumentError: another approximation.

    >>> from minitorch.creation import tensor
    >>> [round(y, 4) for y in GELU()(tensor([-1.0, 0.0, 1.0]))]
    [-0.1587, 0.0, 0.8413]
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ArgumentError(f"expected approximate as 'none' or 'tanh', got {approximate!r}. Write one of these.")
        self.approximate = approximate

    def extra_repr(self) -> str:
        """Name the settings, as PyTorch's layer does."""
        return f"approximate={self.approximate!r}"

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        if self.approximate == "none":
            centred = Erf.apply(input * math.sqrt(0.5))
        else:
            centred = TanhFunction.apply((input + input * input * input * 0.044715) * math.sqrt(2.0 / math.pi))
        return input * 0.5 * (centred + 1.0)


class Softmax(Module):
    r"""$e^{x_i} / \sum_j e^{x_j}$ along a dimension; see :func:`minitorch.nn.softmax`.

    Args:
        dim: the dimension, over which the results add up to 1.

    >>> from minitorch.creation import tensor
    >>> Softmax(0)(tensor([5.0, 5.0])).tolist()
    [0.5, 0.5]
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        """Name the settings, as PyTorch's layer does."""
        return f"dim={self.dim}"

    def forward(self, input: Tensor) -> Tensor:
        """Compute it along ``dim``."""
        return softmax(input, self.dim)


class LogSoftmax(Module):
    r"""$x_i - \log \sum_j e^{x_j}$ along a dimension; see :func:`minitorch.nn.logsoftmax`.

    Args:
        dim: the dimension.

    >>> from minitorch.creation import tensor
    >>> LogSoftmax(0)(tensor([1000.0, 0.0])).tolist()
    [0.0, -1000.0]
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        """Name the settings, as PyTorch's layer does."""
        return f"dim={self.dim}"

    def forward(self, input: Tensor) -> Tensor:
        """Compute it along ``dim``."""
        return logsoftmax(input, self.dim)


def erf(x: Any) -> Any:
    """The error function of one element."""
    return math.erf(x)


class Erf(Function):
    r"""$y = \frac{2}{\sqrt{\pi}} \int_0^x e^{-t^2} \, dt$."""

    @staticmethod
    def forward(ctx: Context, x: Tensor) -> Tensor:
        """Apply the error function."""
        ctx.save_for_backward(x)
        return x.backend.ops.map(erf)(x)

    @staticmethod
    def backward(ctx: Context, d: Tensor) -> Tensor:
        r"""$\partial y / \partial x = \frac{2}{\sqrt{\pi}} e^{-x^2}$."""
        (x,) = ctx.saved_values
        return d * Exp.apply(Neg.apply(Mul.apply(x, x))) * (2.0 / math.sqrt(math.pi))
