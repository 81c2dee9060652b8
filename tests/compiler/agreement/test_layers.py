"""Every layer in a compiled training step beside the eager one: losses, parameters and running averages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch import FastBackend, layers, losses
from minitorch.module import Module
from minitorch.tensor import Tensor

from ...cases import Array, make
from .agree import assert_agree


def images(dtype: str) -> Module:
    """A network for images of 1 x 8 x 8."""
    more: dict[str, Any] = {"dtype": dtype, "backend": FastBackend}
    return layers.Sequential(
        layers.Reshape(1, 8, -1),
        layers.Conv2d(1, 4, 3, padding=1, bias=False, **more),
        layers.BatchNorm2d(4, **more),
        layers.ReLU(),
        layers.MaxPool2d(2),
        layers.Conv2d(4, 3, 3, stride=2, padding=1, **more),
        layers.BatchNorm2d(3, momentum=None, **more),
        layers.LeakyReLU(),
        layers.AvgPool2d(2),
        layers.Flatten(),
        layers.Linear(3, 8, **more),
        layers.LayerNorm(8, **more),
        layers.GELU(),
        layers.Dropout(0.25),
        layers.Identity(),
        layers.Linear(8, 5, **more),
        layers.BatchNorm1d(5, affine=False, **more),
        layers.LogSoftmax(1),
    )


class Words(Module):
    """A network for rows of nine words out of twelve."""

    def __init__(self, dtype: str) -> None:
        super().__init__()
        more: dict[str, Any] = {"dtype": dtype, "backend": FastBackend}
        self.table = layers.Embedding(12, 4, padding_idx=0, **more)
        self.convolutions = layers.ModuleList([layers.Conv1d(4, 3, k, **more) for k in (2, 4)])
        self.norm = layers.BatchNorm1d(3, **more)
        self.pool = layers.MaxPool1d(2)
        self.squash = layers.ModuleList([layers.Tanh(), layers.Sigmoid(), layers.GELU("tanh")])
        self.head = layers.Sequential(layers.Linear(21, 5, **more), layers.Softmax(1))

    def forward(self, rows: Tensor) -> Tensor:
        """Give log-probabilities, ``batch x 5``."""
        x = self.table(rows).permute(0, 2, 1)
        parts = [self.pool(self.norm(convolution(x))) for convolution in self.convolutions]
        flat = [part.contiguous().view(part.shape[0], -1) for part in parts]
        joined = minitorch.tensor_functions.Cat.apply(*flat, 1)
        for layer in self.squash:
            joined = layer(joined)
        return minitorch.tensor_functions.Log.apply(self.head(joined))


def draw_images(rng: np.random.Generator, dtype: str) -> Tensor:
    return make(rng.normal(size=(6, 64)), FastBackend, dtype)


def draw_words(rng: np.random.Generator, dtype: str) -> Tensor:
    return make(rng.integers(0, 12, (6, 9)), FastBackend, "int64")


NETWORKS = {"images": (images, draw_images), "words": (Words, draw_words)}


def train(name: str, dtype: str, compiled: bool, steps: int = 4) -> tuple[list[float], dict[str, Array], Array, Any]:
    """Train, and then evaluate with the same step."""
    build, draw = NETWORKS[name]
    minitorch.manual_seed(2)
    network = build(dtype)
    optimizer = minitorch.SGD(network.parameters(), lr=0.1, momentum=0.9)

    def step(x: Tensor, y: Array) -> Tensor:
        optimizer.zero_grad()
        loss = losses.nll_loss(network(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run = minitorch.compile(step) if compiled else step
    rng = np.random.default_rng(3)
    values = [run(draw(rng, dtype), rng.integers(0, 5, 6)).item() for _ in range(steps)]
    trained = {name: held.value.to_numpy().copy() for name, held in network.named_state()}
    network.eval()
    infer = minitorch.compile(network) if compiled else network
    out = infer(draw(rng, dtype)).to_numpy().copy()
    for name, held in network.named_buffers():
        np.testing.assert_array_equal(held.value.to_numpy(), trained[name])  # evaluation changes nothing
    return values, trained, out, run


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-4)])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_trains_the_same(name: str, dtype: str, tolerance: float) -> None:
    values, state, out, run = train(name, dtype, compiled=True)
    expected_values, expected, expected_out, _ = train(name, dtype, compiled=False)
    np.testing.assert_allclose(values, expected_values, rtol=tolerance)
    assert len(set(values)) == len(values)
    assert list(state) == list(expected)
    for key, array in expected.items():
        assert_agree(state[key], array, tolerance, key)
    assert_agree(out, expected_out, tolerance)
    assert len(run.traces) == 1


def test_every_layer_is_in_a_network() -> None:
    used = {type(module).__name__ for build, _ in NETWORKS.values() for _, module in build("float64").named_modules()}
    kinds = {name for name in layers.__all__ if isinstance(getattr(layers, name), type)}
    assert kinds - used == set()


def test_running_averages_that_are_replaced_are_followed() -> None:
    """A compiled evaluation reads the averages of now, with the program that it has."""
    layer = layers.BatchNorm1d(2, backend=FastBackend).eval()
    run = minitorch.compile(layer)
    x = make([[1.0, 2.0], [3.0, 4.0]], FastBackend)
    before = run(x).to_numpy().copy()
    layer.train()
    run(x)
    layer.eval()
    after = run(x).to_numpy()
    np.testing.assert_allclose(after, layer(x).to_numpy(), rtol=1e-12)
    assert (before != after).all()
    assert layer.num_batches_tracked.value.item() == 1
    assert len(run.traces) == 2
    layer.running_mean = minitorch.module.Buffer(make([10.0, 10.0], FastBackend))
    np.testing.assert_allclose(run(x).to_numpy(), layer(x).to_numpy(), rtol=1e-12)
