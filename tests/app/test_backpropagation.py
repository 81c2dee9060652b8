from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations

import pytest
from interface.backpropagation import draw_graph, title, walk
from interface.expressions import parse
from interface.lanes import GAP

import minitorch


def visits_of(text: str, **values: float):
    result, leaves = parse(text).compute(values)
    return result, leaves, walk(result)


@pytest.mark.parametrize("text", ["x * y + x", "(x * 2) * (x * 3)", "log(x) * sigmoid(y) - x / y", "x < y", "relu(x)"])
def test_the_walk_ends_with_the_derivatives_of_backward(text: str) -> None:
    result, leaves, visits = visits_of(text, x=1.5, y=2.5)
    result.backward()
    found = {visit.node.unique_id: visit.derivative for visit in visits if visit.node.is_leaf()}
    assert found == {leaf.unique_id: leaf.derivative for leaf in leaves.values()}


def test_a_node_is_visited_once_and_after_all_that_use_it() -> None:
    result, leaves, visits = visits_of("(x * 2) * (x * 3)", x=5.0)
    order = [visit.node.unique_id for visit in visits]
    assert len(set(order)) == len(order)
    assert order[0] == result.unique_id
    assert order[-1] == leaves["x"].unique_id
    for i, visit in enumerate(visits):
        assert all(share.input.unique_id in order[i + 1 :] for share in visit.shares)


def test_a_visit_tells_its_numbers() -> None:
    _, _, visits = visits_of("x * y", x=3.0, y=2.0)
    assert [(share.local, share.amount) for share in visits[0].shares] == [(2.0, 2.0), (3.0, 3.0)]
    assert "x gets 1 x 2 = 2; y gets 1 x 3 = 3" in visits[0].sentence
    assert "f'_a = b" in visits[0].rule
    assert "It is a leaf" in visits[1].sentence


def test_every_node_and_every_use_is_drawn() -> None:
    result, _, visits = visits_of("x * x + 4", x=3.0)
    drawn = ET.fromstring(str(draw_graph(result, visits[1], [result.unique_id])))
    names = [node.text for node in drawn.iter() if node.tag.endswith("text")]
    assert sorted(n for n in names if not n.startswith("d =")) == ["+ = 13", "4", "x = 3", "× = 9"]
    assert [n for n in names if n.startswith("d =")] == ["d = 6", "d = 1", "d = 1"]
    arrows = [node for node in drawn.iter() if node.tag.endswith("polygon")]
    assert len(arrows) == 4  # x twice into the product, the product and 4 into the sum


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+(?:e-?\d+)?", text)]


def spots(way: str) -> list[tuple[float, float]]:
    """Give points of an arrow's line, closely one behind the other."""
    x, y, *rest = numbers(way)
    found = [(x, y)]
    for x1, y1, x2, y2, x3, y3 in zip(*[iter(rest)] * 6, strict=True):
        for i in range(1, 51):
            t = i / 50
            weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            xs, ys = (x, x1, x2, x3), (y, y1, y2, y3)
            found.append((sum(w * a for w, a in zip(weights, xs)), sum(w * a for w, a in zip(weights, ys))))
        x, y = x3, y3
    return found


@pytest.mark.parametrize(
    "text",
    [
        "(x * y + x).relu() * log(y)",
        "x * x * x * x * x",
        "((x + 1) * (x + 2) + x) * x + y * 3",
        "exp(x) / (exp(x) + exp(y) + exp(x * y)) + x",
        "2 * (x + 2 * (x + 2 * (x + 2 * y)))",
    ],
)
def test_no_arrow_is_hidden_by_a_box_or_by_another_arrow(text: str) -> None:
    result, _, _ = visits_of(text, x=0.5, y=1.5)
    drawn = ET.fromstring(str(draw_graph(result)))
    sheet = numbers(drawn.attrib["viewBox"])
    boxes = [
        tuple(float(node.attrib[key]) for key in ("x", "y", "width", "height"))
        for node in drawn.iter()
        if node.tag.endswith("rect")
    ]
    arrows = [spots(node.attrib["d"]) for node in drawn.iter() if node.tag.endswith("path")]
    assert len(arrows) == len([node for node in drawn.iter() if node.tag.endswith("polygon")])
    for left, top, width, height in boxes:
        assert 0 <= left < left + width <= sheet[2]
        assert 0 <= top < top + height <= sheet[3]
    for arrow in arrows:
        for x, y in arrow:
            assert 0 <= y <= sheet[3]
            assert not any(a < x < a + width and b < y < b + height for a, b, width, height in boxes)
    for one, other in combinations(arrows, 2):
        assert one != other
    # Each begins at the right of a box and ends at the left of another, but for the head.
    for arrow in arrows:
        assert any(arrow[0][0] == a + width and b <= arrow[0][1] <= b + h for a, b, width, h in boxes)
        assert any(arrow[-1][0] == a - 1 and b <= arrow[-1][1] <= b + h for a, b, _, h in boxes)


def test_an_arrow_that_skips_columns_passes_above_or_below_their_boxes() -> None:
    """In relu(exp(log(x))) * x the second use of x stands three columns behind it, in the same row as all of them."""
    result, _, _ = visits_of("relu(exp(log(x))) * x", x=2.0)
    drawn = ET.fromstring(str(draw_graph(result)))
    boxes = [node for node in drawn.iter() if node.tag.endswith("rect")]
    assert len({node.attrib["y"] for node in boxes}) == 1
    upper = float(boxes[0].attrib["y"])
    lower = upper + float(boxes[0].attrib["height"])
    (around,) = [
        points
        for points in (spots(node.attrib["d"]) for node in drawn.iter() if node.tag.endswith("path"))
        if points[-1][0] - points[0][0] > 300
    ]
    passed = [y for x, y in around if any(float(b.attrib["x"]) < x < float(b.attrib["x"]) + 104 for b in boxes[1:4])]
    assert len(passed) > 100
    heights = {round(y, 6) for y in passed}
    assert heights in ({upper - GAP}, {lower + GAP})


def test_titles() -> None:
    result, leaves, _ = visits_of("exp(x)", x=0.0)
    assert (title(result), title(leaves["x"])) == ("exp = 1", "x")


def test_a_graph_that_is_too_large_is_refused() -> None:
    total = minitorch.Scalar(0.0)
    for _ in range(130):
        total = total + 1.0
    with pytest.raises(minitorch.ArgumentError, match="too many to draw"):
        draw_graph(total)
