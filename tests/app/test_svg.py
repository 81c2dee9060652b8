from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from interface.svg import Drawing, grey, png, signed
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
    sheet.save(tmp_path / "new" / "sheet.svg")
    drawn = ET.parse(tmp_path / "new" / "sheet.svg").getroot()
    assert drawn.attrib["viewBox"] == "0 0 100 50"
    assert [node.text for node in drawn.iter() if node.tag.endswith("text")] == ['a < b & "c"']
    (data,) = re.findall(r"base64,([^\"]+)", str(sheet))
    assert read(base64.b64decode(data)).tolist() == [[[7, 7, 7]] * 2] * 2
