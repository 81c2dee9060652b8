"""The calls of the driver that capture a graph and launch it, noted by a stand-in: no device is asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from cuda.bindings import driver as bindings

from minitorch.compiler.cuda import replay
from minitorch.compiler.cuda.replay import Driver, graph_driver
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


def test_a_launch_that_fails_while_it_is_captured_ends_the_capture() -> None:
    api = Api()
    driver = Driver(api, int)

    def start(stream: int) -> None:
        raise ValueError("no such kernel")

    with pytest.raises(ValueError, match="no such kernel"):
        driver.capture(start)
    assert api.calls[-1] == ("cuStreamEndCapture", 7)


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
