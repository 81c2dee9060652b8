"""Convolution in many geometries, to second order, against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional

from minitorch import convolution
from minitorch.io import load_state_dict, state_dict
from minitorch.random import manual_seed
from tests.cases import BACKENDS, DTYPES, assert_close, make

from .torch_cases import compare_to_second_order, draws

# PyTorch says once a process that it copies the input there, which is its affair.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


CONVOLUTIONS_2D = [  # input, weight, arguments
    ((2, 3, 7, 6), (4, 3, 3, 3), {}),
    ((2, 3, 7, 6), (4, 3, 3, 3), {"padding": 1}),
    ((2, 3, 7, 6), (4, 3, 3, 2), {"padding": "same"}),
    ((2, 3, 7, 6), (4, 3, 4, 2), {"padding": "same", "dilation": (1, 3)}),
    ((2, 3, 7, 6), (4, 3, 3, 3), {"padding": "valid", "stride": 2}),
    ((2, 3, 8, 9), (5, 3, 3, 3), {"stride": 2, "padding": 1}),
    ((2, 3, 8, 9), (5, 3, 3, 3), {"stride": (3, 1), "padding": (0, 2)}),
    ((2, 3, 8, 9), (5, 3, 1, 1), {"stride": 2}),
    ((1, 2, 9, 9), (3, 2, 3, 3), {"dilation": 2, "padding": 2}),
    ((1, 2, 9, 9), (3, 2, 3, 2), {"dilation": (2, 3), "stride": (2, 3), "padding": (3, 1)}),
    ((1, 2, 9, 9), (3, 2, 3, 3), {"dilation": 2, "stride": 2, "padding": 2}),
    ((1, 2, 9, 9), (3, 2, 2, 2), {"dilation": 3, "stride": 2}),
    ((1, 2, 9, 9), (3, 2, 2, 2), {"stride": 4, "padding": 5}),
    ((2, 4, 6, 5), (6, 2, 3, 3), {"groups": 2, "padding": 1}),
    ((2, 4, 6, 5), (4, 1, 3, 3), {"groups": 4, "stride": 2, "padding": 1}),
    ((2, 4, 6, 5), (8, 1, 2, 3), {"groups": 4, "dilation": 2}),
    ((1, 1, 12, 12), (2, 1, 7, 7), {"stride": 2, "padding": 3}),
    ((1, 1, 13, 12), (2, 1, 11, 11), {"stride": 4, "padding": 2}),
]
CONVOLUTIONS_1D = [
    ((2, 3, 9), (4, 3, 3), {}),
    ((2, 3, 9), (4, 3, 4), {"padding": "same"}),
    ((2, 3, 9), (4, 3, 4), {"padding": "same", "dilation": 3}),
    ((2, 3, 9), (4, 3, 3), {"stride": 2, "padding": 2, "dilation": 2}),
    ((2, 3, 10), (4, 3, 3), {"stride": 3, "padding": 1}),
    ((2, 6, 9), (4, 3, 2), {"groups": 2, "stride": 2}),
    ((1, 1, 1), (1, 1, 1), {"padding": 2, "stride": 3}),
]


@both_backends
@both_dtypes
@pytest.mark.parametrize("layout", ["contiguous", "permuted"])
@pytest.mark.parametrize(("x_shape", "w_shape", "arguments"), CONVOLUTIONS_1D + CONVOLUTIONS_2D, ids=str)
def test_convolution(x_shape, w_shape, arguments, layout, dtype, backend):
    ours, theirs = (
        (convolution.conv1d, functional.conv1d) if len(x_shape) == 3 else (convolution.conv2d, functional.conv2d)
    )
    arrays = draws(x_shape, w_shape, w_shape[:1])
    compare_to_second_order(
        lambda *a: ours(*a, **arguments), lambda *a: theirs(*a, **arguments), arrays, backend, dtype, layout
    )


@both_dtypes
@pytest.mark.parametrize(
    ("x_shape", "w_shape", "arguments"),
    [
        ((2, 3, 32, 32), (16, 3, 7, 7), {"stride": 2, "padding": 3}),
        ((8, 16, 32, 32), (32, 16, 3, 3), {"stride": 2, "padding": 1}),
        ((8, 16, 32, 32), (16, 16, 3, 3), {"padding": "same"}),
        ((8, 16, 32, 32), (32, 16, 1, 1), {"stride": 2}),
        ((4, 8, 28, 28), (8, 8, 5, 5), {}),
        ((2, 8, 48, 48), (8, 8, 3, 3), {"dilation": 4, "padding": 4}),
        ((5, 20, 300), (30, 20, 5), {"stride": 2, "padding": 2}),
        ((5, 20, 3000), (8, 20, 2), {"dilation": 64, "padding": 32}),
    ],
    ids=str,
)
def test_layers_of_common_networks(x_shape, w_shape, arguments, dtype):
    ours, theirs = (
        (convolution.conv1d, functional.conv1d) if len(x_shape) == 3 else (convolution.conv2d, functional.conv2d)
    )
    x, w, bias = draws(x_shape, w_shape, w_shape[:1])
    arrays = [x, w / np.sqrt(w[0].size), bias]
    compare_to_second_order(
        lambda *a: ours(*a, **arguments), lambda *a: theirs(*a, **arguments), arrays, BACKENDS["fast"], dtype
    )


small = st.integers(1, 3)


@both_backends
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(small, small),
    st.one_of(st.sampled_from(["same", "valid"]), st.tuples(st.integers(0, 4), st.integers(0, 4))),
    st.tuples(small, small),
    small,
    st.integers(0, 2**32 - 1),
)
def test_any_convolution(backend, space, kernel, stride, padding, dilation, groups, seed):
    assume(padding != "same" or stride == (1, 1))
    beyond = (0, 0) if padding == "valid" else (99, 99) if padding == "same" else padding
    assume(all(n + 2 * p > d * (k - 1) for n, p, d, k in zip(space, beyond, dilation, kernel, strict=True)))
    arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    arrays = draws((2, 2 * groups, *space), (groups, 2, *kernel), (groups,), seed=seed)
    compare_to_second_order(
        lambda *a: convolution.conv2d(*a, **arguments),
        lambda *a: functional.conv2d(*a, **arguments),
        arrays,
        backend,
        "float64",
    )


@both_backends
def test_the_functions_have_pytorchs_order_of_arguments(backend):
    x, w, b = draws((1, 4, 9, 9), (4, 2, 3, 3), (4,))
    for name, arguments in [
        ("conv2d", (w, b, 2, 1, 2, 2)),
        ("conv1d", (w[..., 0], b, 2, 1, 2, 2)),
    ]:
        image = x if name.endswith("2d") else x[..., 0]
        ours = [make(a, backend) if isinstance(a, np.ndarray) else a for a in (image, *arguments)]
        theirs = [torch.tensor(a) if isinstance(a, np.ndarray) else a for a in (image, *arguments)]
        expected = getattr(functional, name)(*theirs)
        assert_close(getattr(convolution, name)(*ours).to_numpy(), expected.numpy())


@both_dtypes
def test_a_network_takes_pytorchs_state(dtype):
    """Names, shapes and results of both are the same."""
    manual_seed(0)
    torch.manual_seed(0)
    theirs = torch.nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=1, groups=2, dtype=getattr(torch, dtype))
    ours = convolution.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=1, groups=2, dtype=dtype)
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    assert {name: value.shape for name, value in state_dict(ours).items()} == {n: v.shape for n, v in state.items()}
    load_state_dict(ours, state)
    (array,) = draws((2, 4, 7, 6))
    out = ours(make(array, dtype=dtype))
    assert_close(out.to_numpy(), theirs(torch.tensor(array.astype(dtype))).detach().numpy())


@pytest.mark.parametrize("arguments", [(8, 32, 3), (6, 12, (5, 1), 1, 0, 1, 3)])
def test_the_first_weights_are_spread_as_in_pytorch(arguments):
    manual_seed(1)
    torch.manual_seed(1)
    ours, theirs = convolution.Conv2d(*arguments), torch.nn.Conv2d(*arguments, dtype=torch.float64)
    for name in ("weight", "bias"):
        found, expected = getattr(ours, name).value.to_numpy(), getattr(theirs, name).detach().numpy()
        largest = 1 / np.sqrt(theirs.weight[0].numel())
        for values in (found, expected):  # both uniform on the same interval
            assert np.abs(values).max() <= largest
            assert 0.7 * largest < np.abs(values).max()
