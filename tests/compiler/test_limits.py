"""What a compiled step refuses, each with the way out, what it follows from call to call, and what it does once."""

from __future__ import annotations

import ctypes
import io
import logging
import operator
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch import FastBackend
from minitorch.cells import tracing
from minitorch.errors import BackendError, CompileError, GraphError
from minitorch.layers import Dropout, LayerNorm, Linear, Sequential
from minitorch.module import Module, Parameter
from minitorch.random import Generator
from minitorch.tensor import Tensor

from ..cases import training_step
from ..threads import at_once

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5]])


def on_fast(values: Any, **options: Any) -> Tensor:
    return minitorch.tensor(np.asarray(values).tolist(), backend=FastBackend, **options)


def network(seed: int = 3, **options: Any) -> Linear:
    minitorch.manual_seed(seed)
    return Linear(3, 2, backend=FastBackend, **options)


def values(*modules: Module) -> list[Any]:
    return [p.value.to_numpy().copy() for module in modules for p in module.parameters()]


def trainer(**settings: Any) -> tuple[Linear, minitorch.SGD, Callable[[Tensor], Tensor]]:
    """Make a network, its optimiser and its training step."""
    net = network()
    optimizer = minitorch.SGD(net.parameters(), **{"lr": 0.05, **settings})
    return net, optimizer, training_step(net, optimizer)


def programs(step: Any) -> int:
    return len(step.traces)


def close(a: Any, b: Any, rtol: float = 1e-12) -> None:
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-14)


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


def draw_rand(x: Tensor) -> Tensor:
    return x + minitorch.rand((2, 3), backend=FastBackend)


def draw_uniform(x: Tensor) -> Tensor:
    return x * float(GENERATOR.uniform(1)[0])


def draw_numpy(x: Tensor) -> Tensor:
    return x * np.random.rand()  # noqa: NPY002 - what is refused


def draw_python(x: Tensor) -> Tensor:
    return x * random.random()


GENERATOR = Generator(5)
DRAWS: dict[Callable[[Tensor], Any], str] = {
    draw_rand: "minitorch.rand((2, 3)",
    draw_uniform: "GENERATOR.uniform(1)",
    draw_numpy: "np.random.rand()",
    draw_python: "random.random()",
}


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


class Settings:
    """What a user's step reads."""

    def __init__(self) -> None:
        self.scale = 2.0
        self.by_name = {"scale": 2.0}

    @property
    def first(self) -> float:
        return self.scale

    @property
    def second(self) -> float:
        return self.scale + 1.0


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
    monkeypatch.setattr("minitorch.compiler.bytecode.ATTRIBUTES", set())
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


NAME = "scale"
READERS: list[Callable[[Settings, Tensor], Tensor]] = [
    lambda settings, x: x * vars(settings)["scale"],
    lambda settings, x: x * settings.__dict__["scale"],
    lambda settings, x: x * getattr(settings, NAME),
    lambda settings, x: x * getattr(settings, "sca" + NAME[3:]),
    lambda settings, x: x * operator.attrgetter(NAME)(settings),
    lambda settings, x: x * SCALE_OF(settings),
    lambda settings, x: x * sum(v for v in vars(settings).values() if isinstance(v, float)),
    lambda settings, x: x * getattr(settings, "by_" + "name"[: len(NAME)])["scale"],
    lambda settings, x: x * (getattr(settings, ("first", "second")[len(NAME) - 5])),
]
SCALE_OF = operator.attrgetter(NAME)


@pytest.mark.parametrize("number", range(len(READERS)))
def test_attributes_whose_names_are_made_up_are_followed(number: int) -> None:
    settings = Settings()
    read = READERS[number]
    for wrapped in (minitorch.compile(lambda x: read(settings, x)), minitorch.compile(lambda x, s: read(s, x))):
        argument = (settings,) if wrapped.fn.__code__.co_argcount == 2 else ()
        for scale in (2.0, 3.0, 2.0):
            settings.scale = settings.by_name["scale"] = scale
            close([wrapped(on_fast(X), *argument).to_numpy()], [read(settings, on_fast(X)).to_numpy()])
        assert programs(wrapped) == 2


def test_attributes_that_come_into_being_are_followed() -> None:
    def by_default(x: Tensor) -> Tensor:
        return x * getattr(settings, "later", 2.0)

    def by_asking(x: Tensor) -> Tensor:
        return x * (settings.later if hasattr(settings, "later") else 2.0)

    def by_trying(x: Tensor) -> Tensor:
        try:
            return x * settings.later
        except AttributeError:
            return x * 2.0

    def by_all(x: Tensor) -> Tensor:
        return x * sum(v for v in vars(settings).values())

    for step in (by_default, by_asking, by_trying, by_all):
        settings = SimpleNamespace(scale=2.0)
        run = minitorch.compile(step)
        close([run(on_fast(X)).to_numpy()], [X * 2.0])
        settings.later = 3.0
        close([run(on_fast(X)).to_numpy()], [step(on_fast(X)).to_numpy()])
        del settings.later
        close([run(on_fast(X)).to_numpy()], [X * 2.0])


def test_attributes_that_are_set_by_name_are_refused() -> None:
    settings = Settings()

    def by_constant(x: Tensor) -> None:
        setattr(settings, "scale", settings.first + 1.0)  # noqa: B010 - what is refused

    def by_name(x: Tensor) -> None:
        setattr(settings, NAME, 5.0)

    def by_new_name(x: Tensor) -> None:
        setattr(settings, NAME + "s", 5.0)

    for step in (by_constant, by_name, by_new_name):
        with pytest.raises(CompileError, match=r"a compiled step cannot change .*`settings"):
            minitorch.compile(step)(on_fast(X))


def test_a_constant_name_guards_that_attribute_alone() -> None:
    settings = SimpleNamespace(scale=2.0, epoch=0)
    run = minitorch.compile(lambda x: x * getattr(settings, "scale"))  # noqa: B009 - what is read
    for settings.epoch in range(3):
        run(on_fast(X))
    assert programs(run) == 1


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


# --- followed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9}], ids=str)
def test_a_schedule_of_the_learning_rate_is_followed(settings: dict[str, Any]) -> None:
    results = []
    for wrap in (lambda fn: fn, minitorch.compile):
        net, optimizer, step = trainer(**settings)
        run = wrap(step)
        losses = []
        for i in range(50):
            optimizer.lr = 0.05 * 0.97**i
            losses.append(run(on_fast(X)).item())
        results.append((losses, *values(net)))
    close(*results)
    assert programs(run) <= 2  # the first step of momentum may differ from the others


def test_a_loaded_state_is_followed() -> None:
    results = []
    for wrap in (lambda fn: fn, minitorch.compile):
        net, optimizer, step = trainer(momentum=0.9)
        run = wrap(step)
        run(on_fast(X))
        run(on_fast(X))
        state = optimizer.state_dict()
        kept = values(net)
        run(on_fast(X))
        for parameter, value in zip(net.parameters(), kept, strict=True):
            parameter.update(on_fast(value))
        optimizer.load_state_dict(state)
        run(on_fast(X))
        run(on_fast(X))
        results.append([*values(net), *[s["momentum_buffer"].to_numpy() for s in optimizer.state.values()]])
    close(*results)


def test_training_and_evaluation_are_followed() -> None:
    layer = Dropout(0.5)
    run = minitorch.compile(layer)
    x = on_fast(np.ones((8, 8)))
    assert set(np.unique(run(x).to_numpy())) == {0.0, 2.0}
    layer.eval()
    np.testing.assert_array_equal(run(x).to_numpy(), 1.0)
    layer.train()
    first, second = run(x).to_numpy().copy(), run(x).to_numpy().copy()
    assert set(np.unique(first)) == {0.0, 2.0}
    assert (first != second).any()
    assert programs(run) == 2


def test_freezing_and_unfreezing_are_followed() -> None:
    results = []
    for wrap in (lambda fn: fn, minitorch.compile):
        net, _, step = trainer()
        run = wrap(step)
        run(on_fast(X))
        frozen = net.parameters()[0]
        frozen.value.requires_grad_(False)
        before = values(net)
        run(on_fast(X))
        during = values(net)
        frozen.value.requires_grad_(True)
        run(on_fast(X))
        assert (before[0] == during[0]).all()
        assert (before[1] != during[1]).any()
        assert (values(net)[0] != during[0]).any()
        results.append(values(net))
    close(*results)


def test_shared_parameters_are_followed() -> None:
    results = []
    for wrap in (lambda fn: fn, minitorch.compile):
        first, second = network(), network()
        second.bias = first.bias
        optimizer = minitorch.SGD(list({id(p): p for p in [*first.parameters(), *second.parameters()]}.values()), 0.05)

        def step(x: Tensor, first: Any = first, second: Any = second, optimizer: Any = optimizer) -> Tensor:
            optimizer.zero_grad()
            loss = (first(x) * second(x)).sum()
            loss.backward()
            optimizer.step()
            return loss

        run = wrap(step)
        for _ in range(3):
            run(on_fast(X))
        assert first.bias is second.bias
        results.append(values(first, second))
    close(*results)


def test_gradients_add_up_over_steps() -> None:
    results = []
    for wrap in (lambda fn: fn, minitorch.compile):
        net, optimizer, _ = trainer()

        def step(x: Tensor, net: Any = net) -> Tensor:
            loss = (net(x) * net(x)).mean()
            loss.backward()
            return loss

        run = wrap(step)
        seen = []
        for _ in range(2):
            run(on_fast(X))
            run(on_fast(2.0 * X))
            seen += [p.value.grad.to_numpy().copy() for p in net.parameters()]
            optimizer.step()
            optimizer.zero_grad()
        results.append([*seen, *values(net)])
    close(*results)


def test_two_optimisers_are_followed() -> None:
    results = []
    for wrap in (lambda fn: fn, minitorch.compile):
        first, second = network(), network(4)
        fast, slow = minitorch.SGD(first.parameters(), 0.05), minitorch.Adam(second.parameters(), 0.01)

        def step(x: Tensor, nets: Any = (first, second), optimizers: Any = (fast, slow)) -> Tensor:
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss = (nets[0](x) * nets[1](x)).sum()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
            return loss

        run = wrap(step)
        for i in range(4):
            fast.lr = 0.05 / (i + 1)
            run(on_fast(X))
        results.append(values(first, second))
    close(*results)


def test_other_batch_sizes_and_dtypes_are_followed() -> None:
    results = []
    for wrap in (lambda fn: fn, minitorch.compile):
        net, _, step = trainer()
        run = wrap(step)
        for rows in (2, 2, 1, 2, 5):
            run(on_fast(np.resize(X, (rows, 3))))
        results.append(values(net))
    close(*results)
    double = minitorch.compile(lambda x: x * 2.0)
    for dtype in ("float64", "float32"):
        result = double(on_fast(X, dtype=dtype))
        assert result.dtype == np.dtype(dtype)
        close([result.to_numpy()], [2.0 * X])


SCALE = 2.0


def test_a_number_that_changes_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    run = minitorch.compile(lambda x: x.sum() * SCALE)
    assert run(on_fast(X)).item() == pytest.approx(5.5)
    monkeypatch.setitem(globals(), "SCALE", 4.0)
    assert run(on_fast(X)).item() == pytest.approx(11.0)
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    assert run(on_fast(X)).item() == pytest.approx(5.5)
    assert programs(run) == 2


def test_a_tensor_that_a_name_stands_for_is_followed() -> None:
    mask = on_fast(X)
    run = minitorch.compile(lambda x: (x * mask).sum())
    assert run(on_fast(X)).item() == pytest.approx((X * X).sum())
    mask = on_fast(2.0 * X)
    assert run(on_fast(X)).item() == pytest.approx(2.0 * (X * X).sum())


def test_parameters_that_are_replaced_are_followed() -> None:
    net = network()
    run = minitorch.compile(lambda x: net(x))
    eager = net(on_fast(X)).to_numpy()
    close([run(on_fast(X)).to_numpy()], [eager])
    bias = net.bias
    assert bias is not None
    bias.update(bias.value.detach() + 1.0)
    close([run(on_fast(X)).to_numpy()], [eager + 1.0])
    assert programs(run) == 1
    net.bias = Parameter(bias.value.detach() + 1.0)
    close([run(on_fast(X)).to_numpy()], [eager + 2.0])


def test_an_exception_inside_the_step_leaves_everything_as_it_was() -> None:
    net, optimizer, step = trainer(momentum=0.9)
    fails = True

    def risky(x: Tensor) -> Tensor:
        loss = step(x)
        if fails:
            raise RuntimeError("on purpose")
        return loss

    run = minitorch.compile(risky)
    before = values(net)
    with pytest.raises(RuntimeError, match="on purpose"):
        run(on_fast(X))
    assert tracing.tracer is None
    assert minitorch.is_grad_enabled()
    close(values(net), before)
    assert all(type(p.value._tensor).__name__ == "TensorData" and p.value.grad is None for p in net.parameters())
    assert all(state["step"] == 0 for state in optimizer.state.values())
    fails = False
    run(on_fast(X))
    again, _, eager = trainer(momentum=0.9)
    eager(on_fast(X))
    close(values(net), values(again))


def test_two_threads_may_call_one_step() -> None:
    net, _, step = trainer()
    run = minitorch.compile(step)
    run(on_fast(X))

    def work() -> None:
        for _ in range(20):
            run(on_fast(X))

    at_once(work, work)
    again, _, eager = trainer()
    for _ in range(41):
        eager(on_fast(X))
    assert programs(run) == 1
    close(values(net), values(again))


def test_no_grad_is_followed() -> None:
    net = network()
    run = minitorch.compile(lambda x: net(x))
    recorded = run(on_fast(X))
    with minitorch.no_grad():
        constant = run(on_fast(X))
    assert recorded.requires_grad()
    assert not constant.requires_grad()
    close([recorded.to_numpy()], [constant.to_numpy()])


def test_a_compiled_function_may_call_another() -> None:
    scale = 2.0
    inner = minitorch.compile(lambda x: x * scale)
    outer = minitorch.compile(lambda x: inner(x).sum())
    assert outer(on_fast(X)).item() == pytest.approx(5.5)
    close([inner(on_fast(X)).to_numpy()], [2.0 * X])
    scale = 3.0
    assert outer(on_fast(X)).item() == pytest.approx(8.25)


def test_tuples_dictionaries_and_keywords_go_in_and_out() -> None:
    def step(pair: tuple[Tensor, Tensor], *, scale: float, named: dict[str, Tensor]) -> dict[str, Any]:
        first, second = pair
        return {"sum": first + named["a"], "both": (second * scale, [first]), "text": "x", "number": scale * 2.0}

    run = minitorch.compile(step)
    for scale in (2.0, 3.0):
        first, second, a = on_fast(X), on_fast(2.0 * X), on_fast(3.0 * X)
        out = run((first, second), scale=scale, named={"a": a})
        close([out["sum"].to_numpy(), out["both"][0].to_numpy()], [4.0 * X, 2.0 * X * scale])
        assert out["both"][1][0] is first
        assert out["text"] == "x"
        assert out["number"] == 2.0 * scale
    assert programs(run) == 1


def test_a_module_among_the_arguments_is_followed() -> None:
    layer = Dropout(0.5)
    run = minitorch.compile(lambda layer, x: layer(x))
    x = on_fast(np.ones((8, 8)))
    assert set(np.unique(run(layer, x).to_numpy())) == {0.0, 2.0}
    layer.eval()
    np.testing.assert_array_equal(run(layer, x).to_numpy(), 1.0)


@pytest.mark.parametrize(
    ("owner", "name", "values"),
    [
        ("dropout", "p", (0.5, 0.25, 0.5)),
        ("norm", "eps", (1e-5, 0.5, 1e-5)),
        ("optimizer", "eps", (1e-8, 0.5, 1e-8)),
        ("optimizer", "weight_decay", (0.0, 0.5, 0.1)),
        ("optimizer", "betas", ((0.9, 0.999), (0.5, 0.75), (0.9, 0.999))),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_settings_that_change_are_followed(owner: str, name: str, values: tuple[Any, ...]) -> None:
    results = []
    for wrap in (lambda fn: fn, minitorch.compile):
        minitorch.manual_seed(3)
        dropout, norm, linear = Dropout(0.5), LayerNorm(3, backend=FastBackend), Linear(3, 2, backend=FastBackend)
        net = Sequential(norm, dropout, linear)
        optimizer = minitorch.Adam(net.parameters(), lr=0.05)
        holder = {"dropout": dropout, "norm": norm, "optimizer": optimizer}[owner]
        run = wrap(training_step(net, optimizer))
        seen = []
        for value in values:
            if holder is optimizer:
                optimizer.param_groups[0][name] = value
            else:
                setattr(holder, name, value)
            seen += [run(on_fast(np.resize(X, (8, 3)))).to_numpy().copy() for _ in range(2)]
            seen += [p.value.to_numpy().copy() for p in net.parameters()]
        results.append(seen)
    close(*results, rtol=1e-10)


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
        found = minitorch.compile(lambda x: x * logging.getLogger("minitorch.tests.handlers").handlers[0].scale)
        named = minitorch.compile(lambda x: x * handler.scale)  # type: ignore[attr-defined]
        for run in (found, named):
            close([run(on_fast(X)).to_numpy()], [X * 2.0])
        handler.scale = 3.0  # type: ignore[attr-defined]
        close([found(on_fast(X)).to_numpy()], [X * 2.0])
        close([named(on_fast(X)).to_numpy()], [X * 3.0])
    finally:
        log.removeHandler(handler)


def test_a_number_that_a_made_up_name_of_a_module_stands_for_is_followed() -> None:
    helpers = ModuleType("helpers")
    vars(helpers).update(scale_number=2.0)
    run = minitorch.compile(lambda x: x * getattr(helpers, NAME + "_number"))
    close([run(on_fast(X)).to_numpy()], [X * 2.0])
    vars(helpers).update(scale_number=3.0)
    close([run(on_fast(X)).to_numpy()], [X * 3.0])


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
    by_float = minitorch.compile(lambda x, n: x * n)
    for n in range(20):
        close([by_float(on_fast(X), float(n)).to_numpy()], [X * n])
    assert programs(by_float) == 1


def test_an_array_that_a_c_library_writes_into_is_followed() -> None:
    scales = np.array([2.0])
    run = minitorch.compile(lambda x: x * float(scales[0]))
    close([run(on_fast(X)).to_numpy()], [X * 2.0])
    ctypes.cast(scales.ctypes.data, ctypes.POINTER(ctypes.c_double))[0] = 3.0
    close([run(on_fast(X)).to_numpy()], [X * 3.0])
