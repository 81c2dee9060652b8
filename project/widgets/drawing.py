"""A sheet to draw on with the mouse or a finger: a component of one HTML file."""

from __future__ import annotations

from pathlib import Path

import streamlit.components.v1 as components

__all__ = ["draw_here"]

_canvas = components.declare_component("minitorch_canvas", path=Path(__file__).with_name("canvas"))


def draw_here(key: str) -> list[list[list[float]]]:
    """Show the sheet, and give the strokes on it: lists of points $(x, y)$ from 0 to 1, the upper left corner 0, 0."""
    return _canvas(key=key, default=[])
