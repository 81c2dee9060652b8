"""Which replaced methods, functions and classes a compiled step notices: without compiling anything."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import minitorch
from minitorch.compiler.guard.guards import Guards
from minitorch.errors import CompileError
from minitorch.layers import Dropout, Linear, Sequential
from minitorch.module import Module, Parameter

from ..guarded import Net, traced


class Base:
    scale = 2.0

    def inherited(self) -> float:
        return 2.0

    def extended(self) -> float:
        return 2.0


class Thing(Base):
    def __add__(self, other: float) -> float:
        return other + 2.0

    def get(self) -> float:
        return 2.0

    def extended(self) -> float:
        return super().extended() + 1.0

    @staticmethod
    def static() -> float:
        return 2.0

    @classmethod
    def of_class(cls) -> float:
        return 2.0

    @property
    def prop(self) -> float:
        return 2.0

    @functools.cached_property
    def cached(self) -> float:
        return 2.0


class Other(Thing):
    def get(self) -> float:
        return 3.0


class Slotted:
    __slots__ = ("scale",)

    def get(self) -> float:
        return 2.0


class OtherSlotted(Slotted):
    __slots__ = ()


def three(*_: Any) -> float:
    return 3.0


READERS: dict[str, Callable[[Any], Any]] = {
    "get": lambda thing: thing.get(),
    "inherited": lambda thing: thing.inherited(),
    "extended": lambda thing: thing.extended(),
    "static": lambda thing: thing.static(),
    "of_class": lambda thing: thing.of_class(),
    "prop": lambda thing: thing.prop,
    "__add__": lambda thing: thing + 1.0,
    "scale": lambda thing: thing.scale,
}


def held(guards: Guards, change: Callable[[], None], back: Callable[[], None]) -> tuple[bool, bool, bool]:
    """Look before a change, after it, and after it was taken back."""
    before = guards.hold()
    change()
    during = guards.hold()
    back()
    return before, during, guards.hold()


@pytest.mark.parametrize("name", READERS)
def test_what_a_class_defines_may_be_replaced(name: str) -> None:
    thing, read = Thing(), READERS[name]
    owner = Thing if name in vars(Thing) else Base
    before = vars(owner)[name]
    replacement: Any = {"prop": property(three), "static": staticmethod(three), "of_class": classmethod(three)}.get(
        name, three
    )
    seen = held(
        traced(lambda: read(thing)), lambda: setattr(owner, name, replacement), lambda: setattr(owner, name, before)
    )
    assert seen == (True, False, True)


@pytest.mark.parametrize("name", ["inherited", "scale", "of_class"])
def test_a_class_may_come_to_define_what_a_base_defined(name: str) -> None:
    thing, read = Other(), READERS[name]
    seen = held(traced(lambda: read(thing)), lambda: setattr(Other, name, three), lambda: delattr(Other, name))
    assert seen == (True, False, True)


def test_a_method_that_super_finds_may_be_replaced() -> None:
    thing, before = Thing(), Base.extended
    seen = held(
        traced(lambda: thing.extended()),
        lambda: setattr(Base, "extended", three),
        lambda: setattr(Base, "extended", before),
    )
    assert seen == (True, False, True)


@pytest.mark.parametrize("name", ["get", "inherited", "static", "of_class"])
def test_an_object_may_come_to_hide_a_method(name: str) -> None:
    thing, read = Thing(), READERS[name]
    seen = held(traced(lambda: read(thing)), lambda: setattr(thing, name, three), lambda: delattr(thing, name))
    assert seen == (True, False, True)


def test_an_object_may_come_to_hide_a_method_whose_name_is_made_up() -> None:
    thing, name = Thing(), "get"
    seen = held(
        traced(lambda: getattr(thing, name)()), lambda: setattr(thing, "get", three), lambda: delattr(thing, "get")
    )
    assert seen == (True, False, True)


def test_a_cached_property_is_no_change() -> None:
    thing = Thing()
    guards = traced(lambda: thing.cached)
    assert guards.hold()
    thing.cached = 3.0
    assert not guards.hold()


@pytest.mark.parametrize(("thing", "other"), [(Thing(), Other), (Slotted(), OtherSlotted)])
def test_an_object_may_become_one_of_another_class(thing: Any, other: type) -> None:
    before = type(thing)
    seen = held(
        traced(lambda: thing.get()),
        lambda: setattr(thing, "__class__", other),
        lambda: setattr(thing, "__class__", before),
    )
    assert seen == (True, False, True)


@pytest.mark.parametrize("make", [lambda: Thing(), lambda: Scaled()])
def test_an_object_may_get_all_its_attributes_anew(make: Callable[[], Any]) -> None:
    thing = make()
    thing.scale = 2.0
    before = vars(thing)
    seen = held(
        traced(lambda: thing.scale),
        lambda: setattr(thing, "__dict__", {**before, "scale": 3.0}),
        lambda: setattr(thing, "__dict__", before),
    )
    assert seen == (True, False, True)


def test_a_global_may_come_to_hide_what_python_defines() -> None:
    guards = traced(lambda: max(2.0, 1.0))
    seen = held(guards, lambda: globals().update(max=three), lambda: globals().pop("max") and None)
    assert seen == (True, False, True)


def test_a_step_that_replaces_a_method_or_a_class_is_refused() -> None:
    thing, holder = Thing(), SimpleNamespace(kind=Other)

    def method() -> None:
        Thing.get = three  # type: ignore[method-assign, assignment]

    def kind() -> None:
        thing.__class__ = holder.kind

    before = Thing.get
    for step in (method, kind):
        with pytest.raises(CompileError, match="a compiled step cannot change"):
            traced(lambda step=step: (step(), thing.get()))
        Thing.get, thing.__class__ = before, Thing  # type: ignore[method-assign]


# --- functions --------------------------------------------------------------------------------------------------


def replace(function: Any, name: str, value: Any) -> Callable[[], None]:
    return lambda: setattr(function, name, value)


def test_a_function_may_get_other_defaults_and_another_body() -> None:
    def helper(scale: float = 2.0, *, shift: float = 1.0) -> float:
        return scale + shift

    def other(scale: float = 2.0, *, shift: float = 1.0) -> float:
        return scale - shift

    code = helper.__code__
    for name, value, before in [
        ("__defaults__", (3.0,), (2.0,)),
        ("__defaults__", None, (2.0,)),
        ("__kwdefaults__", {"shift": 3.0}, helper.__kwdefaults__),
        ("__code__", other.__code__, code),
    ]:
        guards = traced(lambda: helper())
        assert held(guards, replace(helper, name, value), replace(helper, name, before)) == (True, False, True)
        itself = traced(helper)
        assert held(itself, replace(helper, name, value), replace(helper, name, before)) == (True, False, True)
    kwdefaults: Any = helper.__kwdefaults__
    seen = held(traced(helper), lambda: kwdefaults.update(shift=3.0), lambda: kwdefaults.update(shift=1.0))
    assert seen == (True, False, True)


def test_a_method_may_get_other_defaults_and_another_body() -> None:
    class Scaler:
        def get(self, scale: float = 2.0) -> float:
            return scale

        def other(self, scale: float = 2.0) -> float:
            return scale + 1.0

    scaler = Scaler()
    code = Scaler.get.__code__
    for name, value, before in [("__defaults__", (3.0,), (2.0,)), ("__code__", Scaler.other.__code__, code)]:
        for guards in (traced(lambda: scaler.get()), traced(scaler.get)):
            seen = held(guards, replace(Scaler.get, name, value), replace(Scaler.get, name, before))
            assert seen == (True, False, True)


def test_other_functions_are_free() -> None:
    class Scaler:
        def get(self) -> float:
            return 2.0

        def unread(self) -> float:
            return 2.0

    scaler = Scaler()
    guards = traced(lambda: scaler.get())
    Scaler.unread = three  # type: ignore[method-assign, assignment]
    vars(scaler)["unread"] = three
    assert guards.hold()


# --- modules and optimisers -------------------------------------------------------------------------------------


class Scaled(Module):
    kept = 2.0

    def __init__(self) -> None:
        super().__init__()
        self.scale = 2.0
        self.drop = Dropout(0.5)

    def forward(self, x: Any = 1.0) -> Any:
        return x * self.scale * self.drop.p * self.kept


class OtherScaled(Scaled):
    def forward(self, x: Any = 1.0) -> Any:
        return x


def test_the_forward_of_a_class_of_modules_may_be_replaced() -> None:
    net, before = Scaled(), Scaled.forward
    seen = held(
        traced(lambda: net()),
        lambda: setattr(Scaled, "forward", three),
        lambda: setattr(Scaled, "forward", before),
    )
    assert seen == (True, False, True)


def test_a_class_of_modules_may_come_to_define_what_the_library_defined() -> None:
    class Chain(Sequential):
        pass

    for name in ("forward", "__call__"):
        net = Chain(Linear(3, 2))
        seen = held(traced(lambda net=net: net), replace(Chain, name, three), lambda name=name: delattr(Chain, name))
        assert seen == (True, False, True)


@pytest.mark.parametrize("make", [Scaled, Net, lambda: Sequential(Linear(3, 2)), lambda: Linear(3, 2)])
def test_a_module_may_get_a_forward_of_its_own(make: Callable[[], Module]) -> None:
    top = make()
    for net in (top, *top.modules()):
        seen = held(traced(lambda: top), replace(net, "forward", three), lambda net=net: delattr(net, "forward"))
        assert seen == (True, False, True)


def test_a_module_may_become_one_of_another_class() -> None:
    net = Scaled()
    seen = held(traced(lambda: net), replace(net, "__class__", OtherScaled), replace(net, "__class__", Scaled))
    assert seen == (True, False, True)


@pytest.mark.parametrize(
    "set_past",
    [
        lambda net, **new: vars(net).update(new),
        lambda net, **new: [object.__setattr__(net, key, value) for key, value in new.items()],
    ],
)
def test_attributes_of_a_module_that_the_step_names_may_be_set_past_setattr(set_past: Callable[..., Any]) -> None:
    net, name = Scaled(), "scale"
    named, made_up = traced(lambda: net()), traced(lambda: getattr(net, name))
    for guards in (named, made_up):
        seen = held(guards, lambda: set_past(net, scale=3.0), lambda: set_past(net, scale=2.0))
        assert seen == (True, False, True)
    assert held(named, lambda: set_past(net.drop, p=0.25), lambda: set_past(net.drop, p=0.5)) == (True, False, True)
    set_past(net, kept=3.0)  # hides that of the class
    assert not named.hold()


def test_the_user_s_attributes_of_the_library_s_objects_are_guarded() -> None:
    weight: Any = Parameter(minitorch.tensor([2.0]))
    optimizer: Any = minitorch.SGD([weight], lr=0.1)
    net: Any = Linear(3, 2)
    net.weight.boost = optimizer.boost = weight.boost = 2.0
    steps = [
        (lambda: weight.boost, weight),
        (lambda: optimizer.boost, optimizer),
        (lambda: net.weight.boost, net.weight),
        (lambda: sum(p.boost for p in net.parameters() if p is net.weight), net.weight),
        (lambda: optimizer.param_groups[0]["params"][0].boost, weight),
    ]
    for step, owner in steps:
        guards = traced(step)
        assert held(guards, replace(owner, "boost", 3.0), replace(owner, "boost", 2.0)) == (True, False, True)


def test_an_attribute_that_comes_to_the_library_s_objects_is_seen() -> None:
    weight: Any = Parameter(minitorch.tensor([2.0]))
    optimizer: Any = minitorch.SGD([weight], lr=0.1)
    for owner in (weight, optimizer):
        guards = traced(lambda owner=owner: getattr(owner, "boost", 2.0))
        seen = held(guards, replace(owner, "boost", 3.0), lambda owner=owner: delattr(owner, "boost"))
        assert seen == (True, False, True)


def test_defaults_of_an_optimiser_that_a_step_reads_are_guarded() -> None:
    optimizer = minitorch.SGD([Parameter(minitorch.tensor([2.0]))], lr=0.1)
    guards = traced(lambda: optimizer.defaults["lr"])
    seen = held(guards, lambda: optimizer.defaults.update(lr=0.2), lambda: optimizer.defaults.update(lr=0.1))
    assert seen == (True, False, True)


def test_an_optimiser_may_get_methods_of_its_own_and_another_class() -> None:
    class Slower(minitorch.SGD):
        pass

    optimizer: Any = minitorch.SGD([Parameter(minitorch.tensor([2.0]))], lr=0.1)
    guards = traced(lambda: optimizer.zero_grad())
    seen = held(guards, replace(optimizer, "zero_grad", three), lambda: delattr(optimizer, "zero_grad"))
    assert seen == (True, False, True)
    assert held(guards, replace(optimizer, "__class__", Slower), replace(optimizer, "__class__", minitorch.SGD)) == (
        True,
        False,
        True,
    )
