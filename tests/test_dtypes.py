"""Element types: which there are, and the default."""

from __future__ import annotations

import numpy as np
import pytest

from minitorch import dtypes
from minitorch.creation import ones, rand, tensor, zeros
from minitorch.errors import DTypeError
from minitorch.tensor_data import TensorData


@pytest.fixture
def default_is_restored():
    yield
    dtypes.set_default_dtype("float64")


def test_the_default_is_float64():
    assert dtypes.default_dtype() == dtypes.get_default_dtype() == dtypes.float64 == np.float64


@pytest.mark.parametrize("spelling", ["float32", np.float32, np.dtype("float32"), dtypes.float32, "<f4"])
def test_the_default_can_be_chosen(default_is_restored, spelling):
    dtypes.set_default_dtype(spelling)
    assert dtypes.get_default_dtype() == np.float32
    made = [tensor([1, 2]), zeros((2,)), ones((2,)), rand((2,))]
    assert {x.dtype for x in made} == {np.dtype("float32")}
    assert TensorData([1.0], (1,)).dtype == np.float32
    assert (tensor([1]) + 1.0).dtype == np.float32
    assert tensor(np.array([1.0])).dtype == np.float64  # an array keeps its own
    assert tensor([1], dtype="float64").dtype == np.float64


@pytest.mark.parametrize("dtype", ["int64", "bool", "float16", "nonsense"])
def test_the_default_is_a_type_to_compute_with(dtype):
    with pytest.raises(DTypeError, match="expected float32"):
        dtypes.set_default_dtype(dtype)
    assert dtypes.get_default_dtype() == np.float64


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool", "int8", "int16", "int32", "int64", "uint8", "uint64"])
def test_types_that_are_stored(dtype):
    assert dtypes.storage_dtype(dtype) == np.dtype(dtype)


@pytest.mark.parametrize("dtype", ["float16", "longdouble", "complex64", "O", "S1", "M8[s]", "nonsense", object()])
def test_types_that_are_not(dtype):
    with pytest.raises(DTypeError) as raised:
        dtypes.storage_dtype(dtype)
    assert repr(dtype) in str(raised.value)
    assert "astype" in str(raised.value)


def test_types_to_compute_with():
    assert dtypes.float_dtype("float32") == dtypes.FLOATS[0]
    assert dtypes.float_dtype(float) == dtypes.FLOATS[1]
    with pytest.raises(DTypeError, match="got int64"):
        dtypes.float_dtype("int64")
