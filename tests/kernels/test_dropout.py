"""The mask of dropout, bit for bit against the generator that defines it."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.kernels.cpu.dropout import dropout
from minitorch.random import Generator

WORDS = st.integers(0, 2**64 - 1)


def draws(size, dtype, seed, stream):
    generator = Generator(seed)
    generator.state = (seed, stream)
    return generator.uniform(size, dtype)


def run(a, *arguments):
    out = np.full_like(a, np.nan)
    dropout(out, a, *arguments)
    return out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 7, 16, 4095, 4096, 4097, 100_003])
def test_keeps_what_the_generator_lets_through(size, dtype):
    a = np.random.default_rng(0).standard_normal(size).astype(dtype)
    kept = draws(size, dtype, 12345, 6) >= np.dtype(dtype).type(0.3)
    scale = np.dtype(dtype).type(1 / 0.7)
    np.testing.assert_array_equal(run(a, 0.3, 1 / 0.7, 12345, 6), np.where(kept, a * scale, 0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(seed=WORDS, stream=WORDS, place=st.integers(0, 99))
def test_every_draw_has_the_same_bits(dtype, seed, stream, place):
    # A rate equal to the draw keeps it, and the next larger one does not.
    u = draws(100, dtype, seed, stream)
    ones = np.ones(100, dtype)
    assert run(ones, float(u[place]), 1.0, seed, stream)[place] == 1
    assert run(ones, float(np.nextafter(u[place], ones[0])), 1.0, seed, stream)[place] == 0
    assert run(ones, float(u[place]), 1.0, seed, stream).sum() == (u >= u[place]).sum()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rates_of_zero_and_one(dtype):
    a = np.array([1.0, -2.0, np.nan, np.inf], dtype)
    np.testing.assert_array_equal(run(a, 0.0, 1.0, 3, 0), a)
    np.testing.assert_array_equal(run(a, 1.0, 1.0, 3, 0), np.zeros_like(a))


def test_streams_and_seeds_differ():
    ones = np.ones(1000, np.float32)
    masks = [run(ones, 0.5, 1.0, seed, stream) for seed, stream in ((1, 0), (1, 1), (2, 0), (1, 2**32), (1 + 2**32, 0))]
    for i, mask in enumerate(masks):
        assert 400 < mask.sum() < 600
        assert all((mask != other).sum() > 400 for other in masks[:i])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_threads(dtype):
    a = np.random.default_rng(1).standard_normal(50_001).astype(dtype)
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = run(a, 0.25, 1 / 0.75, 8, 9)
        numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
        two = run(a, 0.25, 1 / 0.75, 8, 9)
    finally:
        numba.set_num_threads(threads)
    np.testing.assert_array_equal(one, two)
