"""What is joined with a convolution."""

from __future__ import annotations

import numpy as np
import pytest

from minitorch.compiler.graph import Graph, Node, Ref
from minitorch.compiler.passes.fuse import fuse
from minitorch.kernels import elements
from minitorch.kernels.geometry import Geometry, same_size, side_by_side

from ..walks import FLOAT, apply, source

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
    assert conv.args.relu is True
    assert conv.shape == OUT


def test_a_result_that_others_read_is_kept() -> None:
    graph = Graph()
    conv = convolution(graph)
    biased = with_bias(graph, conv)
    graph.outputs = [conv.ref(), apply(graph, elements.relu, biased).ref()]
    fused = fuse(graph)
    assert [n.op for n in fused if n.op != "input"] == ["conv_act", "zip", "map"]
    assert fused.outputs[0].node.args.relu is False


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
    assert fused.outputs[0].node.args.window == (2, 2)


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
    [
        (3, 3, 2, False),
        (6, 3, 2, False),
        (8, 3, 2, True),
        (4, 3, 4, True),
        (2, 5, 2, True),
        (16, 1, 2, False),
        (64, 1, 2, False),
        (4, 1, 4, True),
    ],
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


# --- maxima over lines -----------------------------------------------------------------------------------------------


LINE = Geometry(20)


def over_lines(
    channels: int = 8,
    out: int = 16,
    taps: int = 3,
    geometry: Geometry = LINE,
    dtype: type = np.float32,
    window: int | None = None,
) -> list[str]:
    """Name the operations that a maximum over a convolution of lines becomes."""
    graph, kind = Graph(), np.dtype(dtype)
    x, w = (
        graph.add("input", (), (k, "argument"), shape, kind)
        for k, shape in enumerate([(4, channels, 20), (out, channels, taps)])
    )
    conv = graph.add("conv", (x.ref(), w.ref()), ((geometry,),), (4, out, geometry.size), kind)
    if window is None:
        results = [graph.add(op, (conv.ref(),), (2,), (4, out, 1), kind) for op in ("max", "max_place")]
    else:
        args = ((1, window), (Geometry(1), Geometry(geometry.size // window, stride=window)))
        image = Ref(conv, (4, out, 1, geometry.size), (out * geometry.size, geometry.size, geometry.size, 1), 0)
        results = [graph.add("max_pool", (image,), args, (4, out, 1, geometry.size // window), kind)]
    graph.outputs = [node.ref() for node in results]
    return [node.op for node in fuse(graph) if node.op != "input"]


def test_a_maximum_over_a_line_takes_fewer_products() -> None:
    assert over_lines() == ["map", "conv_line", "conv_line_place"]
    assert over_lines(taps=7, out=48, geometry=Geometry(20, offset=-3))[-1] == "conv_line_place"


@pytest.mark.parametrize(
    "other",
    [
        {"dtype": np.float64},
        {"channels": 7},
        {"out": 15},
        {"taps": 1},
        {"taps": 8},
        {"geometry": Geometry(3)},
        {"geometry": Geometry(10, stride=2)},
        {"geometry": Geometry(16, dilation=2)},
        {"out": 17, "geometry": Geometry(7)},
    ],
    ids=str,
)
def test_where_it_would_not_it_is_taken_as_it_is_defined(other: dict[str, object]) -> None:
    assert over_lines(**other) == ["conv_pool", "conv_pool_place"]


def test_windows_of_a_part_of_a_line_are_taken_behind_the_convolution() -> None:
    assert over_lines(window=5) == ["conv_act", "max_pool"]
