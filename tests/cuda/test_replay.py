"""The calls of the driver that capture a graph and launch it, noted by a stand-in: no device is asked."""

from __future__ import annotations

import gc
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from cuda.bindings import driver as bindings

from minitorch.compiler.cuda import replay
from minitorch.compiler.cuda.replay import Driver, Replay, graph_driver
from minitorch.errors import BackendError

RESULTS = {"cuStreamCreate": 7, "cuStreamEndCapture": "captured", "cuGraphInstantiate": "graph"}
RELAXED = bindings.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED


class Api:
    """Notes calls, gives what the driver would give, and an error of one function."""

    CUstream_flags = bindings.CUstream_flags
    CUstreamCaptureMode = bindings.CUstreamCaptureMode

    def __init__(self, failing: str = "") -> None:
        self.calls: list[Any] = []
        self.failing = failing

    def __getattr__(self, name: str) -> Any:
        assert callable(getattr(bindings, name)), "the bindings lack this function"

        def call(*args: Any) -> tuple[Any, ...]:
            self.calls.append((name, *args))
            error = bindings.CUresult(801 if name == self.failing else 0)
            return (error, RESULTS[name]) if name in RESULTS else (error,)

        return call


def test_a_list_is_captured_once_and_launched_often() -> None:
    api = Api()
    driver = Driver(api, lambda handle: f"stream {handle}")
    assert api.calls == [("cuStreamCreate", 1)]
    graph = driver.capture(lambda stream: api.calls.append(("launches", stream)))
    driver.launch(graph)
    driver.launch(graph)
    driver.destroy(graph)
    assert api.calls[1:] == [
        ("cuStreamBeginCapture", 7, RELAXED),
        ("launches", "stream 7"),
        ("cuStreamEndCapture", 7),
        ("cuGraphInstantiate", "captured", 0),
        ("cuGraphDestroy", "captured"),
        ("cuGraphLaunch", "graph", 0),
        ("cuGraphLaunch", "graph", 0),
        ("cuGraphExecDestroy", "graph"),
    ]


@pytest.mark.parametrize("name", ["cuStreamBeginCapture", "cuStreamEndCapture", "cuGraphInstantiate"])
def test_an_error_of_the_driver_is_named(name: str) -> None:
    api = Api(failing=name)
    driver = Driver(api, int)
    with pytest.raises(BackendError, match=f"{name} fails with .*801.*MINITORCH_CUDA_GRAPHS=0"):
        driver.capture(lambda stream: None)
    destroyed = ("cuGraphDestroy", "captured") in api.calls
    assert destroyed == (name == "cuGraphInstantiate")


@pytest.mark.parametrize("failing", ["", "cuStreamEndCapture"])
def test_a_launch_that_fails_while_it_is_captured_ends_the_capture(failing: str) -> None:
    """The driver knows nothing of what Python raises: it gives what was captured before, which nobody launches."""
    api = Api(failing)
    driver = Driver(api, int)

    def start(stream: int) -> None:
        raise ValueError("no such kernel")

    with pytest.raises(ValueError, match="no such kernel"):
        driver.capture(start)
    ended = [("cuStreamEndCapture", 7), ("cuGraphDestroy", "captured")]
    assert api.calls[2:] == (ended[:1] if failing else ended)


def test_one_thread_captures_at_a_time() -> None:
    """There is one stream for it: what another thread starts meanwhile would become part of the same graph."""
    driver, under_way, most = Driver(Api(), int), [], []

    def start(stream: int) -> None:
        under_way.append(stream)
        time.sleep(0.01)
        most.append(len(under_way))
        under_way.pop()

    threads = [threading.Thread(target=driver.capture, args=(start,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 4


def test_a_graph_that_cannot_be_freed_is_let_go() -> None:
    """As at the end of a thread without a context: the finaliser has nobody to raise to."""
    api = Api(failing="cuGraphExecDestroy")
    replay = Replay(Driver(api, int))
    for _ in range(2):
        replay.run("addresses", lambda stream: None)
    del replay
    gc.collect()
    assert api.calls[-1] == ("cuGraphExecDestroy", "graph")


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let it look for a driver as where nothing is simulated."""
    monkeypatch.setattr(replay, "simulated", lambda: False)
    graph_driver.cache_clear()
    yield monkeypatch
    graph_driver.cache_clear()


def test_there_is_none_in_the_simulator() -> None:
    graph_driver.cache_clear()
    if replay.simulated():
        assert graph_driver() is None


def test_graphs_can_be_switched_off(real: pytest.MonkeyPatch) -> None:
    real.setenv("MINITORCH_CUDA_GRAPHS", "0")
    assert graph_driver() is None


@pytest.mark.parametrize("missing", [AttributeError("no cuStreamCreate"), RuntimeError("no libcuda.so.1")])
def test_a_driver_that_cannot_is_said_once(real: pytest.MonkeyPatch, missing: Exception) -> None:
    def fail(api: Any, stream: Any) -> Any:
        raise missing

    real.setattr(replay, "Driver", fail)
    with pytest.warns(RuntimeWarning, match=f"one by one: {missing}") as said:
        assert [graph_driver(), graph_driver()] == [None, None]
    assert len(said) == 1


def test_a_driver_is_found(real: pytest.MonkeyPatch) -> None:
    real.setattr(replay, "Driver", lambda api, stream: SimpleNamespace(api=api))
    assert graph_driver().api is bindings
