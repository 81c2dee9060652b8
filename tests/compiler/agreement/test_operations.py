"""Every operation gives in a compiled step what it gives in an eager one: values and gradients, in every layout.

Compiling costs seconds a program, so many operations share one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch import nn
from minitorch import tensor_functions as tf
from minitorch.fast_ops import FastBackend
from minitorch.tensor import Tensor
from minitorch.tensor_ops import TensorBackend

from ...cases import Array, make
from ...op_cases import TABLE, WITHOUT_ROW, Case, drawn, registered
from .agree import assert_agree

DTYPES = {"float64": 1e-12, "float32": 1e-5}


def permuted(array: Array, case: Case) -> tuple[Array, Callable[[Tensor], Tensor]]:
    order = tuple(reversed(range(array.ndim)))
    return array.transpose(order), lambda x: x.permute(*order)


def expanded(array: Array, case: Case) -> tuple[Array, Callable[[Tensor], Tensor]]:
    axis = case.expand
    if axis is None:
        axis = max((d for d, n in enumerate(array.shape) if n > 1), default=0)
    return array.take([0], axis), lambda x: tf.Expand.apply(x, array.shape)


def narrowed(array: Array, case: Case) -> tuple[Array, Callable[[Tensor], Tensor]]:
    def middle(x: Tensor) -> Tensor:
        for d, n in enumerate(array.shape):
            x = tf.Narrow.apply(x, d, 1, n + 1)
        return x

    return np.pad(array, 1, constant_values=9.0), middle


# By name: the argument that a program receives, and how it walks it to the operand. The layout is a matter of the
# program's own walks: an argument that is not contiguous is copied before.
LAYOUTS: dict[str, Callable[[Array, Case], tuple[Array, Callable[[Tensor], Tensor]]]] = {
    "permuted": permuted,
    "one": lambda array, case: (array, lambda x: x),
    "sliced": narrowed,
    "none": lambda array, case: (array, lambda x: x),
    "expanded": expanded,
    "contiguous": lambda array, case: (array, lambda x: x),
}

# The table gives dropout its seed and stream; a step draws them anew in every call.
CALLS = {nn.DropoutFun: lambda x: minitorch.dropout(x, 0.4)}


class Operations:
    """Calls of many operations, forward and backward, as one step."""

    def __init__(self, cases: Sequence[Case], turn: int, backend: TensorBackend = FastBackend) -> None:
        self.backend = backend
        layouts = [list(LAYOUTS)[(row + turn) % len(LAYOUTS)] for row in range(len(cases))]
        chosen = [(case, layout) for case, layout in zip(cases, layouts, strict=True) if layout not in case.empty]
        self.cases = [case for case, _ in chosen]
        self.arguments: list[Array] = []
        self.walks: list[list[Callable[[Tensor], Tensor]]] = []
        for case, layout in chosen:
            pairs = [LAYOUTS[layout](array, case) for array in drawn(case, layout, case.draw)]
            self.arguments += [argument for argument, _ in pairs]
            self.walks.append([walk for _, walk in pairs])

    def step(self, arguments: list[Tensor]) -> list[Tensor]:
        results = []
        start = 0
        for case, walks in zip(self.cases, self.walks, strict=True):
            operands = [walk(x) for walk, x in zip(walks, arguments[start:], strict=False)]
            start += len(walks)
            out = CALLS.get(case.op, case.call)(*operands)
            results.append(out)
            if "derivatives" not in case.empty:
                upstream = np.cos(np.arange(out.size)).reshape(out.shape)
                out.backward(make(upstream, self.backend, out.dtype))
        return results

    def run(self, step: Callable[..., Any], dtype: str) -> dict[str, Array | None]:
        minitorch.manual_seed(3)
        arguments = [make(array, self.backend, dtype, requires_grad=True) for array in self.arguments]
        results = step(arguments)
        found: dict[str, Array | None] = {}
        start = 0
        for case, walks, out in zip(self.cases, self.walks, results, strict=True):
            found[case.id] = out.to_numpy().copy()
            for i, x in enumerate(arguments[start : start + len(walks)]):
                found[f"{case.id}, gradient {i}"] = None if x.grad is None else x.grad.to_numpy().copy()
            start += len(walks)
        return found


# A program of every operation takes half a minute to compile, so there are three: in each, neighbouring rows of the
# table have different layouts, and each row meets three of the six.
TURNS = [("float64", 0), ("float64", 1), ("float32", 2)]


@pytest.mark.parametrize(("dtype", "turn"), TURNS)
def test_every_operation_agrees(dtype: str, turn: int) -> None:
    operations = Operations(TABLE, turn)
    eager = operations.run(operations.step, dtype)
    compiled = minitorch.compile(operations.step)
    for _ in range(2):  # the second call begins with what the first left in the program's memory
        for what, value in operations.run(compiled, dtype).items():
            # Upstream gradients are of about 1: where a slope is zero, as of a softmax of equal numbers, they cancel.
            assert_agree(value, eager[what], DTYPES[dtype], what, floor=0.1)


def test_every_registered_operation_has_a_case() -> None:
    covered = {case.op for case in TABLE if "contiguous" not in case.empty}
    assert registered() - covered == set(WITHOUT_ROW)
