"""The calls of a program, its tasks and its text; what it computes, test_machine.py and agreement/ check."""

from __future__ import annotations

import ast
import re

import pytest

from minitorch.compiler.emit.emit import emit
from minitorch.compiler.emit.grouping import group_kernels
from minitorch.compiler.emit.program import Program
from minitorch.compiler.graph import Graph, Ref
from minitorch.compiler.passes.split import split
from minitorch.kernels import elements

from ..walks import FLOAT, apply, constant, reduce, source


def program_of(graph: Graph, batch: int) -> Program:
    return emit(group_kernels(split(graph, batch)))


def functions_of(program: Program) -> dict[str, ast.FunctionDef]:
    return {f.name: f for f in ast.parse(program.source).body if isinstance(f, ast.FunctionDef)}


def test_a_chain_is_one_kernel_with_one_loop() -> None:
    graph = Graph()
    x = source(graph, 3, 4)
    y = apply(graph, elements.mul, apply(graph, elements.exp, x), constant(graph, 2.0, 3, 4))
    graph.outputs = [apply(graph, elements.neg, y).ref()]
    program = program_of(graph, 0)
    (call,) = program.calls
    kernel = functions_of(program)[call.kernel]
    assert sum(isinstance(n, ast.For) for n in ast.walk(kernel)) == 1
    assert "exp(" in program.source
    assert program.memory.arena_bytes == 0
    assert (call.extent, call.bytes) == (12, 2 * 12 * 8)


@pytest.mark.parametrize(("batch", "chunks"), [(16, 4), (17, 4), (31, 4), (64, 16), (100, 16)])
def test_a_batch_runs_in_chunks_on_several_cores_where_it_pays(batch: int, chunks: int) -> None:
    for width, pays in [(4096, True), (4, False)]:
        graph = Graph()
        x = source(graph, batch, width)
        graph.outputs = [apply(graph, elements.relu, x).ref(), reduce(graph, elements.add, x, 0).ref()]
        program = program_of(graph, batch)
        assert program.parallel is pays
        # The chunks are the same either way, and so are the bits.
        assert re.findall(r"chunk in (\w+)\((\d+)\)", program.source) == [("prange" if pays else "range", str(chunks))]
        tasks = program.waves[0].tasks[:chunks]
        assert [task.begin for task in tasks] == [0, *(task.end for task in tasks[:-1])]
        assert tasks[-1].end == batch
        sizes = [task.end - task.begin for task in tasks]
        assert max(sizes) - min(sizes) <= 1


def test_a_small_batch_does_not() -> None:
    graph = Graph()
    graph.outputs = [apply(graph, elements.relu, source(graph, 2, 4)).ref()]
    program = program_of(graph, 2)
    assert not program.parallel
    assert "prange" not in program.source


def test_equal_loops_are_one_kernel_whatever_their_operands_and_sizes() -> None:
    graph = Graph()
    for n in (3, 7):
        graph.outputs.append(apply(graph, elements.add, source(graph, n), source(graph, n)).ref())
    # A walk that begins elsewhere is another operand of the same loop.
    x = source(graph, 10)
    graph.outputs.append(apply(graph, elements.add, Ref(x, (4,), (1,)), Ref(x, (4,), (1,), 6)).ref())
    program = program_of(graph, 0)
    assert len(program.calls) == 3
    assert len({id(call.entry) for call in program.calls}) == 1
    assert set(functions_of(program)) == {program.calls[0].kernel, "program"}
    assert [call.extent for call in program.calls] == [3, 7, 4]
    assert [o.offset for o in program.calls[2].operands] == [0, 0, 6 * 8]


def test_equal_loops_over_batches_of_any_size_are_one_kernel() -> None:
    entries = []
    for batch in (16, 8, 100):
        graph = Graph()
        x = source(graph, batch, 5)
        graph.outputs = [apply(graph, elements.relu, x).ref(), reduce(graph, elements.add, x, 1).ref()]
        entries.append({call.kernel: call.entry for call in program_of(graph, batch).calls})
    assert entries[0] == entries[1] == entries[2]


def test_large_results_are_divided_and_independent_ones_run_side_by_side() -> None:
    graph = Graph()
    x, y = source(graph, 1 << 18), source(graph, 1 << 18)
    first = [apply(graph, elements.neg, x), apply(graph, elements.exp, Ref(y, (256, 1024), (1, 256)))]
    second = apply(graph, elements.inv, Ref(first[0], (512, 512), (1, 512)))
    graph.outputs = [node.ref() for node in (*first, second)]
    program = program_of(graph, 0)
    calls = {int(call.name.rpartition("_")[2]): call for call in program.calls}
    assert all(call.blocks == 8 for call in calls.values())
    order = [{program.calls[task.first].name for task in wave.tasks} for wave in program.waves]
    names = [calls[node.number].name for node in (*first, second)]
    assert order == [set(names[:2]), {names[2]}]
    assert all(wave.parallel for wave in program.waves)
    for name in names:
        tasks = [t for wave in program.waves for t in wave.tasks if program.calls[t.first].name == name]
        assert [t.begin for t in tasks] == [0, *(t.end for t in tasks[:-1])]


def test_first_parts_come_first_and_of_these_the_largest() -> None:
    """A core that has the first half of the tasks in every wave has the first half of every result."""
    graph = Graph()
    large, small = source(graph, 1 << 18), source(graph, 1 << 16)
    graph.outputs = [apply(graph, elements.exp, small).ref(), apply(graph, elements.neg, large).ref()]
    program = program_of(graph, 0)
    (wave,) = program.waves
    assert wave.parallel
    begun = [task.begin / program.calls[task.first].extent for task in wave.tasks]
    assert begun == sorted(begun)
    assert len(set(begun)) == 8
    assert [program.calls[task.first].extent for task in wave.tasks if task.begin == 0] == [1 << 18, 1 << 16]


def test_a_join_beside_other_work_is_shared_out() -> None:
    graph = Graph()
    joined = graph.add("cat", (source(graph, 1 << 16).ref(), source(graph, 1 << 16).ref()), (0,), (1 << 17,), FLOAT)
    graph.outputs = [joined.ref(), apply(graph, elements.exp, source(graph, 1 << 17)).ref()]
    (wave,) = program_of(graph, 0).waves
    assert wave.parallel


def test_functions_of_a_user_keep_their_own_names_and_are_not_kept_on_disk() -> None:
    def first(x: float) -> float:
        return x + 1

    def second(x: float) -> float:
        return x + 2

    second.__name__ = "first"
    graph = Graph()
    x = source(graph, 3)
    both = apply(graph, first, apply(graph, second, x))
    graph.outputs = [both.ref(), apply(graph, elements.relu, source(graph, 2)).ref()]
    mine, ours = program_of(graph, 0).calls
    assert not mine.entry.keep
    assert ours.entry.keep
    assert "f_first(" in program_of(graph, 0).source
    assert "f_first_2(" in program_of(graph, 0).source


def test_numbers_and_inputs_have_places() -> None:
    graph = Graph()
    x = source(graph, 3)
    rate = [graph.add("number", (), (name,), (1,), FLOAT) for name in ("n0", "n4")]
    scaled = [apply(graph, elements.mul, x, Ref(r, (3,), (0,))) for r in (*rate, rate[0])]
    graph.outputs = [y.ref() for y in scaled]
    program = program_of(graph, 0)
    assert program.numbers == ["n0", "n4"]
    assert program.inputs == [0]
    assert [node.op for node in program.outputs] == ["zip"] * 3
    (call,) = program.calls
    assert {(o.name, o.slot, o.offset) for o in call.operands if o.name.startswith("n")} == {
        ("n0", program.arena + 1, 0),
        ("n4", program.arena + 1, 8),
    }


def test_constants_have_names_of_their_own() -> None:
    graph = Graph()
    x = source(graph, 4, 5)
    graph.outputs = [graph.add("softmax", (x.ref(),), (dim,), (4, 5), FLOAT).ref() for dim in (0, 1, 1)]
    calls = program_of(graph, 0).calls
    assert [call.operands[-1].name for call in calls] == ["plan_0", "plan_1", "plan_1"]


def test_nothing_to_do_is_a_program_too() -> None:
    program = program_of(Graph(), 0)
    assert functions_of(program)["program"].body
    assert not program.calls


def test_the_text_says_which_calls_the_cores_share() -> None:
    graph = Graph()
    x, y = source(graph, 1 << 18), source(graph, 1 << 18)
    first = [apply(graph, elements.neg, x), apply(graph, elements.exp, Ref(y, (256, 1024), (1, 256)))]
    second = apply(graph, elements.inv, Ref(first[0], (512, 512), (1, 512)))
    small = apply(graph, elements.neg, reduce(graph, elements.add, second, 0))
    graph.outputs = [node.ref() for node in (*first, second, small)]
    program = program_of(graph, 0)
    parts = program.source.partition("def program():")[2].split("# --- wave ")[1:]
    assert len(parts) == len(program.waves) > 2
    for text, wave in zip(parts, program.waves, strict=True):
        heading, *lines = text.splitlines()
        assert (f"the cores share {len(wave.tasks)} tasks" in heading) == wave.parallel
        assert ("one core" in heading) != wave.parallel
        calls = [line.partition("(")[0].strip() for line in lines if line.endswith(")")]
        assert sorted(calls) == sorted(program.calls[k].kernel for k in {task.first for task in wave.tasks})
    assert parts[0].count("; 8 tasks, each a part of 0 to ") == 2
    assert {wave.parallel for wave in program.waves} == {True, False}
