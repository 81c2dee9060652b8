"""A simplified graph is smaller and computes the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minitorch
from minitorch import operators
from minitorch.compiler.graph import Graph, Node, Ref
from minitorch.compiler.passes.simplify import drop_dead, simplify
from minitorch.kernels import elements

from ..walks import apply, as_ref, compare, constant, evaluate, numbered, reduce, source, views

ONE_OPERAND = [elements.neg, elements.relu, elements.identity]
TWO_OPERANDS = [elements.add, elements.mul, elements.relu_grad]
SHAPE = (2, 3)


def ops(graph: Graph) -> list[str]:
    """Name the operations, without what is given."""
    return [
        n.args[0].__name__ if n.op in ("map", "zip", "reduce") else n.op
        for n in graph
        if n.op not in ("input", "constant")
    ]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Draw a graph of element-wise operations, sums and maxima, on walks of all kinds and on constants."""
    graph = Graph()
    made: list[Node] = [source(graph, *SHAPE), source(graph, *SHAPE)]

    def operand() -> Ref:
        if draw(st.integers(0, 3)) == 0:
            return constant(graph, draw(st.sampled_from([0.0, 1.0, -2.0])), *SHAPE)
        node = draw(st.sampled_from(made))
        whole = numbered(node.shape)
        view = whole if draw(st.booleans()) else draw(views(whole))
        if view.size == 6:
            view = view.reshape(SHAPE) if view.flags.c_contiguous else view
        if view.shape != SHAPE:
            view = np.broadcast_to(whole.reshape(-1)[:1], SHAPE)
        return as_ref(view, whole, node)

    for _ in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(["map", "zip", "zip", "reduce", "behind a maximum"]))
        if kind == "map":
            made.append(apply(graph, draw(st.sampled_from(ONE_OPERAND)), operand()))
        elif kind == "zip":
            made.append(apply(graph, draw(st.sampled_from(TWO_OPERANDS)), operand(), operand()))
        elif kind == "reduce":
            made.append(reduce(graph, elements.add, operand(), draw(st.integers(0, 1))))
        else:
            # What the gradient of a maximum looks like: values at the places of the maxima, zeros elsewhere.
            argument = apply(graph, elements.relu, made[draw(st.integers(0, 1))])
            place = graph.add("max_place", (argument.ref(),), (1,), (2, 1), np.int64)
            value = reduce(graph, elements.add, operand(), 1)
            put = graph.add("put", (value.ref(), place.ref()), (), SHAPE, value.dtype)
            other = draw(st.sampled_from([argument.ref(), made[0].ref(), constant(graph, 3.0, *SHAPE)]))
            function = draw(st.sampled_from([elements.mul, elements.add]))
            made += [put, apply(graph, function, put, other), apply(graph, elements.relu_grad, argument, put)]
            made.append(reduce(graph, elements.add, made[-1], draw(st.integers(0, 1))))
    graph.outputs = [node.ref() for node in made[-3:]]
    return graph


# Small whole numbers: every result is exact, whatever the order of a sum.
INPUTS = [np.array([[1.0, -2.0, 3.0], [-4.0, 0.0, 6.0]]), np.array([[-3.0, 5.0, 1.0], [2.0, 7.0, -1.0]])]


@settings(max_examples=150)
@given(graphs())
def test_a_simplified_graph_computes_the_same(graph: Graph) -> None:
    simple = simplify(graph)
    for a, b in zip(evaluate(simple, INPUTS), evaluate(graph, INPUTS), strict=True):
        np.testing.assert_array_equal(a, b)


@settings(max_examples=150)
@given(graphs())
def test_dropping_dead_nodes_keeps_inputs_and_values(graph: Graph) -> None:
    alive = drop_dead(graph)
    assert [n.args for n in alive if n.op == "input"] == [n.args for n in graph if n.op == "input"]
    assert {n.number for n in alive if n.op != "input"} <= alive.live()
    for a, b in zip(evaluate(alive, INPUTS), evaluate(graph, INPUTS), strict=True):
        np.testing.assert_array_equal(a, b)


def test_constants_are_folded() -> None:
    graph = Graph()
    total = apply(graph, elements.add, constant(graph, 2.0, 3), constant(graph, 0.5, 3))
    graph.outputs = [apply(graph, elements.mul, total, source(graph, 3)).ref()]
    simple = simplify(graph)
    assert ops(simple) == ["mul"]
    assert [n.args[0] for n in simple if n.op == "constant"] == [2.5]


def test_a_constant_keeps_its_type_until_it_is_compared() -> None:
    """As truth values 3 and 5 would be equal."""
    graph = Graph()
    pairs = [(3.0, 5.0), (5.0, 5.0)]
    graph.outputs = [compare(graph, operators.eq, *(constant(graph, x, 4) for x in pair)).ref() for pair in pairs]
    simple = simplify(graph)
    assert ops(simple) == []
    assert [(ref.node.args[0], ref.dtype) for ref in simple.outputs] == [(False, np.bool_), (True, np.bool_)]


def test_equal_operations_are_one_and_zeros_of_either_sign_are_two() -> None:
    graph = Graph()
    x = source(graph, 3)
    first, second = (apply(graph, elements.exp, x) for _ in range(2))
    sums = [apply(graph, elements.mul, first, constant(graph, zero, 3)) for zero in (0.0, -0.0)]
    graph.outputs = [apply(graph, elements.mul, first, second).ref(), *(s.ref() for s in sums)]
    assert ops(simplify(graph)) == ["exp", "mul", "mul", "mul"]


@pytest.mark.parametrize(("function", "neutral"), [(elements.mul, 1.0), (elements.add, -0.0)])
@pytest.mark.parametrize("turned", [False, True])
def test_neutral_elements_vanish(function: object, neutral: float, turned: bool) -> None:
    graph = Graph()
    operands = [source(graph, 3).ref(), constant(graph, neutral, 3)]
    graph.outputs = [apply(graph, function, *(operands[::-1] if turned else operands)).ref()]
    assert ops(simplify(graph)) == []


def test_a_sum_with_zero_stays_because_it_takes_the_sign_of_a_zero() -> None:
    graph = Graph()
    graph.outputs = [apply(graph, elements.add, source(graph, 1), constant(graph, 0.0, 1)).ref()]
    assert ops(simplify(graph)) == ["add"]
    step = minitorch.compile(lambda x: x + 0.0)
    zero = minitorch.tensor([-0.0], backend=minitorch.FastBackend)
    assert not np.signbit(step(zero).to_numpy()).any()


def test_the_slope_of_relu_is_read_off_its_result() -> None:
    graph = Graph()
    x = apply(graph, elements.neg, source(graph, 3))
    y = apply(graph, elements.relu, x)
    graph.outputs = [y.ref(), apply(graph, elements.relu_grad, x, source(graph, 3)).ref()]
    simple = simplify(graph)
    assert ops(simple) == ["neg", "relu", "relu_grad"]
    slope = simple.outputs[1].node
    assert slope.inputs[0].node.args[0] is elements.relu


def test_the_gradient_behind_a_maximum_stays_a_list() -> None:
    """The ReLU's slope and the sum over the windows touch the maxima alone."""
    graph = Graph()
    y = apply(graph, elements.relu, source(graph, 2, 3))
    place = graph.add("max_place", (y.ref(),), (1,), (2, 1), np.int64)
    d = source(graph, 2, 1)
    put = graph.add("put", (d.ref(), place.ref()), (), (2, 3), d.dtype)
    slope = apply(graph, elements.relu_grad, y, put)
    graph.outputs = [reduce(graph, elements.add, slope, 0, 1).ref()]
    simple = simplify(graph)
    assert "put" not in ops(simple)
    assert max(n.size for n in simple if n.op in ("zip", "reduce") and n.args[0] is not elements.relu) == 2
