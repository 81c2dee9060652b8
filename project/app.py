"""The app: MiniTorch looked at from the inside, a page for each part of the course.

streamlit run project/app.py
"""

from __future__ import annotations

import numpy as np
import streamlit as st
from interface.svg import signed
from PIL import Image

# With an icon of our own, the browser does not look for one elsewhere.
ICON = Image.fromarray(signed(np.outer([-2, -1, 1, 2], [2, 1, -1, -2])))
st.set_page_config(page_title="MiniTorch", page_icon=ICON, layout="wide")

PAGES = {
    "": [st.Page("app_pages/start.py", title="Start", icon=":material/home:", default=True)],
    "Module 0": [
        st.Page("app_pages/operators.py", title="Operators", icon=":material/function:"),
        st.Page("app_pages/modules.py", title="Modules", icon=":material/account_tree:"),
    ],
    "Module 1": [
        st.Page("app_pages/scalars.py", title="Scalars", icon=":material/conversion_path:"),
        st.Page("app_pages/points.py", title="Training on points", icon=":material/scatter_plot:"),
    ],
    "Module 2": [
        st.Page("app_pages/tensors.py", title="Tensors", icon=":material/grid_on:"),
    ],
    "Module 3": [
        st.Page("app_pages/backends.py", title="Backends", icon=":material/speed:"),
        st.Page("app_pages/compiler.py", title="Compiler", icon=":material/memory:"),
    ],
    "Module 4": [
        st.Page("app_pages/convolution.py", title="Convolution and pooling", icon=":material/select_all:"),
        st.Page("app_pages/mnist.py", title="MNIST", icon=":material/draw:"),
        st.Page("app_pages/sentiment.py", title="Sentiment", icon=":material/sentiment_satisfied:"),
        st.Page("app_pages/corrupted.py", title="Corrupted MNIST", icon=":material/rotate_right:"),
    ],
}

st.navigation(PAGES).run()
