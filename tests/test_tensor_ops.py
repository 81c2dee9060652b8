"""The contract of backends, and SimpleOps, its definition, against NumPy."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch
from minitorch import operators
from minitorch.errors import BroadcastError, IndexingError, ShapeError
from minitorch.fast_ops import FastBackend, FastOps
from minitorch.kernels import elements
from minitorch.tensor import Tensor
from minitorch.tensor_ops import (
    SimpleBackend,
    SimpleOps,
    TensorBackend,
    TensorOps,
    matmul_shape,
    tensor_map,
    tensor_reduce,
    tensor_zip,
)

from .cases import DTYPES, LAYOUTS, assert_close, make
from .tensor_strategies import broadcast_shapes, tensor_data, tensors

# What every processor does alike, and the contract itself computes.
SHARED = {"cat", "check", "convert", "place"}
CONTRACT = [name for name, value in vars(TensorOps).items() if isinstance(value, staticmethod) and name not in SHARED]

# A call of every function of the contract that is complete except for its tensors.
ARGUMENTS = {
    "map": (elements.neg,),
    "zip": (elements.add,),
    "reduce": (elements.add, 0.0),
    "matrix_multiply": (None, None),
    "conv": (None, None, ()),
    "conv_weight": (None, None, (1,), ()),
    "max": (None, 0),
    "max_pool": (None, (1, 1), ()),
    "take": (None, None),
    "put": (None, None, (1,)),
    "argsort": (None, 0, False),
    "softmax": (None, 0),
    "logsoftmax": (None, 0),
    "dropout": (None, 0.5, 1.0, 0, 0),
}


# --- the contract --------------------------------------------------------------------------------------------


def test_the_contract_is_complete():
    assert set(CONTRACT) == set(ARGUMENTS)


@pytest.mark.parametrize("name", CONTRACT)
def test_the_contract_computes_nothing_itself(name):
    with pytest.raises(NotImplementedError):
        getattr(TensorOps, name)(*ARGUMENTS[name])


@pytest.mark.parametrize("ops", [SimpleOps, FastOps])
@pytest.mark.parametrize("name", CONTRACT)
def test_a_backend_provides_every_function(ops, name):
    assert name in vars(ops)


def test_a_backend_is_made_once():
    assert TensorBackend(SimpleOps) is SimpleBackend is minitorch.SimpleBackend
    assert TensorBackend(FastOps) is FastBackend
    assert TensorBackend(FastOps) is not SimpleBackend
    map_before = FastBackend.neg_map
    assert TensorBackend(FastOps).neg_map is map_before
    assert pickle.loads(pickle.dumps(FastBackend)) is FastBackend
    assert repr(SimpleBackend) == "TensorBackend(SimpleOps)"
    assert SimpleBackend.cuda is False


EXPECTED = {
    "neg_map": np.negative,
    "sigmoid_map": lambda x: 1 / (1 + np.exp(-x)),
    "relu_map": lambda x: np.maximum(x, 0),
    "log_map": np.log,
    "exp_map": np.exp,
    "id_map": lambda x: x,
    "inv_map": np.reciprocal,
    "add_zip": np.add,
    "mul_zip": np.multiply,
    "lt_zip": np.less,
    "eq_zip": np.equal,
    "is_close_zip": lambda a, b: np.abs(a - b) < 1e-2,
    "relu_back_zip": lambda x, d: np.where(x > 0, d, 0),
    "log_back_zip": lambda x, d: d / x,
    "inv_back_zip": lambda x, d: -d / (x * x),
    "add_reduce": lambda x: x.sum(0, keepdims=True),
    "mul_reduce": lambda x: x.prod(0, keepdims=True),
    "max_reduce": lambda x: x.max(0, keepdims=True),
    "matrix_multiply": np.matmul,
}


@pytest.mark.task2_3
@pytest.mark.parametrize("backend", [SimpleBackend, FastBackend], ids=repr)
@pytest.mark.parametrize("name", EXPECTED)
def test_the_courses_names_are_there(backend, name):
    """The course's scripts and notebooks reach the operations by these names."""
    rng = np.random.default_rng(3)
    arrays = [rng.uniform(0.5, 2, (3, 3)), rng.uniform(0.5, 2, (3, 3))]
    count = 2 if name.endswith(("zip", "multiply")) else 1
    operands = [make(a, backend) for a in arrays[:count]]
    extra = (0,) if name.endswith("reduce") else ()
    out = getattr(backend, name)(*operands, *extra)
    assert_close(out.to_numpy(), EXPECTED[name](*arrays[:count]), "float64")


# --- SimpleOps -----------------------------------------------------------------------------------------------


@pytest.mark.task2_3
@given(tensors(elements=st.floats(-30, 30)))
def test_map(x):
    out = SimpleOps.map(math.exp)(x)
    assert_close(out.to_numpy(), np.exp(x.to_numpy()))
    assert out._tensor.is_contiguous()


@pytest.mark.task2_3
@given(broadcast_shapes(count=2), st.data())
def test_map_into_a_larger_tensor_repeats(pair, draw):
    small, other = pair
    x = draw.draw(tensors(small))
    out = make(np.full(np.broadcast_shapes(small, other), np.nan))
    assert SimpleOps.map(operators.neg)(x, out) is out
    np.testing.assert_array_equal(out.to_numpy(), np.broadcast_to(-x.to_numpy(), out.shape))


@pytest.mark.task2_3
@given(broadcast_shapes(count=2), st.data())
def test_zip(pair, draw):
    a, b = (draw.draw(tensors(shape)) for shape in pair)
    out = SimpleOps.zip(lambda x, y: x - 2 * y)(a, b)
    assert_close(out.to_numpy(), a.to_numpy() - 2 * b.to_numpy())


@pytest.mark.task2_3
@given(tensors(), st.data())
def test_reduce(x, draw):
    dim = draw.draw(st.integers(0, x.dims - 1))
    total = SimpleOps.reduce(operators.add, 10.0)(x, dim)
    assert_close(total.to_numpy(), 10 + x.to_numpy().sum(dim, keepdims=True))
    largest = SimpleOps.reduce(operators.max, -math.inf)(x, dim)
    np.testing.assert_array_equal(largest.to_numpy(), x.to_numpy().max(dim, keepdims=True))
    everything = SimpleOps.reduce(operators.add)(x, tuple(range(x.dims)))
    assert_close(everything.to_numpy(), x.to_numpy().sum(keepdims=True))


@pytest.mark.task2_3
def test_reduce_folds_from_the_left():
    x = make([[2.0, 3.0, 5.0]])
    assert SimpleOps.reduce(lambda total, v: 10 * total + v, 1.0)(x, 1).tolist() == [[1235.0]]


@pytest.mark.task2_3
def test_reducing_nothing_gives_the_start():
    x = make(np.zeros((2, 0, 3)))
    out = SimpleOps.reduce(operators.mul, 1.0)(x, 1)
    assert out.tolist() == [[[1.0, 1.0, 1.0]]] * 2
    assert SimpleOps.reduce(operators.add, 0.0)(x, 0).shape == (1, 0, 3)


@pytest.mark.task2_3
@pytest.mark.parametrize("to", sorted(LAYOUTS.keys() - {"expanded"}))
@pytest.mark.parametrize("of", LAYOUTS)
def test_the_courses_loops_write_into_any_layout(of, to):
    """The functions over storages, as the course's notebooks call them."""
    array = np.arange(1.0, 25.0).reshape(2, 3, 4)
    a = LAYOUTS[of](array)
    out = LAYOUTS[to](np.zeros((2, 3, 4)))
    tensor_map(operators.neg)(*out.tuple(), *a.tuple())
    np.testing.assert_array_equal(out.array, -a.array)
    tensor_zip(operators.mul)(*out.tuple(), *a.tuple(), *LAYOUTS[of](array[:1] + 1).tuple())
    np.testing.assert_array_equal(out.array, a.array * LAYOUTS[of](array[:1] + 1).array)
    total = LAYOUTS[to](np.full((2, 1, 4), 100.0))
    tensor_reduce(operators.add)(*total.tuple(), *a.tuple(), 1)
    np.testing.assert_array_equal(total.array, 100 + a.array.sum(1, keepdims=True))


@pytest.mark.task3_2
@given(st.data())
def test_matrix_multiply(draw):
    m, k, n = (draw.draw(st.integers(1, 4)) for _ in range(3))
    left, right = draw.draw(broadcast_shapes(count=2))
    a = draw.draw(tensors((*left[:2], m, k)))
    b = draw.draw(tensors((*right[:2], k, n)))
    try:
        expected = np.matmul(a.to_numpy(), b.to_numpy())
    except ValueError:  # cut to two dimensions, they may no longer fit
        with pytest.raises(BroadcastError):
            SimpleOps.matrix_multiply(a, b)
    else:
        assert_close(SimpleOps.matrix_multiply(a, b).to_numpy(), expected)


@pytest.mark.parametrize(
    ("a", "b", "fits"),
    [
        ((2, 3), (3, 4), (2, 4)),
        ((5, 2, 3), (3, 4), (5, 2, 4)),
        ((2, 3), (6, 3, 4), (6, 2, 4)),
        ((5, 1, 2, 3), (7, 3, 4), (5, 7, 2, 4)),
        ((0, 3), (3, 2), (0, 2)),
        ((2, 0), (0, 2), (2, 2)),
    ],
)
def test_the_shape_of_a_product(a, b, fits):
    assert matmul_shape(a, b) == fits == np.matmul(np.zeros(a), np.zeros(b)).shape


@pytest.mark.parametrize(("a", "b"), [((3,), (3, 4)), ((2, 3), (3,)), ((2, 3), (4, 2)), ((2, 2, 3), (3, 3, 4))])
def test_shapes_without_a_product(a, b):
    with pytest.raises(ShapeError):
        matmul_shape(a, b)


@given(tensors(elements=st.sampled_from([0.0, -0.0, 1.0, 2.0, math.nan, math.inf, -math.inf])), st.data())
def test_the_first_maximum_is_numpys(x, draw):
    """NumPy's argmax takes the first of equal numbers too, and NaN before any number."""
    dim = draw.draw(st.integers(0, x.dims - 1))
    values, place = SimpleOps.max(x, dim)
    assert place.dtype == np.int64
    np.testing.assert_array_equal(values.to_numpy(), x.to_numpy().max(dim, keepdims=True))
    along = np.take_along_axis(np.arange(x.size).reshape(x.shape), x.to_numpy().argmax(dim, keepdims=True), dim)
    np.testing.assert_array_equal(place.to_numpy(), along)


@given(tensor_data(shape=(2, 3, 4)), st.lists(st.integers(0, 23), max_size=9))
def test_put_is_the_transpose_of_take(data, places):
    x = Tensor(data)
    index = make(places, dtype="int64")
    y = make(np.arange(float(len(places))))
    taken = SimpleOps.take(x, index)
    np.testing.assert_array_equal(taken.to_numpy(), x.to_numpy().reshape(-1)[places])
    put = SimpleOps.put(y, index, x.shape)
    assert_close((taken.to_numpy() * y.to_numpy()).sum(), (x.to_numpy() * put.to_numpy()).sum(), "float64")


@pytest.mark.parametrize("backend", [SimpleBackend, FastBackend], ids=repr)
@pytest.mark.parametrize("wrong", [-1, 3])
def test_a_place_outside_is_named_on_every_backend(wrong, backend):
    """Counting from the end, as a list would, is not what the compiled kernels do."""
    x, index = make([1.0, 2.0, 3.0], backend), make([0, wrong, 1], backend, "int64")
    for call in (lambda: backend.ops.take(x, index), lambda: backend.ops.put(x, index, (3,))):
        with pytest.raises(IndexingError, match=rf"from 0 to below 3, got .*{wrong}.*row-major order"):
            call()


@pytest.mark.parametrize("backend", [SimpleBackend, FastBackend], ids=repr)
def test_log_back_zip_is_the_derivative_of_log_map(backend):
    """Both are exact; the course adds 1e-6 in its log, and that is where it belongs."""
    x, d = make([1e-6, 2.0, 0.0], backend), make([1.0, 3.0, -1.0], backend)
    assert backend.log_back_zip(x, d).tolist() == [1.0 / 1e-6, 1.5, -math.inf]


@pytest.mark.parametrize("dtype", DTYPES)
def test_division_by_zero_is_infinity_without_a_warning(dtype):
    x = make([0.0, -0.0, 1.0], dtype=dtype)
    assert SimpleBackend.inv_map(x).tolist() == [math.inf, -math.inf, 1.0]
    assert SimpleBackend.log_map(x).tolist()[0] == -math.inf
    assert math.isnan(SimpleBackend.sqrt_map(make([-1.0], dtype=dtype))[0])
    assert SimpleBackend.exp_map(make([1e4], dtype=dtype))[0] == math.inf
