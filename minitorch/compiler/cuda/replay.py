"""Launch a program's list as one graph of the driver (CUDA graphs).

To start a kernel takes time of Python and of the driver: some ten microseconds are expected, as long as many kernels of
a small network run; it was not measured on a device yet. A graph holds all of them, and is launched at once. It is
captured: a stream of its own takes the launches down instead of running them. A graph knows arrays by their addresses,
so there is one for each set of addresses that a program meets again: as a rule two, because parameters take turns
between two tensors.

Where anything of this fails, the launches run one by one, as they do in Numba's simulator.
"""

from __future__ import annotations

import contextlib
import os
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import cache
from threading import Lock
from typing import Any, Protocol

from ...errors import BackendError
from ...kernels.cuda.driver import simulated
from ...kernels.cuda.launch import cuda

__all__ = ["GRAPHS", "Driver", "GraphDriver", "Replay", "graph_driver"]

# Sets of addresses that are remembered, and graphs that are kept.
GRAPHS = 8

# Stands in the place of a graph that could not be captured.
FAILED = object()

# A variable of the environment: 0 lets the launches run one by one.
SWITCH = "MINITORCH_CUDA_GRAPHS"


class GraphDriver(Protocol):
    """What a driver has to offer."""

    def capture(self, start: Callable[[Any], None]) -> Any:
        """Take down what is started on a stream, and make it a graph that can be launched."""
        ...

    def launch(self, graph: Any) -> None:
        """Launch a graph behind everything that was started before."""
        ...

    def destroy(self, graph: Any) -> None:
        """Free a graph."""
        ...


class Driver:
    """The driver of CUDA, through its bindings for Python.

    Args:
        api: the module ``cuda.bindings.driver``, or what stands for it. Its functions give a tuple: the code of an
            error, and the result.
        stream: makes what kernels are started on from the driver's handle.
    """

    def __init__(self, api: Any, stream: Callable[[int], Any]) -> None:
        self._api = api
        # What other streams do while this one captures must not become part of the graph, nor end it.
        self._handle = self._call("cuStreamCreate", int(api.CUstream_flags.CU_STREAM_NON_BLOCKING))
        self._stream = stream(int(self._handle))
        self._capturing = Lock()  # there is one stream, and a thread's launches are to be the graph of no other

    def _call(self, name: str, *args: Any) -> Any:
        error, *results = getattr(self._api, name)(*args)
        if int(error) != 0:
            raise BackendError(f"{name} fails with {error}. Set {SWITCH}=0 before Python starts to do without graphs.")
        return results[0] if results else None

    def capture(self, start: Callable[[Any], None]) -> Any:
        """Capture; nothing has run where this raises."""
        with self._capturing:
            captured = self._taken_down(start)
        try:
            return self._call("cuGraphInstantiate", captured, 0)
        finally:
            self._call("cuGraphDestroy", captured)

    def _taken_down(self, start: Callable[[Any], None]) -> Any:
        # Relaxed: Python may free an array meanwhile, which the other modes take for a part of the work.
        self._call("cuStreamBeginCapture", self._handle, self._api.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED)
        try:
            start(self._stream)
        except BaseException:
            # The stream is free again. Where Python raised and not the driver, this gives what was captured before.
            error, captured = self._api.cuStreamEndCapture(self._handle)
            if int(error) == 0:
                self._call("cuGraphDestroy", captured)
            raise
        return self._call("cuStreamEndCapture", self._handle)

    def launch(self, graph: Any) -> None:
        """Launch a graph on the default stream, where everything else runs."""
        self._call("cuGraphLaunch", graph, 0)

    def destroy(self, graph: Any) -> None:
        """Free a graph; the driver keeps it until it has run."""
        self._call("cuGraphExecDestroy", graph)


@cache
def graph_driver() -> GraphDriver | None:
    """Find a driver that captures; None where there is none."""
    if simulated() or os.environ.get(SWITCH) == "0":
        return None
    try:
        from cuda.bindings import driver as api  # type: ignore[import-not-found]

        return Driver(api, cuda.external_stream)
    except (ImportError, AttributeError, RuntimeError) as error:  # the bindings raise the last where there is no driver
        _say(error)
        return None


class Replay:
    """Runs a list of launches, as a graph where the same addresses come again.

    Args:
        driver: what captures; None for none.
    """

    def __init__(self, driver: GraphDriver | None) -> None:
        self._driver = driver
        # None where the addresses were met once, and FAILED where they could not be captured.
        self._graphs: OrderedDict[Hashable, Any] = OrderedDict()
        if driver is not None:
            weakref.finalize(self, _destroy, driver, self._graphs).atexit = False

    def run(self, addresses: Hashable, start: Callable[[Any], None]) -> None:
        """Run the list once.

        Args:
            addresses: of the arrays.
            start: starts the launches on a stream; on the default stream when it is 0.
        """
        driver = self._driver
        if driver is None:
            start(0)
            return
        graph = self._graphs.get(addresses)
        if graph is None and addresses in self._graphs:  # kernels are compiled by now, which no capture may do
            graph = self._captured(driver, start)
        if _is_graph(graph):
            driver.launch(graph)
        else:
            start(0)
        self._remember(driver, addresses, graph)

    def _captured(self, driver: GraphDriver, start: Callable[[Any], None]) -> Any:
        try:
            return driver.capture(start)
        except Exception as error:  # of the driver's, its bindings' or Numba's: the launches are run one by one instead
            _say(error)
            return FAILED

    def _remember(self, driver: GraphDriver, addresses: Hashable, graph: Any) -> None:
        self._graphs[addresses] = graph
        self._graphs.move_to_end(addresses)
        if len(self._graphs) > GRAPHS:
            _, oldest = self._graphs.popitem(last=False)
            if _is_graph(oldest):
                driver.destroy(oldest)


def _is_graph(graph: Any) -> bool:
    return graph is not None and graph is not FAILED


def _destroy(driver: GraphDriver, graphs: OrderedDict[Hashable, Any]) -> None:
    for graph in graphs.values():
        if _is_graph(graph):
            with contextlib.suppress(BackendError):  # the thread may have no context, or it was closed with its graphs
                driver.destroy(graph)
    graphs.clear()


def _say(error: Exception) -> None:
    warnings.warn(
        f"compiled steps are not replayed as CUDA graphs, and start their kernels one by one: {error}",
        RuntimeWarning,
        stacklevel=2,
    )
