"""Loops that are written as text: the join of many operands, which has one loop for those that are walked alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minitorch
from minitorch import Tensor
from minitorch.fast_ops import FastBackend

from ...cases import Array

Take = Callable[[Tensor], Tensor]


def operands(shapes: Sequence[tuple[int, ...]], dtype: str = "float32") -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def tensors(arrays: Sequence[Array]) -> list[Tensor]:
    return [minitorch.from_numpy(array, backend=FastBackend) for array in arrays]


@settings(max_examples=12)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=70),
    st.integers(0, 2),
    st.sampled_from(["float32", "float64", "int64"]),
    st.booleans(),
)
def test_any_number_of_operands_of_any_width_are_joined(widths, dim, dtype, turned):
    shapes = [tuple(width if d == dim else size for d, size in enumerate((3, 2, 4))) for width in widths]
    arrays = [np.round(10 * array).astype(dtype) for array in operands(shapes, "float64")]
    step = minitorch.compile(lambda parts: minitorch.cat([p.permute(2, 1, 0) for p in parts] if turned else parts, dim))
    given_ = [np.ascontiguousarray(array.transpose(2, 1, 0)) for array in arrays] if turned else arrays
    np.testing.assert_array_equal(step(tensors(given_)).to_numpy(), np.concatenate(arrays, dim))


@pytest.mark.parametrize("count", [2, 3, 4, 32, 33])
def test_operands_that_are_walked_alike_share_a_loop_with_constants_between_them(count):
    arrays = operands([(3, 5 + k % 4) for k in range(count)])

    def step(parts: list[Tensor]) -> Tensor:
        constants = [parts[0].zeros((3, 2)), parts[0].zeros((3, 1)) + 1.0]
        every_second = parts[0][:, ::2]
        return minitorch.cat(
            [constants[0], *parts[: count // 2], parts[0], constants[1], every_second, *parts[count // 2 :]], dim=1
        )

    compiled = minitorch.compile(step)
    np.testing.assert_array_equal(compiled(tensors(arrays)).to_numpy(), step(tensors(arrays)).to_numpy())
    assert ("for part in range(" in compiled.source) == (count > 3)


def test_the_batch_of_a_region_is_joined_too():
    """The join reads what the same region has computed, and is divided by images."""
    arrays = operands([(16, 3 + k % 3) for k in range(9)])

    def step(parts: list[Tensor]) -> Tensor:
        return minitorch.cat([(part * 2.0).relu() for part in parts], dim=1) * 0.5

    compiled = minitorch.compile(step)
    np.testing.assert_array_equal(compiled(tensors(arrays)).to_numpy(), step(tensors(arrays)).to_numpy())
    assert "for part in range(9)" in compiled.source


def test_the_loops_of_a_join_do_not_grow_with_its_operands():
    arrays = operands([(64, 32 + k % 17) for k in range(32)])
    step = minitorch.compile(lambda parts: minitorch.cat(parts, dim=1))
    np.testing.assert_array_equal(step(tensors(arrays)).to_numpy(), np.concatenate(arrays, 1))
    loops = step.source.split("def program")[0]
    assert loops.count(" in range(") == 3  # over the operands, the images and the elements of a row


# --- functions of a user ---------------------------------------------------------------------------------------------


def called(name: str) -> Any:
    """Make a function of one element that has a name."""

    def plus_one(x: float) -> float:
        return x + 1

    plus_one.__name__ = name
    return plus_one


def test_a_function_may_be_called_as_anything_in_the_loops_is():
    """As their variables, the types in them, and what other functions are called in them."""

    def step(names: list[str]) -> Any:
        functions = [called(name) for name in names]

        def all_of_them(x: Tensor) -> list[Tensor]:
            for function in functions:
                x = x.backend.ops.map(function)(x)
            return [minitorch.dropout(x, 0.5), x.sum(0), x.sum(1)]

        return minitorch.compile(all_of_them)

    x = tensors(operands([(3, 70)]))[0]
    plain = step(["plain"])
    plain(x)
    taken = sorted(set(re.findall(r"[a-z_]\w*", plain.source)))
    assert {"i", "b", "a0", "y0", "total", "float32", "uint64", "range", "f_plain"} <= set(taken)
    _, *found = step(taken)(x)
    for ours, dim in zip(found, (0, 1), strict=True):
        expected = (x.to_numpy() + len(taken)).sum(dim, keepdims=True)
        np.testing.assert_allclose(ours.to_numpy(), expected, rtol=1e-5)
