"""Train on points and watch the boundary move."""

from __future__ import annotations

from typing import Any

import streamlit as st
from interface.points import KINDS, PointSettings, draw_boundary, make_points, train
from interface.run import Run
from widgets.live import live_run
from widgets.pictures import show

import minitorch

st.title("Training on points")
st.markdown(
    "Three layers learn to tell two kinds of points apart. Gradient descent moves every weight $w$ against the "
    "derivative of the loss; the background shows what the network says of every point of the plane."
)
st.latex(r"w \leftarrow w - \eta \, \frac{\partial L}{\partial w} \qquad L = -\frac{1}{n} \sum_i \ln p_i")

with st.sidebar:
    data_name = st.selectbox("Points", list(minitorch.datasets), index=3)
    count = st.slider("Number of points", 10, 200, 80, 10)
    made_of = st.selectbox("Network of", list(KINDS), help="The same seed gives the same losses with all three")
    hidden = st.slider(
        "Hidden units", 1, KINDS[made_of].most_hidden, 10, help="Plain Python would be too slow for many"
    )
    rate = st.slider("Learning rate", 0.01, 3.0, 0.5, 0.01)
    epochs = st.number_input("Epochs", 1, 5000, 300, 50)
    seed = st.number_input("Seed", 0, 9999, 1)
settings = PointSettings(data_name, count, hidden, rate, int(epochs), int(seed), made_of)
points = make_points(settings)


def draw(run: Run[Any] | None) -> None:
    """Show the boundary, and the loss of each epoch."""
    left, right = st.columns(2)
    epoch = run.latest if run is not None else None
    with left:
        # A training that is shown beside other settings keeps its own points.
        show(draw_boundary(points) if epoch is None else draw_boundary(st.session_state["points"], epoch.plane))
    with right:
        if epoch is None:
            st.caption("Press Train. The boundary is where the colour will change.")
        else:
            shown = st.session_state["points"]
            loss, correct = st.columns(2)
            loss.metric("Loss", f"{epoch.losses[-1]:.4f}")
            correct.metric("Correct", f"{epoch.correct} of {shown.N}")
            st.line_chart({"loss": epoch.losses}, height=280, x_label="epoch", y_label="mean loss", color="#4c8bd0")


def begin() -> Any:
    """Keep the points of the training, and begin it."""
    st.session_state["points"] = points
    return train(settings, points)


live_run("points", settings, begin, draw, settings.epochs)
