"""Random numbers: the published vectors of Philox, the distributions against SciPy's, and what fixes them."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import minitorch
from minitorch.errors import ArgumentError, DTypeError
from minitorch.random import (
    STREAMS_OF_A_THREAD,
    Generator,
    default_generator,
    initial_seed,
    manual_seed,
    philox,
)

# From the file kat_vectors of Random123, the library of Philox's authors: counter, key, and the four words.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.fixture(autouse=True)
def _leave_the_default_generator_as_it_was():
    before = default_generator.state
    yield
    default_generator.state = before


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_words(counter, key, expected):
    c0, c1, c2, c3 = words(counter)
    k0, k1 = words(key)
    result = philox(np.array([c0 | c1 << 32], np.uint64), c2 | c3 << 32, k0 | k1 << 32)
    assert [int(word[0]) for word in result] == words(expected)


def test_positions_do_not_depend_on_each_other():
    positions = np.array([0, 5, 2**32, 2**64 - 1], np.uint64)
    together = np.stack(philox(positions, 3, 7), axis=1)
    alone = np.stack([np.concatenate(philox(positions[i : i + 1], 3, 7)) for i in range(4)])
    np.testing.assert_array_equal(together, alone)


# --- distributions ---


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_is_uniform(dtype):
    draws = Generator(1).uniform(100_000, dtype)
    assert draws.dtype == dtype
    assert draws.min() >= 0
    assert draws.max() < 1
    assert stats.kstest(draws, "uniform").pvalue > 1e-3


def test_uniform_fills_the_significand():
    """In float32 every draw is a multiple of 2^-24 and the last bit is used; in float64 of 2^-53."""
    for dtype, bits in (("float32", 24), ("float64", 53)):
        scaled = Generator(2).uniform(4096, dtype).astype(np.float64) * 2.0**bits
        np.testing.assert_array_equal(scaled, np.round(scaled))
        odd = np.mod(scaled, 2.0).mean()
        assert 0.4 < odd < 0.6, dtype


def test_words_are_equally_frequent():
    drawn = Generator(3).words(80_000)
    assert int(drawn.max()) < 2**32
    for shift in (0, 12, 24):
        counts = np.bincount((drawn >> np.uint64(shift) & np.uint64(0xFF)).astype(np.int64), minlength=256)
        assert stats.chisquare(counts).pvalue > 1e-3


def test_normal_is_normal():
    draws = Generator(4).normal(100_000)
    assert stats.kstest(draws, "norm").pvalue > 1e-3
    assert Generator(4).normal((2, 3), "float32").dtype == np.float32


def test_integers_are_uniform_over_their_range():
    drawn = Generator(5).integers(-3, 4, 70_000)
    assert drawn.dtype == np.int64
    assert set(drawn.tolist()) == set(range(-3, 4))
    assert stats.chisquare(np.bincount(drawn + 3)).pvalue > 1e-3


def test_neighbouring_positions_streams_and_seeds_are_independent():
    generator = Generator(6)
    first, next_stream, next_seed = generator.uniform(50_000), generator.uniform(50_000), Generator(7).uniform(50_000)
    for x, y in [(first[:-1], first[1:]), (first, next_stream), (first, next_seed)]:
        assert stats.pearsonr(x, y).pvalue > 1e-3
        pairs = np.histogram2d(x, y, bins=10, range=[[0, 1], [0, 1]])[0]
        assert stats.chisquare(pairs.ravel()).pvalue > 1e-3


@given(st.integers(0, 300), st.integers(0, 2**64 - 1))
def test_a_permutation_holds_every_number_once(n, seed):
    assert sorted(Generator(seed).permutation(n).tolist()) == list(range(n))


def test_every_order_of_three_is_equally_likely():
    generator = Generator(8)
    orders = [tuple(generator.permutation(3).tolist()) for _ in range(3000)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > 1e-3


# --- what fixes a draw ---


@given(st.integers(), st.lists(st.integers(0, 5), max_size=3))
def test_a_seed_fixes_every_draw(seed, shape):
    first, second = Generator(seed), Generator(seed)
    np.testing.assert_array_equal(first.uniform(shape), second.uniform(shape))
    np.testing.assert_array_equal(first.normal(shape), second.normal(shape))
    assert first.uniform(shape).shape == tuple(shape)


def test_a_shape_lays_out_the_same_numbers():
    np.testing.assert_array_equal(Generator(9).uniform((2, 3)).ravel(), Generator(9).uniform(np.int64(6)))


def test_only_the_low_64_bits_of_a_seed_count():
    assert Generator(2**64 + 5).seed == 5
    assert Generator(-1).seed == 2**64 - 1


def test_restoring_the_state_repeats_what_followed():
    generator = Generator(10)
    generator.uniform(3)
    state = generator.state
    first = generator.normal(5), generator.permutation(5)
    generator.state = state
    np.testing.assert_array_equal(first, (generator.normal(5), generator.permutation(5)))
    assert state == (10, 1)


def test_each_call_takes_a_stream_of_its_own():
    generator = Generator(11)
    assert not np.array_equal(generator.uniform(8), generator.uniform(8))
    assert generator.next_stream() == (11, 2)
    assert repr(generator) == "Generator(seed=11, stream=3)"


def test_streams_are_reserved_together():
    generator = Generator(13)
    assert [generator.reserve(), generator.reserve(3), generator.reserve(2)] == [(13, 0), (13, 1), (13, 4)]
    assert generator.state == (13, 6)


@pytest.mark.parametrize("name", ["seed", "stream"])
def test_a_generator_is_seeded_by_its_method(name):
    with pytest.raises(AttributeError):
        setattr(Generator(14), name, 3)


def test_threads_never_share_a_stream():
    generator, taken = Generator(12), []

    def take():
        taken.extend(generator.next_stream()[1] for _ in range(500))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(2000))


def test_manual_seed_fixes_the_default_generator():
    manual_seed(13)
    first = default_generator.uniform(4)
    default_generator.uniform(4)
    minitorch.manual_seed(13)
    assert initial_seed() == 13
    np.testing.assert_array_equal(first, default_generator.uniform(4))


# --- the default generator of each thread ---


def in_thread(work):
    """Run a function in a new thread; give its result."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(60)


def test_a_thread_draws_and_seeds_for_itself():
    manual_seed(3)
    expected = default_generator.uniform(2)

    def seed_and_draw():
        manual_seed(4)
        default_generator.normal(5)
        return initial_seed(), default_generator.state

    manual_seed(3)
    assert in_thread(seed_and_draw) == (4, (4, 2))
    assert default_generator.state == (3, 0)
    np.testing.assert_array_equal(default_generator.uniform(2), expected)


def test_a_seeded_thread_draws_as_the_main_thread_does():
    def seed_and_draw():
        manual_seed(3)
        return default_generator.uniform(4)

    np.testing.assert_array_equal(in_thread(seed_and_draw), seed_and_draw())


def test_threads_that_are_not_seeded_go_on_from_the_main_thread_s_seed():
    def draw():
        return initial_seed(), default_generator.stream, default_generator.uniform(3).tolist()

    rounds = []
    for _ in range(2):
        manual_seed(5)
        rounds.append([in_thread(draw) for _ in range(3)])
    assert rounds[0] == rounds[1]
    assert [(seed, stream) for seed, stream, _ in rounds[0]] == [(5, k * STREAMS_OF_A_THREAD) for k in (1, 2, 3)]
    drawn = [tuple(values) for *_, values in rounds[0]] + [tuple(default_generator.uniform(3).tolist())]
    assert len(set(drawn)) == 4


def test_a_seed_of_another_thread_is_no_seed_for_new_threads():
    manual_seed(5)
    in_thread(lambda: manual_seed(6))
    assert in_thread(initial_seed) == 5


def test_a_thread_that_has_drawn_goes_on_when_the_main_thread_is_seeded_anew():
    with ThreadPoolExecutor(1) as pool:
        manual_seed(5)
        first = pool.submit(lambda: default_generator.uniform(1)).result(60)
        manual_seed(5)
        assert pool.submit(lambda: default_generator.state).result(60) == (5, STREAMS_OF_A_THREAD + 1)
        assert pool.submit(lambda: default_generator.uniform(1)).result(60) != first


def test_the_generator_begins_anywhere_with_a_seed_from_the_operating_system():
    """Also where another thread than the main one imports the library, as a server's may."""
    code = """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(1)
random = pool.submit(__import__, "minitorch.random", None, None, ["random"]).result()
there, here = pool.submit(lambda: random.default_generator.state).result(), random.default_generator.state
print(here[0], here[1], there[0], there[1])
"""
    printed = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)]
    (here, stream, there, other_stream), (another, *_) = (map(int, line.split()) for line in printed)
    assert here == there != another
    assert (stream, other_stream) == (0, STREAMS_OF_A_THREAD)


def test_threads_neither_wait_for_nor_move_each_other():
    """Eight threads draw at once, each what it draws alone."""

    def draw(seed):
        manual_seed(seed)
        return [default_generator.uniform(20).tolist() for _ in range(50)]

    alone = [in_thread(lambda seed=seed: draw(seed)) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(draw, range(8), timeout=60)) == alone


# --- mistakes ---


def test_mistakes_are_named():
    with pytest.raises(ArgumentError, match=r"whole number as the seed, got 1\.5"):
        manual_seed(1.5)
    with pytest.raises(ArgumentError, match="low below high, got 3 and 3"):
        Generator(0).integers(3, 3, 2)
    with pytest.raises(DTypeError, match="float32 or float64 for random numbers, got int64"):
        Generator(0).uniform(2, np.int64)
