from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from interface.lanes import GAP, Lanes

HEIGHTS = st.floats(-200.0, 200.0)


@given(boxes=st.lists(HEIGHTS, max_size=5), wanted=st.lists(HEIGHTS, max_size=8))
def test_arrows_keep_off_boxes_and_each_other(boxes: list[float], wanted: list[float]) -> None:
    lanes = Lanes((y, y + 46.0) for y in boxes)
    taken: list[float] = []
    for height in wanted:
        way = lanes.take(height)
        assert all(way <= y - GAP + 1e-9 or way >= y + 46.0 + GAP - 1e-9 for y in boxes)
        assert all(abs(way - other) >= GAP - 1e-9 for other in taken)
        taken.append(way)


def test_the_nearest_free_height_is_taken() -> None:
    lanes = Lanes([(0.0, 40.0), (60.0, 100.0)])
    assert lanes.take(200.0) == 200.0  # nothing is there
    assert lanes.take(45.0) == 47.0  # between the two boxes
    assert lanes.take(80.0) == 107.0
    assert lanes.take(45.0) == -7.0  # no room is left between the boxes
    assert lanes.take(45.0) == -14.0
