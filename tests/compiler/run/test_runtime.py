"""The tensors that outputs are written to, and where arrays are."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch.compiler.run.runtime import CompiledStep, Output, Turns, address, again
from minitorch.fast_ops import FastBackend
from minitorch.tensor import Tensor
from minitorch.tensor_functions import History


def on_fast(*values: float) -> Tensor:
    return minitorch.tensor(values, backend=FastBackend)


LOSS = Output(0, (2, 3), np.dtype("float32"), "constant")


def test_two_tensors_take_turns_while_nobody_holds_them() -> None:
    turns = Turns(LOSS)
    given = [id(turns.next()) for _ in range(6)]
    assert len(set(given)) == 2
    assert given == given[:2] * 3
    tensor = turns.next()
    assert (tensor.shape, tensor.dtype, tensor.backend) == ((2, 3), np.dtype("float32"), FastBackend)
    assert turns.address == tensor._tensor._storage.ctypes.data


@pytest.mark.parametrize(
    "hold",
    [
        lambda t: t,
        lambda t: t._tensor,
        lambda t: t._tensor._storage,
        lambda t: t._tensor.view((3, 2)),
        lambda t: t.to_numpy(),
        lambda t: t.to_numpy()[0, 1:],
        lambda t: memoryview(t.to_numpy()),
        lambda t: t.view(6),
        lambda t: [t],
    ],
)
def test_what_somebody_holds_is_left_alone(hold: Callable[[Tensor], Any]) -> None:
    turns = Turns(LOSS)
    held, addresses = [], []
    for number in range(5):
        tensor = turns.next()
        tensor._tensor._storage[:] = number
        assert turns.address == tensor._tensor._storage.ctypes.data
        held.append(hold(tensor))
        addresses.append(turns.address)
        del tensor
    assert len(set(addresses)) == 5
    del held
    assert [(turns.next(), turns.address)[1] for _ in range(2)] == addresses[3:]


def test_a_weak_reference_does_not_find_a_tensor_that_is_given_again() -> None:
    turns = Turns(LOSS)
    caches = weakref.WeakKeyDictionary({turns.next(): "first", turns.next(): "second"})
    assert [turns.next() in caches for _ in range(4)] == [False] * 4
    assert len(caches) == 0


def test_a_tensor_that_is_given_again_is_as_new() -> None:
    for grad in ("constant", "leaf", "made"):
        turns = Turns(Output(0, (2,), np.dtype("float64"), grad))
        first = turns.next()
        history = first.history
        assert (history is None) == (grad == "constant")
        assert getattr(history, "last_fn", None) is (CompiledStep if grad == "made" else None)
        number = id(first)
        first.grad, first.name, first.history = on_fast(1.0), "loss", None if history else History()
        other = turns.next()
        del first
        given = turns.next()
        assert id(given) == number
        assert id(other) != number
        assert (given._name, given.grad, given.history) == (None, None, history)


def test_a_second_tensor_of_an_output_shares_its_elements() -> None:
    tensor = Turns(LOSS).next()
    other = again(tensor, Output(0, (2, 3), LOSS.dtype, "leaf"))
    assert other._tensor is tensor._tensor
    assert other.is_leaf()
    assert other.backend is FastBackend
    assert not tensor.requires_grad()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(5, np.float32),
        np.zeros((2, 3)),
        np.zeros(9)[3:],
        np.zeros(9)[::2],
        np.zeros((2, 3)).T,
        np.zeros(0),
        np.array(3.0),
        np.zeros(3, bool),
        np.frombuffer(b"12345678", np.int64),  # read-only
    ],
)
def test_the_address_is_that_of_numpy(array: Any) -> None:
    assert address(array) == array.ctypes.data
