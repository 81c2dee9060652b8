"""The DataLoader: a data set in batches of tensors, epoch after epoch, in an order that can be had again.

What an epoch is depends on three numbers: the loader's seed, the epoch, and the number of the batch. The order of the
items is drawn from streams that belong to the epoch, and what transforms draw from streams that belong to the batch
(:mod:`minitorch.random` makes any number of any stream without the ones before). So an epoch is the same whichever
thread makes a batch, and a training that stopped goes on in the middle of an epoch without repeating what came before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from ..creation import _wrap, check_backend
from ..dtypes import float_dtype, storage_dtype
from ..errors import ArgumentError
from ..random import Generator, default_generator
from ..tensor import Tensor
from ..tensor_ops import TensorBackend
from .dataset import gather

__all__ = ["DataLoader"]

# The 64 bits of a stream's number: 16 for the epoch, 32 for the batch, 16 for the draws of one batch.
EPOCH_BITS, BATCH_BITS = 48, 16


class DataLoader:
    """Batches of a data set, as tensors.

    Each ``for`` over the loader is an epoch. A data set that holds arrays (:class:`~minitorch.data.TensorDataset`,
    :class:`~minitorch.data.ImageDataset`, and subsets of them) is cut without a loop over its items. Names and
    meanings are PyTorch's; the workers are threads, which share the data and start at once: NumPy works in several of
    them at the same time.

    Args:
        dataset: a :class:`~minitorch.data.Dataset`, or anything with ``len(dataset)`` and ``dataset[i]``.
        batch_size: items in a batch.
        shuffle: put the items into another order in every epoch.
        drop_last: leave out a last batch that is smaller than the others.
        num_workers: threads that prepare batches ahead; 0 prepares each one when it is asked for.
        prefetch_factor: batches that each thread prepares ahead.
        collate_fn: makes a batch of a list of items; the data set's own way when left out.
        generator: draws the loader's seed, once; the default generator when left out.
        seed: the loader's seed itself.
        dtype: float32 or float64, what floats are converted to; when left out they keep their type. Whole numbers,
            such as labels, always do.
        backend: where the batches live; tensors stay where they are and arrays go to the default when it is left out.
        pin_memory: taken for PyTorch's sake, without effect: there is no other memory to copy to.
        persistent_workers: taken for PyTorch's sake, without effect: threads start at once.

    Raises:
        ArgumentError: a number is out of range, or both ``seed`` and ``generator`` are given.
        DTypeError: the dtype is not one to compute with.

    >>> from minitorch.data import TensorDataset
    >>> loader = DataLoader(TensorDataset(np.arange(5), np.arange(5) * 10), batch_size=2)
    >>> for x, y in loader:
    ...     print(x.tolist(), y.tolist())
    [0, 1] [0, 10]
    [2, 3] [20, 30]
    [4] [40]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        num_workers: int = 0,
        prefetch_factor: int = 2,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        generator: Generator | None = None,
        seed: int | None = None,
        dtype: npt.DTypeLike | None = None,
        backend: TensorBackend | None = None,
        pin_memory: bool = False,
        persistent_workers: bool = False,
    ) -> None:
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("num_workers", num_workers, 0),
            ("prefetch_factor", prefetch_factor, 1),
        ):
            if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
                raise ArgumentError(
                    f"expected a whole number of {least} or more as {name}, got {value!r}. Pass an int."
                )
        if seed is not None and generator is not None:
            raise ArgumentError("expected a seed, or a generator to draw one from, got both. Leave one out.")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.collate_fn = collate_fn
        self.dtype = None if dtype is None else float_dtype(dtype)
        self.backend = None if backend is None else check_backend(backend)
        self.seed = _drawn_seed(generator or default_generator) if seed is None else Generator(seed).seed
        # (epoch, batch): where the next pass begins, and how far the latest one has come.
        self._next = self._position = (0, 0)

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole if self.drop_last or not rest else whole + 1

    def __iter__(self) -> Iterator[Any]:
        """Begin the next epoch, or the one that a loaded state stands in."""
        epoch, first = self._next
        self._next = (epoch + 1, 0)
        self._position = (epoch, first)
        return self._epoch(epoch, first)

    def state_dict(self) -> dict[str, int]:
        """Give what to save to go on from here: the seed, the epoch, and how many of its batches were handed out.

        A batch that is being worked on counts as handed out.
        """
        epoch, batch = self._position
        return {"seed": self.seed, "epoch": epoch, "batch": batch}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from a saved state: the next ``for`` gives what is left of its epoch.

        Args:
            state: from ``state_dict`` of a loader of the same data set and batch size.

        Raises:
            ArgumentError: a number is missing or negative.
        """
        numbers = [state.get(name) for name in ("seed", "epoch", "batch")]
        if not all(isinstance(number, int) and number >= 0 for number in numbers):
            raise ArgumentError(
                f"expected the state of a DataLoader, whole numbers named seed, epoch and batch, got {dict(state)}. "
                "Pass what state_dict() gave."
            )
        self.seed, epoch, batch = int(state["seed"]), int(state["epoch"]), int(state["batch"])
        self._next = self._position = (epoch, batch)

    def _epoch(self, epoch: int, first: int) -> Iterator[Any]:
        order = self._order(epoch)
        for number, batch in enumerate(self._batches(epoch, first, order), start=first + 1):
            # The state after the last batch is the beginning of the next epoch.
            self._position = (epoch, number) if number < len(self) else (epoch + 1, 0)
            yield batch
        self._position = (epoch + 1, 0)

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        count = len(self.dataset)
        return self._generator(epoch, 0).permutation(count) if self.shuffle else np.arange(count)

    def _generator(self, epoch: int, place: int) -> Generator:
        """Make the generator of an epoch's order (place 0) or of a batch (its number, from 1)."""
        generator = Generator(self.seed)
        # Epochs count from 1 here, as stream 0 of this seed may be in use elsewhere.
        generator.state = (self.seed, (epoch + 1) << EPOCH_BITS | place << BATCH_BITS)
        return generator

    def _batches(self, epoch: int, first: int, order: npt.NDArray[np.int64]) -> Iterator[Any]:
        numbers = range(first, len(self))
        if self.num_workers == 0:
            for number in numbers:
                yield self._batch(epoch, number, order)
            return
        from concurrent.futures import Future, ThreadPoolExecutor  # on first use: most loaders need no threads

        waiting = iter(numbers)
        coming: deque[Future[Any]] = deque()
        with ThreadPoolExecutor(self.num_workers, thread_name_prefix="DataLoader") as pool:
            try:
                while True:
                    while len(coming) < self.num_workers * self.prefetch_factor:
                        if (number := next(waiting, None)) is None:
                            break
                        coming.append(pool.submit(self._batch, epoch, number, order))
                    if not coming:
                        return
                    yield coming.popleft().result()
            finally:  # the consumer may have left the loop, or a batch may have failed
                for future in coming:
                    future.cancel()

    def _batch(self, epoch: int, number: int, order: npt.NDArray[np.int64]) -> Any:
        rows = order[number * self.batch_size : (number + 1) * self.batch_size]
        try:
            if self.collate_fn is not None:
                values = self.collate_fn([self.dataset[row] for row in rows.tolist()])
            else:
                values = gather(self.dataset, rows, self._generator(epoch, number + 1))
            return self._as_tensors(values)
        except Exception as error:
            some = ", ".join(map(str, rows[:8].tolist())) + (", ..." if len(rows) > 8 else "")
            error.add_note(f"This happened in batch {number} of epoch {epoch} of a DataLoader, with the items {some}.")
            raise

    def _as_tensors(self, values: Any) -> Any:
        if isinstance(values, np.ndarray):
            target = storage_dtype(values.dtype) if self.dtype is None or values.dtype.kind != "f" else self.dtype
            # A transform may give a view that cannot be written, or one that walks backwards.
            return _wrap(np.require(values, target, ["C", "W"]), self.backend, requires_grad=False)
        if isinstance(values, Tensor):
            if self.backend is not None and values.backend != self.backend:
                values = values.to(self.backend)
            if self.dtype is not None and values.dtype.kind == "f" and values.dtype != self.dtype:
                values = values.to(self.dtype)
            return values
        if isinstance(values, Mapping):
            return {key: self._as_tensors(value) for key, value in values.items()}
        if isinstance(values, tuple):
            return tuple(self._as_tensors(value) for value in values)
        if isinstance(values, list):
            return [self._as_tensors(value) for value in values]
        return values


def _drawn_seed(generator: Generator) -> int:
    high, low = generator.words(2).tolist()
    return high << 32 | low
