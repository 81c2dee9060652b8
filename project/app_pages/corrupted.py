"""Digits that were turned: what was done to them, and how sure a network is."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from interface.corruption import doubt, examples, lean, search_file, turn
from interface.digits import DigitSettings, draw_images, draw_probabilities, train
from interface.run import Run
from widgets.data import get_digits
from widgets.ending import end_page
from widgets.live import live_run
from widgets.pictures import show

st.title("Corrupted MNIST")
st.markdown(
    "The corruption is a rotation: every file of this set was turned by one angle of its own. Turned back, the digits "
    "are MNIST's again."
)
digits = get_digits(corrupted=True)
st.caption(digits.source)
names, angles = zip(*lean())
which = st.segmented_control("Digits of", [name for name in names if name != "test"], default="train_1") or "train_1"
part = names.index(which)
angle, published, upright = examples(digits)[part]
st.caption("As they are published")
show(draw_images(published))
st.caption(f"Turned back by {angle:g}°")
show(draw_images(upright))

st.header("Finding the angle")
st.markdown(
    "MNIST's own digits are turned by every angle and compared with the published ones, pixel by pixel. The difference "
    "is least at the angle by which the file was turned; turns of less than three degrees move hardly a pixel."
)
left, right = st.columns([3, 2])
key = f"angles of {which}"
with left:
    if key not in st.session_state:
        with st.spinner("Turning digits by every angle", show_time=True):
            st.session_state[key] = search_file(digits, part)
    if st.session_state[key] is None:
        st.caption("MNIST's own digits are not here, so there is nothing to compare with.")
    else:
        st.line_chart(st.session_state[key], x="degrees", y="difference", height=260, color="#4c8bd0")
with right:
    st.dataframe({"file": names, "degrees, clockwise": angles}, hide_index=True)

st.header("How sure is a network?")
st.markdown(
    "With dropout left on, each answer comes from a slightly different network. Asked a hundred times, a network that "
    "knows gives the same answer each time; one that does not scatters (**Monte Carlo dropout**)."
)


def draw(run: Run[Any] | None) -> None:
    """Show loss and accuracy."""
    progress = run.latest if run is not None else None
    if progress is None:
        st.caption("Press Train: LeNet learns from 5,000 of the turned digits.")
        return
    loss, accuracy, speed = st.columns(3)
    loss.metric("Loss", f"{progress.losses[-1]:.3f}")
    accuracy.metric("Test digits read", f"{progress.accuracies[-1]:.1%}")
    speed.metric("Digits per second", f"{progress.digits_per_second:,.0f}")


settings = DigitSettings(epochs=int(st.number_input("Epochs", 1, 50, 6)))
run = live_run("corrupted digits", settings, lambda: train(settings, digits), draw, settings.updates)
if run is None or run.latest is None:
    end_page()

left, right = st.columns([2, 3])
with left:
    index = int(st.number_input("Number of the test digit", 0, len(digits.test_images) - 1, 0))
    more = st.slider("Turn it further, in degrees", -180, 180, 0, 5)
    image = turn(digits.test_images[index : index + 1], more)[0]
    show(draw_images([image], [f"a {digits.test_labels[index]}"], size=160))
with right:
    with st.spinner("Asking a hundred times", show_time=True):
        answer = doubt(run.latest.reader, image)
    show(draw_probabilities(answer.mean, spread=answer.spread))
    st.caption("Bars: the mean of 100 answers. Red: their standard deviation to both sides.")
columns = st.columns(3)
columns[0].metric("Most probable", int(np.argmax(answer.mean)))
columns[1].metric("Answers that agree", f"{answer.agreement:.0%}")
columns[2].metric("Entropy, bits", f"{answer.entropy:.2f}")
