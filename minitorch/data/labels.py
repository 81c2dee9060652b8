"""Class labels as networks take them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError

__all__ = ["one_hot"]


def one_hot(labels: npt.ArrayLike, classes: int, dtype: npt.DTypeLike = np.float64) -> npt.NDArray[Any]:
    """Write each class label as a row of zeros with a one at the class.

    Args:
        labels: integers from 0 to ``classes - 1``, ``count``; whole numbers in a float array count as integers.
        classes: the number of classes.
        dtype: the type of the rows.

    Returns:
        ``count x classes``.

    Raises:
        DataError: the labels are not one-dimensional, not integral, or out of range.

    >>> one_hot([2, 0], 3).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    given = np.asarray(labels)
    if given.ndim != 1:
        raise DataError(
            f"expected one class label for each example, in one dimension, got shape {given.shape}. Flatten it with "
            "reshape(-1); rows that are one-hot already are used as they are."
        )
    if given.dtype.kind not in "biuf" or not (given.astype(np.float64) % 1 == 0).all():
        raise DataError(
            f"class labels are integers from 0 to {classes - 1}, got {given.dtype} with values that are not whole. "
            "Labels that are probabilities go to the loss as rows, as they are."
        )
    if given.size and not 0 <= given.min() <= given.max() < classes:
        raise DataError(
            f"class labels go from 0 to {classes - 1}, got {given.min()} to {given.max()}. Give the number of classes "
            "that the data has, or count from 0."
        )
    rows = np.zeros((given.size, classes), dtype)
    rows[np.arange(given.size), given.astype(np.int64)] = 1
    return rows
