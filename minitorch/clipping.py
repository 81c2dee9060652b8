r"""Gradient clipping: no step larger than one dares, wherever a gradient explodes.

Both functions stand between ``backward()`` and ``step()`` and change the gradients of parameters, with PyTorch's names
and meanings. They decide nothing in Python, so a compiled step clips as well.

>>> from minitorch.creation import tensor
>>> from minitorch.module import Parameter
>>> weight = Parameter(tensor([1.0, 1.0]))
>>> (weight.value * tensor([30.0, 40.0])).sum().backward()
>>> clip_grad_norm_([weight], max_norm=5.0).item()
50.0
>>> weight.value.grad.is_close(tensor([3.0, 4.0])).all().item()
1.0
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from .autodiff import no_grad
from .cells import tracing
from .creation import zeros
from .errors import ArgumentError, NaNError
from .module import Parameter
from .nn import max as maximum
from .tensor import Tensor
from .tensor_functions import Cat, Exp, Log, ReLU, ReLUGrad, Sqrt, View

__all__ = ["clip_grad_norm_", "clip_grad_value_"]

# What the norm is divided by is larger by this, as in PyTorch, so that it is not zero.
NORM_EPS = 1e-6


def clip_grad_norm_(
    parameters: Iterable[Parameter] | Parameter,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    r"""Scale all gradients by one factor, so that together they are no longer than ``max_norm``.

    With the norm $n$ of all gradients as one vector, each is multiplied by $\min(1, m / (n + 10^{-6}))$ (Pascanu,
    Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013).

    Args:
        parameters: whose gradients are scaled; those without one are passed over.
        max_norm: $m$.
        norm_type: $p$ of the norm $(\sum_i |g_i|^p)^{1/p}$; ``math.inf`` for the largest gradient.
        error_if_nonfinite: raise if the norm is infinite or NaN. A compiled step has no value to look at and refuses.

    Returns:
        The norm before, ``(1,)``; zero where there are no gradients.

    Raises:
        ArgumentError: ``max_norm`` is negative, ``norm_type`` is not above 0, or a parameter is no tensor.
        NaNError: the norm is not finite and ``error_if_nonfinite`` is set; nothing has been scaled then.
    """
    if tracing.tracer is None and not (max_norm >= 0.0 and norm_type > 0.0):
        raise ArgumentError(
            f"expected a max_norm of 0 or more and a norm_type above 0, got {max_norm} and {norm_type}. Write "
            "max_norm=1.0, for example."
        )
    values = _with_gradients(parameters)
    if not values:
        return zeros((1,))
    with no_grad():
        norm = _norm([value.grad for value in values], norm_type)
        if error_if_nonfinite and not math.isfinite(norm.item()):
            raise NaNError(
                f"expected gradients whose norm is finite, got {norm.item()}. Lower the learning rate, or look for a "
                "division by zero."
            )
        share = max_norm / (norm + NORM_EPS)
        long_enough = share > 1.0
        factor = _where(1.0 - long_enough, share) + long_enough
        for value in values:
            value.grad = value.grad * factor
    return norm


def clip_grad_value_(parameters: Iterable[Parameter] | Parameter, clip_value: float) -> None:
    """Cut every element of the gradients to the range from ``-clip_value`` to ``clip_value``.

    Args:
        parameters: whose gradients are cut; those without one are passed over.
        clip_value: the largest size of an element.

    Raises:
        ArgumentError: ``clip_value`` is negative, or a parameter is no tensor.

    >>> from minitorch.creation import tensor
    >>> weight = Parameter(tensor([1.0, 1.0]))
    >>> (weight.value * tensor([30.0, -0.5])).sum().backward()
    >>> clip_grad_value_([weight], 2.0)
    >>> weight.value.grad.tolist()
    [2.0, -0.5]
    """
    if tracing.tracer is None and not clip_value >= 0.0:
        raise ArgumentError(
            f"expected a clip_value of 0 or more, got {clip_value}. It is cut on both sides: write 0.5 for -0.5 to 0.5."
        )
    with no_grad():
        for value in _with_gradients(parameters):
            gradient = value.grad
            above, below = gradient > clip_value, gradient < -clip_value
            value.grad = _where(1.0 - above - below, gradient) + (above - below) * clip_value


def _with_gradients(parameters: Iterable[Parameter] | Parameter) -> list[Any]:
    """List the tensors that have a gradient."""
    found = []
    for p in [parameters] if isinstance(parameters, Parameter) else parameters:
        value = p.value if isinstance(p, Parameter) else p
        if not isinstance(p, Parameter) or not isinstance(value, Tensor):
            raise ArgumentError(
                f"clipping changes the gradients of Parameters that hold tensors, got {type(value).__name__}. Pass "
                "model.parameters()."
            )
        if value.grad is not None and value.size:
            found.append(value)
    return found


def _norm(gradients: Sequence[Tensor], p: float) -> Tensor:
    """Compute the norm of all gradients as one vector: ``(1,)``."""
    if p == 2.0:
        return Sqrt.apply(_total([g * g for g in gradients]))
    sizes = [ReLU.apply(g) + ReLU.apply(-g) for g in gradients]
    if p == math.inf:
        largest = [maximum(View.apply(x.contiguous(), (x.size,)), 0) for x in sizes]
        return maximum(Cat.apply(*largest, 0), 0)
    if p == 1.0:
        return _total(sizes)
    return Exp.apply(Log.apply(_total([Exp.apply(Log.apply(x) * p) for x in sizes])) * (1.0 / p))


def _total(tensors: Sequence[Tensor]) -> Tensor:
    """Add up all elements of all tensors: ``(1,)``."""
    total = tensors[0].sum()
    for x in tensors[1:]:
        total = total + x.sum()
    return total


def _where(mask: Tensor, x: Tensor) -> Tensor:
    """Give ``x`` where the mask is 1 and 0 where it is 0, also for an infinite ``x``, which a product makes NaN."""
    return ReLUGrad.apply(mask, x)
