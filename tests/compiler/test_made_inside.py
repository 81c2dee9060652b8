"""Tensors that a compiled step makes itself: filled, counted, or of arrays and numbers that change between calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch import convolution
from minitorch.compiler.compiled import PROGRAMS
from minitorch.errors import BackendError, CompileError, DTypeError
from minitorch.fast_ops import FastBackend
from minitorch.tensor import Tensor

from ..cases import make

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5]])


def x_of(dtype: str = "float64") -> Tensor:
    return make(X, FastBackend, dtype)


def programs(step: Any) -> int:
    return len(step.traces)


MADE: dict[str, Callable[[Tensor], Tensor]] = {
    "arange": lambda x: minitorch.arange(3, backend=FastBackend),
    "arange of numbers": lambda x: minitorch.arange(0.5, -2.0, -1.0, backend=FastBackend),
    "arange of a size": lambda x: minitorch.arange(x.shape[0], backend=FastBackend),
    "linspace": lambda x: minitorch.linspace(-1, 1, 3, FastBackend),
    "full": lambda x: minitorch.full((2, 1), -0.25, FastBackend, dtype="float32"),
    "zeros": lambda x: minitorch.zeros((2, 3), FastBackend),
    "ones": lambda x: minitorch.ones((3,), FastBackend, dtype="int64"),
    "nothing": lambda x: minitorch.ones((0, 3), FastBackend),
    "eye": lambda x: minitorch.eye(3, 2, FastBackend),
    "from_numpy": lambda x: minitorch.from_numpy(np.arange(6.0).reshape(2, 3)[:, ::2], FastBackend),
    "tensor": lambda x: minitorch.tensor([[1, 2, 3]], FastBackend),
    "zeros_like": lambda x: minitorch.zeros_like(x),
    "ones_like": lambda x: minitorch.ones_like(x.permute(1, 0)),
    "ones_like of another dtype": lambda x: minitorch.ones_like(x, "float32"),
}


@pytest.mark.parametrize("make_one", MADE.values(), ids=MADE)
def test_what_a_step_makes_is_what_the_eager_step_makes(make_one: Callable[[Tensor], Tensor]) -> None:
    def step(x: Tensor) -> list[Tensor]:
        made = make_one(x)
        return [made, (made.to("float64") * 2.0).sum() + x.sum()]

    compiled = minitorch.compile(step)
    for _ in range(2):
        for found, expected in zip(compiled(x_of()), step(x_of()), strict=True):
            assert (found.shape, found.dtype, found.backend) == (expected.shape, expected.dtype, FastBackend)
            np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())
    assert programs(compiled) == 1


def test_a_number_that_fills_a_tensor_is_an_input() -> None:
    def step(x: Tensor, value: float) -> list[Tensor]:
        filled = minitorch.full((3,), value, FastBackend)
        whole = minitorch.full((), value * 2.0, FastBackend, dtype="int64")
        return [x * filled, filled, minitorch.full((2, 0), value, FastBackend), whole]

    compiled = minitorch.compile(step)
    for value in (0.5, -2.75, 3.0):
        for found, expected in zip(compiled(x_of(), value), step(x_of(), value), strict=True):
            assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
            np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())
    assert programs(compiled) == 1


def test_a_number_that_fills_a_tensor_is_followed_where_it_is_read() -> None:
    settings = {"scale": 2.0}
    step = minitorch.compile(lambda x: x * minitorch.full((3,), settings["scale"], FastBackend))
    for scale in (2.0, 3.0, 2.0):
        settings["scale"] = scale
        np.testing.assert_array_equal(step(x_of()).to_numpy(), X * scale)
    assert programs(step) == 2


def test_a_number_may_be_the_bias_of_a_convolution() -> None:
    """The kernel of the convolution reads its bias from memory, where a number is not."""
    image, weight = (
        make(np.cos(np.arange(50.0)).reshape(2, 1, 5, 5), FastBackend),
        make(np.ones((1, 1, 3, 3)), FastBackend),
    )
    filled = minitorch.compile(lambda x, b: convolution.conv2d(x, weight, minitorch.full((1,), b, FastBackend)))
    added = minitorch.compile(lambda x, b: convolution.conv2d(x, weight) + b)
    for value in (0.5, -3.0):
        expected = convolution.conv2d(image, weight).to_numpy() + value
        for step in (filled, added):
            np.testing.assert_allclose(step(image, value).to_numpy(), expected, rtol=1e-12)


BY_VALUE: dict[str, Callable[[float], Tensor]] = {
    "arange": lambda value: minitorch.arange(0.0, value, 1.0, backend=FastBackend),
    "arange by steps": lambda value: minitorch.arange(0, 3, value, backend=FastBackend),
    "linspace": lambda value: minitorch.linspace(value, 2.0 * value, 4, FastBackend),
    "tensor": lambda value: minitorch.tensor([[value, 1.0], [2, value + 1.0]], FastBackend),
    "one number": lambda value: minitorch.tensor(value, FastBackend, dtype="float32"),
}


@pytest.mark.parametrize("make_one", BY_VALUE.values(), ids=BY_VALUE)
def test_other_tensors_of_a_number_are_made_anew_for_each_value(make_one: Callable[[float], Tensor]) -> None:
    """How many numbers ``arange`` gives depends on it, so a program is for one value."""
    step = minitorch.compile(lambda x, value: [make_one(value), make_one(value).to("float64").sum() * x])
    for value in (1.5, 2.5, 1.5):
        (found, scaled), expected = step(x_of(), value), make_one(value)
        assert found.shape == expected.shape
        np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())
        np.testing.assert_allclose(scaled.to_numpy(), expected.to_numpy().astype(float).sum() * X, rtol=1e-14)
    assert programs(step) == 2


OUTSIDE = np.array([1.0, 2.0, 3.0])


@pytest.mark.parametrize("wrap", [minitorch.from_numpy, minitorch.tensor])
def test_an_array_outside_is_followed(wrap: Callable[..., Tensor]) -> None:
    step = minitorch.compile(lambda x: x * wrap(OUTSIDE, backend=FastBackend))
    for value in (1.0, 5.0, -2.0):
        OUTSIDE[0] = value
        np.testing.assert_array_equal(step(x_of()).to_numpy(), X * [value, 2.0, 3.0])
        OUTSIDE[0] = 1.0
        np.testing.assert_array_equal(step(x_of()).to_numpy(), X * [1.0, 2.0, 3.0])


def test_a_tensor_that_shares_an_array_is_read_in_every_call() -> None:
    array = np.array([1.0, 2.0, 3.0])
    shared = minitorch.from_numpy(array, FastBackend)
    step = minitorch.compile(lambda x: x * shared)
    for value in (1.0, 5.0):
        array[0] = value
        np.testing.assert_array_equal(step(x_of()).to_numpy(), X * [value, 2.0, 3.0])
    assert programs(step) == 1


@pytest.mark.parametrize("wrap", [minitorch.from_numpy, minitorch.tensor])
def test_an_array_among_the_arguments_is_read_in_every_call(wrap: Callable[..., Tensor]) -> None:
    def step(x: Tensor, array: Any) -> list[Tensor]:
        made = wrap(array, backend=FastBackend)
        return [x * made, made]

    compiled = minitorch.compile(step)
    array = np.array([1.0, 2.0, 3.0])
    for value in (1.0, 5.0):
        array[0] = value
        for run in (step, compiled):
            found, made = run(x_of(), array)
            np.testing.assert_array_equal(found.to_numpy(), X * [value, 2.0, 3.0])
            np.testing.assert_array_equal(made.to_numpy(), array)
    assert programs(compiled) == 1
    with pytest.raises(BackendError, match="on one backend"):
        minitorch.compile(lambda x, array: x * wrap(array))(x_of(), array)


def test_an_array_among_the_arguments_is_converted_and_differentiated() -> None:
    def step(array: Any) -> list[Tensor]:
        made = minitorch.tensor(array, FastBackend, requires_grad=True, dtype="float32")
        (made * made).sum().backward()
        assert made.grad is not None
        return [made.grad, made.detach()]

    for found, expected in zip(minitorch.compile(step)(OUTSIDE), step(OUTSIDE), strict=True):
        assert found.dtype == expected.dtype == np.float32
        np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())


def test_a_tensor_among_the_arguments_is_no_array() -> None:
    for wrap in (minitorch.from_numpy, minitorch.tensor):
        with pytest.raises(DTypeError, match=r"expected (numbers|a NumPy array), got"):
            minitorch.compile(lambda x, wrap=wrap: wrap(x, backend=FastBackend))(x_of())


def test_another_value_in_each_call_is_warned_of() -> None:
    step = minitorch.compile(lambda x, value: x + minitorch.tensor(value, FastBackend))
    for value in range(PROGRAMS - 1):
        step(x_of(), float(value))
    with pytest.warns(RuntimeWarning, match=f"traced {PROGRAMS} times"):
        step(x_of(), -1.0)


def test_what_a_step_fills_is_on_its_backend() -> None:
    with pytest.raises(BackendError, match="on one backend"):
        minitorch.compile(lambda x, value: x + minitorch.full((3,), value))(x_of(), 2.0)
    large = np.ones(10_000)
    with pytest.raises(CompileError, match="`large` of 80000 bytes"):
        minitorch.compile(lambda x: x.sum() + minitorch.from_numpy(large, FastBackend))(x_of())
