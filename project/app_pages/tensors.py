"""Shape, strides and storage, and what each view reads from where."""

from __future__ import annotations

import streamlit as st
from interface.layouts import VIEWS, broadcast, draw_layout, fresh, position_formula, read_index, read_shape
from widgets.pictures import show

import minitorch

st.title("Tensors")
st.markdown(
    "A tensor is a flat storage, and a rule for walking it: element $i$ of a tensor with strides $s$ is at position"
)
st.latex(r"p = \sum_d i_d \, s_d")
st.markdown("`permute`, `view` and broadcasting change the rule and leave the storage as it is.")

left, right = st.columns(2)
try:
    data = fresh(read_shape(left.text_input("Shape", "2, 3")))
    view = VIEWS[right.selectbox("Look at", VIEWS)]
    if view.asks:
        data = view.of(data, read_index(left.text_input(view.asks, ", ".join(map(str, view.usual(data))))))
    index = read_index(right.text_input("Index", ", ".join(["0"] * (data.dims - 1) + [str(data.shape[-1] - 1)])))
    drawing = draw_layout(data, index)
    formula = position_formula(data, index)
except minitorch.MiniTorchError as error:
    st.error(str(error))
else:
    for column, (name, value) in zip(
        st.columns(3), [("shape", data.shape), ("strides", data.strides), ("contiguous", data.is_contiguous())]
    ):
        column.metric(name, str(value))
    show(drawing)
    st.latex(f"p = {formula}")
    st.caption("Orange: the index. Green: cells that several positions read. Grey: cells that nothing reads.")

st.header("Broadcasting")
st.markdown("Shapes are compared from the last dimension. Sizes agree when they are equal, or when one of them is 1.")
one, two = st.columns(2)
texts = one.text_input("First shape", "3, 1"), two.text_input("Second shape", "4")
try:
    joined = broadcast(*(read_shape(text, most=10**6) for text in texts))
except minitorch.MiniTorchError as error:
    st.error(str(error))
else:
    st.dataframe(
        {
            "dimension from the last": list(range(1, len(joined.shape) + 1)),
            "first": ["-" if a is None else str(a) for a, _, _ in joined.rows],
            "second": ["-" if b is None else str(b) for _, b, _ in joined.rows],
            "result": [c for _, _, c in joined.rows],
        },
        hide_index=True,
    )
    st.metric("Result", str(joined.shape))
