"""Walks through walks, against NumPy's striding; the life of nodes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch.compiler.graph import Graph, Ref, compose
from minitorch.kernels import elements

from .walks import apply, as_ref, numbered, read, small_shapes, source, views


@st.composite
def two_walks(draw: st.DrawFn) -> tuple[Ref, Ref]:
    """Draw a walk through a result, and one through what the first gives."""
    graph = Graph()
    whole = numbered(draw(small_shapes))
    inner_view = draw(views(whole))
    inner = as_ref(inner_view, whole, source(graph, *whole.shape))
    result = numbered(inner_view.shape)
    outer = as_ref(draw(views(result)), result, source(graph, *result.shape))
    return outer, inner


@settings(max_examples=150)
@given(two_walks())
def test_a_walk_through_a_walk_visits_the_same_elements(walks: tuple[Ref, Ref]) -> None:
    outer, inner = walks
    memory = numbered(inner.node.shape) + 100
    between = read(memory, inner).copy()
    composed = compose(outer, inner)
    if composed is not None:
        assert composed.node is inner.node
        np.testing.assert_array_equal(read(memory, composed), read(between, outer))


@settings(max_examples=150)
@given(st.data())
def test_walks_that_keep_the_dimensions_always_compose(data: st.DataObject) -> None:
    graph = Graph()
    whole = numbered(data.draw(small_shapes))
    inner_view = whole.transpose(data.draw(st.permutations(range(whole.ndim))))[1:]
    result = numbered(inner_view.shape)
    outer_view = result.transpose(data.draw(st.permutations(range(result.ndim))))[..., ::2]
    inner = as_ref(inner_view, whole, source(graph, *whole.shape))
    outer = as_ref(outer_view, result, source(graph, *result.shape))
    composed = compose(outer, inner)
    assert composed is not None
    np.testing.assert_array_equal(read(whole, composed), read(read(whole, inner).copy(), outer))


def test_a_walk_that_no_strides_describe_is_none() -> None:
    graph = Graph()
    transposed = Ref(source(graph, 3, 4), (4, 3), (1, 4))
    flat = source(graph, 4, 3)
    assert compose(Ref(flat, (12,), (1,)), transposed) is None
    assert compose(Ref(flat, (2, 6), (6, 1)), transposed) is None


@settings(max_examples=150)
@given(st.data())
def test_whole_means_every_element_once_in_order(data: st.DataObject) -> None:
    whole = numbered(data.draw(small_shapes))
    view = data.draw(views(whole))
    ref = as_ref(view, whole, source(Graph(), *whole.shape))
    assert ref.is_contiguous() == view.flags.c_contiguous or not view.size
    if view.size:
        assert ref.is_whole() == np.array_equal(view.reshape(-1), whole.reshape(-1))


def test_strides_that_are_never_used_do_not_tell_walks_apart() -> None:
    node = source(Graph(), 1, 4)
    assert Ref(node, (1, 4), (99, 1)).key() == Ref(node, (1, 4), (0, 1)).key()
    assert Ref(node, (1, 4), (4, 1)).key() != Ref(node, (1, 4), (4, 0)).key()


def test_expand_repeats_by_strides_of_zero() -> None:
    node = source(Graph(), 3, 1)
    expanded = node.ref().expand((2, 3, 4))
    np.testing.assert_array_equal(read(numbered((3, 1)), expanded), np.broadcast_to(numbered((3, 1)), (2, 3, 4)))


def test_rebuild_moves_later_operands_through_what_replaced_a_node() -> None:
    graph = Graph()
    x = source(graph, 2, 3)
    copied = apply(graph, elements.identity, Ref(x, (3, 2), (1, 3)))
    last = apply(graph, elements.neg, Ref(copied, (2, 3), (1, 2)))
    graph.outputs = [last.ref()]
    new = graph.rebuild(lambda new, node, inputs: inputs[0] if node is copied else None)
    assert [node.op for node in new] == ["input", "map"]
    assert new.nodes[1].inputs[0].is_whole()  # transposed twice
    assert new.outputs[0].node is new.nodes[1]


def test_users_and_live_nodes() -> None:
    graph = Graph()
    x = source(graph, 4)
    square = apply(graph, elements.mul, x, x)
    unread = apply(graph, elements.neg, square)
    graph.outputs = [square.ref()]
    users = graph.users()
    assert users == {x.number: [square, square], square.number: [unread], unread.number: []}
    assert graph.live() == {x.number, square.number}
    assert str(graph).splitlines()[1].split() == ["v1", "=", "mul(v0,", "v0)", "float64", "4"]
