"""Data sets, loaders and batches against ``torch.utils.data``."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.utils.data as torch_data
from hypothesis import given
from hypothesis import strategies as st

from minitorch import data

counts, batch_sizes = st.integers(1, 30), st.integers(1, 9)


def arrays(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(count)
    return rng.normal(size=(count, 2, 3)).astype(np.float32), rng.integers(0, 10, count)


@given(counts, batch_sizes, st.booleans())
def test_batches_are_pytorchs(count, batch_size, drop_last):
    x, y = arrays(count)
    theirs = torch_data.DataLoader(
        torch_data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size, drop_last=drop_last
    )
    ours = data.DataLoader(data.TensorDataset(x, y), batch_size, drop_last=drop_last)
    assert len(ours) == len(theirs)
    for (got_x, got_y), (want_x, want_y) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(got_x.to_numpy(), want_x.numpy())
        np.testing.assert_array_equal(got_y.to_numpy(), want_y.numpy())
        assert (str(got_x.dtype), str(got_y.dtype)) == ("float32", "int64")


@pytest.mark.filterwarnings("ignore:Length of split")
@given(st.integers(0, 200), st.sets(st.integers(1, 63)))
def test_shares_are_rounded_as_pytorch_rounds_them(count, cuts):
    shares = (np.diff([0, *sorted(cuts), 64]) / 64).tolist()  # they add up to 1 without a rounding error
    ours = data.random_split(range(count), shares)
    theirs = torch_data.random_split(range(count), shares)  # pyright: ignore
    assert [len(part) for part in ours] == [len(part) for part in theirs]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data())
def test_subsets_and_sums_have_pytorchs_items(sizes, draw):
    parts = [arrays(size) for size in sizes]
    ours = data.ConcatDataset([data.TensorDataset(*part) for part in parts])
    theirs = torch_data.ConcatDataset(
        [torch_data.TensorDataset(*(torch.from_numpy(values) for values in part)) for part in parts]
    )
    assert ours.cumulative_sizes == theirs.cumulative_sizes
    rows = draw.draw(st.lists(st.integers(0, sum(sizes) - 1), min_size=1))
    for got, want in zip(data.Subset(ours, rows), torch_data.Subset(theirs, rows), strict=True):  # pyright: ignore
        assert [value.tolist() for value in got] == [value.tolist() for value in want]


@pytest.mark.parametrize(
    "items",
    [
        [1, 2],
        [0.5, 1.5],
        [(1, 2.0), (3, 4.0)],
        [{"x": 1, "name": "a"}, {"x": 2, "name": "b"}],
        [np.zeros(2, np.float32), np.ones(2, np.float32)],
        ["a", "b"],
    ],
)
def test_items_are_joined_as_pytorch_joins_them(items):
    def plain(batch):
        if isinstance(batch, dict):
            return {key: plain(value) for key, value in batch.items()}
        if isinstance(batch, tuple | list):
            return [plain(value) for value in batch]
        return (batch.tolist(), str(batch.dtype).removeprefix("torch.")) if hasattr(batch, "tolist") else batch

    assert plain(data.collate(items)) == plain(torch_data.default_collate(items))
