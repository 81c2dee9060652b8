"""Compiled training steps of convolutions with strides, beside the same steps in PyTorch and without compiling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minitorch
from minitorch import FastBackend
from minitorch.layers import Conv1d, Conv2d, MaxPool2d
from tests.cases import DTYPES, assert_close

STEPS = 3

# Input channels and size, output channels, then the layer's: kernel, stride, padding, dilation.
LAYERS: list[tuple[tuple[int, ...], int, dict[str, Any]]] = [
    ((3, 12, 12), 5, {"kernel_size": 3, "stride": 2, "padding": 1}),
    ((4, 13, 11), 8, {"kernel_size": 5, "stride": 2, "padding": 2}),
    ((2, 11, 14), 3, {"kernel_size": 3, "stride": 3}),
    ((2, 11, 14), 3, {"kernel_size": (3, 2), "stride": (3, 1), "padding": (0, 1)}),
    ((3, 9, 10), 6, {"kernel_size": 1, "stride": 2}),
    ((2, 15, 13), 5, {"kernel_size": 3, "stride": 2, "padding": 2, "dilation": 2}),
    ((2, 15, 13), 5, {"kernel_size": (2, 3), "stride": (3, 2), "padding": 3, "dilation": (2, 3)}),
    ((3, 17), 7, {"kernel_size": 5, "stride": 2, "padding": 2}),
    ((3, 16), 4, {"kernel_size": 2, "stride": 3}),
]


@pytest.mark.parametrize("pooled", [False, True], ids=["", "pooled"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("image", "channels", "options"), LAYERS, ids=str)
def test_strides(image, channels, options, dtype, pooled):
    flat = len(image) == 2
    # A layer in front, so that the gradient of the strided layer's input is computed too.
    rng = np.random.default_rng(len(image))
    xs = [rng.normal(size=(9, *image)).astype(dtype) for _ in range(STEPS)]
    theirs_first = (torch.nn.Conv1d if flat else torch.nn.Conv2d)(image[0], image[0], 3, padding=1)
    theirs_second = (torch.nn.Conv1d if flat else torch.nn.Conv2d)(image[0], channels, **options)
    theirs = torch.nn.ModuleList([theirs_first, theirs_second]).to(getattr(torch, dtype))
    start = {name: value.detach().numpy().copy() for name, value in theirs.state_dict().items()}

    def train(compiled):
        make = {"dtype": dtype, "backend": FastBackend}
        kind = Conv1d if flat else Conv2d
        first, second = kind(image[0], image[0], 3, padding=1, **make), kind(image[0], channels, **options, **make)
        for k, layer in enumerate((first, second)):
            for name in ("weight", "bias"):
                getattr(layer, name).update(minitorch.tensor(start[f"{k}.{name}"], backend=FastBackend))
        optimizer = minitorch.SGD([*first.parameters(), *second.parameters()], lr=0.1)

        def step(x):
            out = second(first(x).relu()).relu()
            if pooled:
                out = minitorch.max(out, 2) if flat else MaxPool2d(2)(out)
            loss = (out * out).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        run = minitorch.compile(step) if compiled else step
        losses = [run(minitorch.tensor(x, backend=FastBackend)).item() for x in xs]
        return losses, [p.value.to_numpy() for p in (*first.parameters(), *second.parameters())]

    losses, weights = train(compiled=True)
    eager_losses, eager_weights = train(compiled=False)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1)
    their_losses = []
    for x in xs:
        out = theirs[1](theirs[0](torch.from_numpy(x)).relu()).relu()
        if pooled:
            out = out.amax(2) if flat else torch.nn.functional.max_pool2d(out, 2)
        loss = (out * out).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        their_losses.append(loss.item())
    np.testing.assert_allclose(losses, their_losses, rtol=1e-10 if dtype == "float64" else 1e-4)
    np.testing.assert_allclose(losses, eager_losses, rtol=1e-10 if dtype == "float64" else 1e-4)
    for ours, eager, their in zip(weights, eager_weights, theirs.parameters(), strict=True):
        assert_close(ours, eager, dtype)
        assert_close(ours, their.detach().numpy(), dtype)
