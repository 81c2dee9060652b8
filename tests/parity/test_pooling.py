"""Pooling in many geometries, to second order, against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from minitorch import pooling
from tests.cases import BACKENDS, DTYPES, assert_close, make

from .torch_cases import compare_to_second_order, draws

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


POOLS = [
    {"kernel_size": 2},
    {"kernel_size": (3, 2)},
    {"kernel_size": 3, "stride": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "ceil_mode": True},
    {"kernel_size": (4, 3), "stride": 4, "padding": (2, 1), "ceil_mode": True},
    {"kernel_size": 1, "stride": 2},
    {"kernel_size": 5, "stride": 5, "padding": 2, "ceil_mode": True},
]
MAX_POOLS = [
    *POOLS,
    {"kernel_size": 2, "dilation": 3, "stride": 1},
    {"kernel_size": 3, "dilation": (2, 1), "padding": 1},
    {"kernel_size": 3, "dilation": 2, "stride": 2, "padding": 1, "ceil_mode": True},
]
AVG_POOLS = [
    *POOLS,
    {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False},
    {"kernel_size": (2, 4), "stride": 3, "padding": (1, 2), "ceil_mode": True, "count_include_pad": False},
    {"kernel_size": 3, "padding": 1, "divisor_override": 4},
    {"kernel_size": 2, "divisor_override": -3},
]


@both_backends
@both_dtypes
@pytest.mark.parametrize("layout", ["contiguous", "permuted"])
@pytest.mark.parametrize("arguments", MAX_POOLS, ids=str)
def test_max_pool(arguments, layout, dtype, backend):
    (array,) = draws((2, 3, 8, 7))
    ours, theirs = pooling.MaxPool2d(**arguments), torch.nn.MaxPool2d(**arguments)
    compare_to_second_order(ours, theirs, [array], backend, dtype, layout)
    # Many equal maxima: the first one has the whole gradient.
    compare_to_second_order(ours, theirs, [np.round(array)], backend, dtype, layout)
    one = {name: value[0] if isinstance(value, tuple) else value for name, value in arguments.items()}
    row = np.round(array[:, :, :, 0])
    compare_to_second_order(pooling.MaxPool1d(**one), torch.nn.MaxPool1d(**one), [row], backend, dtype, layout)


@both_backends
@both_dtypes
@pytest.mark.parametrize("layout", ["contiguous", "permuted"])
@pytest.mark.parametrize("arguments", AVG_POOLS, ids=str)
def test_avg_pool(arguments, layout, dtype, backend):
    compare_to_second_order(
        pooling.AvgPool2d(**arguments),
        torch.nn.AvgPool2d(**arguments),
        draws((2, 3, 8, 7)),
        backend,
        dtype,
        layout,
    )


@both_backends
def test_the_functions_have_pytorchs_order_of_arguments(backend):
    (x,) = draws((1, 4, 9, 9))
    for name, arguments in [
        ("max_pool2d", (3, 2, 1, 2, True)),
        ("max_pool1d", (3, 2, 1, 2, True)),
        ("avg_pool2d", (3, 2, 1, True, False, 7)),
    ]:
        image = x if name.endswith("2d") else x[..., 0]
        expected = getattr(functional, name)(torch.tensor(image), *arguments)
        assert_close(getattr(pooling, name)(make(image, backend), *arguments).to_numpy(), expected.numpy())
