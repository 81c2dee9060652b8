"""Files that hold models: data, never code."""

from __future__ import annotations

from .checkpoint import load, load_state_dict, save, state_dict

__all__ = ["load", "load_state_dict", "save", "state_dict"]
