"""Named exceptions: every one says what was expected, what came, and what to do.

Each class is also the built-in kind that people already catch, so ``except ValueError`` keeps working:

>>> issubclass(ShapeError, ValueError) and issubclass(DTypeError, TypeError)
True

Use them for a user's mistake. ``assert`` is for our own.
"""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "BackendError",
    "BroadcastError",
    "CompileError",
    "DTypeError",
    "DataError",
    "GradientError",
    "GraphError",
    "IndexingError",
    "MiniTorchError",
    "MissingDependencyError",
    "NaNError",
    "ShapeError",
]


class MiniTorchError(Exception):
    """The base of every exception that MiniTorch raises on purpose."""


class ArgumentError(MiniTorchError, ValueError):
    """An argument is outside the values that have a meaning (a rate of 1.5, an unknown name)."""


class ShapeError(MiniTorchError, ValueError):
    """The shapes of the operands do not fit the operation."""


class IndexingError(MiniTorchError, IndexError, RuntimeError):
    """An index, a permutation or a set of strides does not fit the tensor's shape."""


class BroadcastError(ShapeError, IndexingError):
    """Two shapes cannot be stretched to a common one (the course expects an ``IndexingError``)."""


class DTypeError(MiniTorchError, TypeError):
    """An element type is unknown, or two operands have different ones."""


class BackendError(MiniTorchError, RuntimeError):
    """Two operands live on different backends, or a backend cannot run here."""


class GraphError(MiniTorchError, RuntimeError):
    """The recorded computation cannot be differentiated: already freed, never recorded, or written over."""


class CompileError(MiniTorchError, RuntimeError):
    """A step does something that its compiled program could not repeat in every call."""


class GradientError(MiniTorchError, AssertionError):
    """A gradient differs from what finite differences say."""


class NaNError(MiniTorchError, ArithmeticError):
    """A NaN or an infinity appeared where training cannot go on."""


class DataError(MiniTorchError, ValueError, OSError):
    """A data file is absent, truncated, corrupted, or not what its name promises."""


class MissingDependencyError(MiniTorchError, ImportError):
    """An optional package is needed; the message holds the command that installs it."""
