"""The course's LeNet beside its twin in PyTorch: one set of weights, the same numbers forwards and backwards."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from run_mnist_multiclass import C, H, ImageTrain, Network, W, centre

import minitorch
from benchmarks.peers.lenet_torch import LeNet
from minitorch.io import load_state_dict, state_dict

# Of the largest element of what is compared.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


def digits(count, dtype, seed=0):
    """Draw pixels as digits have them, mostly background, as they enter the network, and labels."""
    rng = np.random.default_rng(seed)
    ink = rng.integers(0, 256, (count, H, W)) * (rng.random((count, H, W)) < 0.2)
    return centre(ink.astype(np.uint8), dtype), rng.integers(0, C, count)


def twins(dtype, backend=minitorch.FastBackend, seed=1):
    """Make both networks with one set of weights; no dropout."""
    minitorch.manual_seed(seed)
    ours = Network(backend, dtype).eval()
    # Biases begin as zeros, which would hide one that is added in the wrong place.
    rng = np.random.default_rng(seed)
    state = {name: a + 0.1 * rng.standard_normal(a.shape).astype(dtype) for name, a in state_dict(ours).items()}
    load_state_dict(ours, state)
    theirs = LeNet().to(getattr(torch, dtype)).eval()
    theirs.load_minitorch(state)
    return ours, theirs


def as_ours(name, array):
    """Give an array of PyTorch's the shape that MiniTorch's parameter of that name has."""
    layer, _, kind = name.partition(".")
    if kind == "bias":
        return array.reshape(-1, 1, 1) if layer.startswith("conv") else array
    return array.T if array.ndim == 2 else array


def parameters_of(theirs, take):
    """Read something of every parameter of PyTorch's network, under MiniTorch's names."""
    arrays = {}
    for name, parameter in theirs.named_parameters():
        name = name.replace("weight", "weights")
        arrays[name] = as_ours(name, take(parameter).detach().numpy())
    return arrays


def assert_equal(ours, theirs, dtype):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == dtype
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE[dtype] * max(1.0, np.abs(theirs).max()))


def losses(ours, theirs, images, labels, backend=minitorch.FastBackend):
    """Run both forwards, and give the inputs, results and losses of both."""
    dtype = images.dtype
    x = minitorch.tensor(images[:, None], backend=backend, requires_grad=True)
    y = minitorch.tensor(np.eye(C, dtype=dtype)[labels], backend=backend)
    out = ours(x)
    loss = (out * y).sum() * (-1.0 / len(images))
    tx = torch.tensor(images[:, None], requires_grad=True)
    tout = theirs(tx)
    return (x, out, loss), (tx, tout, F.nll_loss(tout, torch.tensor(labels)))


@pytest.mark.task4_5
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 7, 16])
def test_results_and_every_gradient(count, dtype):
    ours, theirs = twins(dtype)
    (x, out, loss), (tx, tout, tloss) = losses(ours, theirs, *digits(count, dtype))
    loss.backward()
    tloss.backward()

    assert_equal(out.to_numpy(), tout.detach().numpy(), dtype)
    assert loss.item() == pytest.approx(tloss.item(), rel=TOLERANCE[dtype])
    assert_equal(x.grad.to_numpy(), tx.grad.numpy(), dtype)
    expected = parameters_of(theirs, lambda parameter: parameter.grad)
    named = dict(ours.named_parameters())
    assert named.keys() == expected.keys()
    for name, parameter in named.items():
        assert np.abs(expected[name]).max() > 1e-4, f"the gradient of {name} says nothing"
        assert_equal(parameter.value.grad.to_numpy(), expected[name], dtype)


@pytest.mark.task4_5
def test_the_simple_backend_computes_the_same():
    ours, theirs = twins("float64", minitorch.SimpleBackend)
    (_, out, loss), (_, tout, tloss) = losses(ours, theirs, *digits(1, "float64"), minitorch.SimpleBackend)
    loss.backward()
    tloss.backward()
    assert_equal(out.to_numpy(), tout.detach().numpy(), "float64")
    expected = parameters_of(theirs, lambda parameter: parameter.grad)
    for name, parameter in ours.named_parameters():
        assert_equal(parameter.value.grad.to_numpy(), expected[name], "float64")


@pytest.mark.task4_5
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_of_gradient_descent(dtype):
    ours, theirs = twins(dtype)
    optim = minitorch.SGD(ours.parameters(), 0.01)
    toptim = torch.optim.SGD(theirs.parameters(), 0.01)
    for step in range(3):
        (_, _, loss), (_, _, tloss) = losses(ours, theirs, *digits(16, dtype, seed=step))
        optim.zero_grad()
        loss.backward()
        optim.step()
        toptim.zero_grad()
        tloss.backward()
        toptim.step()
        assert loss.item() == pytest.approx(tloss.item(), rel=10 * TOLERANCE[dtype])
        expected = parameters_of(theirs, lambda parameter: parameter)
        for name, array in state_dict(ours).items():
            assert_equal(array, expected[name], dtype)


@pytest.mark.task4_5
def test_both_read_the_same_digits():
    trainer = ImageTrain()
    trainer.model, theirs = twins("float32")
    images, labels = digits(100, "float32")
    with torch.no_grad():
        answers = theirs(torch.tensor(images[:, None])).numpy()
    assert_equal(trainer.run_many(images).to_numpy(), answers, "float32")
    right = int((answers.argmax(1) == labels).sum())
    assert trainer.count_correct(images, np.eye(C)[labels]) == right


@pytest.mark.task4_5
def test_the_centred_twin_only_pads_elsewhere():
    """The benchmark's network sees an image further down and to the right, and is the same otherwise."""
    _, theirs = twins("float64")
    centred = LeNet(centred=True).double().eval()
    centred.load_state_dict(theirs.state_dict())
    x = torch.zeros(2, 1, H, W, dtype=torch.float64)
    x[:, :, 8:20, 8:20] = torch.rand(2, 1, 12, 12, dtype=torch.float64, generator=torch.manual_seed(0))
    # Without biases, so that nothing happens where the image is empty.
    for network in (theirs, centred):
        for convolution in (network.conv1, network.conv2):
            convolution.bias.data.zero_()
    moved = torch.roll(x, (-2, -2), (2, 3))  # a pixel for each convolution
    np.testing.assert_allclose(theirs(x).detach(), centred(moved).detach(), atol=1e-12)
