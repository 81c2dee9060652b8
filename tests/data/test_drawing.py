"""Pictures of digits, prepared as MNIST's makers prepared theirs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from scipy import ndimage

from minitorch import DataError, MissingDependencyError
from minitorch.data.drawing import center_digit, read_digit


def seven(height=140, width=100, top=20, left=30, size=60, paper=255, ink=0, stroke=8):
    """Draw a seven: a bar, and a stroke down to the left."""
    page = Image.new("L", (width, height), paper)
    draw = ImageDraw.Draw(page)
    right, bottom = left + size * 2 // 3, top + size
    draw.line([(left, top), (right, top)], fill=ink, width=stroke)
    draw.line([(right, top), (left + size // 4, bottom)], fill=ink, width=stroke)
    return np.asarray(page)


def box(digit):
    rows, columns = np.flatnonzero((digit > 51).any(1)), np.flatnonzero((digit > 51).any(0))
    return rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


def difference(a, b):
    """The mean difference of two digits, as a share of the mean ink."""
    a, b = a.astype(float), b.astype(float)
    return np.abs(a - b).sum() / a.sum()


def test_the_longer_side_fills_twenty_pixels_and_the_mass_is_centred():
    digit = center_digit(seven())
    assert digit.shape == (28, 28)
    assert digit.dtype == np.uint8
    assert digit.max() == 255
    height, width = box(digit)
    assert 19 <= height <= 20
    assert 11 <= width <= 16
    assert np.abs(np.array(ndimage.center_of_mass(digit)) - 13.5).max() <= 0.51
    assert digit[0].max() == digit[-1].max() == digit[:, 0].max() == digit[:, -1].max() == 0


def test_a_bar_across_is_as_wide_as_mnist_allows():
    page = np.zeros((40, 200))
    page[15:25, 20:180] = 1
    digit = center_digit(page)
    height, width = box(digit)
    assert width == 20
    assert height in (1, 2)


def test_dark_on_light_and_light_on_dark_are_one_digit():
    dark, light = center_digit(seven(paper=255, ink=0)), center_digit(seven(paper=0, ink=255))
    np.testing.assert_array_equal(dark, light)
    faint = center_digit(seven(paper=200, ink=180))
    np.testing.assert_array_equal(dark, faint)
    # The ink may be in the middle of the range too.
    np.testing.assert_array_equal(dark, center_digit(seven(paper=255, ink=128)))


@pytest.mark.parametrize("scale", [1, 1 / 255, 1e6])
def test_the_range_of_the_numbers_does_not_matter(scale):
    assert difference(center_digit(seven()), center_digit(seven() * scale)) < 1e-3


@given(top=st.integers(5, 70), left=st.integers(5, 50))
def test_where_it_stands_on_the_page_does_not_matter(top, left):
    np.testing.assert_array_equal(center_digit(seven()), center_digit(seven(top=top, left=left)))


@pytest.mark.parametrize("factor", [2, 5, 12])
def test_its_size_on_the_page_hardly_matters(factor):
    large = np.kron(seven(), np.ones((factor, factor)))
    assert difference(center_digit(seven()), center_digit(large)) < 0.2


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 3)])
def test_tiny_ones(shape):
    """A dot or a dash of a few pixels is blown up to the box."""
    page = np.zeros((9, 9))
    page[3 : 3 + shape[0], 2 : 2 + shape[1]] = 1
    digit = center_digit(page)
    assert digit.max() == 255
    assert max(box(digit)) == 20
    assert np.abs(np.array(ndimage.center_of_mass(digit)) - 13.5).max() <= 0.51


def test_a_thin_stroke_on_a_large_page_is_not_lost():
    """A ring of 3 pixels in 1000: one of 20 x 20 that only took every fiftieth pixel would have gaps."""
    page = Image.new("L", (1000, 1500), 255)
    ImageDraw.Draw(page).ellipse([100, 300, 900, 1300], outline=0, width=3)
    digit = center_digit(np.asarray(page))
    _, parts = ndimage.label(digit > 80, np.ones((3, 3)))
    assert parts == 1
    assert (digit.max(axis=1) > 80).sum() == 20
    assert digit[12:16, 12:16].max() == 0


def test_what_is_ready_stays_as_it_is():
    once = center_digit(seven())
    assert difference(once, center_digit(once)) < 0.05


def test_a_digit_at_the_edge_of_the_page():
    """The border is mostly paper, though the ink touches it."""
    page = np.full((40, 40), 255)
    page[0:30, 0:6] = 0
    for side in (page, 255 - page):
        assert box(center_digit(side)) == (20, 4)


@pytest.mark.parametrize(
    "page",
    [np.zeros((28, 28)), np.full((5, 7), 255), np.full((3, 3), 0.5), np.full((4, 4), np.nan), np.full((1, 1), 3)],
)
def test_an_empty_page(page):
    with pytest.raises(DataError, match="the picture holds no digit: expected ink"):
        center_digit(page)


@pytest.mark.parametrize("shape", [(28, 28, 3), (28,), (0, 5), ()])
def test_what_is_no_grey_picture(shape):
    with pytest.raises(DataError, match="expected grey values of height x width, got shape"):
        center_digit(np.zeros(shape))


# --- files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA"])
def test_every_kind_of_png(tmp_path, mode):
    Image.fromarray(seven()).convert(mode).save(tmp_path / "digit.png")
    np.testing.assert_array_equal(read_digit(tmp_path / "digit.png"), center_digit(seven()))


@pytest.mark.parametrize("ink", ["black", "white"])
def test_ink_on_a_transparent_page(tmp_path, ink):
    """Drawing programs save only the strokes; what is behind them has no colour."""
    strokes = Image.fromarray(255 - seven())
    page = Image.new("RGBA", strokes.size, ink)
    page.putalpha(strokes)
    page.save(tmp_path / "digit.png")
    assert difference(center_digit(seven()), read_digit(tmp_path / "digit.png")) < 0.01


def test_a_jpeg(tmp_path):
    Image.fromarray(seven()).save(tmp_path / "digit.jpg", quality=90)
    assert difference(center_digit(seven()), read_digit(str(tmp_path / "digit.jpg"))) < 0.1


def test_no_file_no_picture_and_a_picture_cut_short(tmp_path):
    with pytest.raises(DataError, match=r"there is no picture .*absent\.png: give the path"):
        read_digit(tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(DataError, match="is not a picture: expected a PNG or JPEG file"):
        read_digit(tmp_path / "text.png")
    with pytest.raises(DataError, match=str(tmp_path)):
        read_digit(tmp_path)
    Image.fromarray(seven()).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"cut\.png"):
        read_digit(tmp_path / "cut.png")


def test_without_pillow(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(MissingDependencyError, match="pip install pillow"):
        read_digit(tmp_path / "digit.png")
