"""What a program depends on besides its inputs, and what a step must not change: without compiling anything."""

from __future__ import annotations

import cProfile
import functools
import random
import sys
import threading
import time
import timeit
from collections import deque
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch.compiler.guards import LIMIT, Guards
from minitorch.compiler.hold import SHORT
from minitorch.compiler.reach import Reach
from minitorch.compiler.trace import Tracer
from minitorch.errors import CompileError
from minitorch.layers import Dropout, Linear, Sequential
from minitorch.module import Module, Parameter, last_change

RATE: Any = 0.5
TABLE: dict[str, Any] = {"scale": 2.0}
COUNT = 0
SEEN: list[Any] = []


def traced(fn: Callable[..., Any], *args: Any) -> Guards:
    """Guard a run of a function as a compiled step's trace is guarded."""
    guards = Guards.before(fn, args)
    guards.run(fn, args, {})
    guards.after(Tracer())
    return guards


# --- values that a step reads ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "holds"),
    [
        (0.1, float("0.1"), True),
        (0.1, 0.2, False),
        (1, 1.0, False),
        (1, True, False),
        (0.0, -0.0, False),
        (float("nan"), float("nan"), True),
        (None, 0, False),
        ("sum", "".join(["s", "um"]), True),
        ("sum", "mean", False),
        ((1, (2.0, "a")), (1, (2.0, "a")), True),
        ((1, 2), (1, 3), False),
        (1000, int("1000"), True),
        ("", b"", False),
        (1e400, float("inf"), True),
        (np.float32(0.5), np.float32(0.5), True),
        (np.float32(0.5), np.float64(0.5), False),
        (abs, abs, True),
        (abs, min, False),
        (range(3), range(3), True),
    ],
)
def test_a_value_is_guarded_wherever_it_stands(
    before: Any, after: Any, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = before
    settings = SimpleNamespace(value=before)
    monkeypatch.setitem(globals(), "RATE", before)

    class Layer(Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = SimpleNamespace(value=before)

        def forward(self) -> Any:
            return self.inner.value

    layer = Layer()

    def from_closure() -> Any:
        return here

    def from_global() -> Any:
        return RATE

    def from_attribute() -> Any:
        return settings.value

    def from_method() -> Any:
        return layer()

    def nested() -> Any:
        return [(lambda: here)() for _ in range(2)]

    guarded = [traced(fn) for fn in (from_closure, from_global, from_attribute, from_method, layer, nested)]
    assert all(guards.hold() for guards in guarded)
    here = after
    monkeypatch.setitem(globals(), "RATE", after)
    settings.value = after
    layer.inner.value = after
    assert [guards.hold() for guards in guarded] == [holds] * 6
    here = before
    monkeypatch.setitem(globals(), "RATE", before)
    settings.value = layer.inner.value = before
    assert all(guards.hold() for guards in guarded)


def change_append(x: list[Any]) -> None:
    x.append(1)


def change_element(x: list[Any]) -> None:
    x[0] = 5


@pytest.mark.parametrize(
    ("container", "change"),
    [
        ([1, 2], change_append),
        ([1, 2], change_element),
        ([1, 2], list.clear),
        ([[1], 2], lambda x: x[0].append(2)),
        ([1] * 101, change_element),
        ([1] * LIMIT, change_append),
        (dict.fromkeys(range(101), 1), lambda x: x.update({50: 2})),
        ({"a": 1}, lambda x: x.update(a=2)),
        ({"a": 1}, lambda x: x.update(b=1)),
        ({"a": 1}, lambda x: x.update({"b": x.pop("a")})),
        ({"a": {"b": 1}}, lambda x: x["a"].update(b=2)),
        ({1, 2}, lambda x: x.add(3)),
        (deque([1]), lambda x: x.append(2)),
        (np.zeros(3), lambda x: x.fill(1.0)),
        (([1], 2), lambda x: x[0].append(2)),
    ],
)
def test_the_contents_of_a_container_are_guarded_and_must_not_be_changed(
    container: Any, change: Callable[[Any], None]
) -> None:
    def read() -> Any:
        return container

    def read_default(default: Any = container) -> Any:
        return default

    def write() -> None:
        change(container)

    guarded = traced(read), traced(read_default)
    assert all(guards.hold() for guards in guarded)
    change(container)
    assert not any(guards.hold() for guards in guarded)
    if change is not list.clear and change is not change_element:  # done already
        with pytest.raises(CompileError, match=r"contents of `container"):
            traced(lambda: (change_again(container), container))


@pytest.mark.parametrize("size", [0, 1, SHORT, SHORT + 1, 101, LIMIT - 1])
def test_lists_and_dictionaries_of_every_size_are_guarded(size: int) -> None:
    elements = [object() for _ in range(size)]
    as_list, as_dict = list(elements), {str(i): element for i, element in enumerate(elements)}
    guards = [traced(lambda: as_list), traced(lambda: as_dict)]

    def holds() -> list[bool]:
        return [g.hold() for g in guards]

    assert holds() == [True, True]
    as_list.append(object())
    as_dict["more"] = object()
    assert holds() == [False, False]
    as_list.pop()
    del as_dict["more"]
    assert holds() == [True, True]
    for i in {0, size - 1} if size else ():
        as_list[i] = as_dict[str(i)] = object()
        assert holds() == [False, False]
        as_list[i] = as_dict[str(i)] = elements[i]
        assert holds() == [True, True]
    if size > 1:
        as_dict["0"] = as_dict.pop("0")  # now the last one
        assert holds() == [True, False]


@pytest.mark.parametrize("make", [list, dict.fromkeys, set, deque])
def test_a_longer_container_is_refused(make: Callable[[Any], Any]) -> None:
    table = make(range(LIMIT + 1))

    def step() -> Any:
        return table

    with pytest.raises(CompileError, match=rf"`table` of {LIMIT + 1} elements.*pass it as an argument.*return table"):
        traced(step)


def test_an_equal_number_in_a_dictionary_is_equal_and_another_key_is_not() -> None:
    sizes: dict[Any, Any] = {"a": 1000.5, "b": "text"}
    guards = traced(lambda: sizes)
    sizes["a"] = float("1000.5")
    assert guards.hold()
    sizes["a"] = 1000
    assert not guards.hold()
    sizes.clear()
    sizes.update({"a": 1000.5, "c": "text"})
    assert not guards.hold()


def test_what_holds_is_written_as_text() -> None:
    sizes, rate = [3], 0.5
    text = str(traced(lambda: (sizes, rate)).text)
    assert "[e0] = " in text
    assert text.count(" is not ") == 3  # the list, its element, and the number
    assert text.count("same(now, ") == 1  # equality is enough for the number alone
    compile(text, "hold", "exec")


def change_again(x: Any) -> None:
    x = x[0] if isinstance(x, tuple) else x
    if isinstance(x, dict):
        x["new"] = None
    elif isinstance(x, set):
        x.add(99)
    elif isinstance(x, np.ndarray):
        x[0] = 7.0
    else:
        x.append(99)


def test_equal_numbers_in_a_list_are_equal() -> None:
    sizes = [1000.5, 2000.5]
    guards = traced(lambda: sizes)
    sizes[:] = [float("1000.5"), float("2000.5")]
    assert guards.hold()
    sizes[1] = 2000
    assert not guards.hold()


def test_helpers_methods_partials_and_wrapped_functions_are_read() -> None:
    a = b = c = d = 1

    def helper() -> int:
        return a

    class Object:
        def method(self) -> int:
            return self.prop

        @property
        def prop(self) -> int:
            return b

        @staticmethod
        def static() -> int:
            return c

    def part(x: int) -> int:
        return d + x

    @functools.wraps(helper)
    def wrapped() -> int:
        return helper()

    made, called = Object(), functools.partial(part, 1)
    steps = [wrapped, lambda: made.method(), made.method, lambda: Object.static(), lambda: called(), called]
    guarded = [traced(step) for step in steps]
    assert all(guards.hold() for guards in guarded)
    a = 2
    assert [guards.hold() for guards in guarded] == [False, True, True, True, True, True]
    b = 2
    assert [guards.hold() for guards in guarded] == [False, False, False, True, True, True]
    c = 2
    assert [guards.hold() for guards in guarded] == [False, False, False, False, True, True]
    d = 2
    assert not any(guards.hold() for guards in guarded)


def test_code_that_python_reaches_without_a_name_is_read() -> None:
    scale, shift = 1, 1
    settings = SimpleNamespace(rate=1)

    class Object:
        def __init__(self) -> None:
            self.scale = scale

        def __add__(self, other: int) -> int:
            return self.scale + other + shift

    def by_import() -> Any:
        import decimal as standard
        from math import pi

        return pi, standard, getattr(settings, "rate")  # noqa: B009 - what is read

    made = Object()
    guarded = [traced(fn) for fn in (lambda: Object() + 1, lambda: made + 1, by_import)]
    assert all(guards.hold() for guards in guarded)
    scale = 2
    assert [guards.hold() for guards in guarded] == [False, True, True]
    shift = 2
    assert [guards.hold() for guards in guarded] == [False, False, True]
    settings.rate = 2
    assert not guarded[2].hold()


def test_modules_that_a_step_imports_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("settings_of_the_test")
    module.__dict__["RATE"] = 1.0
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def first() -> Any:
        import settings_of_the_test  # pyright: ignore[reportMissingImports]

        return settings_of_the_test.RATE

    def second() -> Any:
        from settings_of_the_test import RATE as rate  # pyright: ignore[reportMissingImports]

        return rate

    guarded = [traced(first), traced(second), traced(lambda: module.RATE)]
    assert all(guards.hold() for guards in guarded)
    module.__dict__["RATE"] = 2.0
    assert not any(guards.hold() for guards in guarded)


def test_an_iterator_is_refused() -> None:
    batches = iter([1, 2, 3])

    def step() -> int:
        return next(batches)  # taken

    with pytest.raises(CompileError, match=r"next element of the iterator `batches`.*next\(batches\)  # taken"):
        traced(step)


def test_objects_among_the_arguments_are_read() -> None:
    layer = Dropout(0.5)
    guards = traced(lambda layers: len(layers), [layer])
    assert guards.hold()
    layer.eval()
    assert not guards.hold()


def test_attributes_that_no_code_mentions_are_free() -> None:
    class Trainer:
        __slots__ = ("epoch", "scale")

        def __init__(self) -> None:
            self.scale, self.epoch = 2.0, 0

        def step(self) -> float:
            return self.scale

    trainer = Trainer()
    guards = traced(trainer.step)
    trainer.epoch = 1
    assert guards.hold()
    trainer.scale = 3.0
    assert not guards.hold()


def test_an_attribute_that_comes_to_hide_that_of_its_class_is_seen() -> None:
    class Object:
        scale = 2.0

    thing = Object()
    guards = traced(lambda: thing.scale)
    assert guards.hold()
    Object.scale = 3.0
    assert not guards.hold()
    Object.scale = 2.0
    assert guards.hold()
    thing.scale = 3.0
    assert not guards.hold()


def test_a_name_that_is_deleted_does_not_hold() -> None:
    settings = SimpleNamespace(rate=1.0)
    name = 3.0

    def step() -> tuple[float, float]:
        return name, settings.rate  # noqa: F821 - deleted below

    guards = traced(step)
    del settings.rate
    assert not guards.hold()
    settings.rate = 1.0
    assert guards.hold()
    del name
    assert not guards.hold()


# --- modules ----------------------------------------------------------------------------------------------------


class Net(Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = Sequential(Linear(3, 2), Dropout(0.5))
        self.width = 2
        self.mid: Any = None

    def forward(self, x: Any) -> Any:
        self.mid = self.body(x)
        return self.mid


def swap(net: Net) -> None:
    net.body = Sequential(Linear(3, 2))


def renew(net: Net) -> None:
    net.modules()[0].modules()[0].weights = Parameter(1.0)


def remove(net: Net) -> None:
    del net.modules()[0].modules()[0].bias


@pytest.mark.parametrize(
    "change",
    [
        Net.eval,
        lambda net: net.body.modules()[1].eval(),
        lambda net: setattr(net, "width", 3),
        lambda net: setattr(net.body.modules()[1], "p", 0.25),
        swap,
        renew,
        remove,
        lambda net: setattr(net, "extra", Linear(2, 2)),
    ],
)
def test_a_change_to_a_module_anywhere_below_is_seen(change: Callable[[Net], Any]) -> None:
    net = Net()
    guards = traced(lambda: net.forward)
    assert guards.hold()
    Linear(2, 2).eval()  # other modules do not matter
    assert guards.hold()
    change(net)
    assert not guards.hold()


def test_going_to_evaluation_and_back_holds_again() -> None:
    net = Net()
    guards = traced(lambda: net)
    assert (guards.hold(), net.eval() and guards.hold(), net.train() and guards.hold()) == (True, False, True)


def test_tensors_kept_for_looking_at_and_new_values_do_not_matter() -> None:
    net = Net()
    x = minitorch.zeros((1, 3))
    net(x)
    guards = Guards.before(net)
    guards.after(Tracer())
    net(x)
    for parameter in net.parameters():
        parameter.update(parameter.value * 2.0)
    assert guards.hold()


def test_every_way_to_set_an_attribute_of_a_module_is_counted() -> None:
    net = Net()
    for change in (
        lambda: setattr(net, "width", 2),
        lambda: setattr(net, "weight", Parameter(1.0)),
        lambda: net.add_parameter("other", 1.0),
        lambda: delattr(net, "weight"),
        lambda: delattr(net, "width"),
        net.train,
        net.eval,
    ):
        before = last_change.number
        change()
        assert last_change.number != before


# --- optimisers -------------------------------------------------------------------------------------------------


def test_the_settings_of_an_optimiser_are_free_and_its_parameters_and_states_are_not() -> None:
    net = Net()
    optimizer = minitorch.SGD(net.parameters(), lr=0.1, momentum=0.9)
    guards = traced(lambda: optimizer)
    optimizer.lr = 0.2
    optimizer.param_groups[0]["momentum"] = 0.5
    assert guards.hold()
    state = optimizer.state_dict()
    optimizer.load_state_dict(state)
    assert not guards.hold()
    guards = traced(lambda: optimizer)
    optimizer.add_param_group({"params": [Parameter(1.0)]})
    assert not guards.hold()


def test_settings_that_a_step_reads_past_the_optimiser_are_guarded() -> None:
    optimizer = minitorch.SGD(Net().parameters(), lr=0.1)
    guards = traced(lambda: optimizer.param_groups[0]["lr"] * 2.0)
    assert guards.hold()
    optimizer.lr = 0.2
    assert not guards.hold()


def test_settings_that_a_step_changes_past_the_optimiser_are_refused() -> None:
    optimizer = minitorch.SGD(Net().parameters(), lr=0.1)

    def halve() -> None:
        optimizer.param_groups[0]["lr"] *= 0.5  # halved

    with pytest.raises(CompileError, match=r"contents of `optimizer\.param_groups`.*  # halved"):
        traced(halve)


# --- side effects -----------------------------------------------------------------------------------------------


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
        assert "test_guards.py:" in message
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

    monkeypatch.setattr("minitorch.compiler.guards.Reach", look)
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


# --- cost -------------------------------------------------------------------------------------------------------


def median(fn: Callable[[], Any], number: int = 1000) -> float:
    return sorted(timeit.repeat(fn, number=number, repeat=15))[7]


def test_equal_elements_are_compared_once() -> None:
    """The text of a number takes fifty times as long as its identity."""
    numbers = [float(i) for i in range(1000)]
    guards = traced(lambda: numbers)
    identical = median(guards.hold, 20)
    numbers[:] = [float(i) for i in range(1000)]
    assert guards.hold()
    assert median(guards.hold, 20) < 4.0 * identical
    numbers[-1] = 998.5
    assert not guards.hold()
    numbers[-1] = 999.0
    assert guards.hold()


def test_the_bytes_of_an_array_are_compared_as_they_are() -> None:
    table, sizes = np.arange(8000.0), np.arange(8.0)
    assert median(traced(lambda: table).hold, 100) < 40.0 * median(traced(lambda: sizes).hold, 100)


def test_holding_costs_about_as_much_as_a_few_attribute_reads() -> None:
    net, limit = Net(), 3.0
    optimizer = minitorch.SGD(net.parameters(), lr=0.1)
    guards = traced(lambda: (net, optimizer, limit))

    def ten_reads() -> None:
        for _ in range(10):
            _ = net.width

    assert median(guards.hold) < 4.0 * median(ten_reads)
