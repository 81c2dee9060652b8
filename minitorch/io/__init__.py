"""Files that hold models and trainings: data, never code."""

from __future__ import annotations

from .arrays import load_arrays, save_arrays
from .checkpoint import load, load_model, load_state_dict, save, state_dict

__all__ = ["load", "load_arrays", "load_model", "load_state_dict", "save", "save_arrays", "state_dict"]
