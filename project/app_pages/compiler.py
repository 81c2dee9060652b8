"""A training step before and after each pass of the compiler."""

from __future__ import annotations

import streamlit as st
from interface.steps import EXPLANATIONS, STEPS, count, make, picture, profile_table

st.title("Compiler")
st.markdown(
    "`minitorch.compile` runs a training step once on tensors that hold no numbers, writes down every operation of "
    "forward, backward and update, and turns the list into one program."
)
name = st.selectbox("Step", STEPS)
key = f"compiled: {name}"
if key not in st.session_state:
    with st.spinner("Tracing and compiling", show_time=True):
        st.session_state[key] = make(name)
demo = st.session_state[key]
st.code(demo.text, language="python")

passes = demo.step.passes
st.dataframe(
    {
        "pass": list(passes),
        "what there is then": [count(title, made) for title, made in passes.items()],
        "what it does": [EXPLANATIONS.get(title, "") for title in passes],
    },
    hide_index=True,
)
title = st.segmented_control("The step after", list(passes), default="trace") or "trace"
st.caption(EXPLANATIONS.get(title, ""))
drawn, listed, program, times = st.tabs(["Drawn", "Listed", "The program", "Time of each kernel"])
with drawn:
    key = f"picture: {name}, {title}"
    if key not in st.session_state:
        with st.spinner("Drawing", show_time=True):
            st.session_state[key] = picture(passes[title])
    if st.session_state[key] is None:
        st.caption("This pass makes no graph: its list is beside this tab.")
    else:
        st.image(st.session_state[key], width="content")
with listed:
    st.code(str(passes[title]), language=None)
with program:
    st.code(demo.step.source, language="python")
    st.caption(f"Compiling took {demo.step.compile_seconds:.2f} s.")
with times:
    if st.button("Measure"):
        with st.spinner("Measuring each kernel by itself", show_time=True):
            st.session_state[f"profile: {name}"] = profile_table(demo)
    if (table := st.session_state.get(f"profile: {name}")) is not None:
        st.dataframe(table, hide_index=True)
