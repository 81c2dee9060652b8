from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from interface.steps import EXPLANATIONS, STEPS, count, make, picture, profile_table

import minitorch


@pytest.mark.parametrize("name", STEPS)
def test_a_step_trains_and_every_pass_is_explained(name: str) -> None:
    demo = make(name)
    assert set(demo.step.passes) == set(EXPLANATIONS)
    first = demo.step(*demo.arguments).item()
    for _ in range(20):
        last = demo.step(*demo.arguments).item()
    assert last < first
    assert "loss.backward()" in demo.text


def test_the_picture_has_a_box_for_each_operation() -> None:
    graph = make("A line").step.passes["trace"]
    drawn = ET.fromstring(picture(graph) or "")
    assert drawn.tag.endswith("svg")
    boxes = [node for node in drawn.iter() if node.attrib.get("id", "").startswith("patch_")]
    assert len(boxes) >= len(graph)


def test_what_every_pass_made_can_be_listed_and_every_graph_drawn() -> None:
    passes = make("A line").step.passes
    assert [name for name, made in passes.items() if picture(made) is None] == ["kernels", "memory"]
    for name, made in passes.items():
        assert str(made)
        assert count(name, made).startswith(f"{len(made)} ")


def test_every_kernel_is_timed() -> None:
    demo = make("A line")
    table = profile_table(demo, rounds=2)
    assert len(table) == len(demo.step.traces[0].machine.program.calls)
    times = [row["microseconds"] for row in table]
    assert times == sorted(times, reverse=True)
    assert all(row["kernel"] and row["what"] for row in table)


def test_another_name_is_refused() -> None:
    with pytest.raises(minitorch.ArgumentError, match="expected one of"):
        make("GPT")


def test_making_a_step_leaves_the_library_s_random_numbers_alone() -> None:
    minitorch.manual_seed(5)
    make("The network for points")
    assert minitorch.default_generator.state == (5, 0)
