"""What is joined with a convolution, how operands are laid out, and what is computed in its reader's loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from minitorch.compiler.fuse import fuse, inlined, kernels, lay_out
from minitorch.compiler.graph import Graph, Node, Ref, compose
from minitorch.compiler.simplify import drop_dead
from minitorch.compiler.split import split
from minitorch.kernels import elements
from minitorch.kernels.geometry import Geometry, same_size, side_by_side

from .walks import FLOAT, apply, batched_graphs, constant, evaluate, inputs_of, reduce, source

IMAGE, WEIGHT = (2, 3, 4, 4), (5, 3, 3, 3)
OUT = (2, 5, 4, 4)


def convolution(graph: Graph) -> Node:
    x, w = source(graph, *IMAGE), source(graph, *WEIGHT)
    return graph.add("conv", (x.ref(), w.ref()), (same_size(IMAGE[2:], False),), OUT, FLOAT)


def with_bias(graph: Graph, conv: Node) -> Node:
    bias = source(graph, 5)
    return apply(graph, elements.add, conv, Ref(bias, OUT, (0, 1, 0, 0)))


def pooled(graph: Graph, argument: Node, geometry: tuple[Geometry, ...]) -> tuple[Node, Node]:
    shape = (*OUT[:2], *(g.size for g in geometry))
    args = ((2, 2), geometry)
    value = graph.add("max_pool", (argument.ref(),), args, shape, FLOAT)
    return value, graph.add("max_pool_place", (argument.ref(),), args, shape, np.dtype(np.int64))


BESIDE = (Geometry(2, stride=2), Geometry(2, stride=2))


def test_bias_and_relu_become_part_of_a_convolution() -> None:
    graph = Graph()
    graph.outputs = [apply(graph, elements.relu, with_bias(graph, convolution(graph))).ref()]
    fused = fuse(graph)
    assert [n.op for n in fused] == ["input", "input", "input", "conv_act"]
    conv = fused.nodes[-1]
    assert len(conv.inputs) == 3
    assert conv.inputs[2].shape == (5,)
    assert conv.args[1] is True
    assert conv.shape == OUT


def test_a_result_that_others_read_is_kept() -> None:
    graph = Graph()
    conv = convolution(graph)
    biased = with_bias(graph, conv)
    graph.outputs = [conv.ref(), apply(graph, elements.relu, biased).ref()]
    fused = fuse(graph)
    assert [n.op for n in fused if n.op != "input"] == ["conv_act", "zip", "map"]
    assert fused.outputs[0].node.args[1] is False


def test_what_varies_over_the_image_is_no_bias() -> None:
    graph = Graph()
    conv = convolution(graph)
    graph.outputs = [apply(graph, elements.add, conv, source(graph, *OUT)).ref()]
    assert [n.op for n in fuse(graph) if n.op != "input"] == ["conv_act", "zip"]


def test_a_maximum_over_windows_side_by_side_is_taken_with_the_convolution() -> None:
    graph = Graph()
    value, place = pooled(graph, apply(graph, elements.relu, with_bias(graph, convolution(graph))), BESIDE)
    graph.outputs = [value.ref(), place.ref()]
    fused = fuse(graph)
    assert [n.op for n in fused if n.op != "input"] == ["conv_pool", "conv_pool_place"]
    assert fused.outputs[0].node.args[-1] == (2, 2)


def test_overlapping_windows_are_not() -> None:
    graph = Graph()
    value, _ = pooled(graph, convolution(graph), (Geometry(3), Geometry(3)))
    graph.outputs = [value.ref()]
    assert [n.op for n in fuse(graph) if n.op != "input"] == ["conv_act", "max_pool"]


def test_gradients_behind_a_maximum_read_a_list() -> None:
    graph = Graph()
    conv = convolution(graph)
    value, place = pooled(graph, conv, BESIDE)
    d = source(graph, *value.shape)
    put = graph.add("put", (d.ref(), place.ref()), (), OUT, FLOAT)
    space = same_size(IMAGE[2:], False)
    weight = graph.add("conv_weight", (conv.inputs[0], put.ref()), (WEIGHT[2:], space), WEIGHT, FLOAT)
    graph.outputs = [value.ref(), weight.ref()]
    fused = fuse(graph)
    assert [n.op for n in fused if n.op != "input"] == ["conv_pool", "conv_pool_place", "conv_weight_at"]


@pytest.mark.parametrize(
    ("channels", "kernel", "window", "listed"),
    [(3, 3, 2, False), (8, 3, 2, True), (4, 3, 4, True), (1, 5, 2, True), (16, 1, 2, False)],
)
def test_gradients_of_weight_and_input_read_a_list_where_many_taps_see_a_window(
    channels: int, kernel: int, window: int, listed: bool
) -> None:
    graph = Graph()
    size, space = (8, 8), same_size((8, 8), False)
    x, w = source(graph, 2, channels, *size), source(graph, 5, channels, kernel, kernel)
    conv = graph.add("conv", (x.ref(), w.ref()), (space,), (2, 5, *size), FLOAT)
    args = ((window, window), side_by_side(size, (window, window)))
    shape = (2, 5, 8 // window, 8 // window)
    value, place = (
        graph.add(op, (conv.ref(),), args, shape, dtype)
        for op, dtype in (("max_pool", FLOAT), ("max_pool_place", np.dtype(np.int64)))
    )
    put = graph.add("put", (source(graph, *shape).ref(), place.ref()), (), conv.shape, FLOAT)
    weight = graph.add("conv_weight", (x.ref(), put.ref()), ((kernel, kernel), space), w.shape, FLOAT)
    area = kernel * kernel
    swapped = Ref(w, (channels, 5, kernel, kernel), (area, channels * area, kernel, 1))
    back = tuple(g.transposed(8) for g in space)
    image = graph.add("conv", (put.ref(), swapped), (back,), x.shape, FLOAT)
    graph.outputs = [value.ref(), weight.ref(), image.ref()]
    ops = [n.op for n in fuse(graph) if n.op != "input"][2:]
    assert ops == (["conv_weight_at", "conv_at"] if listed else ["put", "conv_weight", "conv_act"])


def test_what_a_maximum_gives_to_a_strided_convolution_is_written_out() -> None:
    graph = Graph()
    x, w = source(graph, *IMAGE), source(graph, *WEIGHT)
    space = (Geometry(2, stride=2), Geometry(2, stride=2))
    conv = graph.add("conv", (x.ref(), w.ref()), (space,), (2, 5, 2, 2), FLOAT)
    value, place = pooled(graph, conv, side_by_side(conv.shape[2:], (2, 2)))
    d = source(graph, *value.shape)
    put = graph.add("put", (d.ref(), place.ref()), (), conv.shape, FLOAT)
    weight = graph.add("conv_weight", (x.ref(), put.ref()), (WEIGHT[2:], space), WEIGHT, FLOAT)
    graph.outputs = [value.ref(), weight.ref()]
    ops = [n.op for n in fuse(graph) if n.op != "input"]
    assert ops == ["conv_pool", "conv_pool_place", "put", "conv_weight"]


def test_what_is_computed_in_parts_is_not_pooled() -> None:
    graph = Graph()
    x, w = source(graph, *IMAGE), source(graph, *WEIGHT)
    space = (Geometry(8, spread=2), Geometry(8, spread=2))
    conv = graph.add("conv", (x.ref(), w.ref()), (space,), (2, 5, 8, 8), FLOAT)
    graph.outputs = [node.ref() for node in pooled(graph, conv, side_by_side((8, 8), (2, 2)))]
    assert [n.op for n in fuse(graph) if n.op != "input"] == ["conv_act", "max_pool", "max_pool_place"]


# --- operands ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "copies"),
    [
        (lambda x: Ref(x, (4, 6), (6, 1)), 0),
        (lambda x: Ref(x, (6, 4), (1, 6)), 0),
        (lambda x: Ref(x, (4, 6), (0, 1)), 1),
        (lambda x: Ref(x, (3, 6), (6, 1), 6), 1),
        (lambda x: Ref(x, (4, 3), (6, 2)), 1),
        (lambda x: Ref(x, (2, 12), (12, 1)), 0),
    ],
    ids=["rows", "columns", "one row for all", "narrowed", "every second column", "regrouped"],
)
def test_a_product_reads_rows_or_columns_and_copies_all_else(left: object, copies: int) -> None:
    graph = Graph()
    ref = left(source(graph, 4, 6))  # type: ignore[operator]
    other = source(graph, ref.shape[1], 2)
    graph.outputs = [graph.add("matrix_multiply", (ref, other.ref()), (), (ref.shape[0], 2), FLOAT).ref()]
    laid = lay_out(graph)
    assert sum(n.op == "map" for n in laid) == copies
    inputs = inputs_of(graph)
    np.testing.assert_array_equal(evaluate(laid, inputs)[0], evaluate(graph, inputs)[0])


def test_a_stack_of_products_repeats_an_operand_that_broadcasts() -> None:
    graph = Graph()
    a, b = source(graph, 2, 1, 3, 4), source(graph, 5, 4, 2)
    graph.outputs = [graph.add("matrix_multiply", (a.ref(), b.ref()), (), (2, 5, 3, 2), FLOAT).ref()]
    laid = lay_out(graph)
    assert [ref.shape for ref in laid.nodes[-1].inputs] == [(2, 5, 3, 4), (2, 5, 4, 2)]
    assert all(ref.is_whole() for ref in laid.nodes[-1].inputs)
    inputs = inputs_of(graph)
    np.testing.assert_array_equal(evaluate(laid, inputs)[0], evaluate(graph, inputs)[0])


def test_other_kernels_read_contiguous_results() -> None:
    graph = Graph()
    x = source(graph, 3, 4)
    graph.outputs = [
        graph.add("softmax", (Ref(x, (4, 3), (1, 4)),), (1,), (4, 3), FLOAT).ref(),
        graph.add("softmax", (constant(graph, 1.0, 2, 2),), (1,), (2, 2), FLOAT).ref(),
    ]
    assert all(n.inputs[0].is_whole() and n.inputs[0].size == n.size for n in lay_out(graph) if n.op == "softmax")


# --- loops ---------------------------------------------------------------------------------------------------------


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


def test_a_product_that_is_only_read_turned_is_computed_turned() -> None:
    for also_straight in (False, True):
        graph = Graph()
        x, d = source(graph, 6, 4), source(graph, 6, 3)
        product = graph.add("matrix_multiply", (Ref(x, (4, 6), (1, 4)), d.ref()), (), (4, 3), FLOAT)
        graph.outputs = [apply(graph, elements.neg, Ref(product, (3, 4), (1, 3))).ref()]
        if also_straight:
            graph.outputs.append(apply(graph, elements.exp, product).ref())
        laid_out = lay_out(graph)
        (made,) = (node for node in laid_out if node.op == "matrix_multiply")
        assert made.shape == ((4, 3) if also_straight else (3, 4))
        reader = next(node for node in laid_out if node.op == "map" and node.args[0] is elements.neg)
        assert reader.inputs[0].is_whole() is not also_straight
        for got, wanted in zip(evaluate(laid_out, inputs_of(graph)), evaluate(graph, inputs_of(graph)), strict=True):
            np.testing.assert_array_equal(got, wanted)


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
