"""Join operations that one kernel computes better than several (pass 3).

Around a convolution: its bias and the ReLU behind it are applied while its results are in registers, and a maximum
over windows is taken while they are in the first-level cache, so that they are never written. Where that happens the
gradient that comes back is a list of values and places, and the convolution's own gradients read the list: behind a
4 x 4 window they touch one element in sixteen.

Element-wise operations are joined with their only reader: they become part of its loop, and their result is never
written either. That is decided here too (:func:`inlined`), and done when the loops are written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ..kernels import elements
from ..kernels.geometry import Geometry
from .graph import Graph, Node, Ref, compose
from .memory import OPERANDS
from .simplify import POINTWISE, drop_dead

__all__ = ["fuse", "inlined", "kernels", "lay_out"]

# Operands that one loop reads at most: a kernel has memory for the addresses of twice as many.
OPERANDS_READ = OPERANDS // 2

# The gradients of weight and input from a list of values take some ten nanoseconds for a value and output channel,
# however few the channels are: as long as so many multiplications take in the kernels that read all of an image.
FEW_MULTIPLICATIONS = 256

# Operations that read walks of any kind; all others read results that are contiguous.
ANY_WALK = (*POINTWISE, "reduce", "matrix_multiply", "cat")


def fuse(graph: Graph) -> Graph:
    """Join what surrounds a convolution with it."""
    users = graph.users()
    wanted = {ref.node.number for ref in graph.outputs}
    lines: dict[Any, Ref] = {}  # images ``batch x width x channel``

    def only(node: Node, *readers: str) -> bool:
        """Tell whether a result is read by these operations alone."""
        return node.number not in wanted and all(user.op in readers for user in users[node.number])

    def listed(node: Node, inputs: tuple[Ref, ...], i: int) -> Node | None:
        """Find the list of values and places behind an operand, where it pays to read the list."""
        put = _sparse(inputs[i])
        return put if put and _pays(put, users[node.inputs[i].node.number]) else None

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
            whole = conv.node.op == "conv_act" and conv.shape == conv.node.shape and not _has_gaps(conv.node.args[0])
            if window and whole and only(old, *pools) and alike:
                op = "conv_pool_place" if node.op.endswith("place") else "conv_pool"
                return new.add(op, conv.node.inputs, (*conv.node.args, conv.shape, window), node.shape, node.dtype)
        if node.op in ("put", "take") and inputs[1].node.op == "conv_pool_place":
            # These places count from the corner of an image's channel.
            shape = inputs[1].node.args[3]
            return new.add(node.op, inputs, (shape,), node.shape, node.dtype)
        if node.op == "conv_weight" and _is_plain(node.args[1]) and (put := listed(node, inputs, 1)):
            if put.inputs[0].shape[2:] == (1,):
                turned = Ref(inputs[0].node, *_last_two_turned(inputs[0]), inputs[0].start)
                if turned.key() not in lines:
                    lines[turned.key()] = _copied(new, turned)
                operands = (lines[turned.key()], *put.inputs)
                return new.add("conv_line_weight", operands, node.args[1], node.shape, node.dtype)
            args = (node.args[1], put.shape)
            return new.add("conv_weight_at", (inputs[0], *put.inputs), args, node.shape, node.dtype)
        if node.op == "conv":
            if _is_plain(node.args[0]) and (put := listed(node, inputs, 0)):
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

    return drop_dead(_with_bias(graph.rebuild(rule)))


def _with_bias(graph: Graph) -> Graph:
    """Let the gradient of a bias come from the kernel that computes the weight's: it reads the same numbers."""
    weights = {node.inputs[1].key(): node for node in graph if node.op == "conv_weight" and not _has_gaps(node.args[1])}

    def rule(new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node | None:
        if node.op != "reduce" or node.args[0] is not elements.add or node.args[1] != 0:
            return None
        (gradient,) = node.inputs
        weight = weights.get(gradient.key())
        along = tuple(d for d in range(len(gradient.shape)) if d != 1)
        if weight is None or node.args[2] != along or weight.inputs[0].node.number > node.number:
            return None
        # The weight's gradient may come later, but what it reads is there: node by node the new graph is like the old.
        operands = [Ref(new.nodes[ref.node.number], ref.shape, ref.strides, ref.start) for ref in weight.inputs]
        return new.add("conv_bias", operands, weight.args, node.shape, node.dtype)

    return graph.rebuild(rule)


def _is_plain(geometry: Sequence[Geometry]) -> bool:
    """Tell whether windows move by one over inputs side by side, as the kernels for lists of values need it."""
    return all(g.stride == 1 and g.spread == 1 for g in geometry)


def _has_gaps(geometry: Sequence[Geometry]) -> bool:
    """Tell whether there are zeros between the inputs, so that the outputs are computed in parts."""
    return any(g.spread != 1 for g in geometry)


def _swapped(weight: Ref) -> Ref:
    """Exchange the two channel dimensions of a weight."""
    (a, b, *shape), (s, t, *strides) = weight.shape, weight.strides
    return Ref(weight.node, (b, a, *shape), (t, s, *strides), weight.start)


def _is_bias(ref: Ref, conv: Node) -> bool:
    """Tell whether an operand is one number for each output channel."""
    along = [d for d, (n, s) in enumerate(zip(ref.shape, ref.strides, strict=True)) if n != 1 and s != 0]
    return ref.shape == conv.shape and (along == [1] or not along)


def _last_two_turned(ref: Ref) -> tuple[tuple[int, ...], tuple[int, ...]]:
    (*shape, a, b), (*strides, s, t) = ref.shape, ref.strides
    return (*shape, b, a), (*strides, t, s)


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


def _pays(put: Node, readers: Sequence[Node]) -> bool:
    """Tell whether the gradients of a convolution are faster from the list than from the whole image.

    For the weight alone they always are. With the input's, it depends on the multiplications that a value would stand
    for: the taps that see it, times the places of its window, for both gradients; the input's has its channels in
    fours.
    """
    for reader in readers:
        if reader.op == "conv":
            channels, _, *kernel = reader.inputs[1].shape
            window = math.prod(put.shape[2:]) / math.prod(put.inputs[0].shape[2:])
            return (channels + -(-channels // 4) * 4) * math.prod(kernel) * window >= FEW_MULTIPLICATIONS
    return True


# --- operands --------------------------------------------------------------------------------------------------


def lay_out(graph: Graph) -> Graph:
    """Copy the operands whose walk their reader cannot follow; turn the products that are only read turned.

    Every output becomes a node of its own, written in order.
    """
    return drop_dead(_with_operands_to_walk(_with_own_outputs(graph)))


def _with_own_outputs(graph: Graph) -> Graph:
    """Copy what is wanted of a view, an input or a constant, or wanted twice."""
    new = graph.rebuild(lambda new, node, inputs: None)
    taken: set[int] = set()
    for i, ref in enumerate(new.outputs):
        own = ref.is_whole() and ref.node.op not in ("input", "constant", "number") and ref.node.number not in taken
        if not own:
            new.outputs[i] = _copied(new, ref)
        taken.add(new.outputs[i].node.number)
    return new


def _with_operands_to_walk(graph: Graph) -> Graph:
    readers: dict[int, list[Ref]] = {node.number: [] for node in graph}
    for ref in (*graph.outputs, *(ref for node in graph for ref in node.inputs)):
        readers[ref.node.number].append(ref)

    copies: dict[Any, Ref] = {}

    def copied(new: Graph, ref: Ref) -> Ref:
        """Copy a walk once for all its readers: those of one kernel must see the same operand."""
        if ref.key() not in copies:
            copies[ref.key()] = _copied(new, ref)
        return copies[ref.key()]

    def rule(new: Graph, node: Node, inputs: tuple[Ref, ...]) -> Node | Ref:
        if node.op == "matrix_multiply" and len(node.shape) == 2 and all(map(_is_turned, readers[node.number])):
            a, b = (ref if _is_matrix(ref) else copied(new, ref) for ref in inputs)
            product = new.add(node.op, (_turned(b), _turned(a)), (), node.shape[::-1], node.dtype)
            return _turned(product.ref())
        if node.op == "matrix_multiply":
            inputs = tuple(ref.expand((*node.shape[:-2], *ref.shape[-2:])) for ref in inputs)
            inputs = tuple(ref if _is_matrix(ref) else copied(new, ref) for ref in inputs)
        elif node.op == "cat":
            while len(inputs) > OPERANDS_READ:
                parts = [inputs[i : i + OPERANDS_READ] for i in range(0, len(inputs), OPERANDS_READ)]
                inputs = tuple(_joined(new, node, part) for part in parts)
        elif node.op not in ANY_WALK:
            inputs = tuple(ref if ref.is_whole() and ref.node.op != "constant" else copied(new, ref) for ref in inputs)
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


def _is_turned(ref: Ref) -> bool:
    """Tell whether a walk goes through a whole matrix column by column."""
    rows, columns = ref.node.shape
    turned = ref.shape == (columns, rows) and ref.strides == (1, columns) and ref.start == 0
    return turned and min(rows, columns) > 1


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
    # How the loop that a node is computed in walks the node's result; whose loop that is, and what it reads.
    walks: dict[int, Ref] = {}
    home: dict[int, int] = {}
    reads: dict[int, int] = {}
    inside = {node.number for node in graph if node.op in ("constant", "number")}
    for node in reversed(graph.nodes):
        if node.op not in POINTWISE or node.number in wanted or len(users[node.number]) != 1:
            continue
        (reader,) = users[node.number]
        if reader.op not in (*POINTWISE, "reduce") or stage[reader.number] != stage[node.number]:
            continue
        (ref,) = (r for r in reader.inputs if r.node is node)
        walk = compose(walks[reader.number], ref) if reader.number in inside else ref
        loop = home.get(reader.number, reader.number)
        together = reads.get(loop, len(reader.inputs)) + len(node.inputs) - 1
        if together > OPERANDS_READ:
            continue
        if walk and walk.size <= node.size and all(compose(walk, operand) for operand in node.inputs):
            walks[node.number] = walk
            home[node.number], reads[loop] = loop, together
            inside.add(node.number)
    return inside


# --- kernels ---------------------------------------------------------------------------------------------------

# A maximum and its places are found together.
PAIRS = {"max": "max_place", "max_pool": "max_pool_place", "conv_pool": "conv_pool_place"}

# What one kernel computes beside something else.
TOGETHER = {**PAIRS, "conv_at": "conv_weight_at", "conv_weight": "conv_bias"}
EITHER = {*TOGETHER, *TOGETHER.values()}


def kernels(nodes: Sequence[Node], inside: set[int], batched: Callable[[Node], bool]) -> list[list[Node]]:
    """Divide the operations of a stage into kernels, and put these in order.

    Element-wise results of one shape become one loop, wherever a loop between them does not have to finish first: an
    optimiser's averages and the parameter that they move are then computed together, element by element.

    Args:
        nodes: of the stage.
        inside: the numbers of those that are computed in their reader's loop.
        batched: tells whether a node is divided over the batch.

    Returns:
        For each kernel the nodes whose results it computes.
    """
    own = [node for node in nodes if node.number not in inside]
    groups: list[list[Node]] = []
    for node in own:
        alone = [group for group in groups if len(group) == 1] if node.op in EITHER else []
        if group := next((group for group in alone if _together(group[0], node)), None):
            group.append(node)
        elif group := next((group for group in alone if _together(node, group[0])), None):
            group.insert(0, node)
        else:
            groups.append([node])
    reads = {node.number: _reads(node, inside) for node in own}
    for group in list(groups):
        if group[0].op not in POINTWISE:
            continue
        order = _ordered(groups, reads)
        for earlier in groups[: groups.index(group)]:
            if _same_loop(earlier[0], group[0], batched) and _can_join(earlier, group, order, reads):
                earlier += group
                groups.remove(group)
                break
    return _ordered(groups, reads)


def _together(first: Node, second: Node) -> bool:
    """Tell whether one kernel of the library computes two results."""
    if TOGETHER.get(first.op) != second.op or first.args != second.args:
        return False
    one, other = [ref.key() for ref in first.inputs], [ref.key() for ref in second.inputs]
    # One pass over a list of values gives the gradients of input and weight.
    return one[:2] == other[1:] if first.op == "conv_at" else one == other


def _reads(node: Node, inside: set[int]) -> list[Ref]:
    """List the results that a kernel reads, as its loop walks them."""
    found = []
    stack = [(ref, ref) for ref in node.inputs]
    while stack:
        walk, ref = stack.pop()
        if ref.node.number not in inside:
            found.append(walk)
            continue
        for operand in ref.node.inputs:
            composed = compose(walk, operand)
            assert composed is not None
            stack.append((composed, operand))
    return found


def _same_loop(a: Node, b: Node, batched: Callable[[Node], bool]) -> bool:
    """Tell whether two results are computed by loops over the same shape; sizes of 1 do not count."""
    if a.op not in POINTWISE or batched(a) != batched(b):
        return False
    return [n for n in a.shape if n != 1] == [n for n in b.shape if n != 1]


def _can_join(earlier: list[Node], group: list[Node], order: list[list[Node]], reads: dict[int, list[Ref]]) -> bool:
    """Tell whether a kernel can be computed in an earlier one's loop: element by element, with nothing between."""
    members = {node.number for node in earlier}
    operands = {(ref.node.number, ref.start) for node in (*earlier, *group) for ref in reads[node.number]}
    if len(operands) + len(earlier) + len(group) > OPERANDS_READ:
        return False
    if any(ref.node.number in members and not ref.is_whole() for node in group for ref in reads[node.number]):
        return False
    # What depends on the earlier kernel must not be needed by the later one.
    after = set(members)
    for other in order:
        if other is earlier:
            continue
        depends = any(ref.node.number in after for node in other for ref in reads[node.number])
        if other is group:
            return not any(
                ref.node.number in after and ref.node.number not in members
                for node in group
                for ref in reads[node.number]
            )
        if depends:
            after |= {node.number for node in other}
    return True


def _ordered(groups: list[list[Node]], reads: dict[int, list[Ref]]) -> list[list[Node]]:
    """Put kernels in an order in which each comes after all that it reads."""
    home = {node.number: i for i, group in enumerate(groups) for node in group}
    done: set[int] = set()
    order: list[list[Node]] = []

    for first in range(len(groups)):
        stack = [first]
        while stack:
            i = stack[-1]
            sources = [ref.node.number for node in groups[i] for ref in reads[node.number]]
            needs = [home[number] for number in sources if number in home]
            missing = [] if i in done else [j for j in needs if j != i and j not in done]
            if missing:
                stack += missing[::-1]
                continue
            if i not in done:
                done.add(i)
                order.append(groups[i])
            stack.pop()
    return order
