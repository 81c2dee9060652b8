"""Normalisation beside PyTorch's: values, gradients, running averages, and state dicts in both directions."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from torch import nn

from minitorch import layers
from minitorch.io import load_state_dict, state_dict
from tests.cases import BACKENDS, DTYPES, assert_close, make

from .torch_cases import compare

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


def pair(name, arguments, backend, dtype):
    """Make a layer on each side, with the same random parameters and averages."""
    ours = getattr(layers, name)(**arguments, dtype=dtype, backend=backend)
    theirs = getattr(nn, name)(**arguments, dtype=getattr(torch, dtype))
    rng = np.random.default_rng(3)
    state = {
        key: torch.tensor(rng.uniform(0.5, 2.0, value.shape), dtype=value.dtype)
        if value.dim()
        else torch.tensor(4)  # num_batches_tracked
        for key, value in theirs.state_dict().items()
    }
    theirs.load_state_dict(state)
    load_state_dict(ours, {key: value.numpy() for key, value in state.items()})
    return ours, theirs


def compare_layers(ours, theirs, array, backend, dtype, layout="contiguous"):
    """Compare values and gradients, also those of parameters, and what is kept."""
    for p, their_p in zip(ours.parameters(), theirs.parameters(), strict=True):
        p.value.grad, their_p.grad = None, None
    compare(ours, theirs, [array], backend, dtype, layout)
    for p, their_p in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(p.value.grad.to_numpy(), their_p.grad.numpy(), dtype)
    compare_states(ours, theirs, dtype)


def compare_states(ours, theirs, dtype):
    found, expected = state_dict(ours), theirs.state_dict()
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.numpy().dtype
        assert_close(found[name], value.numpy(), dtype)


@both_backends
@both_dtypes
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"momentum": None},
        {"momentum": 0.3, "eps": 0.1},
        {"affine": False},
        {"track_running_stats": False},
        {"affine": False, "track_running_stats": False},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("BatchNorm1d", (5, 3)),
        ("BatchNorm1d", (2, 3)),
        ("BatchNorm1d", (4, 3, 7)),
        ("BatchNorm1d", (1, 3, 2)),
        ("BatchNorm2d", (2, 3, 4, 5)),
        ("BatchNorm2d", (1, 3, 1, 2)),
    ],
)
def test_batch_norm(name, shape, arguments, dtype, backend):
    """Three batches in training, one in evaluation, and one more in training."""
    ours, theirs = pair(name, {"num_features": 3, **arguments}, backend, dtype)
    rng = np.random.default_rng(1)
    for training in (True, True, True, False, True):
        for side in (ours, theirs):
            side.train() if training else side.eval()
        compare_layers(ours, theirs, rng.normal(2.0, 3.0, size=shape), backend, dtype, "permuted")


@both_dtypes
def test_many_batches_of_every_size(dtype):
    """Averages over all batches alike, which divide by their number."""
    backend = BACKENDS["fast"]
    ours, theirs = pair("BatchNorm1d", {"num_features": 2, "momentum": None}, backend, dtype)
    rng = np.random.default_rng(2)
    for size in (2, 3, 16, 17, 64, 5):
        compare_layers(ours, theirs, rng.normal(size=(size, 2)), backend, dtype)
    assert ours.num_batches_tracked.value.item() == 10


@both_backends
@both_dtypes
@pytest.mark.parametrize(
    "arguments",
    [{}, {"eps": 0.1}, {"bias": False}, {"elementwise_affine": False}],
    ids=lambda arguments: str(arguments),
)
@pytest.mark.parametrize(
    ("normalized_shape", "shape"),
    [
        (4, (3, 4)),
        (4, (4,)),
        ([4], (2, 3, 4)),
        ([3, 4], (2, 3, 4)),
        ((1,), (2, 1)),
        ([2, 3, 4], (2, 3, 4)),
        (4, (0, 4)),
    ],
    ids=str,
)
def test_layer_norm(normalized_shape, shape, arguments, dtype, backend):
    ours, theirs = pair("LayerNorm", {"normalized_shape": normalized_shape, **arguments}, backend, dtype)
    compare_layers(ours, theirs, np.random.default_rng(1).normal(2.0, 3.0, size=shape), backend, dtype, "permuted")


@pytest.mark.parametrize("name", ["BatchNorm1d", "BatchNorm2d", "LayerNorm"])
def test_arguments_and_what_a_new_layer_holds_are_theirs(name):
    mine, other = (inspect.signature(getattr(m, name)).parameters.values() for m in (layers, nn))
    assert [(p.name, p.default) for p in mine if p.name != "backend"] == [
        (p.name, p.default) for p in other if p.name not in ("device", "bias" if name != "LayerNorm" else "")
    ]
    compare_states(getattr(layers, name)(3), getattr(nn, name)(3, dtype=torch.float64), "float64")


def test_a_network_of_theirs_with_averages_runs_here():
    def network(m, **more):
        return m.Sequential(
            m.Conv2d(1, 4, 3, **more), m.BatchNorm2d(4, **more), m.ReLU(), m.Flatten(), m.Linear(4 * 4, 2, **more)
        )

    backend = BACKENDS["fast"]
    theirs = network(nn, dtype=torch.float64)
    rng = np.random.default_rng(4)
    for _ in range(3):
        theirs(torch.tensor(rng.normal(size=(5, 1, 4, 4))))
    ours = network(layers, backend=backend)
    load_state_dict(ours, {name: x.numpy() for name, x in theirs.state_dict().items()})
    ours.eval(), theirs.eval()
    x = rng.normal(size=(2, 1, 4, 4))
    assert_close(ours(make(x, backend)).to_numpy(), theirs(torch.tensor(x)).detach().numpy())
    theirs.load_state_dict({name: torch.tensor(array) for name, array in state_dict(ours).items()})
    compare_states(ours, theirs, "float64")
