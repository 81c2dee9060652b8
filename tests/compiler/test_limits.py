"""What a compiled step refuses, each with the way out, and what it does once: the examples of docs/compiler.md."""

from __future__ import annotations

import decimal
import io
import logging
import math
import os
import queue
import random
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch import FastBackend
from minitorch.compiler.compiled import PROGRAMS
from minitorch.errors import BackendError, CompileError, GraphError
from minitorch.layers import Dropout, Linear
from minitorch.module import Parameter
from minitorch.random import Generator
from minitorch.tensor import Tensor

from .steps import X, close, network, on_fast, programs, trainer

# --- refused: what would be frozen ------------------------------------------------------------------------------


def read_if(x: Tensor) -> Tensor:
    loss = x.sum()
    return loss * 2.0 if loss > 3.0 else loss


def read_float(x: Tensor) -> float:
    return float(x.sum())


def read_index(x: Tensor) -> float:
    return x[0, 0]


def read_item(x: Tensor) -> float:
    return x.sum().item()


def read_print(x: Tensor) -> None:
    print(x.sum())


def read_numpy(x: Tensor) -> Any:
    return np.asarray(x.to_numpy())


def read_asarray(x: Tensor) -> Any:
    return np.asarray(x.sum())


def read_text(x: Tensor) -> str:
    return f"{x.sum():.2f}"


def read_int(x: Tensor) -> int:
    return int(x.sum())


def read_list_entry(x: Tensor) -> str:
    return "abcdef"[x.argmin()]


def read_list(x: Tensor) -> Any:
    return x.tolist()


def read_iteration(x: Tensor) -> Any:
    return [value + 1.0 for value in x.view(6)]


def write_element(x: Tensor) -> Tensor:
    x[0, 0] = 1.0
    return x


READS: dict[Callable[[Tensor], Any], str] = {
    read_if: "loss > 3.0",
    read_float: "float(x.sum())",
    read_index: "x[0, 0]",
    read_item: "x.sum().item()",
    read_print: "print(x.sum())",
    read_numpy: "x.to_numpy()",
    read_asarray: "np.asarray(x.sum())",
    read_text: 'f"{x.sum():.2f}"',
    read_int: "int(x.sum())",
    read_list_entry: '"abcdef"[x.argmin()]',
    read_list: "x.tolist()",
    read_iteration: "for value in x.view(6)",
    write_element: "x[0, 0] = 1.0",
}


@pytest.mark.parametrize("read", READS, ids=lambda fn: fn.__name__)
def test_looking_at_a_traced_value_is_refused(read: Callable[[Tensor], Any]) -> None:
    with pytest.raises(CompileError) as caught:
        minitorch.compile(read)(on_fast(X))
    message = str(caught.value)
    assert f"{READS[read]}" in message.rpartition("test_limits.py:")[2]
    assert "minitorch.debug()" in message
    with minitorch.debug():
        minitorch.compile(read)(on_fast(X))


def draw_uniform(x: Tensor) -> Tensor:
    return x * float(GENERATOR.uniform(1)[0])


def draw_numpy(x: Tensor) -> Tensor:
    return x * np.random.rand()  # noqa: NPY002 - what is refused


def draw_python(x: Tensor) -> Tensor:
    return x * random.random()


GENERATOR = Generator(5)
DRAWS: dict[Callable[[Tensor], Any], str] = {
    draw_uniform: "GENERATOR.uniform(1)",
    draw_numpy: "np.random.rand()",
    draw_python: "random.random()",
}


def test_seeding_is_refused() -> None:
    def step(x: Tensor) -> Tensor:
        minitorch.manual_seed(3)
        return x * minitorch.rand(x.shape, backend=FastBackend)

    with pytest.raises(CompileError, match=r"cannot seed a generator.*Seed it outside.*minitorch\.manual_seed\(3\)"):
        minitorch.compile(step)(on_fast(X))


@pytest.mark.parametrize("draw", DRAWS, ids=lambda fn: fn.__name__)
def test_random_numbers_that_would_be_frozen_are_refused(draw: Callable[[Tensor], Any]) -> None:
    with pytest.raises(CompileError, match=r"(?i)random") as caught:
        minitorch.compile(draw)(on_fast(X))
    message = str(caught.value)
    assert DRAWS[draw] in message.rpartition("test_limits.py:")[2]
    assert "outside and pass them in" in message
    assert "minitorch.debug()" in message


SMALL, LARGE = np.ones((2, 3)), np.ones((2000, 2, 3))


def test_a_small_array_may_change_and_a_large_one_is_refused() -> None:
    step = minitorch.compile(lambda x: x * minitorch.tensor(SMALL[::-1], backend=FastBackend))
    for value in (3.0, 5.0):
        SMALL[0, 0] = value
        np.testing.assert_array_equal(step(on_fast(X)).to_numpy(), X * SMALL[::-1])
    step = minitorch.compile(lambda x: x * minitorch.tensor(LARGE[[0]], backend=FastBackend))
    with pytest.raises(CompileError, match=r"`LARGE` of 96000 bytes.*as an argument"):
        step(on_fast(X))
    with minitorch.debug():
        assert step(on_fast(X)).shape == (1, 2, 3)
    assert minitorch.compile(lambda x, y: x * y)(on_fast(X), LARGE).shape == (2000, 2, 3)


PATH = Path(__file__)
SCALE = 2.0


def ask_time(x: Tensor) -> Tensor:
    return x * time.time()


def ask_counter(x: Tensor) -> Tensor:
    from time import perf_counter as clock

    return x * clock()


def ask_now(x: Tensor) -> Tensor:
    return x * datetime.now().second


def ask_environment(x: Tensor) -> Tensor:
    return x * float(os.environ["SCALE"])


def ask_variable(x: Tensor) -> Tensor:
    return x * float(os.getenv("SCALE", "1"))


def ask_file(x: Tensor) -> Tensor:
    with open(PATH) as file:
        return x * len(file.readline())


def ask_path(x: Tensor) -> Tensor:
    return x * len(PATH.read_text())


def ask_user(x: Tensor) -> Tensor:
    return x * float(input())


def ask_globals(x: Tensor) -> Tensor:
    return x * globals()["SCALE"]


def ask_eval(x: Tensor) -> Tensor:
    return x * eval("SCALE")


QUESTIONS: dict[Callable[[Tensor], Any], str] = {
    ask_time: "time.time()",
    ask_counter: "from time import perf_counter as clock",
    ask_now: "datetime.now().second",
    ask_environment: 'os.environ["SCALE"]',
    ask_variable: 'os.getenv("SCALE", "1")',
    ask_file: "open(PATH)",
    ask_path: "PATH.read_text()",
    ask_user: "float(input())",
    ask_globals: 'globals()["SCALE"]',
    ask_eval: 'eval("SCALE")',
}


@pytest.mark.parametrize("ask", QUESTIONS, ids=lambda fn: fn.__name__)
def test_questions_to_the_world_are_refused(ask: Callable[[Tensor], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALE", "2.0")
    monkeypatch.setattr("sys.stdin", io.StringIO("2.0\n2.0\n"))
    for step in (ask, lambda x: ask(x)):  # in a helper of the step too
        with pytest.raises(CompileError, match="Read it outside and pass it in") as caught:
            minitorch.compile(step)(on_fast(X))
        message = str(caught.value)
        assert QUESTIONS[ask] in message.rpartition("test_limits.py:")[2]
        assert "minitorch.debug()" in message


def test_functions_that_do_not_run_may_ask() -> None:
    class Trainer:
        def train(self) -> float:
            return time.time()

        def step(self, x: Tensor) -> Tensor:
            return x * 2.0 if layer.train() else x

    layer = Dropout(0.5)
    trainer = Trainer()
    close([minitorch.compile(lambda x: trainer.step(x))(on_fast(X)).to_numpy()], [X * 2.0])


def test_waiting_for_another_thread_is_refused() -> None:
    simple: queue.SimpleQueue[float] = queue.SimpleQueue()
    whole: queue.Queue[float] = queue.Queue()
    future: Future[float] = Future()
    for waiting in (simple, whole):
        waiting.put(2.0)
    future.set_result(2.0)
    for step, what in [
        (lambda x: x * simple.get(), r"ask another thread by `_queue\.SimpleQueue`.*pass it in.*simple\.get\(\)"),
        (lambda x: x * future.result(), r"ask another thread by `.*Future`.*pass it in.*future\.result\(\)"),
        (lambda x: x * whole.get(), r"change the contents of `whole\.queue`"),
    ]:
        with pytest.raises(CompileError, match=what):
            minitorch.compile(step)(on_fast(X))


def test_an_optimiser_s_averages_are_refused() -> None:
    _, optimizer, train = trainer(momentum=0.9)
    train(on_fast(X))
    training = SimpleNamespace(optimizer=optimizer)
    for step in (lambda x: x * optimizer.state[0]["step"], lambda x: x * training.optimizer.state[0]["step"]):
        with pytest.raises(CompileError, match=r"ask an optimiser for its averages by `state`.*\.state\[0\]"):
            minitorch.compile(step)(on_fast(X))
    state = SimpleNamespace(state=2.0)
    close([minitorch.compile(lambda x: x * state.state)(on_fast(X)).to_numpy()], [X * 2.0])


def test_a_clock_under_another_name_is_refused() -> None:
    clock = time.monotonic
    settings = SimpleNamespace(clock=time.monotonic)
    for step in (lambda x: x * clock(), lambda x: x * settings.clock()):
        with pytest.raises(CompileError, match=r"ask the clock by `time\.monotonic`"):
            minitorch.compile(step)(on_fast(X))


def ask_of_it(clock: Any) -> float:
    return clock.monotonic()


def test_the_module_of_the_clock_under_another_name_is_refused() -> None:
    settings = SimpleNamespace(clock=time, clocks=[time])

    def by_import(x: Tensor) -> Tensor:
        import time as other

        return x * other.monotonic()

    def by_variable(x: Tensor) -> Tensor:
        clock, factor = time, 2.0
        return x * factor * clock.monotonic()

    def by_inner_function(x: Tensor) -> Tensor:
        clock = time

        def now() -> float:
            return clock.monotonic()

        return x * now()

    def by_argument(x: Tensor) -> Tensor:
        return x * ask_of_it(time)

    def by_attribute(x: Tensor) -> Tensor:
        return x * settings.clock.monotonic()

    def by_element(x: Tensor) -> Tensor:
        return x * settings.clocks[0].monotonic()

    for step in (by_import, by_variable, by_inner_function, by_argument, by_attribute, by_element):
        with pytest.raises(CompileError, match=r"ask the clock by `time\.monotonic`") as caught:
            minitorch.compile(step)(on_fast(X))
        assert ".monotonic()" in str(caught.value).rpartition("test_limits.py:")[2]


def test_what_an_unknown_instruction_of_a_later_python_finds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SimpleNamespace(scale=2.0)
    step = minitorch.compile(lambda x: x * settings.scale)
    close([step(on_fast(X)).to_numpy()], [X * 2.0])
    monkeypatch.setattr("minitorch.compiler.guard.bytecode.ATTRIBUTES", set())
    with pytest.raises(CompileError, match=r"cannot ask Python for a name by `LOAD_ATTR`.*settings\.scale"):
        minitorch.compile(lambda x: x * settings.scale)(on_fast(X))


def test_a_long_list_is_refused_and_every_element_of_a_shorter_one_is_followed() -> None:
    table = [1.0] * 4000
    step = minitorch.compile(lambda x: x * table[2000])
    for value in (3.0, 5.0):
        table[2000] = value
        close([step(on_fast(X)).to_numpy()], [X * value])
    table *= 2
    with pytest.raises(CompileError, match=r"the list `table` of 8000 elements.*pass it as an argument"):
        minitorch.compile(lambda x: x * table[2000])(on_fast(X))


def test_a_sort_of_a_long_line_is_refused() -> None:
    x = on_fast(np.zeros((1, 4097)))
    for step in (lambda x: x.sort(1), lambda x: x.topk(2, 1), lambda x: x.topk(1, 1, largest=False)):
        with pytest.raises(CompileError, match=r"up to 4096; got 4097 along dimension 1.*Sort outside the step"):
            minitorch.compile(step)(x)
        with minitorch.debug():
            minitorch.compile(step)(x)
    values, indices = minitorch.compile(lambda x: x.topk(1, 1))(x)
    assert (values.tolist(), indices.tolist()) == ([[0.0]], [[0]])


NAME = "scale"


def test_attributes_that_are_set_by_name_are_refused() -> None:
    settings = SimpleNamespace(scale=2.0)

    def by_constant(x: Tensor) -> None:
        setattr(settings, "scale", settings.scale + 1.0)  # noqa: B010 - what is refused

    def by_name(x: Tensor) -> None:
        setattr(settings, NAME, 5.0)

    def by_new_name(x: Tensor) -> None:
        setattr(settings, NAME + "s", 5.0)

    for step in (by_constant, by_name, by_new_name):
        with pytest.raises(CompileError, match=r"a compiled step cannot change .*`settings"):
            minitorch.compile(step)(on_fast(X))


COUNT = 0


def test_side_effects_are_refused() -> None:
    losses: list[Any] = []
    history: dict[str, Any] = {}

    def append(x: Tensor) -> None:
        losses.append(x.sum())

    def count(x: Tensor) -> Tensor:
        global COUNT
        COUNT += 1
        return x.sum()

    def entry(x: Tensor) -> None:
        history["loss"] = x.sum()

    for step, line in [(append, "losses.append(x.sum())"), (count, "COUNT += 1"), (entry, 'history["loss"] = x.sum()')]:
        with pytest.raises(CompileError) as caught:
            minitorch.compile(step)(on_fast(X))
        assert line in str(caught.value).rpartition("test_limits.py:")[2]
        assert "outside the step" in str(caught.value)
        assert "minitorch.debug()" in str(caught.value)
    assert losses == []
    assert history == {}


def test_a_state_carried_in_an_attribute_is_refused() -> None:
    cell = SimpleNamespace(hidden=on_fast(X))

    def step(x: Tensor) -> Tensor:
        cell.hidden = cell.hidden * 0.5 + x
        return cell.hidden.sum()

    with pytest.raises(CompileError, match=r"carry a tensor from call to call in `cell\.hidden`"):
        minitorch.compile(step)(on_fast(X))


def test_a_tensor_on_another_backend_is_refused() -> None:
    constant = minitorch.ones((2, 3), backend=minitorch.SimpleBackend)
    step = minitorch.compile(lambda x: (x * 2.0).sum())
    with pytest.raises(BackendError, match=r"minitorch\.FastBackend"):
        step(minitorch.tensor(X.tolist(), backend=minitorch.SimpleBackend))
    with pytest.raises(BackendError, match=r"FastBackend"):
        minitorch.compile(lambda x: (x * constant).sum())(on_fast(X))
    assert step(on_fast(X)).item() == pytest.approx(5.5)


def test_a_scalar_parameter_is_refused() -> None:
    weight = Parameter(minitorch.Scalar(3.0))
    with pytest.raises(CompileError, match="Make the parameter a tensor"):
        minitorch.compile(lambda x: x.sum() * weight.value.data)(on_fast(X))


def test_a_tensor_with_a_history_outside_is_refused() -> None:
    made = on_fast(X, requires_grad=True) * 2.0
    with pytest.raises(CompileError, match="recorded outside"):
        minitorch.compile(lambda x: (x * made).sum())(on_fast(X))
    with pytest.raises(CompileError, match="recorded outside"):
        minitorch.compile(lambda x: x.sum())(made)
    assert minitorch.compile(lambda x: x.sum())(made.detach()).item() == pytest.approx(5.5 * 1.0)


def test_backward_outside_is_refused() -> None:
    net = network()
    loss = minitorch.compile(lambda x: net(x).sum())(on_fast(X))
    with pytest.raises(GraphError, match=r"Call backward\(\) inside the step"):
        loss.backward()
    assert all(p.value.grad is None for p in net.parameters())


def test_a_traced_tensor_left_in_an_attribute_is_refused_when_it_is_read() -> None:
    kept = SimpleNamespace(mid=None)

    def step(x: Tensor) -> Tensor:
        kept.mid = x * 2.0
        return kept.mid.sum()

    assert minitorch.compile(step)(on_fast(X)).item() == pytest.approx(5.5)
    for read in (lambda: kept.mid.to_numpy(), lambda: kept.mid + 1.0, lambda: kept.mid.sum().item()):
        with pytest.raises(CompileError, match="Return it from the step"):
            read()


# --- admitted: answers that stay as they were --------------------------------------------------------------------


def ask_whether_a_file_exists(folder: Path) -> float:
    return 2.0 if (folder / "second").exists() else 1.0


def ask_what_a_file_holds(folder: Path) -> float:
    with (folder / "first").open() as file:
        return float(file.read())


def ask_what_a_folder_holds(folder: Path) -> float:
    return float(len(os.listdir(folder)))


def ask_the_log(folder: Path) -> float:
    return float(logging.getLogger("minitorch.tests").getEffectiveLevel())


def ask_numpy(folder: Path) -> float:
    return float(np.get_printoptions()["precision"])


def change_the_world(folder: Path) -> None:
    (folder / "first").write_text("4.0")
    (folder / "second").write_text("")
    logging.getLogger("minitorch.tests").setLevel(logging.ERROR)
    np.set_printoptions(precision=3)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "first").write_text("3.0")
    log, options = logging.getLogger("minitorch.tests"), np.get_printoptions()
    log.setLevel(logging.WARNING)
    yield tmp_path
    log.setLevel(logging.NOTSET)
    np.set_printoptions(**options)


FROZEN = [ask_whether_a_file_exists, ask_what_a_file_holds, ask_what_a_folder_holds, ask_the_log, ask_numpy]


@pytest.mark.parametrize("ask", FROZEN, ids=lambda fn: fn.__name__)
def test_what_a_library_asks_on_the_step_s_behalf_stays_as_it_was(ask: Callable[[Path], float], folder: Path) -> None:
    run = minitorch.compile(lambda x: x * ask(folder))
    first = ask(folder)
    close([run(on_fast(X)).to_numpy()], [X * first])
    change_the_world(folder)
    assert ask(folder) != first
    close([run(on_fast(X)).to_numpy()], [X * first])
    with minitorch.debug():
        close([run(on_fast(X)).to_numpy()], [X * ask(folder)])
    # What to write instead.
    given = minitorch.compile(lambda x, answer: x * answer)
    close([given(on_fast(X), ask(folder)).to_numpy()], [X * ask(folder)])


def test_an_attribute_of_a_library_s_object_that_a_call_finds_stays_as_it_was() -> None:
    handler = logging.Handler()
    handler.scale = 2.0  # type: ignore[attr-defined]
    log = logging.getLogger("minitorch.tests.handlers")
    log.addHandler(handler)
    try:
        found = minitorch.compile(lambda x: x * logging.getLogger("minitorch.tests.handlers").handlers[0].scale)  # type: ignore[attr-defined]
        named = minitorch.compile(lambda x: x * handler.scale)  # type: ignore[attr-defined]
        for run in (found, named):
            close([run(on_fast(X)).to_numpy()], [X * 2.0])
        handler.scale = 3.0  # type: ignore[attr-defined]
        close([found(on_fast(X)).to_numpy()], [X * 2.0])
        close([named(on_fast(X)).to_numpy()], [X * 3.0])
    finally:
        log.removeHandler(handler)


def test_functions_of_a_library_that_are_replaced_stay_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    layer, function = minitorch.compile(lambda x: net(x)), minitorch.compile(lambda x: x * math.sqrt(4.0))
    before = net(on_fast(X)).to_numpy()
    close([layer(on_fast(X)).to_numpy(), function(on_fast(X)).to_numpy()], [before, X * 2.0])
    monkeypatch.setattr(Linear, "forward", lambda self, x: x)
    monkeypatch.setattr(math, "sqrt", lambda x: x)
    close([layer(on_fast(X)).to_numpy(), function(on_fast(X)).to_numpy()], [before, X * 2.0])


def test_what_only_a_layer_reads_stays_as_it_was_where_it_is_set_past_setattr() -> None:
    dropout, net = Dropout(0.5), network()
    drop, run = minitorch.compile(lambda x: dropout(x)), minitorch.compile(lambda x: net(x))
    ones, before = on_fast(np.ones((8, 8))), net(on_fast(X)).to_numpy()
    assert set(np.unique(drop(ones).to_numpy())) == {0.0, 2.0}
    close([run(on_fast(X)).to_numpy()], [before])
    vars(dropout).update(p=0.0)
    net._parameters["weight"] = Parameter(on_fast(np.zeros((2, 3))))
    assert set(np.unique(drop(ones).to_numpy())) == {0.0, 2.0}
    close([run(on_fast(X)).to_numpy()], [before])
    net.train()  # any attribute that is set in the usual way has all modules looked at
    assert set(np.unique(drop(ones).to_numpy())) == {1.0}
    np.testing.assert_array_equal(run(on_fast(X)).to_numpy(), net(on_fast(X)).to_numpy())


def test_what_a_library_keeps_elsewhere_stays_as_it_was() -> None:
    _, optimizer, train = trainer(momentum=0.9)
    train(on_fast(X))
    key = SimpleKey()
    weak = weakref.WeakKeyDictionary({key: 2.0})

    def averages(x: Tensor) -> Tensor:
        for each in (optimizer,):
            x = x * each.state[0]["step"]
        return x

    steps = [lambda x: x * decimal.getcontext().prec, lambda x: x * weak[key], averages]
    runs = [minitorch.compile(step) for step in steps]
    before = [step(on_fast(X)).to_numpy() for step in steps]
    close([run(on_fast(X)).to_numpy() for run in runs], before)
    weak[key] = 3.0
    optimizer.state[0]["step"] = 3
    with decimal.localcontext(prec=7):
        close([run(on_fast(X)).to_numpy() for run in runs], before)
        with minitorch.debug():
            close([run(on_fast(X)).to_numpy() for run in runs], [X * 7, X * 3.0, X * 3.0])


class SimpleKey:
    """What a dictionary may refer to weakly."""


def test_printing_and_logging_happen_once(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("minitorch.tests")

    def step(x: Tensor) -> Tensor:
        print("a step")
        log.warning("a step too")
        return x * 2.0

    run = minitorch.compile(step)
    for _ in range(3):
        run(on_fast(X))
    assert capsys.readouterr().out == "a step\n"
    assert [record.message for record in caplog.records] == ["a step too"]
    run(on_fast(X[:1]))  # another shape is traced again
    assert capsys.readouterr().out == "a step\n"


def test_zeros_in_the_gradient_of_a_maximum_are_not_multiplied() -> None:
    """Eager steps find NaN where such a zero meets an infinity, and a program never looks there."""
    x, factors = Parameter(on_fast([[1.0, -1.0]])), on_fast([[2.0, np.inf]])
    weight, image = Parameter(on_fast([[[[1.0]]]])), on_fast([[[[1.0, 2.0], [-np.inf, 3.0]]]])
    optimizer = minitorch.SGD([x, weight])

    def by_factors() -> Any:
        optimizer.zero_grad()
        minitorch.max(x.value * factors, 1).sum().backward()
        return x.value.grad

    def by_convolution() -> Any:
        optimizer.zero_grad()
        minitorch.maxpool2d(minitorch.conv2d(image, weight.value), (2, 2)).sum().backward()
        return weight.value.grad

    for step, compiled, eager in ((by_factors, [2.0, 0.0], [2.0, np.nan]), (by_convolution, [3.0], [np.nan])):
        run = minitorch.compile(step)
        np.testing.assert_array_equal(run().to_numpy().ravel(), compiled)
        with minitorch.debug():
            np.testing.assert_array_equal(run().to_numpy().ravel(), eager)


def test_the_gradient_of_a_value_from_before_a_step_is_not_computed() -> None:
    kept = []
    for wrap in (lambda fn: fn, minitorch.compile):
        net, _, step = trainer()
        before = net.parameters()[0].value
        wrap(step)(on_fast(X))
        assert net.parameters()[0].value is not before
        kept.append(before.grad)
    eager, compiled = kept
    assert eager is not None
    assert compiled is None


def test_functions_that_do_not_run_may_not_ask_where_a_debugger_and_a_profiler_are_at_work() -> None:
    def later() -> float:
        return time.time()

    def step(x: Tensor) -> Tensor:
        return x * 2.0 if x.shape == (2, 3) else x * later()

    close([minitorch.compile(step)(on_fast(X)).to_numpy()], [X * 2.0])
    before = sys.gettrace(), sys.getprofile()
    try:
        sys.settrace(lambda *_: None)
        sys.setprofile(lambda *_: None)
        with pytest.raises(CompileError, match="ask the clock"):
            minitorch.compile(step)(on_fast(X))
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])


def test_another_integer_in_each_call_is_traced_each_time_and_warned_of() -> None:
    run = minitorch.compile(lambda x, n: x * n)
    for n in range(15):
        close([run(on_fast(X), n).to_numpy()], [X * n])
    with pytest.warns(RuntimeWarning, match=r"traced 16 times, each time for another value of `n`"):
        run(on_fast(X), 15)
    count = 0
    outside = minitorch.compile(lambda x: x * count)
    made = minitorch.compile(lambda x, n: minitorch.arange(n, backend=FastBackend).view(int(n), 1) * x.sum())
    for count in range(1, 16):
        close([outside(on_fast(X)).to_numpy()], [X * count])
        assert made(on_fast(X), float(count)).shape == (count, 1)
    count = 16
    with pytest.warns(RuntimeWarning, match=r"for another value of `count`"):
        outside(on_fast(X))
    with pytest.warns(RuntimeWarning, match=r"for another value of `float argument 0`"):
        made(on_fast(X), 16.0)
    by_float = minitorch.compile(lambda x, n: x * n)
    for n in range(20):
        close([by_float(on_fast(X), float(n)).to_numpy()], [X * n])
    assert programs(by_float) == 1


def test_ever_new_shapes_are_traced_each_and_the_last_sixteen_programs_kept() -> None:
    run = minitorch.compile(lambda x: x * 2.0)
    for rows in range(1, 19):
        close([run(on_fast(np.resize(X, (rows, 3)))).to_numpy()], [np.resize(X, (rows, 3)) * 2.0])
    assert programs(run) == PROGRAMS == 16
    kept = run.traces[-1]
    run(on_fast(X))  # two rows are traced again, and the program that ran longest ago is forgotten
    assert (programs(run), kept in run.traces) == (16, False)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_too_small_to_be_normal_do_not_stay_for_the_next_call(dtype: type) -> None:
    """They would slow down every later call: the average of a gradient that has become 0 fades, and ends among them."""
    tiny = np.finfo(dtype).tiny
    values = np.array([tiny, tiny / 2, -tiny / 2, -tiny, 0.0, np.nan, np.inf, -1.5], dtype)
    kept = Parameter(minitorch.tensor(values, backend=FastBackend, dtype=dtype.__name__))

    @minitorch.compile
    def step(x: Tensor) -> None:
        kept.update((kept.value * x).detach())

    step(minitorch.ones((8,), backend=FastBackend, dtype=dtype.__name__))
    wanted = np.where(np.abs(values) < tiny, 0, values)
    np.testing.assert_array_equal(kept.value.to_numpy(), wanted)


def test_the_averages_of_an_optimiser_fade_to_zero() -> None:
    weight = Parameter(on_fast(np.ones(4), requires_grad=True, dtype="float32"))
    optimizer = minitorch.Adam([weight])

    @minitorch.compile
    def train(x: Tensor) -> None:
        optimizer.zero_grad()
        (weight.value * x).sum().backward()
        optimizer.step()

    train(on_fast(np.ones(4), dtype="float32"))
    for _ in range(900):
        train(on_fast([1, 0, 1, 0], dtype="float32"))
    average = optimizer.state[0]["exp_avg"].to_numpy()
    np.testing.assert_allclose(average[[0, 2]], 1, rtol=1e-5)
    np.testing.assert_array_equal(average[[1, 3]], 0)
