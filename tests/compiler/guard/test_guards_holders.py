"""What a compiled step notices of values that objects of Python's library hold: without compiling anything."""

from __future__ import annotations

import array
import collections
import configparser
import contextvars
import ctypes
import functools
import gc
import multiprocessing
import operator
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from minitorch.compiler.guard.guards import LIMIT, Guards
from minitorch.errors import CompileError

from ...threads import at_once
from ..guarded import traced


class Settings:
    def __init__(self, scale: float = 2.0) -> None:
        self.scale = scale

    def get(self, factor: float = 1.0, *, shift: float = 0.0) -> float:
        return self.scale * factor + shift


def set_to(settings: Any, scale: float) -> None:
    settings.scale = scale


# --- functions around functions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("cache", [functools.cache, functools.lru_cache(maxsize=4), functools.lru_cache(maxsize=0)])
def test_what_a_cached_function_reads_is_guarded(cache: Callable[[Any], Any]) -> None:
    settings = Settings()
    scale_of = cache(lambda factor: settings.scale * factor)
    guards = traced(lambda: scale_of(1.0))
    assert guards.hold()
    settings.scale = 3.0
    assert not guards.hold()


@pytest.mark.parametrize("cache", [functools.cache, functools.lru_cache(maxsize=4)])
def test_an_emptied_cache_and_what_is_in_a_full_one_are_seen(cache: Callable[[Any], Any]) -> None:
    settings_of = cache(Settings)
    guards = traced(lambda: settings_of(2.0).scale)
    assert not settings_of.cache_clear()
    assert not guards.hold()
    guards = traced(lambda: settings_of(2.0).scale)
    assert guards.hold()
    settings_of(2.0).scale = 3.0
    assert not guards.hold()


def test_an_implementation_for_another_type_is_seen() -> None:
    scale = 2.0

    @functools.singledispatch
    def scale_of(_: Any) -> float:
        return scale

    @scale_of.register
    def _(_: float) -> float:
        return scale + 1.0

    class Object:
        @functools.singledispatchmethod
        def scale_of(self, _: Any) -> float:
            return scale

    made = Object()
    steps = [lambda: scale_of("text"), lambda: scale_of(1.0), lambda: made.scale_of(1)]
    guarded = [traced(step) for step in steps]
    assert all(guards.hold() for guards in guarded)
    scale = 3.0
    assert not any(guards.hold() for guards in guarded)
    guarded = [traced(step) for step in steps]
    assert all(guards.hold() for guards in guarded)
    scale_of.register(int, lambda _: 5.0)
    vars(Object)["scale_of"].register(int, lambda _self, _: 5.0)
    assert not any(guards.hold() for guards in guarded)


def test_a_partial_method_is_read() -> None:
    scale = 2.0

    class Object:
        def times(self, factor: float) -> float:
            return scale * factor

        twice = functools.partialmethod(times, 2.0)

    made = Object()
    guards = traced(lambda: made.twice())
    assert guards.hold()
    scale = 3.0
    assert not guards.hold()


GET = operator.methodcaller("get")
GET_MORE = operator.methodcaller("get", 2.0, shift=1.0)
SCALE = operator.attrgetter("scale")
READERS: list[Callable[[Any], Any]] = [
    lambda settings: GET(settings),
    lambda settings: GET_MORE(settings),
    lambda settings: SCALE(settings),
    lambda settings: operator.methodcaller("get")(settings),
    lambda settings: operator.methodcaller("get", shift=1.0)(settings),
    lambda settings: operator.attrgetter("scale")(settings),
]


@pytest.mark.parametrize("number", range(len(READERS)))
def test_methods_and_attributes_that_the_operators_find_are_read(number: int) -> None:
    settings = Settings()
    guards = traced(READERS[number], settings)
    assert guards.hold()
    settings.scale = 3.0
    assert not guards.hold()


# --- references ---------------------------------------------------------------------------------------------------


def test_what_a_weak_reference_leads_to_is_guarded_and_not_kept_alive() -> None:
    settings = Settings()
    weak, of_method = weakref.ref(settings), weakref.WeakMethod(settings.get)

    def scale() -> float:
        found = weak()
        return 1.0 if found is None else found.scale

    def method() -> float:
        found = of_method()
        return 1.0 if found is None else found()

    guarded = [traced(scale), traced(method)]
    assert all(guards.hold() for guards in guarded)
    settings.scale = 3.0
    assert not any(guards.hold() for guards in guarded)
    settings.scale = 2.0
    assert all(guards.hold() for guards in guarded)
    del settings
    gc.collect()
    assert weak() is None
    assert not any(guards.hold() for guards in guarded)


def test_what_a_context_variable_holds_is_guarded() -> None:
    scale: contextvars.ContextVar[Any] = contextvars.ContextVar("scale")
    number, object_, default = (
        traced(read) for read in (lambda: scale.get(2.0), lambda: scale.get(None), lambda: scale.get(1.0))
    )
    assert number.hold()
    token = scale.set(3.0)
    assert not number.hold()
    assert not object_.hold()
    guards = traced(lambda: scale.get())
    assert guards.hold()
    assert not contextvars.Context().run(guards.hold)
    scale.reset(token)
    assert not guards.hold()
    assert default.hold()
    settings = Settings()
    scale.set(settings)
    guards = traced(lambda: scale.get().scale)
    settings.scale = 3.0
    assert not guards.hold()


def test_each_thread_has_attributes_of_its_own() -> None:
    class Local(threading.local):
        kept = 2.0

        def get(self) -> float:
            return self.scale

    for local in (threading.local(), Local()):
        local.scale = 2.0
        steps: list[Callable[[], Any]] = [lambda: local.scale, lambda: getattr(local, "later", 2.0)]  # noqa: B023
        if isinstance(local, Local):
            steps += [local.get, lambda: local.kept]  # noqa: B023
        guarded = [traced(step) for step in steps]
        assert all(guards.hold() for guards in guarded)
        seen: list[list[bool]] = []

        def elsewhere(scale: float) -> None:
            local.scale = scale  # noqa: B023
            local.later = local.kept = 3.0  # noqa: B023
            seen.append([guards.hold() for guards in guarded])  # noqa: B023

        at_once(lambda: elsewhere(3.0))
        assert seen == [[False] * len(steps)]
        assert all(guards.hold() for guards in guarded)
        local.scale = local.later = local.kept = 3.0
        assert not any(guards.hold() for guards in guarded)


# --- containers ---------------------------------------------------------------------------------------------------


def parser(text: str = "[step]\nscale = 2.0") -> configparser.ConfigParser:
    made = configparser.ConfigParser()
    made.read_string(text)
    return made


class Table(dict[str, float]):
    """A dictionary with methods."""

    factor = 1.0

    def get_scale(self) -> float:
        return self["scale"] * self.factor


TABLE = {"scale": 2.0}
CONFIG = parser()
KEPT = Settings()
CONTAINERS: list[tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]] = [
    (bytearray(b"\x02"), lambda x: x[0], lambda x: x.__setitem__(0, 3)),
    (bytearray(b"\x02"), lambda x: len(x), lambda x: x.append(3)),
    (memoryview(bytearray(b"\x02")), lambda x: x[0], lambda x: x.__setitem__(0, 3)),
    (array.array("d", [2.0]), lambda x: x[0], lambda x: x.__setitem__(0, 3.0)),
    (array.array("d", [2.0]), lambda x: sum(x), lambda x: x.append(3.0)),
    (ctypes.c_double(2.0), lambda x: x.value, lambda x: setattr(x, "value", 3.0)),
    (MappingProxyType(TABLE), lambda x: x["scale"], lambda _: TABLE.update(scale=TABLE["scale"] + 1.0)),
    (TABLE.values(), lambda x: sum(x), lambda _: TABLE.update(scale=TABLE["scale"] + 1.0)),
    (TABLE.items(), lambda x: dict(x)["scale"], lambda _: TABLE.update(scale=TABLE["scale"] + 1.0)),
    (collections.UserDict(scale=2.0), lambda x: x["scale"], lambda x: x.update(scale=3.0)),
    (collections.UserList([2.0]), lambda x: sum(x), lambda x: x.append(3.0)),
    (collections.UserString("2.0"), lambda x: float(x), lambda x: setattr(x, "data", "3.0")),
    (collections.ChainMap({}, {"scale": 2.0}), lambda x: x["scale"], lambda x: x.update(scale=3.0)),
    (collections.ChainMap({"scale": 2.0}), lambda x: x["scale"], lambda x: x.maps.insert(0, {"scale": 3.0})),
    (CONFIG, lambda x: x.getfloat("step", "scale"), lambda x: x.set("step", "scale", "3.0")),
    (CONFIG["step"], lambda x: x["scale"], lambda x: CONFIG.set("step", "scale", "4.0")),
    (collections.Counter(a=2), lambda x: x["a"], lambda x: x.update("a")),
    (Table(scale=2.0), lambda x: x.get_scale(), lambda x: x.update(scale=3.0)),
    (Table(scale=2.0), lambda x: x.get_scale(), lambda x: setattr(Table, "factor", 3.0)),
    (Table(scale=2.0), lambda x: x.get_scale(), lambda x: setattr(x, "factor", 5.0)),
    (queue.Queue(), lambda x: x.qsize(), lambda x: x.put(1.0)),
    (threading.Event(), lambda x: x.is_set(), lambda x: x.set()),
    (threading.Semaphore(2), lambda x: x._value, lambda x: x.acquire()),
    (weakref.WeakValueDictionary(scale=KEPT), lambda x: x["scale"].scale, lambda _: set_to(KEPT, KEPT.scale + 1.0)),
    (weakref.WeakValueDictionary(scale=KEPT), lambda x: len(x), lambda x: x.clear()),
    (weakref.WeakSet([KEPT]), lambda x: next(iter(x)).scale, lambda _: set_to(KEPT, KEPT.scale + 1.0)),
]


@pytest.mark.parametrize(("container", "read", "change"), CONTAINERS, ids=lambda x: type(x).__name__)
def test_what_a_container_of_the_library_holds_is_guarded(
    container: Any, read: Callable[[Any], Any], change: Callable[[Any], Any]
) -> None:
    guards = traced(lambda: read(container))
    assert guards.hold()
    before = read(container)
    change(container)
    assert read(container) != before
    assert not guards.hold()


def test_long_memory_is_refused() -> None:
    for memory in (bytearray(LIMIT + 1), array.array("d", [0.0]) * (LIMIT + 1)):
        with pytest.raises(CompileError, match=rf"{type(memory).__name__} `memory` of {LIMIT + 1} elements"):
            traced(lambda: memory[0])  # noqa: B023
    short = array.array("d", [0.0]) * LIMIT
    assert traced(lambda: short[0]).hold()


def test_changes_of_such_containers_are_refused() -> None:
    memory, table, waiting = bytearray(b"\x02"), collections.UserDict(scale=2.0), queue.Queue[float]()
    waiting.put(2.0)
    steps = [
        lambda: memory.append(3),
        lambda: table.update(scale=3.0),
        lambda: waiting.get(),
        lambda: waiting.put(3.0),
    ]
    for step in steps:
        with pytest.raises(CompileError, match=r"cannot change the contents of `(memory|table\.data|waiting\.queue)`"):
            traced(step)


def test_what_another_thread_or_process_answers_is_refused() -> None:
    simple: queue.SimpleQueue[float] = queue.SimpleQueue()
    future: Future[float] = Future()
    future.set_result(2.0)
    simple.put(2.0)
    receive, send = multiprocessing.Pipe()
    send.send(2.0)
    shared = multiprocessing.Value("d", 2.0)
    settings = SimpleNamespace(waiting=simple)
    simple.put(2.0)
    for step, asked in [
        (lambda: simple.get(), r"another thread by `_queue\.SimpleQueue`"),
        (lambda: settings.waiting.get(), r"another thread by `_queue\.SimpleQueue`"),
        (lambda: future.result(), r"another thread by `concurrent\.futures\._base\.Future`"),
        (lambda: receive.recv(), r"another process by `multiprocessing\.connection\.Connection`"),
        (lambda: shared.value, r"another process by `multiprocessing\.sharedctypes\.SynchronizedBase`"),
    ]:
        with pytest.raises(CompileError, match=asked):
            traced(step)
    receive.close()
    send.close()


def test_queues_that_no_code_mentions_are_free() -> None:
    settings = SimpleNamespace(waiting=queue.SimpleQueue(), scale=2.0)
    guards: Guards = traced(lambda: settings.scale)
    settings.waiting.put(3.0)
    assert guards.hold()
