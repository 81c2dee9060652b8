"""The point sets: where the points lie, which class each has, and what fixes them."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch
from minitorch.errors import ArgumentError
from minitorch.random import default_generator, manual_seed

NAMES = ["Simple", "Diag", "Split", "Xor", "Circle", "Spiral"]
# The share of the unit square that has class 1.
SHARES = {"Simple": 0.5, "Diag": 0.125, "Split": 0.4, "Xor": 0.5, "Circle": 1 - np.pi / 10}


@pytest.fixture(autouse=True)
def _leave_the_default_generator_as_it_was():
    before = default_generator.state
    yield
    default_generator.state = before


def expected_classes(name, x):
    left, low = x[:, 0] < 0.5, x[:, 1] < 0.5
    return {
        "Simple": left,
        "Diag": x.sum(1) < 0.5,
        "Split": abs(x[:, 0] - 0.5) > 0.3,
        "Xor": left ^ low,
        "Circle": np.hypot(*(x - 0.5).T) > np.sqrt(0.1),
    }[name]


def test_the_names_are_the_courses():
    assert list(minitorch.datasets) == NAMES


@pytest.mark.task0_5
@pytest.mark.parametrize("name", SHARES)
@given(n=st.integers(0, 200), seed=st.integers(0, 2**32))
def test_the_classes_follow_the_geometry(name, n, seed):
    manual_seed(seed)
    graph = minitorch.datasets[name](n)
    assert graph.N == len(graph.X) == len(graph.y) == n
    assert all(type(point) is tuple and type(point[0]) is float for point in graph.X)
    assert all(type(label) is int for label in graph.y)
    x = np.array(graph.X).reshape(n, 2)
    assert ((x >= 0) & (x < 1)).all()
    np.testing.assert_array_equal(graph.y, expected_classes(name, x).astype(int))


@pytest.mark.parametrize("name", SHARES)
def test_the_points_fill_the_square(name):
    manual_seed(0)
    graph = minitorch.datasets[name](20_000)
    assert abs(np.mean(graph.y) - SHARES[name]) < 0.015
    counts = np.histogram2d(*np.array(graph.X).T, bins=4, range=[[0, 1], [0, 1]])[0]
    assert (abs(counts / 20_000 - 1 / 16) < 0.01).all()


@pytest.mark.parametrize("n", [0, 1, 2, 7, 50])
def test_the_spiral_has_every_point_it_promises(n):
    graph = minitorch.datasets["Spiral"](n)
    assert graph.N == len(graph.X) == len(graph.y) == n
    assert graph.y == [0] * (n // 2) + [1] * (n - n // 2)


def test_the_arms_of_the_spiral():
    """At the distance t / 20 from the centre, at the angle t on the first arm, a quarter turn behind on the second."""
    n = 50
    x = np.array(minitorch.datasets["Spiral"](2 * n).X) - 0.5
    t = 10 * np.arange(5, n + 5) / n
    first, second = x[:n] @ [1, 1j], x[n:] @ [1, 1j]
    np.testing.assert_allclose(first, t / 20 * np.exp(1j * t), atol=1e-12)
    np.testing.assert_allclose(second, first * -1j, atol=1e-12)


def test_only_manual_seed_fixes_the_points():
    manual_seed(3)
    first = minitorch.datasets["Simple"](5)
    random.seed(3)
    assert minitorch.datasets["Simple"](5) != first
    manual_seed(3)
    assert minitorch.datasets["Simple"](5) == first


def test_the_dictionary_knows_its_functions_as_attributes():
    manual_seed(4)
    first = minitorch.datasets.xor(9)
    manual_seed(4)
    assert minitorch.datasets["Xor"](9) == first
    assert isinstance(first, minitorch.Graph)
    assert len(minitorch.datasets.make_pts(3)) == 3


def test_mistakes_are_named():
    with pytest.raises(ArgumentError, match=r"one of Simple, Diag, .*Spiral, got 'simple'"):
        minitorch.datasets["simple"]
    with pytest.raises(AttributeError, match="no attribute 'spirals'"):
        minitorch.datasets.spirals  # noqa: B018
    for count in (-1, 2.5, "3"):
        for name in NAMES:
            with pytest.raises(ArgumentError, match="number of points"):
                minitorch.datasets[name](count)
