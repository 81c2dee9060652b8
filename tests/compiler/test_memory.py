"""No two results that are alive at once share memory."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch.compiler.graph import Graph, Node
from minitorch.compiler.grouping import inlined
from minitorch.compiler.memory import ALIGNMENT, Layout, plan_memory
from minitorch.compiler.simplify import drop_dead
from minitorch.compiler.split import Schedule, split
from minitorch.kernels import elements

from .walks import apply, batched_graphs, source


def kernels_that_read(schedule: Schedule, written: set[int]) -> dict[int, set[int]]:
    """Find for each result the nodes with a kernel that read it, also through what is computed in their loops."""
    users = schedule.graph.users()
    found: dict[int, set[int]] = {}
    for node in reversed(schedule.graph.nodes):
        found[node.number] = set()
        for user in users[node.number]:
            found[node.number] |= {user.number} if user.number in written else found[user.number]
    return found


def bytes_of(schedule: Schedule, node: Node, in_scratch: bool) -> int:
    """Count what a result needs: all of it, or a chunk's worth."""
    images = schedule.batch if schedule.batch else 1
    return node.size * node.dtype.itemsize * (schedule.chunk if in_scratch else images) // images


def overlap(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return max(a[0], b[0]) < min(a[0] + a[1], b[0] + b[1])


def check(schedule: Schedule, written: list[list[list[Node]]], elsewhere: set[int], extra: dict[int, int]) -> Layout:
    memory = plan_memory(schedule, written, elsewhere, extra)
    with_kernel = {node.number for groups in written for group in groups for node in group}
    readers = kernels_that_read(schedule, with_kernel)
    arena = []
    for number, groups in enumerate(written):
        position = {node.number: p for p, group in enumerate(groups) for node in group}
        lives: list[tuple[int, int, tuple[int, int]]] = []  # first kernel, last kernel, place
        for p, group in enumerate(groups):
            for node in group:
                assert (node.number in memory.arena) + (node.number in memory.scratch) == (node.number not in elsewhere)
                if node.number in memory.arena:
                    arena.append((memory.arena[node.number], bytes_of(schedule, node, in_scratch=False)))
                    assert sum(arena[-1]) <= memory.arena_bytes
                if node.number in memory.scratch:
                    assert schedule.is_batched(node)
                    assert {schedule.stage[n] for n in readers[node.number]} <= {number}
                    place = memory.scratch[node.number], bytes_of(schedule, node, in_scratch=True)
                    lives.append((p, max([p, *(position[n] for n in readers[node.number])]), place))
            if extra.get(group[0].number):
                lives.append((p, p, (memory.scratch[-1 - group[0].number], extra[group[0].number])))
        for i, (first, last, place) in enumerate(lives):
            assert place[0] % ALIGNMENT == 0
            assert sum(place) <= memory.scratch_bytes
            for other_first, other_last, other in lives[:i]:
                assert not (max(first, other_first) <= min(last, other_last) and overlap(place, other))
    assert not any(overlap(a, b) for i, a in enumerate(arena) for b in arena[:i])
    assert all(start % ALIGNMENT == 0 for start, _ in arena)
    return memory


@settings(max_examples=150)
@given(batched_graphs(), st.data())
def test_results_that_are_alive_at_once_do_not_overlap(drawn: tuple[Graph, int], data: st.DataObject) -> None:
    graph, batch = drawn
    schedule = split(drop_dead(graph), batch)
    inside = inlined(schedule.graph, schedule.stage) if data.draw(st.booleans()) else set()
    written = [[[n] for n in stage.nodes if n.number not in inside] for stage in schedule.stages]
    # A maximum and its places are written by one kernel.
    for groups in written:
        for i in range(len(groups) - 1, 0, -1):
            if (groups[i - 1][-1].op, groups[i][0].op) == ("max", "max_place"):
                groups[i - 1 : i + 1] = [groups[i - 1] + groups[i]]
    elsewhere = {n.number for n in schedule.graph if n.op == "input"} | {r.node.number for r in schedule.graph.outputs}
    kernels = [group[0].number for groups in written for group in groups]
    extra = {n: data.draw(st.sampled_from([0, 1, 64, 200]), label="scratch") for n in kernels}
    check(schedule, written, elsewhere, extra)


def test_a_chain_takes_turns_in_two_places() -> None:
    graph = Graph()
    node = source(graph, 16, 8)
    for _ in range(6):
        node = apply(graph, elements.neg, node)
    graph.outputs = [node.ref()]
    schedule = split(graph, 16)
    written = [[[n] for n in stage.nodes] for stage in schedule.stages]
    memory = check(schedule, written, {0, node.number}, {})
    assert len(set(memory.scratch.values())) == 2
    assert memory.scratch_bytes == 2 * schedule.chunk * 8 * 8
    assert memory.arena_bytes == 0


def test_what_a_later_stage_reads_stays_in_the_arena() -> None:
    graph = Graph()
    x = source(graph, 16, 8)
    kept = apply(graph, elements.neg, x)
    whole = graph.add("reduce", (kept.ref(),), (elements.maximum, 0.0, (0,)), (1, 8), x.dtype)
    graph.outputs = [apply(graph, elements.add, kept, whole.ref().expand((16, 8))).ref()]
    schedule = split(graph, 16)
    written = [[[n] for n in stage.nodes] for stage in schedule.stages]
    memory = check(schedule, written, {x.number, graph.outputs[0].node.number}, {})
    assert kept.number in memory.arena
    assert memory.scratch_bytes == 0


def test_places_are_printed_in_order() -> None:
    assert str(Layout({3: 64, 2: 0}, {-5: 128, 7: 0}, 96, 192)).splitlines() == [
        "arena: 96 bytes",
        "         0  v2",
        "        64  v3",
        "scratch of each thread: 192 bytes",
        "         0  v7",
        "       128  work of v4",
    ]
