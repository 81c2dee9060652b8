"""A model as a tree of modules and parameters."""

from __future__ import annotations

import streamlit as st
from interface.module_trees import MODELS, branches, build, count, draw_tree, parameter_table
from widgets.pictures import show

st.title("Modules")
st.markdown(
    "A module holds parameters and other modules. Whatever is assigned to an attribute sorts itself, so "
    "`named_parameters()` finds every number that training changes, under its dotted name."
)
left, right = st.columns([3, 2])
with right:
    name = st.selectbox("Model", MODELS)
    hidden = st.slider("Hidden units", 1, 12, 4, disabled=not name.startswith("Points"))
    evaluating = st.toggle("Evaluation mode", help="model.eval() puts every module below into evaluation mode too")
    model = build(name, hidden)
    if evaluating:
        model.eval()
    st.metric("Numbers that training changes", f"{count(model):,}")
    st.caption("Green modules are in training mode, grey ones in evaluation mode; blue dots are parameters.")
rows = branches(model)
with left:
    show(draw_tree(rows))

st.subheader("named_parameters()")
st.dataframe(parameter_table(model), hide_index=True)
st.subheader("print(model)")
st.code(repr(model), language=None)
