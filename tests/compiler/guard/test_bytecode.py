"""What bytecode tells without running it."""

from __future__ import annotations

import ast
import dataclasses
import datetime
import dis
import math
import operator
import os
import time
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import CellType, CodeType, MappingProxyType, ModuleType
from typing import Any

import numpy as np
import pytest

from minitorch.compiler.guard.bytecode import carried, constant_name, is_understood, loaded, outside, questions


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (time.time, "time.time"),
        (time.monotonic_ns, "time.monotonic_ns"),
        (datetime.datetime.now, "datetime.datetime.now"),
        (datetime.date.today, "datetime.date.today"),
        (os.environ, "os.environ"),
        (os.getenv, "os.getenv"),
        (open, f"{open.__module__}.open"),
        (input, "builtins.input"),
        (np.load, "numpy.load"),
    ],
)
def test_questions_to_the_world_are_known(value: Any, name: str) -> None:
    found = outside(value)
    assert found is not None
    assert found[1] == name


@pytest.mark.parametrize("value", [len, np.zeros, time, dict(os.environ), 3.0, operator.itemgetter(1), time.sleep])
def test_other_values_are_not(value: Any) -> None:
    assert outside(value) is None


KEY = "rate"
NAMES: list[tuple[Callable[..., Any], str | None]] = [
    (lambda o: getattr(o, "rate"), "rate"),  # noqa: B009 - what is read
    (lambda o: getattr(o, "rate", None), "rate"),
    (lambda o: getattr(o, "rate", o), "rate"),
    (lambda o: getattr(o[o.index("a")], "rate"), "rate"),  # noqa: B009
    (lambda o: abs(getattr(o, "rate")), "rate"),  # noqa: B009
    (lambda o: getattr(o, KEY), None),
    (lambda o: getattr(o, KEY, "rate"), None),
    (lambda o: getattr("rate", o, o), None),
    (lambda o, p=KEY, q=None: getattr("rate", p, q), None),
    (lambda o, p=KEY, q=None: getattr(o, "rate", (p, q)), None),
    (lambda o: getattr(o, "ra" + KEY), None),
    (lambda o: getattr(o, f"ra{KEY}"), None),
    (lambda o: getattr(o, KEY if o else "rate"), None),
    (lambda o: getattr(o, "rate" if o else KEY), None),
    (lambda o: print(getattr(o, KEY), "rate"), None),
    (lambda o: getattr(*o), None),
    (lambda o: map(getattr, o, "rate"), None),
    (lambda o: [getattr][0](o, "rate"), None),
]


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_a_name_counts_as_constant_only_if_it_is(number: int) -> None:
    function, name = NAMES[number]
    instructions = list(dis.get_instructions(function))
    places = [place for place, value in enumerate(loaded(instructions, globals(), {})) if value is getattr]
    assert [constant_name(instructions, place) for place in places] == [name]


def asked(instructions: Sequence[dis.Instruction], cells: Mapping[str, Any] = MappingProxyType({})) -> set[str]:
    """Find what code asks, at once or of what it carries on."""
    values = loaded(instructions, globals(), dict(cells))
    found = [outside(value) for value in values]
    later = [question for value in carried(instructions, values) for question in questions(value, instructions)]
    return {question[1] for question in (*found, *later) if question is not None}


def test_what_is_loaded_is_found_through_modules_classes_and_closures() -> None:
    clock = time.time

    def ask() -> Any:
        from time import monotonic, perf_counter

        return monotonic(), perf_counter(), datetime.datetime.now(), clock()

    cells = dict(zip(ask.__code__.co_freevars, ask.__closure__ or (), strict=True))
    names = asked(list(dis.get_instructions(ask)), cells)
    assert names == {"time.monotonic", "time.perf_counter", "datetime.datetime.now", "time.time"}


def by_import() -> Any:
    import time as other

    return other.time_ns()


def by_two_names() -> Any:
    clock, system = time, os
    return clock.ctime(), system.getenv("HOME")


def by_a_choice(x: Any) -> Any:
    return (time if x else math).perf_counter()


def by_an_unsure_variable(x: Any) -> Any:
    try:
        clock = time
    finally:
        x = 2
    return x + clock.monotonic()  # type: ignore[possibly-undefined]


def by_a_class() -> Any:
    import datetime as dates

    now = dates.datetime
    return now.today()


def by_a_package() -> Any:
    import os.path

    return os.environ


def by_a_constant_name() -> Any:
    return getattr(time, "localtime")()  # noqa: B009 - what is read


CARRIED: dict[Callable[..., Any], set[str]] = {
    by_import: {"time.time_ns"},
    by_two_names: {"time.ctime", "os.getenv"},
    by_a_choice: {"time.perf_counter"},
    by_an_unsure_variable: {"time.monotonic"},
    by_a_class: {"datetime.datetime.today"},
    by_a_package: {"os.environ"},
    by_a_constant_name: {"time.localtime"},
}


@pytest.mark.parametrize("function", CARRIED, ids=lambda fn: fn.__name__)
def test_a_module_under_another_name_is_still_asked(function: Callable[..., Any]) -> None:
    assert asked(list(dis.get_instructions(function))) == CARRIED[function]


def test_a_module_that_is_asked_at_once_is_not_carried() -> None:
    instructions = list(dis.get_instructions(lambda x: (time.sleep(x), os.path.join("a", x), x.ctime(), x.environ)))
    assert asked(instructions) == set()
    assert list(carried(instructions, loaded(instructions, globals(), {}))) == []


# --- the bytecode of other versions of Python ---------------------------------------------------------------------


def written(*operations: tuple[str, Any]) -> list[dis.Instruction]:
    """Write instructions as another version of Python compiles them."""
    template = next(dis.get_instructions(by_import))
    return [template._replace(opname=name, argval=argument) for name, argument in operations]


LOCALS = {
    "3.11": [("STORE_FAST", "t"), ("LOAD_FAST", "t"), ("LOAD_METHOD", "time")],
    "3.12": [("STORE_FAST", "t"), ("LOAD_FAST_CHECK", "t"), ("LOAD_ATTR", "time")],
    "3.13": [("STORE_FAST_LOAD_FAST", ("t", "t")), ("LOAD_ATTR", "time")],
    "3.13 with two": [
        ("STORE_FAST", "t"),
        ("LOAD_FAST_LOAD_FAST", ("x", "t")),
        ("LOAD_ATTR", "time"),
        ("PUSH_NULL", None),
    ],
    "3.14": [("STORE_FAST", "t"), ("LOAD_FAST_BORROW_LOAD_FAST_BORROW", ("x", "t")), ("LOAD_ATTR", "time")],
    "later": [("STORE_AND_LOAD_IN_A_NEW_WAY", 7), ("LOAD_ATTR", "time")],
}


@pytest.mark.parametrize("version", LOCALS)
def test_no_question_is_missed_however_variables_are_kept(version: str) -> None:
    for load in ("LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS", "IMPORT_NAME"):
        assert asked(written((load, "time"), *LOCALS[version])) == {"time.time"}


@pytest.mark.parametrize("load", ["LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"])
def test_no_question_is_missed_however_closures_are_read(load: str) -> None:
    assert asked(written((load, "t"), ("LOAD_ATTR", "time")), {"t": CellType(time)}) == {"time.time"}


def test_an_instruction_that_names_something_in_an_unknown_way_is_not_understood() -> None:
    loads = next(i for i in dis.get_instructions(by_two_names) if i.opname == "LOAD_GLOBAL")
    stores = next(i for i in dis.get_instructions(by_two_names) if i.opname.startswith("STORE_FAST"))
    assert is_understood(loads)
    assert is_understood(stores)
    assert not is_understood(loads._replace(opname="LOAD_GLOBAL_IN_A_NEW_WAY"))
    assert is_understood(stores._replace(opname="STORE_FAST_IN_A_NEW_WAY"))  # variables are not followed


@pytest.mark.parametrize("module", [ast, dataclasses, datetime, typing])
def test_all_that_this_python_writes_is_understood(module: ModuleType) -> None:
    source = Path(module.__file__ or "").read_text(encoding="utf-8")
    codes = [compile(source, "module", "exec")]
    for code in codes:
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        assert all(map(is_understood, dis.get_instructions(code)))
    assert len(codes) > 1 or module is datetime
