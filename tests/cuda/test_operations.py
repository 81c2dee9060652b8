"""Every operation on CudaOps: values, derivatives of both orders, and parts that are written."""

from __future__ import annotations

import re

import numpy as np
import pytest

import minitorch
from minitorch.cuda_data import CudaData
from minitorch.tensor_ops import SimpleBackend
from tests.cases import BACKENDS, LAYOUTS, assert_close, contiguous, make, normal
from tests.function_cases import ROWS
from tests.op_cases import TABLE, drawn
from tests.test_tensor_functions import cells, differentiate, layout_of

GPU = BACKENDS["cuda"]


@pytest.mark.parametrize(("case", "cell"), [c for c in cells("values") if c.values[1] in {"expanded", "none", "one"}])
def test_values(case, cell):
    """NumPy's values in float32, for every operation and emptiness; derivatives come from another layout."""
    arrays = [a.astype(np.float32) for a in drawn(case, cell, case.draw_values or case.draw)]
    operands = [make(a, GPU, "float32", layout_of(case, cell)) for a in arrays]
    before = [x.to_numpy() for x in operands]
    with np.errstate(all="ignore"):
        expected = case.numpy(*before)
    out = case.call(*operands)
    assert (out.dtype, out.backend) == (np.float32, GPU)
    assert isinstance(out._tensor, CudaData)
    assert_close(out.to_numpy(), expected, "float32")
    for x, array in zip(operands, before, strict=True):
        np.testing.assert_array_equal(x.to_numpy(), array)


@pytest.mark.parametrize("case", [c for c in TABLE if "derivatives" not in c.empty], ids=lambda c: c.id)
def test_derivatives(case):
    """The definition's gradients of both orders, in float64."""
    cell = "permuted" if "permuted" not in case.empty else "contiguous"
    arrays = drawn(case, cell, case.draw)
    rng = np.random.default_rng(6)
    weights = [normal(rng, a.shape) for a in arrays]
    found = {}
    for backend in (SimpleBackend, GPU):
        operands = [make(a, backend, "float64", layout_of(case, cell)) for a in arrays]
        with minitorch.no_grad():
            shape = case.call(*operands).shape
        upstream = make(normal(np.random.default_rng(7), shape), backend, "float64", LAYOUTS.get(cell, contiguous))
        found[backend] = differentiate(case.call, operands, upstream, weights)
    for name in ("first", "second"):
        for ours, expected in zip(getattr(found[GPU], name), getattr(found[SimpleBackend], name), strict=True):
            assert_close(ours, expected)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_function_that_is_composed_of_operations(row):
    operands = [make(a, GPU, "float64", requires_grad=True) for a in row.operands()]
    reference = [make(a, SimpleBackend, "float64", requires_grad=True) for a in row.operands()]
    out, expected = row.call(*operands), row.call(*reference)
    assert_close(out.to_numpy(), row.numpy(*row.operands()))
    upstream = normal(np.random.default_rng(5), out.shape)
    out.backward(make(upstream, GPU))
    expected.backward(make(upstream, SimpleBackend))
    for x, r in zip(operands, reference, strict=True):
        assert_close(x.grad.to_numpy(), r.grad.to_numpy())


@pytest.mark.parametrize("layout", ["contiguous", "permuted"])
@pytest.mark.parametrize("key", [(1, 2), np.s_[:, 1:], np.s_[..., ::2], ([2, 0], 1), None], ids=str)
def test_parts_are_written_on_the_device(key, layout):
    expected = np.arange(12.0).reshape(3, 4)
    x = make(expected, GPU, "float64", LAYOUTS[layout])
    storage = x._tensor._storage
    if key is None:
        key = x > 5
        expected[expected > 5] = -1
    else:
        expected[key] = -1
    x[key] = -1
    np.testing.assert_array_equal(x.to_numpy(), expected)
    assert isinstance(x._tensor, CudaData)
    assert x._tensor._storage is storage


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
@pytest.mark.parametrize(
    ("key", "shape"),
    [
        (np.s_[:, 1:], (3, 1)),
        (np.s_[1], (4,)),
        (np.s_[::2, None, :2], (1, 1, 2)),
        (([2, 0, 2, 2],), (4, 4)),  # row 2 is written three times: the last stays
        (([0, 1, 0], [3, 0, 3]), (3,)),
        ((slice(1, None), [3, 0]), (2, 2)),
        (([],), (0, 4)),
        ((np.array([[True, False, True, True]] * 3),), (9,)),
    ],
    ids=str,
)
def test_what_is_written_comes_from_the_device(monkeypatch, key, shape, dtype):
    """As NumPy writes, from views too, and no element of either tensor is read back for it."""
    values = normal(np.random.default_rng(2), shape)
    values = (values > 0).astype(dtype) if dtype == "bool" else (9 * values).astype(dtype)
    expected = np.zeros((3, 4), dtype)
    x, source = make(expected, GPU, dtype), make(values, GPU, dtype, LAYOUTS["permuted"])
    with monkeypatch.context() as patch:
        patch.setattr(CudaData, "array", property(lambda data: pytest.fail("elements were read back")))
        x[key] = source
    expected[key] = values
    np.testing.assert_array_equal(x.to_numpy(), expected)


def test_a_part_is_written_into_another_one_of_the_same_tensor():
    x = make(np.arange(6.0), GPU)
    x[1:] = x[:-1]
    assert x.tolist() == [0.0, 0.0, 1.0, 2.0, 3.0, 4.0]
    x[[0, 1, 2]] = x[3:]
    assert x.tolist() == [2.0, 3.0, 4.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 1, 4)])
def test_what_does_not_fit_is_not_written(shape):
    x = make(np.zeros((3, 4)), GPU)
    with pytest.raises(minitorch.BroadcastError, match=re.escape(str(shape))):
        x[:, :] = make(np.ones(shape), GPU)
    with pytest.raises(minitorch.BroadcastError):
        x[[0, 1, 2]] = make(np.ones(shape), GPU)
    assert not x.to_numpy().any()
