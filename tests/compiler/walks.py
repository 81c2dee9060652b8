"""What the tests of the passes share: graphs by hand, walks that NumPy made, and an interpreter of graphs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minitorch.compiler.graph import Graph, Node, Ref
from minitorch.kernels import elements

Array = npt.NDArray[Any]
FLOAT = np.dtype(np.float64)


def source(graph: Graph, *shape: int, kind: str = "argument") -> Node:
    """Add an input."""
    place = sum(node.op == "input" for node in graph)
    return graph.add("input", (), (place, kind), shape, FLOAT)


def constant(graph: Graph, value: float, *shape: int) -> Ref:
    """Add a constant, repeated to a shape."""
    return Ref(graph.add("constant", (), (value,), (), FLOAT), shape, (0,) * len(shape))


def apply(graph: Graph, function: Any, *operands: Node | Ref) -> Node:
    """Add an element-wise operation."""
    refs = [ref.ref() if isinstance(ref, Node) else ref for ref in operands]
    return graph.add("map" if len(refs) == 1 else "zip", refs, (function,), refs[0].shape, FLOAT)


def compare(graph: Graph, function: Any, left: Ref, right: Ref) -> Node:
    """Add a comparison, which gives truth values."""
    return graph.add("zip", (left, right), (function,), left.shape, np.dtype(np.bool_))


def reduce(graph: Graph, function: Any, operand: Node | Ref, *dims: int) -> Node:
    """Add a reduction that begins at zero."""
    ref = operand.ref() if isinstance(operand, Node) else operand
    shape = tuple(1 if d in dims else n for d, n in enumerate(ref.shape))
    return graph.add("reduce", (ref,), (function, 0.0, dims), shape, FLOAT)


# --- walks -------------------------------------------------------------------------------------------------------


def read(values: Array, ref: Ref) -> Array:
    """Follow a walk through an array, by NumPy."""
    flat = np.ascontiguousarray(values).reshape(-1)
    strides = [s * flat.itemsize for s in ref.strides]
    begin = min(ref.start, flat.size) if not ref.size else ref.start
    return np.lib.stride_tricks.as_strided(flat[begin:], ref.shape, strides)


def as_ref(view: Array, whole: Array, node: Node) -> Ref:
    """Write NumPy's view of an array as a walk through a node."""
    start = (view.ctypes.data - whole.ctypes.data) // whole.itemsize if view.size else 0
    return Ref(node, view.shape, tuple(s // view.itemsize for s in view.strides), start)


@st.composite
def views(draw: st.DrawFn, whole: Array) -> Array:
    """Draw a view of an array: permuted, sliced, with steps, expanded, or with another shape."""
    view = whole
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["permute", "narrow", "step", "expand", "regroup"]))
        dim = draw(st.integers(0, max(0, view.ndim - 1)))
        if kind == "permute":
            view = view.transpose(draw(st.permutations(range(view.ndim))))
        elif kind == "narrow" and view.ndim and view.shape[dim]:
            begin = draw(st.integers(0, view.shape[dim] - 1))
            end = draw(st.integers(begin, view.shape[dim]))
            view = view[(slice(None),) * dim + (slice(begin, end),)]
        elif kind == "step" and view.ndim:
            view = view[(slice(None),) * dim + (slice(None, None, 2),)]
        elif kind == "expand":
            view = np.broadcast_to(view, (draw(st.integers(1, 3)), *view.shape))
        elif kind == "regroup" and view.flags.c_contiguous and view.size:
            parts = [n for n in range(1, view.size + 1) if view.size % n == 0]
            rows = draw(st.sampled_from(parts))
            view = view.reshape(rows, view.size // rows)
    return view


small_shapes = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


def numbered(shape: Sequence[int]) -> Array:
    """Give 0, 1, 2, ... in a shape."""
    return np.arange(math.prod(shape)).reshape(tuple(shape)).copy()


# --- steps -------------------------------------------------------------------------------------------------------


@st.composite
def batched_graphs(draw: st.DrawFn) -> tuple[Graph, int]:
    """Draw a graph over a batch: element-wise operations, sums along and across it, products with weights, maxima."""
    graph = Graph()
    batch, width = draw(st.integers(1, 40)), 3
    rows, weights = [source(graph, batch, width)], [source(graph, width, width, kind="cell")]
    others: list[Node] = []

    def row() -> Ref:
        return draw(st.sampled_from(rows)).ref()

    def square() -> Ref:
        ref = draw(st.sampled_from(weights)).ref()
        return Ref(ref.node, ref.shape, (1, width)) if draw(st.booleans()) else ref

    for _ in range(draw(st.integers(1, 10))):
        kind = draw(st.integers(0, 9))
        if kind < 2:
            rows.append(apply(graph, draw(st.sampled_from([elements.neg, elements.relu])), row()))
        elif kind < 4:
            rows.append(apply(graph, draw(st.sampled_from([elements.add, elements.mul])), row(), row()))
        elif kind == 4:
            product = graph.add("matrix_multiply", (row(), square()), (), (batch, width), FLOAT)
            rows.append(apply(graph, elements.relu, product))
        elif kind == 5:
            left = row()
            left = Ref(left.node, (width, batch), (1, width))
            weights.append(graph.add("matrix_multiply", (left, row()), (), (width, width), FLOAT))
        elif kind == 6:
            total = reduce(graph, elements.add, row(), *draw(st.sampled_from([(0,), (1,), (0, 1)])))
            others.append(total)
            rows.append(apply(graph, elements.add, row(), total.ref().expand((batch, width))))
        elif kind == 7:
            weights.append(apply(graph, elements.mul, square(), square()))
        elif kind == 8:
            argument = row()
            largest = graph.add("max", (argument,), (1,), (batch, 1), FLOAT)
            place = graph.add("max_place", (argument,), (1,), (batch, 1), np.dtype(np.int64))
            rows.append(graph.add("put", (largest.ref(), place.ref()), (), (batch, width), FLOAT))
        else:
            # Read out of step with the batch.
            shifted = row()
            rows.append(apply(graph, elements.neg, Ref(shifted.node, (batch, width), (width, 0), width - 1)))
    graph.outputs = [node.ref() for node in dict.fromkeys((rows[-1], weights[-1], *others[-1:])) if node.op != "input"]
    return graph, batch


def inputs_of(graph: Graph) -> list[Array]:
    """Draw small whole numbers for the inputs: every sum is exact, in any order."""
    rng = np.random.default_rng(7)
    return [rng.integers(-2, 3, node.shape).astype(float) for node in graph if node.op == "input"]


# --- an interpreter ----------------------------------------------------------------------------------------------


def evaluate(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """Compute the outputs of a graph of element-wise operations, sums, products, ``put`` and ``take``, by NumPy."""
    values: dict[int, Array] = {}
    for node in graph:
        operands = [read(values[ref.node.number], ref) for ref in node.inputs]
        values[node.number] = np.ascontiguousarray(compute(node, operands, inputs), node.dtype).reshape(node.shape)
    return [read(values[ref.node.number], ref).copy() for ref in graph.outputs]


def compute(node: Node, operands: list[Array], inputs: Sequence[Array] = ()) -> Any:
    """Compute one node."""
    if node.op == "input":
        return inputs[node.args[0]]
    if node.op == "constant":
        return np.array(node.args[0])
    if node.op in ("map", "zip"):
        function = np.vectorize(node.args[0], otypes=[node.dtype])
        return function(*operands) if node.size else np.zeros(node.shape)
    if node.op == "reduce":
        return np.add.reduce(operands[0], axis=node.args[2], keepdims=True)
    if node.op == "matrix_multiply":
        return np.matmul(*operands)
    if node.op in ("max", "max_place"):
        (dim,) = node.args
        if node.op == "max":
            return operands[0].max(dim, keepdims=True)
        places = np.arange(operands[0].size).reshape(operands[0].shape)
        return np.take_along_axis(places, operands[0].argmax(dim, keepdims=True), dim)
    if node.op == "put":
        out = np.zeros(node.size)
        np.add.at(out, operands[1].reshape(-1), operands[0].reshape(-1))
        return out
    assert node.op == "take", f"the interpreter does not know {node.op}"
    return operands[0].reshape(-1)[operands[1]]
