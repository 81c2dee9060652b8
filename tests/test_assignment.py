"""Writing into parts of tensors, against NumPy, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch
from minitorch.autodiff import no_grad
from minitorch.errors import (
    BackendError,
    BroadcastError,
    CompileError,
    DTypeError,
    GraphError,
    IndexingError,
)
from minitorch.fast_ops import FastBackend
from minitorch.tensor import Tensor
from minitorch.tensor_data import TensorData

from .cases import BACKENDS, DTYPES, LAYOUTS, make
from .function_cases import KEYS
from .tensor_strategies import shapes
from .test_indexing import basic_keys

SHAPE = (4, 5, 3)


def numbers(*shape: int) -> Any:
    return np.arange(1.0, np.prod(shape) + 1).reshape(shape)


@pytest.mark.parametrize("layout", ["contiguous", "permuted", "sliced"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("key", KEYS.values(), ids=list(KEYS))
def test_every_key_that_reads_also_writes(key: Any, backend: str, dtype: str, layout: str) -> None:
    for shaped in (lambda part: part, lambda part: part[..., :1] if part.ndim else part, lambda part: np.float64(-2)):
        x = make(numbers(*SHAPE), BACKENDS[backend], dtype, LAYOUTS[layout])
        expected = numbers(*SHAPE)
        value = np.asarray(shaped(-numbers(*SHAPE)[key]))
        x[key] = make(value, BACKENDS[backend], dtype) if value.ndim else -2
        expected[key] = value
        np.testing.assert_array_equal(x.to_numpy(), expected)


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
@given(shapes(max_side=4), st.data())
def test_numbers_and_slices(backend, shape: tuple[int, ...], draw: st.DataObject) -> None:
    expected, key = numbers(*shape), draw.draw(basic_keys(shape))
    x = make(expected, backend)
    x[key] = -1
    expected[key] = -1
    np.testing.assert_array_equal(x.to_numpy(), expected)


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
def test_masks_of_every_kind(backend) -> None:
    for of in (lambda x: x < 0, lambda x: make(x.to_numpy() < 0, backend, "bool"), lambda x: x.to_numpy() < 0):
        x = make([[1.0, -2.0], [-3.0, 4.0]], backend)
        x[of(x)] = 0
        assert x.tolist() == [[1.0, 0.0], [0.0, 4.0]]
        x[of(x - 2)] += 10
        assert x.tolist() == [[11.0, 10.0], [10.0, 4.0]]


def test_the_tensors_of_an_index_and_integers_in_arrays() -> None:
    x = make(np.zeros((3, 2)))
    x[make([2, 0], dtype="int64")] = make([[1.0, 2.0], [3.0, 4.0]])
    assert x.tolist() == [[3.0, 4.0], [0.0, 0.0], [1.0, 2.0]]
    x[np.array(1)] = make([5.0, 6.0])
    x[make(2, dtype="int64"), 1] = 7
    assert x.tolist() == [[3.0, 4.0], [5.0, 6.0], [1.0, 7.0]]


def test_a_write_is_seen_through_every_view_and_reads_before_it_writes() -> None:
    x = make(np.arange(6.0))
    view = x.view(2, 3)
    view[:, 1] = -1
    assert x.tolist() == [0.0, -1.0, 2.0, 3.0, -1.0, 5.0]
    x[1:] = x[:-1]
    assert x.tolist() == [0.0, 0.0, -1.0, 2.0, 3.0, -1.0]
    x[:0] = 9
    assert x.tolist() == [0.0, 0.0, -1.0, 2.0, 3.0, -1.0]


def test_a_number_takes_its_dimension_away_first() -> None:
    x = make(np.zeros(SHAPE))
    x[0, :, [0, 2]] = make(numbers(5, 2))
    np.testing.assert_array_equal(x.to_numpy()[0][:, [0, 2]], numbers(5, 2))
    assert x.sum().item() == numbers(5, 2).sum()


# --- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [(0, 0, 0, 0), 4, (0, -6), [4], [0, -5], (slice(None), [5]), slice(None, None, -1), "a", np.ones(3, bool), 1.5],
)
def test_what_cannot_be_read_cannot_be_written(key: Any) -> None:
    x = make(numbers(*SHAPE))
    with pytest.raises(IndexingError) as reading:
        x[key]
    with pytest.raises(IndexingError) as writing:
        x[key] = 0
    assert str(writing.value) == str(reading.value)
    np.testing.assert_array_equal(x.to_numpy(), numbers(*SHAPE))


@pytest.mark.parametrize(
    ("key", "shape", "told"),
    [
        (0, (5, 2), r"\(5, 3\), got one of \(5, 2\)"),
        ((slice(None), 1), (5,), r"\(4, 3\), got one of \(5,\)"),
        ((0, 0, 0), (2,), r"\(\), got one of \(2,\)"),
        ([0, 1], (3, 5, 3), r"\(2, 5, 3\), got one of \(3, 5, 3\)"),
        (([0, 1], [0, 1, 2]), (1,), r"\(2,\) and \(3,\)"),
    ],
)
def test_values_of_another_shape(key: Any, shape: tuple[int, ...], told: str) -> None:
    x = make(numbers(*SHAPE))
    with pytest.raises(BroadcastError, match=told):
        x[key] = make(np.zeros(shape))
    np.testing.assert_array_equal(x.to_numpy(), numbers(*SHAPE))


def test_values_of_another_kind() -> None:
    x = make(numbers(2, 2))
    with pytest.raises(DTypeError, match="float64, the other float32"):
        x[0] = make([1.0, 2.0], dtype="float32")
    with pytest.raises(BackendError, match="FastOps"):
        x[0] = make([1.0, 2.0], FastBackend)
    with pytest.raises(DTypeError, match="got list"):
        x[0] = [1.0, 2.0]  # type: ignore[assignment]
    whole = make([1, 2], dtype="int64")
    for key in (0, slice(None)):
        with pytest.raises(DTypeError, match=r"0\.5 is no number of int64"):
            whole[key] = 0.5
    assert (x.tolist(), whole.tolist()) == ([[1.0, 2.0], [3.0, 4.0]], [1, 2])


def test_recorded_tensors_and_values() -> None:
    leaf = make(numbers(2, 2), requires_grad=True)
    computed, constant = leaf * leaf, make(numbers(2, 2))
    for x in (leaf, computed, leaf[0:1]):
        with pytest.raises(GraphError, match=r"where, cat or scatter"):
            x[:, 0] = 0
    with pytest.raises(GraphError, match=r"no gradient would come back.*detach\(\)"):
        constant[:, 0] = computed[:, 0]
    with no_grad():
        with pytest.raises(GraphError):
            computed[:, 0] = 0
        leaf[:, 0] = 0  # a parameter may be set between steps
        constant[:, 1] = computed[:, 1]
    assert leaf.tolist() == [[0.0, 2.0], [0.0, 4.0]]
    assert constant.tolist() == [[1.0, 4.0], [3.0, 16.0]]


def test_an_element_that_stands_in_several_places() -> None:
    x = make(numbers(3)).expand(2, 3)
    for key in ((0, 0), 0, x > 2):
        with pytest.raises(GraphError, match=r"clone\(\)"):
            x[key] = 0
    copy = x.clone()
    copy[0] = 0
    assert copy.tolist() == [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]


@pytest.mark.parametrize("written", ["operand", "view", "result", "mask", "places", "parameter"])
def test_a_gradient_that_would_be_wrong_is_refused(written: str) -> None:
    x, c = make(numbers(2, 2), requires_grad=True), make(numbers(2, 2))
    mask, places = c > 2, make([1, 0], dtype="int64")
    product = minitorch.where(mask, x * c, x).exp()
    out = (product[places] * c).sum()
    changed: dict[str, Tensor] = {
        "operand": c,
        "view": c.view(4),
        "result": product.detach(),
        "mask": mask,
        "places": places,
        "parameter": x.detach(),
    }
    changed[written][:1] = 0
    if written == "places":  # it was turned into places of its own when it was read
        out.backward()
        return
    with pytest.raises(GraphError, match="was written after"):
        out.backward()


def test_places_that_an_operation_was_given_are_watched() -> None:
    x, places = make(numbers(4), requires_grad=True), make([1, 0], dtype="int64")
    out = minitorch.tensor_functions.Take.apply(x, minitorch.tensor_functions.Places(places)).sum()
    places[:] = 2
    with pytest.raises(GraphError, match="was written after"):
        out.backward()


# --- compiled steps --------------------------------------------------------------------------------------------

TABLE = Tensor(TensorData.from_array(numbers(2, 2)), backend=FastBackend)


def into_an_argument(x: Tensor) -> Tensor:
    x[:, 0] = 0
    return x


def into_a_tensor_from_outside(x: Tensor) -> Tensor:
    TABLE[0] = 5
    return x * TABLE


def into_a_result(x: Tensor) -> Tensor:
    y = x * 2
    y[y > 2] = 0
    return y


def into_zeros(x: Tensor) -> Tensor:
    y = minitorch.zeros((2, 2), backend=FastBackend)
    y[0, 0] = 1
    return x * y


@pytest.mark.parametrize("step", [into_an_argument, into_a_tensor_from_outside, into_a_result, into_zeros])
def test_a_compiled_step_refuses_to_write(step: Any) -> None:
    x, before = make(numbers(2, 2), FastBackend), TABLE.to_numpy().copy()
    with pytest.raises(CompileError, match=r"cannot write into a tensor.*minitorch\.debug\(\)") as caught:
        minitorch.compile(step)(x)
    assert "test_assignment.py:" in str(caught.value)
    np.testing.assert_array_equal(x.to_numpy(), numbers(2, 2))
    np.testing.assert_array_equal(TABLE.to_numpy(), before)


def test_a_compiled_step_sees_what_is_written_between_its_calls() -> None:
    table, x = make(numbers(2, 2), FastBackend), make(np.ones((2, 2)), FastBackend)
    weight = minitorch.Parameter(make(numbers(2, 2), FastBackend))

    def step(x: Tensor) -> Tensor:
        return x * table + weight.value

    compiled = minitorch.compile(step)
    assert compiled(x).tolist() == [[2.0, 4.0], [6.0, 8.0]]
    table[:, 0] = 0
    with no_grad():
        weight.value[0] = 0
    x[1, 1:] = -1
    assert compiled(x).tolist() == step(x).tolist() == [[0.0, 2.0], [3.0, 0.0]]
    assert len(compiled.traces) == 1
