"""Layers beyond the course, with PyTorch's meanings."""

from __future__ import annotations

import numpy as np

from .errors import DataError, DTypeError
from .module import Module, Parameter
from .nn import Dropout as DropoutFunction
from .nn import check_rate
from .random import default_generator
from .tensor import Tensor
from .tensor_data import TensorData
from .tensor_functions import Index, Take

__all__ = ["Dropout", "Embedding", "embedding"]


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


def embedding(index: Tensor, weight: Tensor) -> Tensor:
    """Read rows of a table.

    Args:
        index: integers of any shape, each from 0 to ``rows - 1``.
        weight: ``rows x features``.

    Returns:
        ``*index.shape x features``.

    Raises:
        DTypeError: the indices are not integers.
        DataError: an index is not a row.

    >>> from minitorch.creation import tensor
    >>> embedding(tensor([1, 0], dtype="int64"), tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[3.0, 4.0], [1.0, 2.0]]
    """
    if index.dtype.kind not in "iu":
        raise DTypeError(f'embedding expects integer indices, got {index.dtype}: make them with dtype="int64"')
    rows, features = weight.shape
    which = index.to_numpy().astype(np.int64, copy=False)
    if which.size and not 0 <= which.min() <= which.max() < rows:
        raise DataError(
            f"embedding: expected indices from 0 to {rows - 1}, got {which.min()} to {which.max()}. Map words that the "
            "table lacks to a row of their own."
        )
    places = which[..., None] * features + np.arange(features)
    return Take.apply(weight, Index(weight._new(TensorData.from_array(places))))


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
