"""Drawings: every operation has a place of its own, below what it reads."""

from __future__ import annotations

import re
import sys
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given

from minitorch.compiler.draw import DOWN, HEIGHT, RIGHT, WIDTH, place
from minitorch.compiler.graph import Graph
from minitorch.errors import ArgumentError, MissingDependencyError
from minitorch.kernels import elements

from .walks import apply, batched_graphs, source


@given(batched_graphs())
def test_boxes_lie_apart_and_below_what_they_read(case: tuple[Graph, int]) -> None:
    graph, _ = case
    places = place(graph)
    assert set(places) == {node.number for node in graph}
    for (x, y), (u, v) in combinations(places.values(), 2):
        assert abs(x - u) > WIDTH or abs(y - v) > HEIGHT
    for node in graph:
        for ref in node.inputs:
            assert places[node.number][1] >= places[ref.node.number][1] + DOWN - 1e-9


def chain() -> Graph:
    graph = Graph()
    x = source(graph, 3, 4)
    y = apply(graph, elements.relu, x)
    graph.outputs = [apply(graph, elements.mul, y, x).ref()]
    return graph


def test_operations_stand_above_each_other() -> None:
    assert place(chain()) == {0: (0.0, 0.0), 1: (0.0, DOWN), 2: (0.0, 2 * DOWN)}
    assert RIGHT > WIDTH


def test_a_drawing_names_every_operation_and_its_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import rcParams

    monkeypatch.setitem(rcParams, "svg.fonttype", "none")  # text as text
    chain().draw(tmp_path / "graph.svg")
    text = re.sub(r"<[^>]*>", " ", (tmp_path / "graph.svg").read_text(encoding="utf-8"))
    for words in ("v0  input", "v1  relu", "v2  mul", "float64 3 x 4"):
        assert words in text
    chain().draw(str(tmp_path / "graph.png"))
    assert (tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")


def test_mistakes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match=r"\.svg, \.png or \.pdf, got 'graph\.dot'"):
        chain().draw(tmp_path / "graph.dot")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match="pip install matplotlib"):
        chain().draw(tmp_path / "graph.svg")
    assert not list(tmp_path.iterdir())
