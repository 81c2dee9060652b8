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
}

st.navigation(PAGES).run()
