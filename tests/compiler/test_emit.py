"""The text of a program; what it computes, test_agreement.py checks."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest

from minitorch.compiler.emit import Program, emit
from minitorch.compiler.fuse import inlined
from minitorch.compiler.graph import Graph, Ref
from minitorch.compiler.split import split
from minitorch.kernels import elements

from .walks import FLOAT, apply, constant, reduce, source


def program_of(graph: Graph, batch: int) -> Program:
    schedule = split(graph, batch)
    return emit(schedule, inlined(schedule.graph, schedule.stage))


def functions_of(program: Program) -> dict[str, ast.FunctionDef]:
    return {f.name: f for f in ast.parse(program.source).body if isinstance(f, ast.FunctionDef)}


def test_a_chain_is_one_kernel_with_one_loop() -> None:
    graph = Graph()
    x = source(graph, 3, 4)
    y = apply(graph, elements.mul, apply(graph, elements.exp, x), constant(graph, 2.0, 3, 4))
    graph.outputs = [apply(graph, elements.neg, y).ref()]
    program = program_of(graph, 0)
    assert len(program.kernels) == 1
    kernel = functions_of(program)[program.kernels[0].name]
    assert sum(isinstance(n, ast.For) for n in ast.walk(kernel)) == 1
    assert program.functions == {"exp": elements.exp}
    assert program.memory.arena_bytes == 0


@pytest.mark.parametrize(("batch", "chunks"), [(16, 4), (17, 5), (64, 16), (100, 15)])
def test_a_batch_runs_in_chunks_on_several_cores_where_it_pays(batch: int, chunks: int) -> None:
    for width, pays in [(4096, True), (4, False)]:
        graph = Graph()
        x = source(graph, batch, width)
        graph.outputs = [apply(graph, elements.relu, x).ref(), reduce(graph, elements.add, x, 0).ref()]
        program = program_of(graph, batch)
        assert program.parallel is pays
        # The chunks are the same either way, and so are the bits.
        assert re.findall(r"prange\((\d+)\)", program.source) == [str(chunks)]


def test_a_small_batch_does_not() -> None:
    graph = Graph()
    graph.outputs = [apply(graph, elements.relu, source(graph, 2, 4)).ref()]
    program = program_of(graph, 2)
    assert not program.parallel
    assert "prange" not in program.source


def test_functions_of_a_user_keep_their_own_names_and_are_not_kept_on_disk() -> None:
    def first(x: Any) -> Any:
        return x + 1

    def second(x: Any) -> Any:
        return x + 2

    second.__name__ = "first"
    graph = Graph()
    x = source(graph, 3)
    graph.outputs = [apply(graph, first, x).ref(), apply(graph, second, x).ref(), apply(graph, elements.relu, x).ref()]
    program = program_of(graph, 0)
    assert list(program.functions.values()) == [first, second, elements.relu]
    assert list(program.functions) == ["first", "first_2", "relu"]
    assert not program.keep


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
    assert "stage_0(0, table, numbers, streams)" in program.source


def test_nothing_to_do_is_a_program_too() -> None:
    program = program_of(Graph(), 0)
    assert functions_of(program)["program"].body
    assert not program.kernels
