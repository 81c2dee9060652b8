"""How operands are laid out: what is copied, and what is computed turned."""

from __future__ import annotations

import numpy as np
import pytest

from minitorch.compiler.graph import Graph, Ref
from minitorch.compiler.passes.operands import lay_out
from minitorch.kernels import elements

from ..walks import FLOAT, apply, constant, evaluate, inputs_of, source


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
