"""Data sets: things with a length and items, whole, in part, or one behind the other.

Names and meanings are those of ``torch.utils.data``. One method is added: ``gather`` gives the items of a whole batch
at once, so that a data set which holds arrays answers with one copy instead of a loop over its items.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from ..creation import tensor
from ..errors import ArgumentError, DataError, IndexingError
from ..random import Generator, default_generator
from ..tensor import Tensor
from ..tensor_data import TensorData
from .collate import collate, join

__all__ = ["ConcatDataset", "Dataset", "Subset", "TensorDataset", "check_index", "gather", "random_split"]

Rows = npt.NDArray[np.int64]


class Dataset(ABC):
    """Items that are found by number. Say in a subclass what ``dataset[i]`` and ``len(dataset)`` are.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, index):
    ...         return index, float(index**2)
    >>> [values.tolist() for values in Squares().gather(np.array([2, 3]), default_generator)]
    [[2, 3], [4.0, 9.0]]
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let nobody inherit a ``gather`` that does not know what an item has become."""
        super().__init_subclass__(**kwargs)
        if "__getitem__" in vars(cls) and "gather" not in vars(cls):
            cls.gather = Dataset.gather

    @abstractmethod
    def __len__(self) -> int:
        """Count the items."""

    @abstractmethod
    def __getitem__(self, index: int) -> Any:
        """Give an item, as a rule a tuple of what goes in and what should come out."""

    def gather(self, rows: Rows, generator: Generator) -> Any:
        """Give the items of a batch, joined.

        Args:
            rows: the numbers of the items, at least one.
            generator: what anything random in the items is to be drawn from, so that the draw belongs to the batch
                and not to the thread that happens to make it.

        Returns:
            What :func:`~minitorch.data.collate.collate` makes of the items.
        """
        return collate([self[row] for row in rows.tolist()])

    def __add__(self, other: Dataset) -> ConcatDataset:
        """Put another data set behind this one."""
        return ConcatDataset([self, other])


def gather(dataset: Any, rows: Rows, generator: Generator) -> Any:
    """Give a batch of anything that has numbered items: a :class:`Dataset`, a list, a class of your own.

    >>> gather(["a", "b", "c"], np.array([2, 0]), default_generator)
    ['c', 'a']
    """
    if isinstance(dataset, Dataset):
        return dataset.gather(rows, generator)
    return collate([dataset[row] for row in rows.tolist()])


def check_index(index: int, count: int) -> int:
    """Count an index from the beginning; negative ones count from the end.

    Raises:
        IndexingError: there is no such item.

    >>> check_index(-1, 10)
    9
    """
    if not -count <= index < count:
        raise IndexingError(
            f"expected an index from {-count} to {count - 1}, got {index}: there are {count} items. Count from 0."
        )
    return index % count


class TensorDataset(Dataset):
    """Items cut out of tensors or arrays of the same length: item ``i`` has row ``i`` of each.

    Args:
        tensors: tensors or NumPy arrays, at least one. They are not copied.

    Raises:
        ArgumentError: there are none, or one has no dimension.
        DataError: they differ in length.

    >>> points = TensorDataset(np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([0, 1]))
    >>> x, y = points[1]
    >>> x.tolist(), y.item()
    ([2.0, 3.0], 1)
    """

    def __init__(self, *tensors: Tensor | npt.NDArray[Any]) -> None:
        if not tensors:
            raise ArgumentError("expected at least one tensor or array, got none. Pass inputs and targets.")
        self.tensors = tuple(values if isinstance(values, Tensor) else np.asarray(values) for values in tensors)
        if any(values.shape == () for values in self.tensors):
            raise ArgumentError("expected tensors with a first dimension to cut items from, got a single number.")
        lengths = [values.shape[0] for values in self.tensors]
        if len(set(lengths)) > 1:
            raise DataError(
                f"expected tensors of one length, as item i has row i of each; got lengths {lengths}. Check that "
                "inputs and targets were cut at the same place."
            )

    def __len__(self) -> int:
        """Count the rows."""
        return self.tensors[0].shape[0]

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        """Give a row of each tensor, as tensors."""
        rows = np.array([check_index(index, len(self))])
        return tuple(_first(_take(values, rows)) for values in self.tensors)

    def gather(self, rows: Rows, generator: Generator) -> tuple[Tensor | npt.NDArray[Any], ...]:
        """Give the rows of each tensor or array, with one copy of it."""
        return tuple(_take(values, rows) for values in self.tensors)


def _take(values: Tensor | npt.NDArray[Any], rows: Rows) -> Tensor | npt.NDArray[Any]:
    if isinstance(values, Tensor):
        return Tensor(TensorData.from_array(np.take(values.to_numpy(), rows, axis=0)), backend=values.backend)
    return np.take(values, rows, axis=0)


def _first(values: Tensor | npt.NDArray[Any]) -> Tensor:
    if isinstance(values, Tensor):
        return Tensor(TensorData.from_array(values.to_numpy()[0]), backend=values.backend)
    return tensor(np.asarray(values[0]))


class Subset(Dataset):
    """Some items of a data set, in the order of their numbers.

    Args:
        dataset: where the items are.
        indices: the number of each item to keep.

    Raises:
        IndexingError: a number is not one of an item.

    >>> Subset(["a", "b", "c"], [2, 0])[0]
    'c'
    """

    def __init__(self, dataset: Any, indices: Sequence[int] | Rows) -> None:
        self.dataset = dataset
        self.indices = np.asarray(indices, dtype=np.int64).reshape(-1)
        for extreme in (self.indices.min(), self.indices.max()) if len(self.indices) else ():
            check_index(int(extreme), len(dataset))
        self.indices = self.indices % max(len(dataset), 1)

    def __len__(self) -> int:
        """Count the kept items."""
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        """Give a kept item."""
        return self.dataset[int(self.indices[check_index(index, len(self))])]

    def gather(self, rows: Rows, generator: Generator) -> Any:
        """Give a batch of kept items, as fast as the data set itself."""
        return gather(self.dataset, self.indices[rows], generator)


class ConcatDataset(Dataset):
    """Data sets one behind the other.

    Args:
        datasets: at least one; their items are built alike.

    Raises:
        ArgumentError: there is none.

    >>> ConcatDataset([["a", "b"], ["c"]])[2]
    'c'
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ArgumentError("expected at least one data set, got none. Pass a list of them.")
        self.cumulative_sizes = np.cumsum([len(dataset) for dataset in self.datasets]).tolist()

    def __len__(self) -> int:
        """Count the items of all."""
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        """Give an item of the data set that it falls into."""
        index = check_index(index, len(self))
        which = int(np.searchsorted(self.cumulative_sizes, index, side="right"))
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][index - before]

    def gather(self, rows: Rows, generator: Generator) -> Any:
        """Give a batch of items, gathered from each data set at once and put in order."""
        which = np.searchsorted(self.cumulative_sizes, rows, side="right")
        starts = np.array([0, *self.cumulative_sizes])
        by_dataset = np.argsort(which, kind="stable")
        batches = [
            gather(self.datasets[number], rows[which == number] - starts[number], generator)
            for number in np.unique(which)
        ]
        return join(batches, np.argsort(by_dataset))


def random_split(dataset: Any, lengths: Sequence[int | float], generator: Generator | None = None) -> list[Subset]:
    """Divide a data set by chance into parts that share no item.

    Args:
        dataset: anything with numbered items.
        lengths: how many items each part has; or, when they add up to 1, which share of the items. What rounding down
            the shares leaves over goes to the parts in turn, one item each, as in PyTorch.
        generator: what draws; the default generator when left out.

    Raises:
        ArgumentError: a length is negative, or they do not add up to the data set.

    >>> [len(part) for part in random_split(range(10), [0.75, 0.25], Generator(1))]
    [8, 2]
    """
    count = len(dataset)
    if any(length < 0 for length in lengths):
        raise ArgumentError(f"expected lengths of 0 or more, got {list(lengths)}. Leave out a part of none.")
    if all(isinstance(length, Integral) for length in lengths) and sum(lengths) == count:
        sizes = [int(length) for length in lengths]
    elif abs(sum(lengths) - 1.0) < 1e-9:
        sizes = [int(count * share) for share in lengths]
        for i in range(count - sum(sizes)):
            sizes[i % len(sizes)] += 1
    else:
        raise ArgumentError(
            f"expected lengths that add up to the {count:,} items, or shares that add up to 1, got {list(lengths)}, "
            f"which add up to {sum(lengths):,}. Write [{count - count // 10}, {count // 10}] or [0.9, 0.1], say."
        )
    order = (generator or default_generator).permutation(count)
    ends = np.cumsum(sizes)
    return [Subset(dataset, order[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
