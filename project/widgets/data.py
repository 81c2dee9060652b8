"""The data that pages show: loaded once for all visitors, who only read it."""

from __future__ import annotations

import streamlit as st
from interface import digits, sentences

import minitorch
from widgets.ending import end_page

__all__ = ["get_digits", "get_reviews"]


# Loaded without the network; the longest wait is for the 30,000 images of corrupted MNIST.
@st.cache_resource(show_spinner="Loading digits")
def _digits(corrupted: bool) -> digits.Digits:
    return digits.load(corrupted)


@st.cache_resource(show_spinner="Loading sentences and word vectors")
def _reviews() -> sentences.Reviews:
    return sentences.load()


def get_digits(corrupted: bool = False) -> digits.Digits:
    """Give the digits, or say on the page what is missing and how to get it, and end the page."""
    try:
        found = _digits(corrupted)
    except minitorch.DataError as error:
        st.warning(f"There are no digits here. {error}")
        end_page()
    if found.stand_in:
        st.info(f"MNIST's files were not found, so other genuine digits serve: {found.source}.")
    return found


def get_reviews() -> sentences.Reviews:
    """Give the sentences, or say on the page what is missing and how to get it, and end the page."""
    try:
        return _reviews()
    except minitorch.DataError as error:
        st.warning(f"This page needs SST-2 and word vectors. {error}")
        end_page()
