"""The tensor: its course face, its graph, and what it refuses."""

from __future__ import annotations

import copy
import gc
import operator
import pickle
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch
from minitorch import Adam
from minitorch.autodiff import enable_grad, is_grad_enabled, no_grad
from minitorch.errors import BackendError, BroadcastError, DTypeError, GraphError, IndexingError, ShapeError
from minitorch.fast_ops import FastBackend
from minitorch.gradcheck import grad_check
from minitorch.io import state_dict
from minitorch.layers import BatchNorm1d, Linear, Sequential
from minitorch.tensor import Tensor
from minitorch.tensor_data import TensorData
from minitorch.tensor_functions import Function
from minitorch.tensor_ops import SimpleBackend

from .cases import BACKENDS, DTYPES, LAYOUTS, assert_close, contiguous, make, permuted
from .tensor_strategies import broadcast_shapes, numbers, shapes, tensors

one_argument, two_arguments, reductions = minitorch.MathTestVariable._comp_testing()
both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))


def leaf(values, backend=SimpleBackend, dtype="float64"):
    return make(values, backend, dtype, requires_grad=True)


# --- the course's functions ----------------------------------------------------------------------------------


@pytest.mark.task2_3
@pytest.mark.parametrize("functions", one_argument, ids=lambda f: f[0])
@given(tensors())
def test_functions_of_one_tensor(functions, x):
    _, of_floats, of_tensors = functions
    out = of_tensors(x)
    expected = [of_floats(v) for v in x.to_numpy().reshape(-1).tolist()]
    assert_close(out.to_numpy().reshape(-1), expected, "float64")


@pytest.mark.task2_3
@pytest.mark.parametrize("functions", two_arguments, ids=lambda f: f[0])
@given(broadcast_shapes(), st.data())
def test_functions_of_two_tensors(functions, pair, draw):
    _, of_floats, of_tensors = functions
    a, b = (draw.draw(tensors(shape)) for shape in pair)
    out = of_tensors(a, b).to_numpy()
    for index, (u, v) in zip(np.ndindex(out.shape), np.broadcast(a.to_numpy(), b.to_numpy())):
        assert_close(out[index], of_floats(float(u), float(v)), "float64")


@pytest.mark.task2_4
@pytest.mark.parametrize("functions", one_argument, ids=lambda f: f[0])
@given(tensors(shape=(2, 2)))
def test_gradients_of_one_tensor(functions, x):
    grad_check(functions[2], x)


@pytest.mark.task2_4
@pytest.mark.parametrize("functions", two_arguments, ids=lambda f: f[0])
@given(tensors(shape=(2, 1)), tensors(shape=(2,)))
def test_gradients_of_two_tensors(functions, a, b):
    grad_check(functions[2], a, b)


@pytest.mark.task2_4
@pytest.mark.parametrize("functions", reductions, ids=lambda f: f[0])
@given(tensors())
def test_gradients_of_reductions(functions, x):
    grad_check(functions[2], x)


@both_backends
@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_elements_are_what_they_were(backend, values):
    x = minitorch.tensor(values, backend=backend)
    assert [x[i] for i in range(len(values))] == values
    assert x.tolist() == values


@pytest.mark.task2_3
@given(tensors(), st.data())
def test_sum_and_mean(x, draw):
    array = x.to_numpy()
    dim = draw.draw(st.integers(-x.dims, x.dims - 1))
    assert_close(x.sum(dim).to_numpy(), array.sum(dim, keepdims=True))
    assert_close(x.mean(dim).to_numpy(), array.mean(dim, keepdims=True))
    assert_close(x.sum().to_numpy(), array.sum().reshape(1))
    assert_close(x.mean().to_numpy(), array.mean().reshape(1))


@both_backends
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_dimension_may_be_a_tensor(backend, dtype):
    """The course passes it so here and there, whatever the backend and dtype of the other."""
    x = make([[1.0, 0.0], [1.0, 1.0]], backend, dtype)
    for dim in (minitorch.tensor([1]), minitorch.tensor(1, dtype="int64")):
        assert x.sum(dim).tolist() == [[1.0], [2.0]]
        assert x.mean(dim).tolist() == [[0.5], [1.0]]
        assert x.all(dim).tolist() == [[0.0], [1.0]]


@pytest.mark.task2_3
@given(tensors(elements=st.sampled_from([0.0, 1.0])))
def test_all(x):
    assert x.all().tolist() == [float(x.to_numpy().all())]
    np.testing.assert_array_equal(x.all(0).to_numpy(), x.to_numpy().all(0, keepdims=True))


@pytest.mark.task2_4
@given(tensors(), st.data())
def test_permute(x, draw):
    order = draw.draw(st.permutations(range(x.dims)))
    np.testing.assert_array_equal(x.permute(*order).to_numpy(), x.to_numpy().transpose(order))
    grad_check(lambda t: t.permute(*order), x)


@pytest.mark.task2_4
@given(tensors())
def test_view_of_a_contiguous_tensor(x):
    flat = x.contiguous().view(x.size)
    np.testing.assert_array_equal(flat.to_numpy(), x.to_numpy().reshape(-1))
    np.testing.assert_array_equal(
        x.contiguous().view(-1, x.shape[-1]).to_numpy(), x.to_numpy().reshape(-1, x.shape[-1])
    )
    grad_check(lambda t: t.contiguous().view(t.size), x)


def test_a_contiguous_tensor_is_not_copied():
    x = make(np.ones((2, 3)))
    assert x.contiguous() is x
    assert x.view(6)._tensor._storage is x._tensor._storage
    y = make(np.ones((2, 3)), layout=permuted)
    assert y.contiguous()._tensor._storage is not y._tensor._storage


@both_backends
@pytest.mark.parametrize("dtype", DTYPES)
@given(value=numbers, number=st.one_of(st.integers(-50, 50), numbers))
def test_numbers_take_the_tensors_type(backend, dtype, value, number):
    x = make([value], backend, dtype)
    u, v = np.dtype(dtype).type(value), np.dtype(dtype).type(number)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        quotients = u / v, v / u
    for ours, theirs in [
        (x + number, u + v),
        (number + x, v + u),
        (x - number, u - v),
        (number - x, v - u),
        (x * number, u * v),
        (number * x, v * u),
        (x / number, quotients[0]),
        (number / x, quotients[1]),
        (x < number, u < v),
        (x > number, u > v),
        (x <= number, u <= v),
        (x >= number, u >= v),
        (x == number, u == v),
        (x != number, u != v),
    ]:
        assert ours.dtype == np.dtype(dtype)
        np.testing.assert_equal(ours[0], theirs.item())


def test_whole_numbers_stay_whole_and_nothing_is_rounded_silently():
    x = make([1, 2], dtype="int64")
    assert (x * 2.0 + 1).tolist() == [3, 5]
    assert (x * 2).dtype == np.int64
    assert x.sum().item() == 3


COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]


@both_backends
@pytest.mark.parametrize("layout", ["contiguous", "permuted", "expanded"])
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("compare", COMPARISONS)
def test_whole_numbers_compare_to_truth_values(compare, dtype, layout, backend):
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, (2, 3, 4)).astype(dtype), rng.integers(0, 3, (3, 1)).astype(dtype)
    x, y = make(a, backend, dtype, LAYOUTS[layout]), make(b, backend, dtype)
    name = compare.__name__
    for found, expected in [
        (compare(x, y), compare(x.to_numpy(), b)),
        (compare(x, 1), compare(x.to_numpy(), 1)),
        (compare(0, x), compare(0, x.to_numpy())),
        (getattr(x, name)(y), compare(x.to_numpy(), b)),
        (compare(make(a[:0], backend, dtype), y), compare(a[:0], b)),
    ]:
        assert found.dtype == np.bool_
        assert not found.requires_grad()
        np.testing.assert_array_equal(found.to_numpy(), expected)


@both_backends
def test_large_whole_numbers_are_compared_exactly(backend):
    x = make([2**62, 2**62 + 1], backend, "int64")
    assert (x == 2**62).tolist() == [True, False]
    assert (x > 2**62).tolist() == [False, True]


@both_backends
def test_a_comparison_of_labels_selects(backend):
    labels, images = make([3, 1, 3, 0], backend, "int64"), make(np.arange(8.0).reshape(4, 2), backend)
    mask = labels == 3
    assert mask.tolist() == [True, False, True, False]
    assert (mask[0], mask[1], repr(mask)) == (True, False, "tensor([ True, False,  True, False], dtype=bool)")
    assert images[mask].tolist() == images[labels == 3].tolist() == [[0.0, 1.0], [4.0, 5.0]]
    assert labels[mask].tolist() == [3, 3]
    assert minitorch.where(mask, labels, -1).tolist() == [3, -1, 3, -1]
    assert minitorch.where(mask.view(4, 1), images, 0.0).tolist() == [[0.0, 1.0], [0.0, 0.0], [4.0, 5.0], [0.0, 0.0]]
    images[~mask] = -1.0
    assert images.tolist() == [[0.0, 1.0], [-1.0, -1.0], [4.0, 5.0], [-1.0, -1.0]]
    mask[1], mask[0] = 1, False
    assert mask.tolist() == [False, True, True, False]


@both_backends
def test_truth_values_are_counted(backend):
    array = np.random.default_rng(0).integers(0, 2, (3, 300)).astype(bool)  # more than a byte can count
    mask = make(array, backend, "bool")
    for found, expected in [
        (mask.sum(), array.sum().reshape(1)),
        (mask.sum(1), array.sum(1, keepdims=True)),
        (mask.sum((0, 1)), array.sum(keepdims=True)),
    ]:
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found.to_numpy(), expected)
    assert mask.sum().item() / mask.size == array.mean()
    assert mask.to("float64").mean().item() == pytest.approx(array.mean())
    assert (mask.float().dtype, mask.double().dtype, mask.long().dtype) == (np.float32, np.float64, np.int64)
    with pytest.raises(DTypeError, match=r'a mean, got bool.*t\.to\("float32"\)'):
        mask.mean()


@both_backends
@pytest.mark.parametrize("dtype", ["bool", "int64", "float32", "float64"])
def test_all_and_any(dtype, backend):
    array = np.array([[1, 1, 1], [0, 0, 0], [0, 1, 0]]).astype(dtype)
    for values in (array, array[:1], array[1:2]):
        x = make(values, backend, dtype)
        for name in ("all", "any"):
            for dim in (None, 0, 1):
                found = getattr(x, name)(dim)
                expected = getattr(np, name)(values, dim, keepdims=True)
                np.testing.assert_array_equal(found.to_numpy(), expected.reshape(1) if dim is None else expected)
                assert found.dtype == (dtype if "float" in dtype else np.bool_)
    nothing = make(np.zeros((0, 2)), backend, dtype)
    assert (nothing.any().tolist(), nothing.all().tolist()) == ([0], [1])
    assert make([np.nan, 0.0], backend).any().item() == 1.0


@both_backends
def test_arithmetic_of_truth_values(backend):
    """As in PyTorch with their own kind; what it would convert is refused."""
    a, b = make([True, True, False], backend, "bool"), make([True, False, False], backend, "bool")
    assert ((a + b).tolist(), (a * b).tolist()) == ([True, True, False], [True, False, False])
    assert (a + b).dtype == (a * b).dtype == np.bool_
    x = make([1.0, 2.0, 3.0], backend)
    for mix in (lambda: a * x, lambda: x * a, lambda: x + a, lambda: x == a):
        with pytest.raises(DTypeError, match=r"mask\.to\(x\.dtype\).*where\(mask"):
            mix()
    for wrong in (lambda: a * 2, lambda: 1 - a, lambda: a + 1, lambda: a == 2, lambda: a < 0.5):
        with pytest.raises(DTypeError, match=r'no truth value.*mask\.to\("int64"\)'):
            wrong()
    for wrong in (lambda: -a, lambda: a - b, lambda: x - a, lambda: abs(a)):
        with pytest.raises(DTypeError, match="~mask"):
            wrong()
    assert (x * a.to(x.dtype)).tolist() == [1.0, 2.0, 0.0]


def test_a_shape_and_an_order_may_be_lists():
    x = make(np.arange(6.0).reshape(2, 3))
    assert x.view([3, 2]).tolist() == x.view(3, 2).tolist()
    assert x.permute((1, 0)).tolist() == x.permute(1, 0).tolist()


def test_an_upstream_gradient_may_be_a_number():
    x = make([3.0], requires_grad=True)
    (x * x).backward(2.0)
    assert x.grad.tolist() == [12.0]


@both_backends
def test_a_quotient_is_exact(backend):
    """Times the inverse it would be NaN, infinite, and not quite one."""
    x = make([0.0, 1e-310, 49.0], backend, requires_grad=True)
    y = make([1e-310, 2e-310, 49.0], backend)
    quotient = x / y
    assert quotient.tolist() == [0.0, 0.5, 1.0]
    quotient.backward(y)
    assert x.grad.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("number", [np.float64(2), np.float32(2), np.int64(2), np.bool_(True), True, 2])
def test_numbers_of_numpy_and_python(number):
    x = make([3.0], dtype="float32")
    assert (x * number).dtype == np.float32
    assert (x * number)[0] == 3 * float(number) == (number * x)[0]


def test_a_number_with_a_tensor_without_dimensions():
    x = make(3.0)
    assert x.shape == (x + 1).shape == (2 * x).shape == ()
    assert (x + 1).item() == 4.0


@pytest.mark.task3_2
@given(st.data())
def test_matrix_product(draw):
    m, k, n = (draw.draw(st.integers(1, 3)) for _ in range(3))
    a, b = draw.draw(tensors((2, m, k))), draw.draw(tensors((k, n)))
    assert_close((a @ b).to_numpy(), a.to_numpy() @ b.to_numpy())
    grad_check(lambda u, v: u @ v, a, b)


# --- reading and writing -------------------------------------------------------------------------------------


def test_attributes():
    x = make(np.zeros((2, 3, 4)), FastBackend, "float32")
    assert (x.shape, x.size, x.dims, len(x)) == ((2, 3, 4), 24, 3, 2)
    assert (x.ndim, x.dim(), make(1.0).ndim, make(1.0).dim()) == (3, 3, 0, 0)
    assert x.dtype == np.float32
    assert x.f is x.backend is FastBackend
    assert [a.tolist() for a in x.tuple()[1:]] == [[2, 3, 4], [12, 4, 1]]
    assert make(1.0).dims == 0


def test_names():
    x = make([1.0])
    assert x.name == str(x.unique_id)
    x.name = "weight"
    assert x.name == "weight"
    assert Tensor(contiguous(np.ones(1)), name="bias").name == "bias"
    assert len({make([1.0]).unique_id for _ in range(5)}) == 5


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
@pytest.mark.parametrize("dtype", DTYPES)
def test_reading(layout, dtype):
    x = make(np.arange(6.0).reshape(2, 3), dtype=dtype, layout=layout)
    array = x.to_numpy()
    for index in np.ndindex(2, 3):
        assert x[index] == array[index]
        assert type(x[index]) is float
    assert x.tolist() == array.tolist()


def test_reading_one_element():
    x = make([[2.5]])
    assert (x.item(), float(x), bool(x)) == (2.5, 2.5, True)
    assert bool(make([0.0])) is False
    assert make([7], dtype="int64").item() == 7
    assert f"{make([1.5]).item():.2f}" == "1.50"
    assert list(make([1.0, 2.0])) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: x.item(), "one element"),
        (lambda x: float(x), "one element"),
        (lambda x: bool(x), "ambiguous"),
        (lambda x: list(x), "one dimension"),
        (lambda x: len(x.sum().view()), "to have a length"),
    ],
)
def test_reading_what_is_not_one_number(call, message):
    with pytest.raises(ShapeError, match=message):
        call(make(np.ones((2, 2))))


@pytest.mark.parametrize("index", [(0, 0, 0), (2, 0), (0, -3), 5])
def test_an_index_that_does_not_exist(index):
    x = make(np.ones((2, 2)))
    with pytest.raises(IndexingError):
        x[index]
    with pytest.raises(IndexingError):
        x[index] = 1.0


def test_writing():
    x = make(np.zeros((2, 2)), layout=permuted)
    x[0, 1] = 5
    assert x.tolist() == [[0.0, 5.0], [0.0, 0.0]]
    x[-1, -2] = 3
    assert x.tolist() == [[0.0, 5.0], [3.0, 0.0]]
    y = make([1.0])
    y[0] = y + 1
    assert y[0] == 2.0


def test_how_it_prints():
    assert repr(make([1.0, 2.5])) == "tensor([1. , 2.5])"
    assert repr(make([1.0], dtype="float32")) == "tensor([1.], dtype=float32)"
    assert repr(leaf([1.0])) == "tensor([1.], requires_grad=True)"
    assert repr(leaf([1.0]) * 2) == "tensor([2.], made_by=Mul)"
    assert repr(make([[1.0], [2.0]])) == "tensor([[1.],\n        [2.]])"


@both_backends
def test_one_element_is_written_with_a_format(backend):
    loss = make([0.12564], backend, requires_grad=True)
    assert f"{loss:.2f} {loss.sum(keepdim=False):>8.3f} {make([7], backend, 'int64'):03d}" == "0.13    0.126 007"
    assert f"{loss}" == str(loss) == "tensor([0.12564], requires_grad=True)"


@both_backends
def test_one_whole_number_is_an_index(backend):
    names, label = ["cat", "dog", "bird"], make([[1]], backend, "int64")
    assert (names[label], names[:label], names[make(-1, backend, "int64")]) == ("dog", ["cat"], "bird")
    assert (list(range(label)), int(make([2.75], backend)), int(make([True], backend, "bool"))) == ([0], 2, 1)
    assert make([3.0, 4.0, 5.0], backend)[make(1, backend, "int64") :].tolist() == [4.0, 5.0]


@both_backends
def test_data_is_the_tensor_without_its_history(backend):
    x = leaf([1.0, 2.0], backend)
    doubled = x * 2.0
    assert (doubled.data.tolist(), doubled.data.is_constant(), doubled.data.backend) == ([2.0, 4.0], True, backend)
    x.data[0] = 5.0
    assert x.tolist() == [5.0, 2.0]
    with pytest.raises(GraphError, match="was written after"):
        (doubled * doubled).sum().backward()
    with pytest.raises(AttributeError):
        x.data = x


def test_a_tensor_of_something_else_than_data_raises():
    for given_instead in ([1.0, 2.0], np.ones(2), 3, make([1.0])):
        with pytest.raises(DTypeError, match=r"expected TensorData, got \w+\. minitorch\.tensor\("):
            Tensor(given_instead)


def test_a_tensor_is_not_pickled():
    with pytest.raises(GraphError, match="never code"):
        pickle.dumps(make([1.0]))


def test_a_leaf_is_copied_with_its_gradient_and_what_is_computed_is_not():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    x.name = "x"
    (x * x).sum().backward()
    turned, copied = copy.deepcopy((x.detach().permute(1, 0), x))
    assert turned.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert not turned.requires_grad()
    assert (copied.name, copied.requires_grad(), copied.is_leaf()) == ("x", True, True)
    assert (copied.tolist(), copied.grad.tolist()) == (x.tolist(), x.grad.tolist())
    with no_grad():
        copied[0, 0] = 5.0
        copied.grad[0, 0] = 5.0
    assert (x[0, 0], x.grad[0, 0]) == (1.0, 2.0)
    with pytest.raises(GraphError, match=r"computed is not copied.*detach\(\)"):
        copy.deepcopy([x * 2.0])


def test_a_model_is_copied_with_its_optimizer():
    model = Sequential(Linear(2, 3), BatchNorm1d(3), Linear(3, 1))
    optimizer = Adam(model.parameters())
    x = make([[1.0, 2.0], [3.0, 5.0], [0.0, 1.0]])

    def step(model, optimizer):
        model(x).sum().backward()
        optimizer.step()
        return [value.tolist() for value in state_dict(model).values()]

    step(model, optimizer)
    before = [value.tolist() for value in state_dict(model).values()]
    copied = copy.deepcopy((model, optimizer))
    learnt = step(*copied)
    assert learnt != before
    assert [value.tolist() for value in state_dict(model).values()] == before
    assert step(model, optimizer) == learnt


def test_numpy_leaves_operators_to_us():
    x = leaf([1.0, 2.0])
    with pytest.raises(DTypeError, match="got ndarray"):
        np.ones(2) * x


# --- gradients and the graph ---------------------------------------------------------------------------------


@both_backends
def test_a_gradient_adds_up_over_uses_and_passes(backend):
    x = leaf([2.0, 3.0], backend)
    (x * x + x).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0]
    (x * 10).sum().backward()
    assert x.grad.tolist() == [15.0, 17.0]
    x.zero_grad_()
    assert x.grad is None


def test_a_variable_used_twice_waits_for_both():
    a = leaf([3.0])
    b = a + a
    c = b + b
    c.backward()
    assert a.grad.tolist() == [4.0]


@pytest.mark.task2_4
@given(broadcast_shapes(), st.data())
def test_a_gradient_has_the_shape_of_its_leaf(pair, draw):
    a, b = (draw.draw(tensors(shape)).requires_grad_(True) for shape in pair)
    (a * b).sum().backward()
    common = np.broadcast_shapes(*pair)
    for x, other in [(a, b), (b, a)]:
        full = np.broadcast_to(other.to_numpy(), common)
        expected = sum_to(full, x.shape)
        assert x.grad.shape == x.shape
        assert_close(x.grad.to_numpy(), expected)


def sum_to(array, shape):
    array = array.sum(tuple(range(array.ndim - len(shape))))
    axes = tuple(i for i, n in enumerate(shape) if n == 1)
    return array.sum(axes, keepdims=True)


def test_an_upstream_gradient_is_taken():
    x = leaf([1.0, 2.0])
    (x * 3).backward(make([10.0, 100.0]))
    assert x.grad.tolist() == [30.0, 300.0]


def test_the_graph_is_freed_by_backward():
    x = leaf([1.0, 2.0])
    y = x.exp()
    saved = weakref.ref(y)
    z = (y * y).sum()
    del y
    assert saved() is not None
    z.backward()
    gc.collect()
    assert saved() is None
    assert z.requires_grad()


def test_a_second_backward_raises():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    y.backward()
    with pytest.raises(GraphError, match="freed by an earlier backward"):
        y.backward()
    with pytest.raises(GraphError, match="retain_graph=True"):
        (y * 2).backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_a_part_of_a_freed_graph_raises():
    x = leaf([1.0, 2.0])
    middle = x * x
    middle.sum().backward()
    with pytest.raises(GraphError, match="Mul"):
        middle.exp().sum().backward()


def test_retain_graph_keeps_it():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [6.0, 12.0]
    with pytest.raises(GraphError):
        y.backward()


def test_create_graph_differentiates_again():
    x = leaf([2.0, 3.0])
    y = (x * x * x).sum()
    y.backward(create_graph=True)
    first = x.grad
    assert first.tolist() == [12.0, 27.0]
    x.zero_grad_()
    first.sum().backward(create_graph=True)
    second = x.grad
    assert second.tolist() == [12.0, 18.0]
    x.zero_grad_()
    second.sum().backward()
    assert x.grad.tolist() == [6.0, 6.0]


def test_create_graph_without_retaining_still_frees():
    x = leaf([2.0])
    y = x * x
    y.backward(create_graph=True, retain_graph=False)
    with pytest.raises(GraphError):
        y.backward()


def test_backward_records_nothing_by_itself():
    x = leaf([2.0])
    (x * x).backward()
    assert not x.grad.requires_grad()
    assert is_grad_enabled()


@pytest.mark.parametrize(
    ("root", "error", "message"),
    [
        (lambda x: x * 2, ShapeError, "single number"),
        (lambda x: x.detach().sum(), GraphError, "requires_grad"),
        (lambda x: make([1.0]), GraphError, "requires_grad"),
    ],
)
def test_where_backward_cannot_start(root, error, message):
    with pytest.raises(error, match=message):
        root(leaf([1.0, 2.0])).backward()


def test_an_upstream_gradient_of_another_kind_raises():
    x = leaf([1.0, 2.0])
    with pytest.raises(ShapeError, match=r"\(2,\), got \(1,\)"):
        (x * 2).backward(make([1.0]))
    with pytest.raises(DTypeError):
        (x * 2).backward(make([1.0, 1.0], dtype="float32"))
    with pytest.raises(BackendError):
        (x * 2).backward(make([1.0, 1.0], FastBackend))


def test_leaves_and_constants():
    x, c = leaf([1.0]), make([1.0])
    y = x * c
    assert (x.is_leaf(), y.is_leaf(), c.is_leaf()) == (True, False, False)
    assert (x.is_constant(), y.is_constant(), c.is_constant()) == (False, False, True)
    assert (x.requires_grad(), y.requires_grad(), c.requires_grad()) == (True, True, False)
    assert y.parents == [x, c]
    y.backward()
    assert c.grad is None
    assert y.grad is None


def test_detach_cuts_and_shares():
    x = leaf([1.0])
    y = x.detach()
    assert y.is_constant()
    assert y._tensor is x._tensor
    (x * y).backward()
    assert x.grad.tolist() == [1.0]


def test_requires_grad_can_be_switched():
    x = make([1.0])
    assert x.requires_grad_() is x
    assert x.requires_grad()
    assert not x.requires_grad_(False).requires_grad()
    y = leaf([1.0]) * 2
    assert y.requires_grad_(True) is y
    assert not y.is_leaf()
    with pytest.raises(GraphError, match="detach"):
        y.requires_grad_(False)


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_integers_have_no_gradient(dtype):
    with pytest.raises(DTypeError, match=dtype):
        make([1, 0], dtype=dtype).requires_grad_(True)


@both_backends
@pytest.mark.parametrize("function", [lambda x: x.exp().sum(), lambda x: x.sigmoid().sum(), lambda x: (x * x).sum()])
def test_no_grad_records_nothing(backend, function):
    x = leaf([1.0, 2.0], backend)
    recorded = function(x)
    with no_grad():
        quiet = function(x)
        assert quiet.is_constant()
        with enable_grad():
            assert function(x).requires_grad()
        assert not is_grad_enabled()
    assert is_grad_enabled()
    assert quiet.tolist() == recorded.tolist()


def test_no_grad_ends_with_an_exception():
    with pytest.raises(ZeroDivisionError), no_grad():
        1 / 0  # noqa: B018
    assert is_grad_enabled()


def test_a_failing_forward_leaves_recording_on():
    with pytest.raises(ShapeError):
        leaf([1.0, 2.0]).view(3)
    assert is_grad_enabled()


# --- writes that would make a gradient wrong -----------------------------------------------------------------


def test_a_recorded_tensor_is_not_written():
    x = leaf([1.0, 2.0])
    y = x * x
    for t in (x, y):
        with pytest.raises(GraphError, match=r"detach\(\)"):
            t[0] = 5.0
    with no_grad():
        with pytest.raises(GraphError):
            y[0] = 5.0
        x[0] = 5.0  # a parameter may be set between steps
    assert x.tolist() == [5.0, 2.0]


@pytest.mark.parametrize("write_to", ["input", "output", "view of the input", "parameter"])
def test_a_stale_value_is_caught(write_to):
    x, c = leaf([1.0, 2.0]), make([[3.0, 4.0]])
    y = x * c
    z = y.exp().sum()
    target = {"input": c, "output": y.detach(), "view of the input": c.view(2), "parameter": x.detach()}[write_to]
    target[(0,) * target.dims] = 9.0
    with pytest.raises(GraphError, match="was written after"):
        z.backward()


def test_a_write_before_the_use_is_fine():
    x, c = leaf([1.0, 2.0]), make([3.0, 4.0])
    c[0] = 7.0
    (x * c).sum().backward()
    assert x.grad.tolist() == [7.0, 4.0]


# --- nothing is converted silently ---------------------------------------------------------------------------

MIXES = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / b,
    lambda a, b: a < b,
    lambda a, b: a > b,
    lambda a, b: a <= b,
    lambda a, b: a >= b,
    lambda a, b: a == b,
    lambda a, b: a != b,
    lambda a, b: a.is_close(b),
    lambda a, b: a @ b,
]


@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_backends_do_not_mix(mix, requires_grad):
    a, b = make(np.ones((2, 2)), requires_grad=requires_grad), make(np.ones((2, 2)), FastBackend)
    with pytest.raises(BackendError) as raised:
        mix(a, b)
    assert all(name in str(raised.value) for name in ("SimpleOps", "FastOps"))
    assert (a.backend, b.backend) == (SimpleBackend, FastBackend)
    assert mix(a, b.to(SimpleBackend)).backend is SimpleBackend


@both_backends
@pytest.mark.parametrize("mix", MIXES)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_types_do_not_mix(mix, requires_grad, backend):
    a = make(np.ones((2, 2)), backend, "float32", requires_grad=requires_grad)
    b = make(np.ones((2, 2)), backend)
    with pytest.raises(DTypeError) as raised:
        mix(a, b)
    assert all(name in str(raised.value) for name in DTYPES)
    assert mix(a, b.to("float32")).dtype == np.float32


@pytest.mark.parametrize("other", ["1", None, [1.0], np.ones(2), 1j])
def test_operands_that_are_no_numbers(other):
    with pytest.raises(DTypeError, match=type(other).__name__):
        make([1.0, 2.0]) + other


def test_shapes_that_do_not_broadcast():
    with pytest.raises(BroadcastError, match=r"\(2, 3\) and \(2,\)"):
        make(np.ones((2, 3))) + make(np.ones(2))


def test_to_moves_and_converts():
    x = leaf([1.25, 2.0])
    single = x.to("float32")
    assert (single.dtype, single.is_leaf(), single.tolist()) == (np.dtype("float32"), True, [1.25, 2.0])
    fast = x.to(FastBackend)
    assert (fast.backend, fast.is_leaf()) == (FastBackend, True)
    assert make([1.0]).to("int64").is_constant()
    moved = make(np.arange(6.0).reshape(2, 3), layout=permuted).to("float32")
    assert moved.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    with pytest.raises(GraphError, match="detach"):
        (x * 2).to("float32")
    with pytest.raises(DTypeError, match="float16"):
        x.to("float16")


# --- functions of one's own ----------------------------------------------------------------------------------


@pytest.fixture
def registry():
    """Take classes that a test defines off the list again."""
    before = list(Function.registry)
    yield Function.registry
    Function.registry[:] = before


def test_a_function_of_the_courses_kind(registry):
    """Tensors for numbers, 0.0 for a slot without a derivative, gradients of the broadcast shape."""

    class ScaledSum(Function):
        @staticmethod
        def forward(ctx, a, b, factor):
            ctx.save_for_backward(factor)
            return a.f.add_zip(a, b).f.mul_zip(a.f.add_zip(a, b), factor)

        @staticmethod
        def backward(ctx, d):
            (factor,) = ctx.saved_tensors
            return d * factor, d * factor, 0.0

    assert registry[-1] is ScaledSum
    a, b = leaf([[1.0, 2.0], [3.0, 4.0]]), leaf([10.0, 20.0])
    out = ScaledSum.apply(a, b, make([2.0]))
    assert out.tolist() == [[22.0, 44.0], [26.0, 48.0]]
    out.sum().backward()
    assert a.grad.tolist() == [[2.0, 2.0], [2.0, 2.0]]
    assert b.grad.tolist() == [4.0, 4.0]


def test_a_function_that_returns_its_input(registry):
    class Same(Function):
        @staticmethod
        def forward(ctx, a):
            return a

        @staticmethod
        def backward(ctx, d):
            return d * 2

    x = leaf([1.0])
    y = Same.apply(x)
    assert y is not x
    y.backward()
    assert (x.is_leaf(), x.grad.tolist()) == (True, [2.0])


def test_a_function_with_too_many_gradients(registry):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, a):
            return a.f.neg_map(a)

        @staticmethod
        def backward(ctx, d):
            return d, d

    with pytest.raises(GraphError, match=r"Wrong.backward returned 2 gradients for 1"):
        Wrong.apply(leaf([1.0])).backward()


def test_only_gradients_that_are_wanted_are_computed(registry):
    seen = []

    class Watched(Function):
        @staticmethod
        def forward(ctx, a, b, c):
            return a.f.add_zip(a, b)

        @staticmethod
        def backward(ctx, d):
            seen.append(ctx.needs_input_grad)
            return d, None, None

    Watched.apply(leaf([1.0]), make([1.0]), 3).backward()
    assert seen == [(True, False, False)]


# --- depth and memory ----------------------------------------------------------------------------------------


def test_a_chain_of_100_000_operations():
    x = leaf([1.0], FastBackend)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward()
    assert x.grad.tolist() == [100_001.0]
    del y
    gc.collect()


TRAINING = textwrap.dedent(
    """
    import gc, resource, sys
    import minitorch
    from minitorch.fast_ops import FastBackend

    def rand(*shape):
        return minitorch.rand(shape, backend=FastBackend)

    minitorch.manual_seed(0)
    x, y = rand(64, 32), rand(64, 1)
    w1, w2 = (minitorch.Parameter(w) for w in (rand(32, 64), rand(64, 1)))
    optimiser = minitorch.SGD([w1, w2], lr=1e-4)

    def step():
        optimiser.zero_grad()
        out = (x @ w1.value).relu() @ w2.value
        ((out - y) * (out - y)).mean().backward()
        optimiser.step()

    def resident():
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * resource.getpagesize()

    for _ in range(100):
        step()
    gc.disable()  # cycles would be collected now and then; there must be none
    before = resident()
    for _ in range(1000):
        step()
    print(resident() - before)
    """
)


@pytest.mark.skipif(sys.platform != "linux", reason="the resident memory of a process is read from /proc")
def test_memory_stays_within_5_mb_over_1000_steps():
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", TRAINING], cwd=root, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 5_000_000


@both_backends
def test_a_step_leaves_no_cycle(backend):
    """What a step made is freed at once, without waiting for the garbage collector."""
    x, w = make(np.ones((4, 3)), backend), leaf(np.ones((3, 2)), backend)
    gc.collect()
    gc.disable()
    try:
        out = ((x @ w).sigmoid().log() * 2).exp().sum()
        watched = [weakref.ref(out), *(weakref.ref(t) for t in out.parents)]
        out.backward()
        del out
        assert all(w() is None for w in watched)
    finally:
        gc.enable()


@given(shapes())
def test_zeros_of_a_tensor(shape):
    x = make(np.ones(shape), FastBackend, "float32")
    assert (x.zeros().shape, x.zeros().dtype, x.zeros().backend) == (shape, np.dtype("float32"), FastBackend)
    assert x.zeros((2, 0)).shape == (2, 0)
    assert not x.zeros().to_numpy().any()


def test_expand_is_the_courses():
    """``x.expand(gradient)`` brings a gradient to the shape of x."""
    x = make(np.ones((3, 1)))
    assert x.expand(make(np.ones((2, 3, 4)))).tolist() == [[8.0], [8.0], [8.0]]
    assert make(np.ones((2, 3))).expand(make(np.ones((1, 3)))).tolist() == [[1.0] * 3] * 2


def test_making_from_a_storage():
    x = Tensor.make([1, 2, 3, 4, 5, 6], (2, 3), (1, 2), backend=FastBackend)
    assert x.tolist() == [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]
    assert x.backend is FastBackend
    assert Tensor(TensorData([1.0], (1,))).backend is SimpleBackend
