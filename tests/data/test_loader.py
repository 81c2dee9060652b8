"""The DataLoader: every item once, the same epoch from any number of threads, and going on where it stopped."""

from __future__ import annotations

import gc
import json
import math
import os
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch
from minitorch import layers, losses
from minitorch.data import (
    Compose,
    DataLoader,
    Dataset,
    ImageDataset,
    RandomCrop,
    RandomHorizontalFlip,
    TensorDataset,
    ToDtype,
)
from minitorch.errors import ArgumentError, DTypeError
from minitorch.random import Generator

CACHE = os.environ.get("MINITORCH_CACHE")  # where the suite keeps compiled kernels

sizes = st.integers(0, 40)
batch_sizes = st.integers(1, 12)
seeds = st.integers(0, 2**64 - 1)


def numbers(count: int) -> TensorDataset:
    return TensorDataset(np.arange(count))


def items(loader: DataLoader) -> list[list[int]]:
    """One epoch: the items of each batch."""
    return [batch[0].tolist() for batch in loader]


def flat(batches: list[list[int]]) -> list[int]:
    return [item for batch in batches for item in batch]


class Watched(Dataset):
    """A data set that takes its time, and says by which threads it was asked."""

    def __init__(self, count: int, fail_at: int | None = None) -> None:
        self.count, self.fail_at = count, fail_at
        self.threads: set[str] = set()
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        self.threads.add(threading.current_thread().name)
        self.asked.append(index)
        time.sleep(0.001 * (index % 3))
        if index == self.fail_at:
            raise ZeroDivisionError("the item is broken")
        return index


@given(sizes, batch_sizes, st.booleans(), seeds)
def test_every_item_comes_exactly_once(count, batch_size, shuffle, seed):
    loader = DataLoader(numbers(count), batch_size, shuffle, seed=seed)
    batches = items(loader)
    assert len(loader) == len(batches) == math.ceil(count / batch_size)
    assert sorted(flat(batches)) == list(range(count))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    if not shuffle:
        assert flat(batches) == list(range(count))


@given(sizes, batch_sizes, seeds)
def test_drop_last_leaves_out_the_smaller_batch_only(count, batch_size, seed):
    whole = items(DataLoader(numbers(count), batch_size, True, seed=seed))
    dropped = DataLoader(numbers(count), batch_size, True, drop_last=True, seed=seed)
    batches = items(dropped)
    assert batches == [batch for batch in whole if len(batch) == batch_size]
    assert len(dropped) == len(batches) == count // batch_size


@given(seeds)
def test_each_epoch_has_its_order_and_the_seed_has_them_all(seed):
    loader, again = (DataLoader(numbers(30), 7, shuffle=True, seed=seed) for _ in range(2))
    epochs = [flat(items(loader)) for _ in range(4)]
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert [flat(items(again)) for _ in range(4)] == epochs
    assert flat(items(DataLoader(numbers(30), 11, shuffle=True, seed=seed))) == epochs[0]
    assert flat(items(DataLoader(numbers(30), 7, shuffle=True, seed=seed ^ 1))) != epochs[0]


def test_every_place_gets_every_item():
    loader = DataLoader(numbers(5), 5, shuffle=True, seed=1)
    counts = np.zeros((5, 5))
    for _ in range(2000):
        counts[np.arange(5), items(loader)[0]] += 1
    assert (np.abs(counts - 400) < 5 * math.sqrt(400 * 0.8)).all()


def test_the_seed_is_drawn_from_a_generator():
    minitorch.manual_seed(3)
    first, second = DataLoader(numbers(9), 3, True), DataLoader(numbers(9), 3, True)
    minitorch.manual_seed(3)
    assert DataLoader(numbers(9), 3, True).seed == first.seed != second.seed
    assert DataLoader(numbers(9), generator=Generator(3)).seed == first.seed
    assert first.seed > 2**32, "all 64 bits are drawn"
    before = minitorch.default_generator.state
    items(first)
    assert minitorch.default_generator.state == before, "an epoch draws from nobody else's stream"
    with pytest.raises(ArgumentError, match="got both"):
        DataLoader(numbers(9), generator=Generator(3), seed=3)


# Threads


def augmented(count: int) -> ImageDataset:
    images = np.random.default_rng(0).integers(0, 256, (count, 3, 6, 5), dtype=np.uint8)
    transform = Compose([RandomCrop(4, padding=2), RandomHorizontalFlip(), ToDtype("float32", scale=True)])
    return ImageDataset(images, np.arange(count) % 10, transform=transform)


@given(st.integers(0, 30), st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.booleans(), seeds)
def test_an_epoch_does_not_depend_on_threads(count, batch_size, num_workers, prefetch_factor, shuffle, seed):
    options = {"batch_size": batch_size, "shuffle": shuffle, "seed": seed}
    alone = DataLoader(augmented(count), **options)
    ahead = DataLoader(augmented(count), num_workers=num_workers, prefetch_factor=prefetch_factor, **options)
    for _ in range(2):
        expected, got = list(alone), list(ahead)
        assert len(got) == len(expected)
        for (images, labels), (images_ahead, labels_ahead) in zip(expected, got, strict=True):
            np.testing.assert_array_equal(images_ahead.to_numpy(), images.to_numpy())
            assert labels_ahead.tolist() == labels.tolist()


def test_transforms_draw_anew_in_every_batch_and_epoch():
    loader = DataLoader(ImageDataset(np.tile(np.arange(64.0).reshape(8, 8), (20, 1, 1)), [0] * 20), 10, seed=0)
    loader.dataset.transform = RandomCrop(3)
    corners = [tuple(images.to_numpy()[:, 0, 0, 0]) for _ in range(3) for images, _ in loader]
    assert len(set(corners)) == 6


def test_threads_work_ahead_but_not_further_than_asked():
    dataset = Watched(40)
    batches = iter(DataLoader(dataset, 2, num_workers=2, prefetch_factor=3))
    assert next(batches).tolist() == [0, 1]
    deadline = time.monotonic() + 30
    while len(dataset.asked) < 12 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert sorted(dataset.asked) == list(range(12)), "six batches: the one in hand and five ahead"
    assert threading.current_thread().name not in dataset.threads
    assert 1 <= len(dataset.threads) <= 2


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("DataLoader")]


def test_leaving_the_loop_ends_the_threads():
    for batch in DataLoader(Watched(1000), 2, num_workers=3):
        assert batch.tolist() == [0, 1]
        assert workers()
        break
    gc.collect()
    assert workers() == []


def test_leaving_the_loop_drops_what_was_to_come():
    dataset = Watched(4000)
    batches = iter(DataLoader(dataset, 2, num_workers=1, prefetch_factor=1500))
    next(batches)
    del batches
    gc.collect()
    assert len(dataset.asked) < 2800


def test_an_epoch_that_ends_leaves_no_thread():
    assert len(list(DataLoader(Watched(9), 2, num_workers=3))) == 5
    assert workers() == []


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_broken_item_raises_its_own_exception_and_says_where(num_workers):
    dataset = Watched(1000, fail_at=7)
    batches = iter(DataLoader(dataset, 3, num_workers=num_workers))
    assert [next(batches).tolist() for _ in range(2)] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ZeroDivisionError, match="the item is broken") as caught:
        next(batches)
    assert caught.value.__notes__ == ["This happened in batch 2 of epoch 0 of a DataLoader, with the items 6, 7, 8."]
    assert "__getitem__" in [entry.name for entry in caught.traceback], "the traceback leads to the data set"
    gc.collect()
    assert workers() == []
    assert len(dataset.asked) < 30


def test_an_interrupt_ends_the_threads():
    def interrupted():
        for _ in DataLoader(Watched(1000), 2, num_workers=2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    gc.collect()
    assert workers() == []


# Going on


@given(st.integers(1, 40), batch_sizes, st.integers(0, 25), st.integers(0, 2), seeds)
def test_a_loaded_state_goes_on_in_the_middle_of_an_epoch(count, batch_size, steps, num_workers, seed):
    def stream(loader, epochs):
        return [batch[0].tolist() for _ in range(epochs) for batch in loader]

    whole = stream(DataLoader(numbers(count), batch_size, True, seed=seed), 30)[:60]
    stopped = DataLoader(numbers(count), batch_size, True, seed=seed, num_workers=num_workers)
    before = []
    while len(before) < steps:
        for batch in stopped:
            before.append(batch[0].tolist())
            if len(before) == steps:
                break
    state = json.loads(json.dumps(stopped.state_dict()))
    resumed = DataLoader(numbers(count), batch_size, True, seed=seed + 1, num_workers=num_workers)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert (before + stream(resumed, 30))[: len(whole)][:30] == whole[:30]


def test_what_the_state_counts():
    loader = DataLoader(numbers(5), 2, seed=9)
    assert loader.state_dict() == {"seed": 9, "epoch": 0, "batch": 0}
    batches = iter(loader)
    next(batches)
    assert loader.state_dict() == {"seed": 9, "epoch": 0, "batch": 1}
    next(batches), next(batches)
    assert loader.state_dict() == {"seed": 9, "epoch": 1, "batch": 0}, "the last batch ends the epoch"
    assert list(batches) == []
    assert loader.state_dict() == {"seed": 9, "epoch": 1, "batch": 0}
    next(iter(loader))
    assert loader.state_dict() == {"seed": 9, "epoch": 1, "batch": 1}
    assert items(loader) == [[0, 1], [2, 3], [4]], "a new loop is a whole epoch"
    assert loader.state_dict() == {"seed": 9, "epoch": 3, "batch": 0}


def test_a_resumed_epoch_counts_on():
    loader = DataLoader(numbers(9), 2)
    loader.load_state_dict({"seed": 9, "epoch": 4, "batch": 2})
    assert next(iter(loader))[0].tolist() == [4, 5]
    assert loader.state_dict() == {"seed": 9, "epoch": 4, "batch": 3}


def test_iterators_of_one_loader_are_epochs_of_their_own():
    one, two = (DataLoader(numbers(20), 20, True, seed=4) for _ in range(2))
    first, second = iter(one), iter(one)
    late, early = next(second)[0].tolist(), next(first)[0].tolist()
    assert [early, late] == [flat(items(two)), flat(items(two))]


@pytest.mark.parametrize("state", [{}, {"seed": 1, "epoch": 0}, {"seed": 1, "epoch": -1, "batch": 0}, {"seed": "x"}])
def test_a_state_that_is_none_is_told(state):
    with pytest.raises(ArgumentError, match="seed, epoch and batch"):
        DataLoader(numbers(5)).load_state_dict(state)


# What a batch is


def test_types_and_backends():
    arrays = TensorDataset(np.zeros((4, 2), np.float64), np.arange(4, dtype=np.uint8), np.ones(4, np.float32))
    x, labels, weight = next(iter(DataLoader(arrays, 3)))
    assert [t.dtype for t in (x, labels, weight)] == [np.float64, np.uint8, np.float32]
    assert x.backend is minitorch.zeros((1,)).backend
    loader = DataLoader(arrays, 3, dtype="float32", backend=minitorch.FastBackend)
    x, labels, weight = next(iter(loader))
    assert [t.dtype for t in (x, labels, weight)] == [np.float32, np.uint8, np.float32]
    assert {t.backend for t in (x, labels, weight)} == {minitorch.FastBackend}
    with pytest.raises(DTypeError):
        DataLoader(arrays, dtype="int64")


def test_pytorchs_settings_for_memory_and_workers_change_nothing():
    arrays = TensorDataset(np.arange(7.0))
    plain = DataLoader(arrays, 3, shuffle=True, seed=1)
    more = DataLoader(arrays, 3, shuffle=True, seed=1, num_workers=1, pin_memory=True, persistent_workers=True)
    for _ in range(2):
        assert [x.tolist() for (x,) in more] == [x.tolist() for (x,) in plain]


def test_tensors_stay_on_their_backend_unless_told_otherwise():
    tensors = TensorDataset(minitorch.tensor(np.arange(6.0).reshape(3, 2), backend=minitorch.FastBackend))
    (x,) = next(iter(DataLoader(tensors, 2)))
    assert (x.backend, x.dtype, x.tolist()) == (minitorch.FastBackend, np.float64, [[0, 1], [2, 3]])
    (x,) = next(iter(DataLoader(tensors, 2, backend=minitorch.SimpleBackend, dtype="float32")))
    assert (x.backend, x.dtype) == (minitorch.SimpleBackend, np.float32)


def test_python_numbers_text_and_mappings():
    things = [{"x": [0.5, 1.0], "label": k, "name": f"item {k}"} for k in range(3)]
    first, last = DataLoader(things, 2)
    assert (first["label"].tolist(), first["label"].dtype) == ([0, 1], np.int64)
    assert first["name"] == ["item 0", "item 1"]
    assert [column.tolist() for column in first["x"]] == [[0.5, 0.5], [1.0, 1.0]]
    assert last["label"].tolist() == [2]


def test_a_collate_fn_makes_the_batch():
    def pad(rows):
        longest = max(len(row) for row in rows)
        return np.array([row + [0] * (longest - len(row)) for row in rows]), [len(row) for row in rows]

    sentences = [[1], [2, 3], [4, 5, 6]]
    batches = [(words.tolist(), lengths) for words, lengths in DataLoader(sentences, 2, collate_fn=pad)]
    assert batches == [([[1, 0], [2, 3]], [1, 2]), ([[4, 5, 6]], [3])]


def test_a_batch_can_be_written_to_and_the_data_stays():
    values = np.arange(6.0).reshape(3, 2)
    values.flags.writeable = False
    for view in (values, values[:, ::-1], values.T):  # read-only, walking backwards, and not row by row
        (batch,) = DataLoader([view], collate_fn=lambda views: views[0])
        assert batch.tolist() == view.tolist()
        storage = batch._tensor._storage
        assert storage.flags.writeable
        assert storage.flags.c_contiguous
        batch[0, 0] = 9.0
        assert values.tolist() == [[0, 1], [2, 3], [4, 5]]
    x = next(iter(DataLoader(TensorDataset(values), 3)))[0]
    x[0, 0] = 7.0
    assert values[0, 0] == 0.0


@pytest.mark.parametrize(
    ("name", "value"),
    [("batch_size", 0), ("batch_size", 1.0), ("batch_size", True), ("num_workers", -1), ("prefetch_factor", 0)],
)
def test_numbers_out_of_range_are_told(name, value):
    with pytest.raises(ArgumentError, match=f"whole number of [01] or more as {name}, got {value}"):
        DataLoader(numbers(3), **{name: value})


def test_batches_train_a_compiled_step(monkeypatch):
    """Labels of int64 go through a loss and a compiled step, the smaller last batch too."""
    if CACHE is None:
        monkeypatch.delenv("MINITORCH_CACHE")
    else:
        monkeypatch.setenv("MINITORCH_CACHE", CACHE)
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(70, 4)).astype(np.float32)
    dataset = TensorDataset(inputs, (inputs[:, 0] > 0).astype(np.int64))
    loader = DataLoader(dataset, 16, shuffle=True, seed=0, backend=minitorch.FastBackend)
    minitorch.manual_seed(0)
    model = layers.Linear(4, 2, dtype="float32", backend=minitorch.FastBackend)
    optimizer = minitorch.SGD(model.parameters(), lr=1.0)

    @minitorch.compile
    def step(x, y):
        loss = losses.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    means = [np.mean([step(x, y).item() for x, y in loader]) for _ in range(8)]
    assert means[-1] < 0.25 < means[0]


def test_the_fast_path_asks_for_no_items(monkeypatch):
    def refuse(self, index):
        raise AssertionError("an item was asked for")

    monkeypatch.setattr(TensorDataset, "__getitem__", refuse)
    monkeypatch.setattr(ImageDataset, "__getitem__", refuse)
    part = minitorch.data.Subset(numbers(9), [8, 1, 4])
    assert flat(items(DataLoader(part + numbers(2), 2))) == [8, 1, 4, 0, 1]
    assert len(list(DataLoader(augmented(9), 2))) == 5
