"""Compiling and epochs are told apart."""

from __future__ import annotations

from timing import describe_times

import minitorch
from minitorch.training import History


def history(*seconds, compile_seconds=0.0):
    made = History()
    made.rows = [{"epoch": i, "seconds": s} for i, s in enumerate(seconds, start=1)]
    made.compile_seconds = compile_seconds
    return made


def double(x):
    return x * 2.0


def test_the_median_of_the_epochs_and_all_that_was_compiled():
    made, compiled = history(3.0, 2.5, 4.0, compile_seconds=8.25), minitorch.compile(double)
    assert describe_times(made, compiled) == "Compile time: 8.25 s. Time per epoch: 3.00 s (median of 3)"
    compiled.compile_seconds = 0.25
    assert describe_times(made, compiled) == "Compile time: 8.50 s. Time per epoch: 3.00 s (median of 3)"


def test_without_compiling_the_report_says_so():
    assert describe_times(history(0.25), double) == "Time per epoch: 0.25 s (median of 1), operation by operation"
