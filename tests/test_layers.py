"""Layers: scaled dropout and embeddings."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch import grad_check, nn
from minitorch.errors import ArgumentError, DataError, DTypeError
from minitorch.layers import Dropout, Embedding, embedding
from minitorch.random import manual_seed

from .cases import BACKENDS, DTYPES, assert_close, make, permuted
from .tensor_strategies import tensors

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


# --- dropout -------------------------------------------------------------------------------------------------


@both_backends
@both_dtypes
@given(st.data(), st.floats(0, 0.9), st.integers(0, 2**32))
def test_dropout_is_the_courses_scaled(backend, dtype, data, p, seed):
    """One kernel serves both: the same elements are kept, divided by 1 - p."""
    x = data.draw(tensors(backend=backend, dtype=dtype))
    manual_seed(seed)
    plain = nn.dropout(x, p).to_numpy()
    manual_seed(seed)
    scaled = Dropout(p)(x).to_numpy()
    assert_close(scaled, plain / (1 - p), dtype)


@given(tensors(), st.floats(0, 1))
def test_dropout_does_nothing_in_evaluation(x, p):
    layer = Dropout(p)
    layer.eval()
    assert layer(x) is x
    layer.train()
    assert (layer(x) is x) == (p == 0.0)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
def test_dropout_keeps_the_expected_value(p):
    manual_seed(1)
    out = Dropout(p)(make(np.ones(40_000), BACKENDS["fast"])).to_numpy()
    assert abs(out.mean() - 1) < 5 * math.sqrt(p / (1 - p) / 40_000)


@both_backends
def test_dropout_of_everything(backend):
    x = make([1.0, 2.0], backend, requires_grad=True)
    out = Dropout(1.0)(x)
    assert out.tolist() == [0.0, 0.0]
    out.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


@both_backends
def test_the_gradient_passes_through_the_same_mask(backend):
    x = make(np.ones((4, 5)), backend, requires_grad=True)
    out = Dropout(0.5)(x)
    d = np.arange(20.0).reshape(4, 5)
    out.backward(make(d, backend))
    np.testing.assert_array_equal(x.grad.to_numpy(), out.to_numpy() * d)


@pytest.mark.parametrize("p", [-0.1, 1.5, math.nan])
def test_rates_outside_0_to_1(p):
    with pytest.raises(ArgumentError, match="from 0 to 1"):
        Dropout(p)


# --- embedding -----------------------------------------------------------------------------------------------


@both_backends
@both_dtypes
@pytest.mark.parametrize("index_dtype", ["int64", "int32", "uint8"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 0), (1, 1, 1)], ids=str)
def test_embedding_reads_rows(shape, index_dtype, dtype, backend):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 5, shape)
    table = rng.normal(size=(5, 4))
    weight = make(table, backend, dtype, permuted)
    out = embedding(make(rows, backend, index_dtype), weight)
    np.testing.assert_array_equal(out.to_numpy(), weight.to_numpy()[rows])
    assert (out.shape, out.dtype) == ((*shape, 4), np.dtype(dtype))


@both_backends
def test_the_gradient_of_a_row_adds_up_over_its_uses(backend):
    index = make([[0, 2], [2, 2]], backend, "int64")
    weight = make(np.zeros((3, 2)), backend, requires_grad=True)
    d = np.arange(8.0).reshape(2, 2, 2)
    embedding(index, weight).backward(make(d, backend))
    assert weight.grad.tolist() == [[0.0, 1.0], [0.0, 0.0], [2.0 + 4 + 6, 3.0 + 5 + 7]]
    grad_check(lambda w: embedding(index, w), weight.detach())


def test_an_index_may_be_permuted():
    index = make([[0, 1, 2], [2, 1, 0]], dtype="int64", layout=permuted)
    table = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(embedding(index, make(table)).to_numpy(), table[index.to_numpy()])


def test_a_layer_of_embeddings():
    manual_seed(3)
    layer = Embedding(7, 4)
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    assert layer.weight.value.shape == (7, 4)
    assert layer.weight.value.requires_grad()
    manual_seed(3)
    np.testing.assert_array_equal(Embedding(7, 4).weight.value.to_numpy(), layer.weight.value.to_numpy())
    out = layer(make([6, 6], dtype="int64"))
    out.sum().backward()
    assert layer.weight.value.grad.to_numpy().sum(1).tolist() == [0.0] * 6 + [8.0]
    given_table = make(np.eye(3), BACKENDS["fast"], "float32")
    kept = Embedding(3, 3, given_table)
    assert kept.weight.value.dtype == np.float32
    assert kept(make([1], BACKENDS["fast"], "int64")).tolist() == [[0.0, 1.0, 0.0]]


def test_a_new_table_is_standard_normal():
    manual_seed(0)
    table = Embedding(500, 40).weight.value.to_numpy()
    assert abs(table.mean()) < 0.03
    assert abs(table.std() - 1) < 0.03


@pytest.mark.parametrize("dtype", ["float64", "float32", "bool"])
def test_an_index_is_an_integer(dtype):
    with pytest.raises(DTypeError, match=r'dtype="int64"'):
        embedding(make([0, 1], dtype=dtype), make(np.eye(2)))


@pytest.mark.parametrize("rows", [[0, 3], [-1], [100]])
def test_an_index_that_is_no_row(rows):
    with pytest.raises(DataError, match="from 0 to 2"):
        embedding(make(rows, dtype="int64"), make(np.eye(3)))
