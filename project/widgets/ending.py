"""Ending a page early, where there is nothing more to show."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

__all__ = ["end_page"]


def end_page() -> NoReturn:
    """Leave out the rest of the page; in words that a type checker knows without Streamlit too."""
    st.stop()
    raise AssertionError("a page went on behind its end")
