"""Gradient clipping; tests/parity compares it with PyTorch's."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minitorch
from minitorch import Module, NaNError, Parameter, Scalar
from minitorch.clipping import clip_grad_norm_, clip_grad_value_
from minitorch.errors import ArgumentError, CompileError
from minitorch.layers import Linear

from .cases import BACKENDS, assert_close, make

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))


def with_gradients(*gradients, backend=BACKENDS["simple"]):
    parameters = [Parameter(make(np.ones(np.shape(g)), backend)) for g in gradients]
    for p, gradient in zip(parameters, gradients, strict=True):
        p.value.grad = make(gradient, backend)
    return parameters


@both_backends
def test_a_short_gradient_keeps_its_bits(backend):
    gradient = np.random.default_rng(0).normal(size=(3, 2))
    (p,) = with_gradients(gradient, backend=backend)
    assert_close(clip_grad_norm_([p], 100.0).to_numpy(), [np.linalg.norm(gradient)])
    np.testing.assert_array_equal(p.value.grad.to_numpy(), gradient)
    assert not p.value.grad.requires_grad()


def test_tiny_elements_keep_their_bits():
    gradient = [1e-300, -1e-20, 0.5, 3.0, -3.0, 1.0]
    (p,) = with_gradients(gradient)
    clip_grad_value_([p], 1.0)
    assert p.value.grad.tolist() == [1e-300, -1e-20, 0.5, 1.0, -1.0, 1.0]


@both_backends
def test_infinity_is_cut_and_nan_is_not_hidden(backend):
    (p,) = with_gradients([math.inf, -math.inf, math.nan, 1.0], backend=backend)
    clip_grad_value_(p, 2.0)
    np.testing.assert_array_equal(p.value.grad.to_numpy(), [2.0, -2.0, math.nan, 1.0])
    assert math.isnan(clip_grad_norm_(p, 1.0).item())
    assert np.isnan(p.value.grad.to_numpy()).all()


def test_what_has_no_gradient_is_passed_over():
    first, second = with_gradients([3.0, 4.0], [1.0])
    second.value.grad = None
    assert clip_grad_norm_([first, second], 1.0).tolist() == [5.0]
    assert second.value.grad is None
    assert clip_grad_norm_([second], 1.0).tolist() == [0.0]
    assert clip_grad_norm_(iter([]), 1.0).tolist() == [0.0]
    clip_grad_value_([second], 1.0)
    (empty,) = with_gradients(np.zeros((0, 3)))
    assert clip_grad_norm_([empty], 1.0, math.inf).tolist() == [0.0]


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_norm_that_is_not_finite_raises_if_asked(bad):
    (p,) = with_gradients([bad, 1.0])
    with pytest.raises(NaNError, match=f"finite, got {bad}"):
        clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(p.value.grad.to_numpy(), [bad, 1.0])


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (lambda: clip_grad_norm_(with_gradients([1.0]), -1.0), "max_norm of 0 or more"),
        (lambda: clip_grad_norm_(with_gradients([1.0]), math.nan), "max_norm of 0 or more"),
        (lambda: clip_grad_norm_(with_gradients([1.0]), 1.0, 0), "norm_type above 0, got 1.0 and 0"),
        (lambda: clip_grad_value_(with_gradients([1.0]), -1.0), "clip_value of 0 or more, got -1.0"),
        (lambda: clip_grad_norm_([Parameter(Scalar(1.0))], 1.0), "hold tensors, got Scalar"),
        (lambda: clip_grad_value_([make([1.0])], 1.0), "got Tensor"),
    ],
)
def test_mistakes(clip, message):
    with pytest.raises(ArgumentError, match=message):
        clip()


# --- a compiled step -----------------------------------------------------------------------------------------

CLIPS = {
    "norm": lambda p: clip_grad_norm_(p, 0.3),
    "largest": lambda p: clip_grad_norm_(p, 0.1, math.inf),
    "another norm": lambda p: clip_grad_norm_(p, 0.3, 3.0),
    "value": lambda p: clip_grad_value_(p, 0.05),
}


@pytest.mark.parametrize("name", CLIPS)
def test_a_compiled_step_clips(name):
    """With one program, whether a gradient is long or short: nothing is decided in Python."""

    def train(compiled):
        minitorch.manual_seed(0)
        network: Module = Linear(3, 2, backend=BACKENDS["fast"])
        optimiser = minitorch.SGD(network.parameters(), lr=0.1, momentum=0.9)

        def step(x):
            optimiser.zero_grad()
            out = network(x)
            loss = (out * out).mean()
            loss.backward()
            norm = CLIPS[name](network.parameters())
            optimiser.step()
            return loss if norm is None else norm

        run = minitorch.compile(step) if compiled else step
        rng = np.random.default_rng(1)
        scales = np.geomspace(0.01, 10.0, 12)
        found = [run(make(scale * rng.normal(size=(4, 3)), BACKENDS["fast"])).item() for scale in scales]
        return found, [p.value.to_numpy().copy() for p in network.parameters()], run

    found, parameters, run = train(compiled=True)
    expected_found, expected, _ = train(compiled=False)
    np.testing.assert_allclose(found, expected_found, rtol=1e-10)
    for a, b in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)
    assert len(run.traces) == 1
    if name == "norm":
        assert min(found) < 0.3 < max(found)


def test_a_compiled_step_has_no_norm_to_look_at():
    network = Linear(3, 2, backend=BACKENDS["fast"])

    @minitorch.compile
    def step(x):
        network(x).sum().backward()
        return clip_grad_norm_(network.parameters(), 1.0, error_if_nonfinite=True)

    with pytest.raises(CompileError, match="cannot read the value"):
        step(make(np.ones((1, 3)), BACKENDS["fast"]))
