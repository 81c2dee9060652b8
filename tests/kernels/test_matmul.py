"""Products of matrices of every layout, small and in strips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minitorch.kernels.cpu import matmul as module
from minitorch.kernels.cpu.matmul import LARGE, STRIP, matmul

Array = np.ndarray[Any, Any]

# Layouts of a matrix of any shape, each with the same numbers.
LAYOUTS = {
    "by rows": lambda x: x,
    "by columns": lambda x: np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2),
    "rows of a wider one": lambda x: np.concatenate([x, x], -1)[..., : x.shape[-1]],
    "columns of a taller one": lambda x: LAYOUTS["by columns"](np.concatenate([x, x], -2))[..., : x.shape[-2], :],
    "every second element": lambda x: np.repeat(x, 2, -1)[..., ::2],
    "backwards": lambda x: x[..., ::-1, ::-1].copy()[..., ::-1, ::-1],
}


def drawn(*shape: int, dtype: str = "float64") -> Array:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(dtype)


def agree(a: Array, b: Array) -> None:
    found = matmul(a, b)
    expected = np.matmul(a.astype(np.float64), b.astype(np.float64))
    rounding = 1e-4 if a.dtype == np.float32 else 1e-12
    assert found.dtype == a.dtype
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, rtol=rounding, atol=rounding * np.sqrt(a.shape[-1]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("a_layout", LAYOUTS)
@pytest.mark.parametrize("b_layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(300, 131, 129), (129, 131, 300)], ids=["tall", "wide"])
def test_every_layout(a_layout: str, b_layout: str, shape: tuple[int, int, int], dtype: str) -> None:
    m, k, n = shape
    assert m * k * n >= LARGE
    agree(LAYOUTS[a_layout](drawn(m, k, dtype=dtype)), LAYOUTS[b_layout](drawn(k, n, dtype=dtype)))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 128, 256), (256, 257)),
        ((128, 256), (2, 256, 257)),
        ((2, 1, 128, 256), (1, 3, 256, 257)),
        ((2, 3, 257, 256), (2, 3, 256, 128)),
        ((0, 128, 256), (256, 257)),
    ],
)
def test_leading_dimensions_broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    agree(drawn(*a), drawn(*b))
    agree(LAYOUTS["by columns"](drawn(*a)), LAYOUTS["every second element"](drawn(*b)))


def test_a_batch_that_is_read_again_and_again() -> None:
    a = np.broadcast_to(drawn(128, 256), (3, 128, 256))
    agree(a, drawn(3, 256, 257))
    rows = np.broadcast_to(drawn(1, 256), (300, 256))  # all rows are the same memory
    agree(rows, drawn(256, 257))


@pytest.mark.parametrize("m", [1, 2, STRIP - 1, STRIP, 2 * STRIP - 1, 2 * STRIP, 2 * STRIP + 1])
@pytest.mark.parametrize("n", [1, 2, 2 * STRIP - 1, 2 * STRIP, 5 * STRIP + 3])
def test_sizes_around_a_strip(m: int, n: int) -> None:
    k = -(-LARGE // (m * n)) + 1
    agree(drawn(m, k), drawn(k, n))


def test_an_empty_sum_is_zero() -> None:
    assert not matmul(np.empty((300, 0)), np.empty((0, 300))).any()


def test_whole_numbers_are_multiplied_exactly() -> None:
    a = np.random.default_rng(0).integers(-9, 9, (300, 300))
    np.testing.assert_array_equal(matmul(a, a), a @ a)


@pytest.mark.parametrize("shape", [(300, 131, 129), (129, 131, 300)], ids=["tall", "wide"])
def test_a_large_product_is_cut_and_a_small_one_is_not(
    shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    m, k, n = shape
    cut = []

    class Counting:
        def run(self, *args: Any) -> None:
            cut.append(len(args[-1]))
            strips.run(*args)

    strips = module._strips
    monkeypatch.setattr(module, "_strips", Counting())
    matmul(drawn(m, k), drawn(k, n))
    matmul(drawn(m // 2, k // 2), drawn(k // 2, n))
    assert cut == [2]
