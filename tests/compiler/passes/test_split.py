"""A divided graph, run chunk by chunk on images that see no other chunk, computes what the whole graph does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from minitorch.compiler.arguments import ConvPool
from minitorch.compiler.graph import Graph, Ref
from minitorch.compiler.passes.simplify import drop_dead
from minitorch.compiler.passes.split import CHUNKS, IMAGES, Schedule, split
from minitorch.kernels import elements
from minitorch.kernels.geometry import Geometry

from ..walks import FLOAT, Array, apply, batched_graphs, compute, evaluate, inputs_of, read, reduce, source


def run_in_chunks(schedule: Schedule, inputs: list[Array]) -> list[Array]:
    """Run a schedule by NumPy; what belongs to other chunks is NaN, or 0 where it is added up."""
    values: dict[int, Array] = {}
    batched = {n.number for n in schedule.graph if schedule.is_batched(n)}
    for node in schedule.graph:
        if schedule.stage[node.number] < 0:
            values[node.number] = np.asarray(compute(node, [], inputs), node.dtype)
            # Where the batch is, the arguments are divided with it.
            if schedule.batch and node.op == "input" and node.args[1] == "argument":
                batched.add(node.number)
    for stage in schedule.stages:
        for node in stage.nodes:
            values[node.number] = np.full(node.shape, np.nan if node.dtype.kind == "f" else 0).astype(node.dtype)
        for chunk in range(schedule.chunks if stage.parallel else 1):
            b0, b1 = schedule.bounds(chunk)
            for node in stage.nodes:
                operands = []
                for ref in node.inputs:
                    there = values[ref.node.number]
                    if stage.parallel and ref.node.number in batched and there.dtype.kind == "f":
                        # What is put at places of another chunk, which are not known yet, is added somewhere.
                        hidden = 0 if node.number in schedule.partial or node.op == "put" else np.nan
                        there = there.copy()
                        there[:b0] = there[b1:] = hidden
                    operands.append(read(there, ref))
                with np.errstate(invalid="ignore"):
                    result = np.asarray(compute(node, operands))
                if node.number in schedule.partial:
                    values[node.number][chunk] = result.reshape(node.shape[1:])
                elif stage.parallel:
                    values[node.number][b0:b1] = result.reshape(node.shape)[b0:b1]
                else:
                    values[node.number] = result.reshape(node.shape)
    return [read(values[ref.node.number], ref).copy() for ref in schedule.graph.outputs]


@settings(max_examples=150)
@given(batched_graphs())
def test_chunks_see_their_own_images_only(drawn: tuple[Graph, int]) -> None:
    graph, batch = drawn
    graph = drop_dead(graph)
    schedule = split(graph, batch)
    inputs = inputs_of(graph)
    for a, b in zip(run_in_chunks(schedule, inputs), evaluate(graph, inputs), strict=True):
        np.testing.assert_array_equal(a, b)


@settings(max_examples=150)
@given(batched_graphs())
def test_operands_are_there_before_they_are_read(drawn: tuple[Graph, int]) -> None:
    schedule = split(*drawn)
    order = [node.number for stage in schedule.stages for node in stage.nodes]
    assert sorted(order) == sorted(n for n, stage in schedule.stage.items() if stage >= 0)
    for stage in schedule.stages:
        for node in stage.nodes:
            for ref in node.inputs:
                if schedule.stage[ref.node.number] < 0:
                    continue
                assert order.index(ref.node.number) < order.index(node.number)
                same = schedule.stage[ref.node.number] == schedule.stage[node.number]
                # Only the images of a chunk are there while its region runs.
                assert not (same and stage.parallel) or schedule.is_batched(ref.node)


@pytest.mark.parametrize(
    "batch", [0, 1, 2, IMAGES, 2 * IMAGES - 1, 2 * IMAGES, 10, 16, 17, CHUNKS * IMAGES, CHUNKS * IMAGES + 1, 1000]
)
def test_chunks_cover_the_batch(batch: int) -> None:
    graph = Graph()
    x = source(graph, batch, 2)
    graph.outputs = [apply(graph, elements.neg, x).ref(), reduce(graph, elements.add, x, 0).ref()]
    schedule = split(graph, batch)
    if batch < 2 * IMAGES:
        assert (schedule.batch, schedule.chunks) == (0, 1)
        assert not any(stage.parallel for stage in schedule.stages)
    else:
        assert 1 < schedule.chunks <= CHUNKS
        bounds = [schedule.bounds(chunk) for chunk in range(schedule.chunks)]
        assert [b0 for b0, _ in bounds] == [0, *(b1 for _, b1 in bounds[:-1])]
        assert bounds[-1][1] == batch
        assert IMAGES <= min(b1 - b0 for b0, b1 in bounds) <= max(b1 - b0 for b0, b1 in bounds) == schedule.chunk
    # The partial sums are added in order.
    assert sum(node.op == "zip" for node in schedule.graph) == schedule.chunks - 1


def test_a_mean_over_the_batch_makes_two_regions() -> None:
    graph = Graph()
    x = source(graph, 16, 3)
    mean = reduce(graph, elements.add, apply(graph, elements.neg, x), 0)
    centred = apply(graph, elements.add, x, mean.ref().expand((16, 3)))
    graph.outputs = [centred.ref()]
    schedule = split(graph, 16)
    assert [len(stage.nodes) for stage in schedule.stages] == [0, 2, 3, 1]
    assert [stage.parallel for stage in schedule.stages] == [False, True, False, True]


def test_a_walk_out_of_step_with_the_batch_is_not_divided() -> None:
    graph = Graph()
    x = source(graph, 16, 16)
    turned = apply(graph, elements.neg, Ref(x, (16, 16), (1, 16)))
    graph.outputs = [turned.ref()]
    schedule = split(graph, 16)
    assert not schedule.is_batched(turned)
    assert all(not stage.nodes for stage in schedule.stages if stage.parallel)


def test_a_large_weight_is_multiplied_by_the_whole_batch() -> None:
    for width, batched in [(128, True), (129, False)]:
        graph = Graph()
        x, w = source(graph, 16, 512), source(graph, 512, width, kind="cell")
        product = graph.add("matrix_multiply", (x.ref(), w.ref()), (), (16, width), FLOAT)
        graph.outputs = [product.ref()]
        schedule = split(graph, 16)
        assert schedule.is_batched(schedule.graph.nodes[-1]) is batched


def test_what_has_no_batch_waits_for_its_reader() -> None:
    graph = Graph()
    x, average = source(graph, 16, 3), source(graph, 1, 3, kind="cell")
    decayed = apply(graph, elements.neg, average)
    total = reduce(graph, elements.add, apply(graph, elements.exp, x), 0)
    used_before = apply(graph, elements.inv, average)
    shifted = apply(graph, elements.add, x, used_before.ref().expand((16, 3)))
    graph.outputs = [apply(graph, elements.add, decayed, total).ref(), shifted.ref()]
    schedule = split(graph, 16)
    stage = {node.args[0]: schedule.stage[node.number] for node in schedule.graph if node.op == "map"}
    assert (stage[elements.neg], stage[elements.exp], stage[elements.inv]) == (2, 1, 0)


def test_a_schedule_is_printed_stage_by_stage() -> None:
    graph = Graph()
    x = source(graph, 16, 3)
    total = reduce(graph, elements.add, apply(graph, elements.exp, x), 0)
    graph.outputs = [apply(graph, elements.neg, total).ref()]
    lines = str(split(graph, 16)).splitlines()
    assert [" ".join(line.split()) for line in lines[:4]] == [
        "images b0 to b1 of 16, 4 times:",
        "v1 = exp(v0) float64 16 x 3",
        "v2 = reduce add(v1, 0.0, (0,)) float64 4 x 1 x 3",
        "once:",
    ]
    assert lines[-1].split()[:3] == ["v6", "=", "neg(v5)"]


def test_maxima_over_lines_take_the_whole_batch_and_are_read_image_by_image() -> None:
    graph = Graph()
    x, w = source(graph, 16, 20, 8), source(graph, 32, 8, 3, kind="cell")
    args = ConvPool((Geometry(18),), relu=False, transposed=False, shape=(16, 32, 18), window=(1, 18))
    lines = apply(graph, elements.neg, x)
    maxima = graph.add("conv_line", (lines.ref(), w.ref()), args, (16, 32, 1), FLOAT)
    behind = apply(graph, elements.neg, maxima)
    graph.outputs = [behind.ref()]
    schedule = split(graph, 16)
    assert [[node.op for node in stage.nodes] for stage in schedule.stages] == [[], ["map"], ["conv_line"], ["map"]]
    assert [schedule.is_batched(schedule.graph.nodes[node.number]) for node in (lines, maxima, behind)] == [
        True,
        False,
        True,
    ]
