"""The same operation on every backend, with times."""

from __future__ import annotations

import streamlit as st
from interface.backends import LARGEST, OPERATIONS, compare, cuda_note

st.title("Backends")
st.markdown(
    "A backend is a class with a few operations: map, zip, reduce, the matrix product, and what networks add. "
    "`SimpleOps` writes each as a loop in plain Python, and is the definition. `FastOps` compiles the loops. "
    "`minitorch.compile` makes one program of several operations. All give the same numbers."
)
left, right = st.columns(2)
name = left.selectbox("Operation", OPERATIONS, index=3)
size = right.slider("Rows and columns of a and b", 2, LARGEST, 48)
if st.button("Measure", type="primary"):
    with st.spinner("Compiling and measuring", show_time=True):
        st.session_state["timings"] = name, size, compare(name, size)
if "timings" in st.session_state:
    name, size, rows = st.session_state["timings"]
    st.subheader(f"{name}, {size} x {size}")
    st.dataframe(
        {
            "backend": [row.backend for row in rows],
            "microseconds": [round(row.seconds * 1e6, 1) for row in rows],
            "times faster": [round(rows[0].seconds / row.seconds, 1) for row in rows],
            "largest difference": [f"{row.difference:.1e}" for row in rows],
        },
        hide_index=True,
    )
else:
    st.caption("The first measurement of an operation compiles it, which takes seconds.")
if note := cuda_note():
    st.info(note)
