"""Slide a kernel or a pooling window over an image."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st
from interface.windows import IMAGES, KERNELS, convolve, draw_slide, pool
from widgets.ending import end_page
from widgets.pictures import show

import minitorch

st.title("Convolution and pooling")
st.markdown(
    "A small window slides over an image. A convolution multiplies what it sees by the weights of a kernel, and adds "
    "up: one detector of edges serves every place. Pooling keeps the largest, or the mean, of each window."
)
controls = st.columns(4)
image = IMAGES[controls[0].selectbox("Image", IMAGES)]
kind = controls[1].selectbox("Slide", ["the course's convolution", "convolution with stride", "pooling"])

try:
    if kind == "pooling":
        st.latex(r"y_{i} = \max_k \, x_{s i + k} \qquad \text{or} \qquad y_{i} = \frac{1}{K} \sum_k x_{s i + k}")
        how = controls[2].selectbox("Take the", ["max", "average"])
        size = int(controls[3].number_input("Window", 1, 12, 2))
        make = partial(pool, image, size, how, st.slider("Stride s", 1, 4, min(size, 4)))
    else:
        name = controls[2].selectbox("Kernel", [*KERNELS, "ones of a size"])
        if name in KERNELS:
            kernel = KERNELS[name]
        else:
            side = int(controls[3].number_input("Size", 1, 12, 3))
            kernel = np.ones((side, side))
        if kind == "the course's convolution":
            st.latex(r"y_{i} = \sum_k x_{i + k} \, w_k \qquad \text{reverse: } \quad y_i = \sum_k x_{i - k} \, w_k")
            reverse = st.toggle("reverse", help="The window ends at its place instead of beginning there")
            make = partial(convolve, image, kernel, reverse=reverse)
        else:
            st.latex(r"y_{i} = \sum_k x_{s i + k - p} \, w_k \qquad n' = \lfloor (n + 2p - K) / s \rfloor + 1")
            left, right = st.columns(2)
            stride, padding = left.slider("Stride s", 1, 4, 1), right.slider("Padding p", 0, 3, 0)
            make = partial(convolve, image, kernel, stride, padding, course=False)
    with st.spinner("Compiling and sliding", show_time=True):
        slide = make()
except minitorch.MiniTorchError as error:
    st.error(str(error))
    end_page()

rows, columns = slide.output.shape
place = st.slider("Place of the window", 0, rows * columns - 1, rows * columns // 3) if rows * columns > 1 else 0
row, column = divmod(min(place, rows * columns - 1), columns)
show(draw_slide(slide, row, column))
if slide.kernel is not None:
    st.latex(slide.terms(row, column))
else:
    st.latex(f"y = {slide.output[row, column]:.4g}")
st.caption("What the window sees outside of the image counts as zero.")
