"""Divide a schedule into kernels: what is computed in its reader's loop, and what in a loop of its own (behind pass 4).

Element-wise operations are joined with their only reader: they become part of its loop, and their result is never
written. That can be decided only now, because what runs in different stages has no loop in common.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..graph import UNSTORED, Graph, Node, Ref, compose, line
from ..passes.memory import OPERANDS_READ
from ..passes.simplify import POINTWISE
from ..passes.split import Schedule
from .family import PAIRS

__all__ = ["Kernels", "group_kernels", "inlined", "kernels", "moments_of", "read_by", "walks_of"]


@dataclass
class Kernels:
    """A schedule, divided into kernels.

    Attributes:
        schedule: the stages.
        inside: the numbers of the nodes that are computed in their reader's loop; what no memory holds always is.
        stages: for each stage, in order, the nodes whose results one kernel computes.
        moments: for each stage, when these kernels run: see :func:`moments_of`.
    """

    schedule: Schedule
    inside: set[int]
    stages: list[list[list[Node]]]
    moments: list[list[int]]

    def __len__(self) -> int:
        return sum(map(len, self.stages))

    def __str__(self) -> str:
        lines = []
        for stage, groups in zip(self.schedule.stages, self.stages, strict=True):
            if groups:
                lines.append(self.schedule.heading(stage))
            for nodes in groups:
                marks = ["    ", *["  + "] * (len(nodes) - 1)]
                lines += [mark + line(node) for mark, node in zip(marks, nodes, strict=True)]
                lines += [f"      in this loop: {line(node).strip()}" for node in self._joined(nodes)]
        return "\n".join(lines)

    def _joined(self, nodes: Sequence[Node]) -> Iterator[Node]:
        """Find what the loop of some results computes on the way, in order."""
        found: dict[int, Node] = {}
        stack = [ref.node for node in nodes for ref in node.inputs]
        while stack:
            node = stack.pop()
            if node.number in self.inside and node.op not in ("constant", "number"):
                found[node.number] = node
                stack += [ref.node for ref in node.inputs]
        return (found[number] for number in sorted(found))


def group_kernels(schedule: Schedule) -> Kernels:
    """Divide a schedule into kernels."""
    inside = inlined(schedule.graph, schedule.stage)
    stages = [kernels(stage.nodes, inside, schedule.is_batched) for stage in schedule.stages]
    return Kernels(schedule, inside, stages, moments_of(schedule, stages, inside))


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
    inside = {node.number for node in graph if node.op in UNSTORED}
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
    reads = {node.number: walks_of(node, inside) for node in own}
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


def walks_of(node: Node, inside: set[int]) -> list[Ref]:
    """List the results that a kernel reads, as its loop walks them; draws are operands too, a stream each."""
    found = []
    stack = [(ref, ref) for ref in node.inputs]
    while stack:
        walk, ref = stack.pop()
        if ref.node.number not in inside or ref.node.op == "uniform":
            found.append(walk)
            continue
        for operand in ref.node.inputs:
            composed = compose(walk, operand)
            assert composed is not None
            stack.append((composed, operand))
    return found


def read_by(group: Sequence[Node], inside: set[int]) -> dict[int, Node]:
    """List the nodes whose results a kernel reads, by number; ``inside`` are those that it computes for itself."""
    walks = (ref for node in group for ref in walks_of(node, inside))
    return {ref.node.number: ref.node for ref in walks if ref.node.number not in inside}


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


def moments_of(schedule: Schedule, stages: Sequence[Sequence[Sequence[Node]]], inside: set[int]) -> list[list[int]]:
    """Number the moments at which kernels run: each runs behind those that it reads, and as early as it can.

    Kernels of one moment may run at the same time, on several cores. So do all kernels of a region: each chunk goes
    through them by itself.

    Args:
        schedule: the stages.
        stages: for each stage, in order, the nodes whose results one kernel computes.
        inside: the numbers of the nodes that are computed in their reader's loop.

    Returns:
        For each stage the moment of each kernel.
    """
    moments: list[list[int]] = []
    now = 0
    for stage, groups in zip(schedule.stages, stages, strict=True):
        computed: dict[int, int] = {}  # when, by node number, in this stage
        moments.append([])
        for group in groups:
            before = [] if stage.parallel else [computed[n] for n in read_by(group, inside) if n in computed]
            moment = max(before, default=now - 1) + 1
            computed.update(dict.fromkeys((node.number for node in group), moment))
            moments[-1].append(moment)
        now = max(moments[-1], default=now - 1) + 1
    return moments


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
