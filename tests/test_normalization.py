"""Normalisation; tests/parity compares it with PyTorch's, tests/compiler runs it in a compiled step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch import grad_check, normalization
from minitorch.errors import ArgumentError, DTypeError, ShapeError
from minitorch.io import load_state_dict, state_dict
from minitorch.module import Buffer
from minitorch.normalization import BatchNorm1d, BatchNorm2d, LayerNorm, batch_norm, layer_norm

from .cases import BACKENDS, assert_close, make
from .tensor_strategies import shapes, tensors

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))


def normalised(array, axes, eps=1e-5):
    """The formula, by NumPy."""
    return (array - array.mean(axes, keepdims=True)) / np.sqrt(array.var(axes, keepdims=True) + eps)


@given(st.data(), st.sampled_from([2, 3, 4]))
def test_over_the_batch(data, dims):
    x = data.draw(tensors(data.draw(shapes(min_dims=dims, max_dims=dims, min_side=2))))
    axes = (0, *range(2, dims))
    assert_close(batch_norm(x, training=True).to_numpy(), normalised(x.to_numpy(), axes))


@given(st.data(), st.integers(1, 3))
def test_over_the_last_dimensions(data, count):
    x = data.draw(tensors(data.draw(shapes(min_dims=count, max_dims=4, min_side=1))))
    axes = tuple(range(x.dims - count, x.dims))
    assert_close(layer_norm(x, x.shape[-count:]).to_numpy(), normalised(x.to_numpy(), axes))


@both_backends
def test_the_gradients(backend):
    rng = np.random.default_rng(0)

    def draw(*shape):
        return make(rng.normal(size=shape), backend)

    grad_check(lambda x, w, b: batch_norm(x, weight=w, bias=b, training=True), draw(3, 2, 2), draw(2), draw(2))
    mean, var = Buffer(draw(2)), Buffer(make([0.5, 2.0], backend))
    grad_check(lambda x, w, b: batch_norm(x, mean, var, w, b), draw(3, 2), draw(2), draw(2))
    grad_check(lambda x, w, b: layer_norm(x, (2, 3), w, b), draw(2, 2, 3), draw(2, 3), draw(2, 3))


def test_running_averages_are_those_of_all_batches():
    """With momentum None they are the averages of what the batches had."""
    layer = BatchNorm2d(3, momentum=None)
    batches = np.random.default_rng(0).normal(1.0, 2.0, size=(5, 4, 3, 2, 2))
    for batch in batches:
        layer(make(batch))
    assert_close(layer.running_mean.value.to_numpy(), batches.mean((1, 3, 4)).mean(0))
    assert_close(layer.running_var.value.to_numpy(), batches.var((1, 3, 4), ddof=1).mean(0))
    assert layer.num_batches_tracked.value.tolist() == 5


def test_evaluation_changes_nothing_and_depends_on_no_other_example():
    layer = BatchNorm1d(2)
    layer(make([[1.0, 2.0], [3.0, 8.0]]))
    layer.eval()
    before = state_dict(layer)
    both = layer(make([[1.0, 2.0], [30.0, -8.0]])).to_numpy()
    assert_close(layer(make([[1.0, 2.0]])).to_numpy(), both[:1])
    for name, array in state_dict(layer).items():
        np.testing.assert_array_equal(array, before[name])


def test_averages_are_not_recorded():
    layer = BatchNorm1d(2)
    layer(make(np.eye(2), requires_grad=True))
    assert layer.running_mean.value.is_constant()
    assert layer.running_var.value.is_constant()
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]


def test_a_state_goes_from_one_layer_to_another():
    first, second = BatchNorm1d(2, dtype="float32"), BatchNorm1d(2, dtype="float32")
    first(make(np.eye(2), dtype="float32"))
    state = state_dict(first)
    assert {name: array.dtype.name for name, array in state.items()} == {
        "weight": "float32",
        "bias": "float32",
        "running_mean": "float32",
        "running_var": "float32",
        "num_batches_tracked": "int64",
    }
    load_state_dict(second, state)
    assert second.num_batches_tracked.value.item() == 1
    second(make(np.eye(2), dtype="float32"))
    assert second.num_batches_tracked.value.item() == 2
    assert first.num_batches_tracked.value.item() == 1


def test_without_averages():
    layer = BatchNorm1d(1, track_running_stats=False, affine=False).eval()
    assert layer.running_mean is layer.running_var is layer.num_batches_tracked is None
    assert layer.weight is layer.bias is None
    assert_close(layer(make([[1.0], [3.0]])).to_numpy(), normalised(np.array([[1.0], [3.0]]), 0))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: batch_norm(make([1.0, 2.0])), ShapeError, r"batch x channel .* got \(2,\)"),
        (lambda: batch_norm(make(np.eye(2))), ArgumentError, "running averages in evaluation"),
        (lambda: batch_norm(np.eye(2)), DTypeError, "got ndarray"),
        (lambda: BatchNorm1d(2)(np.eye(2)), DTypeError, "BatchNorm1d expected a tensor, got ndarray"),
        (lambda: BatchNorm1d(2)(make(np.zeros((2, 5)))), ShapeError, "num_features=5"),
        (lambda: BatchNorm1d(2)(make(np.zeros((2, 5, 2)))), ShapeError, r"permute\(0, 2, 1\)"),
        (lambda: BatchNorm1d(2)(make(np.zeros((0, 2)))), ShapeError, "more than one number"),
        (lambda: BatchNorm1d(2)(make(np.eye(2), dtype="float32")), DTypeError, "float32"),
        (lambda: BatchNorm2d(2.5), ArgumentError, "channels from 1, got 2.5"),
        (lambda: layer_norm([1.0], 1), DTypeError, "got list"),
        (lambda: layer_norm(make(1.0), 1), ShapeError, r"got shape \(\)"),
        (lambda: LayerNorm(0), ArgumentError, "got 0"),
    ],
)
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_batch_of_one_changes_no_average():
    layer = BatchNorm1d(2)
    with pytest.raises(ShapeError, match="a larger batch"):
        layer(make([[1.0, 2.0]]))
    assert layer.running_mean.value.tolist() == [0.0, 0.0]


def test_every_name_is_public():
    assert {"BatchNorm1d", "BatchNorm2d", "LayerNorm", "batch_norm", "layer_norm"} == set(normalization.__all__)
