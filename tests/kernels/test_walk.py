"""Walks of the GPU's kernels: joined dimensions visit what NumPy's strides visit, in the same order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.kernels.cuda.walk import joined, place

SHAPES = st.lists(st.integers(1, 4), max_size=4).map(tuple)


@given(shape=SHAPES, data=st.data())
def test_every_element_is_where_its_strides_say(shape, data):
    numbers = st.lists(st.integers(0, 12), min_size=len(shape), max_size=len(shape)).map(tuple)
    operands = [data.draw(numbers), data.draw(numbers)]
    sizes, *walks = joined(shape, *operands)
    for strides, walk in zip(operands, walks, strict=True):
        expected = [sum(i * s for i, s in zip(index, strides)) for index in np.ndindex(*shape)]
        assert [place(k, sizes, walk) for k in range(math.prod(shape))] == expected


@pytest.mark.parametrize(
    ("shape", "strides", "expected"),
    [
        ((), [()], ((1,), (0,))),
        ((1, 1), [(5, 1)], ((1,), (0,))),
        ((2, 3, 4), [(12, 4, 1)], ((24,), (1,))),
        ((2, 3, 4), [(12, 4, 1), (0, 0, 1)], ((6, 4), (4, 1), (0, 1))),
        ((2, 3), [(3, 2)], ((2, 3), (3, 2))),
        ((2, 1, 3), [(3, 7, 1)], ((6,), (1,))),
    ],
)
def test_what_all_operands_walk_as_one_becomes_one(shape, strides, expected):
    assert joined(shape, *strides) == expected
