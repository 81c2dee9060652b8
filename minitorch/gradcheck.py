r"""Comparing gradients with finite differences.

A check that adds up the outputs and looks at one element misses much: the sum of a softmax is constant, so even a
gradient of zeros passes. Here the outputs are weighted by random numbers $w$, and the slope of $\sum_j w_j f_j(x)$ is
compared along a random direction through all elements at once.

At a kink (ReLU at zero, a maximum of equal numbers) the function has two one-sided slopes, and every value between
them is a fair answer. finite_differences.py bounds the slopes; along a direction, this is a function of one number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .autodiff import no_grad
from .errors import GradientError
from .finite_differences import derivative_range
from .random import Generator, default_generator
from .tensor import Tensor
from .tensor_data import TensorData, UserIndex

__all__ = ["grad_central_difference", "grad_check"]

# By dtype, the unit of the steps. Float32 carries seven digits, and a short step would leave few of them.
SCALE = {np.dtype(np.float64): 1.0, np.dtype(np.float32): 8.0}
TOLERANCE = 0.002
# The one step that is tried first.
STEP = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 2e-3}


def grad_central_difference(
    f: Callable[..., Tensor], *vals: Tensor, arg: int = 0, epsilon: float = 1e-6, ind: UserIndex
) -> float:
    r"""Estimate the derivative of the sum of ``f``'s outputs with respect to one element.

    $$\frac{\sum f(x + \epsilon e) - \sum f(x - \epsilon e)}{2 \epsilon}$$

    Args:
        f: a function of tensors.
        vals: where to evaluate it.
        arg: which tensor to move.
        epsilon: the step.
        ind: which of its elements.
    """
    step = np.zeros(vals[arg].shape, vals[arg].dtype)
    step[tuple(ind)] = epsilon
    with no_grad():
        above = f(*_moved(vals, arg, step)).sum()[0]
        below = f(*_moved(vals, arg, -step)).sum()[0]
    return (above - below) / (2.0 * epsilon)


@np.errstate(invalid="ignore", over="ignore", divide="ignore")  # an infinite slope is no mistake
def grad_check(f: Callable[..., Tensor], *vals: Tensor) -> None:
    """Check the gradient of ``f`` with respect to every argument against finite differences.

    The check works on detached copies; the arguments' own gradients stay as they are.

    Args:
        f: a function of tensors that gives a tensor. It may draw random numbers: every evaluation draws the same.
        vals: where to check it.

    Raises:
        GradientError: a slope lies outside the band between the one-sided slopes, by more than 0.2 % and what the
            rounding of ``f`` leaves uncertain.

    >>> from minitorch.creation import tensor
    >>> grad_check(lambda x: x * x, tensor([1.0, 2.0, 3.0]))
    """
    drawn = default_generator.state
    vals = tuple(x.detach().requires_grad_(True) for x in vals)
    out = f(*vals)
    source = Generator(10)
    weights = source.normal(out.shape, out.dtype)
    out.backward(out._new(TensorData.from_array(weights)))

    def weighted(*at: Tensor) -> npt.NDArray[np.float64]:
        default_generator.state = drawn
        with no_grad():
            # In float64, so that only the function's own rounding is left.
            return weights.astype(np.float64) * f(*at).to_numpy()

    here = weighted(*vals)
    for i, x in enumerate(vals):
        gradient = x.grad.to_numpy() if x.grad is not None else np.zeros(x.shape)
        for direction in _directions(x.shape, source):
            fits, low, high = _fits(weighted, vals, i, gradient, direction, here)
            if fits:
                continue
            moved = np.argwhere(direction)
            if len(moved) > 1:
                # Kinks in several elements need not form one band together; each alone must.
                if all(_fits(weighted, vals, i, gradient, _unit(x.shape, e.tolist()), here)[0] for e in moved):
                    continue
                where = "along a random direction"
            else:
                where = f"at index {tuple(moved[0].tolist())}"
            raise GradientError(
                f"the gradient of argument {i} {where} is {float((gradient * direction).sum()):.8g}, but finite "
                f"differences give {low:.8g} to {high:.8g}. Look for the function whose backward is wrong: check each "
                f"one by itself.\nArguments: {vals}\nFunction: {f}"
            )


# Elements that are checked one by one; in a larger tensor this many are drawn.
ALONE = 16


def _directions(shape: tuple[int, ...], source: Generator) -> Iterator[npt.NDArray[Any]]:
    """Give one direction through all elements, then single elements: all of them when there are few."""
    yield source.normal(shape)
    elements = list(np.ndindex(*shape))
    for e in source.permutation(len(elements))[:ALONE]:
        yield _unit(shape, elements[e])


def _unit(shape: tuple[int, ...], index: Sequence[int]) -> npt.NDArray[Any]:
    unit = np.zeros(shape)
    unit[tuple(index)] = 1.0
    return unit


def _moved(vals: tuple[Tensor, ...], arg: int, step: npt.NDArray[Any]) -> list[Tensor]:
    x = vals[arg]
    moved = x._new(TensorData.from_array(np.array(x.to_numpy() + step.astype(x.dtype), order="C")))
    return [moved if i == arg else v for i, v in enumerate(vals)]


def _fits(
    weighted: Callable[..., npt.NDArray[np.float64]],
    vals: tuple[Tensor, ...],
    arg: int,
    gradient: npt.NDArray[Any],
    direction: npt.NDArray[Any],
    here: npt.NDArray[np.float64],
) -> tuple[bool, float, float]:
    """Compare the slope along a direction with those that the function's values allow: (fits, low, high)."""

    def rise(t: float) -> float:
        return float((weighted(*_moved(vals, arg, t * direction)) - here).sum())

    dtype = vals[arg].dtype
    # Every output counts, moved or not: what it moved may have been rounded away.
    rounding = float(np.finfo(dtype).eps) * (float(np.abs(here).sum()) + 1.0)
    slope = float((gradient * direction).sum())
    if _is_clear(rise, slope, STEP[dtype], rounding):
        return True, slope, slope
    low, high = derivative_range(rise, SCALE[dtype], rounding, TOLERANCE)
    # An infinite slope has nothing to be compared with.
    return not np.isfinite(slope) or low <= slope <= high, low, high


def _is_clear(rise: Callable[[float], float], slope: float, step: float, rounding: float) -> bool:
    """Tell whether one step to either side confirms a slope, rounding included.

    Where a function is smooth and its values are not lost in rounding, as nearly everywhere, two evaluations settle
    what :func:`~minitorch.finite_differences.derivative_range` needs thirty-five for.
    """
    try:
        ahead, behind = rise(step) / step, -rise(-step) / step
    except (ArithmeticError, ValueError):  # undefined on one side
        return False
    if abs(slope) <= rounding and abs(ahead) <= rounding and abs(behind) <= rounding:
        return True  # flat, as far as numbers of this size can tell
    farthest = max(abs(ahead - slope), abs(behind - slope)) + 4.0 * rounding / step
    return farthest <= TOLERANCE * abs(slope)
