"""A hundred compiled training steps end where a hundred eager ones do: every optimiser, layer and loss, both dtypes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from run_mnist_multiclass import Network
from run_sentiment import CNNSentimentKim

import minitorch
from minitorch import layers, losses, optim
from minitorch import tensor_functions as tf
from minitorch.fast_ops import FastBackend
from minitorch.tensor import Tensor

from ...cases import Array, make, normal
from .agree import assert_agree
from .networks import KINDS, LAYERS, Given

STEPS = 100

# After so many steps, relative to the largest number of a parameter.
TOLERANCES = {"float64": 1e-12, "float32": 1e-4}


def parameters_of(model: minitorch.Module) -> list[Array]:
    return [p.value.to_numpy().copy() for p in model.parameters()]


class Training:
    """A model, its optimiser, and batches of random numbers."""

    def __init__(
        self,
        model: Callable[[], minitorch.Module],
        optimizer: Callable[..., Any],
        loss: Callable[[minitorch.Module, Tensor, Any], Tensor],
        batch: Callable[[np.random.Generator], tuple[Array, Array]],
        dtype: str,
    ) -> None:
        self.model, self.optimizer, self.loss, self.batch, self.dtype = model, optimizer, loss, batch, dtype

    def run(self, steps: int, compiled: bool) -> tuple[list[float], list[Array]]:
        minitorch.manual_seed(5)
        model = self.model()
        optimizer = self.optimizer(model.parameters())

        def step(x: Tensor, y: Any) -> Tensor:
            optimizer.zero_grad()
            loss = self.loss(model, x, y)
            loss.backward()
            optimizer.step()
            return loss

        run = minitorch.compile(step) if compiled else step
        rng = np.random.default_rng(6)
        values = []
        for _ in range(steps):
            x, y = self.batch(rng)
            labels = make(y, FastBackend, "int64" if y.dtype.kind == "i" else self.dtype)
            values.append(run(make(x, FastBackend, self.dtype), labels).item())
        return values, parameters_of(model)

    def agree(self, tolerance: float, steps: int = STEPS) -> None:
        values, parameters = self.run(steps, compiled=True)
        expected_values, expected = self.run(steps, compiled=False)
        np.testing.assert_allclose(values, expected_values, rtol=tolerance)
        for k, (a, b) in enumerate(zip(parameters, expected, strict=True)):
            assert_agree(a, b, tolerance, f"parameter {k}")
        assert len(set(values)) > 1, "nothing was learnt"


def digits(rng: np.random.Generator, batch: int) -> tuple[Array, Array]:
    return rng.normal(size=(batch, 1, 28, 28)), np.eye(10)[rng.integers(0, 10, batch)]


def likelihood(model: minitorch.Module, x: Tensor, y: Tensor) -> Tensor:
    return (model(x) * y).sum() * (-1.0 / x.shape[0])


def lenet(dtype: str, batch: int = 8) -> Training:
    """Give LeNet with its dropout: the masks are those of the eager step."""
    return Training(
        lambda: Network(FastBackend, dtype),
        partial(optim.SGD, lr=0.05),
        likelihood,
        partial(digits, batch=batch),
        dtype,
    )


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES.items())
def test_lenet_trains_the_same(dtype: str, tolerance: float) -> None:
    lenet(dtype).agree(tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES.items())
def test_kims_network_trains_the_same(dtype: str, tolerance: float) -> None:
    def loss(model: minitorch.Module, x: Tensor, y: Tensor) -> Tensor:
        return losses.binary_cross_entropy(model(x), y)

    def batch(rng: np.random.Generator) -> tuple[Array, Array]:
        return rng.normal(size=(6, 9, 10)), rng.integers(0, 2, 6).astype(float)

    def model() -> minitorch.Module:
        return CNNSentimentKim(7, 10, dropout=0.25, embedding_dropout=0.2, dtype=dtype)

    Training(model, partial(optim.SGD, lr=0.1), loss, batch, dtype).agree(tolerance)


def normalisation(x: Tensor) -> Tensor:
    """Normalise over the batch by hand: what follows needs all of it."""
    centred = x - x.mean(0)
    return centred / tf.Sqrt.apply((centred * centred).mean(0) + 1e-3)


class MLP(minitorch.Module):
    """Two layers, with a normalisation over the batch between them if wanted."""

    def __init__(self, dtype: str, normalise: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.normalise, self.rate = normalise, dropout

        def made(*shape: int) -> minitorch.Parameter:
            return minitorch.Parameter(minitorch.rand(shape, backend=FastBackend, dtype=dtype) - 0.5)

        self.first, self.bias = made(5, 7), made(7)
        self.second = made(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Give scores, ``batch x 3``."""
        hidden = x @ self.first.value + self.bias.value
        if self.normalise:
            hidden = normalisation(hidden)
        return minitorch.dropout(hidden.relu(), self.rate) @ self.second.value


def rows(rng: np.random.Generator, batch: int = 6) -> tuple[Array, Array]:
    return rng.normal(size=(batch, 5)), rng.integers(0, 3, batch)


def classify(model: minitorch.Module, x: Tensor, y: Any) -> Tensor:
    return losses.cross_entropy(model(x), y)


OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "SGD": partial(optim.SGD, lr=0.1),
    "SGD with momentum": partial(optim.SGD, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=1e-2),
    "SGD after Nesterov": partial(optim.SGD, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": partial(optim.Adam, lr=0.01),
    "Adam with amsgrad": partial(optim.Adam, lr=0.01, amsgrad=True, weight_decay=1e-2),
    "AdamW": partial(optim.AdamW, lr=0.01),
    "RMSprop": partial(optim.RMSprop, lr=0.01),
    "RMSprop centred": partial(optim.RMSprop, lr=0.01, momentum=0.9, centered=True),
    "Adadelta": partial(optim.Adadelta, lr=1.0),
}


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES.items())
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_trains_the_same(name: str, dtype: str, tolerance: float) -> None:
    Training(partial(MLP, dtype, dropout=0.3), OPTIMIZERS[name], classify, rows, dtype).agree(tolerance)


def test_every_optimiser_has_a_case() -> None:
    used = {made.func for made in OPTIMIZERS.values()}
    assert {getattr(optim, name) for name in optim.__all__} - {optim.Optimizer} <= used


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 16, 17])
def test_batches_of_every_size_train_the_same(batch: int) -> None:
    """Normalisation needs the whole batch between two regions; dropout draws by the place in the batch."""
    made = partial(MLP, "float64", normalise=batch > 1, dropout=0.3)  # one row, less its mean, is zero
    Training(made, partial(optim.SGD, lr=0.1), classify, partial(rows, batch=batch), "float64").agree(1e-12)


def test_normalisation_in_float32() -> None:
    made = partial(MLP, "float32", normalise=True, dropout=0.3)
    Training(made, partial(optim.SGD, lr=0.1), classify, partial(rows, batch=17), "float32").agree(1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES.items())
def test_layers_as_wide_as_the_batch_with_large_weights(dtype: str, tolerance: float) -> None:
    """Products with such weights take all images at once; gradients with as many rows are no images."""

    def model() -> minitorch.Module:
        wide = [layers.Linear(a, b, backend=FastBackend, dtype=dtype) for a, b in pairwise((64, 1100, 64, 10))]
        return layers.Sequential(wide[0], layers.ReLU(), wide[1], layers.ReLU(), wide[2])

    def batch(rng: np.random.Generator) -> tuple[Array, Array]:
        return rng.normal(size=(64, 64)), rng.integers(0, 10, 64)

    Training(model, partial(optim.SGD, lr=0.1), classify, batch, dtype).agree(tolerance, steps=20)


# Each once, though some take inputs of every kind.
ONCE = {layer.call: layer for layer in reversed(LAYERS)}.values()


class EveryLayer(minitorch.Module):
    """The layers that random networks have for one kind of input, side by side."""

    def __init__(self, kind: str, dtype: str) -> None:
        super().__init__()
        self.layers = [layer for layer in ONCE if layer.takes == kind]
        self.own: list[list[minitorch.Parameter]] = []
        rng = np.random.default_rng(7)
        for layer in self.layers:
            shapes = [(4,), *layer.weights]  # the first one scales the layer's input
            self.own.append([minitorch.Parameter(make(rng.uniform(-0.7, 0.7, s), FastBackend, dtype)) for s in shapes])
            for place, parameter in enumerate(self.own[-1]):
                setattr(self, f"{layer.name}_{place}", parameter)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Add up the squares of what the layers give: one number."""
        total = make(0.0, FastBackend, x.dtype)
        for layer, parameters in zip(self.layers, self.own, strict=True):
            scale, *weights = [p.value for p in parameters]
            out = layer.call(x * scale, Given(labels, 0.7), *weights)
            total = total + (out * out).mean()
        return total


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES.items())
@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_trains_the_same(kind: str, dtype: str, tolerance: float) -> None:
    def batch(rng: np.random.Generator) -> tuple[Array, Array]:
        return rng.normal(size=(5, *KINDS[kind])), rng.integers(0, 4, 5)

    def loss(model: minitorch.Module, x: Tensor, y: Any) -> Tensor:
        return model(x, y)

    Training(partial(EveryLayer, kind, dtype), partial(optim.SGD, lr=0.01), loss, batch, dtype).agree(tolerance)


def test_losses_agree() -> None:
    """All losses in one step, with class numbers, weights, and labels left out."""
    rng = np.random.default_rng(8)
    scores, other = normal(rng, (6, 3)), normal(rng, (6, 3))
    labels, gaps = np.array([0, 2, 1, 1, 0, 2]), np.array([0, 2, -100, 1, 0, -100])

    def step(x: Tensor, y: Tensor, weight: Tensor, labels: Any, gaps: Any, places: Any) -> list[Tensor]:
        likely = minitorch.logsoftmax(x, 1)
        probabilities, targets = x.sigmoid(), y.sigmoid()
        made = [
            losses.nll_loss(likely, labels),
            losses.nll_loss(likely, labels, weight=weight, reduction="sum"),
            losses.nll_loss(likely, gaps),
            losses.nll_loss(likely[0], places[:1, 1].view(())),
            losses.cross_entropy(x, gaps, weight=weight, label_smoothing=0.1),
            losses.cross_entropy(x, labels, label_smoothing=0.1),
            losses.cross_entropy(x, labels, weight=weight, ignore_index=1),
            losses.cross_entropy(x, minitorch.softmax(y, 1)),
            losses.cross_entropy(x.view(2, 3, 3), places, label_smoothing=0.1),
            losses.binary_cross_entropy(probabilities, targets),
            losses.binary_cross_entropy_with_logits(x, targets),
            losses.mse_loss(x, y),
            losses.l1_loss(x, y, reduction="sum"),
            losses.smooth_l1_loss(x, y),
        ]
        total = made[0]
        for k, loss in enumerate(made[1:]):
            total = total + loss * (0.5 + k)
        total.backward()
        return [*made, losses.cross_entropy(x, labels, reduction="none")]

    def run(step: Callable[..., list[Tensor]]) -> list[Array]:
        x, y = (make(a, FastBackend, requires_grad=True) for a in (scores, other))
        weight, places = make([1.0, 2.0, 0.5], FastBackend), make(gaps.reshape(2, 3), FastBackend, "int64")
        results = step(x, y, weight, labels, gaps, places)
        gradients = [x.grad, y.grad]
        return [t.to_numpy() for t in [*results, *gradients] if t is not None]

    compiled, eager = run(minitorch.compile(step)), run(step)
    assert len(compiled) == len(eager) == 17
    for k, (a, b) in enumerate(zip(compiled, eager, strict=True)):
        assert_agree(a, b, 1e-12, f"result {k}")


def test_an_argument_without_a_batch() -> None:
    def step(x: Tensor, scale: Tensor, power: float) -> Tensor:
        return (x * scale).sum(0) * power + scale

    x = make(normal(np.random.default_rng(9), (9, 3)), FastBackend)
    run = minitorch.compile(step)
    for scale in (make(2.5, FastBackend), make([0.5], FastBackend)):
        for power in (1.0, -3.5):
            assert_agree(run(x, scale, power).to_numpy(), step(x, scale, power).to_numpy(), 1e-12)
