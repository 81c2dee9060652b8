"""Every operator with its derivative, plotted, and checked by central difference."""

from __future__ import annotations

import streamlit as st
from interface.operators import OPERATORS, check, curves, read_numbers

import minitorch
from minitorch import operators

st.title("Operators")
st.markdown(
    "Networks are made of functions of one or two numbers. Each needs its derivative, and each derivative can be "
    "checked with the function's values alone:"
)
st.latex(r"f'(x) \approx \frac{f(x + \epsilon) - f(x - \epsilon)}{2 \epsilon}")

operator = OPERATORS[st.selectbox("Operator", OPERATORS, index=5)]
two = operator.arguments == 2
left, right = st.columns([2, 3])
with left:
    st.latex(f"f({'x, y' if two else 'x'}) = {operator.formula}")
    st.latex(operator.slope)
    x = st.slider("x", operator.low, operator.high, 1.0, 0.05)
    y = st.slider("y", -4.0, 4.0, 1.5, 0.05) if two else 0.0
    point = (x, y) if two else (x,)
    st.metric(f"f({', '.join(f'{value:g}' for value in point)})", f"{operator.fn(*point):.6g}")
with right:
    columns = curves(operator, y)
    st.line_chart(columns, x="x", y=["value", "derivative"], height=330, color=["#4c8bd0", "#e69138"])

rows = check(operator, *point)
st.dataframe(
    {
        "with respect to": [row.argument for row in rows],
        "derivative": [f"{row.derivative:.8g}" for row in rows],
        "central difference": [f"{row.difference:.8g}" for row in rows],
        "": [row.verdict for row in rows],
    },
    hide_index=True,
)
st.caption("Try relu at 0, max where x = y, and lt where x = y: a kink and a jump are where the two may differ.")

st.header("Functions of lists")
st.markdown(
    "Three functions build all the others: `map` applies a function, `zipWith` pairs two lists, `reduce` folds one."
)
first, second = st.columns(2)
texts = first.text_input("a", "1, 2, 3"), second.text_input("b", "10, 20, 30")
try:
    a, b = (read_numbers(text) for text in texts)
except minitorch.ArgumentError as error:
    st.error(str(error))
else:
    st.table(
        {
            "": ["negList(a)", "addLists(a, b)", "sum(a)", "prod(a)"],
            "is": [
                str(operators.negList(a)),
                str(operators.addLists(a, b)),
                str(operators.sum(a)),
                str(operators.prod(a)),
            ],
            "made of": ["map(neg)", "zipWith(add)", "reduce(add, 0)", "reduce(mul, 1)"],
        }
    )
