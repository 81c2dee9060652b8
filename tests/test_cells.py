"""Cells outside a compiled step: plain reads and writes of attributes and entries."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from minitorch.cells import is_set, look, read, tracing, write


@pytest.mark.parametrize("make", [dict, SimpleNamespace], ids=["entry", "attribute"])
def test_a_cell_is_read_and_written(make: Any) -> None:
    holder = make(lr=0.5)
    assert read(holder, "lr") == 0.5
    write(holder, "lr", 0.25)
    assert read(holder, "lr") == 0.25


@pytest.mark.parametrize(("value", "expected"), [(None, False), (False, False), (0.0, False), (0.9, True), ("x", True)])
def test_a_cell_is_set_unless_it_is_nothing(value: Any, expected: bool) -> None:
    assert is_set({"key": value}, "key") is expected


def test_a_tracer_belongs_to_its_thread() -> None:
    seen: list[Any] = []
    tracing.tracer = object()
    try:
        other = threading.Thread(target=lambda: seen.append(tracing.tracer))
        other.start()
        other.join()
    finally:
        tracing.tracer = None
    assert seen == [None]


def test_looking_at_a_cell_goes_past_the_tracer() -> None:
    tracing.tracer = object()
    try:
        assert look({"lr": 0.5}, "lr") == 0.5
        assert look(SimpleNamespace(lr=0.25), "lr") == 0.25
        assert look({}, "momentum_buffer") is None
    finally:
        tracing.tracer = None
