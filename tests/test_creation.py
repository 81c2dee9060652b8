"""Making tensors, against NumPy."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitorch
from minitorch.creation import (
    arange,
    from_numpy,
    full,
    linspace,
    ones,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    set_default_backend,
    tensor,
    zeros,
)
from minitorch.errors import DTypeError, ShapeError
from minitorch.fast_ops import FastBackend
from minitorch.random import Generator, default_generator, manual_seed
from minitorch.tensor_ops import SimpleBackend

from .cases import BACKENDS, DTYPES
from .tensor_strategies import shapes

FILLED = {"zeros": (zeros, 0.0), "ones": (ones, 1.0)}


@pytest.fixture
def default_backend():
    yield
    set_default_backend(SimpleBackend)


def test_whole_numbers_are_drawn_alike_from_their_range():
    manual_seed(4)
    draws = randint(-2, 3, (5000,))
    assert draws.dtype == np.int64
    values, counts = np.unique(draws.to_numpy(), return_counts=True)
    assert values.tolist() == [-2, -1, 0, 1, 2]
    assert 850 < counts.min() <= counts.max() < 1150  # of 1000 each
    manual_seed(4)
    assert randint(-2, 3, size=(5000,)).tolist() == draws.tolist()
    manual_seed(4)
    assert randint(5, (5000,), dtype="uint8").tolist() == [n + 2 for n in draws.tolist()]
    assert randint(1, (2, 0), backend=FastBackend).shape == (2, 0)


@pytest.mark.task2_0
@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, min_side=0), elements=st.floats(allow_nan=False)))
def test_nested_lists_are_held_exactly(array):
    made = tensor(array.tolist())
    assert made.tolist() == array.tolist()
    assert made.dtype == np.float64
    assert made.is_constant()
    if 0 not in array.shape:  # a list of nothing does not tell its inner sizes
        assert made.shape == array.shape


@pytest.mark.task2_0
def test_the_courses_shapes():
    assert tensor([1, 2, 3]).shape == (3,)
    assert tensor([[2, 3, 4], [4, 5, 7]]).shape == (2, 3)
    assert tensor([[[2, 3, 4], [4, 5, 7]]]).shape == (1, 2, 3)
    assert tensor(5).shape == ()
    assert tensor([]).shape == (0,)
    assert tensor((1, (2.5))).tolist() == [1.0, 2.5]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "uint8", "bool"])
def test_arrays_keep_their_type_and_are_copied(dtype):
    array = np.array([[1, 0], [1, 1]], dtype)
    made = tensor(array)
    assert made.dtype == dtype
    array[0, 0] = 0
    assert made[0, 0] == 1
    assert tensor(array.T).tolist() == array.T.tolist()
    assert tensor(array, dtype="float32").dtype == np.float32


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
def test_every_argument(backend, dtype):
    for made in (
        tensor([[1, 2]], backend=backend, requires_grad=True, dtype=dtype),
        zeros((1, 2), backend=backend, requires_grad=True, dtype=dtype),
        ones((1, 2), backend=backend, requires_grad=True, dtype=dtype),
        rand((1, 2), backend=backend, requires_grad=True, dtype=dtype),
    ):
        assert made.shape == (1, 2)
        assert made.backend is backend
        assert made.dtype == np.dtype(dtype)
        assert made.is_leaf()


@pytest.mark.parametrize("name", FILLED)
@given(shape=shapes(min_side=0))
def test_filled(name, shape):
    make, value = FILLED[name]
    made = make(shape)
    np.testing.assert_array_equal(made.to_numpy(), np.full(shape, value))
    assert made.dtype == np.float64
    assert made._tensor.is_contiguous()
    assert made.is_constant()


@pytest.mark.parametrize("make", [zeros, ones, rand])
def test_a_number_is_a_shape_of_one_dimension(make):
    assert make(3).shape == (3,)
    assert make(()).shape == ()


@pytest.mark.parametrize("make", [zeros, ones, rand, randn])
def test_sizes_come_as_one_tuple_or_one_by_one(make):
    """The course's second argument is the backend, also behind sizes."""
    for made in (make((2, 3), FastBackend), make(2, 3, FastBackend), make(2, np.int64(3), backend=FastBackend)):
        assert (made.shape, made.backend) == ((2, 3), FastBackend)
    assert make((2, 1), FastBackend, True).is_leaf()
    assert make(2, 1, FastBackend, True).is_leaf()
    assert make(shape=(4,)).shape == make(4, requires_grad=True).shape == (4,)
    for wrong in ((2, -1), (2, 1.5)):
        with pytest.raises(ShapeError, match=re.escape(str(wrong))):
            make(*wrong)
    manual_seed(3)
    apart = make(3, 2, dtype="float32")
    manual_seed(3)
    assert apart.tolist() == make((3, 2), dtype="float32").tolist()


def test_zeros_of_integers():
    assert zeros((2,), dtype="int64").tolist() == [0, 0]
    assert ones((2,), dtype="bool").dtype == np.bool_


@pytest.mark.task2_5
@pytest.mark.parametrize("dtype", DTYPES)
def test_rand_draws_the_same_on_every_backend(dtype):
    drawn = []
    for backend in BACKENDS.values():
        manual_seed(5)
        drawn.append(rand((20, 30), backend=backend, dtype=dtype).to_numpy())
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert drawn[0].min() >= 0
    assert drawn[0].max() < 1
    assert abs(drawn[0].mean() - 0.5) < 0.05
    assert len(np.unique(drawn[0])) > 590
    assert not np.array_equal(drawn[0], rand((20, 30), dtype=dtype).to_numpy())


def test_draws_are_of_the_generator_that_is_given():
    before = default_generator.state
    own, like = Generator(3), ones((4,), dtype="float64")
    drawn = [
        rand((4,), generator=own),
        randn((4,), generator=own),
        randint(6, (4,), generator=own),
        rand_like(like, generator=own),
        randn_like(like, generator=own),
    ]
    again = Generator(3)
    expected = [again.uniform(4), again.normal(4), again.integers(0, 6, 4), again.uniform(4), again.normal(4)]
    for ours, theirs in zip(drawn, expected, strict=True):
        np.testing.assert_array_equal(ours.to_numpy(), theirs)
    assert default_generator.state == before


def test_rand_takes_a_stream_of_its_own():
    manual_seed(1)
    rand((2,))
    assert default_generator.state == (1, 1)


def test_the_default_backend_can_be_chosen(default_backend):
    assert tensor([1.0]).backend is SimpleBackend
    set_default_backend(FastBackend)
    assert {make((2,)).backend for make in (zeros, ones, rand)} == {FastBackend}
    assert tensor([1.0]).backend is FastBackend
    assert minitorch.tensor([1.0], backend=SimpleBackend).backend is SimpleBackend


@pytest.mark.parametrize("values", [[[1, 2], [3]], [1, [2]], [[[1]], [[1, 2]]]])
def test_ragged_lists_raise(values):
    with pytest.raises(ShapeError, match="ragged"):
        tensor(values)


@pytest.mark.parametrize("values", ["abc", "1", ["1", "2"], [None], [1.0, None], [object()], {"a": 1}, 1j, [1j]])
def test_what_is_no_number_raises(values):
    with pytest.raises(DTypeError, match="expected numbers"):
        tensor(values)


def test_integers_beyond_64_bits():
    assert tensor([2**70, 1]).tolist() == [float(2**70), 1.0]


def test_a_tensor_of_a_tensor_raises():
    with pytest.raises(DTypeError, match=r"detach\(\)"):
        tensor(tensor([1.0]))


@pytest.mark.parametrize("dtype", ["float16", "complex64", "nonsense", "float8", str])
@pytest.mark.parametrize("make", [lambda d: tensor([1], dtype=d), lambda d: zeros((1,), dtype=d)])
def test_other_types_raise(make, dtype):
    with pytest.raises(DTypeError, match="expected float32, float64"):
        make(dtype)


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_integers_are_not_drawn(dtype):
    with pytest.raises(DTypeError, match="expected float32 or float64"):
        rand((1,), dtype=dtype)
    with pytest.raises(DTypeError, match="have gradients"):
        zeros((1,), dtype=dtype, requires_grad=True)


@pytest.mark.parametrize("make", [zeros, ones, rand])
def test_negative_sizes_raise(make):
    with pytest.raises(ShapeError, match=r"\(2, -1\)"):
        make((2, -1))


# --- filled, counted, drawn, shared ----------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
@pytest.mark.parametrize("dtype", DTYPES)
def test_full(backend, dtype):
    made = full((2, 3), -0.5, backend=backend, requires_grad=True, dtype=dtype)
    assert (made.tolist(), made.dtype, made.backend) == ([[-0.5] * 3] * 2, np.dtype(dtype), backend)
    assert made.is_leaf()
    assert full((), np.inf).item() == np.inf
    assert full((2,), True, dtype="bool").tolist() == [True, True]


@given(st.integers(-6, 6), st.integers(-6, 6), st.sampled_from([1, 2, 3, 0.25, 0.7]))
def test_counting(start, end, step):
    step = step if end >= start else -step
    expected = np.arange(start, end, step)
    made = arange(start, end, step)
    assert made.tolist() == expected.tolist()
    assert made.dtype == (np.int64 if isinstance(step, int) else np.float64)
    assert arange(start, end, step, dtype="float32").dtype == np.float32


def test_counting_from_zero():
    assert (arange(3).tolist(), arange(2.5).tolist(), arange(0).shape) == ([0, 1, 2], [0.0, 1.0, 2.0], (0,))
    assert ones((3, 2))[arange(2)].shape == (2, 2)


@given(st.floats(-9, 9), st.floats(-9, 9), st.integers(0, 7))
def test_spacing(start, end, steps):
    np.testing.assert_array_equal(linspace(start, end, steps).to_numpy(), np.linspace(start, end, steps))


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
def test_normal_draws(backend):
    manual_seed(5)
    made = randn((200, 50), backend=backend, dtype="float32")
    manual_seed(5)
    assert (made.to_numpy() == default_generator.normal((200, 50), np.float32)).all()
    assert (made.dtype, made.backend) == (np.float32, backend)
    assert abs(made.to_numpy().mean()) < 0.03
    assert abs(made.to_numpy().std() - 1.0) < 0.03


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        lambda a: a.T,
        lambda a: a[1:, ::2],
        lambda a: a[:, None, 3],
        lambda a: a[2, 3],
        lambda a: a[:0],
    ],
    ids=["whole", "transposed", "sliced", "with a new dimension", "number", "nothing"],
)
def test_memory_is_shared_with_numpy(view, dtype):
    array = np.arange(20).reshape(4, 5).astype(dtype)
    part = np.asarray(view(array)) if isinstance(view(array), np.ndarray) else array[2:3, 3].reshape(())
    made = from_numpy(part)
    assert (made.shape, made.dtype) == (part.shape, part.dtype)
    assert made.tolist() == part.tolist()
    assert not part.size or np.shares_memory(made.to_numpy(), array)
    part[...] = 1
    assert made.tolist() == part.tolist()
    if part.size:
        made[(0,) * part.ndim] = 0
        assert part[(0,) * part.ndim] == 0


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
def test_a_shared_array_computes(backend):
    array = np.arange(6.0).reshape(2, 3).T
    assert (from_numpy(array, backend) * 2.0).tolist() == (2.0 * array).tolist()
