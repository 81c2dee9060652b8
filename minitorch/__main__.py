"""The command line, ``python -m minitorch COMMAND``. Today it has one command, ``doctor``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .doctor import doctor
from .version import __version__

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status; ``argv`` is ``sys.argv[1:]`` unless given."""
    parser = argparse.ArgumentParser(prog="python -m minitorch", description="Commands that come with the library.")
    parser.add_argument("--version", action="version", version=f"MiniTorch {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser("doctor", help="say what this machine has, what it lacks, and how to mend it")
    parser.parse_args(argv)
    return doctor()


if __name__ == "__main__":
    sys.exit(main())
