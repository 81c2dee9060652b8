"""Runs functions of tensors beside PyTorch, and compares values and derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from minitorch.autodiff import no_grad
from minitorch.tensor import Tensor
from minitorch.tensor_ops import TensorBackend
from tests.cases import LAYOUTS, Array, assert_close, make, normal
from tests.op_cases import Case, drawn

# The files of functions of tensors, which test_tensor_functions.py compares; test_nn.py has the others.
TENSOR_MODULES = ("minitorch.tensor_functions", "minitorch.shaping", "minitorch.pointwise")


def compare(
    ours: Callable[..., Tensor],
    theirs: Callable[..., torch.Tensor],
    arrays: Sequence[Array],
    backend: TensorBackend,
    dtype: str,
    layout: str = "contiguous",
) -> None:
    """Compare values, and gradients under a random upstream one."""
    inputs = [make(a, backend, dtype, LAYOUTS[layout], requires_grad=True) for a in arrays]
    # In row-major order: of a permuted 1 x 3 x 1 x 2, the batch norm of PyTorch 2.13 has not the formula's gradient.
    reference = [torch.tensor(np.array(x.to_numpy(), order="C"), requires_grad=True) for x in inputs]
    out, expected = ours(*inputs), theirs(*reference)
    upstream = np.random.default_rng(0).normal(size=out.shape).astype(dtype)
    out.backward(make(upstream, backend, dtype))
    expected.backward(torch.tensor(upstream))
    assert_close(out.to_numpy(), expected.detach().numpy(), dtype)
    for x, their_x in zip(inputs, reference, strict=True):
        assert x.grad is not None
        assert their_x.grad is not None
        assert_close(x.grad.to_numpy(), their_x.grad.numpy(), dtype)


def compare_to_second_order(
    ours: Callable[..., Tensor],
    theirs: Callable[..., torch.Tensor],
    arrays: Sequence[Array],
    backend: TensorBackend,
    dtype: str,
    layout: str = "contiguous",
) -> None:
    """Compare values, gradients under a random upstream one, and the gradients of these."""
    rng = np.random.default_rng(0)
    inputs = [make(a, backend, dtype, LAYOUTS[layout], requires_grad=True) for a in arrays]
    reference = [torch.tensor(np.array(x.to_numpy()), requires_grad=True) for x in inputs]
    out, expected = ours(*inputs), theirs(*reference)
    assert_close(out.to_numpy(), expected.detach().numpy(), dtype)

    upstream = rng.normal(size=out.shape).astype(dtype)
    d, their_d = make(upstream, backend, dtype, requires_grad=True), torch.tensor(upstream, requires_grad=True)
    out.backward(d, create_graph=True)
    their_first = their_gradients((expected * their_d).sum(), reference)
    first = [x.grad for x in inputs]
    for gradient, their_gradient in zip(first, their_first, strict=True):
        assert_close(gradient.to_numpy(), their_gradient.detach().numpy(), dtype)

    for x in (*inputs, d):
        x.zero_grad_()
    weights = [rng.normal(size=x.shape).astype(dtype) for x in inputs]
    their_total = sum((g * torch.tensor(u)).sum() for g, u in zip(their_first, weights, strict=True))
    their_second = their_gradients(their_total, [*reference, their_d])
    for gradient, u in zip(first, weights, strict=True):
        if gradient.requires_grad():
            (gradient * make(u, backend, dtype)).sum().backward(retain_graph=True)
    for x, their_gradient in zip((*inputs, d), their_second, strict=True):
        found = np.zeros(x.shape) if x.grad is None else x.grad.to_numpy()
        assert_close(found, their_gradient.detach().numpy(), dtype)


def compare_with_torch(case: Case, theirs: Callable[..., torch.Tensor], backend: TensorBackend, dtype: str) -> None:
    """Compare a row of the table of operations: the value, its gradients under a random upstream one, and theirs."""
    arrays = [np.asarray(a, dtype) for a in drawn(case, "contiguous", case.draw)]
    rng = np.random.default_rng(1)
    with no_grad():
        shape = case.call(*(make(a, backend, dtype) for a in arrays)).shape
    upstream = normal(rng, shape).astype(dtype)
    weights = [normal(rng, a.shape).astype(dtype) for a in arrays]

    ours = [make(a, backend, dtype, requires_grad=True) for a in (*arrays, upstream)]
    out = case.call(*ours[:-1])
    reference = [torch.tensor(a, requires_grad=True) for a in (*arrays, upstream)]
    expected = theirs(*reference[:-1])
    assert_close(out.to_numpy(), expected.detach().numpy(), dtype)
    if "derivatives" in case.empty:
        return

    out.backward(ours[-1], create_graph=True)
    first = [x.grad for x in ours[:-1]]
    their_first = their_gradients((expected * reference[-1]).sum(), reference[:-1])
    for gradient, their_gradient in zip(first, their_first, strict=True):
        found = np.zeros(their_gradient.shape) if gradient is None else gradient.to_numpy()
        assert_close(found, their_gradient.detach().numpy(), dtype)

    for x in ours:
        x.zero_grad_()
    for gradient, u in zip(first, weights, strict=True):
        if gradient is not None and gradient.requires_grad():
            (gradient * make(u, backend, dtype)).sum().backward(retain_graph=True)
    total = sum((g * torch.tensor(u)).sum() for g, u in zip(their_first, weights, strict=True))
    for x, their_gradient in zip(ours, their_gradients(total, reference), strict=True):
        found = np.zeros(x.shape) if x.grad is None else x.grad.to_numpy()
        assert_close(found, their_gradient.detach().numpy(), dtype)


def draws(*shapes: tuple[int, ...], seed: int = 1) -> list[Array]:
    """Draw an array of each shape from a normal distribution."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


def their_gradients(total: torch.Tensor, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Differentiate, with zeros where nothing depends on an input."""
    if not total.requires_grad:
        return [torch.zeros_like(x) for x in inputs]
    found = torch.autograd.grad(total, inputs, create_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]


def windows(x: torch.Tensor, kernel: Sequence[int], reverse: bool) -> torch.Tensor:
    """Pair each place with what a kernel anchored there sees: ``batch x channel x *space x *kernel``."""
    beyond = [side for k in reversed(kernel) for side in ((k - 1, 0) if reverse else (0, k - 1))]
    x = torch.nn.functional.pad(x, beyond)
    for d, k in enumerate(kernel):
        x = x.unfold(2 + d, k, 1)
    return x.flip(tuple(range(x.dim() - len(kernel), x.dim()))) if reverse else x
