"""Giving tensors other shapes and joining them, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import minitorch

from .cases import BACKENDS, make, permuted


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
def test_only_what_has_to_be_is_copied(backend) -> None:
    x = make(np.arange(12.0).reshape(3, 1, 4), backend)
    storage = x._tensor._storage
    views = [x.squeeze(), x.unsqueeze(0), x.flatten(), x.reshape(4, 3), x.transpose(0, 2), x.expand(3, 5, 4), x[1:, 0]]
    assert all(np.shares_memory(view._tensor._storage, storage) for view in views)
    for copy in (x.clone(), x.transpose(0, 2).flatten(), minitorch.cat([x])):
        assert not np.shares_memory(copy._tensor._storage, storage)


def test_a_view_of_ones_goes_through_layers_of_them() -> None:
    """Dropping and inserting sizes of 1 keeps the strides of the rest, in any memory layout."""
    x = make(np.arange(6.0).reshape(2, 1, 3), layout=permuted)
    out = x.squeeze(1).unsqueeze(0).unsqueeze(-1)
    assert out.shape == (1, 2, 3, 1)
    np.testing.assert_array_equal(out.to_numpy()[0, ..., 0], np.arange(6.0).reshape(2, 3))


def test_the_courses_expand_is_as_it_was() -> None:
    x = make(np.zeros((3, 1)))
    assert x.expand(make(np.ones((2, 3, 4)))).tolist() == [[8.0], [8.0], [8.0]]
