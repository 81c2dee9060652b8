"""What a compiled step follows from call to call: settings, modes, states, shapes, names and attributes."""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch import FastBackend
from minitorch.cells import tracing
from minitorch.layers import Dropout, LayerNorm, Linear, Sequential
from minitorch.module import Parameter
from minitorch.tensor import Tensor

from ..cases import training_step
from ..threads import at_once
from .steps import X, close, network, on_fast, programs, trainer, values

# --- training -----------------------------------------------------------------------------------------------------


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


def test_a_named_tuple_goes_in_and_out() -> None:
    run = minitorch.compile(lambda pair: pair.values.sort(1, descending=True))
    for factor in (1.0, -1.0):
        pair = on_fast(factor * X).sort(1)
        out = run(pair)
        assert type(out) is type(pair)
        close([out.values.to_numpy()], [pair.values.to_numpy()[:, ::-1]])
        assert out.indices.tolist() == [[2, 1, 0]] * 2
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


# --- names and attributes ---------------------------------------------------------------------------------------


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


def test_a_constant_name_guards_that_attribute_alone() -> None:
    settings = SimpleNamespace(scale=2.0, epoch=0)
    run = minitorch.compile(lambda x: x * getattr(settings, "scale"))  # noqa: B009 - what is read
    for settings.epoch in range(3):
        run(on_fast(X))
    assert programs(run) == 1


def test_a_number_that_a_made_up_name_of_a_module_stands_for_is_followed() -> None:
    helpers = ModuleType("helpers")
    vars(helpers).update(scale_number=2.0)
    run = minitorch.compile(lambda x: x * getattr(helpers, NAME + "_number"))
    close([run(on_fast(X)).to_numpy()], [X * 2.0])
    vars(helpers).update(scale_number=3.0)
    close([run(on_fast(X)).to_numpy()], [X * 3.0])


def test_an_array_that_a_c_library_writes_into_is_followed() -> None:
    scales = np.array([2.0])
    run = minitorch.compile(lambda x: x * float(scales[0]))
    close([run(on_fast(X)).to_numpy()], [X * 2.0])
    ctypes.cast(scales.ctypes.data, ctypes.POINTER(ctypes.c_double))[0] = 3.0
    close([run(on_fast(X)).to_numpy()], [X * 3.0])


def test_methods_defaults_and_classes_that_are_replaced_are_followed() -> None:
    def helper(x: Tensor, scale: float = 2.0) -> Tensor:
        return x * scale

    class Doubled(Settings):
        @property
        def first(self) -> float:
            return 2.0 * self.scale

    settings, net = Settings(), network()
    x = on_fast(X)
    run = minitorch.compile(lambda x: helper(net(x)) * settings.first)
    before = net(x).to_numpy()
    close([run(x).to_numpy()], [before * 4.0])
    helper.__defaults__ = (3.0,)
    close([run(x).to_numpy()], [before * 6.0])
    settings.__class__ = Doubled
    close([run(x).to_numpy()], [before * 12.0])
    net.forward = lambda x: x  # type: ignore[method-assign]
    close([run(x).to_numpy()], [X * 12.0])
    assert programs(run) == 4
