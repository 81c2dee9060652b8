"""Steps whose programs for a GPU are made without one: to compile the kernels that are written for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

import minitorch
from minitorch import losses
from minitorch.activations import Erf
from minitorch.compiler import compiled
from minitorch.compiler.cuda.emit import Program, emit, lay_out
from minitorch.compiler.cuda.record import Place
from minitorch.compiler.passes.simplify import simplify
from minitorch.fast_ops import FastBackend
from minitorch.kernels.cuda.places import faults
from minitorch.tensor import Tensor
from minitorch.tensor_functions import Tanh
from tests.cases import make
from tests.compiler.agreement.test_operations import TABLE, Operations

__all__ = ["Made", "programs"]


class Made(NamedTuple):
    """A program, and the functions of an element that its kernels compute.

    Attributes:
        program: for a GPU.
        functions: their names, and ``dropout``.
    """

    program: Program
    functions: set[str]


class _Traced(Exception):
    """Ends a step behind its trace."""


def program_of(step: Callable[..., Any], *args: Any) -> Made:
    """Make the program for a GPU of a step on the CPU's tensors; nothing runs."""
    made: list[Made] = []

    def built(tracer: Any, batch: int, states: set[int]) -> Any:
        with mock.patch.object(minitorch.CudaOps, "check"):  # which finds no driver
            backend = minitorch.TensorBackend(minitorch.CudaOps)
        with mock.patch.dict(vars(faults), _seen=Place("faults", 0, 0, 2, np.dtype(np.int64))):
            graph = lay_out(simplify(tracer.graph), states)
            named = {node.args[0].__name__ for node in graph if node.op in ("map", "zip", "reduce")}
            named |= {node.op for node in graph if node.op == "dropout"}
            made.append(Made(emit(graph, states, backend), named))
        raise _Traced

    with mock.patch.object(compiled, "_built", built):
        try:
            minitorch.compile(step)(*args)
        except _Traced:
            return made[0]
    raise AssertionError("the step was not traced")


def programs(dtype: str) -> Iterator[Made]:
    """Make the program of a convolutional network's training, of functions that it has not, and of every operation."""
    rng = np.random.default_rng(0)

    def tensor(*shape: int) -> Tensor:
        return minitorch.from_numpy(rng.normal(size=shape).astype(dtype), backend=FastBackend)

    def parameter(*shape: int) -> minitorch.Parameter:
        return minitorch.Parameter(tensor(*shape))

    weights = [parameter(4, 3, 3, 3), parameter(1, 4, 1, 1), parameter(16, 5), parameter(5)]
    labels = minitorch.from_numpy(rng.integers(0, 5, 6), backend=FastBackend)

    def train(optimizer: minitorch.Optimizer) -> Callable[[Tensor, Tensor], Tensor]:
        def step(x: Tensor, labels: Tensor) -> Tensor:
            filters, bias, matrix, last = (p.value for p in weights)
            seen = minitorch.maxpool2d((minitorch.conv2d(x, filters) + bias).relu(), (2, 2))
            seen = minitorch.dropout(seen.view(x.shape[0], 16), 0.25)
            loss = losses.nll_loss(minitorch.logsoftmax(seen @ matrix + last, 1), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return step

    for optimizer in (minitorch.SGD(weights, lr=0.1, momentum=0.9), minitorch.Adam(weights, lr=0.1)):
        yield program_of(train(optimizer), tensor(6, 3, 4, 4), labels)

    def noisy(x: Tensor) -> Tensor:
        return x * minitorch.rand_like(x) + minitorch.randn((3, 40, 1), FastBackend, dtype=dtype)

    yield program_of(noisy, tensor(3, 40, 70))

    def functions(x: Tensor, y: Tensor, places: Tensor, number: float) -> list[Any]:
        inside = minitorch.where(x > y, Erf.apply(x), y.sigmoid() * number)
        folded = [(x * y).sum(dim) for dim in range(3)] + [
            (x * 2.0).max(0),
            (x.exp() / y).mean(),
            x.permute(2, 1, 0).sum(0),
        ]
        few = (places < 3) | ~(places == 1)
        counted = [few.sum(), minitorch.where(few, places, 0), few.float(), few & few, Tanh.apply(x)]
        picked = [x[places], (x[places] * 2.0).sum(), places * 2, x.to("int64")]
        # What the library itself computes otherwise, and a backend has all the same.
        chosen = [x.backend.log_back_zip(x, y), x.backend.max_reduce(x, 2), x[:, 0, 0].sort(0)[0]]
        return [inside, x**y, -x, *folded, *picked, x.var(1), *counted, *chosen]

    yield program_of(functions, tensor(3, 40, 70), tensor(3, 40, 70), labels, 2.0)

    operations = Operations(TABLE, 0, FastBackend)
    arguments = [make(array, FastBackend, dtype, requires_grad=True) for array in operations.arguments]
    yield program_of(operations.step, arguments)
