from __future__ import annotations

import sys

import decision_boundary
import numpy as np
import pytest
from matplotlib.image import imread

import minitorch


def reddish(pixel):
    return pixel[0] > pixel[2]


def test_the_sides_have_the_colours_of_their_classes(tmp_path):
    """Class 1, orange, is on the left of the first panel, and at the top of the second."""
    data = minitorch.Graph(2, [(0.3, 0.3), (0.8, 0.8)], [1, 0])
    picture = decision_boundary.Picture(columns=2)
    asked = []

    def left(points):
        asked.extend(points)
        return [1.0 if x_1 < 0.5 else 0.0 for x_1, _ in points]

    picture.draw(data, left, "left")
    picture.draw(data, lambda points: np.array([0.9 if x_2 > 0.5 else 0.1 for _, x_2 in points]), "top", column=1)
    picture.save(tmp_path / "sides.png")
    image = imread(tmp_path / "sides.png")
    height, width = image.shape[:2]

    def pixel(panel, x_1, x_2):
        box = picture.panels[0, panel].get_window_extent()
        column = (box.x0 + (x_1 + 0.05) / 1.1 * box.width) / picture.figure.bbox.width * width
        row = height - (box.y0 + (x_2 + 0.05) / 1.1 * box.height) / picture.figure.bbox.height * height
        return image[round(row), round(column)]

    assert reddish(pixel(0, 0.2, 0.7))
    assert not reddish(pixel(0, 0.7, 0.2))
    assert reddish(pixel(1, 0.7, 0.9))
    assert not reddish(pixel(1, 0.2, 0.1))
    # The points themselves, in the full colour.
    assert reddish(pixel(0, 0.3, 0.3))
    assert pixel(0, 0.3, 0.3)[2] < 0.3
    assert not reddish(pixel(0, 0.8, 0.8))
    assert pixel(0, 0.8, 0.8)[0] < 0.3

    assert len(asked) == decision_boundary.SIDE**2
    assert asked[0] == (-0.05, -0.05)
    assert asked[-1] == (1.05, 1.05)


def test_matplotlib_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        minitorch.MissingDependencyError, match=r'matplotlib.*not installed: pip install -e "\.\[extra\]"'
    ):
        decision_boundary.Picture()
