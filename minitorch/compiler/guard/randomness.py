"""Find out whether a step drew random numbers while it was traced: a program would get the same ones in every call.

The state of a generator tells that somebody has drawn, but not who. Of the two that all threads share, NumPy's and
Python's, another thread may draw meanwhile, as one that shuffles data does. So where such a state has changed, the
functions that the tracing thread has run tell whether it was the step: one of them has to mention the generator.
"""

from __future__ import annotations

import random
import types
from typing import Any

import numpy as np

from .reach import PACKAGE, Reach
from .watch import Watch

__all__ = ["SharedGenerator", "sources"]

WORDS = {"random", "mtrand"}  # parts of the names by which code finds a shared generator


class SharedGenerator:
    """A generator of random numbers that a step might draw from.

    Args:
        name: what messages call it.
        word: what code calls it.
        generator: it, or the module of a shared one.
    """

    def __init__(self, name: str, word: str, generator: Any) -> None:
        self.name, self.word, self._generator = name, word, generator
        self._before = _state_of(generator)

    def has_changed(self) -> bool:
        """Tell whether somebody has drawn from it."""
        return _state_of(self._generator) != self._before

    def is_mentioned(self, watch: Watch) -> bool:
        """Tell whether what the thread of the step has run could draw from it."""
        shared = isinstance(self._generator, types.ModuleType)
        if not shared or watch.ran is None:
            return True  # the step can reach it, or nobody knows
        return any(_mentions_a_shared_one(code, names) for code, names in watch.ran.items())


def sources(reach: Reach) -> list[SharedGenerator]:
    """List the generators that a step might draw from, as they are now."""
    shared = [
        SharedGenerator("NumPy's global generator", "random", np.random),
        SharedGenerator("Python's `random`", "random", random),
    ]
    return shared + [SharedGenerator(f"`{key}`", key, generator) for key, generator in reach.random]


def _state_of(source: Any) -> Any:
    if isinstance(source, np.random.Generator):
        return repr(source.bit_generator.state)
    if hasattr(source, "getstate"):
        return source.getstate()
    return [x.tobytes() if isinstance(x, np.ndarray) else x for x in source.get_state()]


def _mentions_a_shared_one(code: types.CodeType, names: dict[str, Any]) -> bool:
    """Tell whether code finds a shared generator: by its name, or by another that a module gave to it."""
    module = names.get("__name__", "")
    if module.partition(".")[0] == PACKAGE:  # its numbers come from minitorch.random
        return False
    if module == "random" or any(WORDS.intersection(name.split(".")) for name in code.co_names):
        return True
    constants = WORDS.intersection(c for c in code.co_consts if isinstance(c, str))
    return bool(constants) or any(_is_shared(names.get(name)) for name in code.co_names)


def _is_shared(value: Any) -> bool:
    if isinstance(value, (types.MethodType, types.BuiltinMethodType)):
        value = value.__self__
    return value is random or value is np.random or isinstance(value, (random.Random, np.random.RandomState))
