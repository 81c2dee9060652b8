from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interface.svg import BLUE, GREEN, GREY, INK, LIGHT_INK, ORANGE, PAPER, RED, STRONG, Drawing, grey, png, signed
from PIL import Image


def read(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 99))
def test_a_png_holds_every_pixel(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    np.testing.assert_array_equal(read(png(pixels)), pixels)
    np.testing.assert_array_equal(read(png(pixels[:, ::-1])), pixels[:, ::-1])


def test_grey_goes_from_black_to_white() -> None:
    assert grey([[0.0, 5.0, 10.0]])[0, :, 0].tolist() == [0, 128, 255]
    assert grey([[5.0, 20.0]], low=0.0, high=10.0)[0, :, 0].tolist() == [128, 255]
    assert grey([[3.0]]).tolist() == [[[0, 0, 0]]]


def test_signed_numbers_have_two_colours() -> None:
    blue, white, orange = signed([[-2.0, 0.0, 2.0]])[0].tolist()
    assert blue[2] > blue[0]
    assert white == [250, 250, 250]
    assert orange[0] > orange[2]
    assert signed([[0.0]]).tolist() == [[[250, 250, 250]]]


def test_a_drawing_is_well_formed(tmp_path: Path) -> None:
    sheet = Drawing(100, 50)
    sheet.box(1, 2, 3, 4)
    sheet.circle(5, 6, 7)
    sheet.arrow(0, 0, 0, 0)
    sheet.arrow(0, 0, 10, 0)
    sheet.text(1, 1, 'a < b & "c"', bold=True)
    sheet.image(0, 0, 10, 10, np.full((2, 2, 3), 7, np.uint8))
    sheet.curve([(0, 0), (10, 5), (20, 5)])
    sheet.save(tmp_path / "new" / "sheet.svg")
    drawn = ET.parse(tmp_path / "new" / "sheet.svg").getroot()
    assert drawn.attrib["viewBox"] == "0 0 100 50"
    assert [node.text for node in drawn.iter() if node.tag.endswith("text")] == ['a < b & "c"']
    (data,) = re.findall(r"base64,([^\"]+)", str(sheet))
    assert read(base64.b64decode(data)).tolist() == [[[7, 7, 7]] * 2] * 2
    ET.fromstring(str(sheet))


def luminance(colour: np.ndarray) -> float:
    """WCAG 2.2's relative luminance of a colour from 0 to 255."""
    share = colour / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float64)


# The backgrounds of Streamlit's own themes; the dark one was another in older releases.
@pytest.mark.parametrize(("ink", "background"), [(INK, "#ffffff"), (LIGHT_INK, "#171614"), (LIGHT_INK, "#0e1117")])
@pytest.mark.parametrize("colour", [BLUE, ORANGE, GREEN, GREY])
@pytest.mark.parametrize("strength", [0.0, 0.2, STRONG])
def test_text_can_be_read_on_every_colour_of_either_theme(
    ink: str, background: str, colour: str, strength: float
) -> None:
    """WCAG 2.2 asks for 4.5."""
    laid_over = strength * rgb(colour) + (1.0 - strength) * rgb(background)
    assert contrast(rgb(ink), laid_over) >= 4.5


@pytest.mark.parametrize("colour", [BLUE, ORANGE, GREEN, RED, GREY])
@pytest.mark.parametrize("background", ["#ffffff", "#171614", "#0e1117"])
def test_shapes_stand_out_from_either_background(colour: str, background: str) -> None:
    assert contrast(rgb(colour), rgb(background)) >= 2.3


def test_a_page_s_drawing_follows_the_reader_and_a_file_s_does_not() -> None:
    sheet = Drawing(10, 10)
    sheet.text(5, 5, "words")
    assert 'fill="currentColor"' in str(sheet)
    assert f":root{{color:{INK}}}@media(prefers-color-scheme:dark){{:root{{color:{LIGHT_INK}}}}}" in str(sheet)
    root = ET.fromstring(sheet.on_paper())
    assert (root.attrib["color"], root.attrib["style"]) == (INK, f"background:{PAPER}")
    assert "prefers-color-scheme" not in sheet.on_paper()
