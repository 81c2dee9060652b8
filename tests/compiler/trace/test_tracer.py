"""What a tracer writes down; nothing here is compiled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minitorch import cells
from minitorch.compiler.trace.sources import Source
from minitorch.compiler.trace.stand_ins import Stream
from minitorch.compiler.trace.tracer import Tracer
from minitorch.errors import BackendError, CompileError
from minitorch.fast_ops import FastBackend
from minitorch.random import Generator
from minitorch.tensor import Tensor

from ...cases import make


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    cells.tracing.tracer = made = Tracer()
    yield made
    cells.tracing.tracer = None


def argument(tracer: Tracer, *shape: int, requires_grad: bool = False) -> Tensor:
    tensor = make(np.zeros(shape), FastBackend, requires_grad=requires_grad)
    return tracer.adopt(tensor, Source("argument", tensor, 0))


def written(tracer: Tracer) -> list[str]:
    return [node.args[0].__name__ if node.op in ("map", "zip", "reduce") else node.op for node in tracer.graph]


def test_operations_become_nodes_and_views_do_not(tracer: Tracer) -> None:
    x = argument(tracer, 2, 3)
    y = (x.permute(1, 0).contiguous().view(6) + 1.0).relu()
    assert written(tracer) == ["input", "identity", "constant", "add", "relu"]
    assert tracer.graph.nodes[1].inputs[0].strides == (1, 3)
    assert y.shape == (6,)


def test_backward_is_recorded_too(tracer: Tracer) -> None:
    x = argument(tracer, 3, requires_grad=True)
    (x * x).sum().backward()
    assert x.grad is not None
    assert x.grad.shape == (3,)
    assert tracer.leaves[0].traced is x


def test_a_tensor_is_one_input_however_often_it_is_met(tracer: Tracer) -> None:
    outside = make([1.0, 2.0], FastBackend)
    x = argument(tracer, 2)
    x + outside
    x * outside
    assert written(tracer) == ["input", "input", "add", "mul"]
    assert [source.kind for source in tracer.sources] == ["argument", "tensor"]


@pytest.mark.parametrize(
    "look",
    [
        lambda x: x.item(),
        lambda x: x.to_numpy(),
        lambda x: float(x.sum()),
        lambda x: bool(x.sum() > 0),
        lambda x: x[0],
    ],
    ids=["item", "to_numpy", "float", "bool", "index"],
)
def test_a_value_cannot_be_read_and_the_line_is_named(tracer: Tracer, look: Any) -> None:
    with pytest.raises(CompileError, match=r"cannot read the value.*test_tracer\.py:\d+: lambda x"):
        look(argument(tracer, 1))


def test_numbers_from_cells_stay_formulas(tracer: Tracer) -> None:
    settings = {"lr": 0.5, "step": 3, "betas": (0.9, 0.99)}
    rate, step = cells.read(settings, "lr"), cells.read(settings, "step")
    beta = cells.read(settings, "betas")[1]
    result = -(2 * rate - 1) / (1 - beta ** (step + 1))
    assert result._value == -(2 * 0.5 - 1) / (1 - 0.99**4)
    # The lines that were written down compute it anew.
    names = {name: settings[key] if i < 0 else settings[key][i] for name, _, key, i in tracer.number_cells}
    for name, expression in tracer.lines:
        names[name] = eval(expression, {}, names)
    assert names[result._name] == result._value
    assert not tracer.fixed


def test_equal_arithmetic_is_written_once_and_asking_for_a_value_guards_it(tracer: Tracer) -> None:
    rate = cells.read({"lr": 0.5}, "lr")
    assert (rate * 2)._name == (rate * 2)._name
    assert len(tracer.lines) == 1
    assert float(rate) == 0.5
    assert tracer.fixed == {rate._name: (0.5, 1)}  # behind the first line


def test_a_comparison_guards_its_answer(tracer: Tracer) -> None:
    rate = cells.read({"lr": 0.5}, "lr")
    assert rate < 1
    assert rate != 2.0
    assert tracer.lines == [("n1", "n0 < (1)"), ("n2", "n0 != (2.0)")]
    assert tracer.fixed == {"n1": (True, 1), "n2": (True, 2)}


def test_cells_are_written_at_the_end_only(tracer: Tracer) -> None:
    state: dict[str, Any] = {"average": make([1.0], FastBackend), "momentum": 0.0}
    before = state["average"]
    cells.write(state, "average", cells.read(state, "average") * 2.0)
    assert state["average"] is before
    assert cells.read(state, "average") is not before
    assert [cell.key for cell in tracer.cells.values() if cell.written] == ["average"]
    assert cells.is_set(state, "momentum") is False
    holder, key, truth, answer = tracer.choices[-1]
    assert (holder, key, answer) == (state, "momentum", False)
    assert truth(0.9) is True


@pytest.mark.parametrize("generator", [Generator(3)], ids=repr)
def test_streams_are_counted(generator: Generator, tracer: Tracer) -> None:
    streams = [tracer.next_stream(generator)[0].index for _ in range(3)]
    assert streams == [0, 1, 2]
    tracer.normal(generator, (2,), "float32", FastBackend)
    assert written(tracer) == ["uniform", "uniform", "normal"]
    assert [node.args[0] for node in tracer.graph.nodes[:2]] == [Stream(0, 3), Stream(0, 4)]
    assert [draws.count for draws in tracer.draws] == [5]
    assert generator._stream == 0


def test_other_backends_and_recorded_histories_are_refused(tracer: Tracer) -> None:
    simple = make([1.0])
    with pytest.raises(BackendError, match="FastBackend"):
        tracer.adopt(simple, Source("argument", simple, 0))
    cells.tracing.tracer = None
    made = make([1.0], FastBackend, requires_grad=True) * 2.0
    cells.tracing.tracer = tracer
    with pytest.raises(CompileError, match="history was recorded outside"):
        argument(tracer, 1) * made


def test_a_traced_tensor_is_worth_nothing_afterwards(tracer: Tracer) -> None:
    x = argument(tracer, 2)
    cells.tracing.tracer, tracer.open = None, False
    with pytest.raises(CompileError, match="only traced"):
        x.to_numpy()
    with pytest.raises(CompileError, match="only traced"):
        x + x


def test_a_traced_tensor_that_was_left_behind_meets_no_other(tracer: Tracer) -> None:
    traced = argument(tracer, 2)
    cells.tracing.tracer = None
    tracer.open = False
    for mixed in (lambda: traced + make([1.0, 2.0], FastBackend), lambda: make([1.0, 2.0], FastBackend) * traced):
        with pytest.raises(CompileError, match="never held numbers"):
            mixed()


def test_a_tensor_from_outside_and_its_stand_in_lead_to_one_source(tracer: Tracer) -> None:
    outside, more = make([1.0, 2.0], FastBackend), make([3.0, 4.0], FastBackend)
    first = tracer.adopt(outside, Source("argument", outside, 0))
    (second,) = tracer.lift((more,))
    for tensor, number in ((outside, 0), (first, 0), (more, 1), (second, 1)):
        source = tracer.source_of(tensor)
        assert source is tracer.sources[number]
        assert source.number == number
    assert tracer.source_of(first + second) is None
    assert tracer.adopt(outside, Source("tensor", outside, holder=outside)) is first
    assert len(tracer.sources) == 2
