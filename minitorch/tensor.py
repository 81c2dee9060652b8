r"""The tensor as the course has it: many numbers, and the memory of how they were made (course module 2).

Below this file everything is exact and neutral. The course's habits are all here:

========================  =======================================================================================
``t.log()``               $\ln(x + 10^{-6})$, so that a probability of zero gives a large loss and not infinity
``t.is_close(u)``         equal within 0.01
``t < u``, ``t != u``     1.0 or 0.0 in the dtype of the operands where these are floats, as of the other four
                          comparisons; truth values where they are whole numbers, as labels are
``t.sum(d)``, ``mean``    the reduced dimension stays, with size 1; over everything, the result has shape ``(1,)``;
                          ``keepdim=False`` drops it
``t[i, j]``               a full index gives a Python number; any other index a tensor
``t.requires_grad()``     a method
``t.size``                the number of elements
``dropout``               does not scale what it keeps (in :mod:`minitorch.nn`)
========================  =======================================================================================
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import numpy.typing as npt

from . import assignment, indexing, pointwise, probabilities, reductions, shaping, sorting
from .autodiff import Variable, backpropagate, enable_grad, grad_mode, no_grad
from .cells import tracing
from .dtypes import FLOATS, storage_dtype
from .errors import DTypeError, GraphError, ShapeError
from .function import History, count_writes
from .indexing import element_of, getitem
from .sorting import Ordered
from .tensor_data import TensorData, UserShape, UserStrides
from .tensor_functions import (
    EQ,
    LT,
    Add,
    All,
    Copy,
    Div,
    Exp,
    IsClose,
    Log,
    MatMul,
    Mul,
    Neg,
    Permute,
    ReLU,
    Sigmoid,
    Sum,
    Tanh,
    View,
    as_dims,
    sum_to_shape,
)
from .tensor_ops import SimpleBackend, TensorBackend

if TYPE_CHECKING:
    from .tensor_data import Shape, Storage, Strides

__all__ = ["History", "Tensor", "TensorLike"]

TensorLike = Union[float, int, "Tensor"]

_ids = itertools.count(1)

# What the course's Tensor.log adds to its argument.
LOG_EPS = 1e-6


def _require_fitting(number: Any, dtype: np.dtype[Any]) -> None:
    """Check that a number is one of a type that is no float.

    Raises:
        DTypeError: it is none.
    """
    if dtype.kind == "b" and not isinstance(number, (bool, np.bool_)):
        raise DTypeError(
            f'{number} is no truth value, and a tensor of bool meets it. Convert the tensor first: mask.to("int64"), '
            "or write True or False."
        )
    if not float(number).is_integer():
        raise DTypeError(
            f"{number} is no number of {dtype}, the type of the tensor that it meets: expected a whole one. Convert "
            'the tensor first: t.to("float32").'
        )


class Tensor:
    """An array of numbers on a backend, which can be differentiated.

    Args:
        v: the data.
        back: how it was made; None for a constant.
        name: a label for drawings; the unique id when left out.
        backend: what computes; the default backend when left out.

    Raises:
        DTypeError: the data are something else, such as a list, which :func:`minitorch.tensor` takes.

    >>> from minitorch.creation import tensor
    >>> x = tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([[2., 4.],
            [6., 8.]])
    """

    __slots__ = ("__weakref__", "_name", "_tensor", "backend", "grad", "history", "unique_id")
    # NumPy arrays on the left of an operator leave the operation to us.
    __array_ufunc__ = None

    def __init__(
        self,
        v: TensorData,
        back: History | None = None,
        name: str | None = None,
        backend: TensorBackend | None = None,
    ) -> None:
        if not isinstance(v, TensorData):
            raise DTypeError(
                f"Tensor expected TensorData, got {type(v).__name__}. minitorch.tensor([1.0, 2.0]) makes a tensor of "
                "numbers, and minitorch.zeros((2, 3)) one of a shape."
            )
        if backend is None:
            backend = SimpleBackend
        self._tensor = backend.ops.place(v) if backend.cuda else v
        self.history = back
        self.backend = backend
        self.grad: Tensor | None = None
        self.unique_id = next(_ids)
        self._name = name

    @staticmethod
    def make(
        storage: Storage | Sequence[float],
        shape: UserShape,
        strides: UserStrides | None = None,
        backend: TensorBackend | None = None,
    ) -> Tensor:
        """Make a tensor from a flat storage; see :class:`~minitorch.tensor_data.TensorData`."""
        return Tensor(TensorData(storage, shape, strides), backend=backend)

    def _new(self, data: TensorData) -> Tensor:
        """Wrap data as a constant on the same backend."""
        return Tensor(data, backend=self.backend)

    # --- what it is ------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each dimension."""
        return self._tensor.shape

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._tensor.size

    @property
    def dims(self) -> int:
        """The number of dimensions."""
        return self._tensor.dims

    @property
    def ndim(self) -> int:
        """The number of dimensions: :attr:`dims`, under NumPy's and PyTorch's name."""
        return self._tensor.dims

    def dim(self) -> int:
        """Count the dimensions: :attr:`dims`."""
        return self._tensor.dims

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the elements."""
        return self._tensor._storage.dtype

    @property
    def f(self) -> TensorBackend:
        """The backend, under the name that the course's functions use."""
        return self.backend

    @property
    def name(self) -> str:
        """A label for drawings."""
        return self._name if self._name is not None else str(self.unique_id)

    @name.setter
    def name(self, value: str) -> None:
        self._name = value

    def tuple(self) -> tuple[Storage, Shape, Strides]:
        """Give ``(storage, shape, strides)``, as the course's kernels take them."""
        return self._tensor.tuple()

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError(
                "expected at least one dimension to have a length, got shape (). Read the element with item()."
            )
        return self.shape[0]

    def __repr__(self) -> str:
        body = np.array2string(self._tensor.array, separator=", ", prefix="tensor(")
        notes = [body]
        if self.dtype != FLOATS[1]:
            notes.append(f"dtype={self.dtype}")
        if self.history is not None:
            last_fn = self.history.last_fn
            notes.append("requires_grad=True" if last_fn is None else f"made_by={last_fn.__name__}")
        return f"tensor({', '.join(notes)})"

    def __format__(self, spec: str) -> str:
        """Format the only element as a number: ``f"{loss:.2f}"``; without a format, what ``str`` gives."""
        return format(self.item(), spec) if spec else str(self)

    __hash__ = object.__hash__

    def __reduce__(self) -> Any:
        raise GraphError(
            "a tensor is not pickled: a file of ours is data, never code. Save t.to_numpy(), or a whole model's "
            "parameters with safetensors."
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        """Copy a constant or a leaf with its gradient, as a copy of a whole model asks for.

        Raises:
            GraphError: the tensor was computed; what it was computed from would not be copied along.
        """
        if self.history is not None and self.history.last_fn is not None:
            raise GraphError(
                "a tensor that was computed is not copied by copy.deepcopy: its history would stay with the old one. "
                "Keep t.detach() there, or write t.clone(), through which gradients pass."
            )
        made = self.detach().clone()
        made.history, made._name = None if self.history is None else History(), self._name
        made.grad = copy.deepcopy(self.grad, memo)
        return made

    # --- reading and writing elements ------------------------------------------------------------------------

    def item(self) -> float:
        """Read the only element as a Python number.

        Raises:
            ShapeError: there is not exactly one.
        """
        if self.size != 1:
            raise ShapeError(
                f"item() reads a tensor of one element, got shape {self.shape}. Index it, or reduce it first."
            )
        return self._tensor.get((0,) * self.dims)

    def __getitem__(self, key: Any) -> Any:
        """Read a part: ``t[1:3, ::2]``, ``t[mask]``, ``t[[0, 2]]``, ``t[..., None]``; see :mod:`minitorch.indexing`.

        With a number for every dimension, ``t[i, j]`` is a Python number. Below zero an index counts from the end.
        """
        element = element_of(self.shape, key)
        return getitem(self, key) if element is None else self._tensor.get(element)

    def __setitem__(self, key: Any, val: TensorLike) -> None:
        """Write into a part: ``t[i, j] = v``, ``t[:, 1] = 0``, ``t[mask] = 0``; see :mod:`minitorch.assignment`."""
        assignment.setitem(self, key, val)

    def __iter__(self) -> Iterator[float]:
        if self.dims != 1:
            raise ShapeError(
                f"only a tensor of one dimension can be iterated over, got shape {self.shape}. Use tolist(), or "
                "index each part: t[i] for i in range(len(t))."
            )
        return iter(self.to_numpy().tolist())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        """Read the only element as the index of a list: ``names[label]``.

        Raises:
            DTypeError: the elements are floats.
            ShapeError: there is not exactly one.
        """
        if self.dtype.kind == "f":
            raise DTypeError(
                f'an index has whole numbers, got a tensor of {self.dtype}. Convert it first: t.to("int64").'
            )
        return int(self.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ShapeError(
                f"the truth of a tensor of shape {self.shape} is ambiguous: reduce it first, for example with all(), "
                "or write (x > 0) & (x < 1) in the place of 0 < x < 1 and of `and`"
            )
        return bool(self.item())

    def to_numpy(self) -> npt.NDArray[Any]:
        """Give the elements as a NumPy array; it may share the memory, so copy it before writing."""
        return self._tensor.array

    def numpy(self) -> npt.NDArray[Any]:
        """Do what :meth:`to_numpy` does, under PyTorch's name; a tensor that is recorded gives its elements too."""
        return self.to_numpy()

    def numel(self) -> int:
        """Count the elements: :attr:`size`."""
        return self.size

    def tolist(self) -> Any:
        """Give the elements as nested lists."""
        return self.to_numpy().tolist()

    # --- recording -------------------------------------------------------------------------------------------

    def requires_grad_(self, x: bool = True) -> Tensor:
        """Turn the recording of what is computed from this tensor on or off; the tensor becomes a leaf.

        Raises:
            DTypeError: the elements are integers or truth values, which have no derivative.
            GraphError: switching off a tensor that was computed; ``detach`` gives a constant copy of it.
        """
        if x and self.dtype not in FLOATS:
            raise DTypeError(
                f'only float32 and float64 tensors have gradients, got {self.dtype}. Convert it first: t.to("float32").'
            )
        if self.history is not None and self.history.last_fn is not None:
            if not x:
                raise GraphError("cannot switch recording off for a tensor that was computed: use t.detach()")
            return self
        self.history = History() if x else None
        return self

    def requires_grad(self) -> bool:
        """Tell whether computations with this tensor are recorded."""
        return self.history is not None

    def detach(self) -> Tensor:
        """Give the same data as a constant."""
        return self._new(self._tensor)

    @property
    def data(self) -> Tensor:
        """The same data as a constant: :meth:`detach`, under PyTorch's older name. It is read, and not set."""
        return self.detach()

    def zero_grad_(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def backward(
        self, grad_output: Tensor | None = None, retain_graph: bool | None = None, create_graph: bool = False
    ) -> None:
        """Compute the gradient of every leaf that this tensor depends on, and add it to the leaf's ``grad``.

        The recorded graph is freed on the way, so a second call raises, unless ``retain_graph`` keeps it.

        Args:
            grad_output: the gradient of the final quantity with respect to this tensor; 1 when this is a scalar.
            retain_graph: keep the graph for another pass; by default only together with ``create_graph``.
            create_graph: record the backward pass too, so that gradients can be differentiated.

        Raises:
            GraphError: nothing was recorded, the graph was freed, or a recorded tensor was written to.
            ShapeError: there is more than one element and no ``grad_output``, or it has another shape.
        """
        if self.history is None:
            raise GraphError(
                "backward() needs a result that depends on a tensor with requires_grad. Set requires_grad=True on an "
                "input, and check that it was not computed under no_grad() or cut off by detach()."
            )
        if grad_output is None:
            if self.size != 1:
                raise ShapeError(
                    f"backward() without an argument starts from a single number, got shape {self.shape}. Reduce it "
                    "with sum() or mean(), or pass the gradient."
                )
            grad_output = self._new(TensorData(np.ones(1, self.dtype), self.shape))
        grad_output = self._ensure_tensor(grad_output)
        if grad_output.shape != self.shape:
            raise ShapeError(
                f"expected a gradient of shape {self.shape}, got {grad_output.shape}. Give one number for each element."
            )
        keep = create_graph if retain_graph is None else retain_graph
        with enable_grad() if create_graph else no_grad():
            backpropagate(self, grad_output, retain_graph=keep)

    # The contract of autodiff.Variable.

    def is_leaf(self) -> bool:
        """Tell whether a user made this tensor and wants its gradient."""
        return self.history is not None and self.history.last_fn is None

    def is_constant(self) -> bool:
        """Tell whether nothing is recorded."""
        return self.history is None

    @property
    def parents(self) -> list[Variable]:
        """The tensors that this one was computed from."""
        assert self.history is not None
        return [x for x in self.history.inputs if isinstance(x, Tensor)]

    def accumulate_derivative(self, x: Tensor) -> None:
        """Add ``x`` to the gradient of this leaf."""
        assert self.is_leaf(), "only leaves keep a gradient"
        self.grad = x if self.grad is None else self.grad + x

    def chain_rule(self, d_output: Tensor) -> list[tuple[Tensor, Tensor | None]]:
        """Pair each tensor that this one was computed from with its gradient."""
        history = self.history
        assert history is not None
        assert history.last_fn is not None
        name, ctx = history.last_fn.__name__, history.ctx
        if ctx is None:
            raise GraphError(
                getattr(history.last_fn, "without_graph", None)
                or f"the graph behind this tensor (made by {name}) was freed by an earlier backward(). Call the first "
                "one with retain_graph=True, or compute the result again."
            )
        inputs = [(i, x) for i, x in enumerate(history.inputs) if isinstance(x, Tensor)]
        if count_writes(history.inputs) + self._tensor._version[0] != history.version:
            raise GraphError(
                f"an element of a tensor that {name} used was written after {name} ran, so its gradient would be "
                "wrong. Write into a copy instead."
            )
        ctx.output = self
        try:
            gradients = history.last_fn._backward(ctx, d_output)
        finally:
            ctx.output = None
        if len(gradients) > len(history.inputs):
            raise GraphError(
                f"{name}.backward returned {len(gradients)} gradients for {len(history.inputs)} inputs: expected at "
                "most one for each. Return them in the order of forward's inputs."
            )
        pairs = []
        for i, x in inputs:
            gradient = gradients[i] if i < len(gradients) else None
            if gradient is not None and x.history is not None:
                gradient = sum_to_shape(x._ensure_tensor(gradient), x.shape)
            pairs.append((x, gradient))
        return pairs

    def release_graph(self) -> None:
        """Forget the inputs and what was saved, and remember only that there was a function."""
        assert self.history is not None
        self.history = History(self.history.last_fn)

    # --- arithmetic ------------------------------------------------------------------------------------------

    def _ensure_tensor(self, b: Any) -> Tensor:
        """Give a number the backend and dtype of this tensor."""
        if type(b) is Tensor or issubclass(type(b), Tensor):  # isinstance would ask a stand-in for its class
            return b
        if hasattr(b, "as_operand"):  # a number that stands for another one in each call of a compiled step
            return b.as_operand(self)
        if isinstance(b, (int, float, np.number, np.bool_)):
            if self.dtype.kind != "f":
                _require_fitting(b, self.dtype)
            shape = (1,) if self.dims else ()
            return self._new(TensorData.of(np.array([b], self.dtype), shape, shape))
        raise DTypeError(
            f"expected a tensor or a number, got {type(b).__name__}. Make a tensor of it first: minitorch.tensor(...)."
        )

    def _compared(self, b: TensorLike) -> Tensor:
        """Give what is compared with this tensor its backend and dtype; 1 and 0 stand for true and false."""
        if self._tensor._storage.dtype.kind == "b" and isinstance(b, (int, float, np.number)) and b in (0, 1):
            b = bool(b)
        return self._ensure_tensor(b)

    def _real(self, what: str) -> Tensor:
        """Check that ``what`` this tensor is asked for, which is seldom a whole number, can be stored."""
        if self.dtype.kind != "f":
            raise DTypeError(
                f'expected float32 or float64 for {what}, got {self.dtype}. Convert it first: t.to("float32").'
            )
        return self

    def __add__(self, b: TensorLike) -> Tensor:
        return Add.apply(self, self._ensure_tensor(b))

    add = __add__

    def __radd__(self, b: TensorLike) -> Tensor:
        return Add.apply(self._ensure_tensor(b), self)

    def __sub__(self, b: TensorLike) -> Tensor:
        return Add.apply(self, Neg.apply(self._ensure_tensor(b)))

    sub = __sub__

    def __rsub__(self, b: TensorLike) -> Tensor:
        return Add.apply(self._ensure_tensor(b), Neg.apply(self))

    def __mul__(self, b: TensorLike) -> Tensor:
        return Mul.apply(self, self._ensure_tensor(b))

    mul = __mul__

    def __rmul__(self, b: TensorLike) -> Tensor:
        return Mul.apply(self._ensure_tensor(b), self)

    def __truediv__(self, b: TensorLike) -> Tensor:
        return Div.apply(self._real("a quotient"), self._ensure_tensor(b))

    div = __truediv__

    def __rtruediv__(self, b: TensorLike) -> Tensor:
        return Div.apply(self._ensure_tensor(b), self._real("a quotient"))

    def __matmul__(self, b: Tensor) -> Tensor:
        """Multiply matrices ``... x m x k`` and ``... x k x n`` (course module 3)."""
        return MatMul.apply(self, self._ensure_tensor(b))

    matmul = mm = __matmul__

    def __neg__(self) -> Tensor:
        return Neg.apply(self)

    neg = __neg__

    def __lt__(self, b: TensorLike) -> Tensor:  # type: ignore[override]
        return LT.apply(self, self._compared(b))

    def __gt__(self, b: TensorLike) -> Tensor:  # type: ignore[override]
        return LT.apply(self._compared(b), self)

    # Not the opposites of these two: where an operand is NaN, none of the four holds.

    def __le__(self, b: TensorLike) -> Tensor:  # type: ignore[override]
        b = self._compared(b)
        return Add.apply(LT.apply(self, b), EQ.apply(self, b))

    def __ge__(self, b: TensorLike) -> Tensor:  # type: ignore[override]
        b = self._compared(b)
        return Add.apply(LT.apply(b, self), EQ.apply(self, b))

    def __eq__(self, b: TensorLike) -> Tensor:  # type: ignore[override]
        return EQ.apply(self, self._compared(b))

    def __ne__(self, b: TensorLike) -> Tensor:  # type: ignore[override]
        equal = EQ.apply(self, self._compared(b))
        return EQ.apply(equal, equal._ensure_tensor(False))

    # As methods, under PyTorch's names.
    lt, gt, le, ge, eq, ne = __lt__, __gt__, __le__, __ge__, __eq__, __ne__

    def __and__(self, b: Tensor | bool) -> Tensor:
        return pointwise.both(self, self._ensure_tensor(b))

    __rand__ = __and__

    def __or__(self, b: Tensor | bool) -> Tensor:
        return pointwise.either(self, self._ensure_tensor(b))

    __ror__ = __or__

    def __invert__(self) -> Tensor:
        return pointwise.opposite(self)

    def is_close(self, b: TensorLike) -> Tensor:
        """Compare within 0.01, the course's tolerance: 1.0 or 0.0."""
        return IsClose.apply(self, self._ensure_tensor(b))

    def exp(self) -> Tensor:
        """$e^x$."""
        return Exp.apply(self._real("exp"))

    def log(self) -> Tensor:
        r"""$\ln(x + 10^{-6})$, as the course defines it."""
        return Log.apply(Add.apply(self._real("log"), self._ensure_tensor(LOG_EPS)))

    def sigmoid(self) -> Tensor:
        r"""$1 / (1 + e^{-x})$."""
        return Sigmoid.apply(self._real("sigmoid"))

    def tanh(self) -> Tensor:
        r"""$\tanh x$."""
        return Tanh.apply(self._real("tanh"))

    def softmax(self, dim: int | Tensor) -> Tensor:
        """Turn numbers into probabilities along a dimension; see :func:`minitorch.softmax`."""
        return probabilities.softmax(self, dim)

    def log_softmax(self, dim: int | Tensor) -> Tensor:
        """Compute the logarithm of the softmax; see :func:`minitorch.logsoftmax`."""
        return probabilities.logsoftmax(self, dim)

    def relu(self) -> Tensor:
        r"""$\max(x, 0)$."""
        return ReLU.apply(self)

    def sqrt(self) -> Tensor:
        r"""$\sqrt{x}$."""
        return pointwise.sqrt(self)

    def abs(self) -> Tensor:
        """$|x|$."""
        return pointwise.abs(self)

    __abs__ = abs

    def pow(self, exponent: TensorLike) -> Tensor:
        """$x^y$; see :func:`minitorch.pow`."""
        return pointwise.pow(self, exponent)

    __pow__ = pow

    def __rpow__(self, base: TensorLike) -> Tensor:
        return pointwise.pow(base, self)

    def clip(self, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
        """Replace what is below ``min`` or above ``max`` by these; see :func:`minitorch.clip`."""
        return pointwise.clip(self, min, max)

    clamp = clip

    # --- reductions ------------------------------------------------------------------------------------------

    def sum(self, dim: Any = None, keepdim: bool = True) -> Tensor:
        """Add up along ``dim``, which keeps size 1; over everything, with shape ``(1,)``, when it is None.

        With ``keepdim=False`` that dimension goes, as in PyTorch; over everything, the shape is ``()``.
        Truth values are counted: the sum is the number of those that are true, int64.
        """
        # Here a dimension given as a tensor becomes a number, so that it may be of any backend and dtype.
        kept = Sum.apply(self, None, (1,)) if dim is None else Sum.apply(self, as_dims(dim, self.shape))
        return kept if keepdim else shaping.squeeze(kept, dim)

    def mean(self, dim: Any = None, keepdim: bool = True) -> Tensor:
        """Average along ``dim``, which keeps size 1; over everything, with shape ``(1,)``, when it is None.

        With ``keepdim=False`` that dimension goes, as in PyTorch; over everything, the shape is ``()``.

        Raises:
            DTypeError: the elements are not float32 or float64. A comparison of integers gives truth values:
                ``(a == b).to("float32").mean()`` is the share of them that are equal.
            ShapeError: there is nothing to average.
        """
        self._real("a mean")
        count = 1
        for d in as_dims(dim, self.shape):
            count *= self.shape[d]
        if count == 0:
            raise ShapeError(
                f"expected elements to average, got none: shape {self.shape}, dimension {dim}. Check that the "
                "batch is not empty."
            )
        return self.sum(dim, keepdim) * (1.0 / count)

    def all(self, dim: Any = None) -> Tensor:
        """Tell whether every element along ``dim`` is 1: 1.0 or 0.0; of whole numbers whether none is 0, as bool."""
        if self.dtype.kind != "f":
            return ~(self == 0).any(dim)
        return All.apply(self, None if dim is None else as_dims(dim, self.shape))

    def any(self, dim: Any = None) -> Tensor:
        """Tell whether an element along ``dim`` is not 0: 1.0 or 0.0; of whole numbers as bool. No gradient."""
        with no_grad():
            return (self != 0).sum(dim) != 0

    def max(self, dim: int | None = None, keepdim: bool = True) -> Tensor:
        """Take the largest element along ``dim``, which keeps size 1, or of all; see :func:`minitorch.nn.max`."""
        return reductions.max(self, dim, keepdim)

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """Find where the largest element along ``dim`` stands, int64, as PyTorch does.

        See :func:`minitorch.reductions.argmax`; :func:`minitorch.argmax` is the course's mask.
        """
        return reductions.argmax(self, dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        """Find where the smallest element along ``dim`` stands, int64; see :func:`minitorch.reductions.argmin`."""
        return reductions.argmin(self, dim, keepdim)

    def min(self, dim: int | None = None, keepdim: bool = True) -> Tensor:
        """Take the smallest element along ``dim``, which keeps size 1, or of all; see :func:`minitorch.min`."""
        return reductions.min(self, dim, keepdim)

    def var(
        self,
        dim: int | Sequence[int] | None = None,
        correction: int = 1,
        keepdim: bool = True,
        unbiased: bool | None = None,
    ) -> Tensor:
        """Compute the variance along ``dim``, which keeps size 1, or of all; see :func:`minitorch.var`."""
        return reductions.var(self, dim, correction, keepdim, unbiased)

    def std(
        self,
        dim: int | Sequence[int] | None = None,
        correction: int = 1,
        keepdim: bool = True,
        unbiased: bool | None = None,
    ) -> Tensor:
        """Compute the standard deviation; see :func:`minitorch.std`."""
        return reductions.std(self, dim, correction, keepdim, unbiased)

    # --- order and places ------------------------------------------------------------------------------------

    def sort(self, dim: int = -1, descending: bool = False) -> Ordered:
        """Sort along ``dim``: ``(values, indices)``; see :func:`minitorch.sort`."""
        return sorting.sort(self, dim, descending)

    def argsort(self, dim: int = -1, descending: bool = False) -> Tensor:
        """Give the positions along ``dim`` in the order of what stands there; see :func:`minitorch.argsort`."""
        return sorting.argsort(self, dim, descending)

    def topk(self, k: int, dim: int = -1, largest: bool = True) -> Ordered:
        """Find the ``k`` largest along ``dim``: ``(values, indices)``; see :func:`minitorch.topk`."""
        return sorting.topk(self, k, dim, largest)

    def gather(self, dim: int, index: Tensor) -> Tensor:
        """Read along ``dim`` at the places of ``index``; see :func:`minitorch.gather`."""
        return indexing.gather(self, dim, index)

    def scatter(self, dim: int, index: Tensor, src: TensorLike) -> Tensor:
        """Write along ``dim`` of a copy at the places of ``index``; see :func:`minitorch.scatter`."""
        return indexing.scatter(self, dim, index, src)

    def scatter_add(self, dim: int, index: Tensor, src: TensorLike) -> Tensor:
        """Add along ``dim`` of a copy at the places of ``index``; see :func:`minitorch.scatter_add`."""
        return indexing.scatter_add(self, dim, index, src)

    # --- layout ----------------------------------------------------------------------------------------------

    def clone(self) -> Tensor:
        """Copy the elements into memory of their own; see :func:`minitorch.clone`."""
        return shaping.clone(self)

    def squeeze(self, dim: int | Sequence[int] | None = None) -> Tensor:
        """Drop dimensions of size 1; see :func:`minitorch.squeeze`."""
        return shaping.squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        """Insert a dimension of size 1; see :func:`minitorch.unsqueeze`."""
        return shaping.unsqueeze(self, dim)

    def reshape(self, *shape: Any) -> Tensor:
        """Regroup the elements into another shape, copying where it has to be; see :func:`minitorch.reshape`."""
        return shaping.reshape(self, *shape)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """Join dimensions into one; see :func:`minitorch.flatten`."""
        return shaping.flatten(self, start_dim, end_dim)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Exchange two dimensions; see :func:`minitorch.transpose`."""
        return shaping.transpose(self, dim0, dim1)

    @property
    def T(self) -> Tensor:
        """The matrix with rows and columns exchanged. No element moves.

        Raises:
            ShapeError: there are more than two dimensions.
        """
        if self.dims > 2:
            raise ShapeError(
                f"expected a matrix to exchange rows and columns of, got shape {self.shape}. Say which two dimensions: "
                "transpose(-2, -1)."
            )
        return Permute.apply(self, tuple(reversed(range(self.dims))))

    def t(self) -> Tensor:
        """Exchange rows and columns of a matrix, as :attr:`T` does."""
        return self.T

    def split(self, split_size: int | Sequence[int], dim: int = 0) -> Sequence[Tensor]:
        """Cut into pieces along ``dim``; see :func:`minitorch.split`."""
        return shaping.split(self, split_size, dim)

    def permute(self, *order: int) -> Tensor:
        """Reorder the dimensions: new dimension ``i`` is old dimension ``order[i]``. No element moves."""
        return Permute.apply(self, order)

    def view(self, *shape: int) -> Tensor:
        """Regroup contiguous elements into another shape; one size may be -1. No element moves.

        Raises:
            ShapeError: the tensor is not contiguous, or the number of elements differs.
        """
        return View.apply(self, shape)

    def contiguous(self) -> Tensor:
        """Give the same elements in row-major order: this tensor itself when they are so already."""
        return self if self._tensor.is_contiguous() else Copy.apply(self)

    def expand(self, other: Any, *sizes: int) -> Tensor:
        """Repeat dimensions of size 1 to reach sizes, ``t.expand(2, -1)``; see :func:`minitorch.broadcast_to`.

        With a tensor, a gradient, this is the course's: give it the shape of this one, by summing what was broadcast
        and repeating what was reduced.
        """
        if isinstance(other, Tensor):
            return sum_to_shape(other, self.shape)
        return shaping.broadcast_to(self, other, *sizes)

    def zeros(self, shape: UserShape | None = None) -> Tensor:
        """Make zeros of this dtype and backend, of this shape unless another is given."""
        data = TensorData.empty(self.shape if shape is None else shape, self.dtype)
        data._storage[:] = 0
        return self._new(data)

    def to(self, target: Any) -> Tensor:
        """Move to another backend, or convert to another dtype, as a constant or leaf of the same kind.

        Between the computer's memory and the GPU's the elements are copied.

        Args:
            target: a :class:`~minitorch.tensor_ops.TensorBackend`, or a dtype such as ``"float32"``.

        Raises:
            GraphError: the tensor was computed and is recorded; detach it first.
        """
        if self.history is not None and self.history.last_fn is not None and grad_mode.enabled:
            raise GraphError("to() does not carry gradients: convert the inputs, or write t.detach().to(...)")
        if isinstance(target, TensorBackend):
            moved = Tensor(target.ops.place(self._tensor), backend=target)
        else:
            (given,) = (self,) if tracing.tracer is None else tracing.tracer.lift((self,))
            moved = given.backend.ops.convert(given, storage_dtype(target))
        return moved.requires_grad_(self.requires_grad())

    def _type_(self, backend: TensorBackend) -> None:
        """Move this tensor itself to another backend, under the course's name; :meth:`to` gives another tensor."""
        moved = self.to(backend)
        self._tensor, self.backend = moved._tensor, moved.backend

    # PyTorch's names of conversions. Last, because they hide the names of Python's types from what follows.

    def float(self) -> Tensor:
        """Convert to float32; see :meth:`to`. A tensor of that dtype is given as it is, with its gradients."""
        return self if self.dtype == FLOATS[0] else self.to(FLOATS[0])

    def double(self) -> Tensor:
        """Convert to float64; see :meth:`to`. A tensor of that dtype is given as it is, with its gradients."""
        return self if self.dtype == FLOATS[1] else self.to(FLOATS[1])

    def long(self) -> Tensor:
        """Convert to int64, as a constant: whole numbers have no gradients."""
        return self if self.dtype == np.int64 else self.detach().to(np.int64)
