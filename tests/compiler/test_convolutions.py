"""Kernels that only programs use, beside loops in Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minitorch.compiler.emit import emit
from minitorch.compiler.fuse import fuse
from minitorch.compiler.graph import Graph, Node, Ref
from minitorch.compiler.grouping import group_kernels
from minitorch.compiler.machine import Machine
from minitorch.compiler.split import split
from minitorch.kernels.geometry import Geometry

from .test_machine import run


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


STRIDED = """
import hashlib
import numpy as np
import minitorch
from minitorch.layers import Conv2d, MaxPool2d, ReLU, Sequential

minitorch.manual_seed(0)
make = {"dtype": "float32", "backend": minitorch.FastBackend}
layers = Conv2d(3, 8, 5, stride=2, padding=2, **make), ReLU(), Conv2d(8, 12, 3, stride=3, **make), MaxPool2d(2)
model = Sequential(*layers)
optimizer = minitorch.SGD(model.parameters(), lr=0.1)

@minitorch.compile
def step(x):
    loss = (model(x) * model(x)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss

images = np.random.default_rng(0).normal(size=(64, 3, 41, 38)).astype("float32")
losses = [step(minitorch.tensor(images, backend=minitorch.FastBackend)).to_numpy() for _ in range(2)]
found = hashlib.sha256()
for array in (*losses, *(p.value.to_numpy() for p in model.parameters())):
    found.update(array.tobytes())
print("parallel" if "prange" in step.source else "", found.hexdigest())
"""


def test_the_bits_of_strided_convolutions_do_not_depend_on_threads(tmp_path: Path) -> None:
    found = set()
    for threads in (1, 2, 3, 4):
        settings = {"NUMBA_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
        environment = os.environ | settings | {"MINITORCH_CACHE": str(tmp_path)}
        command = [sys.executable, "-c", STRIDED]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1
    assert found.pop().startswith("parallel ")
