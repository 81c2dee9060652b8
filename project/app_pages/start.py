"""What the app shows, and what this machine has for it."""

from __future__ import annotations

import streamlit as st

st.title("MiniTorch, looked at from the inside")
st.markdown(
    """
Each page opens one part of a deep-learning library: what it computes, and the numbers on the way. Everything is
computed here and now by MiniTorch itself; nothing was trained beforehand, and nothing is fetched from anywhere.

| | What to try |
|---|---|
| **Module 0** | Every operator beside its derivative; a model as a tree of parameters |
| **Module 1** | Type an expression and walk through backpropagation; watch a decision boundary move |
| **Module 2** | Shape, strides and storage: which cell does each position of a view read? |
| **Module 3** | One operation on several backends; a training step before and after each pass of the compiler |
| **Module 4** | Slide a kernel over an image; train LeNet and draw digits for it; judge sentences |

The same functions serve scripts: `project/interface/` knows nothing of this page.
"""
)
