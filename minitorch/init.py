r"""Where training starts: tensors filled with a constant, or drawn from a distribution.

A layer adds up $n$ products, its *fan*, so the spread of its result grows with $\sqrt{n}$. The rules of Xavier Glorot
and of Kaiming He draw weights whose spread makes up for that, so that a deep network neither fades out nor explodes.

Every function takes a shape and gives a new tensor, drawn from :data:`minitorch.random.default_generator`, which
:func:`minitorch.manual_seed` fixes. With an underscore behind its name, as in PyTorch, it takes a parameter and fills
it anew; shape, dtype, backend, and whether it is trained stay what they are.

>>> weight = Parameter(zeros((3, 2)))
>>> bool((xavier_uniform_(weight).value < 1.1).all())
True
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .creation import _checked, ones, tensor, zeros
from .dtypes import default_dtype, float_dtype
from .errors import ArgumentError, DTypeError, ShapeError
from .module import Parameter
from .random import default_generator
from .tensor import Tensor
from .tensor_data import UserShape
from .tensor_ops import TensorBackend

__all__ = [
    "calculate_gain",
    "constant",
    "constant_",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "normal",
    "normal_",
    "ones",
    "ones_",
    "uniform",
    "uniform_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zeros",
    "zeros_",
]

# How much an activation shrinks the spread of what goes through it, to be made up for.
GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3.0,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4.0,
}


def uniform(
    shape: UserShape,
    a: float = 0.0,
    b: float = 1.0,
    dtype: npt.DTypeLike | None = None,
    backend: TensorBackend | None = None,
) -> Tensor:
    """Draw from the uniform distribution on $[a, b)$.

    Raises:
        ArgumentError: ``a`` is above ``b``.
        DTypeError: the dtype is neither float32 nor float64.

    >>> draws = uniform((100,), 2.0, 3.0)
    >>> 2.0 <= min(draws) <= max(draws) < 3.0
    True
    """
    if not a <= b:
        raise ArgumentError(f"expected a up to b, got {a} and {b}. Exchange them.")
    draws = default_generator.uniform(_checked(shape), float_dtype(dtype or default_dtype()))
    return tensor(draws.dtype.type(a) + draws.dtype.type(b - a) * draws, backend=backend)


def normal(
    shape: UserShape,
    mean: float = 0.0,
    std: float = 1.0,
    dtype: npt.DTypeLike | None = None,
    backend: TensorBackend | None = None,
) -> Tensor:
    """Draw from the normal distribution.

    Raises:
        ArgumentError: the standard deviation is negative.
        DTypeError: the dtype is neither float32 nor float64.

    >>> abs(normal((10000,), mean=5.0).mean().item() - 5.0) < 0.1
    True
    """
    if not std >= 0.0:
        raise ArgumentError(f"expected a standard deviation of 0 or more, got {std}. Its sign would change nothing.")
    draws = default_generator.normal(_checked(shape), float_dtype(dtype or default_dtype()))
    return tensor(draws.dtype.type(mean) + draws.dtype.type(std) * draws, backend=backend)


def constant(
    shape: UserShape, val: float, dtype: npt.DTypeLike | None = None, backend: TensorBackend | None = None
) -> Tensor:
    """Fill with one number.

    >>> constant((2,), 0.1).tolist()
    [0.1, 0.1]
    """
    values = np.full(_checked(shape), val, float_dtype(dtype or default_dtype()))
    return tensor(values, backend=backend)


def xavier_uniform(
    shape: UserShape, gain: float = 1.0, dtype: npt.DTypeLike | None = None, backend: TensorBackend | None = None
) -> Tensor:
    r"""Draw a weight from $[-a, a)$ with $a = \mathrm{gain} \sqrt{6 / (n_\mathrm{in} + n_\mathrm{out})}$.

    The compromise between keeping the spread of activations, which wants $n_\mathrm{in}$, and that of gradients, which
    wants $n_\mathrm{out}$ (Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", 2010).

    Args:
        shape: ``out x in``, or ``out x in x *kernel``.
        gain: what the activation behind it needs; see :func:`calculate_gain`.
        dtype: float32 or float64.
        backend: what computes.

    Raises:
        ShapeError: the shape has fewer than two dimensions.

    >>> xavier_uniform((4, 2)).shape
    (4, 2)
    """
    bound = gain * math.sqrt(6.0 / sum(_fans(shape)))
    return uniform(shape, -bound, bound, dtype, backend)


def xavier_normal(
    shape: UserShape, gain: float = 1.0, dtype: npt.DTypeLike | None = None, backend: TensorBackend | None = None
) -> Tensor:
    r"""Draw a weight from the normal distribution, as wide as that of :func:`xavier_uniform`.

    The standard deviation is $\mathrm{gain} \sqrt{2 / (n_\mathrm{in} + n_\mathrm{out})}$; arguments, errors and source
    are the same.

    >>> xavier_normal((4, 2)).shape
    (4, 2)
    """
    return normal(shape, 0.0, gain * math.sqrt(2.0 / sum(_fans(shape))), dtype, backend)


def kaiming_uniform(
    shape: UserShape,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    dtype: npt.DTypeLike | None = None,
    backend: TensorBackend | None = None,
) -> Tensor:
    r"""Draw a weight from $[-b, b)$ with $b = \mathrm{gain} \sqrt{3 / n}$.

    He, Zhang, Ren and Sun, "Delving deep into rectifiers", 2015. With ``a = math.sqrt(5)``, $b = 1 / \sqrt{n}$, which
    is how PyTorch and :mod:`minitorch.layers` begin.

    Args:
        shape: ``out x in``, or ``out x in x *kernel``.
        a: the slope of a leaky ReLU behind it, below zero.
        mode: ``"fan_in"`` keeps the spread on the way forward, ``"fan_out"`` on the way back.
        nonlinearity: the activation behind it, for :func:`calculate_gain`.
        dtype: float32 or float64.
        backend: what computes.

    Raises:
        ShapeError: the shape has fewer than two dimensions.
        ArgumentError: the mode or the activation is unknown.

    >>> max(abs(x) for row in kaiming_uniform((2, 100), math.sqrt(5)).tolist() for x in row) < 0.1
    True
    """
    bound = math.sqrt(3.0) * _kaiming_deviation(shape, a, mode, nonlinearity)
    return uniform(shape, -bound, bound, dtype, backend)


def kaiming_normal(
    shape: UserShape,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    dtype: npt.DTypeLike | None = None,
    backend: TensorBackend | None = None,
) -> Tensor:
    r"""Draw a weight from the normal distribution of deviation $\mathrm{gain} / \sqrt{n}$.

    Arguments, errors and source are those of :func:`kaiming_uniform`.

    >>> kaiming_normal((4, 2, 3), nonlinearity="relu").shape
    (4, 2, 3)
    """
    return normal(shape, 0.0, _kaiming_deviation(shape, a, mode, nonlinearity), dtype, backend)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    r"""Give the factor that makes up for what an activation takes from the spread.

    Args:
        nonlinearity: ``"linear"``, ``"conv1d"``, ``"conv2d"``, ``"sigmoid"``, ``"tanh"``, ``"relu"``, ``"selu"`` or
            ``"leaky_relu"``.
        param: the slope of the leaky ReLU below zero; 0.01 when left out.

    Raises:
        ArgumentError: the activation is unknown.

    >>> calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1.0 + slope**2))
    if nonlinearity not in GAINS:
        raise ArgumentError(
            f"expected the name of an activation, one of {', '.join([*GAINS, 'leaky_relu'])}; got {nonlinearity!r}. "
            "Take the nearest one, or pass a gain of your own."
        )
    return GAINS[nonlinearity]


def _fans(shape: Any) -> tuple[int, int]:
    """Count the summands behind an output, and the outputs that an input has a part in."""
    if isinstance(shape, int) or len(shape) < 2:
        raise ShapeError(
            f"expected the shape of a weight, out x in x *kernel, got {shape}. Draw a bias with uniform or zeros."
        )
    taps = math.prod(shape[2:])
    fan_in, fan_out = shape[1] * taps, shape[0] * taps
    if fan_in == 0 or fan_out == 0:
        raise ShapeError(f"expected a weight that has elements, got shape {tuple(shape)}. Sizes begin at 1.")
    return fan_in, fan_out


def _kaiming_deviation(shape: UserShape, a: float, mode: str, nonlinearity: str) -> float:
    fan_in, fan_out = _fans(shape)
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"expected the mode fan_in or fan_out, got {mode!r}. Write one of these.")
    fan = fan_in if mode == "fan_in" else fan_out
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


# --- parameters that exist -----------------------------------------------------------------------------------


def uniform_(parameter: Parameter, a: float = 0.0, b: float = 1.0) -> Parameter:
    """Fill a parameter anew by :func:`uniform`, and return it.

    >>> 2.0 <= uniform_(Parameter(zeros((1,))), 2.0, 3.0).value.item() < 3.0
    True
    """
    return _refilled(parameter, uniform, a, b)


def normal_(parameter: Parameter, mean: float = 0.0, std: float = 1.0) -> Parameter:
    """Fill a parameter anew by :func:`normal`, and return it.

    >>> normal_(Parameter(zeros((1,))), mean=2.0, std=0.0).value.tolist()
    [2.0]
    """
    return _refilled(parameter, normal, mean, std)


def constant_(parameter: Parameter, val: float) -> Parameter:
    """Fill a parameter with one number, and return it.

    >>> constant_(Parameter(zeros((2,))), 0.1).value.tolist()
    [0.1, 0.1]
    """
    return _refilled(parameter, constant, val)


def zeros_(parameter: Parameter) -> Parameter:
    """Fill a parameter with zeros, and return it.

    >>> zeros_(Parameter(ones((2,)))).value.tolist()
    [0.0, 0.0]
    """
    return _refilled(parameter, zeros)


def ones_(parameter: Parameter) -> Parameter:
    """Fill a parameter with ones, and return it.

    >>> ones_(Parameter(zeros((2,)))).value.tolist()
    [1.0, 1.0]
    """
    return _refilled(parameter, ones)


def xavier_uniform_(parameter: Parameter, gain: float = 1.0) -> Parameter:
    """Fill a weight anew by :func:`xavier_uniform`, and return it.

    >>> bool((xavier_uniform_(Parameter(zeros((3, 3)))).value < 1.0).all())
    True
    """
    return _refilled(parameter, xavier_uniform, gain)


def xavier_normal_(parameter: Parameter, gain: float = 1.0) -> Parameter:
    """Fill a weight anew by :func:`xavier_normal`, and return it.

    >>> xavier_normal_(Parameter(ones((1, 2))), gain=0.0).value.tolist()
    [[0.0, 0.0]]
    """
    return _refilled(parameter, xavier_normal, gain)


def kaiming_uniform_(
    parameter: Parameter, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Parameter:
    """Fill a weight anew by :func:`kaiming_uniform`, and return it.

    >>> bool((kaiming_uniform_(Parameter(zeros((1, 6)))).value < 1.0).all())
    True
    """
    return _refilled(parameter, kaiming_uniform, a, mode, nonlinearity)


def kaiming_normal_(
    parameter: Parameter, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Parameter:
    """Fill a weight anew by :func:`kaiming_normal`, and return it.

    >>> kaiming_normal_(Parameter(zeros((4, 2, 3))), nonlinearity="relu").value.shape
    (4, 2, 3)
    """
    return _refilled(parameter, kaiming_normal, a, mode, nonlinearity)


def _refilled(parameter: Parameter, fill: Callable[..., Tensor], *settings: Any) -> Parameter:
    value = parameter.value if isinstance(parameter, Parameter) else parameter
    if not isinstance(parameter, Parameter) or not isinstance(value, Tensor):
        raise DTypeError(
            f"expected a Parameter that holds a tensor, got {type(value).__name__}. Pass layer.weight itself, or make "
            f"a new tensor with init.{fill.__name__}(shape)."
        )
    trained = value.requires_grad()
    parameter.update(fill(value.shape, *settings, dtype=value.dtype, backend=value.backend))
    parameter.value.requires_grad_(trained)
    return parameter
