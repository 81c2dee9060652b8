"""The function around a program: which calls it takes, and what it looks up, hands on and puts back."""

from __future__ import annotations

import re
import textwrap
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch import FastBackend
from minitorch.compiler import compiled
from minitorch.compiler.compiled import PROGRAMS
from minitorch.compiler.run import calls
from minitorch.errors import BackendError, CompileError
from minitorch.module import Parameter
from minitorch.tensor import Tensor

from ...counting import instructions, lines_of


def on_fast(*values: float, **options: Any) -> Tensor:
    return minitorch.tensor(values, backend=FastBackend, **options)


def weighted(scale: float = 0.5) -> tuple[Parameter, Callable[[Tensor], Tensor]]:
    """Make a weight, and a step that moves it."""
    weight = Parameter(on_fast(1.0, 2.0))
    optimizer = minitorch.SGD([weight], lr=scale)

    def step(x: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = (x * weight.value).sum()
        loss.backward()
        optimizer.step()
        return loss

    return weight, step


def test_the_text_is_that_of_the_documentation() -> None:
    step = minitorch.compile(weighted()[1])
    step(on_fast(1.0, 1.0))
    assert calls.__doc__ is not None
    documented = calls.__doc__.partition("::\n\n")[2].partition("\n\nEverything")[0]
    assert step.call_source == textwrap.dedent(documented)


# --- arguments ------------------------------------------------------------------------------------------------------

X = on_fast(1.0, 2.0, 3.0)
Y = on_fast(4.0, 5.0, 6.0)
LEAF = on_fast(1.0, 2.0, 3.0, requires_grad=True)
ARRAY = np.array([1.0, 2.0, 3.0])


def with_gradient() -> Tensor:
    tensor = on_fast(1.0, 2.0, 3.0, requires_grad=True)
    tensor.grad = on_fast(1.0, 1.0, 1.0)
    return tensor


@dataclass(frozen=True)
class Named:
    """Equal to another of the same name, which may have another scale."""

    name: str
    scale: float = field(compare=False)

    def scaled(self, x: Tensor) -> Tensor:
        return x * self.scale


class Labelled(int):
    """A number that is more than one."""

    label: str

    def __new__(cls, value: int, label: str) -> Labelled:
        made = super().__new__(cls, value)
        made.label = label
        return made


class Side(Enum):
    LEFT = 1
    RIGHT = 2


NAMED = Named("a", 2.0)

# What a step is traced with, what it is then called with, and whether that runs the same program.
ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any], tuple[Any, ...], dict[str, Any], bool]] = [
    ((X,), {}, (Y,), {}, True),
    ((X,), {}, (on_fast(1.0, 2.0),), {}, False),
    ((X,), {}, (X.view(1, 3),), {}, False),
    ((X,), {}, (minitorch.tensor([1.0, 2.0, 3.0], dtype="float32", backend=FastBackend),), {}, False),
    ((X,), {}, (LEAF,), {}, False),
    ((LEAF,), {}, (X,), {}, False),
    ((LEAF,), {}, (with_gradient(),), {}, False),
    ((with_gradient(),), {}, (with_gradient(),), {}, True),
    ((X,), {}, (ARRAY,), {}, False),
    ((X,), {}, (2.0,), {}, False),
    ((X,), {}, (X, X), {}, False),
    ((X,), {}, (), {"first": X}, False),
    ((X, X), {}, (X, Y), {}, False),
    ((X, Y), {}, (X, X), {}, False),
    ((X, Y), {}, (Y, X), {}, True),
    ((LEAF, with_gradient()), {}, (with_gradient(), LEAF), {}, False),
    ((ARRAY,), {}, (ARRAY + 1.0,), {}, True),
    ((ARRAY,), {}, (np.arange(6.0)[::2],), {}, True),
    ((ARRAY,), {}, (np.broadcast_to(ARRAY, (3,)),), {}, True),  # read-only
    ((ARRAY,), {}, (ARRAY[:2],), {}, False),
    ((ARRAY,), {}, (ARRAY.astype(np.float32),), {}, False),
    ((ARRAY,), {}, (X,), {}, False),
    ((2.0,), {}, (3.0,), {}, True),
    ((2.0,), {}, (2,), {}, False),
    ((2,), {}, (2,), {}, True),
    ((1,), {}, (True,), {}, False),
    ((2,), {}, (3,), {}, False),
    (("sum",), {}, ("".join(["su", "m"]),), {}, True),
    ((None,), {}, (0,), {}, False),
    (([X, 2.0],), {}, ([Y, 3.0],), {}, True),
    (([X, 2.0],), {}, ((X, 2.0),), {}, False),
    (([X, 2.0],), {}, ([X, 2.0, 2.0],), {}, False),
    (([],), {}, ([],), {}, True),
    ((), {"a": X, "b": {"c": 2.0}}, (), {"a": Y, "b": {"c": 3.0}}, True),
    ((), {"a": X}, (), {"b": X}, False),
    ((), {"a": X}, (), {"a": X, "b": X}, False),
    ((), {"a": X}, (), {}, False),
    (({1: X},), {}, ({2: X},), {}, False),
    (({},), {}, ({1: 2},), {}, False),
    (({1: X},), {}, ({True: X},), {}, False),
    (({"a": X},), {}, (OrderedDict(a=X),), {}, False),
    ((OrderedDict(a=X),), {}, (OrderedDict(a=Y),), {}, True),
    ((Named("a", 2.0),), {}, (Named("a", 3.0),), {}, False),
    ((Named("a", 2.0),), {}, (Named("a", 2.0),), {}, False),
    ((Labelled(2, "a"),), {}, (Labelled(2, "b"),), {}, False),
    ((NAMED,), {}, (NAMED,), {}, True),
    ((Side.LEFT,), {}, (Side["LEFT"],), {}, True),
    ((Side.LEFT,), {}, (Side.RIGHT,), {}, False),
    ((NAMED.scaled,), {}, (NAMED.scaled,), {}, True),
    ((NAMED.scaled,), {}, (Named("a", 2.0).scaled,), {}, False),
    (([X].append,), {}, ([X].append,), {}, False),
    (((1, "a"),), {}, ((1, "".join(["a"])),), {}, True),
    (((1, "a"),), {}, ((1.0, "a"),), {}, False),
]


@pytest.mark.parametrize(("args", "kwargs", "other_args", "other_kwargs", "fits"), ARGUMENTS)
def test_which_arguments_a_program_is_for(
    args: Any, kwargs: Any, other_args: Any, other_kwargs: Any, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minitorch.compiler.run.machine.Machine.run", lambda self, memory: None)  # nothing is computed
    step = minitorch.compile(lambda *args, **kwargs: None)
    for _ in range(2):
        step(*args, **kwargs)
    assert len(step.traces) == 1
    first = step.traces[0]
    step(*other_args, **other_kwargs)
    assert (step.traces[0] is first) == fits
    step(*args, **kwargs)
    assert len(step.traces) == (1 if fits else 2)


def test_a_tensor_on_another_backend_is_refused_by_a_program_that_would_fit() -> None:
    step = minitorch.compile(lambda x: x * 2.0)
    step(X)
    with pytest.raises(BackendError, match="FastBackend"):
        step(minitorch.tensor([1.0, 2.0, 3.0], backend=minitorch.SimpleBackend))


def test_arrays_and_tensors_with_gaps_are_read_anew_in_each_call() -> None:
    step = minitorch.compile(lambda x, y: (x * y, y))
    array = np.arange(12.0).reshape(3, 4)[:, ::2]
    x = on_fast(*range(6)).view(2, 3).permute(1, 0)
    for _ in range(3):
        product, same = step(x, array)
        np.testing.assert_array_equal(product.to_numpy(), x.to_numpy() * array)
        np.testing.assert_array_equal(same.to_numpy(), array)
        array += 1.0
        x._tensor._storage[:] += 2.0
    assert len(step.traces) == 1


def test_the_programs_that_ran_longest_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minitorch.compiler.run.machine.Machine.run", lambda self, memory: None)
    step = minitorch.compile(lambda x, n: None)
    for n in range(PROGRAMS - 1):
        step(X, n)
    with pytest.warns(RuntimeWarning, match="traced 16 times"):
        step(X, PROGRAMS - 1)
    first, last = step.traces[-1], step.traces[0]
    step(X, 0)
    assert step.traces[:2] == [first, last]
    step(X, PROGRAMS)
    assert len(step.traces) == PROGRAMS
    kept = step.traces[1:]
    assert kept[0] is first
    step(X, 1)  # forgotten
    assert step.traces[0] not in kept
    assert first in step.traces


def test_recording_is_part_of_what_a_program_is_for() -> None:
    step = minitorch.compile(lambda x: x * 2.0)
    assert step(LEAF).requires_grad()
    with minitorch.no_grad():
        assert not step(LEAF).requires_grad()
    assert step(LEAF).requires_grad()
    assert len(step.traces) == 2


def test_an_equal_argument_is_another_one() -> None:
    step = minitorch.compile(lambda x, named: x * named.scale)
    for scale in (2.0, 3.0, 2.0):
        assert step(X, Named("a", scale)).tolist() == [scale, 2.0 * scale, 3.0 * scale]


def test_an_ordered_dictionary_is_one_inside() -> None:
    step = minitorch.compile(lambda named: [isinstance(named, OrderedDict), *named.values()])
    assert step(OrderedDict(a=X)) == [True, X]
    assert step({"a": X}) == [False, X]


# --- one tensor in two places -----------------------------------------------------------------------------------------


def test_two_arguments_that_become_one_and_two_again() -> None:
    step = minitorch.compile(lambda x, y: x * 2.0 if x is y else x * 3.0)
    for _ in range(2):
        assert step(X, Y).tolist() == [3.0, 6.0, 9.0]
        assert step(X, X).tolist() == [2.0, 4.0, 6.0]
        assert step(LEAF, LEAF).tolist() == [2.0, 4.0, 6.0]
        assert step(LEAF, on_fast(1.0, 2.0, 3.0, requires_grad=True)).tolist() == [3.0, 6.0, 9.0]
    assert len(step.traces) == 4


def test_one_of_many_arguments_becomes_another() -> None:
    step = minitorch.compile(lambda xs: [x is y for x in xs for y in xs])
    several = [on_fast(float(i)) for i in range(4)]
    for place in range(3):
        xs = [*several[:3], several[place]]
        assert step(xs) == [x is y for x in xs for y in xs]
    assert step(several) == [x is y for x in several for y in several]


@pytest.mark.parametrize("requires_grad", [False, True])
def test_an_argument_becomes_what_the_step_finds_in_a_parameter(requires_grad: bool) -> None:
    weight = Parameter(on_fast(1.0, 2.0).requires_grad_(requires_grad))
    step = minitorch.compile(lambda x: weight.value * 2.0 if x is weight.value else x + weight.value)
    other = on_fast(3.0, 4.0).requires_grad_(requires_grad)
    for _ in range(2):
        assert step(other).tolist() == [4.0, 6.0]
        assert step(weight.value).tolist() == [2.0, 4.0]


def test_an_argument_that_was_the_weight_too_may_be_another() -> None:
    weight = Parameter(on_fast(1.0, 2.0))
    step = minitorch.compile(lambda x: (x * weight.value).sum())
    assert step(weight.value).item() == 5.0
    assert step(on_fast(10.0, 10.0, requires_grad=True)).item() == 30.0
    assert step(weight.value).item() == 5.0


def test_an_argument_that_the_step_refers_to_may_be_another() -> None:
    mask = on_fast(1.0, 2.0)
    step = minitorch.compile(lambda x: (x * mask).sum())
    assert step(mask).item() == 5.0
    assert step(on_fast(10.0, 10.0)).item() == 30.0


def test_a_gradient_that_was_an_argument_too_may_be_another() -> None:
    weight = Parameter(on_fast(1.0, 2.0))
    weight.value.grad = on_fast(1.0, 1.0)

    def add(x: Tensor) -> Tensor:
        (weight.value * x).sum().backward()
        return weight.value.grad + x

    step = minitorch.compile(add)
    assert step(weight.value.grad).tolist() == [3.0, 3.0]
    weight.value.grad = on_fast(5.0, 6.0)
    assert step(on_fast(10.0, 20.0)).tolist() == [25.0, 46.0]


def test_gradients_of_one_tensor_in_two_places_add_up() -> None:
    weight, other = Parameter(on_fast(1.0, 2.0)), Parameter(on_fast(3.0, 4.0))

    def multiply(x: Tensor) -> Tensor:
        loss = (x * weight.value * other.value).sum()
        loss.backward()
        return loss

    step = minitorch.compile(multiply)
    x = on_fast(1.0, 1.0, requires_grad=True)
    step(x)
    for tensor in (x, weight.value, other.value):
        tensor.grad = None
    # The same three places, but two of them hold one tensor.
    step(weight.value)
    assert weight.value.grad is not None
    assert weight.value.grad.tolist() == [6.0, 16.0]
    weight.value.grad = other.value.grad = None
    # Swapped, they are two tensors again.
    first, second = weight.value, other.value
    weight.update(second)
    other.update(first)
    x.grad = None
    step(x)
    assert x.grad is not None
    assert x.grad.tolist() == [3.0, 8.0]
    assert first.grad is not None
    assert first.grad.tolist() == [3.0, 4.0]


def test_values_that_are_swapped_again_and_again_do_not_need_a_new_program_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("minitorch.compiler.run.machine.Machine.run", lambda self, memory: None)
    first, second = Parameter(on_fast(1.0)), Parameter(on_fast(2.0))
    step = minitorch.compile(lambda x: x * first.value * second.value)
    for _ in range(8):
        step(X)
        one, other = first.value, second.value
        first.update(other)
        second.update(one)
    assert len(step.traces) <= 2


# --- what comes back -------------------------------------------------------------------------------------------------


def test_a_tensor_that_is_handed_on_is_the_one_of_this_call() -> None:
    weight = Parameter(on_fast(1.0, 2.0))
    kept = SimpleNamespace(mask=on_fast(1.0))
    step = minitorch.compile(lambda x: (x + 1.0, x, weight.value, kept.mask))
    for _ in range(2):
        x = on_fast(3.0)
        weight.update(on_fast(5.0, 6.0))
        kept.mask = on_fast(7.0)
        total, *others = step(x)
        assert total.tolist() == [4.0]
        assert others[0] is x
        assert others[1] is weight.value
        assert others[2] is kept.mask


def test_what_a_step_returns_twice_is_one_tensor() -> None:
    def step(x: Tensor) -> tuple[Any, ...]:
        y = x * 2.0
        return y, {"again": [y]}, y.view(3, 1), y.detach()

    first, again, column, detached = minitorch.compile(step)(LEAF)
    assert again["again"] == [first]
    assert column.tolist() == [[2.0], [4.0], [6.0]]
    first._tensor._storage[0] = 9.0
    assert detached[0] == 9.0
    assert [t.requires_grad() for t in (first, column, detached)] == [True, True, False]


def test_tensors_that_the_library_made_inside_belong_to_the_fast_backend() -> None:
    step = minitorch.compile(lambda x: minitorch.ones((2,), backend=x.backend))
    for _ in range(2):
        made = step(X)
        assert made.backend is FastBackend
        assert (made + on_fast(1.0, 1.0)).tolist() == [2.0, 2.0]


def test_a_gradient_that_does_not_depend_on_the_value_adds_up() -> None:
    weight = Parameter(on_fast(1.0, 2.0))

    def add(x: Tensor) -> Tensor:
        (weight.value.sum() * 3.0).backward()
        return x

    step = minitorch.compile(add)
    for calls_made in (1, 2, 3):
        step(X)
        assert weight.value.grad is not None
        assert weight.value.grad.tolist() == [3.0 * calls_made] * 2


def test_results_that_are_held_stay_and_others_are_used_again() -> None:
    step = minitorch.compile(lambda x: x * 2.0)
    held = [step(on_fast(float(i))) for i in range(5)]
    assert [t.item() for t in held] == [0.0, 2.0, 4.0, 6.0, 8.0]
    views = [step(on_fast(float(i))).to_numpy() for i in range(5)]
    assert [v.item() for v in views] == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert len({id(step(on_fast(1.0))) for _ in range(6)}) == 2
    # One that goes in again is not overwritten while it is read.
    x = on_fast(1.0)
    for _ in range(6):
        x = step(x)
    assert x.item() == 64.0


def test_a_frozen_value_that_is_replaced_leaves_nothing_frozen_behind() -> None:
    weight, move = weighted()
    step = minitorch.compile(move)
    step(on_fast(1.0, 1.0))
    weight.value.requires_grad_(False)
    weight.update(on_fast(1.0, 2.0))
    for _ in range(3):
        step(on_fast(1.0, 1.0))
    assert weight.value.requires_grad()
    assert weight.value.tolist() == [-0.5, 0.5]


def test_an_error_on_the_way_changes_nothing() -> None:
    weight, move = weighted()
    optimizer_step = minitorch.compile(move)
    optimizer_step(on_fast(1.0, 1.0))
    before = weight.value
    with pytest.raises(CompileError):
        optimizer_step({1, 2})
    assert weight.value is before
    optimizer_step(on_fast(1.0, 1.0))
    assert weight.value.tolist() == [0.0, 1.0]


def test_a_profile_moves_the_weights_once() -> None:
    weight, move = weighted()
    step = minitorch.compile(move)
    loss = step(on_fast(1.0, 1.0))
    step.profile(on_fast(1.0, 1.0), rounds=5)
    assert (weight.value.tolist(), loss.item()) == ([0.0, 1.0], 3.0)
    step(on_fast(1.0, 1.0))
    assert weight.value.tolist() == [-0.5, 0.5]


# --- cost -------------------------------------------------------------------------------------------------------------


def test_a_call_costs_about_as_much_as_a_few_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minitorch.compiler.run.machine.Machine.run", lambda self, memory: None)
    minitorch.manual_seed(1)
    net = minitorch.layers.Sequential(
        *[minitorch.layers.Linear(3, 3, dtype="float32", backend=FastBackend) for _ in range(4)]
    )
    step = minitorch.compile(net)
    x = minitorch.tensor(np.ones((1, 3), np.float32), backend=FastBackend)
    step(x)

    def one_tensor() -> minitorch.Tensor:
        return minitorch.Tensor(minitorch.TensorData.empty((1, 3), "float32"), backend=FastBackend)

    assert instructions(lambda: step(x)) < 5 * instructions(one_tensor)


# --- numbers that are part of a program ------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), 0.0, -0.0, 1.5])
def test_a_number_that_the_step_looks_at_is_told_from_every_other(value: float) -> None:
    step = minitorch.compile(lambda x, n: x * n if n > 1.0 else x * float(n))
    for n in (value, float(str(value)), 0.0, -0.0, float("nan"), value):
        expected = np.array([1.0, 2.0, 3.0]) * n
        result = step(X, n).to_numpy()
        np.testing.assert_array_equal(result, expected)
        np.testing.assert_array_equal(np.signbit(result), np.signbit(expected))
    assert len(step.traces) == len({str(n) for n in (value, 0.0, -0.0, float("nan"))})


def test_numpy_numbers_among_the_arguments_are_told_apart() -> None:
    step = minitorch.compile(lambda x, n: x * float(n))
    for n in (np.float32("nan"), np.float32("nan"), np.float32(0.0), np.float32(-0.0)):
        result = step(X, n).to_numpy()
        np.testing.assert_array_equal(np.signbit(result), np.signbit(np.array([1.0, 2.0, 3.0]) * n))
    assert len(step.traces) == 3


def test_a_program_that_does_not_fit_its_own_call_is_an_error_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SimpleNamespace(scale=2.0)
    make = compiled._make

    def make_and_change(*args: Any) -> Any:
        trace = make(*args)
        settings.scale += 1.0  # as another thread could
        return trace

    monkeypatch.setattr(compiled, "_make", make_and_change)
    with pytest.raises(CompileError, match="Read it outside and pass it in"):
        minitorch.compile(lambda x: x * settings.scale)(X)


def by_argument(step: Any, settings: Any, n: int) -> None:
    step(X, n)


def by_keyword(step: Any, settings: Any, n: int) -> None:
    step(X, n=[n])


def by_attribute(step: Any, settings: Any, n: int) -> None:
    settings.n = n
    step(X)


def by_looking(step: Any, settings: Any, n: int) -> None:
    step(X, float(n))


@pytest.mark.parametrize(
    ("call", "name"),
    [(by_argument, "n"), (by_keyword, "n[0]"), (by_attribute, "settings.n"), (by_looking, "float argument 0")],
)
def test_a_number_that_changes_in_every_call_is_warned_of_once(
    call: Callable[[Any, Any, int], None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minitorch.compiler.run.machine.Machine.run", lambda self, memory: None)
    settings = SimpleNamespace(n=0)
    step = minitorch.compile(lambda x, n=0: x * settings.n if f"{n}" == "100.0" else x + settings.n)
    for n in range(PROGRAMS - 1):
        call(step, settings, n)
    text = rf"traced 16 times, each time for another value of `{re.escape(name)}`.*as a float"
    with pytest.warns(RuntimeWarning, match=text) as caught:
        call(step, settings, PROGRAMS - 1)
    assert caught[0].filename == __file__
    for n in range(PROGRAMS, PROGRAMS + 3):
        call(step, settings, n)  # a second warning would be an error


def test_other_reasons_to_trace_are_not_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minitorch.compiler.run.machine.Machine.run", lambda self, memory: None)
    step = minitorch.compile(lambda x, n: x * 2.0)
    for n in range(1, PROGRAMS + 2):
        step(minitorch.zeros((n,), backend=FastBackend), n)  # a size comes with its shape
    step = minitorch.compile(lambda x, n: x * n)
    for n in range(PROGRAMS + 2):
        step(X, float(n))
    assert len(step.traces) == 1


def lines_that_run(count: int) -> int:
    """Count the lines of what writes a call, for a step that trains so many parameters."""
    parameters = [Parameter(minitorch.tensor([float(k)], backend=FastBackend)) for k in range(count)]
    optimizer = minitorch.SGD(parameters, lr=0.1)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = sum((p.value * p.value for p in parameters[1:]), parameters[0].value).sum()
        loss.backward()
        optimizer.step()
        return loss

    return lines_of(("calls.py", "compiled.py"), lambda: compiled._make(step, (), {}))


def test_the_work_for_a_call_is_written_in_a_time_that_grows_with_the_parameters_and_no_faster() -> None:
    assert lines_that_run(80) < 2.2 * lines_that_run(40)
