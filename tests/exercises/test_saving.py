"""The early stopping of exercise 6, epoch by epoch, and its network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch import Module
from minitorch.layers import Flatten, Linear, ReLU, Sequential

from .defined import defined


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    given = {"Module": Module, "Any": Any, "Flatten": Flatten, "Linear": Linear, "ReLU": ReLU, "Sequential": Sequential}
    with defined("6_saving", "classifier", "stopper", **given) as names:
        yield names


class Counting(Module):
    """A model whose only number says which epoch it is of."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch = minitorch.Parameter(minitorch.tensor([0.0]))


def stops_after(stopper: Any, losses: list[float]) -> int | None:
    """Go through epochs of these losses, and give the one after which it stops."""
    model = Counting()
    for epoch, loss in enumerate(losses, start=1):
        model.epoch.update(minitorch.tensor([float(epoch)]))
        if stopper.should_stop(model, epoch, loss):
            return epoch
    return None


NAN = float("nan")


@pytest.mark.parametrize(
    ("patience", "losses", "stopped", "best"),
    [
        (1, [3.0, 2.0, 2.5, 1.0], 3, 2),
        (2, [3.0, 2.0, 2.5, 1.0], None, 4),
        (2, [3.0, 2.0, 2.5, 2.1, 1.0], 4, 2),
        (2, [3.0, 3.5, 2.0, 2.5, 2.2], 5, 3),  # the count begins again
        (1, [2.0, 2.0], 2, 1),  # as low is not lower
        (2, [2.0, NAN, 1.0, NAN, NAN], 5, 3),  # what is no number is no improvement
        (3, [1.0], None, 1),
    ],
)
def test_when_it_stops_and_what_it_keeps(
    names: dict[str, Any], patience: int, losses: list[float], stopped: int | None, best: int
) -> None:
    stopper = names["Stopper"](patience)
    assert stops_after(stopper, losses) == stopped
    assert (stopper.best_epoch, stopper.best_loss) == (best, losses[best - 1])
    assert stopper.best_parameters["epoch"].tolist() == [best]


def test_losses_that_are_no_numbers_end_it_too(names: dict[str, Any]) -> None:
    stopper = names["Stopper"](2)
    assert stops_after(stopper, [NAN, NAN, NAN]) == 2
    assert (stopper.best_epoch, stopper.best_parameters) == (0, {})


@pytest.mark.parametrize("patience", [0, -1])
def test_no_patience_is_refused(names: dict[str, Any], patience: int) -> None:
    with pytest.raises(ValueError, match=f"at least one epoch, got {patience}"):
        names["Stopper"](patience)


@pytest.mark.parametrize("hidden", [[], [5], [6, 4]])
def test_the_network_has_the_hidden_layers_that_it_was_asked_for(names: dict[str, Any], hidden: list[int]) -> None:
    network = names["Classifier"](hidden)
    assert network.arguments == {"hidden": hidden}
    x = np.random.default_rng(0).random((3, 784), np.float32)
    expected = x
    parameters = [parameter.value.to_numpy() for parameter in network.parameters()]
    assert [weight.shape for weight in parameters[::2]] == list(zip([*hidden, 10], [784, *hidden]))
    for number, (weight, bias) in enumerate(zip(parameters[::2], parameters[1::2])):
        expected = (expected if number == 0 else np.maximum(expected, 0)) @ weight.T + bias
    found = network(minitorch.tensor(x.reshape(3, 1, 28, 28))).to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
