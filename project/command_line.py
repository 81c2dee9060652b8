"""What the command lines of the scripts share: flags that mean the same everywhere, and mistakes told in one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import minitorch

__all__ = ["BACKENDS", "add_common_flags", "mistakes_in_one_line", "read_settings"]


class _Backends(Mapping[str, minitorch.TensorBackend]):
    """What computes, by the name that a flag has for it; the GPU is looked for when it is asked for."""

    OPERATIONS: Mapping[str, Callable[[], type[minitorch.TensorOps]]] = {
        "fast": lambda: minitorch.FastOps,
        "gpu": lambda: minitorch.CudaOps,
        "simple": lambda: minitorch.SimpleOps,
    }

    def __getitem__(self, name: str) -> minitorch.TensorBackend:
        return minitorch.TensorBackend(self.OPERATIONS[name]())

    def __iter__(self) -> Iterator[str]:
        return iter(self.OPERATIONS)

    def __len__(self) -> int:
        return len(self.OPERATIONS)


BACKENDS = _Backends()

S = TypeVar("S", bound=Any)


@contextmanager
def mistakes_in_one_line() -> Iterator[None]:
    """End the program with one line instead of a traceback when the user has made a mistake, or pressed ctrl-C.

    Raises:
        SystemExit: in place of any error of MiniTorch's own, and of KeyboardInterrupt.
    """
    try:
        yield
    except minitorch.MiniTorchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted. Add --resume to go on from the last checkpoint.")


def add_common_flags(parser: argparse.ArgumentParser, data: str, results: str) -> None:
    """Add the flags that every training on a data set has.

    Args:
        parser: receives them.
        data: whose files ``--data-dir`` holds.
        results: the names of the files that ``--out-dir`` receives.
    """
    parser.add_argument("--seed", type=int, help="fixes initialisation, order and dropout")
    parser.add_argument("--dtype", choices=("float32", "float64"))
    parser.add_argument("--backend", choices=sorted(BACKENDS), help="fast; gpu; or simple, which is never compiled")
    parser.add_argument(
        "--no-compile", dest="compile", action="store_false", help="train operation by operation, not as one program"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out-dir, if there is one")
    parser.add_argument("--data-dir", help=f"folder of {data} files; searched for when left out")
    parser.add_argument("--out-dir", help=f"receives {results}")
    parser.add_argument("--model", help="model file for --predict (default: the one in --out-dir)")


def read_settings(parser: argparse.ArgumentParser, default: S, argv: Sequence[str] | None) -> S:
    """Read a command line whose every flag is a field of a dataclass of settings.

    Args:
        parser: knows the flags.
        default: the settings of an empty command line.
        argv: the command line; the program's own when None.

    Returns:
        ``default`` with what was given put in.
    """
    parser.set_defaults(**vars(default))
    return replace(default, **vars(parser.parse_args(argv)))
