"""Gradient clipping beside PyTorch's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import utils

from minitorch import Parameter, clipping
from tests.cases import BACKENDS, DTYPES, assert_close, make

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


def compare(clip, their_clip, backend, dtype, scale=1.0):
    """Clip the gradients of three parameters, one of which has none, on both sides."""
    rng = np.random.default_rng(0)
    shapes = [(3, 4), (2, 1, 5), (1,)]
    gradients = [(scale * rng.normal(size=shape)).astype(dtype) for shape in shapes]
    gradients[0][0, 0] = 0.0
    ours = [Parameter(make(np.ones(shape), backend, dtype)) for shape in [*shapes, (2,)]]
    theirs = [torch.ones(shape, dtype=getattr(torch, dtype), requires_grad=True) for shape in [*shapes, (2,)]]
    for p, their_p, gradient in zip(ours, theirs, gradients, strict=False):
        p.value.grad, their_p.grad = make(gradient, backend, dtype), torch.tensor(gradient)
    norm, their_norm = clip(ours), their_clip(theirs)
    if norm is not None:
        assert_close(norm.to_numpy(), [their_norm.item()], dtype)
    for p, their_p in zip(ours[:-1], theirs[:-1], strict=True):
        assert p.value.grad.dtype == np.dtype(dtype)
        assert_close(p.value.grad.to_numpy(), their_p.grad.numpy(), dtype)
    assert ours[-1].value.grad is None


@both_backends
@both_dtypes
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, 0.5, math.inf])
@pytest.mark.parametrize("max_norm", [0.0, 0.7, 1e9])
def test_norms(max_norm, norm_type, scale, dtype, backend):
    compare(
        lambda p: clipping.clip_grad_norm_(p, max_norm, norm_type),
        lambda p: utils.clip_grad_norm_(p, max_norm, norm_type),
        backend,
        dtype,
        scale,
    )


@both_backends
@both_dtypes
@pytest.mark.parametrize("clip_value", [0.0, 0.3, 1e9])
def test_values(clip_value, dtype, backend):
    compare(
        lambda p: clipping.clip_grad_value_(p, clip_value),
        lambda p: utils.clip_grad_value_(p, clip_value),
        backend,
        dtype,
    )
