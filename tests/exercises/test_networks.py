"""The networks of exercise 2: a softmax from exp and sum, and the layers of the deeper network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minitorch

from .defined import defined


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    with defined("2_networks", "softmax", "deeper class", layers=minitorch.layers) as names:
        yield names


@pytest.mark.parametrize("shape", [(1, 1), (3, 10), (10, 10), (64, 10)])
def test_softmax_divides_each_row_by_its_own_sum(names: dict[str, Any], shape: tuple[int, int]) -> None:
    scores = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    powers = np.exp(scores)
    found = names["softmax"](minitorch.tensor(scores)).to_numpy()
    np.testing.assert_allclose(found, powers / powers.sum(axis=1, keepdims=True), rtol=1e-5)


def test_the_deeper_network(names: dict[str, Any]) -> None:
    network = names["DeeperNetwork"]()
    shapes = {name: parameter.value.shape for name, parameter in network.named_parameters()}
    assert shapes == {
        "fc1.weight": (128, 784), "fc1.bias": (128,),
        "fc2.weight": (64, 128), "fc2.bias": (64,),
        "fc3.weight": (10, 64), "fc3.bias": (10,),
    }  # fmt: skip
    images = np.random.default_rng(1).random((5, 1, 28, 28), np.float32)
    values = {name: parameter.value.to_numpy() for name, parameter in network.named_parameters()}
    x = images.reshape(5, 784)
    for layer in ("fc1", "fc2"):
        x = np.maximum(x @ values[f"{layer}.weight"].T + values[f"{layer}.bias"], 0)
    powers = np.exp(x @ values["fc3.weight"].T + values["fc3.bias"])
    found = network(minitorch.tensor(images)).to_numpy()
    np.testing.assert_allclose(found, powers / powers.sum(axis=1, keepdims=True), rtol=1e-4)
