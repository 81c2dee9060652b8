"""Take the graph of a traced step through the passes, in order. Each leaves what it was given as it was."""

from __future__ import annotations

from .emit import emit
from .fuse import fuse, inlined, lay_out
from .graph import Graph
from .program import Program
from .simplify import simplify
from .split import split

__all__ = ["GRAPH_PASSES", "run_passes"]

# Passes from graph to graph, by name.
GRAPH_PASSES = {"simplify": simplify, "fuse": fuse, "lay out": lay_out}


def run_passes(graph: Graph, batch: int) -> tuple[dict[str, Graph], Program]:
    """Make a program of a traced graph.

    Args:
        graph: as it was traced.
        batch: the size of dimension 0 of the step's arguments.

    Returns:
        What each pass gave, by the pass's name, and the program.
    """
    passes = {"trace": graph}
    for name, run_pass in GRAPH_PASSES.items():
        passes[name] = graph = run_pass(graph)
    schedule = split(graph, batch)
    passes["split"] = schedule.graph
    return passes, emit(schedule, inlined(schedule.graph, schedule.stage))
