"""Lists of modules; what Sequential runs is tested in tests/test_layers.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch.containers import ModuleList, Sequential
from minitorch.errors import ArgumentError, IndexingError
from minitorch.module import Module, Parameter


class Numbered(Module):
    def __init__(self, number):
        super().__init__()
        self.weight = Parameter(float(number))

    def forward(self, x):
        return 10 * x + int(self.weight.value)


def numbers(modules):
    return [int(module.weight.value) for module in modules]


def chain(kind, count):
    modules = [Numbered(i) for i in range(count)]
    return kind(modules) if kind is ModuleList else kind(*modules)


places = st.integers(-6, 6)


@given(st.integers(0, 5), st.lists(st.tuples(st.sampled_from(["insert", "delete", "set", "cut"]), places, places)))
def test_a_module_list_is_a_list(count, changes):
    """Whatever is done to it, its modules are those of a Python list, and their names are their places."""
    ours, expected = chain(ModuleList, count), list(range(count))
    fresh = 100
    for what, i, j in changes:
        if what == "insert":
            ours.insert(i, Numbered(fresh))
            expected.insert(i, fresh)
        elif what == "cut":
            assert numbers(ours[i:j]) == expected[i:j]
            del ours[i:j]
            del expected[i:j]
        elif -len(expected) <= i < len(expected):
            if what == "set":
                ours[i] = Numbered(fresh)
                expected[i] = fresh
            else:
                del ours[i]
                del expected[i]
        fresh += 1
        assert numbers(ours) == expected
        assert len(ours) == len(expected)
        assert [name for name, _ in ours.named_parameters()] == [f"{k}.weight" for k in range(len(expected))]
    for k in range(-len(expected), len(expected)):
        assert int(ours[k].weight.value) == expected[k]


def test_lists_are_added():
    first, second = chain(ModuleList, 2), chain(ModuleList, 3)
    both = first + second
    assert (numbers(both), numbers(first)) == ([0, 1, 0, 1, 2], [0, 1])
    first += second
    assert numbers(first) == [0, 1, 0, 1, 2]
    assert first[2] is second[0]
    assert numbers(first.append(Numbered(7)).extend([Numbered(8)])) == [0, 1, 0, 1, 2, 7, 8]
    assert len(ModuleList()) == 0


def test_the_modules_of_a_list_belong_to_the_model():
    class Model(Module):
        def __init__(self):
            super().__init__()
            self.layers = chain(ModuleList, 2)

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    model = Model()
    assert model(5) == 501
    assert [name for name, _ in model.named_parameters()] == ["layers.0.weight", "layers.1.weight"]
    assert not model.eval().layers[1].training


def test_a_sequential_grows_and_changes():
    network = chain(Sequential, 2)
    assert network.append(Numbered(2))(0) == 12
    network[1] = Numbered(9)
    assert network(0) == 92
    assert network.extend([Numbered(4), Numbered(5)])(0) == 9245
    tail = network[1:].append(Numbered(6))  # beside "1" to "4", whose names a slice keeps
    assert tail(0) == 92456
    assert len(tail) == 5


@pytest.mark.parametrize("kind", [Sequential, ModuleList])
def test_places_that_are_not_there(kind):
    modules = chain(kind, 2)
    for place in (2, -3, "0", 1.0, None):
        with pytest.raises(IndexingError, match="from -2 to 1"):
            modules[place]
        with pytest.raises(IndexingError, match="from -2 to 1"):
            modules[place] = Numbered(1)
    with pytest.raises(IndexingError):
        del chain(ModuleList, 2)[5]


@pytest.mark.parametrize("kind", [Sequential, ModuleList])
@pytest.mark.parametrize("wrong", [Numbered, len, None])
def test_only_modules(kind, wrong):
    modules = chain(kind, 1)
    for change in (modules.append, lambda x: modules.extend([x]), lambda x: modules.__setitem__(0, x)):
        advice = r"Write Numbered\(\) with parentheses" if wrong is Numbered else "Make a function a Module"
        with pytest.raises(ArgumentError, match=f"{kind.__name__} holds modules, .*{advice}"):
            change(wrong)
    assert numbers(modules) == [0]


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_of_modules_wants_an_asterisk(kind):
    layers = kind([Numbered(0), Numbered(1)])
    with pytest.raises(ArgumentError, match=rf"an asterisk before the {kind.__name__}, as in Sequential\(\*layers\)"):
        Sequential(layers)
    with pytest.raises(ArgumentError, match="an asterisk"):
        ModuleList([Numbered(0), layers])
    assert numbers(Sequential(*layers)) == numbers(ModuleList([*layers])) == [0, 1]


def test_a_module_list_runs_nothing():
    with pytest.raises(NotImplementedError, match="ModuleList to define forward"):
        chain(ModuleList, 1)(1)
