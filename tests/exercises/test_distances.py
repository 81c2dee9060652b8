"""The distances of exercise 1, by all differences and by the identity, beside SciPy's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import minitorch
from minitorch import Tensor

from .defined import defined

Distances = Callable[[Tensor, Tensor], Tensor]


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    with defined("1_tensors", "by differences", "by the identity") as names:
        yield names


@pytest.fixture(params=["by_differences", "squared_distances"])
def distances(names: dict[str, Any], request: pytest.FixtureRequest) -> Distances:
    return names[request.param]


@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (1, 5, 3), (5, 1, 3), (4, 4, 1), (7, 9, 8), (65, 33, 17)])
def test_every_point_of_one_set_from_every_point_of_the_other(distances: Distances, n: int, m: int, d: int) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(count, d)).astype(np.float32) for count in (n, m))
    found = distances(minitorch.tensor(a), minitorch.tensor(b)).to_numpy()
    assert found.shape == (n, m)
    np.testing.assert_allclose(found, cdist(a, b, "sqeuclidean"), rtol=1e-5, atol=1e-5)


def test_points_may_be_a_transposed_table(distances: Distances) -> None:
    a, b = (np.random.default_rng(seed).normal(size=(3, 5)).astype(np.float32) for seed in (1, 2))
    found = distances(minitorch.tensor(a).transpose(0, 1), minitorch.tensor(b).transpose(0, 1)).to_numpy()
    np.testing.assert_allclose(found, cdist(a.T, b.T, "sqeuclidean"), rtol=1e-5, atol=1e-5)


def test_no_distance_is_negative_where_points_are_close_and_far_from_the_origin(names: dict[str, Any]) -> None:
    a = (1000 + np.random.default_rng(3).normal(size=(50, 4))).astype(np.float32)
    lengths = (a * a).sum(1)
    assert (lengths[:, None] + lengths - 2 * a @ a.T).min() < 0, "these points need no clip"
    found = names["squared_distances"](minitorch.tensor(a), minitorch.tensor(a))
    assert found.to_numpy().min() == 0.0
    assert not np.isnan(found.sqrt().to_numpy()).any()


def test_the_identity_has_gradients(names: dict[str, Any]) -> None:
    """The sum of all squared distances changes with a point by twice the sum of its differences."""
    rng = np.random.default_rng(4)
    a, b = (rng.normal(size=(count, 3)).astype(np.float32) for count in (4, 6))
    points = minitorch.tensor(a, requires_grad=True)
    names["squared_distances"](points, minitorch.tensor(b)).sum().backward()
    assert points.grad is not None
    np.testing.assert_allclose(points.grad.to_numpy(), 2 * (a[:, None] - b).sum(1), rtol=1e-4, atol=1e-4)
