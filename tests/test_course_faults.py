"""The faults of the course's given code, and of solutions that it ships: one test for each, so that none comes back."""

from __future__ import annotations

import random

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch
from minitorch import MathTestVariable, Module, Tensor, TensorData, grad_check
from minitorch.errors import BackendError
from minitorch.fast_ops import FastBackend, tensor_map
from minitorch.layers import Dropout
from minitorch.random import manual_seed
from minitorch.tensor_ops import SimpleBackend

from .cases import BACKENDS, LAYOUTS, assert_close, make

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))


@pytest.mark.task2_4
@both_backends
def test_the_gradient_of_a_view_follows_a_permuted_one(backend):
    """The course reads the gradient's storage as if it were contiguous: it gave 1, 10, 2, 20, 3, 30 here."""
    x = make([1.0, 1.0, 1.0, 1.0, 1.0, 1.0], backend, requires_grad=True)
    w = make([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]], backend)
    (x.view(2, 3).permute(1, 0) * w).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0, 3.0, 10.0, 20.0, 30.0]


@pytest.mark.task4_3
@both_backends
def test_the_gradient_of_average_pooling_stays_in_its_window(backend):
    """With that View, the usual tile and mean scatter the gradient over the image."""
    x = make(np.zeros((1, 1, 4, 4)), backend, requires_grad=True)
    d = make([[[[4.0, 8.0], [12.0, 16.0]]]], backend)
    windows, height, width = minitorch.tile(x, (2, 2))
    windows.mean(4).view(1, 1, height, width).backward(d)
    expected = [[[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0], [3.0, 3.0, 4.0, 4.0], [3.0, 3.0, 4.0, 4.0]]]]
    assert x.grad.tolist() == expected
    x.zero_grad_()
    minitorch.avgpool2d(x, (2, 2)).backward(d)
    assert x.grad.tolist() == expected


def test_a_module_has_no_mode():
    """Asking for ``self.mode`` gave None, so dropout stayed on in evaluation."""
    with pytest.raises(AttributeError, match="mode"):
        _ = Module().mode
    network = Module()
    network.dropout = Dropout(0.9)
    network.eval()
    x = make(np.ones(50))
    assert network.dropout(x).tolist() == [1.0] * 50


@pytest.mark.task3_1
@pytest.mark.parametrize("n", [1023, 1024, 1025, 2049, 5000])
@both_backends
def test_a_long_reduction_leaves_one_result(backend, n):
    """The course's CUDA reduction left a partial result for each 1024 elements."""
    x = make(np.ones((2, n)), backend)
    assert x.sum(1).tolist() == [[n], [n]]
    assert x.sum().tolist() == [2.0 * n]


@pytest.mark.task2_1
def test_contiguity_looks_at_sizes():
    """The course compares strides alone."""
    assert TensorData(np.ones(3), (1, 3), (99, 1)).is_contiguous()
    assert TensorData(np.ones(3), (3, 1), (1, 99)).is_contiguous()
    assert not TensorData(np.ones(3), (3, 3), (0, 1)).is_contiguous()
    assert not TensorData(np.ones(3), (3, 3), (1, 0)).is_contiguous()
    assert not TensorData(np.ones(5), (2, 2), (3, 1)).is_contiguous()


@pytest.mark.task2_1
def test_a_shape_may_be_a_list():
    data = TensorData([1, 2, 3, 4], [2, 2])
    assert data.shape == (2, 2)
    assert Tensor.make([1, 2], [2, 1]).shape == (2, 1)
    assert minitorch.zeros([2, 3]).shape == (2, 3)


def test_an_operand_is_not_moved_to_another_backend():
    """The course changed the other operand's backend in place."""
    a, b = make([1.0]), make([1.0], FastBackend)
    with pytest.raises(BackendError):
        a + b
    assert a.backend is SimpleBackend
    assert b.backend is FastBackend


@pytest.mark.task2_4
@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("lt2", ([0.0, 1.0], [1.2, 2.2])),
        ("gt2", ([0.0, 1.0], [1.2, 2.2])),
        ("eq2", ([5.5, 6.5], [0.0, 1.0])),
        ("relu", ([-5.5, 0.0],)),
        ("inv", ([-3.5, 0.0],)),
        ("div2", ([1.0, 2.0], [-5.5, 1.0])),
        ("complex", ([-0.7, -0.1],)),
    ],
)
@both_backends
def test_gradients_are_checked_at_kinks_and_poles(backend, name, where):
    """The course's check compares with the middle of both sides, or divides by zero, where Hypothesis looks first."""
    one, two, _ = MathTestVariable._comp_testing()
    (function,) = (f for known, _, f in [*one, *two] if known == name)
    grad_check(function, *(make(v, backend) for v in where))


@pytest.mark.task4_4
@given(st.integers(0, 2**32))
def test_dropout_of_rate_zero_keeps_everything(seed):
    """Comparing with ``rand() > 0.0`` dropped an element whose draw was 0."""
    manual_seed(seed)
    x = make(np.ones((3, 3)))
    assert minitorch.dropout(x, 0.0).tolist() == x.tolist()
    assert not minitorch.dropout(x, 1.0).to_numpy().any()


@pytest.mark.task4_4
@pytest.mark.edition2020("task4_3")
@both_backends
def test_argmax_marks_one_of_equal_numbers(backend):
    """A comparison with the maximum marks every one of them, and the gradient of max then counts twice."""
    x = make([[2.0, 2.0, 1.0]], backend, requires_grad=True)
    assert minitorch.argmax(x, 1).tolist() == [[1.0, 0.0, 0.0]]
    minitorch.max(x, 1).sum().backward()
    assert x.grad.tolist() == [[1.0, 0.0, 0.0]]


def test_the_check_does_not_seed_pythons_random_numbers():
    """After the course's check every "random" test was the same one."""
    random.seed(5)
    state = random.getstate()
    grad_check(lambda x: x * x, make([1.0]))
    minitorch.rand((3,))
    minitorch.datasets["Simple"](5)
    assert random.getstate() == state


def test_a_second_backend_compiles_nothing_again():
    """Each ``TensorBackend(FastOps)`` of the course builds new closures, so every kernel is compiled again."""
    assert minitorch.TensorBackend(minitorch.FastOps) is minitorch.TensorBackend(minitorch.FastOps)

    def twice(x):
        return 2.0 * x

    assert tensor_map(twice) is tensor_map(twice)
    compiled = numba.njit(twice)
    assert tensor_map(compiled) is tensor_map(compiled)


def test_requires_grad_looks_at_its_argument():
    """The course's ``requires_grad_(x)`` switches on whatever x is."""
    x = make([1.0]).requires_grad_(True)
    assert not x.requires_grad_(False).requires_grad()


@both_backends
def test_softmax_with_a_gradient_of_zero_does_not_pass(backend):
    """The course's check uses an upstream gradient of ones, under which the gradient of a softmax is zero."""
    x = make([1.0, 2.0, 4.0], backend, requires_grad=True)
    minitorch.softmax(x, 0).backward(make([1.0, 0.0, 0.0], backend))
    p = np.exp([1.0, 2.0, 4.0]) / np.exp([1.0, 2.0, 4.0]).sum()
    assert_close(x.grad.to_numpy(), p * (np.array([1.0, 0.0, 0.0]) - p[0]))


@pytest.mark.parametrize("layout", LAYOUTS)
@both_backends
def test_convolution_values_are_right_in_every_layout(backend, layout):
    """The course's tests compare no value of a conv2d: any bilinear map with its own gradient passes them."""
    x = make(np.arange(8.0).reshape(2, 1, 2, 2), backend, layout=LAYOUTS[layout])
    w = make(np.array([[[[1.0, 10.0], [100.0, 1000.0]]]]), backend)
    top_left = minitorch.conv2d(x, w).to_numpy()[:, 0, 0, 0]
    np.testing.assert_array_equal(top_left, x.to_numpy().reshape(2, 4) @ [1.0, 10.0, 100.0, 1000.0])
