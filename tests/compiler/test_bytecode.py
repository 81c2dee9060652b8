"""What bytecode tells without running it."""

from __future__ import annotations

import datetime
import dis
import operator
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minitorch.compiler.bytecode import constant_name, loaded, outside


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
    found = [
        constant_name(list(dis.get_instructions(function)), place)
        for place, (_, value) in enumerate(loaded(function.__code__, globals(), {}))
        if value is getattr
    ]
    assert found == [name]


def test_what_is_loaded_is_found_through_modules_classes_and_variables() -> None:
    clock = time.time

    def ask() -> Any:
        import time as other
        from time import monotonic, perf_counter

        now = other.time_ns
        return now(), monotonic(), perf_counter(), datetime.datetime.now(), clock()

    cells = dict(zip(ask.__code__.co_freevars, ask.__closure__ or (), strict=True))
    found = [outside(value) for _, value in loaded(ask.__code__, globals(), cells)]
    names = {question[1] for question in found if question is not None}
    assert names == {"time.time_ns", "time.monotonic", "time.perf_counter", "datetime.datetime.now", "time.time"}
