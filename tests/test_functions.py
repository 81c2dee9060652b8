"""Every function that is composed of operations, against NumPy, with its derivatives of both orders."""

from __future__ import annotations

import numpy as np
import pytest

from minitorch.autodiff import no_grad

from .cases import BACKENDS, DTYPES, LAYOUTS, assert_close, make, normal
from .function_cases import ROWS, Row
from .test_tensor_functions import check_derivatives

every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)


@pytest.mark.parametrize("layout", ["contiguous", "permuted", "sliced"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
@every_row
def test_values(row: Row, backend: str, dtype: str, layout: str) -> None:
    """The operands stay as they were."""
    operands = [make(a, BACKENDS[backend], dtype, LAYOUTS[layout]) for a in row.operands()]
    before = [x.to_numpy().copy() for x in operands]
    out = row.call(*operands)
    assert (out.dtype, out.backend) == (np.dtype(dtype), BACKENDS[backend])
    assert_close(out.to_numpy(), row.numpy(*before), dtype)
    for x, array in zip(operands, before, strict=True):
        np.testing.assert_array_equal(x.to_numpy(), array)


@pytest.mark.parametrize("layout", ["contiguous", "permuted"])
@pytest.mark.parametrize("backend", BACKENDS)
@every_row
def test_gradients(row: Row, backend: str, layout: str) -> None:
    """Derivatives of both orders are those of differences."""
    rng = np.random.default_rng(5)
    operands = [make(a, BACKENDS[backend], layout=LAYOUTS[layout]) for a in row.operands()]
    with no_grad():
        shape = row.call(*operands).shape
    check_derivatives(row.call, operands, make(normal(rng, shape), BACKENDS[backend]), rng)
