"""Decide where each result lives (pass 5).

Inputs are the caller's tensors and arrays, and outputs tensors that the runtime prepares (``runtime.py``). All other
results that are written at all share two pieces of memory, allocated once: results that one region makes and no later
stage reads live in the *scratch* of the thread that runs the chunk, a chunk's worth each, and give their place to
others as soon as their last reader has run; the rest live side by side in the *arena*. Nothing is allocated in a step.
"""

from __future__ import annotations

from dataclasses import dataclass

from .graph import Node
from .split import Schedule

__all__ = ["ALIGNMENT", "HEAD", "LANES", "OPERANDS", "OPERANDS_READ", "Free", "Layout", "aligned", "plan_memory"]

# Arrays begin at multiples of this many bytes: a cache line, and the widest vector.
ALIGNMENT = 64

# The scratch of a thread begins with the addresses of the operands of the kernel that runs, and the sums that a long
# sum is divided into, which vector instructions add up side by side.
OPERANDS, LANES = 64, 32
HEAD = 8 * (OPERANDS + LANES)

# Operands that one loop reads at most: it may write as many.
OPERANDS_READ = OPERANDS // 2


@dataclass
class Layout:
    """Places in bytes, by node number, and how large the pieces are."""

    arena: dict[int, int]
    scratch: dict[int, int]
    arena_bytes: int
    scratch_bytes: int

    def __len__(self) -> int:
        return len(self.arena) + len(self.scratch)

    def __str__(self) -> str:
        lines = []
        for name, places, size in [
            ("arena", self.arena, self.arena_bytes),
            ("scratch of each thread", self.scratch, self.scratch_bytes),
        ]:
            lines.append(f"{name}: {size} bytes")
            for number, place in sorted(places.items(), key=lambda item: item[1]):
                lines.append(f"{place:>10}  {f'v{number}' if number >= 0 else f'work of v{-1 - number}'}")
        return "\n".join(lines)


def plan_memory(
    schedule: Schedule, written: list[list[list[Node]]], elsewhere: set[int], extra: dict[int, int]
) -> Layout:
    """Lay results out.

    Args:
        schedule: the stages.
        written: for each stage, in order, the nodes whose results one kernel writes.
        elsewhere: the numbers of inputs, outputs, and results that are never written.
        extra: bytes of scratch that a kernel needs while it runs, by the number of its first node; their place is
            under ``-1 - number``.
    """
    last_stage: dict[int, int] = {}
    for node in schedule.graph:
        for ref in node.inputs:
            last_stage[ref.node.number] = max(last_stage.get(ref.node.number, -1), schedule.stage[node.number])
    memory = Layout({}, {}, 0, 0)
    for number, groups in enumerate(written):
        free = Free()
        ends: list[tuple[int, int, int]] = []  # the last kernel that reads it, start, bytes
        last = _last_readers(schedule, groups)
        for position, group in enumerate(groups):
            for end in [end for end in ends if end[0] < position]:
                free.give_back(end[1], end[2])
                ends.remove(end)
            for node in group:
                if node.number in elsewhere:
                    continue
                if schedule.is_batched(node) and last_stage.get(node.number, number) == number:
                    size = aligned(node.size // schedule.batch * schedule.chunk * node.dtype.itemsize)
                    memory.scratch[node.number] = start = free.take(size)
                    ends.append((max(position, last.get(node.number, position)), start, size))
                else:
                    memory.arena[node.number] = memory.arena_bytes
                    memory.arena_bytes += aligned(node.size * node.dtype.itemsize)
            if need := aligned(extra.get(group[0].number, 0)):
                memory.scratch[-1 - group[0].number] = start = free.take(need)
                free.give_back(start, need)
        memory.scratch_bytes = max(memory.scratch_bytes, free.end)
    return memory


def _last_readers(schedule: Schedule, groups: list[list[Node]]) -> dict[int, int]:
    """Find the last kernel that reads each node, directly or through what is computed inside its loop."""
    positions = {node.number: i for i, group in enumerate(groups) for node in group}
    kernel_of = dict(positions)
    last: dict[int, int] = {}
    # A node without a kernel of its own is computed in its only reader's.
    for node in reversed(schedule.graph.nodes):
        if node.number not in kernel_of and node.number in last:
            kernel_of[node.number] = last[node.number]
        if node.number in kernel_of:
            for ref in node.inputs:
                last[ref.node.number] = max(last.get(ref.node.number, -1), kernel_of[node.number])
    return last


def aligned(size: int) -> int:
    """Round a number of bytes up to where the next array may begin."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class Free:
    """Memory that can be had again: the first gap that is large enough."""

    def __init__(self) -> None:
        self.gaps: list[tuple[int, int]] = []
        self.end = 0

    def take(self, size: int) -> int:
        """Give the start of a piece."""
        for i, (start, length) in enumerate(self.gaps):
            if length >= size:
                self.gaps[i : i + 1] = [(start + size, length - size)] if length > size else []
                return start
        start = self.end
        self.end += size
        return start

    def give_back(self, start: int, size: int) -> None:
        """Make a piece available, joined with the gaps beside it."""
        merged: list[tuple[int, int]] = []
        for gap in sorted([*self.gaps, (start, size)]):
            if merged and merged[-1][0] + merged[-1][1] == gap[0]:
                merged[-1] = (merged[-1][0], merged[-1][1] + gap[1])
            else:
                merged.append(gap)
        self.gaps = merged
