"""A training step as one program: traced once, simplified, fused, divided over the cores, run as a list of calls.

A folder for each part of the way, and in it one pass a file:

- :mod:`~minitorch.compiler.trace` records a run of the step as a :mod:`~minitorch.compiler.graph`;
- :mod:`~minitorch.compiler.guard` finds what has to stay as it was then, and looks at it before every call;
- :mod:`~minitorch.compiler.passes`: :mod:`~minitorch.compiler.passes.simplify` makes the graph smaller,
  :mod:`~minitorch.compiler.passes.fuse` joins operations that one kernel does better,
  :mod:`~minitorch.compiler.passes.operands` lays out what a kernel cannot walk,
  :mod:`~minitorch.compiler.passes.split` divides the batch over the cores, and
  :mod:`~minitorch.compiler.passes.memory` gives every result its place;
- :mod:`~minitorch.compiler.emit` divides the operations into kernels and writes the program, with calls of the
  library's kernels and loops of its own;
- :mod:`~minitorch.compiler.run` goes through the calls, and does what a call needs in Python around them;
- :mod:`~minitorch.compiler.cuda` does for a GPU what comes after simplifying.

:mod:`~minitorch.compiler.pipeline` has the passes in their order, and :mod:`~minitorch.compiler.compiled` what a user
sees.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compiled import Compiled

__all__ = ["compile", "debug"]


def compile(fn: Callable[..., Any]) -> Compiled:
    """Turn a function of tensors into one that is traced once and then runs as one program.

    The function may be a training step with ``loss.backward()`` and ``optimizer.step()`` in it, a
    :class:`~minitorch.module.Module`, or anything else that computes with tensors on
    ``minitorch.FastBackend``, or all on a GPU. New shapes, dtypes, modes and choices are traced anew; the last sixteen
    are kept.

    Args:
        fn: the function. Its arguments are tensors, arrays, numbers, text, and lists, tuples and dictionaries of them.

    Returns:
        A function of the same arguments. Its attributes ``source``, ``call_source`` and ``graph`` show the program that
        ran last (``graph.draw("step.svg")`` draws it), and ``passes`` what each pass made of the step.
        ``compile_seconds`` is the time that compiling has taken; its method ``profile`` times each kernel.

    Raises:
        CompileError: while it is traced, if the step does something that a program could not repeat; the message
            names the line.

    >>> import minitorch
    >>> step = compile(lambda x, y: (x * y).sum())
    >>> x = minitorch.tensor([1.0, 2.0, 3.0], backend=minitorch.FastBackend)
    >>> step(x, x).item()
    14.0
    """
    from .compiled import Compiled  # on first use: it loads what writes and compiles programs

    return Compiled(fn)


def debug() -> AbstractContextManager[None]:
    """Run compiled steps as ordinary Python inside a ``with`` block, operation by operation.

    >>> import minitorch
    >>> double = compile(lambda x: x * 2.0)
    >>> with debug():
    ...     double(minitorch.tensor([1.0]))
    tensor([2.])
    """
    from .compiled import Debug

    return Debug()
