"""A step on a GPU: a list of launches, which the driver replays as one graph where it can.

Tracing and simplifying are those of every program. Then :mod:`.emit` joins element-wise operations, and those that a
reduction reads, into kernels whose text :mod:`.text` writes. Every other operation is run once as
:class:`~minitorch.cuda_ops.CudaOps` runs it, while a :class:`~.record.Recorder` takes down what it would launch and
allocate. :mod:`.machine` runs the list, and :mod:`.replay` captures it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ...tensor_ops import TensorBackend
from ..graph import Graph
from ..passes.simplify import simplify
from .emit import emit, lay_out
from .machine import CudaMachine, CudaRuntime

__all__ = ["build"]


def build(graph: Graph, states: set[int], backend: TensorBackend) -> tuple[dict[str, Graph], CudaMachine, Any]:
    """Make the program of a traced step.

    Args:
        graph: the trace.
        states: the outputs that stay for the next call, such as parameters.
        backend: of the step's tensors.

    Returns:
        The graph after each pass, what runs the program, and what makes its runtime.
    """
    passes = {"trace": graph, "simplify": simplify(graph)}
    passes["lay out"] = lay_out(passes["simplify"], states)
    return passes, CudaMachine(emit(passes["lay out"], states, backend)), partial(CudaRuntime, backend)
