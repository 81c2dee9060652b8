"""The settings of an exercise: flags of a script's command line, defaults in a notebook."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from minitorch.errors import ArgumentError

__all__ = ["arguments"]

RUNS = Path(__file__).resolve().parents[1] / "runs"


def arguments(
    *, argv: Sequence[str] | None = None, small: Mapping[str, Any] | None = None, **settings: Any
) -> SimpleNamespace:
    """Read the settings of an exercise, and make the folder for what it writes.

    In a script each setting is a flag: ``batch_size=64`` is ``--batch-size``, a number of its default's type; a tuple
    is a choice, its first element the default; False is a flag without a value. In a notebook, which has no command
    line, the defaults hold.

    ``--small``, or ``MINITORCH_SMALL=1`` in the environment, which reaches notebooks too, puts small settings in the
    place of the defaults. What is given on the command line wins over both.

    Args:
        argv: the command line; the program's own when left out.
        small: the settings that ``--small`` changes.
        settings: every setting with its default.

    Returns:
        The settings, and two more: ``small``, whether small settings hold, and ``out_dir``, the folder for pictures
        and models: ``runs/NAME-OF-THE-EXERCISE``, and ``runs/small/NAME-OF-THE-EXERCISE`` with small settings.

    Raises:
        ArgumentError: a small setting is no setting.
    """
    small = dict(small or {})
    if unknown := sorted(small.keys() - settings.keys()):
        raise ArgumentError(
            f"expected small settings that are settings too, got {', '.join(unknown)}. Give each of them a default."
        )
    folder = _folder_of_exercise()
    parser = argparse.ArgumentParser(prog=folder.name, allow_abbrev=False)
    wants_small = os.environ.get("MINITORCH_SMALL", "") not in ("", "0")
    parser.add_argument("--small", action="store_true", default=wants_small, help="few examples, seconds of work")
    parser.add_argument(
        "--out-dir",
        type=Path,
        default=settings.pop("out_dir", None),
        help=f"receives what it writes ({RUNS.name}/{folder.name})",
    )
    for name, default in settings.items():
        _add_flag(parser, name, default)
    if argv is None:
        argv = sys.argv[1:] if _is_script() else []
    if parser.parse_known_args(argv)[0].small:
        parser.set_defaults(**small)
    given = SimpleNamespace(**vars(parser.parse_args(argv)))
    if given.out_dir is None:
        given.out_dir = RUNS / "small" / folder.name if given.small else RUNS / folder.name
    given.out_dir = Path(given.out_dir)
    given.out_dir.mkdir(parents=True, exist_ok=True)
    return given


def _add_flag(parser: argparse.ArgumentParser, name: str, default: Any) -> None:
    """Add the flag of a setting, of the kind that its default tells."""
    flag = "--" + name.replace("_", "-")
    if isinstance(default, tuple):
        first = default[0]
        parser.add_argument(flag, choices=default, default=first, type=type(first), help=f"default: {first}")
    elif isinstance(default, bool):
        action = argparse.BooleanOptionalAction if default else "store_true"
        parser.add_argument(flag, action=action, default=default, help=f"default: {default}")
    else:
        parser.add_argument(flag, type=type(default), default=default, help=f"default: {default}")


def _is_script() -> bool:
    """Tell whether the command line is the script's, not that of the kernel behind a notebook."""
    return hasattr(sys.modules["__main__"], "__file__") and "kernel" not in Path(sys.argv[0]).name


def _folder_of_exercise() -> Path:
    """Name the folder of the exercise that runs: the script's, or the working directory of its notebook."""
    file = getattr(sys.modules["__main__"], "__file__", None)
    return Path(file).resolve().parent if file else Path.cwd()
