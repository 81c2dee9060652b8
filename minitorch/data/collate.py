"""From the items of a batch to the batch: what each item has at a place becomes one array there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..dtypes import default_dtype
from ..errors import ShapeError
from ..tensor import Tensor
from ..tensor_data import TensorData

__all__ = ["collate", "join"]


def collate(items: Sequence[Any]) -> Any:
    """Join items, all built alike, into a batch.

    Tensors become a tensor and arrays an array, with a new first dimension. Python's numbers become an array: int64
    for whole ones, bool for truth values, the default dtype for others. Tuples, lists and mappings are joined place by
    place. Anything else, such as text, stays a list.

    Args:
        items: one or more.

    Raises:
        ShapeError: arrays of different shapes, or tuples of different lengths, are in one place.

    >>> collate([(np.zeros(3), 1), (np.ones(3), 4)])[1].tolist()
    [1, 4]
    """
    first = items[0]
    if isinstance(first, Tensor):
        return Tensor(TensorData.from_array(_stack([item.to_numpy() for item in items])), backend=first.backend)
    if isinstance(first, np.ndarray | np.generic):
        return _stack(items)
    if isinstance(first, bool | int | float):
        numbers = np.asarray(items)
        return numbers.astype(default_dtype()) if numbers.dtype.kind == "f" else numbers
    if isinstance(first, Mapping):
        return {key: collate([item[key] for item in items]) for key in first}
    if isinstance(first, tuple | list):
        lengths = sorted({len(item) for item in items})
        if len(lengths) > 1:
            raise ShapeError(
                f"expected items of one length in a batch, got {lengths}. Give the loader a collate_fn that joins them."
            )
        return tuple(collate(places) for places in zip(*items, strict=True))
    return list(items)


def join(batches: Sequence[Any], order: npt.NDArray[np.int64]) -> Any:
    """Put batches, all built alike, one behind the other, and then into ``order``.

    >>> join([np.array([10, 11]), np.array([12])], np.array([2, 0, 1])).tolist()
    [12, 10, 11]
    """
    first = batches[0]
    if isinstance(first, Tensor):
        whole = np.concatenate([batch.to_numpy() for batch in batches])[order]
        return Tensor(TensorData.from_array(whole), backend=first.backend)
    if isinstance(first, np.ndarray):
        return np.concatenate(batches)[order]
    if isinstance(first, Mapping):
        return {key: join([batch[key] for batch in batches], order) for key in first}
    if isinstance(first, tuple):
        return tuple(join(places, order) for places in zip(*batches, strict=True))
    whole = [item for batch in batches for item in batch]
    return [whole[place] for place in order.tolist()]


def _stack(arrays: Sequence[Any]) -> npt.NDArray[Any]:
    shapes = {np.shape(array) for array in arrays}
    if len(shapes) > 1:
        raise ShapeError(
            f"expected items of one shape in a batch, got {' and '.join(map(str, sorted(shapes)))}. Bring them to one "
            "shape in the data set, or give the loader a collate_fn that pads them."
        )
    return np.stack(arrays)
