"""What stands for a value while a step is traced: tensors without numbers, numbers of which only the formula is fixed.

The library's own functions run on them as on any tensor and any number. Whoever asks a tensor for its numbers is
refused, and whoever asks a number for its value makes it a part of the program.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ...tensor import Tensor
from ...tensor_data import TensorData
from ..graph import Ref

if TYPE_CHECKING:
    from .tracer import Tracer

__all__ = ["Number", "Stream", "TracedArray", "TracedData"]


class _NoStorage:
    """Stands where a storage would be: it has a dtype and nothing to read."""

    __slots__ = ("dtype", "itemsize", "size", "tracer")

    def __init__(self, tracer: Tracer, dtype: np.dtype[Any], size: int) -> None:
        self.tracer, self.dtype, self.size, self.itemsize = tracer, dtype, size, dtype.itemsize

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        self.tracer.refuse_reading()

    __array__ = __getitem__ = __setitem__ = __len__ = __iter__ = _refuse


class TracedData(TensorData):
    """The data of a traced tensor: a walk through a node."""

    __slots__ = ("ref", "tracer")

    def __init__(self, ref: Ref, tracer: Tracer) -> None:
        self.ref, self.tracer = ref, tracer
        self._set(_NoStorage(tracer, ref.dtype, ref.size), ref.shape, ref.strides)  # type: ignore[arg-type]

    def _walk(self, shape: tuple[int, ...], strides: tuple[int, ...], start: int = 0) -> TensorData:
        walked = TracedData(Ref(self.ref.node, shape, strides, self.ref.start + start), self.tracer)
        walked._version = self._version
        return walked

    def _refuse(self, *_: object) -> NoReturn:
        self.tracer.refuse_reading()

    array = property(_refuse)  # type: ignore[assignment]
    flat = get = set = tuple = _refuse  # type: ignore[assignment]


class TracedArray(Tensor):
    """Stands for a NumPy array among the arguments: ``isinstance`` finds that it is one."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        return np.ndarray


def _arithmetic(text: str, compute: Callable[[Any, Any], Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Make the methods of an operator: of the number on its left, and of the one on its right."""

    def forward(self: Number, other: Any) -> Any:
        return self._combined(other, text, compute)

    def backward(self: Number, other: Any) -> Any:
        return self._combined(other, text.format("{1}", "{0}"), lambda a, b: compute(b, a))

    return forward, backward


def _comparison(text: str, compute: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Make the method of a comparison, whose answer is guarded."""

    def compare(self: Number, other: Any) -> Any:
        answer = self._combined(other, text, compute)
        return answer._read() if type(answer) is Number else answer

    return compare


class Number:
    """A number of which only the formula is fixed: a learning rate, a step count, what is computed from them.

    Arithmetic gives further numbers. Comparing one makes a guard of the answer, and asking for its type one of the
    type. Whatever else asks for its value makes one of the value. The step is traced again when one of them changes.
    """

    __slots__ = ("_name", "_tracer", "_value")

    def __init__(self, tracer: Tracer, name: str, value: float) -> None:
        self._tracer, self._name, self._value = tracer, name, value

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        """The type of the number that is meant: ``isinstance(n, float)`` is answered as for that one."""
        self._tracer.fix_type(self)
        return type(self._value)

    def as_operand(self, like: Tensor) -> Tensor:
        """Give the number the dtype and backend of a tensor that it is combined with."""
        if like.dtype.kind != "f":  # which takes whole numbers alone
            return like._ensure_tensor(self._read())
        return self._tracer.number_operand(self, like)

    def _read(self) -> Any:
        return self._tracer.fix(self)

    def _combined(self, other: Any, text: str, compute: Callable[[Any, Any], Any]) -> Any:
        if type(other) is Number:
            operand, value = other._name, other._value
        elif type(other) in (int, float, bool):
            operand, value = f"({other!r})", other
        elif type(other) is np.float64:
            operand, value = f"float64({float(other)!r})", other
        elif isinstance(other, Tensor):
            return NotImplemented
        else:
            return compute(self._read(), other)
        return self._tracer.host(text.format(self._name, operand), compute(self._value, value))

    __add__, __radd__ = _arithmetic("{0} + {1}", operator.add)
    __sub__, __rsub__ = _arithmetic("{0} - {1}", operator.sub)
    __mul__, __rmul__ = _arithmetic("{0} * {1}", operator.mul)
    __truediv__, __rtruediv__ = _arithmetic("{0} / {1}", operator.truediv)
    __floordiv__, __rfloordiv__ = _arithmetic("{0} // {1}", operator.floordiv)
    __mod__, __rmod__ = _arithmetic("{0} % {1}", operator.mod)
    __pow__, __rpow__ = _arithmetic("{0} ** {1}", operator.pow)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __neg__(self) -> Number:
        return self._tracer.host(f"-{self._name}", -self._value)

    def __pos__(self) -> Number:
        return self._tracer.host(f"+{self._name}", +self._value)

    def __abs__(self) -> Number:
        return self._tracer.host(f"abs({self._name})", abs(self._value))

    def __round__(self, digits: Any = None) -> Number:
        digits = None if digits is None else operator.index(digits)
        return self._tracer.host(f"round({self._name}, {digits})", round(self._value, digits))

    __eq__ = _comparison("{0} == {1}", operator.eq)
    __ne__ = _comparison("{0} != {1}", operator.ne)
    __lt__ = _comparison("{0} < {1}", operator.lt)
    __le__ = _comparison("{0} <= {1}", operator.le)
    __gt__ = _comparison("{0} > {1}", operator.gt)
    __ge__ = _comparison("{0} >= {1}", operator.ge)

    def __bool__(self) -> bool:
        return self._tracer.host(f"bool({self._name})", bool(self._value))._read()

    def __hash__(self) -> int:
        return hash(self._read())

    def __float__(self) -> float:
        return float(self._read())

    def __int__(self) -> int:
        return int(self._read())

    def __trunc__(self) -> int:
        return math.trunc(self._read())

    def __index__(self) -> int:
        return operator.index(self._read())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self._read(), dtype)

    def __array_ufunc__(self, function: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        values = [x._read() if type(x) is Number else x for x in inputs]
        return getattr(function, method)(*values, **options)

    def __getattr__(self, name: str) -> Any:
        kind = type(self._value) if name.startswith("_") else self.__class__
        if not hasattr(kind, name):
            raise AttributeError(f"{type(self._value).__name__!r} object has no attribute {name!r}")
        return getattr(self._read(), name)

    def __reduce__(self) -> Any:
        return type(self._value), (self._read(),)

    def __str__(self) -> str:
        return str(self._read())

    def __format__(self, form: str) -> str:
        return format(self._read(), form)

    def __repr__(self) -> str:
        return repr(self._read()) if self._tracer.open else f"Number({self._name} = {self._value!r})"


@dataclass(frozen=True)
class Stream:
    """Stands for a seed and a stream: number ``index`` of those that the step draws."""

    generator: int
    index: int
