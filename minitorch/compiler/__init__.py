"""A training step as one program: traced once, simplified, fused, divided over the cores, run as a list of calls.

One pass a file, in this order: :mod:`~minitorch.compiler.trace` records a run of the step as a
:mod:`~minitorch.compiler.graph`; :mod:`~minitorch.compiler.simplify` makes it smaller; :mod:`~minitorch.compiler.fuse`
joins operations that one kernel does better; :mod:`~minitorch.compiler.operands` lays out what a kernel cannot walk;
:mod:`~minitorch.compiler.split` divides the batch over the cores; :mod:`~minitorch.compiler.grouping` divides the
operations into kernels; :mod:`~minitorch.compiler.memory` gives every result its place;
:mod:`~minitorch.compiler.emit` writes the program, with the calls of :mod:`~minitorch.compiler.families` and the loops
of :mod:`~minitorch.compiler.loops`; :mod:`~minitorch.compiler.entries` compiles kernels, and
:mod:`~minitorch.compiler.machine` runs the program. What a call does in Python around it is written by
:mod:`~minitorch.compiler.calls`, and uses :mod:`~minitorch.compiler.runtime`. What a user sees is in
:mod:`~minitorch.compiler.compiled`. For a GPU, what comes after simplifying is in :mod:`~minitorch.compiler.cuda`.
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
        A function of the same arguments. Its attributes ``source``, ``call`` and ``graph`` show the program that ran
        last (``graph.draw("step.svg")`` draws it), and ``passes`` what each pass made of the step. ``compile_seconds``
        is the time that compiling has taken; its method ``profile`` times each kernel.

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
