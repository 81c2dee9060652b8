"""Take the graph of a traced step through the passes, in order. Each leaves what it was given as it was."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .emit.emit import emit
from .emit.grouping import group_kernels
from .emit.program import Program
from .graph import Graph
from .passes.fuse import fuse
from .passes.operands import lay_out
from .passes.simplify import simplify
from .passes.split import split

__all__ = ["GRAPH_PASSES", "run_passes"]

# Passes from graph to graph, by name.
GRAPH_PASSES = {"simplify": simplify, "fuse": fuse, "lay out": lay_out}


def run_passes(graph: Graph, batch: int, states: Collection[int] = ()) -> tuple[dict[str, Any], Program]:
    """Make a program of a traced graph.

    Args:
        graph: as it was traced.
        batch: the size of dimension 0 of the step's arguments.
        states: the outputs, by place, that stay for the next call, such as parameters and averages of gradients.

    Returns:
        What each pass made, by the pass's name, and the program. ``trace``, ``simplify``, ``fuse`` and ``lay out`` are
        a :class:`~minitorch.compiler.graph.Graph`, ``split`` is a :class:`~minitorch.compiler.passes.split.Schedule`,
        ``kernels`` a :class:`~minitorch.compiler.emit.grouping.Kernels`, and ``memory`` a
        :class:`~minitorch.compiler.passes.memory.Layout`. All can be printed, and have a length.
    """
    passes: dict[str, Any] = {"trace": graph}
    for name, run_pass in GRAPH_PASSES.items():
        passes[name] = graph = run_pass(graph)
    passes["split"] = schedule = split(graph, batch)
    passes["kernels"] = kernels = group_kernels(schedule)
    program = emit(kernels, states)
    passes["memory"] = program.memory
    return passes, program
