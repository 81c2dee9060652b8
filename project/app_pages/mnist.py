"""Train LeNet, look into it, and draw digits for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from interface.digits import (
    DigitSettings,
    draw_confusion,
    draw_images,
    draw_probabilities,
    report,
    train,
)
from interface.run import Run
from interface.strokes import digit_of
from widgets.data import get_digits
from widgets.drawing import draw_here
from widgets.live import live_run
from widgets.pictures import show

import minitorch

st.title("MNIST")
st.markdown(
    "LeNet reads handwritten digits: two convolutions find edges and corners, pooling keeps the strongest of each "
    "neighbourhood, and two layers weigh what was found. It is trained here, in seconds, as one compiled program."
)
digits = get_digits()
training, drawing, looking, mistakes = st.tabs(["Train", "Draw a digit", "Hidden layers", "Mistakes"])


def draw(run: Run[Any] | None) -> None:
    """Show loss, accuracy and speed."""
    progress = run.latest if run is not None else None
    if progress is None:
        st.caption(f"Press Train. The digits: {digits.source}")
        return
    loss, accuracy, speed = st.columns(3)
    loss.metric("Loss", f"{progress.losses[-1]:.3f}")
    accuracy.metric("Held-out digits read", f"{progress.accuracies[-1]:.1%}")
    speed.metric("Digits per second", f"{progress.digits_per_second:,.0f}")
    left, right = st.columns(2)
    left.line_chart({"loss": progress.losses}, height=240, x_label="20 steps each", color="#4c8bd0")
    right.line_chart({"accuracy": progress.accuracies}, height=240, x_label="20 steps each", color="#e69138")


with training:
    first, second, third, fourth = st.columns(4)
    settings = DigitSettings(
        epochs=int(first.number_input("Epochs", 1, 50, 6)),
        train_size=int(second.number_input("Digits", 100, 5000, 5000, 100)),
        rate=third.number_input("Learning rate", 0.001, 1.0, 0.01, 0.005, format="%.3f"),
        seed=int(fourth.number_input("Seed", 0, 9999, 1)),
    )
    run = live_run("digits", settings, lambda: train(settings, digits), draw, settings.updates)
reader = run.latest.reader if run is not None and run.latest is not None else None
untrained = "Nothing has been trained yet: press Train in the first tab."


@st.fragment
def sheet() -> None:
    """Show the sheet and what is read on it. While somebody draws, this part of the page alone runs again."""
    left, middle, right = st.columns([3, 2, 4])
    with left:
        strokes = draw_here("canvas")
    try:
        picture = st.session_state["drawn digit"] = digit_of(strokes)
    except minitorch.DataError as error:
        st.session_state.pop("drawn digit", None)
        middle.caption(str(error))
        return
    with middle:
        show(draw_images([picture], ["as MNIST has it"], size=140))
        st.caption("Scaled to 20 pixels, the centre of mass in the middle of 28 x 28.")
    with right:
        if reader is None:
            st.caption(untrained)
        else:
            probabilities = reader.probabilities([picture])[0]
            show(draw_probabilities(probabilities))
            st.metric("This is a", int(probabilities.argmax()))


with drawing:
    sheet()

with looking:
    if reader is None:
        st.caption(untrained)
    else:
        source = st.segmented_control("Digit", ["a test digit", "the drawn one"], default="a test digit")
        index = int(st.number_input("Number of the test digit", 0, len(digits.test_images) - 1, 0))
        drawn = st.session_state.get("drawn digit") if source == "the drawn one" else None
        image = digits.test_images[index] if drawn is None else drawn
        hidden = reader.hidden(image)
        left, right = st.columns([2, 3])
        with left:
            show(draw_images([image], ["the digit"], size=160))
        with right:
            show(draw_probabilities(reader.probabilities([image])[0]))
        st.subheader("The four filters of the first layer")
        show(draw_images(reader.filters(), [f"filter {i}" for i in range(4)], weights=True))
        st.subheader("mid: what they find, 4 x 28 x 28")
        show(draw_images(hidden.mid, [f"map {i}" for i in range(4)], columns=4, size=150))
        st.subheader("out: the second layer, 8 x 28 x 28")
        show(draw_images(hidden.out, [f"map {i}" for i in range(8)], columns=8, size=96))
        st.subheader("pooled: the strongest of each 4 x 4, 8 x 7 x 7")
        show(draw_images(hidden.pooled, [f"map {i}" for i in range(8)], columns=8, size=96))

with mistakes:
    if reader is None:
        st.caption(untrained)
    else:
        state = st.session_state
        if state.get("reported reader") is not reader:
            with st.spinner("Reading the test digits", show_time=True):
                state["report"] = report(reader, digits.test_images, digits.test_labels)
            state["reported reader"] = reader
        result = state["report"]
        st.metric(f"Of {len(digits.test_images):,} test digits, read correctly", f"{result.accuracy:.2%}")
        left, right = st.columns([1, 1])
        with left:
            show(draw_confusion(result.confusion))
        with right:
            st.markdown("**The most confidently wrong**")
            worst = result.mistakes[:12]
            if worst:
                names = [f"{m.label} as {m.answer}, {m.probability:.0%}" for m in worst]
                images = np.stack([digits.test_images[m.index] for m in worst])
                show(draw_images(images, names, columns=4, size=100))
            else:
                st.caption("There is none.")
