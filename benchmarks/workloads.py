"""The training steps that benchmarks/training.py measures: networks, sizes, weights, data and arithmetic.

Only NumPy is needed here, so that every framework reads the same numbers in a process that knows nothing of the
others. Weights have PyTorch's names and layouts: ``out x in`` for a linear layer, ``out x in x height x width`` for a
convolution.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Weights = dict[str, Array]

CLASSES = 10
ODD_CHANNELS = (5, 7)  # of a LeNet that no vector and no window divides
DROPOUT = 0.25  # of LeNet and of Kim's network
WORDS, EMBEDDING, MAPS = 52, 50, 100  # of Kim's network
WIDTHS = (3, 4, 5)  # of its filters, in words
MLP = (784, 256, 128, 64, CLASSES)

# Steps go round these batches. The labels are random: the arithmetic of a step does not depend on them.
BATCHES = 8


@dataclass(frozen=True)
class Layer:
    """One product with a weight.

    Attributes:
        name: of the layer; its parameters are ``name.weight`` and ``name.bias``.
        shape: of the weight.
        positions: how often each example multiplies by the whole weight.
        first: whether the input is data, which needs no gradient.
        passed: how many positions of each example get a gradient through the maxima behind them; all when None.
    """

    name: str
    shape: tuple[int, ...]
    positions: int = 1
    first: bool = False
    passed: int | None = None

    def products(self) -> int:
        """Count the multiplications of a forward pass for an example, without the zeros beyond one end of each axis."""
        out, inputs, *window = self.shape
        length = round(self.positions ** (1 / len(window))) if window else 1
        return out * inputs * math.prod(width * length - width * (width - 1) // 2 for width in window)


@dataclass(frozen=True)
class Workload:
    """A network with everything that decides how long its step takes.

    Attributes:
        name: what it is called in results.
        network: ``lenet``, ``odd``, ``kim``, ``mlp`` or ``cnn``.
        batch: examples a step.
        optimizer: ``sgd`` or ``adam``; empty for inference, which has no update.
        lr: the learning rate.
        examples: in an epoch of the data that the network is for.
        size: height and width of an image, where the network takes more than one.
        torch_ms: PyTorch's best time for a step on the machine that the aims are from, in milliseconds.
        floor: how many times faster than the best peer a compiled step must be at least.
        aim: how many times faster it is meant to be.
    """

    name: str
    network: str
    batch: int
    optimizer: str
    lr: float
    examples: int
    size: int = 32
    torch_ms: float | None = None
    floor: float | None = None
    aim: float | None = None

    @property
    def training(self) -> bool:
        """Whether a step learns."""
        return bool(self.optimizer)

    @property
    def key(self) -> str:
        """A name that no other workload has."""
        return f"{self.name}-{self.batch}" if self.training else f"{self.name}-inference-{self.batch}"

    def steps_per_epoch(self) -> int:
        """Count the steps that see every example once."""
        return math.ceil(self.examples / self.batch)

    def input_shape(self) -> tuple[int, ...]:
        """Give the shape of a batch."""
        shapes = {
            "lenet": (1, 28, 28),
            "odd": (1, self.size, self.size),
            "kim": (EMBEDDING, WORDS),
            "mlp": (MLP[0],),
            "cnn": (3, self.size, self.size),
        }
        return (self.batch, *shapes[self.network])

    def layers(self) -> list[Layer]:
        """List the products of a forward pass."""
        if self.network == "lenet":
            return [
                Layer("conv1", (4, 1, 3, 3), 28 * 28, first=True),
                Layer("conv2", (8, 4, 3, 3), 28 * 28, passed=7 * 7),
                Layer("hidden", (64, 392)),
                Layer("classify", (CLASSES, 64)),
            ]
        if self.network == "odd":
            first, second = ODD_CHANNELS
            return [
                Layer("conv1", (first, 1, 3, 3), self.size**2, first=True),
                Layer("conv2", (second, first, 3, 3), self.size**2, passed=(self.size // 4) ** 2),
                Layer("hidden", (64, second * (self.size // 4) ** 2)),
                Layer("classify", (CLASSES, 64)),
            ]
        if self.network == "kim":
            filters = [Layer(f"conv{width}", (MAPS, EMBEDDING, width), WORDS, True, passed=1) for width in WIDTHS]
            return [*filters, Layer("classify", (1, MAPS * len(WIDTHS)))]
        if self.network == "mlp":
            sizes = zip(MLP[1:], MLP[:-1], strict=True)
            return [Layer(f"layer{k}", shape, first=k == 1) for k, shape in enumerate(sizes, start=1)]
        assert self.network == "cnn", self.network
        half, quarter = self.size // 2, self.size // 4
        return [
            Layer("conv1", (32, 3, 3, 3), self.size**2, first=True, passed=half**2),
            Layer("conv2", (64, 32, 3, 3), half**2, passed=quarter**2),
            Layer("hidden", (128, 64 * quarter**2)),
            Layer("classify", (CLASSES, 128)),
        ]

    def flops(self) -> int:
        """Count the multiplications and additions of a step's products, zeros beyond the edges included.

        A backward pass multiplies twice by each weight: for its own gradient, and for its input's unless that is data.
        """
        total = 0
        for layer in self.layers():
            passes = (2 if layer.first else 3) if self.training else 1
            total += 2 * math.prod(layer.shape) * layer.positions * passes
        return total * self.batch

    def least_flops(self) -> int:
        """Count those that remain without zeros beyond the edges, and without gradients that a maximum holds back."""
        total = 0
        for layer in self.layers():
            passes = (1 if layer.first else 2) if self.training else 0
            passed = layer.positions if layer.passed is None else layer.passed
            total += 2 * (layer.products() + passes * layer.products() * passed // layer.positions)
        return total * self.batch

    def weights(self, dtype: str = "float32") -> Weights:
        """Draw the weights that every framework begins with, uniform within one over the root of the inputs."""
        rng = np.random.default_rng(1)
        drawn: Weights = {}
        for layer in self.layers():
            bound = math.prod(layer.shape[1:]) ** -0.5
            drawn[f"{layer.name}.weight"] = rng.uniform(-bound, bound, layer.shape).astype(np.float32).astype(dtype)
            drawn[f"{layer.name}.bias"] = rng.uniform(-bound, bound, layer.shape[0]).astype(np.float32).astype(dtype)
        return drawn

    def batches(self, dtype: str = "float32") -> list[tuple[Array, Array]]:
        """Draw inputs and labels: classes, or for Kim's network 0.0 and 1.0."""
        rng = np.random.default_rng(2)
        drawn = []
        for _ in range(BATCHES):
            x = rng.standard_normal(self.input_shape(), dtype=np.float32).astype(dtype)
            if self.network == "kim":
                y = rng.integers(0, 2, self.batch).astype(dtype)
            else:
                y = rng.integers(0, CLASSES, self.batch)
            drawn.append((x, y))
        return drawn


def at(workload: Workload, values: Mapping[str, Any]) -> Workload:
    """Give the workload with another batch or image size, for which there is no figure to compare with."""
    return replace(workload, torch_ms=None, floor=None, aim=None, **values)


WORKLOADS = (
    Workload("lenet-mnist", "lenet", 16, "sgd", 0.01, 5_000, torch_ms=1.97, floor=6, aim=10),
    Workload("lenet-mnist", "lenet", 128, "sgd", 0.01, 5_000, torch_ms=13.8, floor=5, aim=8),
    Workload("kim-sst2", "kim", 10, "sgd", 0.01, 450, torch_ms=3.1, floor=5, aim=8),
    Workload("kim-sst2", "kim", 50, "sgd", 0.01, 67_349, torch_ms=9.1, floor=3.5, aim=5),
    Workload("mlp-fashion", "mlp", 64, "adam", 1e-3, 60_000, torch_ms=1.0, floor=1.3, aim=2),
    Workload("cnn-cifar", "cnn", 64, "adam", 1e-3, 50_000, torch_ms=22.0, floor=1.0, aim=1.5),
    Workload("lenet-mnist", "lenet", 1, "", 0.0, 500, torch_ms=0.092, floor=3, aim=6),
)

# LeNet in sizes that nothing divides. Its GFLOP/s stand beside those of LeNet itself, so that peers run it only when
# it is asked for.
MORE_WORKLOADS = (
    Workload("lenet-odd", "odd", 16, "sgd", 0.01, 5_000, size=27),
    Workload("lenet-odd", "odd", 128, "sgd", 0.01, 5_000, size=27),
)
