"""Join operations that one kernel computes better than several (pass 3).

Around a convolution: its bias and the ReLU behind it are applied while its results are in registers, and a maximum
over windows is taken while they are in the first-level cache, so that they are never written. Where that happens the
gradient that comes back is a list of values and places, and the convolution's own gradients read the list: behind a
4 x 4 window they touch one element in sixteen.

Element-wise operations are joined with their only reader: they become part of its loop, and their result is never
written either. That is decided here too (:func:`inlined`), and done when the loops are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..kernels import elements
from ..kernels.geometry import Geometry
from .graph import Graph, Node, Ref, compose
from .simplify import POINTWISE, drop_dead

__all__ = ["fuse", "inlined", "lay_out"]

# Operations that read walks of any kind; all others read results that are contiguous.
ANY_WALK = (*POINTWISE, "reduce", "matrix_multiply", "cat")


def fuse(graph: Graph) -> Graph:
    """Join what surrounds a convolution with it."""
    users = graph.users()
    wanted = {ref.node.number for ref in graph.outputs}

    def only(node: Node, *readers: str) -> bool:
        """Tell whether a result is read by these operations alone."""
        return node.number not in wanted and all(user.op in readers for user in users[node.number])

    def rule(new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node | None:
        if node.op == "zip" and node.args[0] is elements.add:
            for i in (0, 1):
                conv, bias, old = inputs[i], inputs[1 - i], node.inputs[i].node
                bare = conv.node.op == "conv_act" and len(conv.node.inputs) == 2 and conv.shape == conv.node.shape
                if bare and len(users[old.number]) == 1 and only(old, "zip") and _is_bias(bias, conv.node):
                    along = Ref(bias.node, (conv.shape[1],), (bias.strides[1],), bias.start)
                    operands = (*conv.node.inputs, along)
                    return new.add("conv_act", operands, conv.node.args, node.shape, node.dtype)
        if node.op == "map" and node.args[0] is elements.relu:
            conv, old = inputs[0], node.inputs[0].node
            if conv.node.op == "conv_act" and conv.is_whole() and len(users[old.number]) == 1 and only(old, "map"):
                args = (conv.node.args[0], True, conv.node.args[2])
                return new.add("conv_act", conv.node.inputs, args, conv.node.shape, node.dtype)
        if node.op in ("max_pool", "max_pool_place", "max", "max_place"):
            conv, old = inputs[0], node.inputs[0].node
            window = _window(node, inputs[0])
            pools = ("max_pool", "max_pool_place", "max", "max_place")
            alike = len({user.args for user in users[old.number]}) == 1
            if window and conv.node.op == "conv_act" and conv.shape == conv.node.shape and only(old, *pools) and alike:
                op = "conv_pool_place" if node.op.endswith("place") else "conv_pool"
                return new.add(op, conv.node.inputs, (*conv.node.args, conv.shape, window), node.shape, node.dtype)
        if node.op in ("put", "take") and inputs[1].node.op == "conv_pool_place":
            # These places count from the corner of an image's channel.
            shape = inputs[1].node.args[3]
            return new.add(node.op, inputs, (shape,), node.shape, node.dtype)
        if node.op == "conv_weight" and _is_plain(node.args[1]) and (put := _sparse(inputs[1])):
            args = (node.args[1], put.shape)
            return new.add("conv_weight_at", (inputs[0], *put.inputs), args, node.shape, node.dtype)
        if node.op == "conv" and _is_plain(node.args[0]):
            if put := _sparse(inputs[0]):
                # The weight as the forward convolution has it, and its geometry.
                w = _swapped(inputs[1])
                forward = tuple(
                    g._replace(size=n, dilation=-g.dilation, offset=-g.offset)
                    for g, n in zip(node.args[0], put.shape[2:], strict=True)
                )
                return new.add("conv_at", (*put.inputs, w), (forward, put.shape), node.shape, node.dtype)
            transposed = not inputs[1].is_whole() and _swapped(inputs[1]).is_whole()
            operands = (inputs[0], _swapped(inputs[1])) if transposed else inputs
            return new.add("conv_act", operands, (node.args[0], False, transposed), node.shape, node.dtype)
        return None

    return drop_dead(graph.rebuild(rule))


def _is_plain(geometry: Sequence[Geometry]) -> bool:
    """Tell whether the blocked kernels do this convolution: windows that move by one, inputs side by side."""
    return all(g.stride == 1 and g.spread == 1 for g in geometry)


def _swapped(weight: Ref) -> Ref:
    """Exchange the two channel dimensions of a weight."""
    (a, b, *shape), (s, t, *strides) = weight.shape, weight.strides
    return Ref(weight.node, (b, a, *shape), (t, s, *strides), weight.start)


def _is_bias(ref: Ref, conv: Node) -> bool:
    """Tell whether an operand is one number for each output channel."""
    along = [d for d, (n, s) in enumerate(zip(ref.shape, ref.strides, strict=True)) if n != 1 and s != 0]
    return ref.shape == conv.shape and (along == [1] or not along)


def _window(node: Node, argument: Ref) -> tuple[int, int] | None:
    """Find the windows of a maximum, if they lie side by side in the last dimensions of an image."""
    if node.op.startswith("max_pool"):
        kernel, geometry = node.args
        plain = all(g == Geometry(g.size, stride=k) for g, k in zip(geometry, kernel, strict=True))
        return tuple(kernel) if plain else None
    return (1, argument.shape[2]) if len(argument.shape) == 3 and node.args[0] == 2 else None


def _sparse(ref: Ref) -> Node | None:
    """Find the list of values and places behind a gradient."""
    put = ref.node
    is_list = put.op == "put" and bool(put.args) and ref.shape == put.shape and ref.is_whole()
    return put if is_list else None


# --- operands --------------------------------------------------------------------------------------------------


def lay_out(graph: Graph) -> Graph:
    """Copy the operands whose walk their reader cannot follow."""

    def rule(new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node:
        if node.op == "matrix_multiply":
            inputs = tuple(ref.expand((*node.shape[:-2], *ref.shape[-2:])) for ref in inputs)
            inputs = tuple(ref if _is_matrix(ref) else _copied(new, ref) for ref in inputs)
        elif node.op not in ANY_WALK:
            inputs = tuple(ref if ref.is_whole() and ref.node.op != "constant" else _copied(new, ref) for ref in inputs)
        return new.add(node.op, inputs, node.args, node.shape, node.dtype)

    return graph.rebuild(rule)


def _is_matrix(ref: Ref) -> bool:
    """Tell whether BLAS reads an operand: rows or columns contiguous, from the start to the end of a result."""
    if len(ref.shape) != 2 or ref.node.op in ("constant", "number") or ref.start or ref.size != ref.node.size:
        return False
    (rows, columns), (down, across) = ref.shape, ref.strides
    by_rows = (across == 1 or columns == 1) and (down == columns or rows == 1)
    by_columns = (down == 1 or rows == 1) and (across == rows or columns == 1)
    return by_rows or by_columns


def _copied(new: Graph, ref: Ref) -> Ref:
    copy = new.add("map", (ref,), (elements.identity,), ref.shape, ref.dtype)
    return copy.ref()


def inlined(graph: Graph, stage: dict[int, Any]) -> set[int]:
    """Find the element-wise results that are computed where they are read, by number.

    Args:
        graph: the graph.
        stage: when each node is computed; a result is joined with a reader of the same stage only.
    """
    users = graph.users()
    wanted = {ref.node.number for ref in graph.outputs}
    # How the loop that a node is computed in walks the node's result.
    walks: dict[int, Ref] = {}
    inside = {node.number for node in graph if node.op in ("constant", "number")}
    for node in reversed(graph.nodes):
        if node.op not in POINTWISE or node.number in wanted or len(users[node.number]) != 1:
            continue
        (reader,) = users[node.number]
        if reader.op not in (*POINTWISE, "reduce") or stage[reader.number] != stage[node.number]:
            continue
        (ref,) = (r for r in reader.inputs if r.node is node)
        walk = compose(walks[reader.number], ref) if reader.number in inside else ref
        if walk and walk.size <= node.size and all(compose(walk, operand) for operand in node.inputs):
            walks[node.number] = walk
            inside.add(node.number)
    return inside
