"""A training in a thread of its own, which a page or a script watches, stops and lets go on.

What trains is written as a generator: each ``yield`` hands out what there is to see, and is a place to stop at. All
that a training knows is in its generator, so going on after a stop needs nothing more than the next step.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

from minitorch import MiniTorchError, default_generator

__all__ = ["Randomness", "Run", "seeded"]

T = TypeVar("T")

# Between two steps a run gives way for so long, or a page could wait for the interpreter behind many trainings.
PAUSE = 0.0005


class _Shared(Generic[T]):
    """What a run and its thread both know. The thread knows nothing else, so a run that nobody holds can end."""

    def __init__(self, steps: Iterator[T]) -> None:
        self.steps = steps
        self.latest: T | None = None
        self.count = 0
        self.seconds = 0.0
        self.error: str | None = None
        self.finished = False
        self.stop = threading.Event()


class Run(Generic[T]):
    """A training that goes on in the background.

    It stops at the next step when :meth:`stop` is called, and also when the run is thrown away: a page keeps it in its
    visitor's session, so it ends with the session.

    Args:
        steps: the training, one step for each element.

    >>> run = Run(iter([0.5, 0.25]))
    >>> run.start()
    >>> run.wait()
    >>> run.latest, run.count, run.finished
    (0.25, 2, True)
    """

    def __init__(self, steps: Iterator[T]) -> None:
        self._shared = _Shared(steps)
        self._thread: threading.Thread | None = None
        weakref.finalize(self, self._shared.stop.set)

    @property
    def latest(self) -> T | None:
        """What the last step handed out; None before the first."""
        return self._shared.latest

    @property
    def count(self) -> int:
        """How many steps there were."""
        return self._shared.count

    @property
    def seconds(self) -> float:
        """The time that the steps have taken."""
        return self._shared.seconds

    @property
    def running(self) -> bool:
        """Tell whether it is going on now."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def finished(self) -> bool:
        """Tell whether there are no more steps, or one has failed."""
        return self._shared.finished

    @property
    def error(self) -> str | None:
        """What a step failed with, in one line."""
        return self._shared.error

    def start(self) -> None:
        """Begin, or go on after :meth:`stop`; does nothing while it runs, and when it has finished."""
        if self.running:
            if not self._shared.stop.is_set():
                return
            self.wait()  # the step in which it was stopped still goes on
        if self.finished:
            return
        self._shared.stop.clear()
        self._thread = threading.Thread(target=_go, args=(self._shared,), name="training", daemon=True)
        self._thread.start()

    def stop(self, timeout: float | None = 10.0) -> None:
        """Stop after the step that is under way, and wait for it."""
        self._shared.stop.set()
        self.wait(timeout)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it stops or has finished."""
        if self._thread is not None:
            self._thread.join(timeout)


def _go(shared: _Shared[T]) -> None:
    """Go through the steps until one of both ends."""
    while not shared.stop.is_set():
        started = time.perf_counter()
        try:
            shared.latest = next(shared.steps)
        except StopIteration:
            shared.finished = True
            return
        except Exception as error:  # a thread has nobody to raise to: the page shows it
            known = isinstance(error, MiniTorchError)
            shared.error = str(error) if known else f"{type(error).__name__}: {error}"
            shared.finished = True
            return
        shared.seconds += time.perf_counter() - started
        shared.count += 1
        time.sleep(PAUSE)


class Randomness:
    """Random numbers of one's own inside a ``with`` block.

    A block borrows the default generator of its thread with the state that the block before has left, in whichever
    thread that was, and puts back the state that it found.

    Args:
        seed: of the numbers.

    >>> with Randomness(1):
    ...     first = default_generator.uniform(1)
    >>> with Randomness(1):
    ...     bool((default_generator.uniform(1) == first).all())
    True
    """

    def __init__(self, seed: int) -> None:
        self._state = (seed, 0)
        self._found: list[tuple[int, int]] = []

    def __enter__(self) -> None:
        self._found.append(default_generator.state)
        default_generator.state = self._state

    def __exit__(self, *_: object) -> None:
        self._state = default_generator.state
        default_generator.state = self._found.pop()


def seeded(make: Callable[[], Generator[T, None, None]], seed: int) -> Generator[T, None, None]:
    """Give a training random numbers of its own: they depend on its seed alone.

    Args:
        make: makes the training.
        seed: of its random numbers.

    >>> def draws():
    ...     for _ in range(2):
    ...         yield float(default_generator.uniform(1)[0])
    >>> first, second = seeded(draws, 1), seeded(draws, 1)
    >>> [next(first) == next(second), next(first) == next(second)]
    [True, True]
    """
    randomness = Randomness(seed)
    steps = make()
    while True:
        with randomness:
            try:
                value = next(steps)
            except StopIteration:
                return
        yield value
