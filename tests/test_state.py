"""The methods of a module that read and put back its values, and that nothing changes unless everything fits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch.errors import DTypeError, ShapeError
from minitorch.layers import BatchNorm1d, Linear, Sequential


def network(dtype: str = "float32") -> Sequential:
    return Sequential(Linear(3, 4, dtype=dtype), BatchNorm1d(4, dtype=dtype), Linear(4, 2, dtype=dtype))


def test_the_methods_and_the_functions_read_and_fill_alike():
    model, other, third = network(), network(), network()
    state = model.state_dict()
    assert list(state) == [name for name, _ in model.named_state()]
    assert "1.running_mean" in state
    other.load_state_dict(state)
    minitorch.load_state_dict(third, minitorch.state_dict(model))
    for name, array in state.items():
        np.testing.assert_array_equal(other.state_dict()[name], array)
        np.testing.assert_array_equal(third.state_dict()[name], array)
    assert all(p.value.requires_grad() for p in other.parameters())


def test_what_is_frozen_stays_frozen():
    model = network()
    model[0].weight.value.requires_grad_(False)
    model.load_state_dict(network().state_dict())
    assert [p.value.requires_grad() for p in model.parameters()] == [False, True, True, True, True, True]


def test_a_state_is_a_copy_and_so_is_what_was_filled():
    model, other = network(), network()
    state = model.state_dict()
    before = {name: array.copy() for name, array in state.items()}
    other.load_state_dict(state)
    for array in state.values():
        array += 1
    for filled in (model, other):
        for name, array in filled.state_dict().items():
            np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_keep_their_dtype_and_any_layout_is_taken(dtype):
    model, weight = network(dtype), np.arange(12, dtype="float16").reshape(3, 4).T
    model.load_state_dict({**model.state_dict(), "0.weight": weight, "0.bias": minitorch.tensor([1.0, 2.0, 3.0, 4.0])})
    found = model.state_dict()
    assert {array.dtype.name for name, array in found.items() if "num_batches" not in name} == {dtype}
    np.testing.assert_array_equal(found["0.weight"], weight)
    np.testing.assert_array_equal(found["0.bias"], [1.0, 2.0, 3.0, 4.0])


def test_nothing_changes_unless_everything_fits():
    model = network()
    before, state = model.state_dict(), network().state_dict()
    del state["0.weight"]
    state["extra"], state["2.bias"] = np.zeros(1), np.zeros((2, 1))
    with pytest.raises(ShapeError) as caught:
        model.load_state_dict(state)
    message = str(caught.value)
    for problem in (
        "the arrays do not fit Sequential",
        "missing: 0.weight (4, 3)",
        "unexpected: extra (1,)",
        "misshapen: 2.bias is (2, 1), the model's is (2,)",
    ):
        assert problem in message
    not_states: list[Any] = [[("0.weight", np.zeros((4, 3)))], {**before, "0.weight": [[1.0]]}]
    for wrong in not_states:
        with pytest.raises(DTypeError):
            model.load_state_dict(wrong)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
