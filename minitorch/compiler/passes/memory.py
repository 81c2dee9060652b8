"""Decide where each result lives (pass 5).

Inputs are the caller's tensors and arrays, and outputs tensors that the runtime prepares (``runtime.py``). All other
results that are written at all share two pieces of memory, allocated once: results that one region makes and no later
stage reads live in the *scratch* of the thread that runs the chunk, a chunk's worth each, and the rest in the *arena*.
In both, a result gives its place to others as soon as its last reader has run. Nothing is allocated in a step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..graph import Graph, Node
from .split import Schedule

__all__ = ["ALIGNMENT", "HEAD", "OPERANDS", "OPERANDS_READ", "SIDE_SUMS", "Free", "Layout", "aligned", "plan_memory"]

# Arrays begin at multiples of this many bytes: a cache line, and the widest vector.
ALIGNMENT = 64

# The scratch of a thread begins with the addresses of the operands of the kernel that runs, and the sums that a long
# sum is divided into, which vector instructions add up side by side.
OPERANDS, SIDE_SUMS = 64, 32
HEAD = 8 * (OPERANDS + SIDE_SUMS)

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


@dataclass(frozen=True)
class _Life:
    """A result, or what a kernel works in: by number, from when to when it is there, and how many bytes it needs."""

    number: int
    first: int
    last: int
    size: int


def plan_memory(
    schedule: Schedule,
    written: list[list[list[Node]]],
    moments: list[list[int]],
    elsewhere: set[int],
    extra: dict[int, int],
) -> Layout:
    """Lay results out.

    Args:
        schedule: the stages.
        written: for each stage, in order, the nodes whose results one kernel writes.
        moments: for each stage, when these kernels run. Those of one moment may run side by side, so in the arena a
            place is given on in a later moment only. Within a chunk they run one after another, in order.
        elsewhere: the numbers of inputs, outputs, and results that are never written.
        extra: bytes of scratch that a kernel needs while it runs, by the number of its first node; their place is
            under ``-1 - number``.
    """
    last_stage: dict[int, int] = {}
    for node in schedule.graph:
        for ref in node.inputs:
            last_stage[ref.node.number] = max(last_stage.get(ref.node.number, -1), schedule.stage[node.number])
    memory = Layout({}, {}, 0, 0)
    begin: dict[int, int] = {}  # the moment at which each result is written
    whole: dict[int, int] = {}  # the bytes of those in the arena
    for number, groups in enumerate(written):
        positions = {node.number: position for position, group in enumerate(groups) for node in group}
        last = _last_read(schedule.graph, positions)
        chunks: list[_Life] = []
        for position, (group, moment) in enumerate(zip(groups, moments[number], strict=True)):
            for node in group:
                begin[node.number] = moment
                if node.number in elsewhere:
                    continue
                if schedule.is_batched(node) and last_stage.get(node.number, number) == number:
                    size = node.size // schedule.batch * schedule.chunk * node.dtype.itemsize
                    chunks.append(_Life(node.number, position, last.get(node.number, position), aligned(size)))
                else:
                    whole[node.number] = aligned(node.size * node.dtype.itemsize)
            if need := aligned(extra.get(group[0].number, 0)):
                chunks.append(_Life(-1 - group[0].number, position, position, need))
        places, size = _places(chunks)
        memory.scratch |= places
        memory.scratch_bytes = max(memory.scratch_bytes, size)
    last = _last_read(schedule.graph, begin)
    lives = (_Life(n, begin[n], last.get(n, begin[n]), size) for n, size in whole.items())
    memory.arena, memory.arena_bytes = _places(lives)
    return memory


def _last_read(graph: Graph, times: Mapping[int, int]) -> dict[int, int]:
    """Find when each node is read for the last time, directly or through what is computed inside a loop.

    Args:
        graph: the graph.
        times: when the kernels run that compute its nodes, by number; nodes that are not listed have none of their own.
    """
    kernel_at = dict(times)
    last: dict[int, int] = {}
    for node in reversed(graph.nodes):
        # A node without a kernel of its own is computed in its only reader's.
        if node.number not in kernel_at and node.number in last:
            kernel_at[node.number] = last[node.number]
        if node.number in kernel_at:
            for ref in node.inputs:
                last[ref.node.number] = max(last.get(ref.node.number, -1), kernel_at[node.number])
    return last


def _places(lives: Iterable[_Life]) -> tuple[dict[int, int], int]:
    """Give each life a place where no other is that is there at the same time; and the bytes of all together."""
    free = Free()
    places: dict[int, int] = {}
    alive: list[_Life] = []
    for life in sorted(lives, key=lambda life: life.first):
        for ended in sorted((other for other in alive if other.last < life.first), key=lambda other: other.last):
            free.give_back(places[ended.number], ended.size)
            alive.remove(ended)
        places[life.number] = free.take(life.size)
        alive.append(life)
    return places, free.end


def aligned(size: int, to: int = ALIGNMENT) -> int:
    """Round a number of bytes up to where the next array may begin."""
    return -(-size // to) * to


class Free:
    """Memory that can be had again: the gap that was given back last and is large enough, as it is in the cache."""

    def __init__(self) -> None:
        self.gaps: list[tuple[int, int]] = []  # start and length; the one that was given back last comes last
        self.end = 0

    def take(self, size: int) -> int:
        """Give the start of a piece."""
        for i, (start, length) in reversed(list(enumerate(self.gaps))):
            if length >= size:
                self.gaps[i : i + 1] = [(start + size, length - size)] if length > size else []
                return start
        start = self.end
        self.end += size
        return start

    def give_back(self, start: int, size: int) -> None:
        """Make a piece available, joined with the gaps beside it."""
        end = start + size
        apart: list[tuple[int, int]] = []
        for gap, length in self.gaps:
            if gap + length == start:
                start = gap
            elif gap == end:
                end = gap + length
            else:
                apart.append((gap, length))
        self.gaps = [*apart, (start, end - start)]
