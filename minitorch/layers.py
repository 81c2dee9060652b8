r"""Layers: modules with PyTorch's names and meanings, to build networks from.

Parameters have PyTorch's names and shapes too, so that a state dict of one fits the other. Arguments that choose a
dtype or a backend mean the defaults when they are left out.

>>> from minitorch.creation import ones
>>> network = Sequential(Flatten(), Linear(4, 8), ReLU(), Linear(8, 2), LogSoftmax(1))
>>> network(ones((3, 2, 2))).shape
(3, 2)
>>> [(name, p.value.shape) for name, p in network.named_parameters()]
[('1.weight', (8, 4)), ('1.bias', (8,)), ('3.weight', (2, 8)), ('3.bias', (2,))]
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from .autodiff import Context
from .cells import tracing
from .convolution import AvgPool2d, Conv1d, Conv2d, MaxPool1d, MaxPool2d
from .errors import ArgumentError, DataError, DTypeError, IndexingError, ShapeError
from .init import kaiming_uniform, uniform
from .module import Module, Parameter
from .nn import Dropout as DropoutFunction
from .nn import check_rate, logsoftmax, softmax
from .random import default_generator
from .tensor import Tensor
from .tensor_data import TensorData
from .tensor_functions import Add, Exp, Function, Index, MatMul, Mul, Neg, Permute, Take, View, not_a_tensor
from .tensor_functions import ReLU as ReLUFunction
from .tensor_functions import Sigmoid as SigmoidFunction
from .tensor_ops import TensorBackend

__all__ = [
    "GELU",
    "AvgPool2d",
    "Conv1d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "Identity",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool1d",
    "MaxPool2d",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "embedding",
    "linear",
]

# --- linear --------------------------------------------------------------------------------------------------


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute $x W^T + b$.

    Args:
        input: ``* x in_features``, with any dimensions before.
        weight: ``out_features x in_features``.
        bias: ``out_features``.

    Returns:
        ``* x out_features``.

    Raises:
        ShapeError: the last size of the input is not ``in_features``.

    >>> from minitorch.creation import tensor
    >>> linear(tensor([1.0, 2.0]), tensor([[3.0, 4.0]]), tensor([5.0])).tolist()
    [16.0]
    """
    features = weight.shape[1]
    if not isinstance(input, Tensor):
        raise not_a_tensor("a linear layer", input)
    if input.dims == 0 or input.shape[-1] != features:
        raise ShapeError(
            f"this linear layer takes {features} features, the last size of its input; got shape {input.shape}. Put a "
            f"Flatten before it, or make it with in_features={input.shape[-1] if input.dims else 1}."
        )
    rows = input
    if input.dims != 2:  # one matrix product, whatever the dimensions before
        rows = View.apply(input.contiguous(), (math.prod(input.shape[:-1]), features))
    out = MatMul.apply(rows, Permute.apply(weight, (1, 0)))
    if bias is not None:
        out = Add.apply(out, bias)
    return out if input.dims == 2 else View.apply(out, (*input.shape[:-1], weight.shape[0]))


class Linear(Module):
    r"""A linear map and an offset, $x W^T + b$, with ``weight`` as ``out_features x in_features`` and ``bias``.

    Both are drawn uniformly from $\pm 1 / \sqrt{\text{in\_features}}$, as in PyTorch.

    Args:
        in_features: the last size of the input.
        out_features: the last size of the output.
        bias: learn an offset too; without it ``bias`` is None.
        dtype: of the parameters.
        backend: what computes.

    Raises:
        ArgumentError: there are no features.

    >>> from minitorch.creation import ones
    >>> Linear(3, 2)(ones((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        dtype: npt.DTypeLike | None = None,
        backend: TensorBackend | None = None,
    ) -> None:
        super().__init__()
        if in_features < 1 or out_features < 1:
            raise ArgumentError(
                f"expected at least one feature on each side, got {in_features} and {out_features}. Check the sizes "
                "that these come from."
            )
        self.in_features, self.out_features = in_features, out_features
        shape = (out_features, in_features)
        self.weight = Parameter(kaiming_uniform(shape, math.sqrt(5.0), dtype=dtype, backend=backend))
        bound = 1.0 / math.sqrt(in_features)
        self.bias = Parameter(uniform((out_features,), -bound, bound, dtype, backend)) if bias else None

    def forward(self, input: Tensor) -> Tensor:
        """Map ``* x in_features`` to ``* x out_features``."""
        return linear(input, self.weight.value, None if self.bias is None else self.bias.value)


# --- arranging -----------------------------------------------------------------------------------------------


class Identity(Module):
    """Give the input as it is; arguments are taken and ignored, so that it can stand for any layer.

    >>> Identity(54, unused=True)(3.0)
    3.0
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        """Give ``input``."""
        return input


class Flatten(Module):
    """Make one dimension of several neighbouring ones; of all but the first (the batch), unless told otherwise.

    Args:
        start_dim: the first of them.
        end_dim: the last of them; both may count from the end.

    >>> from minitorch.creation import ones
    >>> Flatten()(ones((5, 2, 3, 4))).shape
    (5, 24)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """Join the dimensions.

        Raises:
            IndexingError: the input lacks one of the dimensions.
            ShapeError: the last dimension comes before the first.
        """
        dims = input.dims
        for d in (self.start_dim, self.end_dim):
            if not -dims <= d < dims:
                raise IndexingError(
                    f"Flatten joins dimensions {self.start_dim} to {self.end_dim}, got shape {input.shape}, which has "
                    f"{dims}. The first is the batch: add it with view, or name others."
                )
        start, end = self.start_dim % dims, self.end_dim % dims
        if start > end:
            raise ShapeError(
                f"expected start_dim before end_dim, got {self.start_dim} and {self.end_dim} for shape {input.shape}. "
                "Exchange them."
            )
        joined = math.prod(input.shape[start : end + 1])
        return View.apply(input.contiguous(), (*input.shape[:start], joined, *input.shape[end + 1 :]))


class Sequential(Module):
    """Run modules one behind the other.

    Args:
        modules: the modules, which are named by their places; or one ``OrderedDict`` with names of its own.

    >>> from minitorch.creation import tensor
    >>> network = Sequential(LeakyReLU(0.5), ReLU())
    >>> network(tensor([-2.0, 2.0])).tolist()
    [0.0, 2.0]
    >>> len(network), network[0](tensor([-2.0])).tolist(), len(network[1:])
    (2, [-1.0], 1)
    """

    def __init__(self, *modules: Module | OrderedDict[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], dict):
            named = list(modules[0].items())
        else:
            named = [(str(i), module) for i, module in enumerate(modules)]
        for name, module in named:
            if not isinstance(module, Module):
                raise ArgumentError(
                    f"Sequential runs modules, got {module!r} for {name!r}. Write ReLU() with parentheses, and make a "
                    "function a Module."
                )
            setattr(self, name, module)

    def forward(self, input: Any) -> Any:
        """Give each module what the one before it gave."""
        for module in self:
            input = module(input)
        return input

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    @overload
    def __getitem__(self, key: int) -> Module: ...

    @overload
    def __getitem__(self, key: slice) -> Sequential: ...

    def __getitem__(self, key: int | slice) -> Module:
        """Give the module at a place, which may count from the end; or those of a slice, which keep their names.

        Raises:
            IndexingError: there is no such place.
        """
        if isinstance(key, slice):
            return Sequential(OrderedDict(list(self._modules.items())[key]))
        if not -len(self) <= key < len(self):
            raise IndexingError(f"expected a place from {-len(self)} to {len(self) - 1}, got {key}. Places begin at 0.")
        return list(self)[key]


# --- activations ---------------------------------------------------------------------------------------------


class ReLU(Module):
    r"""$\max(x, 0)$.

    >>> from minitorch.creation import tensor
    >>> ReLU()(tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        return ReLUFunction.apply(input)


class LeakyReLU(Module):
    """$x$ where it is positive, and a small part of it elsewhere (Maas, Hannun and Ng, 2013).

    Args:
        negative_slope: the part.

    >>> from minitorch.creation import tensor
    >>> LeakyReLU(0.25)(tensor([-1.0, 2.0])).tolist()
    [-0.25, 2.0]
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        positive = ReLUFunction.apply(input)
        return positive + (input - positive) * self.negative_slope


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
    r"""$\tanh x$, computed as $2 \sigma(2 x) - 1$: right to the last digit of 1, also where it is near 0.

    >>> from minitorch.creation import tensor
    >>> Tanh()(tensor([0.0, 100.0])).tolist()
    [0.0, 1.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        return _tanh(input)


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

    def forward(self, input: Tensor) -> Tensor:
        """Apply it to every element."""
        if self.approximate == "none":
            centred = Erf.apply(input * math.sqrt(0.5))
        else:
            centred = _tanh((input + input * input * input * 0.044715) * math.sqrt(2.0 / math.pi))
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

    def forward(self, input: Tensor) -> Tensor:
        """Compute it along ``dim``."""
        return logsoftmax(input, self.dim)


def _tanh(x: Tensor) -> Tensor:
    return SigmoidFunction.apply(x * 2.0) * 2.0 - 1.0


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


# --- dropout -------------------------------------------------------------------------------------------------


class Dropout(Module):
    r"""Set elements to zero at random while training, and divide the others by $1 - p$ (Srivastava and others, 2014).

    The expected value of every element stays what it is, so evaluation, where nothing is dropped, sees numbers of the
    same size.

    Args:
        p: the share of elements to drop, from 0 to 1.

    Raises:
        ArgumentError: ``p`` is not from 0 to 1.

    >>> from minitorch.creation import ones
    >>> layer = Dropout(0.5)
    >>> sorted(set(layer(ones((100,))).tolist()))
    [0.0, 2.0]
    >>> _ = layer.eval()
    >>> set(layer(ones((100,))).tolist())
    {1.0}
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        check_rate(p)
        self.p = float(p)

    def forward(self, x: Tensor) -> Tensor:
        """Drop while training; give ``x`` itself otherwise."""
        if not self.training or self.p == 0.0:
            return x
        scale = 0.0 if self.p == 1.0 else 1.0 / (1.0 - self.p)
        return DropoutFunction.apply(x, self.p, scale, *default_generator.next_stream())


# --- embedding -----------------------------------------------------------------------------------------------


def embedding(index: Tensor, weight: Tensor) -> Tensor:
    """Read rows of a table.

    Args:
        index: integers of any shape, each from 0 to ``rows - 1``.
        weight: ``rows x features``.

    Returns:
        ``*index.shape x features``.

    Raises:
        DTypeError: the indices are not integers.
        DataError: an index is not a row. (A step that is traced has no values to check.)

    >>> from minitorch.creation import tensor
    >>> embedding(tensor([1, 0], dtype="int64"), tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[3.0, 4.0], [1.0, 2.0]]
    """
    if index.dtype.kind not in "iu":
        raise DTypeError(f'embedding expects integer indices, got {index.dtype}: make them with dtype="int64"')
    rows, features = weight.shape
    if tracing.tracer is None:
        which = index.to_numpy()
        if which.size and not 0 <= which.min() <= which.max() < rows:
            raise DataError(
                f"embedding: expected indices from 0 to {rows - 1}, got {which.min()} to {which.max()}. Map words that "
                "the table lacks to a row of their own."
            )
    index = index if index.dtype == np.int64 else index.to(np.int64)
    first = Mul.apply(View.apply(index.contiguous(), (*index.shape, 1)), _integers(weight, [features]))
    return Take.apply(weight, Index(Add.apply(first, _integers(weight, np.arange(features)))))


def _integers(like: Tensor, values: npt.ArrayLike) -> Tensor:
    """Make int64 constants on the backend of ``like``."""
    return like._new(TensorData.from_array(np.array(values, np.int64)))


class Embedding(Module):
    """A table of vectors, one a row, trained like any weight.

    Args:
        num_embeddings: the number of rows.
        embedding_dim: the length of a vector.
        weight: the table to begin with; drawn from the standard normal distribution when left out.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, weight: Tensor | None = None) -> None:
        super().__init__()
        if weight is None:
            table = default_generator.normal((num_embeddings, embedding_dim))
            weight = Tensor(TensorData.from_array(table))
        self.weight = Parameter(weight)

    def forward(self, index: Tensor) -> Tensor:
        """Read rows: ``*index.shape x embedding_dim``."""
        return embedding(index, self.weight.value)
