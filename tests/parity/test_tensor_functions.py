"""Values and gradients of every operation of ``tensor_functions``, in both element types, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from minitorch import Tensor
from tests.cases import BACKENDS, DTYPES, assert_close, make
from tests.op_cases import TABLE, places_within

from .torch_cases import TENSOR_MODULES, compare_with_torch


def take(x: torch.Tensor) -> torch.Tensor:
    return x.reshape(-1)[places_within(tuple(x.shape), x.numel() + 3)].reshape(1, -1)


def put(x: torch.Tensor) -> torch.Tensor:
    places = torch.tensor(places_within((5, 3), x.numel()))
    return torch.zeros(15, dtype=x.dtype).index_add(0, places, x.reshape(-1)).reshape(5, 3)


THEIRS: dict[str, Callable[..., torch.Tensor]] = {
    "Neg": torch.neg,
    "Inv": torch.reciprocal,
    "Exp": torch.exp,
    "Log": torch.log,
    "Sqrt": torch.sqrt,
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "ReLU": torch.relu,
    "ReLUGrad": lambda x, d: d * (x > 0),
    "Add": torch.add,
    "Mul": torch.mul,
    "Div": torch.div,
    "LT": lambda a, b: (a < b).to(a.dtype),
    "EQ": lambda a, b: (a == b).to(a.dtype),
    "IsClose": lambda a, b: torch.isclose(a, b, rtol=0, atol=0.01).to(a.dtype),
    "Sum-everything": lambda x: x.sum().reshape(1),
    "Sum-no dimension": lambda x: x.reshape(2, 12),
    **{f"Sum-dim={dim}": lambda x, dim=dim: x.sum(dim, keepdim=True) for dim in [0, 1, 2, -1, (0, 2), (1, 2)]},
    "Expand": lambda x: x.expand(3, 2, 4),
    "Expand-leading": lambda x: x.expand(2, 2, 3),
    "All": lambda x: x.prod().reshape(1),
    "All-dim=1": lambda x: x.prod(1, keepdim=True),
    "Copy": torch.clone,
    "Copy-always": torch.clone,
    "Permute": lambda x: x.permute(2, 0, 1),
    "View": lambda x: x.view(3, -1),
    "View-regrouped": lambda x: x.view(4, 6),
    "Cat": lambda *tensors: torch.cat(tensors, 1),
    "Narrow": lambda x: x[:, 1:3],
    "Narrow-first": lambda x: x[:1],
    "Narrow-empty": lambda x: x[:, 2:2],
    "Squeeze-insert": lambda x: x[:, None],
    "Squeeze-drop": lambda x: x[:, 0],
    "Step": lambda x: x[:, ::2],
    "Step-0": lambda x: x[::3],
    "Keep": lambda x: x * (torch.arange(x.numel()).reshape(x.shape) % 3 == 0),
    "Keep-opposite": lambda x: x * (torch.arange(x.shape[-1]) % 2 == 1),
    "Pow": torch.pow,
    "Pow-broadcast": torch.pow,
    "Maximum": torch.maximum,
    "Minimum": torch.minimum,
    "Take": take,
    "Put": put,
    "MatMul": torch.matmul,
}

CASES = [case for case in TABLE if case.op.__module__ in TENSOR_MODULES]


def their_function(case_id: str) -> Callable[..., torch.Tensor]:
    """Find PyTorch's function of a row; rows that differ in shapes alone share one."""
    return THEIRS[case_id.removesuffix("-broadcast").removesuffix("-batched")]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_operation(case, backend, dtype):
    compare_with_torch(case, their_function(case.id), backend, dtype)


def test_no_row_of_pytorch_is_left_over():
    assert set(THEIRS) <= {case.id for case in CASES}


# --- the tensor's methods ------------------------------------------------------------------------------------

EPS = 1e-6  # what the course's log adds

METHODS: dict[str, tuple[Callable[..., Tensor], Callable[..., torch.Tensor]]] = {
    "add": (lambda a, b: a + b, lambda a, b: a + b),
    "subtract": (lambda a, b: a - b, lambda a, b: a - b),
    "multiply": (lambda a, b: a * b, lambda a, b: a * b),
    "divide": (lambda a, b: a / b, lambda a, b: a / b),
    "numbers": (lambda a, b: 2 - (3 / a) + 4 * b - 1, lambda a, b: 2 - (3 / a) + 4 * b - 1),
    "negate": (lambda a, b: -a, lambda a, b: -a),
    "matrix product": (lambda a, b: a @ b.permute(1, 0), lambda a, b: a @ b.T),
    "by name": (
        lambda a, b: a.mul(b).sub(2.0).div(a.add(b)).neg().matmul(b.T).mm(a) + a.t().t(),
        lambda a, b: a.mul(b).sub(2.0).div(a.add(b)).neg().matmul(b.T).mm(a) + a.t().t(),
    ),
    "comparisons by name": (
        lambda a, b: a * b * (a.lt(b) + a.gt(1.2) * 2 + a.le(b) * 4 + a.ge(b) * 8 + a.eq(a) * 16 + a.ne(b) * 32),
        lambda a, b: a * b * (a.lt(b) + a.gt(1.2) * 2 + a.le(b) * 4 + a.ge(b) * 8 + a.eq(a) * 16 + a.ne(b) * 32),
    ),
    "log": (lambda a, b: a.log(), lambda a, b: (a + EPS).log()),
    "exp": (lambda a, b: a.exp(), lambda a, b: a.exp()),
    "sigmoid": (lambda a, b: a.sigmoid(), lambda a, b: a.sigmoid()),
    "relu": (lambda a, b: (a - 1).relu(), lambda a, b: (a - 1).relu()),
    "sum": (lambda a, b: a.sum(1), lambda a, b: a.sum(1, keepdim=True)),
    "mean": (lambda a, b: a.mean(0), lambda a, b: a.mean(0, keepdim=True)),
    "mean of all": (lambda a, b: a.mean(), lambda a, b: a.mean().reshape(1)),
    "view": (lambda a, b: a.view(5, 4), lambda a, b: a.view(5, 4)),
    "permute, then view": (
        lambda a, b: a.permute(1, 0).contiguous().view(2, 10),
        lambda a, b: a.permute(1, 0).reshape(2, 10),
    ),
    "a network": (
        lambda a, b: ((a @ b.permute(1, 0)).relu().sum(1) * a).sigmoid().log().mean(0),
        lambda a, b: (((a @ b.T).relu().sum(1, keepdim=True) * a).sigmoid() + EPS).log().mean(0, keepdim=True),
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
@pytest.mark.parametrize("name", METHODS)
def test_methods(name, backend, dtype):
    ours, theirs = METHODS[name]
    rng = np.random.default_rng(3)
    arrays = [rng.uniform(0.5, 1.5, (4, 5)).astype(dtype) for _ in range(2)]
    a, b = (make(array, backend, dtype, requires_grad=True) for array in arrays)
    their_a, their_b = (torch.tensor(array, requires_grad=True) for array in arrays)
    out, expected = ours(a, b), theirs(their_a, their_b)
    upstream = rng.normal(size=out.shape).astype(dtype)
    out.backward(make(upstream, backend, dtype))
    expected.backward(torch.tensor(upstream))
    assert_close(out.to_numpy(), expected.detach().numpy(), dtype)
    for x, their_x in [(a, their_a), (b, their_b)]:
        assert (x.grad is None) == (their_x.grad is None)
        if x.grad is not None:
            assert_close(x.grad.to_numpy(), their_x.grad.numpy(), dtype)
