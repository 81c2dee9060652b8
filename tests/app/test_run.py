from __future__ import annotations

import gc
import threading
import time

import pytest
from interface.run import Run, seeded

import minitorch


def counting(seconds: float = 0.0, until: int = 10**9):
    for i in range(until):
        time.sleep(seconds)
        yield i


def wait_for(condition, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.005)


def test_a_run_goes_on_in_the_background_until_it_is_stopped() -> None:
    run = Run(counting(0.001))
    assert (run.latest, run.running, run.finished) == (None, False, False)
    run.start()
    wait_for(lambda: run.count > 3)
    assert run.running
    run.stop()
    assert not run.running
    assert not run.finished
    count = run.count
    assert run.latest == count - 1
    time.sleep(0.05)
    assert run.count == count


def test_it_goes_on_where_it_stopped() -> None:
    run = Run(counting(0.001, until=60))
    run.start()
    wait_for(lambda: run.count > 5)
    run.stop()
    run.start()
    run.wait(20)
    assert (run.latest, run.count, run.finished) == (59, 60, True)
    assert run.seconds >= 0.06
    run.start()  # there is nothing left
    assert not run.running


def test_it_goes_on_though_it_was_stopped_in_a_long_step() -> None:
    go_on = threading.Event()

    def waiting():
        assert go_on.wait(20)
        yield from range(100)

    run = Run(waiting())
    run.start()
    run.stop(timeout=0.01)  # it does not wait for long
    assert run.running
    threading.Timer(0.1, go_on.set).start()
    run.start()
    run.wait(20)
    assert (run.count, run.finished) == (100, True)


def test_a_second_start_changes_nothing() -> None:
    go_on = threading.Event()

    def waiting():
        go_on.wait(20)
        yield from range(200)

    run = Run(waiting())
    run.start()
    thread = run._thread
    run.start()
    assert run._thread is thread
    go_on.set()
    run.wait(20)
    assert run.count == 200


@pytest.mark.parametrize(
    ("error", "words"),
    [(minitorch.NaNError("the loss is nan"), "the loss is nan"), (ZeroDivisionError("no"), "ZeroDivisionError: no")],
)
def test_a_failure_is_kept(error: Exception, words: str) -> None:
    def failing():
        yield 1
        raise error

    run = Run(failing())
    run.start()
    run.wait(20)
    assert (run.error, run.latest, run.finished, run.running) == (words, 1, True, False)


def test_a_run_that_nobody_holds_ends() -> None:
    runs = [Run(counting(0.001))]
    runs[0].start()
    thread = runs[0]._thread
    assert thread is not None
    wait_for(lambda: runs[0].count > 1)
    assert thread.is_alive()
    runs.clear()
    gc.collect()
    thread.join(20)
    assert not thread.is_alive()


def draws(log: list[float]):
    for _ in range(20):
        value = float(minitorch.default_generator.uniform(1)[0])
        log.append(value)
        yield value


def test_two_trainings_share_no_random_numbers() -> None:
    alone: list[float] = []
    list(seeded(lambda: draws(alone), 3))
    first: list[float] = []
    second: list[float] = []
    runs = [Run(seeded(lambda: draws(first), 3)), Run(seeded(lambda: draws(second), 4))]
    for run in runs:
        run.start()
    for run in runs:
        run.wait(20)
    assert first == alone
    assert second != alone
    assert len(set(alone)) == 20


def test_a_training_does_not_wait_for_a_step_of_another() -> None:
    go_on = threading.Event()

    def slow():
        go_on.wait(60)
        yield 0

    first, second = Run(seeded(slow, 1)), Run(seeded(lambda: draws([]), 2))
    for run in (first, second):
        run.start()
    second.wait(20)
    assert (first.count, second.count) == (0, 20)
    go_on.set()
    first.wait(20)
    assert first.finished


def test_the_library_s_own_draws_are_left_as_they_were() -> None:
    minitorch.manual_seed(7)
    expected = minitorch.default_generator.uniform(2).tolist()
    minitorch.manual_seed(7)
    steps = seeded(lambda: draws([]), 3)
    next(steps)
    got = [float(minitorch.default_generator.uniform(2)[0])]
    next(steps)
    assert got[0] == expected[0]
    assert minitorch.default_generator.state == (7, 1)


def test_the_library_s_draws_survive_a_failing_step() -> None:
    def failing():
        yield minitorch.rand((1,))
        raise ValueError("no")

    minitorch.manual_seed(7)
    steps = seeded(failing, 1)
    next(steps)
    with pytest.raises(ValueError, match="no"):
        next(steps)
    assert minitorch.default_generator.state == (7, 0)
