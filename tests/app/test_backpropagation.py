from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from interface.backpropagation import draw_graph, title, walk
from interface.expressions import parse

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


def test_titles() -> None:
    result, leaves, _ = visits_of("exp(x)", x=0.0)
    assert (title(result), title(leaves["x"])) == ("exp = 1", "x")


def test_a_graph_that_is_too_large_is_refused() -> None:
    total = minitorch.Scalar(0.0)
    for _ in range(130):
        total = total + 1.0
    with pytest.raises(minitorch.ArgumentError, match="too many to draw"):
        draw_graph(total)
