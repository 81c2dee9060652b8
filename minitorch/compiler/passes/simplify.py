"""Make the graph smaller without changing what it computes (pass 2).

One walk over the graph from its inputs to its outputs replaces each node by the simplest thing that it equals:

* what depends on constants alone becomes a constant;
* equal operations on equal operands become one (common subexpressions);
* a copy of what is contiguous already, a product with 1 and a sum with -0.0 become their operand;
* the slope of a ReLU is read off its result, so that its argument need not be kept;
* a gradient that is zero except at the places of maxima stays a short list of values and places
  (:func:`_carry_put`).

Then the nodes that no output depends on are dropped.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...kernels import elements
from ..graph import Graph, Node, Ref

__all__ = ["drop_dead", "simplify"]

POINTWISE = ("map", "zip", "dropout")

# From the operation that gives the places of maxima to the one that gives the maxima.
PLACES = {"max_place": "max", "max_pool_place": "max_pool"}


def simplify(graph: Graph) -> Graph:
    """Give the smaller graph."""
    seen: dict[Any, Node] = {}
    relus: dict[Any, Node] = {}

    def rule(new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node | Ref:
        def make(op: str, inputs: tuple[Ref, ...], args: tuple[Any, ...], shape: Any, dtype: Any) -> Node:
            """Add an operation unless it is there already."""
            key = op, tuple(ref.key() for ref in inputs), _hashable(args), tuple(shape), np.dtype(dtype)
            if key not in seen:
                seen[key] = new.add(op, inputs, args, shape, dtype)
            return seen[key]

        if node.op in ("input", "number"):
            return new.add(node.op, inputs, node.args, node.shape, node.dtype)
        if node.op == "zip" and node.args[0] is elements.relu_grad and inputs[0].key() in relus:
            inputs = (relus[inputs[0].key()].ref(), inputs[1])
        simpler = _fold(make, node, inputs) or _neutral(node, inputs) or _carry_put(make, node, inputs)
        if simpler is not None:
            return simpler
        made = make(node.op, inputs, node.args, node.shape, node.dtype)
        if node.op == "map" and node.args[0] is elements.relu:
            relus[inputs[0].key()] = made
        return made

    return drop_dead(graph.rebuild(rule))


def drop_dead(graph: Graph) -> Graph:
    """Keep what the outputs depend on, and every input, in order."""
    live = graph.live()
    new = Graph()
    moved: dict[int, Node] = {}
    for node in graph:
        if node.number in live or node.op == "input":
            inputs = [Ref(moved[r.node.number], r.shape, r.strides, r.start) for r in node.inputs]
            moved[node.number] = new.add(node.op, inputs, node.args, node.shape, node.dtype)
    new.outputs = [Ref(moved[r.node.number], r.shape, r.strides, r.start) for r in graph.outputs]
    return new


def _hashable(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Tell 0.0 from -0.0 and 1 from 1.0, and let NaN equal itself."""
    return tuple(repr(a) if isinstance(a, (int, float)) else a for a in args)


def _constant(ref: Ref) -> float | None:
    return ref.node.args[0] if ref.node.op == "constant" else None


def _fold(make: Any, node: Node, inputs: tuple[Ref, ...]) -> Ref | None:
    """Compute now what depends on constants alone."""
    if node.op not in ("map", "zip"):
        return None
    values = [_constant(ref) for ref in inputs]
    if any(v is None for v in values):
        return None
    with np.errstate(all="ignore"):
        value = node.dtype.type(node.args[0](*(ref.dtype.type(v) for ref, v in zip(inputs, values, strict=True))))
    constant = make("constant", (), (value.item(),), (), node.dtype)
    return Ref(constant, node.shape, (0,) * len(node.shape))


def _neutral(node: Node, inputs: tuple[Ref, ...]) -> Ref | None:
    """Find an operation that gives one of its operands."""
    if node.op == "map" and node.args[0] is elements.identity and inputs[0].is_contiguous():
        return inputs[0]
    if node.op == "zip" and node.args[0] in (elements.mul, elements.add):
        for one, other in (inputs, inputs[::-1]):
            if _is_neutral(node.args[0], _constant(one)) and other.is_contiguous():
                return other
    return None


def _is_neutral(function: Any, value: float | None) -> bool:
    """Tell whether a product or a sum with a number is the other operand, bit by bit."""
    if function is elements.mul:
        return value == 1
    # A sum with 0.0 is no such thing: it makes 0.0 of -0.0.
    return value == 0 and (isinstance(value, int) or math.copysign(1.0, value) < 0)


def _carry_put(make: Any, node: Node, inputs: tuple[Ref, ...]) -> Node | None:
    r"""Carry a ``put`` of values at places past what follows it.

    The gradient of a maximum is ``put(d, places)``: zero but at the places of the maxima. What maps zero to zero need
    be computed at those places only, so ``f(put(d, p), y) = put(f(d, take(y, p)), p)``; and what the maximum's argument
    holds there is the maximum itself.
    """
    at = next((i for i, ref in enumerate(inputs) if ref.node.op == "put" and ref.is_whole()), None)
    if at is None or inputs[at].node.inputs[1].node.op not in PLACES:
        if node.op == "take":
            return _maximum(make, *inputs)
        return None
    put = inputs[at].node
    values, places = put.inputs
    same_shape = inputs[at].shape == put.shape

    def spread(result: Node) -> Node:
        return make("put", (result.ref(), places), (), put.shape, node.dtype)

    if node.op == "map" and node.args[0] is elements.neg and same_shape:
        return spread(make("map", (values,), node.args, values.shape, node.dtype))
    if node.op == "zip" and same_shape:
        zero_stays = node.args[0] is elements.mul or (node.args[0] is elements.relu_grad and at == 1)
        if not zero_stays:
            return None
        other = inputs[1 - at]
        if _constant(other) is not None:
            there = other.expand(()) if not other.shape else Ref(other.node, values.shape, (0,) * len(values.shape))
        elif other.is_whole():
            there = (_maximum(make, other, places) or make("take", (other, places), (), places.shape, node.dtype)).ref()
        else:
            return None
        operands = (values, there) if at == 0 else (there, values)
        return spread(make("zip", operands, node.args, values.shape, node.dtype))
    if node.op == "reduce" and node.args[0] is elements.add and same_shape:
        dims = node.args[2]
        if set(_window_dims(places.node)) <= set(dims) and values.shape == places.node.shape:
            return make("reduce", (values,), node.args, node.shape, node.dtype)
    return None


def _window_dims(places: Node) -> tuple[int, ...]:
    """The dimensions that a maximum was taken over: the others are the same in its argument and its result."""
    return (places.args[0],) if places.op == "max_place" else (2, 3)


def _maximum(make: Any, argument: Ref, places: Ref) -> Node | None:
    """Recognise ``take(x, places of the maxima of x)``."""
    node = places.node
    if node.op not in PLACES or not places.is_whole() or node.inputs[0].key() != argument.key():
        return None
    return make(PLACES[node.op], node.inputs, node.args, node.shape, argument.dtype)
