"""Ctrl-C waits for the end of a step, and a second one does not."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from minitorch.training.interrupts import Interrupts


def press():
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_is_noted_and_the_second_raises():
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    reached = []

    def press_twice():
        with Interrupts() as interrupts:
            reached.append(interrupts.requested)
            press()
            reached.append(interrupts.requested)
            press()
            reached.append("past the second")

    with pytest.raises(KeyboardInterrupt):
        press_twice()
    assert reached == [False, True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        press()


def test_a_handler_of_the_programs_own_stays():
    seen = []

    def handler(number, frame):
        seen.append(number)

    signal.signal(signal.SIGINT, handler)
    try:
        with Interrupts() as interrupts:
            press()
            assert not interrupts.requested
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert seen == [signal.SIGINT]


def test_another_thread_leaves_the_signal_alone():
    found = []

    def work():
        with Interrupts():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
