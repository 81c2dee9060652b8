"""The tree of modules: what is registered where, under which name, and what a mistake says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitorch
from minitorch.errors import ArgumentError, DTypeError, MiniTorchError, ShapeError
from minitorch.module import Buffer, Module, Parameter
from minitorch.scalar import Scalar

from .strategies import medium_ints, small_floats


class Leaf(Module):
    def __init__(self, value=1.0, extra=0):
        super().__init__()
        self.weight = Parameter(value)
        self.width = 10
        for i in range(extra):
            self.add_parameter(f"extra_{i}", i)

    def forward(self, x, *, offset=0.0):
        return self.weight.value * x + offset


class Pair(Module):
    def __init__(self, first, second):
        super().__init__()
        self.first = first
        self.second = second
        self.bias = Parameter(0.5)


def names(module):
    return [name for name, _ in module.named_parameters()]


# --- the tree ---


@pytest.mark.task0_4
def test_names_are_dotted_and_own_parameters_come_first():
    tree = Pair(Pair(Leaf(2.0), Leaf(3.0)), Leaf(4.0, extra=2))
    assert names(tree) == [
        "bias",
        "first.bias",
        "first.first.weight",
        "first.second.weight",
        "second.weight",
        "second.extra_0",
        "second.extra_1",
    ]
    assert [p.value for p in tree.parameters()] == [0.5, 0.5, 2.0, 3.0, 4.0, 0, 1]
    assert tree.modules() == [tree.first, tree.second]
    assert tree.second.width == 10


@pytest.mark.task0_4
@given(medium_ints, medium_ints, small_floats)
def test_every_parameter_is_listed(size_a, size_b, value):
    tree = Pair(Leaf(value, size_a), Leaf(extra=size_b))
    assert len(tree.parameters()) == len(tree.named_parameters()) == 1 + (1 + size_a) + (1 + size_b)
    assert dict(tree.named_parameters())["first.weight"].value == value


@pytest.mark.task0_4
@given(st.recursive(st.builds(Leaf), lambda inner: st.builds(Pair, inner, inner), max_leaves=8))
def test_train_and_eval_reach_everything_and_return_the_module(tree):
    def modes(module):
        return [module.training] + [mode for child in module.modules() for mode in modes(child)]

    assert tree.eval() is tree
    assert not any(modes(tree))
    assert tree.train() is tree
    assert all(modes(tree))
    assert tree.train(False) is tree
    assert not any(modes(tree))
    assert tree.train(mode=True) is tree
    assert all(modes(tree))


@pytest.mark.task0_4
def test_what_is_shared_is_listed_once_under_its_first_name():
    shared = Leaf()
    tree = Pair(shared, shared)
    tree.tied = shared.weight
    assert names(tree) == ["bias", "tied"]
    assert names(Pair(shared, shared)) == ["bias", "first.weight"]


@pytest.mark.task0_4
def test_a_loop_of_modules_ends():
    tree = Pair(Leaf(), Leaf())
    tree.second.back = tree
    assert names(tree) == ["bias", "first.weight", "second.weight"]
    assert not tree.eval().second.training
    assert "(back): Pair(...)" in repr(tree)


@pytest.mark.task0_4
def test_a_tree_of_a_thousand_levels_lists_its_parameters():
    tree = Leaf()
    for _ in range(2000):
        outer = Module()
        outer.inner = tree
        tree = outer
    assert names(tree) == ["inner." * 2000 + "weight"]
    assert not tree.eval().inner.training


# --- calling ---


@pytest.mark.task0_4
def test_calling_runs_forward_with_its_arguments():
    assert Leaf(3.0)(2.0) == 6.0
    assert Leaf(3.0)(2.0, offset=1.0) == 7.0


@pytest.mark.task0_4
def test_a_module_without_forward_cannot_be_called():
    with pytest.raises(NotImplementedError, match=r"Expected Module to define forward\(self, ...\)"):
        Module()()


# --- attributes ---


@pytest.mark.task0_4
def test_a_misspelt_name_raises_and_suggests_the_close_one():
    tree = Pair(Leaf(), Leaf())
    for misspelt, meant in [("bais", "bias"), ("frist", "first"), ("trainning", "training"), ("evall", "eval")]:
        with pytest.raises(AttributeError, match=f"Pair has no attribute '{misspelt}'. Did you mean '{meant}'?"):
            getattr(tree, misspelt)
    with pytest.raises(AttributeError, match=r"no attribute 'zzz'\.$"):
        tree.zzz  # noqa: B018
    assert not hasattr(tree, "mode")


@pytest.mark.task0_4
def test_a_new_assignment_replaces_what_the_name_meant():
    module = Module()
    module.a = None
    module.a = Parameter(1.0)
    assert names(module) == ["a"]
    module.a = Parameter(2.0)
    assert module.a.value == 2.0
    module.a = Leaf()
    assert names(module) == ["a.weight"]
    module.a = Parameter(3.0)
    assert (names(module), module.modules()) == (["a"], [])


@pytest.mark.task0_4
def test_a_value_does_not_hide_a_parameter_or_a_module():
    tree = Pair(Leaf(), Leaf())
    with pytest.raises(ArgumentError, match=r"Expected a Parameter for 'bias', got float. Write bias.update\(value\)"):
        tree.bias = 2.0
    with pytest.raises(ArgumentError, match="Expected a Module for 'first', got NoneType"):
        tree.first = None
    assert tree.bias.value == 0.5


@pytest.mark.task0_4
def test_deleting_forgets():
    tree = Pair(Leaf(), Leaf())
    tree.extra = 1
    del tree.bias, tree.first, tree.extra
    assert names(tree) == ["second.weight"]
    tree.bias = 2.0
    assert tree.bias == 2.0
    with pytest.raises(AttributeError):
        del tree.first


@pytest.mark.task0_4
def test_the_directory_lists_parameters_and_modules():
    assert {"bias", "first", "second", "training", "forward"} <= set(dir(Pair(Leaf(), Leaf())))


@pytest.mark.task0_4
def test_add_parameter_names_and_returns_it():
    module = Module()
    added = module.add_parameter("w_0", 5)
    assert added is module.w_0
    assert (added.value, added.name) == (5, "w_0")
    again = module.add_parameter("w_1", added)
    assert again is added


@pytest.mark.task0_4
def test_names_that_cannot_be_used():
    module = Module()
    for name in ("a.b", ""):
        with pytest.raises(ArgumentError, match="without dots"):
            module.add_parameter(name, 1.0)
    with pytest.raises(ArgumentError, match="'forward', which the class Module defines"):
        module.forward = Parameter(1.0)


@pytest.mark.task0_4
def test_forgetting_to_initialise_the_base_is_explained():
    class Hasty(Module):
        def __init__(self):
            self.weight = Parameter(1.0)

    with pytest.raises(MiniTorchError, match=r"Hasty.__init__ to call super\(\).__init__\(\).*Parameter 'weight'"):
        Hasty()


@pytest.mark.task0_4
def test_the_tree_is_drawn_with_shapes():
    tree = Pair(Leaf(2.0), Module())
    tree.second.table = Parameter(np.zeros((2, 3)))
    assert repr(tree) == str(tree)
    assert str(tree).splitlines() == [
        "Pair(",
        "  (bias): Parameter(0.5)",
        "  (first): Leaf(",
        "    (weight): Parameter(2.0)",
        "  )",
        "  (second): Module(",
        "    (table): Parameter(shape=(2, 3))",
        "  )",
        ")",
    ]
    assert repr(Module()) == "Module()"


def test_settings_stand_for_parameters_and_before_modules():
    class Described(Leaf):
        lines = "width=10"

        def extra_repr(self):
            return self.lines

    module = Described()
    assert repr(module) == "Described(width=10)"
    module.inner = Described()
    assert repr(module).splitlines() == ["Described(", "  width=10", "  (inner): Described(width=10)", ")"]
    module.inner.lines = "width=10,\nheight=3"
    assert repr(module.inner).splitlines() == ["Described(", "  width=10,", "  height=3", ")"]


# --- parameters ---


class Recorder:
    """Stands for a tensor: it notes what it is told."""

    def __init__(self):
        self.told = []
        self.name = "unnamed"

    def requires_grad_(self, x):
        self.told.append(x)


@pytest.mark.task0_4
def test_a_parameter_asks_its_value_for_a_gradient():
    first, second = Recorder(), Recorder()
    parameter = Parameter(first)
    parameter.update(second)
    assert (first.told, second.told, parameter.value) == ([True], [True], second)
    assert first.name == "unnamed"


@pytest.mark.task0_4
def test_a_parameter_hands_its_name_on():
    first, second = Recorder(), Recorder()
    Parameter(first, "w").update(second)
    assert (first.name, second.name) == ("w", "w")


@pytest.mark.task0_4
@pytest.mark.parametrize("value", [5, 2.5, Scalar(1.5), None, [1, 2]], ids=repr)
def test_a_parameter_holds_anything(value):
    parameter = Parameter(value)
    assert parameter.value is value
    assert (repr(parameter), str(parameter)) == (repr(value), str(value))


@pytest.mark.task0_4
def test_a_tensor_in_a_parameter_gets_a_gradient():
    parameter = Parameter(minitorch.tensor([1.0, 2.0]))
    assert parameter.value.requires_grad()
    (parameter.value * parameter.value).sum().backward()
    assert parameter.value.grad.to_numpy().tolist() == [2.0, 4.0]


# --- buffers ---


class Counting(Module):
    """Adds up what it has seen."""

    def __init__(self):
        super().__init__()
        self.weight = Parameter(2.0)
        self.register_buffer("total", 0.0)
        self.scratch = Buffer(1.0, persistent=False)

    def forward(self, x):
        self.total.update(self.total.value + x)
        return self.weight.value * x


def test_a_buffer_is_remembered_and_not_trained():
    tree = Pair(Counting(), Leaf())
    assert tree.first(3.0) == 6.0
    tree.first(4.0)
    assert tree.first.total.value == 7.0
    assert names(tree) == ["bias", "first.weight", "second.weight"]
    assert [(name, b.value) for name, b in tree.named_buffers()] == [("first.total", 7.0), ("first.scratch", 1.0)]
    assert [b.value for b in tree.buffers()] == [7.0, 1.0]


def test_the_state_has_persistent_buffers_behind_their_modules_parameters():
    tree = Pair(Counting(), Leaf())
    tree.again = tree.first
    assert [name for name, _ in tree.named_state()] == ["bias", "first.weight", "first.total", "second.weight"]


def test_a_buffer_keeps_the_data_of_a_tensor_alone():
    x = minitorch.tensor([1.0, 2.0], requires_grad=True)
    buffer = Buffer(x * 2.0)
    assert buffer.value.is_constant()
    buffer.update(x)
    assert buffer.value.is_constant()
    assert buffer.value.tolist() == [1.0, 2.0]
    assert x.requires_grad()
    assert (repr(Buffer(0.5)), str(Buffer(0.5))) == ("0.5", "0.5")


def test_a_buffer_that_is_none_is_an_attribute():
    module = Module()
    module.register_buffer("mask", None)
    assert module.mask is None
    assert module.buffers() == []
    module.register_buffer("mask", 1.0)
    assert module.mask.value == 1.0


def test_a_name_of_a_buffer():
    module = Counting()
    with pytest.raises(ArgumentError, match=r"Expected a Buffer for 'total', got float. Write total.update\(value\)"):
        module.total = 1.0
    for name, message in (("a.b", "without dots"), ("forward", "which the class Counting defines")):
        with pytest.raises(ArgumentError, match=message):
            module.register_buffer(name, 1.0)
    with pytest.raises(AttributeError, match="Did you mean 'scratch'"):
        module.scrach  # noqa: B018
    module.total = Parameter(1.0)
    assert [name for name, _ in module.named_buffers()] == ["scratch"]
    del module.scratch
    assert module.buffers() == []


# --- where a mistake is ---


class Careful(Module):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, x):
        raise self.error


def test_a_mistake_is_reported_with_its_path():
    for kind in (ShapeError, DTypeError):
        tree = Pair(Leaf(), Pair(Leaf(), Careful(kind("Careful: expected this, got that."))))
        # An attribute comes before the class's method.
        object.__setattr__(tree, "forward", tree.second)
        object.__setattr__(tree.second, "forward", tree.second.second)
        with pytest.raises(kind) as caught:
            tree(1.0)
        assert str(caught.value) == "Pair.second.second (Careful): expected this, got that."


def test_a_layer_by_itself_says_what_it_says():
    with pytest.raises(ShapeError) as caught:
        Careful(ShapeError("Careful: expected this, got that."))(1.0)
    assert str(caught.value) == "Careful: expected this, got that."


def test_a_module_in_a_list_has_no_name():
    class Hidden(Module):
        def __init__(self):
            super().__init__()
            self.layers = [Careful(ShapeError("this, not that"))]

        def forward(self, x):
            return self.layers[0](x)

    class Outer(Module):
        def __init__(self):
            super().__init__()
            self.body = Hidden()

        def forward(self, x):
            return self.body(x)

    with pytest.raises(ShapeError) as caught:
        Outer()(1.0)
    assert str(caught.value) == "Outer.body > Careful (Careful): this, not that"


class Walk(Module):
    """Runs the module that a path of attributes leads to, without calling those on the way."""

    def __init__(self, path, **modules):
        super().__init__()
        self.path = path
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        module = self
        for name in self.path.split("."):
            module = getattr(module, name)
        return module(x)


class Strict(Module):
    def forward(self, x):
        raise ShapeError("Strict: this, not that")


def mistake_of(module):
    with pytest.raises(ShapeError) as caught:
        module(1.0)
    return caught.value


def message_of(module):
    return str(mistake_of(module))


def test_a_layer_of_a_module_list_has_its_path():
    layers = minitorch.layers.ModuleList([Leaf(), Leaf(), Strict()])
    assert message_of(Walk("layers.2", layers=layers)) == "Walk.layers.2 (Strict): this, not that"


def test_a_layer_that_is_called_past_the_module_around_it_has_its_path():
    network = Walk("block.inner.second", block=Walk("inner", inner=Pair(Leaf(), Strict())))
    assert message_of(network) == "Walk.block.inner.second (Strict): this, not that"
    outer = Walk("network", network=network)
    assert message_of(outer) == "Walk.network.block.inner.second (Strict): this, not that"


def test_a_shared_layer_has_the_name_by_which_it_was_called():
    shared = Strict()
    blocks = {"one": Walk("fc", fc=shared), "two": Walk("fc", fc=shared)}
    assert message_of(Walk("two", **blocks)) == "Walk.two.fc (Strict): this, not that"
    # Past the block nothing tells which of the names was used: the first one stands.
    assert message_of(Walk("two.fc", **blocks)) == "Walk.one.fc (Strict): this, not that"


def test_a_located_exception_holds_its_message_and_nothing_else():
    error = mistake_of(Walk("layer", layer=Strict()))
    assert (error.args, vars(error)) == (("Walk.layer (Strict): this, not that",), {})


class Classifier(Module):
    """Runs a list of layers, the second of which takes four features."""

    def __init__(self):
        super().__init__()
        linear = minitorch.layers.Linear(4, 2, backend=minitorch.FastBackend)
        self.layers = minitorch.layers.ModuleList([minitorch.layers.ReLU(), linear])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def test_a_compiled_step_reports_the_path_when_it_is_traced_and_traced_again():
    model = Classifier()
    for good_first in (False, True):
        step = minitorch.compile(lambda x: model(x))
        if good_first:
            assert step(minitorch.ones((3, 4), backend=minitorch.FastBackend)).shape == (3, 2)
        for rows in (3, 5):
            with pytest.raises(ShapeError, match=r"^Classifier\.layers\.1 \(Linear\): .*got shape \(\d, 7\)"):
                step(minitorch.ones((rows, 7), backend=minitorch.FastBackend))


def test_other_exceptions_stay_as_they_are():
    tree = Careful(ZeroDivisionError("by zero"))
    outer = Module()
    outer.inner = tree
    object.__setattr__(outer, "forward", tree)
    with pytest.raises(ZeroDivisionError) as caught:
        outer(1.0)
    assert caught.value.args == ("by zero",)
