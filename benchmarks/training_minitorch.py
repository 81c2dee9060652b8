"""MiniTorch's steps for benchmarks/training.py: eager, or compiled into one program."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "project"))

import run_sentiment as sentiment
from run_mnist_multiclass import Network as LeNet

import minitorch
from benchmarks.worker import Request, Step, serve
from benchmarks.workloads import CLASSES, DROPOUT, EMBEDDING, MAPS, MLP, ODD_CHANNELS, WIDTHS, Weights, Workload, at
from minitorch import FastBackend, Module, Tensor
from minitorch.convolution import Conv2d
from minitorch.io import load_state_dict
from minitorch.layers import Dropout, Flatten, Linear, LogSoftmax, ReLU, Sequential
from minitorch.losses import binary_cross_entropy_with_logits, cross_entropy, nll_loss
from minitorch.pooling import MaxPool2d
from minitorch.tensor_functions import Cat

# --- the networks --------------------------------------------------------------------------------------------


class Kim(Module):
    """The network of project/run_sentiment.py for word vectors as they come, ``batch x 50 x words``; gives logits."""

    def __init__(self, dtype: str) -> None:
        super().__init__()
        for width in WIDTHS:
            setattr(self, f"conv{width}", sentiment.Conv1d(EMBEDDING, MAPS, width, FastBackend, dtype))
        self.dropout = Dropout(DROPOUT)
        self.classify = sentiment.Linear(MAPS * len(WIDTHS), 1, FastBackend, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Give the logit of a positive sentence, ``batch``."""
        batch = x.shape[0]
        features = []
        for width in WIDTHS:
            maps = getattr(self, f"conv{width}")(x).relu()
            features.append(minitorch.max(maps, 2).view(batch, MAPS))
        return self.classify(self.dropout(Cat.apply(*features, 1))).view(batch)


def mlp(dtype: str) -> Sequential:
    """Make linear layers with ReLU between them."""
    layers: OrderedDict[str, Module] = OrderedDict()
    for k in range(1, len(MLP)):
        layers[f"layer{k}"] = Linear(MLP[k - 1], MLP[k], dtype=dtype, backend=FastBackend)
        if k < len(MLP) - 1:
            layers[f"relu{k}"] = ReLU()
    return Sequential(layers)


def cnn(size: int, dtype: str) -> Sequential:
    """Make two convolutions with 2x2 pooling, and two linear layers, for ``batch x 3 x size x size``."""
    layers: OrderedDict[str, Module] = OrderedDict(
        conv1=Conv2d(3, 32, 3, padding="same", dtype=dtype, backend=FastBackend),
        relu1=ReLU(),
        pool1=MaxPool2d(2),
        conv2=Conv2d(32, 64, 3, padding="same", dtype=dtype, backend=FastBackend),
        relu2=ReLU(),
        pool2=MaxPool2d(2),
        flatten=Flatten(),
        hidden=Linear(64 * (size // 4) ** 2, 128, dtype=dtype, backend=FastBackend),
        relu3=ReLU(),
        classify=Linear(128, 10, dtype=dtype, backend=FastBackend),
    )
    return Sequential(layers)


def odd(size: int, dtype: str) -> Sequential:
    """Make LeNet with 5 and 7 channels, for ``batch x 1 x size x size``."""
    make: dict[str, Any] = {"dtype": dtype, "backend": FastBackend}
    first, second = ODD_CHANNELS
    layers: OrderedDict[str, Module] = OrderedDict(
        conv1=Conv2d(1, first, 3, padding="same", **make),
        relu1=ReLU(),
        conv2=Conv2d(first, second, 3, padding="same", **make),
        relu2=ReLU(),
        pool=MaxPool2d(4),
        flatten=Flatten(),
        hidden=Linear(second * (size // 4) ** 2, 64, **make),
        relu3=ReLU(),
        dropout=Dropout(DROPOUT),
        classify=Linear(64, CLASSES, **make),
        likely=LogSoftmax(1),
    )
    return Sequential(layers)


def course_layout(weights: Weights) -> Weights:
    """Rename and turn weights for the layers that the scripts write out: ``in x out``, biases that broadcast."""
    turned: Weights = {}
    for name, array in weights.items():
        layer, _, kind = name.partition(".")
        if kind == "weight":
            turned[f"{layer}.weights"] = array.T if array.ndim == 2 else array
        else:
            # One number for each channel, before the axes that the filter slides along.
            slides = weights[f"{layer}.weight"].ndim - 2
            shape = {0: (-1,), 1: (1, -1, 1), 2: (-1, 1, 1)}[slides]
            turned[name] = array.reshape(shape)
    return turned


def network(workload: Workload, exact: bool, dtype: str) -> Module:
    """Make the workload's network with its weights."""
    weights = workload.weights(dtype)
    if workload.network in ("lenet", "kim"):
        model = LeNet(FastBackend, dtype) if workload.network == "lenet" else Kim(dtype)
        weights = course_layout(weights)
    elif workload.network == "mlp":
        model = mlp(dtype)
    else:
        model = {"odd": odd, "cnn": cnn}[workload.network](workload.size, dtype)
    if exact and hasattr(model, "dropout"):
        model.dropout.p = 0.0
    load_state_dict(model, weights)
    return model


# --- the step ------------------------------------------------------------------------------------------------

LOSSES = {
    "lenet": nll_loss,
    "odd": nll_loss,
    "kim": binary_cross_entropy_with_logits,
    "mlp": cross_entropy,
    "cnn": cross_entropy,
}


Run = Callable[[Tensor, Tensor], Tensor]


def build(request: Request) -> Step:
    """Make a step."""
    minitorch.manual_seed(0)
    workload = request.workload
    model = network(workload, request.exact, request.dtype)
    prepare: Callable[[Run], Run] = minitorch.compile if request.mode == "compiled" else lambda run: run
    data = tensors(workload, request.dtype)
    if not workload.training:
        infer = prepare(inference_step(workload, model))
        return lambda number: float(infer(*data[number % len(data)]).to_numpy()[0, 0])

    train = prepare(training_step(workload, model))
    if not request.evaluated:
        return lambda number: train(*data[number % len(data)]).item()

    held_out = tensors(at(workload, {"batch": request.evaluated}), request.dtype)[0]
    evaluate = prepare(inference_step(workload, model))

    def train_and_evaluate(number: int) -> float:
        model.train()
        loss = train(*data[number % len(data)]).item()
        model.eval()
        evaluate(*held_out).to_numpy()
        return loss

    return train_and_evaluate


def tensors(workload: Workload, dtype: str) -> list[tuple[Tensor, Tensor]]:
    """Make the batches that steps go round."""
    return [
        (minitorch.tensor(x, backend=FastBackend), minitorch.tensor(y, backend=FastBackend))
        for x, y in workload.batches(dtype)
    ]


def training_step(workload: Workload, model: Module) -> Run:
    """Make a function that learns from a batch, and gives the loss."""
    optimizers = {"sgd": minitorch.SGD, "adam": minitorch.Adam}
    optimizer = optimizers[workload.optimizer](model.parameters(), lr=workload.lr)
    compute_loss = LOSSES[workload.network]

    def step(x: Tensor, y: Tensor) -> Tensor:
        loss = compute_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def inference_step(workload: Workload, model: Module) -> Run:
    """Make a function that gives what the network says of a batch."""
    model.eval()

    def step(x: Tensor, y: Tensor) -> Tensor:
        with minitorch.no_grad():
            return model(x)

    return step


if __name__ == "__main__":
    serve(build)
