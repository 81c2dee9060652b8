"""Functions that are written as text."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from minitorch.compiler.written import WrittenFunction


def test_a_value_has_one_name() -> None:
    text = WrittenFunction("def same(x):", limit=3)
    a, b = [1], [1]
    names = [text.name("list", a), text.name("list", b), text.name("other", a)]
    assert names[0] == names[2] != names[1]
    text.add(f"return x is {names[0]}, x is {names[1]}, limit, more")
    same = text.made(more=4)
    assert same(a) == (True, False, 3, 4)
    assert same(b) == (False, True, 3, 4)


def test_cells_are_looked_up_when_the_function_runs() -> None:
    text = WrittenFunction("def read():")
    settings, weight = {"lr": 0.1}, SimpleNamespace(value=1)
    text.add(f"return {text.cell(settings, 'lr')}, {text.cell(settings, 'momentum')}, {text.cell(weight, 'value')}")
    read = text.made()
    assert read() == (0.1, None, 1)
    settings["lr"], settings["momentum"], weight.value = 0.2, 0.9, 2
    assert read() == (0.2, 0.9, 2)
    del weight.value
    with pytest.raises(AttributeError):
        read()
    assert str(text) == "def read():\n    return holder_0.get('lr'), holder_0.get('momentum'), holder_1.value"
