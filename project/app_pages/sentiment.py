"""Train Kim's CNN on film reviews, and see which words made it say so."""

from __future__ import annotations

from typing import Any

import streamlit as st
from interface.digits import draw_probabilities
from interface.run import Run
from interface.sentences import SentenceSettings, draw_words, train
from widgets.data import get_reviews
from widgets.ending import end_page
from widgets.live import live_run
from widgets.pictures import show

import minitorch

st.title("Sentiment")
st.markdown(
    "Filters of three, four and five words slide over a sentence. Of each, only the largest answer counts, the "
    "**maximum over time**; it says which words the filter looked for, and found:"
)
st.latex(r"p = \sigma\Big(b + \sum_f w_f \, \max_t \, \mathrm{relu}(x_{t:t+k} \cdot F_f + b_f)\Big)")
reviews = get_reviews()


def draw(run: Run[Any] | None) -> None:
    """Show loss and accuracy."""
    progress = run.latest if run is not None else None
    if progress is None:
        st.caption(f"Press Train: {len(reviews.sentences)} sentences to learn from. They are {reviews.source}.")
        return
    loss, accuracy = st.columns(2)
    loss.metric("Loss", f"{progress.losses[-1]:.3f}")
    accuracy.metric("Held-out sentences judged correctly", f"{progress.accuracies[-1]:.1%}")
    loss.line_chart({"loss": progress.losses}, height=220, x_label="epoch", color="#4c8bd0")
    accuracy.line_chart({"accuracy": progress.accuracies}, height=220, x_label="epoch", color="#e69138")


first, second, third = st.columns(3)
settings = SentenceSettings(
    epochs=int(first.number_input("Epochs", 1, 200, 30)),
    rate=second.number_input("Learning rate", 0.001, 1.0, 0.01, 0.005, format="%.3f"),
    seed=int(third.number_input("Seed", 0, 9999, 1)),
)
run = live_run("sentences", settings, lambda: train(settings, reviews), draw, settings.epochs)

st.header("Judge a sentence")
text = st.text_input("Sentence", "a gorgeous, witty film with a boring end")
if run is None or run.latest is None:
    st.caption("Nothing has been trained yet: press Train.")
    end_page()
try:
    opinion = run.latest.judge.opinion(text)
except minitorch.DataError as error:
    st.error(str(error))
    end_page()

left, right = st.columns([2, 3])
with left:
    st.metric("Praise", f"{opinion.probability:.1%}")
    show(draw_probabilities([1.0 - opinion.probability, opinion.probability], ["−", "+"]))
with right:
    show(draw_words(opinion))
    st.caption("Orange words moved the answer towards praise, blue ones towards blame; grey ones are unknown.")
    if opinion.unknown:
        st.caption(f"Without a vector: {', '.join(opinion.unknown)}")
for column, width in zip(st.columns(3), (3, 4, 5)):
    column.subheader(f"{width} words")
    chosen = [winner for winner in opinion.winners if winner.width == width]
    column.dataframe(
        {
            "n-gram": [" ".join(winner.words) or "(behind the end)" for winner in chosen],
            "filters": [winner.filters for winner in chosen],
            "moved by": [round(winner.moved, 3) for winner in chosen],
        },
        hide_index=True,
    )
st.caption(f"Bias {opinion.bias:.3f}, moved by all of these together: the logit is {opinion.logit:.3f}.")
