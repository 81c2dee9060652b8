"""Lay operands out so that every kernel can walk them (behind pass 3).

Operands that a kernel cannot walk are copied, products that are only read turned are computed turned, and every output
gets a node of its own.
"""

from __future__ import annotations

from typing import Any

from ...kernels import elements
from ..graph import UNSTORED, Graph, Node, Ref
from .memory import OPERANDS_READ
from .simplify import POINTWISE, drop_dead

__all__ = ["copied", "lay_out"]

# Operations that read walks of any kind; all others read results that are contiguous.
ANY_WALK = (*POINTWISE, "reduce", "matrix_multiply", "cat")


def lay_out(graph: Graph) -> Graph:
    """Copy the operands whose walk their reader cannot follow; turn the products that are only read turned.

    Every output becomes a node of its own, written in order.
    """
    return drop_dead(_with_operands_to_walk(_with_own_outputs(graph)))


def _with_own_outputs(graph: Graph) -> Graph:
    """Copy what is wanted of a view or an input, of what no memory holds, or wanted twice."""
    new = graph.copy()
    taken: set[int] = set()
    for i, ref in enumerate(new.outputs):
        own = ref.is_whole() and ref.node.op not in ("input", *UNSTORED) and ref.node.number not in taken
        if not own:
            new.outputs[i] = copied(new, ref)
        taken.add(new.outputs[i].node.number)
    return new


def _with_operands_to_walk(graph: Graph) -> Graph:
    readers: dict[int, list[Ref]] = {node.number: [] for node in graph}
    for ref in (*graph.outputs, *(ref for node in graph for ref in node.inputs)):
        readers[ref.node.number].append(ref)

    copies: dict[Any, Ref] = {}

    def once(new: Graph, ref: Ref) -> Ref:
        """Copy a walk once for all its readers: those of one kernel must see the same operand."""
        if ref.key() not in copies:
            copies[ref.key()] = copied(new, ref)
        return copies[ref.key()]

    def rule(new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node | Ref:
        if node.op == "matrix_multiply" and len(node.shape) == 2 and all(map(_reads_by_columns, readers[node.number])):
            a, b = (ref if _is_matrix(ref) else once(new, ref) for ref in inputs)
            product = new.add(node.op, (_turned(b), _turned(a)), (), node.shape[::-1], node.dtype)
            return _turned(product.ref())
        if node.op == "matrix_multiply":
            inputs = tuple(ref.expand((*node.shape[:-2], *ref.shape[-2:])) for ref in inputs)
            inputs = tuple(ref if _is_matrix(ref) else once(new, ref) for ref in inputs)
        elif node.op == "cat":
            while len(inputs) > OPERANDS_READ:
                parts = [inputs[i : i + OPERANDS_READ] for i in range(0, len(inputs), OPERANDS_READ)]
                inputs = tuple(_joined(new, node, part) for part in parts)
        elif node.op not in ANY_WALK:
            inputs = tuple(ref if ref.is_whole() and ref.node.op not in UNSTORED else once(new, ref) for ref in inputs)
        return new.add(node.op, inputs, node.args, node.shape, node.dtype)

    return graph.rebuild(rule)


def _joined(new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Ref:
    """Join some of the operands of a join."""
    (dim,) = node.args
    shape = (*node.shape[:dim], sum(ref.shape[dim] for ref in inputs), *node.shape[dim + 1 :])
    return new.add("cat", inputs, node.args, shape, node.dtype).ref()


def _turned(ref: Ref) -> Ref:
    """Exchange rows and columns."""
    return Ref(ref.node, ref.shape[::-1], ref.strides[::-1], ref.start)


def _reads_by_columns(ref: Ref) -> bool:
    """Tell whether a walk goes through a whole matrix column by column."""
    rows, columns = ref.node.shape
    turned = ref.shape == (columns, rows) and ref.strides == (1, columns) and ref.start == 0
    return turned and min(rows, columns) > 1


def _is_matrix(ref: Ref) -> bool:
    """Tell whether BLAS reads an operand: rows or columns contiguous, from the start to the end of a result."""
    if len(ref.shape) != 2 or ref.node.op in UNSTORED or ref.start or ref.size != ref.node.size:
        return False
    (rows, columns), (down, across) = ref.shape, ref.strides
    by_rows = (across == 1 or columns == 1) and (down == columns or rows == 1)
    by_columns = (down == 1 or rows == 1) and (across == rows or columns == 1)
    return by_rows or by_columns


def copied(new: Graph, ref: Ref) -> Ref:
    """Append a copy of a walk."""
    copy = new.add("map", (ref,), (elements.identity,), ref.shape, ref.dtype)
    return copy.ref()
