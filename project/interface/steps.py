"""Training steps that ``minitorch.compile`` turns into programs, and a look at each pass (module 3 and after)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import run_fast_tensor
import run_mnist_multiclass

import minitorch
from minitorch import Tensor
from minitorch.compiler.graph import Graph
from minitorch.compiler.passes.split import Schedule
from minitorch.losses import nll_loss

from .run import Randomness

__all__ = ["EXPLANATIONS", "STEPS", "Demo", "count", "make", "picture", "profile_table"]

# What each pass does, by its name.
EXPLANATIONS = {
    "trace": "The step ran once on tensors without numbers: forward, backward and update, a line each.",
    "simplify": "Constants are computed, equal operations become one, and what no result depends on is dropped.",
    "fuse": "Operations that one kernel does better together become one.",
    "lay out": "Operands that a kernel cannot walk are copied, and products are computed as they are read.",
    "split": "The batch is cut into chunks, one after another or on several cores; sums over it become partial sums.",
    "kernels": "Element-wise operations join the loop that reads them, and results of one shape share a loop.",
    "memory": "Every result gets a place: in the arena, or in a thread's scratch; in both, places are used again.",
}


@dataclass(frozen=True)
class Demo:
    """A compiled step that has run once.

    Attributes:
        step: the step.
        arguments: what it was called with.
        text: its source.
    """

    step: Any
    arguments: tuple[Tensor, ...]
    text: str


def _line() -> Demo:
    weight = minitorch.Parameter(minitorch.tensor([[0.5], [-0.25]], backend=minitorch.FastBackend))
    optimizer = minitorch.SGD([weight], lr=0.01)

    def step(x: Tensor, y: Tensor) -> Tensor:
        error = x @ weight.value - y
        loss = (error * error).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    x, y = _draw(8, 2), _draw(8, 1)
    return _run(step, x, y, text="error = x @ weight - y\nloss = (error * error).mean()")


def _points() -> Demo:
    model = run_fast_tensor.Network(10)
    optimizer = minitorch.SGD(model.parameters(), 0.5)

    def step(x: Tensor, y: Tensor) -> Tensor:
        out = model(x).view(10)
        loss = -((out * y + (out - 1.0) * (y - 1.0)).log().mean())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    text = "out = layer3(layer2(layer1(x).relu()).relu()).sigmoid()\nloss = -mean(log(probability of the label))"
    return _run(step, _draw(10, 2), minitorch.tensor([0.0, 1.0] * 5, backend=minitorch.FastBackend), text=text)


def _lenet() -> Demo:
    model = run_mnist_multiclass.Network(minitorch.FastBackend)
    optimizer = minitorch.SGD(model.parameters(), 0.01)

    def step(x: Tensor, labels: Tensor) -> Tensor:
        loss = nll_loss(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    labels = minitorch.tensor(np.arange(16) % 10, backend=minitorch.FastBackend)
    text = "loss = nll_loss(lenet(x), labels)"
    return _run(step, _draw(16, 1, 28, 28, dtype="float32"), labels, text=text)


STEPS: dict[str, Callable[[], Demo]] = {"A line": _line, "The network for points": _points, "LeNet": _lenet}


def make(name: str) -> Demo:
    """Compile one of :data:`STEPS`, and run it once.

    Raises:
        ArgumentError: there is no such step.

    >>> list(make("A line").step.passes)
    ['trace', 'simplify', 'fuse', 'lay out', 'split', 'kernels', 'memory']
    """
    if name not in STEPS:
        raise minitorch.ArgumentError(f"expected one of {', '.join(STEPS)}, got {name!r}.")
    with Randomness(1):
        return STEPS[name]()


def count(name: str, made: Any) -> str:
    """Tell how many parts there are to what a pass made.

    >>> count("memory", {"v3": 0, "v4": 64})
    '2 places'
    """
    words = {"kernels": "kernels", "memory": "places"}
    return f"{len(made)} {words.get(name, 'operations')}"


def picture(made: Any) -> str | None:
    """Draw what a pass made, as the text of an SVG file; None where it is no graph.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    if not isinstance(made, (Graph, Schedule)):
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "graph.svg")
        made.draw(path)
        text = path.read_text(encoding="utf-8")
    return text[text.index("<svg") :]


def profile_table(demo: Demo, rounds: int = 10) -> list[dict[str, Any]]:
    """Time each kernel of the program, the slowest first."""
    profile = demo.step.profile(*demo.arguments, rounds=rounds)
    return [
        {
            "kernel": row.name,
            "microseconds": round(row.seconds * 1e6, 2),
            "share": f"{row.seconds / profile.seconds:.1%}",
            "of what a core can do": f"{profile.share(row):.1%}",
            "what": row.title,
        }
        for row in profile.rows
    ]


def _draw(*shape: int, dtype: str = "float64") -> Tensor:
    """Draw an input, without touching the numbers that anybody else draws."""
    values = minitorch.Generator(1).uniform(shape).astype(dtype)
    return minitorch.tensor(values, backend=minitorch.FastBackend)


def _run(step: Callable[..., Tensor], *arguments: Tensor, text: str) -> Demo:
    compiled = minitorch.compile(step)
    compiled(*arguments)
    update = "optimizer.zero_grad()\nloss.backward()\noptimizer.step()"
    return Demo(compiled, arguments, f"{text}\n{update}")
