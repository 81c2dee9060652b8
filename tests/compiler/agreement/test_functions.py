"""Composed functions in a compiled step: what they give, what they check, and what they refuse.

The rows of a file share one program, because compiling costs seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch.errors import CompileError, IndexingError
from minitorch.fast_ops import FastBackend
from minitorch.tensor import Tensor

from ...cases import Array, make
from ...function_cases import KEYS, ROWS

# Keys of constants become constant places, whatever they look like: these are enough.
SOME_KEYS = {"steps", "new dimensions", "list with a step", "lists apart", "mask of two dimensions"}
MODULES = ("tensor", "shaping", "pointwise", "reductions", "sorting", "indexing")


class Rows:
    """Calls of many functions, forward and backward, as one step."""

    def __init__(self, module: str) -> None:
        self.rows = [row for row in ROWS if row.module == module and (row.name not in KEYS or row.name in SOME_KEYS)]

    def step(self, arguments: list[list[Tensor]]) -> list[Tensor]:
        results = [row.call(*operands) for row, operands in zip(self.rows, arguments, strict=True)]
        for out in results:
            out.backward(make(np.cos(np.arange(out.size)).reshape(out.shape), FastBackend))
        return results

    def run(self, step: Callable[..., Any]) -> dict[str, Array]:
        arguments = [[make(a, FastBackend, requires_grad=True) for a in row.operands()] for row in self.rows]
        found: dict[str, Array] = {}
        for row, out, operands in zip(self.rows, step(arguments), arguments, strict=True):
            found[row.name] = out.to_numpy().copy()
            for i, x in enumerate(operands):
                assert x.grad is not None
                found[f"{row.name}, gradient {i}"] = x.grad.to_numpy().copy()
        return found


@pytest.mark.parametrize("module", MODULES)
def test_every_function_agrees(module: str) -> None:
    rows = Rows(module)
    eager = rows.run(rows.step)
    compiled = minitorch.compile(rows.step)
    for _ in range(2):  # the second call begins with what the first left in the program's memory
        for what, value in rows.run(compiled).items():
            np.testing.assert_allclose(value, eager[what], rtol=1e-12, atol=1e-12, err_msg=what)


def test_the_modules_of_the_table_are_compiled() -> None:
    assert {row.module for row in ROWS} == set(MODULES)
    assert set(KEYS) >= SOME_KEYS


# --- indices that are known in each call only ------------------------------------------------------------------


def pick(x: Tensor, index: Tensor, column: Tensor) -> list[Tensor]:
    rows, places = index[:, 0], index.transpose(0, 1)
    return [
        x[rows],
        x[rows, index[:, 1]],
        x[:, rows, None],
        x.gather(1, column),
        x.scatter(1, column, 0.5),
        x.scatter_add(0, places, x),
        minitorch.one_hot(rows, 4, dtype="float64"),
    ]


def test_indices_of_each_call() -> None:
    x = make(np.random.default_rng(3).normal(size=(4, 4)), FastBackend)
    compiled = minitorch.compile(pick)
    column = make([[3, 3, 0], [0, 1, 0]], FastBackend, "int64")
    for index in ([[0, 1], [3, 2], [1, 1]], [[3, 0], [0, 0], [2, 3]]):
        arguments = x, make(index, FastBackend, "int64"), column
        for found, expected in zip(compiled(*arguments), pick(*arguments), strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())
    assert len(compiled.traces) == 1


@pytest.mark.parametrize("dtype", ["int64", "int32"])
def test_indices_outside_are_found_when_they_come(dtype: str) -> None:
    """Also where another element of the tensor stands at the place that they would be counted to."""
    x = make(np.arange(12.0).reshape(3, 4), FastBackend)
    calls: list[tuple[Callable[[Tensor, Tensor], Tensor], int, int]] = [
        (lambda x, i: x[:, i], -4, 4),
        (lambda x, i: x.gather(1, i.unsqueeze(0)), 3, -1),
    ]
    for call, inside, outside in calls:
        compiled = minitorch.compile(call)
        index = make([inside], FastBackend, dtype)
        np.testing.assert_array_equal(compiled(x, index).to_numpy(), call(x, index).to_numpy())
        with pytest.raises(IndexingError):
            compiled(x, make([outside], FastBackend, dtype))


def test_sorting_ties_and_nan() -> None:
    values = [[1.0, np.nan, 0.0, 1.0], [np.nan, -np.inf, np.nan, np.inf]]
    x = make(values, FastBackend)

    def step(x: Tensor) -> list[Tensor]:
        return [*x.sort(1), *x.sort(0, descending=True), *x.topk(3), minitorch.argsort(x > 0, descending=True)]

    for found, expected in zip(minitorch.compile(step)(x), step(x), strict=True):
        np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())


def test_places_of_the_largest() -> None:
    x = make(np.random.default_rng(0).integers(-2, 3, (5, 4, 3)), FastBackend, "float32")

    def step(x: Tensor) -> list[Tensor]:
        return [x.argmax(), *(x.argmax(dim, keepdim) for dim in range(3) for keepdim in (False, True))]

    for found, expected in zip(minitorch.compile(step)(x), step(x), strict=True):
        assert (found.shape, found.dtype) == (expected.shape, np.int64)
        np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())


def test_parts_in_order_are_contiguous() -> None:
    x = make(np.random.default_rng(0).standard_normal((4, 3, 2)), FastBackend)

    def step(x: Tensor) -> list[Tensor]:
        return [part.view(-1) for dim in range(3) for part in (*x.topk(2, dim), *x.permute(2, 0, 1).sort(dim))]

    for found, expected in zip(minitorch.compile(step)(x), step(x), strict=True):
        np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())


@pytest.mark.parametrize("source", ["float32", "float64", "int64", "int32", "bool"])
@pytest.mark.parametrize("target", ["float32", "float64", "int64", "bool"])
def test_conversions(source: str, target: str) -> None:
    x = make(np.array([[-2.7, -0.5, 0.0], [0.3, 1.9, 1e6]]).astype(source), FastBackend, source)

    def step(x: Tensor) -> list[Tensor]:
        y = x.permute(1, 0).to(target)
        return [x.to(target), y, (y + y * y).to("float64") * 0.5, minitorch.cat([y, y[:1]])]

    for found, expected in zip(minitorch.compile(step)(x), step(x), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())


def masks(x: Tensor, labels: Tensor, other: Tensor) -> list[Tensor]:
    """Make masks of every kind, and use them in every way that keeps its shape."""
    equal, few = labels == 2, (labels <= other) & (labels != 0)
    return [
        *(equal, few, labels < other, labels > 1, labels >= other, equal == few, equal != few, equal < few),
        *(equal | few, ~equal, ~(equal & few), equal & (x > 0), (x > 0) | equal, (x > 0) & ~(x > 1)),
        *(equal.sum(), few.sum(0), equal.any(1), equal.all(), (labels + 1).all(0), labels.any(), (x > 9).any()),
        *(minitorch.where(few, x, 0.5), minitorch.where(equal, labels, -1), minitorch.where(few, equal, few)),
        *(equal.float().mean(), equal.to("int64") * 3, equal.permute(1, 0), minitorch.cat([equal, few], 1)),
        *(
            equal[0],
            few[..., 1:],
            equal + few,
            equal * few,
            (equal + equal).sum(),
            equal.unsqueeze(0),
            few.gather(1, labels),
        ),
    ]


def test_masks() -> None:
    rng = np.random.default_rng(0)
    compiled = minitorch.compile(masks)
    for _ in range(2):
        x = make(rng.normal(size=(3, 4)), FastBackend)
        labels, other = (make(rng.integers(0, 4, (3, 4)), FastBackend, "int64") for _ in range(2))
        for i, (found, expected) in enumerate(zip(compiled(x, labels, other), masks(x, labels, other), strict=True)):
            assert (i, found.dtype, found.shape) == (i, expected.dtype, expected.shape)
            np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy(), err_msg=str(i))


def test_a_mask_is_an_argument_and_a_result() -> None:
    step = minitorch.compile(lambda x, mask: [minitorch.where(mask, x, -x), ~mask, mask])
    x = make([1.0, 2.0, 3.0], FastBackend)
    for values in ([True, False, True], [False, False, True]):
        chosen, opposite, same = step(x, make(values, FastBackend, "bool"))
        assert chosen.tolist() == [v if m else -v for v, m in zip([1.0, 2.0, 3.0], values, strict=True)]
        assert (opposite.tolist(), same.tolist()) == ([not m for m in values], values)


def test_the_accuracy_of_a_batch() -> None:
    scores = make([[0.1, 0.7, 0.2], [0.5, 0.1, 0.4], [0.0, 0.0, 1.0]], FastBackend)
    step = minitorch.compile(lambda scores, labels: (scores.argmax(1) == labels).to("float32").mean())
    for labels, right in (([1, 0, 2], 1.0), ([1, 1, 1], 1 / 3), ([0, 1, 0], 0.0)):
        assert step(scores, make(labels, FastBackend, "int64")).item() == np.float32(right)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.argmax(0),
        lambda x: minitorch.argmax(x, 0),
        lambda x: x.min(0),
        lambda x: x.max(),
        lambda x: x.sort().indices,
        lambda x: x.topk(1).indices,
        lambda x: x.to("float64"),
    ],
)
def test_a_tensor_from_outside_is_read_in_every_call(function) -> None:
    """The step refers to it; what is computed of it must not be frozen."""
    outside = make([0.0, 3.0, 1.0], FastBackend)
    step = minitorch.compile(lambda zero: function(outside).to("float32") + zero)
    zero = make([0.0], FastBackend, "float32")
    for place in (0, 2):
        np.testing.assert_array_equal(step(zero).to_numpy(), function(outside).to("float32").to_numpy().reshape(-1))
        outside[place] = 10.0 + place


# --- refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "way_out"),
    [
        (lambda x: x[x > 0], r"minitorch\.where\(mask, x, 0\.0\)"),
        (lambda x: minitorch.one_hot(x.argsort()), "Pass num_classes"),
        (lambda x: x[0, 0], "cannot read the value"),
    ],
    ids=["mask", "classes", "number"],
)
def test_what_depends_on_values_is_refused(step: Callable[[Tensor], Any], way_out: str) -> None:
    x = make([[1.0, -1.0], [0.5, 2.0]], FastBackend)
    with pytest.raises(CompileError, match=rf"{way_out}.*test_functions\.py:\d+"):
        minitorch.compile(step)(x)
    with minitorch.debug():
        minitorch.compile(step)(x)
