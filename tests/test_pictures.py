"""The guides' pictures are those that docs/pictures.py draws."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawings import compiler, files, module1, module2, module4
from drawings.sheets import Plot
from interface.svg import Drawing
from pictures import FOLDER, GRAPH, PICTURES

DOCS = Path(__file__).parents[1] / "docs"


def words(draw: Callable[[], Drawing]) -> list[str]:
    """Give what is written in a picture, in the order in which it was drawn."""
    return [element.text or "" for element in ET.fromstring(draw().on_paper()).iter() if element.tag.endswith("text")]


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_what_the_code_draws(name: str) -> None:
    drawn = PICTURES[name]().on_paper()
    assert (FOLDER / name).read_text(encoding="utf-8") == drawn, "run `python docs/pictures.py`"
    assert len(drawn) < 60_000


def test_the_graph_on_the_compiler_s_page_is_that_of_its_step(tmp_path: Path) -> None:
    """Compare what is written in it: the curves of the letters differ between releases of Matplotlib."""
    compiler.lenet_step().draw(tmp_path / "now.svg")
    now, kept = (re.findall("<!-- (.*?) -->", path.read_text("utf-8")) for path in (tmp_path / "now.svg", GRAPH))
    assert len(kept) > 100
    assert kept == now, "run `python docs/pictures.py`"


def test_no_picture_is_left_of_code_that_is_gone() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(PICTURES)


@pytest.mark.parametrize("name", PICTURES)
def test_a_page_shows_the_picture(name: str) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.glob("**/*.md"))
    assert f"images/guides/{name})" in pages


@pytest.mark.parametrize("page", sorted(DOCS.glob("guides/*.md")), ids=lambda page: page.name)
def test_every_guide_has_a_picture_and_a_block_that_runs(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "](../images/guides/" in text
    assert "```python\n" in text


def test_a_picture_has_a_white_ground() -> None:
    root = ET.fromstring(Drawing(30, 20).on_paper())
    assert root.attrib["style"] == "background:#ffffff"
    assert root.attrib["viewBox"] == "0 0 30 20"


def test_the_plot_puts_its_corners_on_the_frame() -> None:
    plot = Plot((-1.0, 3.0), (0.0, 10.0))
    assert plot.at(-1.0, 0.0) == (60, 250)
    assert plot.at(3.0, 10.0) == (540, 25)
    plot.named_curve([(-1.0, 0.0), (3.0, 10.0)], "red", "name", (0.0, 5.0))
    assert re.search('<line x1="60" y1="250" x2="540" y2="25" stroke="red"', str(plot))


def test_the_errors_of_differences_are_those_of_the_formula() -> None:
    # For a cube, the central difference is too large by exactly the step squared.
    steps = np.array([0.5, 0.1, 0.01])
    errors = module1.difference_errors(np.float64, np.log10(steps).tolist())
    np.testing.assert_allclose(errors, steps**2 / (3.0 * 1.3**2), rtol=1e-9)


def test_the_numbers_in_the_pictures_are_the_library_s() -> None:
    """Take them from sums written out by hand."""
    assert words(module4.convolution_forward)[-1] == "1"  # the corner, the one pixel seen, times the first weight
    first_output = words(module4.convolution_reverse).index("output 5 x 5") + 1
    assert words(module4.convolution_reverse)[first_output] == "1"
    assert words(module4.pooling_windows)[-2:] == ["6", "8"]  # of 7, 6, 8, 3: the average and the maximum
    assert words(module4.softmax)[-4:] == ["0.04", "0.11", "0.81", "0.04"]
    padded = words(module4.padding_ends)
    assert padded[7:11] == ["8", "14", "8", "3"]
    assert padded[18:22] == ["3", "8", "14", "8"]


def test_rows_are_shares_only_where_the_axis_was_kept() -> None:
    totals = [word for word in words(module2.kept_axis) if word.startswith("adds up")]
    # The columns of a table whose rows sum to 4, 8 and 5, divided by these: 1/4 + 1/8 + 2/5 and so on.
    assert totals == ["adds up to 1.000"] * 3 + [f"adds up to {total}" for total in ("0.775", "1.525", "0.925")]


def test_an_epoch_is_drawn_again_with_threads() -> None:
    drawn = words(files.epochs)
    first, second, again = drawn[1:11], drawn[12:22], drawn[23:33]
    assert sorted(first, key=int) == sorted(second, key=int) == [str(item) for item in range(10)]
    assert first == again
    assert first != second


def test_the_file_s_arrays_follow_each_other() -> None:
    sizes = [tuple(map(int, re.findall(r"bytes (\d+) to (\d+)", word)[0])) for word in words(files.file_layout)[6:]]
    assert [end - start for start, end in sizes] == [8 * 16, 8 * 32, 8 * 1, 8 * 16]
    assert [start for start, _ in sizes] == [0] + [end for _, end in sizes[:-1]]
