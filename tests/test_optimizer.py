"""What optimisers share: groups, settings, a step over all of them, and the state."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minitorch
from minitorch import SGD, Adadelta, Adam, AdamW, Module, Optimizer, Parameter, RMSprop, Scalar
from minitorch.cells import tracing
from minitorch.errors import ArgumentError, DataError, ShapeError
from minitorch.fast_ops import FastBackend
from minitorch.io import load_arrays, save_arrays

from .cases import BACKENDS, make
from .optimizer_cases import START, differentiate, every_kind, go_on, parameters


def test_a_step_leaves_earlier_values_alone():
    """The course's scripts keep them, and never call zero_grad: the new value is a new tensor without a gradient."""
    weight = Parameter(make([1.0, 2.0]))
    before = weight.value
    (before * before).sum().backward()
    SGD([weight], 0.5).step()
    assert before.tolist() == [1.0, 2.0]
    assert weight.value is not before
    assert weight.value.tolist() == [0.0, 0.0]
    assert weight.value.is_leaf()
    assert weight.value.grad is None


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("forget", [False, True])
def test_gradients_add_up_over_backward_passes_and_not_over_steps(compiled, forget):
    weight, expected = Parameter(make(START, FastBackend)), START
    optimiser = SGD([weight], lr=0.01)

    def step(x, y):
        if forget:
            optimiser.zero_grad()
        for factor in (x, y):
            (weight.value * weight.value * factor).sum().backward()
        optimiser.step()

    run = minitorch.compile(step) if compiled else step
    for x, y in ((1.0, 2.0), (-3.0, 0.5), (2.0, 2.0)):
        run(make([[x]], FastBackend), make([[y]], FastBackend))
        expected = expected - 0.01 * (2 * expected * x + 2 * expected * y)
        assert weight.value.grad is None
        np.testing.assert_allclose(weight.value.to_numpy(), expected, rtol=1e-12)


def test_what_has_no_gradient_stays():
    used, unused, absent = Parameter(make([1.0])), Parameter(make([5.0])), Parameter(None)
    optimiser = Adam([used, unused, absent], lr=0.1)
    value = unused.value
    (used.value * 2).backward()
    optimiser.step()
    assert unused.value is value
    assert absent.value is None
    assert used.value[0] == pytest.approx(0.9)


def test_zero_grad_forgets():
    tensor, scalar = Parameter(make([1.0])), Parameter(Scalar(2.0))
    (tensor.value * 3).backward()
    (scalar.value * 3).backward()
    optimiser = SGD([tensor, scalar, Parameter(None)])
    optimiser.zero_grad()
    assert tensor.value.grad is None
    assert not scalar.value.derivative
    optimiser.step()
    assert (tensor.value[0], scalar.value.data) == (1.0, 2.0)


@pytest.mark.task1_5
def test_scalars_train_too():
    weight = Parameter(Scalar(3.0))
    optimiser = SGD([weight], lr=0.25)
    for expected in (1.5, 0.75):
        optimiser.zero_grad()
        (weight.value * weight.value).backward()
        optimiser.step()
        assert weight.value.data == expected


def test_a_step_records_nothing():
    weight = Parameter(make([1.0]))
    (weight.value * 2).backward()
    with minitorch.enable_grad():
        SGD([weight]).step()
    assert weight.value.history.last_fn is None


def test_a_modules_parameters():
    class Line(Module):
        def __init__(self):
            super().__init__()
            self.weight = Parameter(make([[2.0]]))
            self.bias = Parameter(make([1.0]))

        def forward(self, x):
            return x @ self.weight.value + self.bias.value

    line = Line()
    optimiser = SGD(line.parameters(), lr=0.1)
    line(make([[3.0]])).sum().backward()
    optimiser.step()
    assert line.weight.value[0, 0] == pytest.approx(1.7)
    assert line.bias.value[0] == pytest.approx(0.9)


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_no_parameters(kind):
    with pytest.raises(ArgumentError, match=r"model.parameters\(\)"):
        kind([])


@pytest.mark.parametrize(
    "make_optimiser",
    [
        lambda p: SGD(p, -1.0),
        lambda p: Adam(p, -1e-3),
        lambda p: Adam(p, betas=(1.0, 0.9)),
        lambda p: Adam(p, betas=(0, -1)),
    ],
)
def test_arguments_out_of_range(make_optimiser):
    with pytest.raises(ArgumentError):
        make_optimiser([Parameter(make([1.0]))])


def test_the_base_moves_nothing_itself():
    weight = Parameter(make([1.0]))
    (weight.value * 2).backward()
    with pytest.raises(NotImplementedError):
        Optimizer([weight]).step()


# --- groups and settings -------------------------------------------------------------------------------------


def test_a_group_has_its_settings_and_the_defaults():
    first, second = parameters()
    optimiser = Adam([{"params": first, "lr": 0.5}], lr=0.1)
    optimiser.add_param_group({"params": [second], "betas": (0.5, 0.5)})
    assert [(g["lr"], g["betas"], g["eps"]) for g in optimiser.param_groups] == [
        (0.5, (0.9, 0.999), 1e-8),
        (0.1, (0.5, 0.5), 1e-8),
    ]
    assert list(optimiser.parameters) == [first, second]
    first_alone, second_alone = parameters()
    assert go_on(optimiser, [first, second]) == [
        *go_on(Adam([first_alone], 0.5), [first_alone]),
        *go_on(Adam([second_alone], 0.1, (0.5, 0.5)), [second_alone]),
    ]


def test_it_shows_its_groups():
    first, second = parameters()
    optimiser = SGD([{"params": first}, {"params": second, "lr": 0.5, "nesterov": True}], lr=0.1, momentum=0.9)
    assert repr(optimiser).splitlines() == [
        "SGD (",
        "Parameter Group 0",
        "    dampening: 0.0",
        "    lr: 0.1",
        "    maximize: False",
        "    momentum: 0.9",
        "    nesterov: False",
        "    weight_decay: 0.0",
        "",
        "Parameter Group 1",
        "    dampening: 0.0",
        "    lr: 0.5",
        "    maximize: False",
        "    momentum: 0.9",
        "    nesterov: True",
        "    weight_decay: 0.0",
        ")",
    ]


def test_the_learning_rate_can_be_set_in_two_ways():
    params = parameters()
    optimiser = SGD([{"params": params[0]}, {"params": params[1], "lr": 0.5}], lr=0.25)
    assert optimiser.lr == 0.25
    optimiser.param_groups[0]["lr"] = 0.125
    assert optimiser.lr == 0.125
    optimiser.lr = 0.0
    assert [g["lr"] for g in optimiser.param_groups] == [0.0, 0.0]
    before = [p.value.tolist() for p in params]
    assert go_on(optimiser, params) == before
    with pytest.raises(ArgumentError, match="-1"):
        optimiser.lr = -1.0
    assert optimiser.lr == 0.0


def test_a_closure_computes_the_loss_anew():
    weight = Parameter(make([2.0]))
    optimiser = SGD([weight], lr=0.25)

    def closure():
        assert minitorch.is_grad_enabled()
        optimiser.zero_grad()
        loss = (weight.value * weight.value).sum()
        loss.backward()
        return loss

    with minitorch.no_grad():
        assert optimiser.step(closure).item() == 4.0
    assert weight.value[0] == 1.0
    assert optimiser.step() is None


@pytest.mark.parametrize(
    "mistake",
    [
        lambda p: SGD(p, math.nan),
        lambda p: SGD(p, 1.0, momentum=-0.1),
        lambda p: SGD(p, 1.0, 0.9, 0.1, nesterov=True),
        lambda p: SGD(p, weight_decay=-1.0),
        lambda p: Adam(p, eps=-1e-8),
        lambda p: Adam(p, betas=(0.9, 1.0)),
        lambda p: AdamW(p, weight_decay=-0.1),
        lambda p: RMSprop(p, alpha=1.5),
        lambda p: RMSprop(p, momentum=-1.0),
        lambda p: Adadelta(p, rho=-0.1),
        lambda p: SGD([{"params": p, "lr": -1.0}]),
        lambda p: SGD([{"params": p, "learning_rate": 1.0}]),
        lambda p: SGD([{"params": p}, {"params": p}]),
        lambda p: SGD([*p, *p]),
        lambda p: SGD([{"params": []}]),
        lambda p: SGD([q.value for q in p]),
    ],
)
def test_mistakes(mistake):
    with pytest.raises(ArgumentError):
        mistake(parameters())


# --- saving --------------------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("kind", ["tensors", "scalars"])
def test_going_on_from_a_saved_state_gives_the_same_bits(make_optimiser, kind):
    def fresh():
        return parameters() if kind == "tensors" else [Parameter(Scalar(1.5)), Parameter(Scalar(-2.0))]

    whole = fresh()
    optimiser = make_optimiser(whole)
    expected = go_on(optimiser, whole, 6)

    halved = fresh()
    first = make_optimiser(halved)
    go_on(first, halved)
    saved = first.state_dict()
    go_on(first, [], 1)  # what comes after does not reach the copy
    second = make_optimiser(halved)
    second.load_state_dict(saved)
    assert go_on(second, halved) == expected


def test_a_state_has_the_structure_of_pytorchs():
    params = parameters()
    optimiser = Adam([{"params": [params[1]]}, {"params": [params[0]], "lr": 0.5}])
    assert optimiser.state_dict()["state"] == {}
    go_on(optimiser, params, 2)
    saved = optimiser.state_dict()
    assert [g["params"] for g in saved["param_groups"]] == [[0], [1]]
    assert [g["lr"] for g in saved["param_groups"]] == [1e-3, 0.5]
    assert [sorted(entries) for entries in saved["state"].values()] == [["exp_avg", "exp_avg_sq", "step"]] * 2
    assert saved["state"][0]["step"] == 2
    assert saved["state"][0]["exp_avg"].shape == (3,)
    saved["state"][0]["exp_avg"]._tensor._storage[:] = 7.0
    assert optimiser.state[0]["exp_avg"].tolist() != [7.0] * 3


def test_a_state_goes_through_a_file(tmp_path):
    """Averages as arrays in safetensors, the rest as JSON, which turns tuples into lists and numbers into names."""
    params = parameters()
    optimiser = Adam(params, lr=0.1)
    go_on(optimiser, params)
    saved = optimiser.state_dict()
    arrays = {f"{i}.{name}": x for i, s in saved["state"].items() for name, x in s.items() if name != "step"}
    counts = {i: s["step"] for i, s in saved["state"].items()}
    save_arrays(tmp_path / "state.safetensors", arrays, {"groups": saved["param_groups"], "counts": counts})

    found, metadata = load_arrays(tmp_path / "state.safetensors")
    state = {i: {"step": count} for i, count in metadata["counts"].items()}
    for key, array in found.items():
        i, _, name = key.partition(".")
        state[i][name] = array
    copies = [Parameter(p.value.detach()) for p in params]
    loaded = Adam(copies)
    loaded.load_state_dict({"state": state, "param_groups": metadata["groups"]})
    assert loaded.param_groups[0]["betas"] == (0.9, 0.999)
    assert go_on(loaded, copies) == go_on(optimiser, params)


def test_a_state_that_does_not_fit_changes_nothing():
    params = parameters()
    optimiser = SGD(params, lr=0.1, momentum=0.9)
    go_on(optimiser, params, 1)
    before = optimiser.state_dict()
    good = optimiser.state_dict()
    wrong_shape = {**good, "state": {0: {"step": 1, "momentum_buffer": np.zeros(5)}}}
    wrong_rate = {**good, "param_groups": [{**good["param_groups"][0], "lr": -1.0}]}
    wrong_count = {**good, "param_groups": [{**good["param_groups"][0], "lr": 0.5, "params": [0]}]}
    wrong_kind = {**good, "param_groups": [{**good["param_groups"][0], "nesterov": "no"}]}
    wrong_steps = [
        {**good, "state": {0: {**good["state"][0], "step": step}}} for step in (math.inf, -1, 0.5, "1", None)
    ]
    wrong_names = [{**good, "state": {name: good["state"][0]}} for name in (99, -1, "01", "bias")]
    of_adam = {**good, "state": {0: {"step": 1, "exp_avg": np.zeros(2), "exp_avg_sq": np.zeros(2)}}}
    for state, error in (
        (wrong_shape, ShapeError),
        (wrong_rate, ArgumentError),
        (wrong_count, ShapeError),
        (wrong_kind, ArgumentError),
        *((state, DataError) for state in wrong_steps),
        *((state, ArgumentError) for state in wrong_names),
        (of_adam, ArgumentError),
        ({"state": {}}, DataError),
        (3, DataError),
    ):
        with pytest.raises(error):
            optimiser.load_state_dict(state)
    after = optimiser.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert {i: s["momentum_buffer"].tolist() for i, s in after["state"].items()} == {
        i: s["momentum_buffer"].tolist() for i, s in before["state"].items()
    }


def test_a_loaded_average_becomes_like_its_parameter():
    weight = Parameter(make([1.0, 2.0], BACKENDS["fast"], "float32"))
    optimiser = SGD([weight], momentum=0.9)
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": {0: {"momentum_buffer": make([3.0, 4.0])}}, "param_groups": groups})
    found = optimiser.state[0]["momentum_buffer"]
    assert (found.dtype, found.backend) == (np.float32, BACKENDS["fast"])
    assert found.tolist() == [3.0, 4.0]
    assert optimiser.state[0]["step"] == 1


# --- while a step is traced ----------------------------------------------------------------------------------


class Unseen(float):
    """A number to calculate with and not to look at."""

    def _refused(self, *_):
        raise AssertionError("the value of a number was asked for")

    __bool__ = __int__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refused
    __hash__ = None


def unseen_arithmetic(name):
    exact = getattr(float, name)
    return lambda *operands: Unseen(exact(*(float(x) for x in operands)))


for operation in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "rpow", "neg"):
    setattr(Unseen, f"__{operation}__", unseen_arithmetic(f"__{operation}__"))


class Watcher:
    """A tracer that lets everything run and writes down which cells were met."""

    def __init__(self):
        self.was_read, self.was_written, self.was_asked = set(), set(), set()

    def lift(self, inputs):
        return inputs

    def _value(self, holder, key):
        return holder[key] if isinstance(holder, dict) else getattr(holder, key)

    def read(self, holder, key):
        self.was_read.add(key)
        value = self._value(holder, key)
        if isinstance(value, tuple):
            return tuple(Unseen(x) for x in value)
        return Unseen(value) if isinstance(value, (int, float)) else value

    def write(self, holder, key, value):
        self.was_written.add(key)
        value = float(value) if isinstance(value, Unseen) else value
        if isinstance(holder, dict):
            assert key in holder, "the structure of the state changes"
            holder[key] = value
        else:
            setattr(holder, key, value)

    def is_set(self, holder, key):
        self.was_asked.add(key)
        return bool(self._value(holder, key))


@every_kind
def test_a_traced_step_looks_at_nothing_and_reads_everything_as_cells(make_optimiser, monkeypatch):
    plain, traced = parameters(), parameters()
    expected = go_on(make_optimiser(plain), plain)
    optimiser = make_optimiser(traced)
    watcher = Watcher()

    def refuse(self):
        raise AssertionError("the value of a tensor was asked for")

    monkeypatch.setattr(tracing, "tracer", watcher)
    with monkeypatch.context() as patch:
        for name in ("item", "to_numpy", "__float__", "__bool__"):
            patch.setattr(minitorch.Tensor, name, refuse)
        for _ in range(3):
            optimiser.zero_grad()
            differentiate(traced)
            optimiser.step()
    monkeypatch.setattr(tracing, "tracer", None)

    assert [p.value.tolist() for p in traced] == expected
    settings = set(optimiser.param_groups[0]) - {"params"}
    unused = {key for key in settings if not optimiser.param_groups[0][key]}
    assert settings - unused <= watcher.was_read | watcher.was_asked
    assert watcher.was_written <= watcher.was_read
    assert watcher.was_written == {"_value", *(name for entries in optimiser.state.values() for name in entries)}


@every_kind
def test_the_state_is_whole_after_the_first_step(make_optimiser):
    params = parameters()
    optimiser = make_optimiser(params)
    go_on(optimiser, params, 1)
    first = {i: sorted(entries) for i, entries in optimiser.state.items()}
    go_on(optimiser, params, 3)
    assert {i: sorted(entries) for i, entries in optimiser.state.items()} == first
