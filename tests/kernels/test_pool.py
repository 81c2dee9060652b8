"""Maxima, averages and places, against NumPy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from minitorch.errors import IndexingError
from minitorch.kernels.cpu import pool
from minitorch.kernels.geometry import Geometry, side_by_side
from tests.cases import windows_at

DTYPES = ["float32", "float64"]

# Few different values, so that equal ones and NaN are common.
values = st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 0.5, 2.0, np.inf, np.nan])


def max_axis(a):
    outer, n, inner = a.shape
    out, place = np.empty(outer * inner, a.dtype), np.empty(outer * inner, np.int64)
    pool.max_axis(out, place, a.reshape(-1), n, inner)
    return out.reshape(outer, inner), place.reshape(outer, inner)


def windows(a, kh, kw):
    """Each window as one row, and the places of its elements."""
    *lead, height, width = a.shape
    places = np.arange(a.size).reshape(a.shape)

    def rows(x):
        x = x.reshape(-1, height // kh, kh, width // kw, kw).swapaxes(2, 3)
        return x.reshape(*lead, height // kh, width // kw, kh * kw)

    return rows(a), rows(places)


def max_pool(a, kernel):
    shape = (*a.shape[:-2], a.shape[-2] // kernel[0], a.shape[-1] // kernel[1])
    out, place = np.empty(shape, a.dtype), np.empty(shape, np.int64)
    pool.max_pool(out, place, a, kernel, side_by_side(a.shape[-2:], kernel))
    return out, place


# NumPy's argmax too takes the first of equal maxima, and the first NaN before every number.


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (3, 52, 1), (2, 33, 1), (4, 5, 7), (2, 3, 600), (0, 3, 2), (1, 70000, 1), (3, 2, 0)]
)
def test_max_axis(shape, dtype):
    a = np.random.default_rng(0).integers(-9, 9, shape).astype(dtype)
    out, place = max_axis(a)
    np.testing.assert_array_equal(out, a.max(1) if a.size else np.empty(out.shape))
    indices = np.arange(a.size).reshape(shape)
    np.testing.assert_array_equal(
        place, np.take_along_axis(indices, a.argmax(1)[:, None], 1)[:, 0] if a.size else place
    )


@given(
    st.tuples(*(st.integers(1, 40),) * 2, st.integers(1, 4)).flatmap(lambda s: arrays(np.float64, s, elements=values))
)
def test_max_axis_of_few_values(a):
    out, place = max_axis(a)
    first = a.argmax(1)[:, None]
    np.testing.assert_array_equal(out, np.take_along_axis(a, first, 1)[:, 0])
    np.testing.assert_array_equal(place, np.take_along_axis(np.arange(a.size).reshape(a.shape), first, 1)[:, 0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("inner", [1, 3])
@pytest.mark.parametrize("n", [1, 5, 16, 53])
def test_the_first_nan_is_the_maximum(n, inner, dtype):
    for first in range(n):
        a = np.random.default_rng(first).standard_normal((2, n, inner)).astype(dtype)
        a[1, first, 0] = a[1, n - 1, 0] = np.nan
        out, place = max_axis(a)
        np.testing.assert_array_equal(np.isnan(out[1]), [True] + [False] * (inner - 1))
        assert place[1, 0] == (n + first) * inner
        np.testing.assert_array_equal(out[0], a[0].max(0))


def check_max_pool(a, kernel):
    out, place = max_pool(a, kernel)
    elements, places = windows(a, *kernel)
    first = elements.argmax(-1)[..., None]
    np.testing.assert_array_equal(out, np.take_along_axis(elements, first, -1)[..., 0])
    np.testing.assert_array_equal(place, np.take_along_axis(places, first, -1)[..., 0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "kernel"),
    [
        ((16, 8, 28, 28), (4, 4)),
        ((1, 1, 1, 1), (1, 1)),
        ((2, 3, 6, 35), (3, 5)),
        ((2, 2, 4, 4), (4, 1)),
        ((3, 1, 2, 8), (1, 8)),
    ],
)
def test_max_pool(shape, kernel, dtype):
    check_max_pool(np.random.default_rng(1).standard_normal(shape).astype(dtype), kernel)


@given(st.tuples(*(st.integers(1, 3),) * 4), st.data())
def test_max_pool_of_few_values(sizes, data):
    rows, columns, kh, kw = sizes
    check_max_pool(
        data.draw(arrays(np.float32, (2, rows * kh, columns * kw), elements=values.map(np.float32))), (kh, kw)
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 17, 50_000])
def test_take_and_put(size, dtype):
    rng = np.random.default_rng(3)
    a, place = rng.standard_normal(size + 5).astype(dtype), rng.integers(0, size + 5, size)
    taken = np.empty(size, dtype)
    pool.take(taken, a, place)
    np.testing.assert_array_equal(taken, a[place])
    out, expected = np.full(size + 5, np.nan, dtype), np.zeros(size + 5, dtype)
    pool.put(out, taken, place)
    np.add.at(expected, place, taken)  # in the same order, so the same bits
    np.testing.assert_array_equal(out, expected)


def test_places_may_repeat():
    out = np.empty(2)
    pool.put(out, np.array([1.0, 10.0, 100.0]), np.array([1, 1, 1]))
    assert out.tolist() == [0.0, 111.0]


@pytest.mark.parametrize("size", [3, 100_000])
@pytest.mark.parametrize("wrong", [-1, "size", 2**40, -(2**40)])
def test_a_place_outside_raises_and_writes_nothing_there(size, wrong):
    """The element beside the array belongs to somebody else; far outside, the process would end."""
    wrong = size if wrong == "size" else wrong
    memory = np.full(size + 2, 7.0)
    inside = memory[1:-1]
    place = np.zeros(size, np.int64)
    place[size // 2] = wrong
    for function in (pool.take, pool.put):
        with pytest.raises(IndexingError, match=rf"from 0 to below {size}, got .*{wrong}") as raised:
            function(inside, np.ones(size), place)
        assert "row-major order" in str(raised.value)
        assert memory[0] == memory[-1] == 7.0


def test_every_element_has_a_place():
    with pytest.raises(IndexingError, match="a place for each of 3 elements, got 2"):
        pool.put(np.empty(5), np.ones(3), np.array([0, 1]))


def test_bits_do_not_depend_on_threads():
    a = np.random.default_rng(4).standard_normal((64, 8, 28, 28)).astype(np.float32)
    maxima, places = np.empty((2, 64, 8, 7, 7), np.float32), np.empty((2, 64, 8, 7, 7), np.int64)
    threads = numba.get_num_threads()
    try:
        for count in (0, 1):
            numba.set_num_threads(min(count + 1, numba.config.NUMBA_NUM_THREADS))
            pool.max_pool(maxima[count], places[count], a, (4, 4), side_by_side(a.shape[-2:], (4, 4)))
    finally:
        numba.set_num_threads(threads)
    np.testing.assert_array_equal(maxima[0], maxima[1])
    np.testing.assert_array_equal(places[0], places[1])


@st.composite
def windows_that_see_something(draw):
    """Draw the size of an image, a kernel and a geometry."""
    sizes, kernel, geometry = [], [], []
    for _ in range(2):
        size, taps, stride, dilation = (draw(st.integers(1, n)) for n in (9, 4, 4, 3))
        offset = -draw(st.integers(0, min(dilation * (taps - 1), size + dilation * (taps - 1) - 1)))
        reach = size - 1 - offset - dilation * (taps - 1)
        # The last window begins inside the image, so its first tap sees something; the first ends inside.
        count = 1 + (max(0, size - 1 - offset) // stride if reach >= 0 else 0)
        places = offset + dilation * np.arange(taps)
        if not ((places >= 0) & (places < size)).any():
            offset, count = 0, 1
        starts = offset + stride * np.arange(count)
        seen = [((s + dilation * np.arange(taps) >= 0) & (s + dilation * np.arange(taps) < size)).any() for s in starts]
        sizes.append(size)
        kernel.append(taps)
        geometry.append(Geometry(seen.index(False) if False in seen else count, stride, 1, dilation, offset))
    return tuple(sizes), tuple(kernel), tuple(geometry)


@given(windows_that_see_something(), st.data())
def test_max_pool_of_windows_anywhere(drawn, data):
    sizes, kernel, geometry = drawn
    a = data.draw(arrays(np.float64, (2, 3, *sizes), elements=values))
    shape = (2, 3, *(g.size for g in geometry))
    out, place = np.empty(shape), np.empty(shape, np.int64)
    pool.max_pool(out, place, a, kernel, geometry)
    # Below everything beyond the edges; a window of nothing but -inf chooses an element of the image all the same.
    seen = windows_at(a, kernel, geometry, beyond=-np.inf).reshape(*shape, -1)
    places = windows_at(np.arange(float(a.size)).reshape(a.shape), kernel, geometry, beyond=-1.0).reshape(*shape, -1)
    np.testing.assert_array_equal(out, seen.max(-1))
    equal = (seen == out[..., None]) | (np.isnan(seen) & np.isnan(out[..., None]))
    first = np.where(equal & (places >= 0), places, np.inf).min(-1)
    np.testing.assert_array_equal(place, first)
