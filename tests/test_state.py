"""The methods of a module that read and put back its values, and that nothing changes unless everything fits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch.errors import DTypeError, ShapeError
from minitorch.layers import BatchNorm1d, Linear, Sequential
from minitorch.module import Buffer


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


def test_what_is_not_strict_fills_what_fits_and_names_the_rest():
    model, other = network(), network()
    before, state = model.state_dict(), {name: np.array(array + 1) for name, array in other.state_dict().items()}
    del state["0.weight"]
    state["extra"] = np.zeros(1)
    keys = model.load_state_dict(state, strict=False)
    assert (keys.missing_keys, keys.unexpected_keys) == (["0.weight"], ["extra"])
    assert minitorch.load_state_dict(model, state, strict=False) == keys
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name] if name == "0.weight" else state[name])
    assert model.load_state_dict(other.state_dict()) == ([], [])


def test_shapes_must_agree_also_where_names_need_not():
    model = network()
    before = model.state_dict()
    state = {"0.bias": np.ones(4), "2.bias": np.zeros((2, 1)), "extra": np.zeros(1)}
    with pytest.raises(ShapeError, match=r"misshapen: 2\.bias is \(2, 1\), the model's is \(2,\)") as caught:
        model.load_state_dict(state, strict=False)
    assert "missing" not in str(caught.value)
    assert "unexpected" not in str(caught.value)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


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


# --- to ------------------------------------------------------------------------------------------------------


def test_a_model_is_converted_with_its_buffers_and_its_parameters_stay_the_same_objects():
    model = network("float64")
    model[0].weight.value.requires_grad_(False)
    before, parameters = model.state_dict(), model.parameters()
    assert model.to("float32") is model
    assert all(p is q for p, q in zip(model.parameters(), parameters, strict=True))
    assert [p.value.requires_grad() for p in parameters] == [False, True, True, True, True, True]
    for name, array in model.state_dict().items():
        kept = name.endswith("num_batches_tracked")
        assert array.dtype == ("int64" if kept else "float32"), name
        np.testing.assert_array_equal(array, before[name].astype(array.dtype))
    assert model(minitorch.ones((5, 3), dtype="float32")).dtype == "float32"


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_whole_numbers_and_truth_values_keep_their_dtype_and_change_their_backend(dtype):
    model = network("float64")
    model.table = Buffer(minitorch.tensor([0, 1], dtype=dtype))
    model.to("float32").to(minitorch.FastBackend)
    table = model.table.value
    assert (table.dtype, table.backend, table.requires_grad()) == (np.dtype(dtype), minitorch.FastBackend, False)
    assert table.tolist() == [0, 1]


def test_a_model_moves_to_another_backend_and_learns_there():
    model = network("float64")
    before, buffers = model.state_dict(), model.buffers()
    model.to(minitorch.FastBackend)
    moved = [held for name, held in model.named_state() if name != "1.num_batches_tracked"]  # a Python number
    assert {held.value.backend for held in moved} == {minitorch.FastBackend}
    assert [id(held) for held in model.buffers()] == [id(held) for held in buffers]
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    model(minitorch.rand((5, 3), backend=minitorch.FastBackend)).sum().backward()
    assert all(p.value.grad.backend is minitorch.FastBackend for p in model.parameters())


def test_where_nothing_changes_the_tensors_stay():
    model = network("float32").to(minitorch.FastBackend)
    tensors = [p.value for p in model.parameters()]
    model.to(minitorch.FastBackend).to("float32").to(np.float32)
    assert all(p.value is x for p, x in zip(model.parameters(), tensors, strict=True))


@pytest.mark.parametrize("target", ["cuda", "cpu", "int64", "float16", None, 3], ids=str)
def test_a_model_goes_to_backends_and_floats_alone(target):
    model = network()
    with pytest.raises(DTypeError, match=r"expected a backend.* or float32 or float64, got .*no names of devices"):
        model.to(target)
    assert model[0].weight.value.dtype == "float32"


def test_a_parameter_that_is_no_tensor_is_named_and_nothing_is_converted():
    model = network("float64")
    model.scale = minitorch.Parameter(2.0)
    with pytest.raises(DTypeError, match="'scale' expected a tensor, got float"):
        model.to("float32")
    assert model[0].weight.value.dtype == "float64"
