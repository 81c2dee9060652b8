"""Measuring a model: the means of all examples, in evaluation mode, with nothing changed."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import minitorch
from minitorch import DataError, FastBackend
from minitorch.compiler import compiled
from minitorch.io import state_dict
from minitorch.layers import Dropout, Linear, Sequential
from minitorch.losses import cross_entropy
from minitorch.training import accuracy, evaluate

from .fitting import batches_of, blobs, same


def network():
    return Sequential(Linear(2, 8, backend=FastBackend), Dropout(0.5), Linear(8, 3, backend=FastBackend))


@pytest.mark.parametrize("size", [1, 7, 50, 64])
def test_the_means_are_those_of_all_examples_at_once(size):
    minitorch.manual_seed(0)
    model = network()
    x, y = blobs(50)
    state = minitorch.default_generator.state
    before = state_dict(model)
    found = evaluate(model, batches_of(x, y, size), loss=cross_entropy, compile=False)
    weights = [(before[f"{i}.weight"], before[f"{i}.bias"]) for i in (0, 2)]
    scores = x
    for weight, bias in weights:
        scores = scores @ weight.T + bias
    log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    assert found["accuracy"] == pytest.approx((scores.argmax(axis=1) == y).mean(), abs=1e-12)
    assert found["loss"] == pytest.approx(-log_p[np.arange(50), y].mean(), rel=1e-9)
    assert same(before, state_dict(model))
    assert minitorch.default_generator.state == state
    assert all(p.value.grad is None for p in model.parameters())


def test_every_module_comes_back_in_the_mode_that_it_was_in():
    model = network()
    model.train()
    model[1].eval()
    evaluate(model, batches_of(*blobs(8), 4), compile=False)
    assert [module.training for _, module in model.named_modules()] == [True, True, False, True]

    def broken(output, target):
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        evaluate(model, batches_of(*blobs(8), 4), metrics={"x": broken}, compile=False)
    assert [module.training for _, module in model.named_modules()] == [True, True, False, True]


def test_nothing_is_recorded():
    recorded = []

    def loss(output, target):
        recorded.append(output.requires_grad())
        return cross_entropy(output, target)

    evaluate(network(), batches_of(*blobs(8), 4), loss=loss, compile=False)
    assert recorded == [False, False]


def test_a_model_is_compiled_once_and_measured_as_it_is(monkeypatch):
    traced = []
    monkeypatch.setattr(compiled, "_make", lambda *args, make=compiled._make: traced.append(args) or make(*args))
    model, batches = network(), batches_of(*blobs(12), 6)
    factor = 1.0

    def scaled(output, target):
        return cross_entropy(output, target) * factor

    def agrees(model, loss):
        found = evaluate(model, batches, loss=loss)
        assert found == pytest.approx(evaluate(model, batches, loss=loss, compile=False), rel=1e-12)
        return found["loss"]

    first = agrees(model, scaled)
    assert agrees(model, scaled) == first
    assert len(traced) == 1
    copied = copy.deepcopy(model)
    for _, p in model.named_parameters():
        p.update(p.value * 0.5)
    assert agrees(model, scaled) != first  # with the numbers that the model has now
    assert len(traced) == 1
    factor = 3.0  # that the loss reads
    assert agrees(copied, scaled) == pytest.approx(3 * first)
    assert agrees(copied, cross_entropy) == pytest.approx(first)
    before = agrees(model, cross_entropy)
    model[0] = Linear(2, 8, backend=FastBackend)
    assert agrees(model, cross_entropy) != before


def test_what_is_measured_can_be_chosen():
    batches = batches_of(*blobs(9), 4)
    assert list(evaluate(network(), batches, compile=False)) == ["accuracy"]
    assert list(evaluate(network(), batches, loss=cross_entropy, metrics={}, compile=False)) == ["loss"]
    both = {"a": accuracy, "b": lambda output, target: 2.0}
    assert evaluate(network(), batches, metrics=both, compile=False)["b"] == 2.0


def test_no_batches_and_targets_that_do_not_fit_are_told():
    with pytest.raises(DataError, match=r"at least one batch to measure on, got none"):
        evaluate(network(), [], compile=False)
    (x, _), *_ = batches_of(*blobs(8), 4)
    with pytest.raises(DataError, match="as many targets, got 4 and 3"):
        evaluate(network(), [(x, np.array([0, 1, 2]))], compile=False)
