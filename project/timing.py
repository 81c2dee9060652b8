"""What a training takes: compiling on one side, epochs on the other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import minitorch

if TYPE_CHECKING:
    from minitorch.compiler.compiled import Compiled

__all__ = ["Timing"]


class Timing:
    """Compiles the functions of a training, or leaves them as they are, and times its epochs.

    Args:
        compiled: whether to compile.
    """

    def __init__(self, compiled: bool) -> None:
        self.compiled = compiled
        self.epochs: list[float] = []  # the seconds of each, without compiling
        self._programs: list[Compiled] = []

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compile a function, if that is wanted."""
        if not self.compiled:
            return function
        self._programs.append(minitorch.compile(function))
        return self._programs[-1]

    @property
    def compile_seconds(self) -> float:
        """The time that compiling has taken."""
        return sum(program.compile_seconds for program in self._programs)

    @contextmanager
    def epoch(self) -> Iterator[None]:
        """Time an epoch; what is compiled in it does not count."""
        started, compiled_before = time.perf_counter(), self.compile_seconds
        yield
        self.epochs.append(time.perf_counter() - started - (self.compile_seconds - compiled_before))

    def report(self) -> str:
        """Tell both times in one line."""
        epochs = f"{statistics.median(self.epochs):.2f} s (median of {len(self.epochs)})"
        if not self.compiled:
            return f"Time per epoch: {epochs}, operation by operation"
        return f"Compile time: {self.compile_seconds:.2f} s. Time per epoch: {epochs}"
