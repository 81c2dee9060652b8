"""Which changes to modules and optimisers a compiled step follows with another program: without compiling anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import minitorch
from minitorch.compiler.guard import guards as guards_module
from minitorch.compiler.guard.guards import Guards
from minitorch.compiler.trace.tracer import Tracer
from minitorch.errors import CompileError
from minitorch.layers import Linear, Sequential
from minitorch.module import Parameter, last_change

from ..guarded import Net, traced

# --- modules ----------------------------------------------------------------------------------------------------


def swap(net: Net) -> None:
    net.body = Sequential(Linear(3, 2))


def renew(net: Net) -> None:
    net.modules()[0].modules()[0].weights = Parameter(1.0)


def remove(net: Net) -> None:
    del net.modules()[0].modules()[0].bias


@pytest.mark.parametrize(
    "change",
    [
        Net.eval,
        lambda net: net.body.modules()[1].eval(),
        lambda net: setattr(net, "width", 3),
        lambda net: setattr(net.body.modules()[1], "p", 0.25),
        swap,
        renew,
        remove,
        lambda net: setattr(net, "extra", Linear(2, 2)),
    ],
)
def test_a_change_to_a_module_anywhere_below_is_seen(change: Callable[[Net], Any]) -> None:
    net = Net()
    guards = traced(lambda: net.forward)
    assert guards.hold()
    Linear(2, 2).eval()  # other modules do not matter
    assert guards.hold()
    change(net)
    assert not guards.hold()


def test_going_to_evaluation_and_back_holds_again() -> None:
    net = Net()
    guards = traced(lambda: net)
    assert (guards.hold(), net.eval() and guards.hold(), net.train() and guards.hold()) == (True, False, True)


def test_tensors_kept_for_looking_at_and_new_values_do_not_matter() -> None:
    net = Net()
    x = minitorch.zeros((1, 3))
    net(x)
    guards = Guards.before(net)
    guards.after(Tracer())
    net(x)
    for parameter in net.parameters():
        parameter.update(parameter.value * 2.0)
    assert guards.hold()


def test_every_way_to_set_an_attribute_of_a_module_is_counted() -> None:
    net = Net()
    for change in (
        lambda: setattr(net, "width", 2),
        lambda: setattr(net, "weight", Parameter(1.0)),
        lambda: net.add_parameter("other", 1.0),
        lambda: delattr(net, "weight"),
        lambda: delattr(net, "width"),
        net.train,
        net.eval,
    ):
        before = last_change.number
        change()
        assert last_change.number != before


def test_an_attribute_is_gone_when_its_deletion_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks at the number first, and at the attribute then, may not find the old one under the new number."""
    net, there = Net(), []
    net.weight = Parameter(1.0)
    monkeypatch.setattr(last_change, "note", lambda: there.append([hasattr(net, name) for name in ("weight", "width")]))
    del net.weight
    del net.width
    assert there == [[False, True], [False, False]]


def test_what_another_thread_changes_while_guards_are_written_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    written = guards_module.write_hold

    def change_meanwhile(*args: Any) -> Any:
        net.width = 5
        return written(*args)

    monkeypatch.setattr(guards_module, "write_hold", change_meanwhile)
    assert not traced(lambda: net.width).hold()


# --- optimisers -------------------------------------------------------------------------------------------------


def test_the_settings_of_an_optimiser_are_free_and_its_parameters_and_states_are_not() -> None:
    net = Net()
    optimizer = minitorch.SGD(net.parameters(), lr=0.1, momentum=0.9)
    guards = traced(lambda: optimizer)
    optimizer.lr = 0.2
    optimizer.param_groups[0]["momentum"] = 0.5
    assert guards.hold()
    state = optimizer.state_dict()
    optimizer.load_state_dict(state)
    assert not guards.hold()
    guards = traced(lambda: optimizer)
    optimizer.add_param_group({"params": [Parameter(1.0)]})
    assert not guards.hold()


def test_settings_that_a_step_reads_past_the_optimiser_are_guarded() -> None:
    optimizer = minitorch.SGD(Net().parameters(), lr=0.1)
    guards = traced(lambda: optimizer.param_groups[0]["lr"] * 2.0)
    assert guards.hold()
    optimizer.lr = 0.2
    assert not guards.hold()


def test_settings_that_a_step_changes_past_the_optimiser_are_refused() -> None:
    optimizer = minitorch.SGD(Net().parameters(), lr=0.1)

    def halve() -> None:
        optimizer.param_groups[0]["lr"] *= 0.5  # halved

    with pytest.raises(CompileError, match=r"contents of `optimizer\.param_groups`.*  # halved"):
        traced(halve)
