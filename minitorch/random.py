r"""Random numbers that depend on a seed, a stream and a position, and on nothing else.

The generator is Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
SC 2011): ten rounds of multiplications turn a 128-bit counter and a 64-bit key into four 32-bit words.
There is no state to carry from one draw to the next, so any thread, any backend and any device can make
number $i$ of a stream without making the ones before it, and they all make the same one.

MiniTorch uses the seed as the key, and (position, stream) as the counter. Every call that draws takes a stream
of its own, so the state of a generator is two integers: its seed and the number of its next stream.

The default generator is one in each thread: threads that train at the same time neither wait for each other nor move
each other's numbers. The main thread's begins with a seed from the operating system. A thread that has not been seeded
goes on from the main thread's seed with streams that no other thread uses, so after ``manual_seed`` it draws the same
numbers again if the threads draw for the first time in the same order. Where that order is open, as in a pool, seed
inside of the thread, or give it a :class:`Generator` of its own.

>>> manual_seed(7)
>>> first = default_generator.uniform((2, 3))
>>> manual_seed(7)
>>> bool((first == default_generator.uniform((2, 3))).all())
True
"""

from __future__ import annotations

import itertools
import math
import os
import threading
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from .cells import tracing
from .errors import ArgumentError, DTypeError
from .kernels import elements

__all__ = ["Generator", "default_generator", "initial_seed", "manual_seed", "philox"]

# The constants of the paper: two odd multipliers, and the key's Weyl increments (golden ratio, sqrt(3) - 1).
MULTIPLIER_0, MULTIPLIER_1 = 0xD2511F53, 0xCD9E8D57
WEYL_0, WEYL_1 = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10
WORD = 0xFFFFFFFF

# Of the 2^64 streams of a seed, each thread has so many for itself.
STREAMS_OF_A_THREAD = 1 << 36


def philox(
    positions: npt.NDArray[np.uint64], stream: int, seed: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Turn each 64-bit position into four 32-bit words.

    Args:
        positions: the low half of the counters, one draw each.
        stream: the high half of the counters.
        seed: the key; the low 64 bits count.

    Returns:
        Four arrays of words below $2^{32}$, held in uint64, of the shape of ``positions``.

    The first test vector of the authors' library, counter and key zero:

    >>> [hex(int(word[0])) for word in philox(np.zeros(1, np.uint64), 0, 0)]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    mask, half = np.uint64(WORD), np.uint64(32)
    c0, c1 = positions & mask, positions >> half
    c2 = np.full_like(positions, stream & WORD)
    c3 = np.full_like(positions, stream >> 32 & WORD)
    key_0, key_1 = seed & WORD, seed >> 32 & WORD
    for _ in range(ROUNDS):
        product_0, product_1 = c0 * np.uint64(MULTIPLIER_0), c2 * np.uint64(MULTIPLIER_1)
        c0, c1, c2, c3 = (
            (product_1 >> half) ^ c1 ^ np.uint64(key_0),
            product_1 & mask,
            (product_0 >> half) ^ c3 ^ np.uint64(key_1),
            product_0 & mask,
        )
        key_0, key_1 = (key_0 + WEYL_0) & WORD, (key_1 + WEYL_1) & WORD
    return c0, c1, c2, c3


def check_range(low: int, high: int) -> None:
    """Check that there is an integer from ``low`` to ``high - 1``.

    Raises:
        ArgumentError: there is none.
    """
    if low >= high:
        raise ArgumentError(f"Expected low below high, got {low} and {high}. The upper end is never drawn.")


class Generator:
    """A source of random arrays: a seed, and the number of the next stream.

    Args:
        seed: any integer; its low 64 bits are used.

    >>> Generator(3).permutation(5).tolist() == Generator(3).permutation(5).tolist()
    True
    """

    def __init__(self, seed: int) -> None:
        self._lock = threading.Lock()
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> None:
        """Begin again at stream 0 of ``seed``.

        Raises:
            ArgumentError: the seed is not a whole number.
            CompileError: a compiled step seeds, which its program would not repeat.
        """
        if not isinstance(seed, Integral):
            raise ArgumentError(f"Expected a whole number as the seed, got {seed!r}. Pass an int.")
        self.state = int(seed) & (1 << 64) - 1, 0

    @property
    def seed(self) -> int:
        """The low 64 bits of the seed; :meth:`manual_seed` gives another one. Not for compiled steps; see ``state``."""
        return self.state[0]

    @property
    def stream(self) -> int:
        """The number of the next stream. Not for compiled steps; see ``state``."""
        return self.state[1]

    @property
    def state(self) -> tuple[int, int]:
        """``(seed, next stream)``: all there is to save.

        Raises:
            CompileError: a compiled step reads or sets it.
        """
        if tracing.tracer is not None:
            tracing.tracer.refuse(
                "a compiled step cannot read the seed of a generator of random numbers or the number of its next "
                "stream: its program would go on with those of the traced call. Read them outside, or run inside "
                "`with minitorch.debug():`."
            )
        with self._lock:
            return self._seed, self._stream

    @state.setter
    def state(self, value: Sequence[int]) -> None:
        if tracing.tracer is not None:
            tracing.tracer.refuse(
                "a compiled step cannot seed a generator of random numbers: it would happen once, while the step is "
                "traced. Seed it outside, or run inside `with minitorch.debug():`."
            )
        seed, stream = value
        self._set(seed, stream)

    def _set(self, seed: int, stream: int) -> None:
        with self._lock:
            self._seed, self._stream = int(seed), int(stream)

    def next_stream(self) -> tuple[int, int]:
        """Reserve a stream: ``(seed, stream)``, for a kernel that makes its own numbers.

        While a step is traced, the tracer's names of the two stand for them.
        """
        if tracing.tracer is not None:
            return tracing.tracer.next_stream(self)
        return self.reserve()

    def reserve(self, count: int = 1) -> tuple[int, int]:
        """Reserve streams at once, whichever threads draw besides: ``(seed, first of count streams)``.

        Raises:
            CompileError: a compiled step is being traced, in which ``next_stream`` reserves.
        """
        if tracing.tracer is not None:
            tracing.tracer.refuse(
                "random numbers that a compiled step draws as a NumPy array, or from reserved streams, would be the "
                "same in every call. Draw a tensor by minitorch.rand or minitorch.randn, which draw anew in every "
                "call, draw them outside and pass them in, or run inside `with minitorch.debug():`."
            )
        with self._lock:
            first = self._stream
            self._stream += count
            return self._seed, first

    def words(self, count: int) -> npt.NDArray[np.uint64]:
        """Draw ``count`` integers, uniform on $[0, 2^{32})$: word 0 of positions 0, 1, ..."""
        seed, stream = self.reserve()
        return philox(np.arange(count, dtype=np.uint64), stream, seed)[0]

    def uniform(self, shape: int | Sequence[int], dtype: npt.DTypeLike = np.float64) -> npt.NDArray[Any]:
        r"""Draw from the uniform distribution on $[0, 1)$, with every bit that the dtype's significand holds.

        Element $i$ in row-major order is $\lfloor w / 2^{8} \rfloor 2^{-24}$ in float32, with $w$ the first word
        at position $i$, and $(\lfloor w_0 / 2^5 \rfloor 2^{26} + \lfloor w_1 / 2^6 \rfloor) 2^{-53}$ in float64.

        Raises:
            DTypeError: the dtype is neither float32 nor float64.
        """
        shape = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(shape)
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise DTypeError(
                f"Expected the dtype float32 or float64 for random numbers, got {np.dtype(dtype)}. Draw in one of "
                "these and convert afterwards; integers() draws whole numbers."
            )
        seed, stream = self.reserve()
        w0, w1, _, _ = philox(np.arange(math.prod(shape), dtype=np.uint64), stream, seed)
        if np.dtype(dtype) == np.float32:
            values = (w0 >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)
        else:
            values = ((w0 >> np.uint64(5)) * np.uint64(1 << 26) + (w1 >> np.uint64(6))).astype(np.float64) * 2.0**-53
        return values.reshape(shape)

    def normal(self, shape: int | Sequence[int], dtype: npt.DTypeLike = np.float64) -> npt.NDArray[Any]:
        """Draw from the standard normal distribution; see :func:`minitorch.kernels.elements.normal`."""
        return elements.normal(self.uniform(shape), self.uniform(shape)).astype(dtype)

    def permutation(self, n: int) -> npt.NDArray[np.int64]:
        """Draw an order of ``0, ..., n - 1``: positions sorted by a random key (equal keys keep their order)."""
        return np.argsort(self.uniform(n), kind="stable")

    def integers(self, low: int, high: int, shape: int | Sequence[int]) -> npt.NDArray[np.int64]:
        """Draw integers from ``low`` to ``high - 1``.

        Raises:
            ArgumentError: there is no such integer.
        """
        check_range(low, high)
        return (low + np.floor(self.uniform(shape) * (high - low))).astype(np.int64)

    def __repr__(self) -> str:
        return f"Generator(seed={self.seed}, stream={self.stream})"


class _GeneratorOfEachThread(threading.local, Generator):
    """The default generator: what a thread draws, seeds or goes back to is its own; no other thread notices."""

    # The main thread's seed, and numbers for threads that draw for the first time: read and set as one.
    _origin = (int.from_bytes(os.urandom(8), "little"), itertools.count(1))

    def __init__(self) -> None:  # Python calls it again in every thread that looks at the generator
        self._lock = threading.Lock()
        seed, threads = self._origin
        first = 0 if _in_main_thread() else next(threads) * STREAMS_OF_A_THREAD
        self._set(seed, first)  # a step that is being traced may look first

    def manual_seed(self, seed: int) -> None:
        Generator.manual_seed(self, seed)
        if _in_main_thread():
            type(self)._origin = (self.seed, itertools.count(1))  # what is set here is set in all threads


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


default_generator: Generator = _GeneratorOfEachThread()


def manual_seed(seed: int) -> None:
    """Fix every later draw of this thread's default generator: initialisation, point sets, shuffles, dropout.

    Called in the main thread, it also fixes what threads draw that draw for the first time afterwards. Those that have
    drawn before go on as they were.
    """
    default_generator.manual_seed(seed)


def initial_seed() -> int:
    """The seed that this thread's default generator runs on."""
    return default_generator.seed
