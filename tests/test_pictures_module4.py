"""The pictures of the guides to modules 3 and 4 are those that the code draws."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent.parent / "docs" / "pictures_module4.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("pictures_module4", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pictures = load()


@pytest.mark.parametrize("picture", pictures.PICTURES, ids=lambda picture: picture.__name__)
def test_a_picture_in_the_guides_is_what_the_code_draws(picture: Any) -> None:
    drawn = pictures.svg(picture())
    assert (pictures.IMAGES / f"{picture.__name__}.svg").read_text(encoding="utf-8") == drawn
    assert len(drawn) < 60_000
    ET.fromstring(drawn)


def test_every_picture_is_shown_in_a_guide() -> None:
    guides = "".join(page.read_text(encoding="utf-8") for page in (SCRIPT.parent / "guides").glob("*.md"))
    for picture in pictures.PICTURES:
        assert f"(../images/guides/{picture.__name__}.svg)" in guides


def test_the_numbers_in_the_pictures_are_the_library_s() -> None:
    """Take them from sums written out by hand: a kernel that sticks out sees one pixel, of value 1."""

    def words(picture: Any) -> list[str]:
        return [element.text or "" for element in ET.fromstring(str(picture())).iter() if element.tag.endswith("text")]

    assert words(pictures.convolution_forward)[-1] == "1"  # the corner times the first weight
    first_output = words(pictures.convolution_reverse).index("output 5 x 5") + 1
    assert words(pictures.convolution_reverse)[first_output] == "1"
    kept = words(pictures.pooling_windows)
    assert [kept[i] for i in (-2, -1)] == ["6", "8"]  # of 7, 6, 8, 3: the average and the maximum
    assert words(pictures.softmax)[-4:] == ["0.04", "0.11", "0.81", "0.04"]
