"""Layers and their initialisation beside PyTorch's."""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from minitorch import Parameter, init, layers
from minitorch.io import load_state_dict, state_dict
from minitorch.random import manual_seed
from tests.cases import BACKENDS, DTYPES, assert_close, make

from .torch_cases import compare

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


@both_backends
@both_dtypes
@pytest.mark.parametrize(
    "make_layer",
    [
        lambda m: m.ReLU(),
        lambda m: m.LeakyReLU(),
        lambda m: m.LeakyReLU(0.3),
        lambda m: m.GELU(),
        lambda m: m.GELU("tanh") if m is layers else m.GELU(approximate="tanh"),
        lambda m: m.Sigmoid(),
        lambda m: m.Tanh(),
        lambda m: m.Softmax(1),
        lambda m: m.Softmax(-1),
        lambda m: m.LogSoftmax(0),
        lambda m: m.Identity(),
        lambda m: m.Flatten(),
        lambda m: m.Flatten(0),
        lambda m: m.Flatten(-2),
        lambda m: m.Flatten(1, 2),
        lambda m: m.Flatten(3, 3),
        lambda m: m.Reshape(3, -1) if m is layers else nn.Sequential(nn.Flatten(), nn.Unflatten(1, (3, 8))),
        lambda m: m.Reshape((2, 4, 3)) if m is layers else nn.Sequential(nn.Flatten(), nn.Unflatten(1, (2, 4, 3))),
        lambda m: m.ReLU(inplace=False),
        lambda m: m.Dropout(0.5, inplace=False).eval(),
    ],
)
def test_layers_without_parameters(make_layer, dtype, backend):
    array = np.random.default_rng(1).normal(size=(2, 3, 4, 2)) * 3
    array[0, 0] = 0.0  # where some of them have a kink
    compare(make_layer(layers), make_layer(nn), [array], backend, dtype)


@both_dtypes
def test_activations_far_out(dtype):
    array = np.array([-1e4, -100.0, -30.0, 30.0, 100.0, 1e4])
    for name in ("ReLU", "LeakyReLU", "GELU", "Sigmoid", "Tanh"):
        compare(getattr(layers, name)(), getattr(nn, name)(), [array], BACKENDS["fast"], dtype)


@both_backends
@both_dtypes
def test_tanh_keeps_its_digits_near_zero(dtype, backend):
    x = np.array([0.0, 1e-30, -1e-9, 1e-5, -1e-3, 0.1, -1.0], dtype)
    found = layers.Tanh()(make(x, backend, dtype)).to_numpy()
    tolerance = 4 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(found, torch.tanh(torch.tensor(x)).numpy(), rtol=tolerance, atol=0)


@both_backends
@both_dtypes
@pytest.mark.parametrize("slope", [0.01, 0.0, 0.5])
def test_leaky_relu_of_infinities(slope, dtype, backend):
    compare(layers.LeakyReLU(slope), nn.LeakyReLU(slope), [np.array([np.inf, -np.inf, 0.0, 2.0])], backend, dtype)
    nan = layers.LeakyReLU(slope)(make([np.nan], backend, dtype))
    assert np.isnan(nan.item())


@both_backends
@both_dtypes
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 4), (4,), (2, 3, 4), (1, 4), (0, 4), (2, 1, 3, 4)], ids=str)
def test_linear(shape, bias, dtype, backend):
    ours = layers.Linear(4, 3, bias, dtype, backend)
    theirs = nn.Linear(4, 3, bias, dtype=getattr(torch, dtype))
    theirs.load_state_dict({name: torch.tensor(x) for name, x in state_dict(ours).items()})
    compare(ours, theirs, [np.random.default_rng(2).normal(size=shape)], backend, dtype)
    for name, p in ours.named_parameters():
        assert_close(p.value.grad.to_numpy(), theirs.get_parameter(name).grad.numpy(), dtype)


@both_backends
@both_dtypes
@pytest.mark.parametrize("padding_idx", [None, 0, -2])
def test_embedding(padding_idx, dtype, backend):
    rows = np.array([[0, 4, 3], [3, 3, 0]])
    ours = layers.Embedding(5, 4, padding_idx, dtype=dtype, backend=backend)
    theirs = nn.Embedding(5, 4, padding_idx, dtype=getattr(torch, dtype))
    assert ours.padding_idx == theirs.padding_idx
    load_state_dict(ours, {name: x.detach().numpy() for name, x in theirs.state_dict().items()})
    out, expected = ours(make(rows, backend, "int64")), theirs(torch.tensor(rows))
    upstream = np.random.default_rng(0).normal(size=out.shape).astype(dtype)
    out.backward(make(upstream, backend, dtype))
    expected.backward(torch.tensor(upstream))
    assert_close(out.to_numpy(), expected.detach().numpy(), dtype)
    assert_close(ours.weight.value.grad.to_numpy(), theirs.weight.grad.numpy(), dtype)
    table = np.random.default_rng(1).normal(size=(5, 4))
    ours = layers.Embedding.from_pretrained(make(table, backend), padding_idx=padding_idx)
    theirs = nn.Embedding.from_pretrained(torch.tensor(table), padding_idx=padding_idx)
    assert_close(ours(make(rows, backend, "int64")).to_numpy(), theirs(torch.tensor(rows)).numpy())


@pytest.mark.parametrize("named", [False, True])
def test_a_state_dict_of_theirs_fits_a_network_of_ours(named):
    def network(m, **more):
        parts = [m.Flatten(), m.Linear(12, 8, **more), m.Tanh(), m.Sequential(m.Linear(8, 3, **more), m.LogSoftmax(1))]
        names = ["flat", "hidden", "squash", "end"]
        return m.Sequential(OrderedDict(zip(names, parts, strict=True))) if named else m.Sequential(*parts)

    backend = BACKENDS["fast"]
    theirs = network(nn, dtype=torch.float64)
    ours = network(layers, backend=backend)
    load_state_dict(ours, {name: x.detach().numpy() for name, x in theirs.state_dict().items()})
    assert [name for name, _ in ours.named_parameters()] == list(theirs.state_dict())
    compare(ours, theirs, [np.random.default_rng(3).normal(size=(5, 3, 4))], backend, "float64")
    compare(ours[1:3], theirs[1:3], [np.random.default_rng(3).normal(size=(5, 12))], backend, "float64")
    assert [name for name, _ in ours[1:].named_parameters()] == list(theirs[1:].state_dict())


# --- what they print -----------------------------------------------------------------------------------------

PRINTED = [
    lambda m: m.Linear(3, 2),
    lambda m: m.Linear(3, 2, bias=False),
    lambda m: m.Identity(),
    lambda m: m.Flatten(),
    lambda m: m.Flatten(0, 1),
    lambda m: m.Dropout(),
    lambda m: m.Dropout(0.25, inplace=True),
    lambda m: m.Embedding(5, 4),
    lambda m: m.Embedding(5, 4, padding_idx=-1),
    lambda m: m.ReLU(),
    lambda m: m.ReLU(inplace=True),
    lambda m: m.LeakyReLU(),
    lambda m: m.LeakyReLU(0.2, True),
    lambda m: m.GELU(),
    lambda m: m.GELU("tanh") if m is layers else m.GELU(approximate="tanh"),
    lambda m: m.Sigmoid(),
    lambda m: m.Tanh(),
    lambda m: m.Softmax(dim=1),
    lambda m: m.LogSoftmax(dim=-1),
    lambda m: m.Conv1d(2, 4, 3),
    lambda m: m.Conv1d(2, 4, 3, padding="same", bias=False),
    lambda m: m.Conv2d(1, 32, 3, 1),
    lambda m: m.Conv2d(2, 4, (3, 1), stride=2, padding=1, dilation=(2, 1), groups=2),
    lambda m: m.MaxPool1d(2),
    lambda m: m.MaxPool2d(2),
    lambda m: m.MaxPool2d((2, 3), stride=1, padding=1, ceil_mode=True),
    lambda m: m.AvgPool2d(2),
    lambda m: m.AvgPool2d(3, (2, 1), 1),
    lambda m: m.BatchNorm1d(4),
    lambda m: m.BatchNorm2d(4, eps=1e-3, momentum=None, affine=False, track_running_stats=False),
    lambda m: m.LayerNorm(4),
    lambda m: m.LayerNorm([3, 4], elementwise_affine=False),
    lambda m: m.Sequential(m.Flatten(), m.Sequential(OrderedDict(fc=m.Linear(2, 1), softmax=m.Softmax(dim=1)))),
    lambda m: m.ModuleList([m.ReLU(), m.Linear(2, 1)]),
    lambda m: m.Sequential(),
]


@pytest.mark.parametrize("make_layer", PRINTED)
def test_settings_are_printed(make_layer):
    assert repr(make_layer(layers)) == repr(make_layer(nn))


def test_functions_are_applied_in_the_same_order():
    def network(m):
        return m.Sequential(m.Linear(2, 3), m.Sequential(m.ReLU(), m.Linear(3, 1)), m.Tanh())

    seen = []
    for m in (layers, nn):
        names = []
        model = network(m)
        assert model.apply(lambda module, names=names: names.append(type(module).__name__)) is model
        seen.append((names, [type(module).__name__ for module in model.children()]))
    assert seen[0] == seen[1]


# --- where they begin ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["linear", "conv1d", "conv2d", "sigmoid", "tanh", "relu", "selu", "leaky_relu"])
def test_gains(name):
    assert init.calculate_gain(name) == pytest.approx(nn.init.calculate_gain(name), rel=1e-15)
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(nn.init.calculate_gain("leaky_relu", 0.3))


@pytest.mark.parametrize("shape", [(200, 300), (40, 30, 7), (30, 20, 5, 3)], ids=str)
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("uniform", {"a": -2.0, "b": 0.5}),
        ("normal", {"mean": 0.3, "std": 0.2}),
        ("constant", {"val": 0.7}),
        ("zeros", {}),
        ("ones", {}),
        ("xavier_uniform", {}),
        ("xavier_uniform", {"gain": 3.0}),
        ("xavier_normal", {"gain": 3.0}),
        ("kaiming_uniform", {}),
        ("kaiming_uniform", {"a": math.sqrt(5.0)}),
        ("kaiming_uniform", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("kaiming_normal", {"mode": "fan_out"}),
        ("kaiming_normal", {"nonlinearity": "tanh"}),
    ],
)
def test_distributions(name, settings, shape):
    """Their means, deviations and extremes lie together as closely as those of two of their own draws do."""
    manual_seed(0)
    torch.manual_seed(0)
    ours = getattr(init, name)(shape, **settings).to_numpy()
    theirs = getattr(nn.init, f"{name}_")(torch.empty(shape, dtype=torch.float64), **settings).numpy()
    manual_seed(0)
    refilled = getattr(init, f"{name}_")(Parameter(init.zeros(shape)), **settings)
    np.testing.assert_array_equal(refilled.value.to_numpy(), ours)
    spread = theirs.std() + 1e-12
    assert ours.shape == shape
    assert abs(ours.mean() - theirs.mean()) < 8 * spread / math.sqrt(theirs.size)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.05, abs=1e-12)
    if "normal" not in name:  # the ends of an interval are met closely
        assert ours.min() == pytest.approx(theirs.min(), abs=0.01 * spread)
        assert ours.max() == pytest.approx(theirs.max(), abs=0.01 * spread)


@pytest.mark.parametrize("sizes", [(300, 200), (5, 2000)])
def test_a_new_linear_layer_is_drawn_like_theirs(sizes):
    manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = layers.Linear(*sizes), nn.Linear(*sizes)
    for name, p in ours.named_parameters():
        found, expected = p.value.to_numpy(), theirs.get_parameter(name).detach().numpy()
        assert found.shape == expected.shape
        assert found.std() == pytest.approx(expected.std(), rel=0.1)
        assert np.abs(found).max() == pytest.approx(np.abs(expected).max(), rel=0.05)
