"""Layers; tests/parity compares them with PyTorch's."""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

import minitorch
from minitorch import grad_check, layers, nn
from minitorch.cells import tracing
from minitorch.errors import ArgumentError, CompileError, DataError, DTypeError, IndexingError, ShapeError
from minitorch.io import load_state_dict, state_dict
from minitorch.layers import (
    Dropout,
    Embedding,
    Flatten,
    Identity,
    Linear,
    ReLU,
    Reshape,
    Sequential,
    embedding,
    linear,
)
from minitorch.random import manual_seed

from .cases import BACKENDS, DTYPES, assert_close, make, permuted
from .tensor_strategies import shapes, tensors

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


# --- linear --------------------------------------------------------------------------------------------------


@both_backends
@both_dtypes
@given(st.data())
def test_linear(backend, dtype, data):
    """Any dimensions before the features, in any layout."""
    before = data.draw(shapes(min_dims=0, max_dims=3, min_side=0))
    inside, outside = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    x = data.draw(tensors((*before, inside), backend=backend, dtype=dtype))
    weight = data.draw(tensors((outside, inside), backend=backend, dtype=dtype))
    bias = data.draw(tensors((outside,), backend=backend, dtype=dtype))
    expected = x.to_numpy() @ weight.to_numpy().T
    assert_close(linear(x, weight).to_numpy(), expected, dtype)
    assert_close(linear(x, weight, bias).to_numpy(), expected + bias.to_numpy(), dtype)


@both_backends
@pytest.mark.parametrize("shape", [(5, 3), (3,), (2, 2, 3)], ids=str)
def test_the_gradients_of_linear(shape, backend):
    rng = np.random.default_rng(0)
    grad_check(linear, *(make(rng.normal(size=s), backend) for s in (shape, (2, 3), (2,))))


@both_backends
@both_dtypes
def test_a_linear_layer(dtype, backend):
    manual_seed(4)
    layer = Linear(100, 30, dtype=dtype, backend=backend)
    assert [(name, p.value.shape) for name, p in layer.named_parameters()] == [("weight", (30, 100)), ("bias", (30,))]
    for p in layer.parameters():
        assert (p.value.dtype, p.value.backend, p.value.requires_grad()) == (np.dtype(dtype), backend, True)
        assert 0.08 < np.abs(p.value.to_numpy()).max() <= 0.1
    manual_seed(4)
    again = Linear(100, 30, dtype=dtype, backend=backend)
    np.testing.assert_array_equal(again.weight.value.to_numpy(), layer.weight.value.to_numpy())
    without = Linear(3, 2, bias=False)
    assert without.bias is None
    assert [name for name, _ in without.named_parameters()] == ["weight"]
    assert not without(make(np.zeros((1, 3)))).to_numpy().any()


@pytest.mark.parametrize("shape", [(4, 2), (2,), (3, 3, 1), ()], ids=str)
def test_linear_refuses_other_features(shape):
    with pytest.raises(ShapeError, match="takes 3 features"):
        Linear(3, 2)(make(np.zeros(shape)))


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((), "Give it the features of an example, or rows of them: a single number has no dimension."),
        ((4,), "Make it with in_features=4."),
        ((2, 4), "Make it with in_features=4."),
        ((2, 3, 2), "A Flatten is missing: put one before it."),
        ((2, 3, 4), "Make it with in_features=4, or put a Flatten before it and make it with in_features=12."),
    ],
    ids=str,
)
def test_the_advice_on_features_helps(shape, advice):
    x = make(np.zeros(shape))
    with pytest.raises(ShapeError) as caught:
        Linear(6, 2)(x)
    assert str(caught.value).endswith(f"got shape {shape}. {advice}")
    if "in_features" in advice:
        Linear(shape[-1], 2)(x)
    if "Flatten" in advice:
        Sequential(Flatten(), Linear(math.prod(shape[1:]), 2))(x)


@pytest.mark.parametrize("sizes", [("784", 10), (784.0, 10), (784, None), (0, 10), (784, -1)], ids=str)
def test_features_that_are_no_counts(sizes):
    with pytest.raises(ArgumentError, match="at least one feature on each side, as whole numbers"):
        Linear(*sizes)
    assert Linear(np.int64(3), np.int32(2)).weight.value.shape == (2, 3)


# --- arranging -----------------------------------------------------------------------------------------------


@given(st.data(), tensors())
def test_flatten_keeps_the_order_of_the_elements(data, x):
    start = data.draw(st.integers(0, x.dims - 1))
    end = data.draw(st.integers(start, x.dims - 1))
    out = Flatten(start, end)(x)
    expected = x.to_numpy().reshape(*x.shape[:start], -1, *x.shape[end + 1 :])
    np.testing.assert_array_equal(out.to_numpy(), expected)
    np.testing.assert_array_equal(Flatten(start - x.dims, end - x.dims)(x).to_numpy(), expected)


def test_flatten_of_an_empty_batch():
    assert Flatten()(make(np.zeros((0, 2, 3)))).shape == (0, 6)


@pytest.mark.parametrize(("arguments", "shape"), [((), (4,)), ((0, 3), (2, 2)), ((-3,), (2, 2)), ((), ())], ids=str)
def test_flatten_of_dimensions_that_are_not_there(arguments, shape):
    with pytest.raises(IndexingError, match="does not exist in shape"):
        Flatten(*arguments)(make(np.zeros(shape)))


@pytest.mark.parametrize("wrong", [(2, 1), (-1, 0)], ids=str)
def test_flatten_says_what_the_function_says(wrong):
    x = make(np.zeros((2, 3, 4)))
    messages = []
    for flatten in (Flatten(*wrong), lambda x: minitorch.flatten(x, *wrong)):
        with pytest.raises(ArgumentError) as caught:
            flatten(x)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@given(st.data(), tensors())
def test_reshape_keeps_the_batch_and_the_order_of_the_elements(data, x):
    elements = math.prod(x.shape[1:])
    first = data.draw(st.sampled_from([n for n in range(1, elements + 1) if elements % n == 0]))
    sizes = data.draw(st.sampled_from([(first, elements // first), (-1, first), (first, -1), (elements,), (-1,)]))
    expected = x.to_numpy().reshape(x.shape[0], *sizes)
    np.testing.assert_array_equal(Reshape(*sizes)(x).to_numpy(), expected)
    np.testing.assert_array_equal(Reshape(sizes)(x).to_numpy(), expected)


def test_reshape_of_an_empty_batch_and_to_nothing():
    assert Reshape(3, -1)(make(np.zeros((0, 6)))).shape == (0, 3, 2)
    assert Reshape()(make(np.zeros((4, 1)))).shape == (4,)


@both_backends
def test_the_gradient_of_reshape(backend):
    grad_check(Reshape(3, 2), make(np.random.default_rng(0).normal(size=(2, 2, 3)), backend, layout=permuted))


@pytest.mark.parametrize("sizes", [(0, 2), (-2,), (2.0,), (-1, -1), ("3",)], ids=str)
def test_reshape_to_no_shape(sizes):
    with pytest.raises(ArgumentError, match="Leave the batch out"):
        Reshape(*sizes)


@pytest.mark.parametrize(
    ("sizes", "shape"), [((2, 3), (2, 5)), ((4, -1), (1, 6)), ((1,), ()), ((5, 2), (5, 2))], ids=str
)
def test_reshape_of_other_sizes(sizes, shape):
    with pytest.raises(ShapeError, match=r"fit\. Check the sizes"):
        Reshape(*sizes)(make(np.zeros(shape)))


def test_identity_is_the_same_object():
    x = object()
    assert Identity(1, bias=False)(x) is x


def test_sequential():
    class Times(layers.Identity):
        def __init__(self, factor):
            super().__init__()
            self.factor = factor

        def forward(self, input):
            return input * self.factor + 1

    network = Sequential(Times(2), Times(3), Times(5))
    assert network(1) == ((1 * 2 + 1) * 3 + 1) * 5 + 1  # in this order
    assert len(network) == 3
    assert [module.factor for module in network] == [2, 3, 5]
    assert [network[i].factor for i in (0, 2, -1, -3)] == [2, 5, 5, 2]
    assert [module.factor for module in network[1:]] == [3, 5]
    assert [module.factor for module in network[::-2]] == [5, 2]
    assert list(network[1:]._modules) == ["1", "2"]
    assert network[:0](7) == 7
    named = Sequential(OrderedDict(double=Times(2), triple=Times(3)))
    assert named.triple.factor == named[1].factor == 3
    for place in (2, -3):
        with pytest.raises(IndexingError, match="from -2 to 1"):
            named[place]
    assert Sequential(network, named)(0) == named(network(0))


def test_sequential_switches_what_is_inside():
    network = Sequential(Sequential(Dropout(1.0)), ReLU())
    x = make([1.0])
    assert network.train()(x).tolist() == [0.0]
    assert network.eval()(x).tolist() == [1.0]


def test_a_state_goes_from_one_network_to_another():
    first, second = (Sequential(Linear(2, 3), ReLU(), Linear(3, 1)) for _ in range(2))
    x = make(np.random.default_rng(0).normal(size=(4, 2)))
    load_state_dict(second, state_dict(first))
    np.testing.assert_array_equal(first(x).to_numpy(), second(x).to_numpy())
    assert list(state_dict(first)) == ["0.weight", "0.bias", "2.weight", "2.bias"]


@pytest.mark.parametrize(("wrong", "advice"), [(ReLU, r"Write ReLU\(\) with"), (len, "Module"), (None, "Module")])
def test_sequential_runs_modules(wrong, advice):
    with pytest.raises(ArgumentError, match=advice):
        Sequential(ReLU(), wrong)


# --- activations ---------------------------------------------------------------------------------------------

SMOOTH = [layers.GELU(), layers.GELU("tanh"), layers.Sigmoid(), layers.Tanh(), layers.Softmax(1), layers.LogSoftmax(0)]
KINKED = [layers.ReLU(), layers.LeakyReLU(), layers.LeakyReLU(-0.5)]


@given(tensors())
def test_activations(x):
    array = x.to_numpy()
    for layer, expected in [
        (layers.ReLU(), np.maximum(array, 0)),
        (layers.LeakyReLU(0.2), np.where(array > 0, array, 0.2 * array)),
        (layers.GELU(), array * special.ndtr(array)),
        (layers.GELU("tanh"), array / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (array + 0.044715 * array**3)))),
        (layers.Sigmoid(), special.expit(array)),
        (layers.Tanh(), np.tanh(array)),
        (layers.Softmax(0), special.softmax(array, 0)),
        (layers.LogSoftmax(-1), special.log_softmax(array, -1)),
    ]:
        assert_close(layer(x).to_numpy(), expected)


@both_backends
@pytest.mark.parametrize("layer", SMOOTH + KINKED, ids=lambda layer: type(layer).__name__)
def test_the_gradients_of_activations(layer, backend):
    array = np.random.default_rng(0).normal(size=(3, 4)) * 2
    array[0] = 0.0
    grad_check(layer, make(array, backend))


@given(tensors())
def test_a_leaky_relu_is_exact_where_it_is_the_identity(x):
    np.testing.assert_array_equal(
        layers.LeakyReLU(0.1)(x).to_numpy()[x.to_numpy() >= 0], x.to_numpy()[x.to_numpy() >= 0]
    )


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
    kept = Embedding(3, 3, weight=given_table)
    assert kept.weight.value.dtype == np.float32
    assert kept(make([1], BACKENDS["fast"], "int64")).tolist() == [[0.0, 1.0, 0.0]]


@both_backends
@pytest.mark.parametrize("padding_idx", [1, -2])
def test_a_padding_row_is_zeros_and_is_not_trained(padding_idx, backend):
    layer = Embedding(3, 2, padding_idx, backend=backend, dtype="float32")
    table = layer.weight.value.to_numpy()
    assert (layer.padding_idx, table[1].tolist(), table.dtype) == (1, [0.0, 0.0], np.float32)
    assert (table[[0, 2]] != 0).all()
    layer(make([[1, 0], [1, 2]], backend, "int64")).sum().backward()
    assert layer.weight.value.grad.tolist() == [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]


def test_a_padding_row_may_hold_anything():
    """It is read as it is, and second derivatives pass it by too."""
    table = make([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    rows = make([0, 1, 1], dtype="int64")
    assert embedding(rows, table, padding_idx=1).tolist() == [[1.0, 2.0], [3.0, 4.0], [3.0, 4.0]]
    out = embedding(rows, table, padding_idx=1)
    (out * out).sum().backward()
    assert table.grad.tolist() == [[2.0, 4.0], [0.0, 0.0]]


def test_a_table_that_exists():
    given_table = make([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype="float32")
    frozen = Embedding.from_pretrained(given_table)
    assert (frozen.num_embeddings, frozen.embedding_dim) == (3, 2)
    assert not frozen.weight.value.requires_grad()
    assert not frozen(make([2], dtype="int64")).requires_grad()
    trained = Embedding.from_pretrained(given_table, freeze=False, padding_idx=0)
    trained(make([0, 2], dtype="int64")).sum().backward()
    assert trained.weight.value.grad.tolist() == [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
    assert given_table.is_constant()
    for wrong, error in (([1.0], DTypeError), (make([1.0]), ShapeError)):
        with pytest.raises(error):
            Embedding.from_pretrained(wrong)


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), ("3", 3), (3, 3.0)], ids=str)
def test_a_table_without_rows(sizes):
    with pytest.raises(ArgumentError, match="at least one row"):
        Embedding(*sizes)


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


def test_an_index_is_not_looked_at_while_a_step_is_traced(monkeypatch):
    class Blind:
        def lift(self, inputs):
            return inputs

        def read(self, holder, key):
            return getattr(holder, key)

    def refuse(self):
        raise AssertionError("a value was read")

    layer, index = Embedding(3, 2), make([[0, 2]], dtype="int64")
    expected = layer(index).tolist()
    monkeypatch.setattr(tracing, "tracer", Blind())
    with monkeypatch.context() as patch:
        patch.setattr(type(index), "to_numpy", refuse)
        out = layer(index)
    assert out.tolist() == expected


def test_indices_of_other_integers_in_a_compiled_step():
    """An eager step converts them; a compiled one says how to."""
    layer = Embedding(3, 2, backend=BACKENDS["fast"])
    index = make([2, 0], BACKENDS["fast"], "int32")
    step = minitorch.compile(layer)
    np.testing.assert_array_equal(step(index.to("int64")).to_numpy(), layer(index).to_numpy())
    with pytest.raises(CompileError, match=r"int64, got int32.*indices\.to"):
        step(index)
