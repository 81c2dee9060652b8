from __future__ import annotations

import base64
import io
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from interface.points import KINDS, PointSettings, draw_boundary, make_points, train
from PIL import Image

import minitorch

QUICK = PointSettings(data="Simple", points=20, hidden=4, epochs=3, made_of="Tensors, plain Python")


def test_the_same_seed_gives_the_same_points_and_losses_whatever_the_network_is_made_of() -> None:
    losses = {}
    for made_of in KINDS:
        settings = replace(QUICK, made_of=made_of)
        assert make_points(settings) == make_points(QUICK)
        *_, last = train(settings)
        losses[made_of] = last.losses
        assert last.number == 3
        assert last.plane.shape == (KINDS[made_of].side,) * 2
    first = next(iter(losses.values()))
    for other in losses.values():
        assert other == pytest.approx(first)


def test_another_seed_gives_others() -> None:
    other = replace(QUICK, seed=2)
    assert make_points(other) != make_points(QUICK)
    assert next(train(other)).losses != next(train(QUICK)).losses


def test_it_learns() -> None:
    *_, last = train(replace(QUICK, points=50, hidden=8, epochs=80, made_of="Tensors, compiled kernels"))
    assert last.correct >= 45
    assert last.losses[-1] < 0.5 * last.losses[0]
    # Class 1 is on the left.
    assert last.plane[:, 0].mean() > 0.8 > 0.2 > last.plane[:, -1].mean()


def test_a_rate_that_is_too_high_is_told() -> None:
    with pytest.raises(minitorch.NaNError, match="smaller learning rate"), np.errstate(all="ignore"):
        list(train(replace(QUICK, rate=1e200, epochs=20)))


def test_no_points_are_refused() -> None:
    with pytest.raises(minitorch.ArgumentError, match="at least one point"):
        next(train(QUICK, minitorch.Graph(0, [], [])))


def test_the_drawing_has_every_point_and_the_plane_upright() -> None:
    data = minitorch.Graph(2, [(0.1, 0.9), (0.5, 0.5)], [0, 1])
    bare = str(draw_boundary(data))
    assert "<image" not in bare
    plane = np.zeros((8, 8))
    plane[0] = 1.0  # the lowest row
    drawn = ET.fromstring(str(draw_boundary(data, plane, size=110.0)))
    circles = [node.attrib for node in drawn.iter() if node.tag.endswith("circle")]
    assert [(float(c["cx"]), float(c["cy"])) for c in circles] == [pytest.approx((15, 15)), pytest.approx((55, 55))]
    assert circles[0]["fill"] != circles[1]["fill"]
    (image,) = [node.attrib["href"] for node in drawn.iter() if node.tag.endswith("image")]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(image.partition("base64,")[2]))), int)
    red_over_blue = pixels[..., 0] - pixels[..., 2]
    assert (red_over_blue[-1] > 0).all()  # class 1 is orange, and the lowest row of an image is its last
    assert (red_over_blue[:-1] < 0).all()
