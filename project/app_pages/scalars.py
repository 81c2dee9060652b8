"""Type an expression, see its graph, and walk through backpropagation."""

from __future__ import annotations

import streamlit as st
from interface.backpropagation import draw_graph, walk
from interface.expressions import parse
from widgets.ending import end_page
from widgets.pictures import show

import minitorch

st.title("Scalars")
st.markdown(
    "A `Scalar` remembers the function that made it and what that function was applied to. So a result is the end of a "
    "graph, and the chain rule, applied from the end to the beginning, gives the derivative of every number in it."
)
text = st.text_input("Expression", "(x * y + x).relu() * log(y)", help="+ - * / **, < > ==, log, exp, sigmoid, relu")
try:
    expression = parse(text)
    columns = st.columns(max(4, len(expression.names)))
    values = {
        name: column.number_input(name, value=2.0 + i, step=0.5)
        for i, (name, column) in enumerate(zip(expression.names, columns))
    }
    result, leaves = expression.compute(values)
    visits = walk(result)
    step = st.slider("Step of backpropagation", 0, len(visits), 0) if visits else 0
    visit = visits[step - 1] if step else None
    drawing = draw_graph(result, visit, [v.node.unique_id for v in visits[: max(0, step - 1)]])
except minitorch.MiniTorchError as error:
    st.error(str(error))
    end_page()

show(drawing)
if visit is None:
    st.info(f"The forward pass gives {result.data:.6g}. Move the slider to go backwards, one node at a time.")
else:
    st.info(visit.sentence)
    if visit.rule:
        st.latex(visit.rule)
st.caption(
    "Blue: not visited yet. Orange: visited now. Green: visited before. d: the derivative that has arrived so far."
)

if step == len(visits) and leaves:
    st.subheader("The leaves")
    result.backward()
    st.dataframe(
        {
            "variable": list(leaves),
            "derivative": [leaf.derivative for leaf in leaves.values()],
            "central difference": [expression.slope(values, name) for name in leaves],
        },
        hide_index=True,
    )
with st.expander("Why a topological sort?"):
    st.markdown(
        "A node may be used several times. Its derivative is the sum of what all its uses hand back, so it is visited "
        "only when they all have been. Try `(x * 2) * (x * 3)`: x is visited last, and receives two shares."
    )
