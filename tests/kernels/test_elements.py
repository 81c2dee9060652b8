"""What an operation does to one element, plain and compiled, at the ends of the number line."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from minitorch.kernels import elements
from minitorch.kernels.cpu.elementwise import map_kernel, zip_kernel

ENDS = np.array([-np.inf, -1e30, -2.5, -1e-30, -0.0, 0.0, 1e-30, 2.5, 1e30, np.inf, np.nan])
UNARY = {
    elements.neg: np.negative,
    elements.inv: np.reciprocal,
    elements.exp: np.exp,
    elements.log: np.log,
    elements.sqrt: np.sqrt,
    elements.sigmoid: special.expit,
    elements.tanh: np.tanh,
    elements.relu: lambda x: np.maximum(x, 0),
    elements.identity: np.copy,
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("fn", UNARY, ids=lambda fn: fn.__name__)
def test_one_argument_at_the_ends(fn, dtype: str) -> None:
    x = ENDS.astype(dtype)
    expected = UNARY[fn](x)
    plain = np.array([fn(v) for v in x], dtype)
    compiled = np.empty_like(x)
    map_kernel(fn).run(x.size, compiled, x, x.size)
    tolerance = 4 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(plain, expected, rtol=tolerance)
    np.testing.assert_allclose(compiled, expected, rtol=tolerance)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_quotient_is_rounded_once_at_the_ends(dtype: str) -> None:
    """Where the inverse of a subnormal number overflows, too."""
    ends = np.append(ENDS, [float(np.finfo(dtype).smallest_subnormal), 3.0, 49.0])
    x, y = (np.ascontiguousarray(part.reshape(-1), dtype) for part in np.meshgrid(ends, ends))
    compiled = np.empty_like(x)
    zip_kernel(elements.div).run(x.size, compiled, x, y, 1, 1, x.size, 0, 0, 1, 0, 0, 1)
    np.testing.assert_array_equal(np.array([elements.div(a, b) for a, b in zip(x, y, strict=True)], dtype), x / y)
    np.testing.assert_array_equal(compiled, x / y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_relu_grad_drops_even_an_infinite_gradient(dtype: str) -> None:
    x, d = (np.ascontiguousarray(part.reshape(-1), dtype) for part in np.meshgrid(ENDS, [1.0, -np.inf, np.nan]))
    expected = np.where(x <= 0, 0, d)  # a NaN that was let through forward lets its gradient through
    plain = np.array([elements.relu_grad(a, b) for a, b in zip(x, d, strict=True)], dtype)
    compiled = np.empty_like(x)
    zip_kernel(elements.relu_grad).run(x.size, compiled, x, d, 1, 1, x.size, 0, 0, 1, 0, 0, 1)
    np.testing.assert_array_equal(plain, expected)
    np.testing.assert_array_equal(compiled, expected)


def test_the_larger_of_two_is_nan_when_either_is() -> None:
    for a in ENDS:
        for b in ENDS:
            np.testing.assert_array_equal(elements.maximum(a, b), np.maximum(a, b))
