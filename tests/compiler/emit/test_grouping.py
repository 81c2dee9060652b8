"""What is computed in its reader's loop, and how kernels are put in order."""

from __future__ import annotations

from hypothesis import given, settings

from minitorch.compiler.emit.grouping import group_kernels, inlined, kernels, read_by
from minitorch.compiler.graph import Graph, compose
from minitorch.compiler.passes.simplify import drop_dead
from minitorch.compiler.passes.split import split
from minitorch.kernels import elements

from ..walks import FLOAT, apply, batched_graphs, constant, reduce, source


@settings(max_examples=150)
@given(batched_graphs())
def test_what_is_inside_a_loop_has_one_reader_that_can_follow_it(drawn: tuple[Graph, int]) -> None:
    graph, batch = drawn
    schedule = split(drop_dead(graph), batch)
    inside = inlined(schedule.graph, schedule.stage)
    users = schedule.graph.users()
    outputs = {ref.node.number for ref in schedule.graph.outputs}
    for node in schedule.graph:
        if node.number not in inside or node.op in ("constant", "number"):
            continue
        (reader,) = users[node.number]
        assert node.op in ("map", "zip")
        assert node.number not in outputs
        assert schedule.stage[reader.number] == schedule.stage[node.number]
        (walk,) = (ref for ref in reader.inputs if ref.node is node)
        assert walk.size <= node.size
        assert all(compose(walk, operand) for operand in node.inputs)


def test_a_result_that_is_repeated_is_computed_once() -> None:
    graph = Graph()
    x = source(graph, 3)
    costly = apply(graph, elements.exp, x)
    graph.outputs = [apply(graph, elements.neg, costly.ref().expand((5, 3))).ref()]
    assert inlined(graph, {n.number: 0 for n in graph}) == set()


def test_a_chain_is_one_loop() -> None:
    graph = Graph()
    x = source(graph, 3, 4)
    a = apply(graph, elements.exp, x)
    b = apply(graph, elements.mul, a, constant(graph, 2.0, 3, 4))
    graph.outputs = [reduce(graph, elements.add, b, 1).ref()]
    assert {a.number, b.number} <= inlined(graph, {n.number: 0 for n in graph})


def test_a_chain_of_thousands_of_kernels_is_put_in_order() -> None:
    graph = Graph()
    node = source(graph, 2, 2)
    for _ in range(2000):
        node = graph.add("matrix_multiply", (node.ref(), node.ref()), (), (2, 2), FLOAT)
    graph.outputs = [node.ref()]
    schedule = split(graph, 0)
    (stage,) = schedule.stages
    groups = kernels(stage.nodes, set(), schedule.is_batched)
    assert [group[0].number for group in groups] == list(range(1, 2001))


@settings(max_examples=150)
@given(batched_graphs())
def test_kernels_run_behind_what_they_read_and_as_early_as_they_can(drawn: tuple[Graph, int]) -> None:
    graph, batch = drawn
    grouped = group_kernels(split(drop_dead(graph), batch))
    before = -1  # the last moment of the stages before
    for stage, groups, moments in zip(grouped.schedule.stages, grouped.stages, grouped.moments, strict=True):
        if stage.parallel:
            assert set(moments) <= {before + 1}
        else:
            computed = {node.number: moment for group, moment in zip(groups, moments, strict=True) for node in group}
            for group, moment in zip(groups, moments, strict=True):
                others = read_by(group, grouped.inside).keys() - {node.number for node in group}
                assert moment == max([before, *(computed[n] for n in others if n in computed)]) + 1
        before = max(moments, default=before)


def test_kernels_are_printed_with_what_their_loops_compute_on_the_way() -> None:
    graph = Graph()
    x = source(graph, 16, 3)
    first = apply(graph, elements.exp, x)
    second = apply(graph, elements.neg, apply(graph, elements.relu, x))
    graph.outputs = [first.ref(), second.ref(), reduce(graph, elements.add, second, 0).ref()]
    grouped = group_kernels(split(graph, 16))
    assert len(grouped) == len([nodes for stage in grouped.stages for nodes in stage]) == 3
    lines = [" ".join(line.split()) for line in str(grouped).splitlines()]
    assert lines[:5] == [
        "images b0 to b1 of 16, 4 times:",
        "v1 = exp(v0) float64 16 x 3",
        "+ v3 = neg(v2) float64 16 x 3",
        "in this loop: v2 = relu(v0) float64 16 x 3",
        "v4 = reduce add(v3, 0.0, (0,)) float64 4 x 1 x 3",
    ]
    assert lines[5] == "once:"
    assert sum(line.startswith("in this loop: v") for line in lines[6:]) == 2  # the first two of three sums
