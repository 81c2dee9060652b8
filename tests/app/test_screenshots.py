"""The pictures of the app in the pages: how they are cut, and that they are small and shown."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]

specification = importlib.util.spec_from_file_location("screenshots", ROOT / "docs" / "screenshots.py")
assert specification is not None
assert specification.loader is not None
screenshots = importlib.util.module_from_spec(specification)
specification.loader.exec_module(screenshots)


def window() -> np.ndarray:
    """Make a window of 1000 x 800 with a grey sidebar, one black word in it, and a page with a red box."""
    pixels = np.full((800, 1000, 3), 255, np.uint8)
    pixels[:, : screenshots.SIDEBAR - 2] = 240
    pixels[600:610, 40:90] = 0
    pixels[100:300, 500:700] = (200, 0, 0)
    return pixels


def test_a_page_is_cut_out() -> None:
    found = np.asarray(screenshots.cut(Image.fromarray(window()), sidebar=False))
    m = screenshots.MARGIN
    np.testing.assert_array_equal(found, window()[100 - m : 300 + m, 500 - m : 700 + m])


def test_the_list_of_pages_stays_whole_where_it_is_wanted() -> None:
    found = np.asarray(screenshots.cut(Image.fromarray(window()), sidebar=True))
    m = screenshots.MARGIN
    np.testing.assert_array_equal(found, window()[100 - m : 610 + m])


def test_few_colours_are_kept_as_they_are() -> None:
    small = screenshots.shrink(Image.fromarray(window()))
    assert small.mode == "P"
    np.testing.assert_array_equal(np.asarray(small.convert("RGB")), window())


@pytest.mark.parametrize("name", screenshots.PICTURES)
def test_a_picture_is_small_and_shown_with_words_in_its_place(name: str) -> None:
    path = screenshots.FOLDER / name
    with Image.open(path) as image:
        assert image.mode == "P"
    assert path.stat().st_size < 120_000
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/guides/*.md")]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    words = re.findall(rf"!\[([^\]]*)\]\([^)]*images/app/{name}\)", text)
    assert words
    assert min(map(len, words)) > 20


def test_all_pictures_together_are_small() -> None:
    assert {path.name for path in screenshots.FOLDER.iterdir()} == set(screenshots.PICTURES)
    assert sum(path.stat().st_size for path in screenshots.FOLDER.iterdir()) < 800_000
