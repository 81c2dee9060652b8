"""Drawings on a page."""

from __future__ import annotations

import streamlit as st
from interface.svg import Drawing

__all__ = ["show"]


def show(drawing: Drawing, scale: float = 1.0) -> None:
    """Put a drawing on the page, ``scale`` times its own size, or smaller where there is no room."""
    st.image(str(drawing), width=round(drawing.width * scale))
