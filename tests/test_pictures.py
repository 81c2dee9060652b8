"""The guides' pictures are those that docs/pictures.py draws."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[1] / "docs"

specification = importlib.util.spec_from_file_location("pictures", DOCS / "pictures.py")
assert specification is not None
assert specification.loader is not None
pictures = importlib.util.module_from_spec(specification)
specification.loader.exec_module(pictures)


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_a_picture_is_what_the_code_draws(name: str) -> None:
    kept = (pictures.FOLDER / name).read_text(encoding="utf-8")
    assert kept == str(pictures.PICTURES[name]()), "run `python docs/pictures.py`"
    assert len(kept) < 60_000


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_a_guide_shows_the_picture(name: str) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.glob("guides/*.md"))
    assert f"(../images/guides/{name})" in pages


def test_the_errors_of_differences_are_those_of_the_formula() -> None:
    # For a cube, the central difference is too large by exactly the step squared.
    steps = np.array([0.5, 0.1, 0.01])
    errors = pictures.difference_errors(np.float64, np.log10(steps).tolist())
    np.testing.assert_allclose(errors, steps**2 / (3.0 * 1.3**2), rtol=1e-9)


def test_the_plot_puts_its_corners_on_the_frame() -> None:
    plot = pictures.Plot((-1.0, 3.0), (0.0, 10.0))
    assert plot.at(-1.0, 0.0) == (60, 250)
    assert plot.at(3.0, 10.0) == (540, 25)
    plot.curve([(-1.0, 0.0), (3.0, 10.0)], "red", "name", (0.0, 5.0))
    assert re.search('<line x1="60" y1="250" x2="540" y2="25" stroke="red"', str(plot))
