"""Compiling and epochs are timed apart."""

from __future__ import annotations

import time

import pytest
from timing import Timing

import minitorch


def double(x):
    return x * 2.0


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless it is told to go on: a list of one number."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


class Program:
    """Stands for a compiled function that took its time."""

    compile_seconds = 0.0


def test_what_is_compiled_computes_the_same_and_its_time_is_counted():
    timing = Timing(compiled=True)
    run = timing.compile(double)
    assert timing.compile_seconds == 0.0
    x = minitorch.tensor([1.0, 3.0], backend=minitorch.FastBackend)
    assert run(x).tolist() == [2.0, 6.0]
    taken = timing.compile_seconds
    assert taken > 0.0
    run(x)
    assert timing.compile_seconds == taken
    run(minitorch.tensor([1.0, 3.0, 5.0], backend=minitorch.FastBackend))
    assert timing.compile_seconds > taken


def test_without_compiling_a_function_stays_as_it_is():
    timing = Timing(compiled=False)
    assert timing.compile(double) is double
    assert timing.compile_seconds == 0.0


def test_an_epoch_is_timed_without_what_was_compiled_in_it(clock, monkeypatch):
    programs = [Program(), Program()]
    monkeypatch.setattr(minitorch, "compile", lambda function: programs.pop(0))
    timing = Timing(compiled=True)
    step, score = timing.compile(double), timing.compile(double)
    for seconds, compiling in [(10.0, 7.0), (2.5, 0.0), (5.0, 1.0)]:
        with timing.epoch():
            clock[0] += seconds
            step.compile_seconds += compiling
    score.compile_seconds += 0.5  # between epochs
    assert timing.epochs == [3.0, 2.5, 4.0]
    assert timing.report() == "Compile time: 8.50 s. Time per epoch: 3.00 s (median of 3)"


def test_without_compiling_the_report_says_so(clock):
    timing = Timing(compiled=False)
    with timing.epoch():
        clock[0] += 0.25
    assert timing.report() == "Time per epoch: 0.25 s (median of 1), operation by operation"
