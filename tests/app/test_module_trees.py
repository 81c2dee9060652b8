from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from interface.module_trees import MODELS, branches, build, count, draw_tree, parameter_table

import minitorch


@pytest.mark.parametrize("name", MODELS)
def test_the_tree_has_every_parameter_once(name: str) -> None:
    model = build(name, 3)
    rows = branches(model, most=10_000)
    assert sorted(row.path for row in rows if row.is_parameter) == sorted(n for n, _ in model.named_parameters())
    assert rows[0].parameters == sum(row.parameters for row in rows if row.is_parameter) == count(model)
    assert [row["name"] for row in parameter_table(model)] == [n for n, _ in model.named_parameters()]


def test_lenet_has_as_many_numbers_as_its_layers_say() -> None:
    expected = (4 * 9 + 4) + (8 * 4 * 9 + 8) + (392 * 64 + 64) + (64 * 10 + 10)
    assert count(build("LeNet, for digits", 0)) == expected


def test_rows_tell_depth_shape_and_mode() -> None:
    model = minitorch.layers.Sequential(minitorch.layers.Linear(2, 3), minitorch.layers.ReLU()).eval()
    assert [(row.path, row.kind, row.depth) for row in branches(model)] == [
        ("", "Sequential", 0),
        ("0", "Linear", 1),
        ("0.weight", "3 x 2", 2),
        ("0.bias", "3", 2),
        ("1", "ReLU", 1),
    ]
    assert not any(row.training for row in branches(model) if not row.is_parameter)


def test_the_table_measures() -> None:
    layer = minitorch.Module()
    layer.weight = minitorch.Parameter(minitorch.tensor([[1.0, 3.0]]))
    row = {"name": "weight", "shape": "1 x 2", "numbers": 2, "mean": 2.0, "deviation": 1.0}
    assert parameter_table(layer) == [row]


def test_the_drawing_names_every_row() -> None:
    rows = branches(build("Points, with tensors", 2))
    words = [node.text or "" for node in ET.fromstring(str(draw_tree(rows))).iter() if node.tag.endswith("text")]
    assert all(any(row.name in word for word in words) for row in rows)
    assert "layer2: Linear" in words


def test_a_model_is_made_of_its_own_random_numbers() -> None:
    minitorch.manual_seed(5)
    first, again, other = (build("Points, with tensors", 2, seed) for seed in (1, 1, 2))
    assert minitorch.default_generator.state == (5, 0)
    assert parameter_table(first) == parameter_table(again) != parameter_table(other)
