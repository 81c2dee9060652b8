"""No two results that are alive at once share memory."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch.compiler.emit.grouping import inlined, moments_of
from minitorch.compiler.graph import Graph, Node
from minitorch.compiler.passes.memory import ALIGNMENT, Free, Layout, aligned, plan_memory
from minitorch.compiler.passes.simplify import drop_dead
from minitorch.compiler.passes.split import Schedule, split
from minitorch.kernels import elements

from ..walks import apply, batched_graphs, source


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


Life = tuple[int, int, tuple[int, int]]  # the first and the last moment, and the place: start and bytes


def check_lives(lives: list[Life], size: int) -> int:
    """Check that no two lives share memory at the same time; give the bytes that they would need side by side."""
    for i, (first, last, place) in enumerate(lives):
        assert place[0] % ALIGNMENT == 0
        assert sum(place) <= size
        for other_first, other_last, other in lives[:i]:
            assert not (max(first, other_first) <= min(last, other_last) and overlap(place, other))
    return sum(aligned(place[1]) for _, _, place in lives)


def check(schedule: Schedule, inside: set[int], elsewhere: set[int], extra: dict[int, int]) -> Layout:
    written = groups_of(schedule, inside)
    moments = moments_of(schedule, written, inside)
    memory = plan_memory(schedule, written, moments, elsewhere, extra)
    kernels = [pair for pairs in zip(written, moments, strict=True) for pair in zip(*pairs, strict=True)]
    moment = {node.number: moment for group, moment in kernels for node in group}
    readers = kernels_that_read(schedule, set(moment))
    arena: list[Life] = []
    side_by_side = [0]
    for number, groups in enumerate(written):
        position = {node.number: p for p, group in enumerate(groups) for node in group}
        lives: list[Life] = []
        for p, group in enumerate(groups):
            for node in group:
                assert (node.number in memory.arena) + (node.number in memory.scratch) == (node.number not in elsewhere)
                begin, read = moment[node.number], readers[node.number]
                if node.number in memory.arena:
                    place = memory.arena[node.number], bytes_of(schedule, node, in_scratch=False)
                    arena.append((begin, max([begin, *(moment[n] for n in read)]), place))
                if node.number in memory.scratch:
                    assert schedule.is_batched(node)
                    assert {schedule.stage[n] for n in read} <= {number}
                    place = memory.scratch[node.number], bytes_of(schedule, node, in_scratch=True)
                    lives.append((p, max([p, *(position[n] for n in read)]), place))
            if extra.get(group[0].number):
                lives.append((p, p, (memory.scratch[-1 - group[0].number], extra[group[0].number])))
        side_by_side.append(check_lives(lives, memory.scratch_bytes))
    assert memory.scratch_bytes <= max(side_by_side)
    assert memory.arena_bytes <= check_lives(arena, memory.arena_bytes)
    return memory


def groups_of(schedule: Schedule, inside: set[int]) -> list[list[list[Node]]]:
    """Make a kernel of each node; a maximum and its places are written by one."""
    written = [[[n] for n in stage.nodes if n.number not in inside] for stage in schedule.stages]
    for groups in written:
        for i in range(len(groups) - 1, 0, -1):
            if (groups[i - 1][-1].op, groups[i][0].op) == ("max", "max_place"):
                groups[i - 1 : i + 1] = [groups[i - 1] + groups[i]]
    return written


@settings(max_examples=150)
@given(batched_graphs(), st.data())
def test_results_that_are_alive_at_once_do_not_overlap(drawn: tuple[Graph, int], data: st.DataObject) -> None:
    graph, batch = drawn
    schedule = split(drop_dead(graph), batch)
    inside = inlined(schedule.graph, schedule.stage) if data.draw(st.booleans()) else set()
    elsewhere = {n.number for n in schedule.graph if n.op == "input"} | {r.node.number for r in schedule.graph.outputs}
    kernels = [group[0].number for groups in groups_of(schedule, inside) for group in groups]
    extra = {n: data.draw(st.sampled_from([0, 1, 64, 200]), label="scratch") for n in kernels}
    check(schedule, inside, elsewhere, extra)


@pytest.mark.parametrize("batch", [16, 0])
def test_a_chain_takes_turns_in_two_places(batch: int) -> None:
    """With a batch they are in the scratch, a chunk's worth each; without one in the arena."""
    graph = Graph()
    node = source(graph, 16, 8)
    for _ in range(6):
        node = apply(graph, elements.neg, node)
    graph.outputs = [node.ref()]
    schedule = split(graph, batch)
    memory = check(schedule, set(), {0, node.number}, {})
    assert len({*memory.scratch.values(), *memory.arena.values()}) == 2
    size = 2 * 8 * 8
    sizes = (0, size * schedule.chunk) if batch else (size * 16, 0)
    assert (memory.arena_bytes, memory.scratch_bytes) == sizes


def test_what_kernels_of_one_moment_read_is_given_on_behind_them() -> None:
    graph = Graph()
    x = source(graph, 8)
    first = [apply(graph, function, x) for function in (elements.neg, elements.exp)]
    second = [apply(graph, elements.neg, node) for node in first]
    third = apply(graph, elements.add, *second)
    graph.outputs = [apply(graph, elements.neg, third).ref()]
    memory = check(split(graph, 0), set(), {x.number, graph.outputs[0].node.number}, {})
    places = [memory.arena[node.number] for node in (*first, *second)]
    assert len(set(places)) == 4
    assert memory.arena[third.number] in places[:2]
    assert memory.arena_bytes == 4 * 8 * 8


def test_what_was_given_back_last_is_taken_first_where_it_is_large_enough() -> None:
    free = Free()
    a, _, b, _, c = (free.take(size) for size in (128, 64, 128, 64, 64))
    for start, size in ((b, 128), (a, 128), (c, 64)):
        free.give_back(start, size)
    assert [free.take(size) for size in (128, 64, 64)] == [a, c, b]
    assert free.take(128) == 448  # half of what is at ``b`` is left, and too small


def test_neighbours_that_are_given_back_are_one_place() -> None:
    free = Free()
    starts = [free.take(64) for _ in range(3)]
    for start in (starts[0], starts[2], starts[1]):
        free.give_back(start, 64)
    assert free.take(192) == 0
    assert free.end == 192


def test_what_a_later_stage_reads_stays_in_the_arena() -> None:
    graph = Graph()
    x = source(graph, 16, 8)
    kept = apply(graph, elements.neg, x)
    whole = graph.add("reduce", (kept.ref(),), (elements.maximum, 0.0, (0,)), (1, 8), x.dtype)
    graph.outputs = [apply(graph, elements.add, kept, whole.ref().expand((16, 8))).ref()]
    schedule = split(graph, 16)
    memory = check(schedule, set(), {x.number, graph.outputs[0].node.number}, {})
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
