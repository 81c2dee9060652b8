"""Pointers and vectors in compiled code, against NumPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from minitorch.kernels.cpu.vectors import LANES, fill, load, numbers_at, skip, store


@numba.njit
def _swap_ends(address, n, dtype):
    p = numbers_at(address, dtype)
    p[0], p[n - 1] = p[n - 1], p[0]


@numba.njit
def _write_behind(address, count, value, dtype):
    skip(numbers_at(address, dtype), count)[1] = value


@numba.njit
def _fill_pointer(address, at, value, dtype):
    p = numbers_at(address, dtype)
    store(p, at, fill(p, value))


@numba.njit
def _fill_array(a, at, value):
    store(a, at, fill(a, value))


@numba.njit
def _move(address, start, to, dtype):
    p = numbers_at(address, dtype)
    store(p, to, load(p, start))


@numba.njit
def _bits(address, dtype, other):
    return numbers_at(numbers_at(address, dtype), other)[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
def test_a_pointer_reads_and_writes(dtype):
    a = np.arange(5).astype(dtype)
    _swap_ends(a.ctypes.data, a.size, dtype)
    assert a.tolist() == [4, 1, 2, 3, 0]
    _write_behind(a.ctypes.data, 2, 7, dtype)
    assert a.tolist() == [4, 1, 2, 7, 0]
    # Pointers also go back.
    _write_behind(a[4:].ctypes.data, -4, 9, dtype)
    assert a.tolist() == [4, 9, 2, 7, 0]


@pytest.mark.parametrize(("dtype", "other"), [(np.float32, np.int32), (np.float64, np.int64)])
def test_a_pointer_to_another_type_sees_the_same_bits(dtype, other):
    a = np.array([-1.5], dtype)
    assert _bits(a.ctypes.data, dtype, other) == a.view(other)[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("at", [0, 1, 3])
def test_vectors_begin_at_any_element(dtype, at):
    a = np.arange(3 * LANES).astype(dtype)
    wanted = a.copy()
    _fill_pointer(a.ctypes.data, at, 0.1, dtype)
    wanted[at : at + LANES] = 0.1
    np.testing.assert_array_equal(a, wanted)
    _fill_array(a, at + LANES, -np.inf)
    wanted[at + LANES : at + 2 * LANES] = -np.inf
    np.testing.assert_array_equal(a, wanted)
    _move(a.ctypes.data, at, LANES, dtype)
    wanted[LANES : 2 * LANES] = wanted[at : at + LANES].copy()
    np.testing.assert_array_equal(a, wanted)
