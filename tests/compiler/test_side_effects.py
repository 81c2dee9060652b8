"""What a step must not do beside computing: count, fill a container, draw random numbers, ask the clock."""

from __future__ import annotations

import cProfile
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch.compiler.guard.guards import Guards
from minitorch.compiler.guard.reach import Reach
from minitorch.compiler.trace.tracer import Tracer
from minitorch.errors import CompileError
from minitorch.layers import Dropout
from minitorch.module import Module, Parameter

from .guarded import traced

COUNT = 0


def test_a_counter_is_refused_with_its_line() -> None:
    local = 0
    settings = SimpleNamespace(count=0)

    class Counting(Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self) -> None:
            self.calls += 1  # counting.calls

    counting = Counting()

    def of_closure() -> None:
        nonlocal local
        local += 1  # local

    def of_global() -> None:
        global COUNT
        COUNT += 1  # global

    def of_object() -> None:
        settings.count += 1  # settings.count

    for step, name, line in [
        (of_closure, "local", "local += 1  # local"),
        (of_global, "COUNT", "COUNT += 1  # global"),
        (of_object, "settings.count", "settings.count += 1  # settings.count"),
        (lambda: counting(), "counting.calls", "self.calls += 1  # counting.calls"),
        (counting, "Counting.calls", "self.calls += 1  # counting.calls"),
    ]:
        with pytest.raises(CompileError) as caught:
            traced(step)
        message = str(caught.value)
        assert message.startswith(f"a compiled step cannot change `{name}`: it was 0 and became 1")
        assert message.endswith(f": {line})")
        assert "test_side_effects.py:" in message
        assert "outside the step" in message
        assert "minitorch.debug()" in message
        settings.count = counting.calls = 0


def test_a_container_that_the_step_fills_is_refused_with_its_line() -> None:
    history: dict[str, Any] = {}
    places: list[int] = []

    class Keeper:
        def __init__(self) -> None:
            self.kept: list[int] = []

    keeper = Keeper()

    def of_dict() -> None:
        _ = len(history)
        history["x"] = 1  # written

    def of_list() -> None:
        places.append(3)  # appended

    def of_attribute() -> None:
        keeper.kept.append(3)  # kept

    for step, name, line in [
        (of_dict, "history", 'history["x"] = 1  # written'),
        (of_list, "places", "places.append(3)  # appended"),
        (of_attribute, "keeper.kept", "keeper.kept.append(3)  # kept"),
    ]:
        with pytest.raises(CompileError) as caught:
            traced(step)
        assert str(caught.value).startswith(f"a compiled step cannot change the contents of `{name}`")
        assert str(caught.value).endswith(f": {line})")


def test_a_traced_tensor_is_taken_out_of_a_container_again() -> None:
    losses: list[Any] = [1.0]
    by_name: dict[str, Any] = {"old": 2.0}

    def to_list(value: Any) -> None:
        losses.append(value)

    def to_dict(value: Any) -> None:
        by_name["new"] = value

    for step in (to_list, to_dict):
        tracer = Tracer()
        guards = Guards.before(step)
        step(tracer.wrap(tracer.graph.add("constant", (), (1.0,), (), np.dtype("float32"))))
        with pytest.raises(CompileError):
            guards.after(tracer)
    assert losses == [1.0]
    assert by_name == {"old": 2.0}


def test_traced_tensors_are_kept_in_attributes_and_refused_in_names() -> None:
    last: Any = None
    net = SimpleNamespace(mid=None)

    def attribute(value: Any) -> None:
        net.mid = value

    def name(value: Any) -> None:
        nonlocal last
        last = value

    tracer = Tracer()
    value = tracer.wrap(tracer.graph.add("constant", (), (1.0,), (), np.dtype("float32")))
    guards = Guards.before(attribute)
    attribute(value)
    guards.after(tracer)
    net.mid = minitorch.zeros((1,))
    assert guards.hold()

    guards = Guards.before(name)
    name(value)
    with pytest.raises(CompileError, match="`last`"):
        guards.after(tracer)
    assert last is value


@pytest.mark.parametrize("seed", range(3))
def test_drawing_random_numbers_is_refused(seed: int) -> None:
    own, older, pure = np.random.default_rng(seed), np.random.RandomState(seed), random.Random(seed)
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 - the state that is global
    draws: list[tuple[Callable[[], Any], str, str]] = [
        (lambda: random.random(), "Python's `random`", "random.random()"),
        (lambda: np.random.rand(), "NumPy's global generator", "np.random.rand()"),  # noqa: NPY002
        (lambda: own.normal(), "`own`", "own.normal()"),
        (lambda: older.rand(), "`older`", "older.rand()"),
        (lambda: pure.random(), "`pure`", "pure.random()"),
    ]
    for draw, name, line in draws:
        with pytest.raises(CompileError, match="draw random numbers") as caught:
            traced(draw)
        assert f"from {name}" in str(caught.value)
        assert line in str(caught.value)
    random.setstate(before[0])
    np.random.set_state(before[1])  # noqa: NPY002
    assert traced(lambda: (own, older, pure, random, np.random)).hold()


def rand_by_another_name() -> float:
    return np.random.rand()  # noqa: NPY002


class Sampler:
    """Made by a call, so that no name leads to its methods."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __getitem__(self, k: int) -> float:
        return self.module.random()


DRAWS: dict[str, Callable[[], Any]] = {
    "NumPy's": lambda: np.random.rand(),  # noqa: NPY002
    "NumPy's in a function": rand_by_another_name,
    "NumPy's by its method": (lambda draw: lambda: draw())(np.random.rand),
    "NumPy's behind a made-up name": lambda: getattr(np, "random").rand(),  # noqa: B009
    "Python's": lambda: random.random(),
    "Python's by its method": (lambda draw: lambda: draw())(random.random),
    "Python's by map": (lambda draw: lambda: list(map(draw, [1], [2])))(random.uniform),
    "Python's in an object": lambda: Sampler(random)[0],
    "of the step": (lambda own: lambda: own.random())(random.Random(0)),
    "of the step by its method": (lambda draw: lambda: draw())(random.Random(0).random),
}


@pytest.fixture
def other_thread() -> Iterator[None]:
    """Have another thread draw from both shared generators all the time."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    stopped, drawing = threading.Event(), threading.Event()

    def draw() -> None:
        while not stopped.is_set():
            np.random.rand()  # noqa: NPY002
            random.random()
            drawing.set()

    thread = threading.Thread(target=draw)
    thread.start()
    drawing.wait()
    yield
    stopped.set()
    thread.join()
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002


def test_random_numbers_that_another_thread_draws_are_not_the_steps(other_thread: None) -> None:
    x = minitorch.tensor([1.0, 2.0], backend=minitorch.FastBackend)
    weight = Parameter(minitorch.tensor([1.0, 2.0], backend=minitorch.FastBackend))
    drop = Dropout(0.5)
    before = random.getstate()
    for scale in (2.0, 3.0, 4.0):
        step = minitorch.compile(lambda x, scale=scale: (drop(x) * weight.value * scale).sum())
        step(x)
        while random.getstate() == before:
            pass
        before = random.getstate()


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_step_that_draws_is_refused_also_while_another_thread_draws(
    draw: Callable[[], Any], other_thread: None
) -> None:
    with pytest.raises(CompileError, match="draw random numbers"):
        traced(draw)


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_step_that_draws_is_refused(draw: Callable[[], Any]) -> None:
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    with pytest.raises(CompileError, match="draw random numbers"):
        traced(draw)
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002


def test_a_clock_that_is_not_asked_is_no_reason_also_under_a_profiler_or_a_debugger() -> None:
    def timed() -> float:
        return time.perf_counter()

    def step(*, verbose: bool = False) -> float:
        return timed() if verbose else 0.0

    def trace(*_: Any) -> None:
        """Be a debugger that looks at nothing."""

    before = sys.gettrace(), sys.getprofile()
    for tools in ((None, None), (trace, None), (None, trace)):
        sys.settrace(tools[0])
        sys.setprofile(tools[1])
        try:
            assert traced(step).hold()
            with pytest.raises(CompileError, match="ask the clock"):
                traced(lambda: step(verbose=True))
            assert (sys.gettrace(), sys.getprofile()) == tools
        finally:
            sys.settrace(before[0])
            sys.setprofile(before[1])
    with cProfile.Profile() as profile:
        assert traced(step).hold()
    assert profile.getstats()


@pytest.mark.parametrize("place", ["name", "list"])
def test_a_value_that_another_thread_changes_while_guards_are_made_is_not_taken_for_the_traced_one(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change comes at the worst moment: when the guards look a second time."""
    scale, scales = 2.0, [2.0]
    looks = 0

    def look(roots: Any) -> Reach:
        nonlocal looks, scale
        looks += 1
        if looks == 2 and place == "name":
            scale = 3.0
        elif looks == 2:
            scales[0] = 3.0
        return Reach(roots)

    monkeypatch.setattr("minitorch.compiler.guard.guards.Reach", look)
    step = (lambda: scale) if place == "name" else lambda: scales[0]
    try:
        assert not traced(step).hold()
    except CompileError as error:
        assert "cannot change" in str(error)  # noqa: PT017
    assert looks == 2


def test_a_value_that_another_thread_changes_before_the_first_call_is_traced_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = SimpleNamespace(scale=2.0)
    after = Guards.after

    def and_change(guards: Guards, tracer: Tracer) -> None:
        after(guards, tracer)
        settings.scale = 3.0

    monkeypatch.setattr(Guards, "after", and_change)
    step = minitorch.compile(lambda x: x * settings.scale)
    x = minitorch.tensor([1.0], backend=minitorch.FastBackend)
    assert step(x).item() == 3.0
    settings.scale = 2.0
    assert step(x).item() == 2.0
    assert len(step.traces) == 2


def test_what_a_method_is_bound_to_is_guarded() -> None:
    kept: list[int] = []
    keep = kept.append

    def step() -> None:
        keep(1)  # kept

    with pytest.raises(CompileError, match=r"contents of `keep`"):
        traced(step)
