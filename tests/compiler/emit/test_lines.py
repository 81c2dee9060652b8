"""Kernels of programs for convolutions over lines, beside loops in Python and the eager step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch import FastBackend
from minitorch.compiler.emit.emit import emit
from minitorch.compiler.emit.grouping import group_kernels
from minitorch.compiler.graph import Graph, Node, Ref
from minitorch.compiler.passes.fuse import fuse
from minitorch.compiler.passes.split import split
from minitorch.compiler.run.machine import Machine
from minitorch.kernels.geometry import Geometry
from minitorch.module import Parameter
from minitorch.tensor import Tensor

from ..run.test_machine import run


def gradient(x: Any, values: Any, places: Any, taps: int, start: int, dilation: int) -> Any:
    batch, in_channels, width = x.shape
    out = np.zeros((values.shape[1], in_channels, taps), x.dtype)
    for b in range(batch):
        for o in range(values.shape[1]):
            for tap in range(taps):
                at = places[b, o, 0] + start + tap * dilation
                if 0 <= at < width:
                    out[o, :, tap] += values[b, o, 0] * x[b, :, at]
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("batch", "channels", "width", "out", "taps", "start", "dilation"),
    [
        (1, 1, 1, 1, 1, 0, 1),
        (3, 5, 9, 7, 3, 0, 1),
        (16, 4, 12, 9, 4, -2, 1),
        (2, 3, 7, 5, 3, -1, 2),
        (2, 3, 7, 5, 2, 3, -2),
    ],
)
def test_the_gradient_of_a_weight_from_one_value_a_line(
    batch: int, channels: int, width: int, out: int, taps: int, start: int, dilation: int, dtype: type
) -> None:
    rng = np.random.default_rng(width)
    arrays = [
        rng.normal(size=(batch, channels, width)).astype(dtype),
        rng.normal(size=(batch, out, 1)).astype(dtype),
        rng.integers(0, width, (batch, out, 1)),
    ]
    graph = Graph()
    x, values, places = (
        graph.add("input", (), (k, "argument"), array.shape, array.dtype) for k, array in enumerate(arrays)
    )
    by_word = Ref(x, (batch, width, channels), (channels * width, channels, 1))
    args = (Geometry(width, offset=start, dilation=dilation),)
    operands = (by_word, values.ref(), places.ref())
    node = graph.add("conv_line_weight", operands, args, (out, channels, taps), np.dtype(dtype))
    graph.outputs = [node.ref()]
    schedule = split(graph, batch)
    machine = Machine(emit(group_kernels(schedule)))
    turned = np.ascontiguousarray(arrays[0].transpose(0, 2, 1))
    (got,) = run(machine, [turned.reshape(arrays[0].shape), *arrays[1:]])
    wanted = gradient(*arrays, taps, start, dilation)
    np.testing.assert_allclose(got, wanted, rtol=0, atol=50 * np.finfo(dtype).eps)


def test_convolutions_below_a_maximum_over_a_line_share_their_images() -> None:
    graph = Graph()
    x = graph.add("input", (), (0, "argument"), (4, 5, 9), np.dtype(float))
    gradients: list[Node] = []
    for k, taps in enumerate((2, 3)):
        values = graph.add("input", (), (1 + k, "argument"), (4, 7, 1), np.dtype(float))
        places = graph.add("input", (), (3 + k, "argument"), (4, 7, 1), np.dtype(np.int64))
        d = graph.add("put", (values.ref(), places.ref()), ((4, 7, 9),), (4, 7, 9), np.dtype(float))
        args = ((taps,), (Geometry(9),))
        gradients.append(graph.add("conv_weight", (x.ref(), d.ref()), args, (7, 5, taps), np.dtype(float)))
    graph.outputs = [node.ref() for node in gradients]
    fused = fuse(graph)
    assert [node.op for node in fused if node.op not in ("input", "number")] == ["map", *["conv_line_weight"] * 2]


# --- the maximum -----------------------------------------------------------------------------------------------------


class Lines:
    """Convolutions of two widths over the same lines, of which the maxima count, as in a network over sentences."""

    def __init__(self, channels: int, out: int, dtype: str, bias: bool = True) -> None:
        rng = np.random.default_rng(channels)
        self.weights = [
            Parameter(minitorch.tensor(rng.normal(size=(out, channels, taps)), backend=FastBackend, dtype=dtype))
            for taps in (3, 5)
        ]
        self.biases = [
            Parameter(minitorch.tensor(rng.normal(size=out), backend=FastBackend, dtype=dtype)) if bias else None
            for _ in self.weights
        ]

    def parameters(self) -> list[Parameter]:
        return self.weights + [bias for bias in self.biases if bias is not None]

    def __call__(self, x: Tensor, padding: int | str, relu: bool) -> Tensor:
        maxima = []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            y = minitorch.convolution.conv1d(x, weight.value, None if bias is None else bias.value, padding=padding)
            maxima.append(minitorch.max(y.relu() if relu else y, 2))
        return minitorch.cat(maxima, 1)


@pytest.mark.parametrize("padding", [0, 1, "same"])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("batch", [1, 3, 10, 33])
def test_a_step_over_lines_is_that_of_the_eager_one(batch: int, bias: bool, relu: bool, padding: int | str) -> None:
    model = Lines(12, 20, "float32", bias)
    data = np.random.default_rng(batch).normal(size=(batch, 12, 29)).astype(np.float32)

    def step(x: Tensor) -> list[Tensor]:
        y = model(x, padding, relu)
        (y * y).mean().backward()
        return [y.detach(), x.grad, *(p.value.grad for p in model.parameters())]

    def results(run: Any) -> list[Any]:
        for p in model.parameters():
            p.value.grad = None
        x = minitorch.tensor(data, backend=FastBackend, requires_grad=True)
        return [t.to_numpy() for t in run(x)]

    compiled = minitorch.compile(step)
    wanted, found = results(step), results(compiled)
    assert "conv_line(" in str(compiled.passes["fuse"])
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * max(1.0, abs(b).max()))


def test_inference_over_lines_lays_them_out_once() -> None:
    model = Lines(8, 16, "float32")
    infer = minitorch.compile(lambda x: model(x, 0, True))
    x = minitorch.rand((4, 8, 40), backend=FastBackend, dtype="float32")
    np.testing.assert_allclose(infer(x).to_numpy(), model(x, 0, True).to_numpy(), atol=1e-5)
    ops = [node.op for node in infer.passes["fuse"] if node.op not in ("input", "constant", "number")]
    assert sorted(ops) == ["cat", "conv_line", "conv_line", "map"]


def test_equal_lines_have_equal_maxima_wherever_they_stand() -> None:
    """The bits of a line do not depend on the others of its batch."""
    model = Lines(50, 100, "float32")
    infer = minitorch.compile(lambda x: model(x, 0, True))
    line = np.random.default_rng(0).normal(size=(1, 50, 52)).astype(np.float32)
    found = infer(minitorch.tensor(np.repeat(line, 37, 0), backend=FastBackend)).to_numpy()
    np.testing.assert_array_equal(found, np.repeat(found[:1], 37, 0))
    alone = infer(minitorch.tensor(line, backend=FastBackend)).to_numpy()
    np.testing.assert_array_equal(alone, found[:1])


def test_lines_that_lie_place_by_place_are_not_copied() -> None:
    model = Lines(8, 16, "float32")
    infer = minitorch.compile(lambda words: model(words.permute(0, 2, 1), 0, True))
    words = minitorch.rand((4, 40, 8), backend=FastBackend, dtype="float32")
    np.testing.assert_allclose(infer(words).to_numpy(), model(words.permute(0, 2, 1), 0, True).to_numpy(), atol=1e-5)
    assert "map" not in [node.op for node in infer.passes["fuse"]]


def test_a_turned_weight_serves_two_convolutions_and_is_replaced_between_two_more() -> None:
    rng = np.random.default_rng(3)
    turned = minitorch.tensor(rng.normal(size=(3, 32, 12)), backend=FastBackend, dtype="float32")
    bias = minitorch.tensor(rng.normal(size=32), backend=FastBackend, dtype="float32")
    weight = Parameter(minitorch.tensor(rng.normal(size=(32, 12, 3)), backend=FastBackend, dtype="float32"))
    optimizer = minitorch.SGD([weight], lr=0.1)
    conv = minitorch.convolution.conv1d

    def step(x: Tensor) -> list[Tensor]:
        other = turned.permute(1, 2, 0)
        maxima = [minitorch.max(conv(x, other), 2), minitorch.max(conv(x, other, bias, padding=1).relu(), 2)]
        before = minitorch.max(conv(x, weight.value), 2)
        optimizer.zero_grad()
        before.sum().backward()
        optimizer.step()
        return [*maxima, before.detach(), minitorch.max(conv(x, weight.value), 2).detach()]

    x = minitorch.tensor(rng.normal(size=(9, 12, 29)), backend=FastBackend, dtype="float32")
    start = weight.value.to_numpy().copy()
    compiled = minitorch.compile(step)
    runs = []
    for runner in (step, compiled):
        weight.update(minitorch.tensor(start, backend=FastBackend, requires_grad=True))
        runs.append([[t.to_numpy() for t in runner(x)] for _ in range(3)])
    assert str(compiled.passes["fuse"]).count("conv_line(") == 4
    for wanted, found in zip(*runs, strict=True):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=3e-5)
