"""Where MiniTorch keeps what it can make or fetch again."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Name the user's cache folder; nothing is created.

    ``MINITORCH_CACHE`` wins; else the platform's place: ``$XDG_CACHE_HOME`` or ``~/.cache``, ``~/Library/Caches`` on
    macOS, ``%LOCALAPPDATA%`` on Windows, each with ``minitorch`` in it.
    """
    if own := os.environ.get("MINITORCH_CACHE"):
        return Path(own).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "minitorch"
