"""What programs compute, beside NumPy; products by BLAS; which machine code is shared and which is kept."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings

from minitorch.compiler.emit.emit import emit
from minitorch.compiler.emit.entries import written
from minitorch.compiler.emit.grouping import group_kernels
from minitorch.compiler.emit.program import Task
from minitorch.compiler.graph import Graph, Node, Ref
from minitorch.compiler.passes.operands import lay_out
from minitorch.compiler.passes.split import split
from minitorch.compiler.run.machine import Faster, Machine, Memory, run_call, run_parallel
from minitorch.errors import IndexingError
from minitorch.kernels import compile as kernel_compiler
from minitorch.kernels import elements

from ..walks import FLOAT, apply, batched_graphs, evaluate, inputs_of, source

Array = npt.NDArray[Any]


def machine_of(graph: Graph, batch: int) -> Machine:
    return Machine(emit(group_kernels(split(lay_out(graph), batch))))


def run(machine: Machine, inputs: list[Array]) -> list[Array]:
    memory = Memory(machine.program)
    outputs = [np.full(node.shape, np.nan, node.dtype) for node in machine.program.outputs]
    arrays = [np.ascontiguousarray(inputs[place]) for place in machine.program.inputs]
    memory.table[: machine.program.bound] = [a.ctypes.data for a in (*arrays, *outputs)]
    machine.run(memory)
    return outputs


@settings(max_examples=25, deadline=None)
@given(batched_graphs())
def test_a_program_computes_what_its_graph_says(case: tuple[Graph, int]) -> None:
    graph, batch = case
    graph.outputs = [apply(graph, elements.identity, ref).ref() for ref in graph.outputs]
    inputs = inputs_of(graph)
    for got, wanted in zip(run(machine_of(graph, batch), inputs), evaluate(graph, inputs), strict=True):
        np.testing.assert_array_equal(got, wanted.reshape(got.shape))


@pytest.mark.parametrize("tasks", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("cores", [1, 2])
def test_cores_run_each_task_once(cores: int, tasks: int) -> None:
    """Each doubles its own elements in place."""
    graph = Graph()
    x = source(graph, 1 << 18)
    graph.outputs = [apply(graph, elements.add, x, x).ref()]
    machine = machine_of(graph, 0)
    program, (wave,) = machine.program, machine.program.waves
    bounds = [program.calls[0].extent * k // tasks for k in range(tasks + 1)]
    wave.tasks[:] = [Task(0, 1, 0, begin, end) for begin, end in pairwise(bounds)]
    memory, value = Memory(program), np.ones(1 << 18)
    memory.table[: program.bound] = value.ctypes.data
    run_parallel(machine.code, *memory.arguments, min(cores, numba.config.NUMBA_NUM_THREADS))
    np.testing.assert_array_equal(value, np.full(1 << 18, 2.0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [
        (1, 1, 1),
        (3, 5, 2),
        (1, 7, 4),
        (1, 33, 16),
        (1, 16, 35),
        (1, 70, 500),
        (1, 0, 3),
        (4, 7, 1),
        (16, 392, 64),
        (700, 33, 300),
        (64, 100, 300),
        (7, 64, 900),
    ],
)
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
def test_products_of_matrices_that_lie_by_rows_and_by_columns(
    m: int, k: int, n: int, turned: tuple[bool, bool], dtype: type
) -> None:
    rng = np.random.default_rng(m + k + n)
    graph = Graph()
    refs, arrays = [], []
    for (rows, columns), turn in zip([(m, k), (k, n)], turned, strict=True):
        shape = (columns, rows) if turn else (rows, columns)
        node = graph.add("input", (), (len(arrays), "argument"), shape, np.dtype(dtype))
        arrays.append(rng.normal(size=shape).astype(dtype))
        refs.append(Ref(node, (rows, columns), (1, rows) if turn else (columns, 1)))
    graph.outputs = [graph.add("matrix_multiply", refs, (), (m, n), np.dtype(dtype)).ref()]
    a, b = (array.T if turn else array for array, turn in zip(arrays, turned, strict=True))
    (got,) = run(machine_of(graph, 0), arrays)
    np.testing.assert_allclose(got, a @ b, rtol=0, atol=(k + 1) * 8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("shape", [(0, 3, 2), (3, 0, 2), (3, 2, 0)])
def test_empty_products(shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    graph = Graph()
    a, b = source(graph, m, k), source(graph, k, n)
    graph.outputs = [graph.add("matrix_multiply", (a.ref(), b.ref()), (), (m, n), FLOAT).ref()]
    (got,) = run(machine_of(graph, 0), [np.ones((m, k)), np.ones((k, n))])
    np.testing.assert_array_equal(got, np.zeros((m, n)))


def test_a_product_of_many_matrices() -> None:
    graph = Graph()
    a, b = source(graph, 3, 2, 4), source(graph, 3, 4, 5)
    graph.outputs = [graph.add("matrix_multiply", (a.ref(), b.ref()), (), (3, 2, 5), FLOAT).ref()]
    x, y = np.random.default_rng(0).normal(size=(3, 2, 4)), np.random.default_rng(1).normal(size=(3, 4, 5))
    (got,) = run(machine_of(graph, 0), [x, y])
    np.testing.assert_allclose(got, x @ y, rtol=1e-14, atol=1e-14)


def long_sum(size: int) -> Node:
    graph = Graph()
    total = graph.add("reduce", (source(graph, size).ref(),), (elements.add, 0.0, (0,)), (1,), FLOAT)
    graph.outputs = [total.ref()]
    return total


@pytest.mark.parametrize("size", [1, 31, 32, 63, 64, 65, 96, 1000])
def test_long_sums_add_every_element_once(size: int) -> None:
    graph = Graph()
    x = source(graph, 2, size)
    graph.outputs = [graph.add("reduce", (x.ref(),), (elements.add, 0.0, (1,)), (2, 1), FLOAT).ref()]
    values = 2.0 ** np.arange(2 * size).reshape(2, size) if size < 20 else np.arange(2.0 * size).reshape(2, size)
    (got,) = run(machine_of(graph, 0), [values])
    np.testing.assert_array_equal(got, values.sum(1, keepdims=True))


@pytest.mark.parametrize("count", [2, 32, 33, 70, 1100])
def test_any_number_of_operands(count: int) -> None:
    arrays = [np.full((2, 1 + k % 2), float(k)) for k in range(count)]
    graph = Graph()
    nodes = [source(graph, *array.shape) for array in arrays]
    width = sum(array.shape[1] for array in arrays)
    joined = graph.add("cat", [node.ref() for node in nodes], (1,), (2, width), FLOAT)
    total = nodes[0]
    for node in nodes[2::2]:
        total = apply(graph, elements.add, total, node)
    graph.outputs = [joined.ref(), apply(graph, elements.neg, total).ref()]
    got, negative = run(machine_of(graph, 0), arrays)
    np.testing.assert_array_equal(got, np.concatenate(arrays, axis=1))
    np.testing.assert_array_equal(negative, -np.sum(arrays[::2], axis=0))


def test_places_of_maxima_that_nobody_reads_the_maxima_of_overwrite_nothing() -> None:
    x = np.random.default_rng(0).normal(size=(16, 6))
    graph = Graph()
    node = source(graph, 16, 6)
    kept = apply(graph, elements.exp, node)
    places = graph.add("max_place", (node.ref(),), (1,), (16, 1), np.dtype(np.int64))
    chosen = graph.add("put", (Ref(kept, (16, 1), (6, 1)), places.ref()), (), (16, 6), FLOAT)
    graph.outputs = [apply(graph, elements.mul, kept, chosen).ref()]
    (got,) = run(machine_of(graph, 16), [x])
    wanted = np.where(x == x.max(1, keepdims=True), np.exp(x) * np.exp(x[:, :1]), 0.0)
    np.testing.assert_allclose(got, wanted, rtol=1e-14)


def test_no_constant_is_taken_for_the_note_of_a_wrong_place() -> None:
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    graph = Graph()
    table, places = source(graph, 2, 2), graph.add("input", (), (1, "argument"), (2,), np.dtype(np.int64))
    graph.outputs = [graph.add("take", (table.ref(), places.ref()), (), (2,), FLOAT).ref()]
    machine = machine_of(graph, 0)
    program = machine.program
    # A table of one 32-bit number, as a kernel might have one: equal to the note when no place was wrong, or not.
    for number in (0, 1):
        constant = program.constant(np.array([number], np.int32))
        assert constant.slot not in {o.slot for call in program.calls for o in call.operands}
        (got,) = run(machine, [x, np.array([3, 0])])
        np.testing.assert_array_equal(got, [4.0, 1.0])
    with pytest.raises(IndexingError, match="place out of range"):
        run(machine, [x, np.array([3, 4])])
    (got,) = run(machine, [x, np.array([1, 2])])
    np.testing.assert_array_equal(got, [2.0, 3.0])
    assert [array.tolist() for array in program.constants if array.dtype == np.int32] == [[0], [1]]


# --- machine code ---------------------------------------------------------------------------------------------------

TEXT = "def f(operands, b0, b1):\n    x = float64_at(operands, 0)\n    for i in range(b0, b1):\n        x[i] = fn(x[i])"


def call(text: str, functions: dict[str, Any], x: Array) -> None:
    address = np.array([x.ctypes.data])
    entry = written(text, functions)
    code = np.array([0, 0, 11, 0, 0, 0, 0, entry.address, 0, 1, x.size, 0, 0, 0, 0])
    scratch = np.zeros(100, np.int64)
    run_call(code, address, 7, scratch.ctypes.data, 0, 0, -1)


def test_one_text_is_compiled_once_and_the_functions_in_it_count() -> None:
    x = np.array([1.0, -2.0])
    call(TEXT, {"fn": elements.neg}, x)
    assert x.tolist() == [-1.0, 2.0]
    call(TEXT, {"fn": elements.relu}, x)
    assert x.tolist() == [0.0, 2.0]
    renamed = TEXT.replace("def f(", "def g(")
    assert written(TEXT, {"fn": elements.neg}) is written(renamed, {"fn": elements.neg})
    assert written(TEXT, {"fn": elements.neg}) is not written(TEXT, {"fn": elements.relu})


def test_only_what_no_user_defined_is_kept_on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("minitorch.compiler.emit.entries.kernel_folder", lambda: tmp_path)

    def twice(x: float) -> float:
        return 2 * x

    x = np.array([3.0])
    marked = TEXT + "  # for this test"
    call(marked, {"fn": twice}, x)
    assert x.tolist() == [6.0]
    assert list(tmp_path.iterdir()) == []
    call(marked, {"fn": elements.neg}, x)
    assert x.tolist() == [-6.0]
    assert len(list(tmp_path.glob("*.nbc"))) == 1


@pytest.mark.parametrize(("serial", "parallel"), [(3.0, 2.0), (3.0, 40.0), (3.0, 3.0)])
def test_the_faster_of_two_runs(serial: float, parallel: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    ran: list[str] = []

    def takes(name: str, seconds: float) -> Any:
        def run(argument: int) -> None:
            nonlocal now
            assert argument == 5
            # A slow moment in the first trial of each tells nothing.
            now += seconds if ran.count(name) else 100.0
            ran.append(name)

        return run

    monkeypatch.setattr("minitorch.compiler.run.machine.time.perf_counter", lambda: now)
    faster = Faster(takes("serial", serial), takes("parallel", parallel))
    for _ in range(2 * Faster.CALLS):
        faster(5)
    trials = ["parallel", "serial"] * Faster.TRIALS
    rest = ["parallel" if parallel <= serial else "serial"] * (Faster.CALLS - len(trials))
    assert ran == [*trials, *rest] * 2


def test_a_forked_child_runs_on_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Graph()
    graph.outputs = [apply(graph, elements.neg, source(graph, 16, 40_000)).ref()]
    machine = machine_of(graph, 16)
    assert machine.program.parallel
    x = np.random.default_rng(0).normal(size=(16, 40_000))
    monkeypatch.setattr(kernel_compiler.threads, "forked", True)
    (got,) = run(machine, [x])
    np.testing.assert_array_equal(got, -x)
