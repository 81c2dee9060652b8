from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interface.windows import IMAGES, KERNELS, convolve, draw_slide, pool

import minitorch


@given(
    seed=st.integers(0, 99),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    kind=st.sampled_from(["course", "reverse", "stride"]),
)
def test_every_output_is_the_sum_over_what_the_window_sees(seed, size, stride, padding, kind) -> None:
    rng = np.random.default_rng(seed)
    image, kernel = rng.normal(size=(5, 6)), rng.normal(size=size)
    if kind == "stride":
        slide = convolve(image, kernel, stride, padding, course=False)
    else:
        slide = convolve(image, kernel, reverse=kind == "reverse")
        assert slide.output.shape == image.shape
    for place in np.ndindex(*slide.output.shape):
        assert (slide.kernel * slide.seen(*place)).sum() == pytest.approx(slide.output[place])


@given(seed=st.integers(0, 99), size=st.integers(1, 4), kind=st.sampled_from(["max", "average"]))
def test_every_pooled_number_is_of_what_the_window_sees(seed, size, kind) -> None:
    image = np.random.default_rng(seed).normal(size=(5, 6))
    slide = pool(image, size, kind)
    for place in np.ndindex(*slide.output.shape):
        seen = slide.seen(*place)
        assert slide.output[place] == pytest.approx(seen.max() if kind == "max" else seen.mean())


def test_terms_are_written_out() -> None:
    slide = convolve(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 10.0]]))
    assert slide.terms(0, 0) == "1 \\cdot 1 + 10 \\cdot 2 = 21"
    assert slide.terms(1, 1) == "1 \\cdot 4 = 4"
    blank = convolve(np.zeros((2, 2)), np.ones((1, 1)))
    assert blank.terms(0, 0) == "0 = 0"
    assert "\\dots" in convolve(np.ones((4, 4)), np.ones((4, 4))).terms(0, 0)


def test_a_kernel_larger_than_the_image_is_refused() -> None:
    image = IMAGES["cross"]
    with pytest.raises(minitorch.ArgumentError, match="larger than the image of 8x8"):
        convolve(image, np.ones((9, 9)))
    with pytest.raises(minitorch.MiniTorchError):
        convolve(image, np.ones((9, 9)), course=False)
    with pytest.raises(minitorch.MiniTorchError):
        pool(image, 9)
    convolve(image, np.ones((9, 9)), padding=1, course=False)  # with padding it fits


@pytest.mark.parametrize("name", KERNELS)
def test_the_drawing_holds_image_kernel_and_output(name: str) -> None:
    for image in IMAGES.values():
        slide = convolve(image, KERNELS[name], reverse=True)
        drawn = ET.fromstring(str(draw_slide(slide, 0, 7)))
        boxes = sum(node.tag.endswith("rect") for node in drawn.iter())
        assert boxes == 64 + KERNELS[name].size + 64 + 3  # and the image's edge, the window and its output
    with pytest.raises(minitorch.ArgumentError, match="expected a place"):
        draw_slide(slide, 8, 0)


def test_the_window_is_drawn_inside_the_sheet() -> None:
    for slide in (
        convolve(IMAGES["step"], np.ones((3, 3)), reverse=True),
        convolve(IMAGES["step"], np.ones((3, 3))),
        convolve(IMAGES["step"], np.ones((2, 2)), 3, 3, course=False),
        pool(IMAGES["step"], 2),
    ):
        for place in [(0, 0), tuple(n - 1 for n in slide.output.shape)]:
            sheet = draw_slide(slide, *place)
            for node in ET.fromstring(str(sheet)).iter():
                if node.tag.endswith("rect"):
                    x, y, width, height = (float(node.attrib[key]) for key in ("x", "y", "width", "height"))
                    assert 0 <= x <= x + width <= sheet.width
                    assert 0 <= y <= y + height <= sheet.height
