"""HEAD"""

from __future__ import annotations

import pytest

from .cases import BACKENDS, DTYPES
from .function_cases import Row, check_gradients, check_values, rows_of

ROWS = [pytest.param(row, id=row.name) for row in rows_of("pointwise")]


@pytest.mark.parametrize("layout", ["contiguous", "permuted", "sliced"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", ROWS)
def test_values(row: Row, backend: str, dtype: str, layout: str) -> None:
    check_values(row, backend, dtype, layout)


@pytest.mark.parametrize("layout", ["contiguous", "permuted"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", ROWS)
def test_gradients(row: Row, backend: str, layout: str) -> None:
    check_gradients(row, backend, layout)
