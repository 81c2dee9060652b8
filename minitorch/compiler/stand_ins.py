"""What stands for a value while a step is traced: tensors without numbers, numbers of which only the formula is fixed.

The library's own functions run on them as on any tensor and any number. Whoever asks a tensor for its numbers is
refused, and whoever asks a number for its value makes it a part of the program.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..tensor import Tensor
from ..tensor_data import TensorData
from .graph import Ref

if TYPE_CHECKING:
    from .trace import Tracer

__all__ = ["Number", "Stream", "TracedData"]


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


class Number:
    """A number of which only the formula is fixed: a learning rate, a step count, what is computed from them.

    Arithmetic gives further numbers. Comparing one, or asking for its value, makes a guard: the step is traced again
    when the value changes.
    """

    __slots__ = ("name", "tracer", "value")

    def __init__(self, tracer: Tracer, name: str, value: float) -> None:
        self.tracer, self.name, self.value = tracer, name, value

    def as_operand(self, like: Tensor) -> Tensor:
        """Give the number the dtype and backend of a tensor that it is combined with."""
        return self.tracer.number_operand(self, like)

    def _binary(self, other: Any, write: str, compute: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, Number):
            text, value = other.name, other.value
        elif isinstance(other, (int, float)):
            text, value = f"({other!r})", other
        else:
            return NotImplemented
        return self.tracer.host(write.format(self.name, text), compute(self.value, value))

    def __add__(self, other: Any) -> Any:
        return self._binary(other, "{0} + {1}", lambda a, b: a + b)

    def __radd__(self, other: Any) -> Any:
        return self._binary(other, "{1} + {0}", lambda a, b: b + a)

    def __sub__(self, other: Any) -> Any:
        return self._binary(other, "{0} - {1}", lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return self._binary(other, "{1} - {0}", lambda a, b: b - a)

    def __mul__(self, other: Any) -> Any:
        return self._binary(other, "{0} * {1}", lambda a, b: a * b)

    def __rmul__(self, other: Any) -> Any:
        return self._binary(other, "{1} * {0}", lambda a, b: b * a)

    def __truediv__(self, other: Any) -> Any:
        return self._binary(other, "{0} / {1}", lambda a, b: a / b)

    def __rtruediv__(self, other: Any) -> Any:
        return self._binary(other, "{1} / {0}", lambda a, b: b / a)

    def __pow__(self, other: Any) -> Any:
        return self._binary(other, "{0} ** {1}", lambda a, b: a**b)

    def __rpow__(self, other: Any) -> Any:
        return self._binary(other, "{1} ** {0}", lambda a, b: b**a)

    def __neg__(self) -> Number:
        return self.tracer.host(f"-{self.name}", -self.value)

    def _read(self) -> Any:
        return self.tracer.fix(self)

    def __float__(self) -> float:
        return float(self._read())

    def __int__(self) -> int:
        return int(self._read())

    def __index__(self) -> int:
        return self._read().__index__()

    def __bool__(self) -> bool:
        return bool(self._read())

    def __eq__(self, other: object) -> bool:
        return self._read() == (other._read() if isinstance(other, Number) else other)

    def __lt__(self, other: Any) -> bool:
        return self._read() < (other._read() if isinstance(other, Number) else other)

    def __le__(self, other: Any) -> bool:
        return self._read() <= (other._read() if isinstance(other, Number) else other)

    def __gt__(self, other: Any) -> bool:
        return self._read() > (other._read() if isinstance(other, Number) else other)

    def __ge__(self, other: Any) -> bool:
        return self._read() >= (other._read() if isinstance(other, Number) else other)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"Number({self.name} = {self.value!r})"


@dataclass(frozen=True)
class Stream:
    """Stands for a seed and a stream: number ``index`` of those that the step draws."""

    generator: int
    index: int
