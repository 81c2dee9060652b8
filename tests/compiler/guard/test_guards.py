"""What a program depends on besides its inputs, and what it costs to look: without compiling anything."""

from __future__ import annotations

import functools
import sys
from collections import deque
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch.compiler.guard.guards import LIMIT
from minitorch.compiler.guard.hold import SHORT
from minitorch.errors import CompileError
from minitorch.layers import Dropout
from minitorch.module import Module

from ...counting import instructions
from ..guarded import Net, traced

RATE: Any = 0.5

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
    assert text.count(" is not ") == 4  # the code, the list, its element, and the number
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


# --- cost -------------------------------------------------------------------------------------------------------


def test_equal_elements_are_compared_once() -> None:
    """The text of a number takes fifty times as long as its identity."""
    numbers = [float(i) for i in range(1000)]
    guards = traced(lambda: numbers)
    identical = instructions(guards.hold)
    numbers[:] = [float(i) for i in range(1000)]
    assert instructions(guards.hold) > 1000 > identical
    assert instructions(guards.hold) == identical
    numbers[-1] = 998.5
    assert not guards.hold()
    numbers[-1] = 999.0
    assert guards.hold()


def test_the_bytes_of_an_array_are_compared_as_they_are() -> None:
    table, sizes = np.arange(8000.0), np.arange(8.0)
    assert instructions(traced(lambda: table).hold) == instructions(traced(lambda: sizes).hold)


def test_holding_costs_about_as_much_as_a_few_attribute_reads() -> None:
    net, limit = Net(), 3.0
    optimizer = minitorch.SGD(net.parameters(), lr=0.1)
    guards = traced(lambda: (net, optimizer, limit))

    def ten_reads() -> None:
        for _ in range(10):
            _ = net.width

    assert instructions(guards.hold) < 2.5 * instructions(ten_reads)
