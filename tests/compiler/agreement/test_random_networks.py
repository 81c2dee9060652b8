"""Random networks train compiled as they do eagerly; every operation of the library may be in one."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings

from minitorch.tensor_functions import Function

from ...op_cases import WITHOUT_ROW, registered
from .agree import assert_agree
from .networks import BATCHES, LAYERS, LOSSES, Network, networks

# How many in CI, and how many where somebody waits.
NETWORKS_IN_CI, NETWORKS = 300, 60


@settings(max_examples=NETWORKS_IN_CI if os.environ.get("CI") else NETWORKS)
@given(network=networks())
def test_random_networks_agree(network: Network) -> None:
    eager = network.train(steps=2)
    compiled = network.train(steps=2, compiled=True)
    assert compiled.keys() == eager.keys()
    for name, value in compiled.items():
        # Numbers of about 1 are drawn, and some networks subtract them from themselves.
        assert_agree(value, eager[name], 1e-10, name, floor=1.0)


def test_every_operation_can_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train each layer with each loss once, and watch which operations run, forward or backward."""
    seen: set[Any] = set()
    apply = Function.apply.__func__

    def watched(cls: type[Function], *inputs: Any) -> Any:
        seen.add(cls)
        return apply(cls, *inputs)

    monkeypatch.setattr(Function, "apply", classmethod(watched))
    for layer in LAYERS:
        Network([(layer, 0)]).train(steps=1)
    for loss in LOSSES:
        Network([(LAYERS[0], 0)], loss=loss).train(steps=1)
    assert registered() - seen == set(WITHOUT_ROW)


def test_layers_give_what_they_promise() -> None:
    """A layer that gave another kind would be followed by layers that do not fit it."""
    for layer in LAYERS:
        for batch in BATCHES:
            network = Network([(layer, 0)], batch=batch)
            output = network.train(steps=1)["output 0"]
            assert output is not None
            assert output.shape == network.output_shape, layer.name
