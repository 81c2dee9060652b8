"""The places that windows see, against their definition."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from minitorch.kernels.geometry import Geometry, same_size, side_by_side

geometries = st.builds(
    Geometry,
    size=st.integers(0, 9),
    stride=st.integers(1, 4),
    spread=st.integers(1, 4),
    dilation=st.integers(-3, 3).filter(bool),
    offset=st.integers(-9, 9),
)


def seen(g, taps, size):
    """List (output, tap, input) by the formula."""
    found = []
    for i in range(g.size):
        for k in range(taps):
            place = g.stride * i + g.dilation * k + g.offset
            if place % g.spread == 0 and 0 <= place // g.spread < size:
                found.append((i, k, place // g.spread))
    return found


@given(geometries, st.integers(1, 5), st.integers(0, 9))
def test_transposed_reads_the_same_pairs_the_other_way(g, taps, size):
    back = g.transposed(size)
    assert Counter(seen(back, taps, g.size)) == Counter((j, k, i) for i, k, j in seen(g, taps, size))
    assert back.transposed(g.size) == g


@given(geometries, st.integers(1, 5), st.integers(0, 9))
def test_parts_see_everything_once(g, taps, size):
    found = []
    for part in g.parts(taps):
        outputs, through = range(g.size)[part.outputs], range(taps)[part.taps]
        assert part.geometry.spread == 1
        assert part.geometry.dilation > 0
        assert part.geometry.size == len(outputs)
        found += [(outputs[i], through[k], j) for i, k, j in seen(part.geometry, len(through), size)]
    assert Counter(found) == Counter(seen(g, taps, size))


def test_without_a_spread_there_is_one_part():
    for g in (Geometry(7, 2, 1, 3, -1), Geometry(7, 2, 1, -3, -1)):
        (part,) = g.parts(3)
        assert range(7)[part.outputs] == range(7)
        assert sorted(range(3)[part.taps]) == [0, 1, 2]


def test_the_courses_windows():
    assert seen(*same_size((3,), reverse=False), 2, 3) == [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2), (2, 0, 2)]
    assert seen(*same_size((3,), reverse=True), 2, 3) == [(0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 0, 2), (2, 1, 1)]
    rows, columns = side_by_side((5, 2), (2, 3))
    assert seen(rows, 2, 5) == [(0, 0, 0), (0, 1, 1), (1, 0, 2), (1, 1, 3)]
    assert columns.size == 0
