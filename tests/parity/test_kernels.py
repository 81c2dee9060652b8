"""Values and gradients of the kernels of module 4, against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from minitorch.kernels.cpu import conv, pool, softmax
from minitorch.kernels.geometry import same_size, side_by_side

DTYPES = ["float32", "float64"]
ATOL = {"float32": 2e-4, "float64": 1e-10}


def tensors(dtype, *shapes):
    rng = np.random.default_rng(0)
    return [torch.tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True) for shape in shapes]


def arrays(*xs):
    return [x.detach().numpy() for x in xs]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "kernel"),
    [
        ((16, 1, 28, 28), (4, 3, 3)),
        ((16, 4, 28, 28), (8, 3, 3)),
        ((3, 5, 27, 27), (7, 5, 2)),
        ((4, 3, 33, 65), (6, 4, 4)),
    ],
)
def test_conv2d(shape, kernel, dtype, reverse):
    outs, kh, kw = kernel
    x, w, g = tensors(dtype, shape, (outs, shape[1], kh, kw), (shape[0], outs, *shape[2:]))
    pads = (kw - 1, 0, kh - 1, 0) if reverse else (0, kw - 1, 0, kh - 1)
    y = F.conv2d(F.pad(x, pads), w.flip(2, 3) if reverse else w)
    y.backward(g)
    a, b, d = arrays(x, w, g)
    out, grad_x, grad_w = np.empty_like(d), np.empty_like(a), np.empty_like(b)
    geometry = same_size(shape[2:], reverse)
    conv.convolve(out, a, b, geometry)
    conv.convolve(grad_x, d, b.swapaxes(0, 1), same_size(shape[2:], not reverse))
    conv.convolve_weight(grad_w, a, d, geometry)
    np.testing.assert_allclose(out, y.detach(), atol=ATOL[dtype])
    np.testing.assert_allclose(grad_x, x.grad, atol=ATOL[dtype])
    # A sum of ten thousand products: on some processors PyTorch's float32 sum is off by 5e-6 of it, ours by 3e-7.
    np.testing.assert_allclose(grad_w, w.grad, atol=5 * ATOL[dtype], rtol=1e-5)


@pytest.mark.parametrize("width", [3, 4, 5])
@pytest.mark.parametrize("batch", [10, 50])
def test_conv1d_of_the_sentiment_network(batch, width):
    x, w, g = tensors("float32", (batch, 50, 52), (100, 50, width), (batch, 100, 52))
    y = F.conv1d(F.pad(x, (0, width - 1)), w)
    y.backward(g)
    a, b, d = arrays(x, w, g)
    out, grad_x, grad_w = np.empty_like(d), np.empty_like(a), np.empty_like(b)
    geometry = same_size((52,), reverse=False)
    conv.convolve(out, a, b, geometry)
    conv.convolve(grad_x, d, b.swapaxes(0, 1), same_size((52,), reverse=True))
    conv.convolve_weight(grad_w, a, d, geometry)
    np.testing.assert_allclose(out, y.detach(), atol=2e-4)
    np.testing.assert_allclose(grad_x, x.grad, atol=2e-4)
    np.testing.assert_allclose(grad_w, w.grad, atol=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", [(4, 4), (2, 7), (1, 1)])
def test_max_pool(kernel, dtype):
    (x,) = tensors(dtype, (3, 8, 28, 28))
    x = x.detach().round().requires_grad_()  # many equal maxima: the first one gets the gradient there too
    y, place = F.max_pool2d(x, kernel, return_indices=True)
    (g,) = tensors(dtype, y.shape)
    y.backward(g)
    out, found, grad = np.empty(y.shape, dtype), np.empty(y.shape, np.int64), np.empty(x.numel(), dtype)
    pool.max_pool(out, found, x.detach().numpy(), kernel, side_by_side((28, 28), kernel))
    pool.put(grad, g.detach().numpy().reshape(-1), found.reshape(-1))
    np.testing.assert_array_equal(out, y.detach())
    np.testing.assert_array_equal(found % 784, place)
    np.testing.assert_array_equal(grad, x.grad.reshape(-1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("reference", "forward"), [(torch.softmax, softmax.softmax), (torch.log_softmax, softmax.logsoftmax)]
)
def test_softmax(reference, forward, dtype):
    (x,) = tensors(dtype, (4, 10, 3))
    y = reference(100 * x, 1)
    out = np.empty(120, dtype)
    forward(out, 100 * x.detach().numpy().reshape(-1), 10, 3)
    np.testing.assert_allclose(out, y.detach().reshape(-1), atol=ATOL[dtype], rtol=1e-6)
