"""Values and gradients of the functions of networks, in both element types, against PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional

import minitorch
from minitorch import fast_conv, nn
from minitorch.layers import embedding
from tests.cases import BACKENDS, DTYPES, LAYOUTS, make
from tests.op_cases import DROPOUT, TABLE

from .torch_cases import TENSOR_MODULES, compare, compare_with_torch, windows

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


def convolve(x: torch.Tensor, w: torch.Tensor, reverse: bool = False) -> torch.Tensor:
    kernel = w.shape[2:]
    beyond = [side for k in reversed(kernel) for side in ((k - 1, 0) if reverse else (0, k - 1))]
    w = w.flip(tuple(range(2, w.dim()))) if reverse else w
    return (functional.conv1d if len(kernel) == 1 else functional.conv2d)(functional.pad(x, beyond), w)


def weight_gradient(x: torch.Tensor, d: torch.Tensor, kernel: tuple[int, ...], reverse: bool) -> torch.Tensor:
    formula = "bcik,boi->ock" if len(kernel) == 1 else "bcijkl,boij->ockl"
    return torch.einsum(formula, windows(x, kernel, reverse), d)


def strided_weight_gradient(x: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
    shape = (d.shape[1], x.shape[1], 2)
    return torch.nn.grad.conv1d_weight(x, shape, d, stride=2, padding=1, dilation=2)


def dropout(x: torch.Tensor) -> torch.Tensor:
    """Apply our mask: theirs comes from another generator."""
    mask = nn.DropoutFun.apply(make(np.ones(x.shape), dtype=str(x.dtype).removeprefix("torch.")), *DROPOUT)
    return x * torch.tensor(mask.to_numpy())


THEIRS: dict[str, Callable[..., torch.Tensor]] = {
    "Max": lambda x: x.max(1, keepdim=True).values,
    "Max-last": lambda x: x.max(2, keepdim=True).values,
    "MaxPool2dFun": lambda x: functional.max_pool2d(x, (2, 3)),
    "MaxPool2dFun-overlapping": lambda x: functional.max_pool2d(x, (2, 3), stride=(2, 1), padding=1),
    "SoftmaxFun": partial(torch.softmax, dim=1),
    "SoftmaxFun-last": partial(torch.softmax, dim=2),
    "LogSoftmaxFun": partial(torch.log_softmax, dim=0),
    "LogSoftmaxFun-last": partial(torch.log_softmax, dim=2),
    "Erf": torch.erf,
    "DropoutFun": dropout,
    "Conv1dFun-forward": convolve,
    "Conv1dFun-reverse": partial(convolve, reverse=True),
    "Conv1dFun-long": convolve,
    "Conv2dFun-forward": convolve,
    "Conv2dFun-reverse": partial(convolve, reverse=True),
    "Conv1dFun-strided": partial(functional.conv1d, stride=2, padding=1, dilation=2),
    "Conv2dFun-strided": partial(functional.conv2d, stride=2, padding=1, dilation=2),
    "Conv1dFun-spread": lambda x, w: functional.conv_transpose1d(x, w.transpose(0, 1), stride=2),
    "Conv2dFun-spread": lambda x, w: functional.conv_transpose2d(x, w.transpose(0, 1), stride=2),
    "_ConvWeight-1d-strided": strided_weight_gradient,
    "_ConvWeight-1d-forward": partial(weight_gradient, kernel=(2,), reverse=False),
    "_ConvWeight-1d-reverse": partial(weight_gradient, kernel=(2,), reverse=True),
    "_ConvWeight-2d-forward": partial(weight_gradient, kernel=(2, 3), reverse=False),
    "_ConvWeight-2d-reverse": partial(weight_gradient, kernel=(2, 3), reverse=True),
}

CASES = [case for case in TABLE if case.op.__module__ not in TENSOR_MODULES]


@both_dtypes
@both_backends
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_operation(case, backend, dtype):
    compare_with_torch(case, THEIRS[case.id], backend, dtype)


def test_no_row_of_pytorch_is_left_over():
    assert set(THEIRS) == {case.id for case in CASES}


@both_dtypes
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("x_shape", "w_shape"),
    [
        ((16, 1, 28, 28), (4, 1, 3, 3)),
        ((16, 4, 28, 28), (8, 4, 3, 3)),
        ((3, 5, 13, 11), (7, 5, 4, 2)),
        ((10, 50, 30), (100, 50, 3)),
        ((10, 50, 30), (100, 50, 5)),
    ],
    ids=str,
)
def test_the_layers_of_the_courses_networks(x_shape, w_shape, reverse, layout, dtype):
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=x_shape), rng.normal(size=w_shape) / math.prod(w_shape[1:])]
    function = fast_conv.conv1d if len(x_shape) == 3 else fast_conv.conv2d
    compare(
        lambda x, w: function(x, w, reverse),
        lambda x, w: convolve(x, w, reverse),
        arrays,
        BACKENDS["fast"],
        dtype,
        layout,
    )


@both_dtypes
@both_backends
@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (4, 2), (1, 8)])
def test_pooling(kernel, backend, dtype):
    array = np.random.default_rng(2).normal(size=(2, 3, 4, 8))
    for ours, theirs in [(nn.avgpool2d, functional.avg_pool2d), (nn.maxpool2d, functional.max_pool2d)]:
        compare(partial(ours, kernel=kernel), partial(theirs, kernel_size=kernel), [array], backend, dtype, "permuted")


@both_backends
def test_the_first_of_equal_maxima(backend):
    array = np.random.default_rng(3).integers(0, 2, (2, 2, 6, 6)).astype(float)
    compare(lambda x: nn.maxpool2d(x, (3, 2)), lambda x: functional.max_pool2d(x, (3, 2)), [array], backend, "float64")


@both_dtypes
@both_backends
@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
@pytest.mark.parametrize("dim", [0, 1])
def test_softmax_of_large_numbers(dim, scale, backend, dtype):
    array = np.random.default_rng(4).normal(size=(5, 7)) * scale
    compare(lambda x: nn.softmax(x, dim), lambda x: torch.softmax(x, dim), [array], backend, dtype)
    compare(lambda x: nn.logsoftmax(x, dim), lambda x: torch.log_softmax(x, dim), [array], backend, dtype)


@both_dtypes
@both_backends
def test_negative_log_likelihood(backend, dtype):
    """As the course's LeNet computes its loss."""
    labels = np.array([0, 3, 2, 2])
    one_hot = make(np.eye(4)[labels], backend, dtype)
    array = np.random.default_rng(5).normal(size=(4, 4))
    compare(
        lambda x: -(nn.logsoftmax(x, 1) * one_hot).sum() * 0.25,
        lambda x: functional.cross_entropy(x, torch.tensor(labels)).reshape(1),
        [array],
        backend,
        dtype,
    )


@both_dtypes
@both_backends
def test_embedding(backend, dtype):
    rows = np.array([[0, 2, 2], [4, 0, 1]])
    index = make(rows, backend, "int64")
    table = np.random.default_rng(6).normal(size=(5, 3))
    compare(
        lambda w: embedding(index, w), lambda w: functional.embedding(torch.tensor(rows), w), [table], backend, dtype
    )


@both_dtypes
@both_backends
def test_argmax(backend, dtype):
    array = np.random.default_rng(7).integers(0, 3, (6, 5)).astype(dtype)
    expected = functional.one_hot(torch.tensor(array.argmax(1)), 5)
    np.testing.assert_array_equal(minitorch.argmax(make(array, backend, dtype), 1).to_numpy(), expected.numpy())
