"""Making tensors: from numbers, filled, or drawn."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from threading import local
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .cells import tracing
from .dtypes import default_dtype, float_dtype, storage_dtype
from .errors import ArgumentError, BackendError, DTypeError, ShapeError
from .function import require_tensor
from .random import Generator, check_range, default_generator
from .tensor import Tensor
from .tensor_data import TensorData, UserShape
from .tensor_ops import SimpleBackend, TensorBackend

__all__ = [
    "arange",
    "eye",
    "from_numpy",
    "full",
    "linspace",
    "ones",
    "ones_like",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "set_default_backend",
    "tensor",
    "zeros",
    "zeros_like",
]

_default_backend = SimpleBackend

Maker = TypeVar("Maker", bound=Callable[..., Tensor])


def set_default_backend(backend: TensorBackend) -> None:
    """Choose where tensors are made when no ``backend`` is given; at first the course's SimpleBackend."""
    global _default_backend
    _default_backend = check_backend(backend)


def check_backend(backend: Any) -> TensorBackend:
    """Give ``backend`` back if it is one.

    Raises:
        BackendError: it is something else, such as the class of its operations.
    """
    if not isinstance(backend, TensorBackend):
        name = getattr(backend, "__name__", repr(backend))
        raise BackendError(
            f"expected a TensorBackend, got {name}. Write TensorBackend(SimpleOps) or TensorBackend(FastOps)."
        )
    return backend


def _wrap(array: npt.NDArray[Any], backend: TensorBackend | None, requires_grad: bool) -> Tensor:
    return _leaf(Tensor(TensorData.from_array(array), backend=_checked_backend(backend)), requires_grad)


def _leaf(out: Tensor, requires_grad: bool) -> Tensor:
    return out.requires_grad_(True) if requires_grad else out


def _checked_backend(backend: TensorBackend | None) -> TensorBackend:
    return _default_backend if backend is None else check_backend(backend)


def tensor(
    ls: Any,
    backend: TensorBackend | None = None,
    requires_grad: bool = False,
    dtype: npt.DTypeLike | None = None,
) -> Tensor:
    """Make a tensor from a number, nested lists of numbers, or a NumPy array. The data is copied.

    Args:
        ls: the numbers. Python numbers are stored in the default dtype (float64), an array keeps its own.
        backend: what computes.
        requires_grad: record what is computed from it.
        dtype: float32, float64, bool or an integer type.

    Raises:
        ShapeError: the lists are ragged.
        DTypeError: an element is not a number, or the dtype is unknown.

    >>> tensor([[1, 2, 3], [4, 5, 6]]).shape
    (2, 3)
    """
    if tracing.tracer is not None and tracing.tracer.is_array(ls):
        array = ls if dtype is None else ls.to(storage_dtype(dtype))
        return _leaf(tracing.tracer.on(array, _checked_backend(backend)), requires_grad)
    if isinstance(ls, Tensor):
        raise DTypeError(
            "expected numbers, got a tensor: it is one already; detach() gives a constant of the same data"
        )
    target = storage_dtype(dtype) if dtype is not None else None
    if not isinstance(ls, np.ndarray):
        ls, target = _numbers(ls), target or default_dtype()
    array = np.array(ls, dtype=target or storage_dtype(ls.dtype), order="C")
    return _wrap(array, backend, requires_grad)


def _numbers(ls: Any) -> npt.NDArray[Any]:
    """Read nested lists. NumPy is not told the dtype yet: it would turn None into NaN, and text into numbers."""
    try:
        array = np.asarray(ls)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ShapeError(
            "the lists are ragged: expected lists of one length at each depth. Pad the shorter ones."
        ) from None
    if array.dtype.kind not in "biuf":
        for element in array.reshape(-1).tolist():
            # An integer beyond 64 bits is a number too.
            if not isinstance(element, (int, float)) and not _is_stand_in(element):
                raise DTypeError(
                    f"expected numbers, got {element!r} of type {type(element).__name__}. Convert the elements first, "
                    "for example with float()."
                )
    return array


class _Allowance(local):
    """How many numbers this thread may still make: without end, but where a file says what to make."""

    left: float = math.inf


_allowance = _Allowance()


@contextmanager
def at_most(numbers: int) -> Iterator[None]:
    """Make this many numbers and no more inside a ``with`` block: filled and drawn tensors count.

    Raises:
        ArgumentError: more were asked for; nothing was made then.

    >>> with at_most(100):
    ...     zeros((50,)).shape
    (50,)
    """
    before, _allowance.left = _allowance.left, numbers
    try:
        yield
    finally:
        _allowance.left = before


def _checked(shape: UserShape) -> tuple[int, ...]:
    given = shape
    shape = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    if not all(isinstance(n, (int, np.integer)) for n in shape):
        raise ShapeError(f"a shape has whole sizes, got {given!r}. Write (2, 3), for example.")
    if any(n < 0 for n in shape):
        raise ShapeError(f"a shape has sizes of 0 or more, got {shape}. Only view() takes -1, and works that size out.")
    _allowance.left -= math.prod(int(n) for n in shape)
    if _allowance.left < 0:
        raise ArgumentError(
            f"expected no more numbers to be made than the file holds for them, got the shape {shape}. Make the model "
            "by hand, with arguments that you know, and fill it with load_state_dict."
        )
    return tuple(map(int, shape))


def _sizes_apart(make: Maker) -> Maker:
    """Let the sizes of a shape come as separate numbers too: ``zeros(2, 3)`` for ``zeros((2, 3))``."""

    @wraps(make)
    def made(*arguments: Any, **options: Any) -> Tensor:
        sizes = tuple(itertools.takewhile(_is_number, arguments))
        if len(sizes) > 1:
            arguments = (sizes, *arguments[len(sizes) :])
        return make(*arguments, **options)

    return made  # type: ignore[return-value]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


@_sizes_apart
def zeros(
    shape: UserShape,
    backend: TensorBackend | None = None,
    requires_grad: bool = False,
    dtype: npt.DTypeLike | None = None,
) -> Tensor:
    """Make a tensor of zeros.

    Args:
        shape: the sizes; as in PyTorch they may also come one by one, ``zeros(2, 3)``, before the other arguments.
        backend: what computes.
        requires_grad: record what is computed from it.
        dtype: of the elements, at first the default dtype.

    Raises:
        ShapeError: a size is negative or not whole.
        BackendError: the backend is something else.

    >>> zeros((2, 2)).tolist(), zeros(1, 3).tolist()
    ([[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0, 0.0]])
    """
    return _wrap(np.zeros(_checked(shape), storage_dtype(dtype or default_dtype())), backend, requires_grad)


@_sizes_apart
def ones(
    shape: UserShape,
    backend: TensorBackend | None = None,
    requires_grad: bool = False,
    dtype: npt.DTypeLike | None = None,
) -> Tensor:
    """Make a tensor of ones; the arguments are those of :func:`zeros`.

    >>> ones((3,)).tolist()
    [1.0, 1.0, 1.0]
    """
    return _wrap(np.ones(_checked(shape), storage_dtype(dtype or default_dtype())), backend, requires_grad)


@_sizes_apart
def rand(
    shape: UserShape,
    backend: TensorBackend | None = None,
    requires_grad: bool = False,
    dtype: npt.DTypeLike | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Draw a tensor from the uniform distribution on $[0, 1)$; :func:`minitorch.manual_seed` fixes the draw.

    Every backend draws the same numbers, and a compiled step draws anew in every call.

    Args:
        shape: the shape; the sizes may also come one by one, as for :func:`zeros`.
        backend: what computes.
        requires_grad: record what is computed from it.
        dtype: float32 or float64, at first the default dtype.
        generator: what draws; :data:`minitorch.random.default_generator` when left out.

    >>> from minitorch.random import Generator
    >>> rand((2,), generator=Generator(3)).tolist() == rand((2,), generator=Generator(3)).tolist()
    True
    """
    return _drawn("uniform", shape, backend, requires_grad, dtype, generator)


@_sizes_apart
def randn(
    shape: UserShape,
    backend: TensorBackend | None = None,
    requires_grad: bool = False,
    dtype: npt.DTypeLike | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """Draw a tensor from the standard normal distribution; the arguments are those of :func:`rand`.

    >>> abs(randn((10_000,)).mean().item()) < 0.1
    True
    """
    return _drawn("normal", shape, backend, requires_grad, dtype, generator)


def _drawn(
    distribution: str,
    shape: UserShape,
    backend: TensorBackend | None,
    requires_grad: bool,
    dtype: npt.DTypeLike | None,
    generator: Generator | None,
) -> Tensor:
    """Draw from a distribution, by the method of this name: the generator's, or the tracer's while a step is traced."""
    shape, dtype = _checked(shape), float_dtype(dtype or default_dtype())
    generator = default_generator if generator is None else generator
    if tracing.tracer is None:
        return _wrap(getattr(generator, distribution)(shape, dtype), backend, requires_grad)
    drawn = getattr(tracing.tracer, distribution)(generator, shape, dtype, _checked_backend(backend))
    return _leaf(drawn, requires_grad)


def randint(
    low: int,
    high: Any,
    size: UserShape | None = None,
    backend: TensorBackend | None = None,
    dtype: npt.DTypeLike = np.int64,
    generator: Generator | None = None,
) -> Tensor:
    """Draw whole numbers from ``low`` to ``high - 1``, each as likely; :func:`minitorch.manual_seed` fixes the draw.

    Args:
        low: the least; with two arguments alone, ``randint(high, size)``, the first is the end and the least is 0.
        high: the end, which is never drawn.
        size: the shape.
        backend: what computes.
        dtype: of the elements.
        generator: what draws; :data:`minitorch.random.default_generator` when left out.

    Raises:
        ArgumentError: ``low`` is not below ``high``, or one is not a whole number.
        ShapeError: the size is no shape.

    >>> draws = randint(1, 7, (100,))
    >>> 1 <= min(draws) <= max(draws) <= 6, randint(3, (2, 2)).shape
    (True, (2, 2))
    """
    low, high, shape = (0, low, high) if size is None else (low, high, size)
    if not all(isinstance(n, (int, np.integer)) for n in (low, high)):
        raise ArgumentError(
            f"randint expected whole numbers, got {low!r} and {high!r}. Write randint(low, high, size), or "
            "randint(high, size)."
        )
    low, high, dtype = int(low), int(high), storage_dtype(dtype)
    generator = default_generator if generator is None else generator
    if tracing.tracer is None:
        return _wrap(generator.integers(low, high, _checked(shape)).astype(dtype), backend, False)
    check_range(low, high)
    spread = rand(shape, backend, dtype="float64", generator=generator) * float(high - low)
    return (spread.to("int64") + low).to(dtype)


def zeros_like(input: Tensor, dtype: npt.DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Make zeros, in the shape, backend and (unless given) dtype of a tensor.

    Raises:
        DTypeError: it is no tensor.

    >>> zeros_like(tensor([[1.0, 2.0]])).tolist()
    [[0.0, 0.0]]
    """
    return zeros(require_tensor("zeros_like", input).shape, input.backend, requires_grad, dtype or input.dtype)


def ones_like(input: Tensor, dtype: npt.DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Make ones, in the shape, backend and (unless given) dtype of a tensor.

    Raises:
        DTypeError: it is no tensor.

    >>> ones_like(tensor([[1.0, 2.0]])).tolist()
    [[1.0, 1.0]]
    """
    return ones(require_tensor("ones_like", input).shape, input.backend, requires_grad, dtype or input.dtype)


def rand_like(
    input: Tensor,
    dtype: npt.DTypeLike | None = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """Draw from the uniform distribution on $[0, 1)$, in the shape, backend and (unless given) dtype of a tensor.

    Raises:
        DTypeError: it is no tensor, or its elements are whole numbers and no dtype is given.

    >>> rand_like(tensor([[1.0, 2.0]])).shape
    (1, 2)
    """
    return rand(require_tensor("rand_like", input).shape, input.backend, requires_grad, dtype or input.dtype, generator)


def randn_like(
    input: Tensor,
    dtype: npt.DTypeLike | None = None,
    requires_grad: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """Draw from the standard normal distribution, in the shape, backend and (unless given) dtype of a tensor.

    Raises:
        DTypeError: it is no tensor, or its elements are whole numbers and no dtype is given.

    >>> randn_like(tensor([[1.0, 2.0]])).shape
    (1, 2)
    """
    return randn(
        require_tensor("randn_like", input).shape, input.backend, requires_grad, dtype or input.dtype, generator
    )


def eye(
    n: int,
    m: int | None = None,
    backend: TensorBackend | None = None,
    requires_grad: bool = False,
    dtype: npt.DTypeLike | None = None,
) -> Tensor:
    """Make a matrix of ``n x m``, or ``n x n``, with ones on its diagonal and zeros elsewhere.

    >>> eye(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    rows, columns = _checked((n, n if m is None else m))
    return _wrap(np.eye(rows, columns, dtype=storage_dtype(dtype or default_dtype())), backend, requires_grad)


def full(
    shape: UserShape,
    fill_value: float,
    backend: TensorBackend | None = None,
    requires_grad: bool = False,
    dtype: npt.DTypeLike | None = None,
) -> Tensor:
    """Make a tensor that holds one number everywhere.

    >>> full((2, 2), 0.5).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    dtype = storage_dtype(dtype or default_dtype())
    if _is_stand_in(fill_value):
        filled = tracing.tracer.full(_checked(shape), fill_value, dtype, _checked_backend(backend))
        return _leaf(filled, requires_grad)
    (value,) = _numbers_only("full", fill_value)
    return _wrap(np.full(_checked(shape), value, dtype), backend, requires_grad)


def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    backend: TensorBackend | None = None,
    requires_grad: bool = False,
    dtype: npt.DTypeLike | None = None,
) -> Tensor:
    r"""Count from ``start`` towards ``end``, which is left out: $\lceil (end - start) / step \rceil$ numbers.

    Args:
        start: the first number; with one argument alone, that is the end, and the first number is 0.
        end: where to stop.
        step: from each number to the next; it may be negative.
        backend: what computes.
        requires_grad: record what is computed from it.
        dtype: int64 when left out and all three are integers, as in PyTorch, so that the numbers serve as indices;
            else the default dtype.

    Raises:
        ArgumentError: the step is 0 or leads away from the end, or a number is not finite.

    >>> arange(3).tolist(), arange(1, 2, 0.5).tolist()
    ([0, 1, 2], [1.0, 1.5])
    """
    numbers = _numbers_only("arange", *((0, start) if end is None else (start, end)), step)
    first, behind, by = numbers
    if not np.isfinite(numbers).all() or by == 0 or (behind - first) * by < 0:
        raise ArgumentError(
            f"arange expected finite numbers and a step that leads from start to end, got start {first}, end {behind}, "
            f"step {by}. Change the sign of the step, or exchange the two."
        )
    if dtype is None:
        dtype = np.int64 if all(isinstance(n, (int, np.integer)) for n in numbers) else default_dtype()
    return _wrap(np.arange(*numbers).astype(storage_dtype(dtype)), backend, requires_grad)


def linspace(
    start: float,
    end: float,
    steps: int,
    backend: TensorBackend | None = None,
    requires_grad: bool = False,
    dtype: npt.DTypeLike | None = None,
) -> Tensor:
    """Space numbers evenly from ``start`` to ``end``, both included.

    Args:
        start: the first number.
        end: the last.
        steps: how many numbers.
        backend: what computes.
        requires_grad: record what is computed from it.
        dtype: the default dtype when left out.

    Raises:
        ArgumentError: ``steps`` is not a whole number of 0 or more.

    >>> linspace(0, 1, 5).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    start, end = _numbers_only("linspace", start, end)
    if not isinstance(steps, (int, np.integer)) or steps < 0:
        raise ArgumentError(f"linspace expected a whole number of steps, 0 or more, got {steps!r}. Round it first.")
    return _wrap(np.linspace(start, end, steps).astype(storage_dtype(dtype or default_dtype())), backend, requires_grad)


def from_numpy(array: npt.NDArray[Any], backend: TensorBackend | None = None) -> Tensor:
    """Make a tensor that shares the memory of an array: what is written into one is seen in the other.

    The tensor has the array's dtype and strides. :func:`tensor` copies.

    Raises:
        DTypeError: it is no array, or its elements are of a type that tensors do not have.
        ArgumentError: the array cannot be written, or a stride of it is negative or not of whole elements.

    >>> array = np.zeros(2)
    >>> shared = from_numpy(array)
    >>> array[1] = 5.0
    >>> shared.tolist()
    [0.0, 5.0]
    """
    if tracing.tracer is not None and tracing.tracer.is_array(array):
        return tracing.tracer.on(array, _checked_backend(backend))
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"from_numpy expected a NumPy array, got {type(array).__name__}. tensor() takes lists.")
    dtype = storage_dtype(array.dtype)
    if not array.dtype.isnative or not array.flags.writeable or any(s < 0 or s % dtype.itemsize for s in array.strides):
        raise ArgumentError(
            f"from_numpy expected an array that can be written, of the processor's byte order and with strides of 0 or "
            f"more whole elements, got {array.dtype.str}, strides {array.strides}, writeable={array.flags.writeable}. "
            "Pass array.copy(), or tensor(array)."
        )
    backend = _checked_backend(backend)
    strides = tuple(s // dtype.itemsize for s in array.strides)
    reach = sum((n - 1) * s for n, s in zip(array.shape, strides, strict=True)) + 1 if array.size else 0
    flat = np.lib.stride_tricks.as_strided(array, (reach,), (dtype.itemsize,))
    return Tensor(TensorData.of(flat, array.shape, strides), backend=backend)


def _numbers_only(name: str, *numbers: Any) -> tuple[Any, ...]:
    """Check that arguments are numbers, which infinity and NaN are; give their values."""
    numbers = tuple(n._read() if _is_stand_in(n) else n for n in numbers)
    for n in numbers:
        if not isinstance(n, (int, float, np.number, np.bool_)):
            raise DTypeError(f"{name} expected numbers, got {type(n).__name__}. Read one from a tensor with item().")
    return numbers


def _is_stand_in(value: Any) -> bool:
    """Tell whether a number stands for another one in each call of a compiled step."""
    return hasattr(value, "as_operand")
