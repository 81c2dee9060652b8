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
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .activations import GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from .containers import ModuleList, Sequential
from .convolution import Conv1d, Conv2d
from .errors import ArgumentError, DataError, DTypeError, ShapeError
from .function import Places, require_tensor
from .indexing import at_hand, integers
from .init import kaiming_uniform, normal, uniform
from .module import Module, Parameter
from .nn import DropoutFun, as_int64, check_rate
from .normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from .pooling import AvgPool2d, MaxPool1d, MaxPool2d
from .random import default_generator
from .shaping import flatten
from .tensor import Tensor
from .tensor_data import TensorData
from .tensor_functions import Add, MatMul, Mul, Permute, Take, View
from .tensor_ops import TensorBackend

__all__ = [
    "GELU",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "Identity",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool1d",
    "MaxPool2d",
    "ModuleList",
    "ReLU",
    "Reshape",
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
    require_tensor("a linear layer", input)
    if input.dims == 0 or input.shape[-1] != features:
        raise ShapeError(
            f"this linear layer takes {features} features, the last size of its input; got shape {input.shape}. "
            + _how_to_fit(input.shape, features)
        )
    rows = input
    if input.dims != 2:  # one matrix product, whatever the dimensions before
        rows = View.apply(input.contiguous(), (math.prod(input.shape[:-1]), features))
    out = MatMul.apply(rows, Permute.apply(weight, (1, 0)))
    if bias is not None:
        out = Add.apply(out, bias)
    return out if input.dims == 2 else View.apply(out, (*input.shape[:-1], weight.shape[0]))


def _how_to_fit(shape: Sequence[int], features: int) -> str:
    """Advise on an input whose last size is not the number of features."""
    if len(shape) == 0:
        return "Give it the features of an example, or rows of them: a single number has no dimension."
    if len(shape) <= 2:
        return f"Make it with in_features={shape[-1]}."
    flat = math.prod(shape[1:])
    if flat == features:
        return "A Flatten is missing: put one before it."
    return f"Make it with in_features={shape[-1]}, or put a Flatten before it and make it with in_features={flat}."


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
        ArgumentError: a number of features is no whole number from 1.

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
        if not _are_counts(in_features, out_features):
            raise ArgumentError(
                f"expected at least one feature on each side, as whole numbers, got {in_features!r} and "
                f"{out_features!r}. Check the sizes that these come from."
            )
        self.in_features, self.out_features = in_features, out_features
        shape = (out_features, in_features)
        self.weight = Parameter(kaiming_uniform(shape, math.sqrt(5.0), dtype=dtype, backend=backend))
        bound = 1.0 / math.sqrt(in_features)
        self.bias = Parameter(uniform((out_features,), -bound, bound, dtype, backend)) if bias else None

    def extra_repr(self) -> str:
        """Name the settings, as PyTorch's layer does."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

    def forward(self, input: Tensor) -> Tensor:
        """Map ``* x in_features`` to ``* x out_features``."""
        return linear(input, self.weight.value, None if self.bias is None else self.bias.value)


def _are_counts(*sizes: Any) -> bool:
    """Tell whether all sizes are whole numbers from 1."""
    return all(isinstance(n, (int, np.integer)) and n >= 1 for n in sizes)


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
    """Join neighbouring dimensions into one; all but the first (the batch), unless told otherwise.

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

    def extra_repr(self) -> str:
        """Name the settings, as PyTorch's layer does."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"

    def forward(self, input: Tensor) -> Tensor:
        """Join the dimensions, as :func:`minitorch.flatten` does.

        Raises:
            IndexingError: the input lacks one of the dimensions.
            ArgumentError: the last dimension comes before the first.
        """
        return flatten(input, self.start_dim, self.end_dim)


class Reshape(Module):
    """Give each example another shape: every dimension but the first, the batch, is named.

    Args:
        shape: the sizes, as several numbers or as one sequence; one may be -1, to be worked out from the others.

    Raises:
        ArgumentError: a size is neither -1 nor a whole number from 1, or several are -1.

    >>> from minitorch.creation import ones
    >>> Reshape(1, 28, -1)(ones((5, 784))).shape
    (5, 1, 28, 28)
    """

    def __init__(self, *shape: int | Sequence[int]) -> None:
        super().__init__()
        sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
        if not all(isinstance(n, int) and (n == -1 or n >= 1) for n in sizes) or list(sizes).count(-1) > 1:
            raise ArgumentError(
                f"Reshape expects the sizes of an example as whole numbers from 1, one of which may be -1, got "
                f"{tuple(sizes)}. Leave the batch out: it stays what it is."
            )
        self.shape = tuple(int(n) for n in sizes)  # type: ignore[arg-type]

    def extra_repr(self) -> str:
        """Name the sizes."""
        return ", ".join(map(str, self.shape))

    def forward(self, input: Tensor) -> Tensor:
        """Regroup the elements of each example.

        Raises:
            ShapeError: there is no batch, or an example has another number of elements.
        """
        require_tensor("Reshape", input)
        elements = math.prod(input.shape[1:])
        known = math.prod(n for n in self.shape if n != -1)
        shape = tuple(elements // known if n == -1 else n for n in self.shape)
        if input.dims == 0 or math.prod(shape) != elements:
            raise ShapeError(
                f"Reshape gives each example the shape {self.shape}, got {input.shape}: {elements} elements an "
                f"example, where {'a multiple of ' if -1 in self.shape else ''}{known} fit. Check the sizes, and that "
                "the batch is the first dimension of the input and not among them."
            )
        return View.apply(input.contiguous(), (input.shape[0], *shape))


# --- dropout -------------------------------------------------------------------------------------------------


class Dropout(Module):
    r"""Set elements to zero at random while training, and divide the others by $1 - p$ (Srivastava and others, 2014).

    The expected value of every element stays what it is, so evaluation, where nothing is dropped, sees numbers of the
    same size.

    Args:
        p: the share of elements to drop, from 0 to 1.
        inplace: taken for PyTorch's sake; no memory is overwritten either way.

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

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        check_rate(p)
        self.p, self.inplace = float(p), inplace

    def extra_repr(self) -> str:
        """Name the settings, as PyTorch's layer does."""
        return f"p={self.p}, inplace={self.inplace}"

    def forward(self, x: Tensor) -> Tensor:
        """Drop while training; give ``x`` itself otherwise."""
        if not self.training or self.p == 0.0:
            return x
        scale = 0.0 if self.p == 1.0 else 1.0 / (1.0 - self.p)
        return DropoutFun.apply(x, self.p, scale, *default_generator.next_stream())


# --- embedding -----------------------------------------------------------------------------------------------


def embedding(index: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Read rows of a table.

    Args:
        index: integers of any shape, each from 0 to ``rows - 1``.
        weight: ``rows x features``.
        padding_idx: a row whose gradient stays zero, which may count from the end.

    Returns:
        ``*index.shape x features``.

    Raises:
        DTypeError: the indices are not integers.
        ArgumentError: ``padding_idx`` is not a row.
        DataError: an index is not a row. (On a GPU the next number that is read raises an IndexingError instead, and a
            step that is traced has no values to check.)

    >>> from minitorch.creation import tensor
    >>> embedding(tensor([1, 0], dtype="int64"), tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[3.0, 4.0], [1.0, 2.0]]
    """
    require_tensor("embedding", index)
    if index.dtype.kind not in "iu":
        raise DTypeError(f'embedding expects integer indices, got {index.dtype}: make them with dtype="int64"')
    rows, features = weight.shape
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise ArgumentError(f"expected padding_idx as one of the {rows} rows, got {padding_idx}. Rows count from 0.")
    if at_hand(index):
        which = index.to_numpy()
        if which.size and not 0 <= which.min() <= which.max() < rows:
            raise DataError(
                f"embedding: expected indices from 0 to {rows - 1}, got {which.min()} to {which.max()}. Map words that "
                "the table lacks to a row of their own."
            )
    index = as_int64("indices", index)
    first = Mul.apply(View.apply(index.contiguous(), (*index.shape, 1)), integers(weight, [features]))
    out = Take.apply(weight, Places(Add.apply(first, integers(weight, np.arange(features)))))
    if padding_idx is None:
        return out
    learnt = np.ones(rows, weight.dtype)
    learnt[padding_idx] = 0.0
    kept = Take.apply(
        weight._new(TensorData.from_array(learnt)), Places(View.apply(index.contiguous(), (*index.shape, 1)))
    )
    return out * kept + out.detach() * (1.0 - kept)


class Embedding(Module):
    """A table of vectors, ``num_embeddings x embedding_dim``, one a row, trained like any ``weight``.

    Args:
        num_embeddings: the number of rows.
        embedding_dim: the length of a vector.
        padding_idx: a row that stands for no word: it begins as zeros and is not trained. It may count from the end.
        weight: the table to begin with; drawn from the standard normal distribution when left out.
        dtype: of a table that is drawn.
        backend: what computes, for a table that is drawn.

    Raises:
        ArgumentError: ``padding_idx`` is not a row, or there are no rows or no features.
        ShapeError: the table has another shape.

    >>> from minitorch.creation import tensor
    >>> table = Embedding(3, 2, padding_idx=0)
    >>> table(tensor([[0, 0, 1]], dtype="int64")).shape, table(tensor(0, dtype="int64")).tolist()
    ((1, 3, 2), [0.0, 0.0])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        weight: Tensor | None = None,
        dtype: npt.DTypeLike | None = None,
        backend: TensorBackend | None = None,
    ) -> None:
        super().__init__()
        if not _are_counts(num_embeddings, embedding_dim):
            raise ArgumentError(
                f"expected at least one row and one feature, as whole numbers, got {num_embeddings!r} and "
                f"{embedding_dim!r}. Check the size of the vocabulary."
            )
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ArgumentError(
                f"expected padding_idx as one of the {num_embeddings} rows, got {padding_idx}. Rows count from 0."
            )
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        shape = (num_embeddings, embedding_dim)
        if weight is None:
            weight = normal(shape, dtype=dtype, backend=backend)
            if self.padding_idx is not None:
                values = np.array(weight.to_numpy())
                values[self.padding_idx] = 0.0
                weight = weight._new(TensorData.from_array(values))
        if weight.shape != shape:
            raise ShapeError(
                f"expected a table of {num_embeddings} rows of {embedding_dim}, got shape {weight.shape}. Write "
                "Embedding.from_pretrained(table) to take its sizes."
            )
        self.weight = Parameter(weight)

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None) -> Embedding:
        """Make a layer of a table that exists.

        Args:
            embeddings: the table, ``rows x features``.
            freeze: do not train it.
            padding_idx: as in :class:`Embedding`; the row keeps its values.

        Raises:
            ShapeError: it is no table.

        >>> from minitorch.creation import tensor
        >>> table = Embedding.from_pretrained(tensor([[1.0, 2.0], [3.0, 4.0]]))
        >>> table(tensor([1], dtype="int64")).tolist(), table.weight.value.requires_grad()
        ([[3.0, 4.0]], False)
        """
        require_tensor("Embedding", embeddings)
        if embeddings.dims != 2:
            raise ShapeError(
                f"expected a table, rows x features, got shape {embeddings.shape}. Bring it there by view."
            )
        rows, features = embeddings.shape
        layer = cls(rows, features, padding_idx, embeddings.detach())
        layer.weight.value.requires_grad_(not freeze)
        return layer

    def extra_repr(self) -> str:
        """Name the settings, as PyTorch's layer does."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"

    def forward(self, index: Tensor) -> Tensor:
        """Read rows: ``*index.shape x embedding_dim``."""
        return embedding(index, self.weight.value, self.padding_idx)
