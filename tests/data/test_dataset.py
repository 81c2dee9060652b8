"""Data sets, their parts and their sums; gathering a batch says the same as asking item by item."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch
from minitorch.data import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from minitorch.data.collate import collate
from minitorch.data.dataset import gather
from minitorch.errors import ArgumentError, DataError, IndexingError
from minitorch.random import Generator

GENERATOR = Generator(0)


def points(count: int, start: int = 0) -> TensorDataset:
    numbers = np.arange(start, start + count)
    return TensorDataset(np.stack([numbers, numbers * 0.5], axis=1), numbers)


class Squares(Dataset):
    """A data set without arrays."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[int, float]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return index, float(index**2)


def as_lists(batch: object) -> list:
    return [values.tolist() for values in batch]  # pyright: ignore


def test_an_item_has_a_row_of_each_tensor():
    x = minitorch.tensor([[1.0, 2.0], [3.0, 4.0]], backend=minitorch.FastBackend)
    dataset = TensorDataset(x, np.array([5, 6]))
    row, label = dataset[-1]
    assert (row.tolist(), row.backend) == ([3.0, 4.0], minitorch.FastBackend)
    assert (label.item(), label.shape, label.dtype) == (6, (), np.int64)
    assert len(dataset) == 2
    assert [item[1].item() for item in dataset] == [5, 6], "a for loop ends with the last item"  # pyright: ignore


def test_an_item_is_a_copy():
    values = np.zeros((2, 3))
    row = TensorDataset(values)[0][0]
    row[0] = 7.0
    assert values.sum() == 0


@pytest.mark.parametrize("index", [2, -3, 99])
def test_an_index_out_of_range_is_told(index):
    for dataset in (points(2), Subset(points(9), [3, 4]), ConcatDataset([points(1), points(1)])):
        with pytest.raises(IndexingError, match=f"index from -2 to 1, got {index}"):
            dataset[index]


def test_tensors_of_different_lengths_are_told():
    with pytest.raises(DataError, match=r"tensors of one length.*got lengths \[3, 2\]"):
        TensorDataset(np.zeros((3, 2)), np.zeros(2))
    with pytest.raises(ArgumentError, match="at least one tensor"):
        TensorDataset()
    with pytest.raises(ArgumentError, match="first dimension"):
        TensorDataset(np.array(1.0))


@given(st.lists(st.integers(0, 6), min_size=1, max_size=9))
def test_gathering_is_joining_items(rows):
    datasets = [
        points(7),
        TensorDataset(minitorch.tensor(np.arange(7.0)), np.arange(7)),
        Subset(points(20), [19, 0, 3, 3, -1, 7, 8]),
        ConcatDataset([points(2), Subset(points(9), [4, 5]), points(3, start=50)]),
        Squares(7),
        ConcatDataset([Squares(3), Squares(4)]),
        [(k, -float(k)) for k in range(7)],
    ]
    for dataset in datasets:
        batch = gather(dataset, np.array(rows), GENERATOR)
        assert as_lists(batch) == as_lists(collate([dataset[row] for row in rows]))


def test_a_subclass_that_changes_items_is_not_bypassed():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            return tuple(value.to_numpy() * 2 for value in super().__getitem__(index))

    class Counted(TensorDataset):
        """It changes nothing about items."""

    assert as_lists(Doubled(np.array([1, 2, 3])).gather(np.array([2, 0]), GENERATOR)) == [[6, 2]]
    assert Counted.gather is TensorDataset.gather


def test_a_subset_of_a_subset():
    subset = Subset(Subset(points(10), [5, 6, 7, 8]), [3, -4])
    assert [subset[k][1].item() for k in range(2)] == [8, 5]
    with pytest.raises(IndexingError, match="index from -3 to 2, got 3"):
        Subset(points(3), [0, 3])
    assert len(Subset(points(0), [])) == 0


def test_sums_of_datasets():
    both = points(2) + Squares(3)
    assert isinstance(both, ConcatDataset)
    assert (len(both), both.cumulative_sizes) == (5, [2, 5])
    assert both[-1] == (2, 4.0)
    assert len(ConcatDataset([points(0), points(1), points(0)])) == 1
    with pytest.raises(ArgumentError, match="at least one data set"):
        ConcatDataset([])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.integers(0, 2**64 - 1))
def test_a_split_has_each_item_in_exactly_one_part(lengths, seed):
    parts = random_split(range(sum(lengths)), lengths, Generator(seed))
    assert [len(part) for part in parts] == lengths
    assert sorted(item for part in parts for item in part) == list(range(sum(lengths)))
    again = random_split(range(sum(lengths)), lengths, Generator(seed))
    assert [part.indices.tolist() for part in again] == [part.indices.tolist() for part in parts]


def test_a_split_depends_on_the_seed():
    minitorch.manual_seed(5)
    first = random_split(range(100), [50, 50])[0].indices.tolist()
    other = random_split(range(100), [50, 50])[0].indices.tolist()
    minitorch.manual_seed(5)
    assert random_split(range(100), [50, 50])[0].indices.tolist() == first != other


@pytest.mark.parametrize("lengths", [[3, 3], [0.5, 0.4], [11, -1], [], [10.0]])
def test_lengths_that_do_not_add_up_are_told(lengths):
    with pytest.raises(ArgumentError, match="expected lengths"):
        random_split(range(10), lengths)
