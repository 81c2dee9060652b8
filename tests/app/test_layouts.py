from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from interface.layouts import VIEWS, broadcast, draw_layout, fresh, position_formula, read_index, read_shape

import minitorch

shapes = st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple)


def words(drawing) -> list[str]:
    return [node.text or "" for node in ET.fromstring(str(drawing)).iter() if node.tag.endswith("text")]


@given(shape=shapes, data=st.data())
def test_the_formula_reads_what_numpy_reads(shape, data) -> None:
    order = data.draw(st.permutations(range(len(shape))))
    array = np.arange(np.prod(shape)).reshape(shape).transpose(order)
    view = fresh(shape).permute(*order)
    for index in np.ndindex(*array.shape):
        assert position_formula(view, index).endswith(f"= {array[index]}")


@given(shape=shapes)
def test_the_drawing_shows_the_numbers_of_every_position_and_cell(shape) -> None:
    view = fresh(shape).permute(*reversed(range(len(shape))))
    numbers = [int(word) for word in words(draw_layout(view)) if word.isdigit()]
    count = int(np.prod(shape))
    positions, cells = numbers[:count], numbers[count:]
    assert positions == np.arange(count).reshape(shape).T.ravel().tolist()
    assert cells == np.repeat(np.arange(count), 2).tolist()  # what a cell holds, and its number


def test_a_narrowed_tensor_begins_further_on_in_the_same_storage() -> None:
    view = fresh((2, 3)).narrow(1, 1, 3)
    assert position_formula(view, (1, 1)) == "1 + 1 \\cdot 3 + 1 \\cdot 1 = 5"
    numbers = [int(word) for word in words(draw_layout(view, (1, 1))) if word.isdigit()]
    assert numbers == [1, 2, 4, 5, *np.repeat(np.arange(6), 2).tolist()]


def seen(data) -> list[float]:
    return [float(data.get(index)) for index in data.indices()]


@given(shape=shapes, data=st.data())
def test_views_see_what_numpy_s_see(shape, data) -> None:
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    assume(array.size <= 24)  # expanded, it is twice as large
    order = data.draw(st.permutations(range(len(shape))))
    dim = data.draw(st.integers(0, len(shape) - 1))
    inside = (slice(None),) * dim
    expected = {
        "the tensor itself": ((), array),
        "permute": (order, array.transpose(order)),
        "view": ((array.size,), array.reshape(-1)),
        "expand": ((2, *shape), np.broadcast_to(array, (2, *shape))),
        "narrow": ((dim,), array[(*inside, slice(1, None))] if shape[dim] > 1 else array),
        "every second": ((dim,), array[(*inside, slice(None, None, 2))]),
    }
    assert list(expected) == list(VIEWS)
    for name, (numbers, wanted) in expected.items():
        view = VIEWS[name].of(fresh(shape), numbers)
        assert (view.shape, seen(view)) == (wanted.shape, wanted.ravel().tolist())
        whole = fresh(shape)
        usual = VIEWS[name].of(whole, VIEWS[name].usual(whole))
        assert np.shares_memory(usual._storage, whole._storage)


@pytest.mark.parametrize(
    ("name", "numbers", "words"),
    [
        ("permute", (0, 0), "each dimension"),
        ("view", (4,), "6"),
        ("view", (-6,), "sizes from 1"),
        ("expand", (2, 2), "do not broadcast"),
        ("expand", (5, 7), "broadcast"),
        ("expand", (3,), "only sizes of 1 may grow"),
        ("expand", (1000, 2, 3), "48 elements at most"),
        ("narrow", (2,), "one dimension from 0 to 1"),
        ("every second", (), "one dimension from 0 to 1"),
    ],
)
def test_numbers_that_make_no_view_are_refused(name: str, numbers: tuple[int, ...], words: str) -> None:
    with pytest.raises(minitorch.MiniTorchError, match=words):
        VIEWS[name].of(fresh((2, 3)), numbers)


def test_cells_that_are_read_often_or_never_are_told_apart() -> None:
    def colours(view) -> list[str]:
        boxes = [n.attrib for n in ET.fromstring(str(draw_layout(view))).iter() if n.tag.endswith("rect")]
        return [box["fill"] for box in boxes][view.size :]

    blue, green = colours(fresh((2,)))[0], colours(fresh((1, 2)).expand((3, 2)))[0]
    grey = colours(fresh((4,)).step(0, 2))[1]
    assert len({blue, green, grey}) == 3
    assert colours(fresh((4,)).step(0, 2)) == [blue, grey, blue, grey]


def test_the_chosen_position_is_joined_to_its_cell() -> None:
    without, with_arrow = draw_layout(fresh((2, 2))), draw_layout(fresh((2, 2)), (1, 0))
    assert "polygon" not in str(without)
    assert str(with_arrow).count("polygon") == 1
    with pytest.raises(minitorch.IndexingError):
        draw_layout(fresh((2, 2)), (2, 0))


@given(first=shapes, second=shapes)
def test_broadcasting_is_numpys(first, second) -> None:
    try:
        expected = np.broadcast_shapes(first, second)
    except ValueError:
        with pytest.raises(minitorch.IndexingError):
            broadcast(first, second)
        return
    joined = broadcast(first, second)
    assert joined.shape == expected
    assert tuple(result for _, _, result in reversed(joined.rows)) == expected
    sizes = tuple(one for one, _, _ in reversed(joined.rows) if one is not None)
    assert sizes == first


@pytest.mark.parametrize("text", ["", "a", "0, 2", "-1", "2, 2, 2, 2, 2", "99999", "7, 7", "2.5"])
def test_what_is_no_small_shape_is_refused(text: str) -> None:
    with pytest.raises(minitorch.ArgumentError):
        read_shape(text)


def test_shapes_and_indices_are_read() -> None:
    assert read_shape("2 x 3") == read_shape("[2, 3]") == (2, 3)
    assert read_index("(1, 0)") == (1, 0)
    assert read_index("") == ()
    with pytest.raises(minitorch.ArgumentError, match="whole numbers"):
        read_index("1, b")
