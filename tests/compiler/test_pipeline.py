"""Every pass makes something new, and what it was given stays as it was: it can still be printed and drawn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

import minitorch
from minitorch import FastBackend, layers
from minitorch.compiler.emit.emit import emit
from minitorch.compiler.emit.grouping import group_kernels
from minitorch.compiler.graph import Graph
from minitorch.compiler.passes.split import split
from minitorch.compiler.pipeline import GRAPH_PASSES, run_passes
from minitorch.tensor import Tensor

from ..cases import make, training_step
from .agreement.networks import Network, networks


class Traced(Exception):
    """Carries the graph of a step out of the compiler, before anything is compiled."""


def stop(graph: Graph, batch: int, states: object) -> Any:
    raise Traced(graph, batch)


def traced(run: Any) -> tuple[Graph, int]:
    """Trace a step that a function compiles and calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minitorch.compiler.compiled.run_passes", stop)
        with pytest.raises(Traced) as caught:
            run()
    return caught.value.args  # type: ignore[return-value]


def check(graph: Graph, batch: int) -> None:
    """Run the passes one by one, and look at each one's input before and after; then all of them at once."""
    before = {"trace": str(graph)}
    current = graph
    for name, run_pass in GRAPH_PASSES.items():
        text = str(current)
        made = run_pass(current)
        assert str(current) == text, f"{name} has changed its input"
        assert made is not current
        current = made
        before[name] = str(current)
    schedule = split(current, batch)
    assert str(current) == before["lay out"], "split has changed its input"
    before["split"] = str(schedule)
    kernels = group_kernels(schedule)
    assert str(schedule) == before["split"], "kernels has changed its input"
    before["kernels"] = str(kernels)
    before["memory"] = str(emit(kernels).memory)
    assert str(kernels) == before["kernels"], "emit has changed its input"
    passes, _ = run_passes(graph, batch)
    assert {name: str(made) for name, made in passes.items()} == before


def lenet() -> tuple[layers.Sequential, tuple[int, ...]]:
    more: Any = {"dtype": "float32", "backend": FastBackend}
    model = layers.Sequential(
        layers.Conv2d(1, 4, 3, padding="same", **more),
        layers.ReLU(),
        layers.Conv2d(4, 8, 3, padding="same", **more),
        layers.ReLU(),
        layers.MaxPool2d(4),
        layers.Flatten(),
        layers.Linear(392, 10, **more),
    )
    return model, (16, 1, 28, 28)


def test_no_pass_changes_its_input_on_lenet() -> None:
    model, shape = lenet()
    step = training_step(model, minitorch.SGD(model.parameters(), lr=0.1))
    images = minitorch.zeros(shape, backend=FastBackend).to("float32")
    graph, batch = traced(lambda: minitorch.compile(step)(images))
    assert batch == 16
    check(graph, batch)


@settings(max_examples=40)
@given(network=networks())
def test_no_pass_changes_its_input_on_random_networks(network: Network) -> None:
    check(*traced(lambda: network.train(steps=1, compiled=True)))


def test_results_that_are_wanted_twice_or_handed_on_as_views_are_copied_behind_fuse() -> None:
    def step(x: Tensor) -> tuple[Tensor, ...]:
        y = x * 2.0
        return y, y.permute(1, 0), y.view(6)

    run = minitorch.compile(step)
    run(make([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], FastBackend))
    copies = {
        name: str(run.passes[name]).count("identity(") for name in ("trace", "simplify", "fuse", "lay out", "split")
    }
    assert copies == {"trace": 0, "simplify": 0, "fuse": 0, "lay out": 2, "split": 2}
