"""A compiled step computes what the eager one does: every operation, random networks, whole trainings, to the bit.

Compiling costs seconds a program, so many operations share one, and the examples of a network share their shapes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_mnist_multiclass import Network
from run_sentiment import CNNSentimentKim

import minitorch
from minitorch import losses, nn, optim
from minitorch import tensor_functions as tf
from minitorch.fast_ops import FastBackend
from minitorch.tensor import Tensor

from ..cases import Array, make, normal
from ..op_cases import TABLE, WITHOUT_ROW, Case, drawn, registered

# Random networks: how many here, and how many where time is short.
NETWORKS, NETWORKS_IN_CI = 60, 15

DTYPES = {"float64": 1e-12, "float32": 1e-5}


def assert_agree(compiled: Array | None, eager: Array | None, tolerance: float, what: str = "") -> None:
    """Compare relative to the largest number of the array; both may be missing."""
    assert (compiled is None) == (eager is None), f"{what}: only one of the two is there"
    if compiled is None or eager is None:
        return
    assert (compiled.shape, compiled.dtype) == (eager.shape, eager.dtype), what
    finite = np.abs(eager[np.isfinite(eager)])
    scale = max(1.0, float(finite.max())) if finite.size else 1.0
    np.testing.assert_allclose(compiled, eager, rtol=tolerance, atol=tolerance * scale, err_msg=what)


# --- every operation ---------------------------------------------------------------------------------------------


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
CALLS = {nn.Dropout: lambda x: minitorch.dropout(x, 0.4)}


class Operations:
    """Calls of many operations, forward and backward, as one step."""

    def __init__(self, cases: Sequence[Case], turn: int) -> None:
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
                out.backward(make(upstream, FastBackend, out.dtype))
        return results

    def run(self, step: Callable[..., Any], dtype: str) -> dict[str, Array | None]:
        minitorch.manual_seed(3)
        arguments = [make(array, FastBackend, dtype, requires_grad=True) for array in self.arguments]
        results = step(arguments)
        found: dict[str, Array | None] = {}
        start = 0
        for case, walks, out in zip(self.cases, self.walks, results, strict=True):
            found[case.id] = out.to_numpy().copy()
            for i, x in enumerate(arguments[start : start + len(walks)]):
                found[f"{case.id}, gradient {i}"] = None if x.grad is None else x.grad.to_numpy().copy()
            start += len(walks)
        return found


# A program of every operation takes half a minute to compile, so there are four: in each, neighbouring rows of the
# table have different layouts, and each row meets four of the six.
TURNS = [("float64", 0), ("float64", 1), ("float32", 2)]


@pytest.mark.parametrize(("dtype", "turn"), TURNS)
def test_every_operation_agrees(dtype: str, turn: int) -> None:
    operations = Operations(TABLE, turn)
    eager = operations.run(operations.step, dtype)
    compiled = minitorch.compile(operations.step)
    for _ in range(2):  # the second call begins with what the first left in the program's memory
        for what, value in operations.run(compiled, dtype).items():
            assert_agree(value, eager[what], DTYPES[dtype], what)


def test_every_registered_operation_has_a_case() -> None:
    covered = {case.op for case in TABLE if "contiguous" not in case.empty}
    assert registered() - covered == set(WITHOUT_ROW)


# --- random networks ---------------------------------------------------------------------------------------------

Layer = Callable[[Tensor], Tensor]

WIDTH = 4


def batch_norm(x: Tensor) -> Tensor:
    """Normalise over the batch by hand: what follows needs all of it."""
    mean = x.mean(0)
    centred = x - mean
    return centred / tf.Sqrt.apply((centred * centred).mean(0) + 1e-3)


LAYERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "linear": lambda x, w: x @ w,
    "linear transposed": lambda x, w: x @ w.permute(1, 0),
    "bias": lambda x, w: x + w.sum(0).view(WIDTH),
    "relu": lambda x, w: x.relu(),
    "sigmoid": lambda x, w: x.sigmoid(),
    "exp": lambda x, w: (x * 0.1).exp(),
    "square": lambda x, w: x * x * 0.1,
    "quotient": lambda x, w: x / (w.sum(0).sigmoid().view(WIDTH) + 1.0),
    "softmax": lambda x, w: minitorch.softmax(x, 1),
    "logsoftmax": lambda x, w: minitorch.logsoftmax(x, 1),
    "softmax over the batch": lambda x, w: minitorch.softmax(x, 0),
    "norm": lambda x, w: batch_norm(x),
    "residual": lambda x, w: x + (x @ w).relu(),
    "maximum": lambda x, w: x + minitorch.max(x, 1),
    "maximum over the batch": lambda x, w: x - minitorch.max(x, 0),
    "join": lambda x, w: tf.Cat.apply(tf.Narrow.apply(x, 1, 2, WIDTH), tf.Narrow.apply(x, 1, 0, 2), 1),
    "regroup": lambda x, w: x.contiguous().view(x.shape[0] * 2, 2).permute(1, 0).contiguous().view(*x.shape),
    "first image": lambda x, w: x * tf.Narrow.apply(x, 0, 0, 1),
    "convolution": lambda x, w: (
        minitorch.conv1d(x.view(x.shape[0], 1, WIDTH), w.view(WIDTH, 1, WIDTH)).mean(1).view(*x.shape)
    ),
}


@settings(max_examples=NETWORKS_IN_CI if os.environ.get("CI") else NETWORKS)
@given(
    names=st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=5),
    batch=st.sampled_from([1, 3, 6, 17]),
    mean=st.booleans(),
)
def test_random_networks_agree(names: list[str], batch: int, mean: bool) -> None:
    rng = np.random.default_rng(len(names))
    x = normal(rng, (batch, WIDTH))
    weights = [normal(rng, (WIDTH, WIDTH)) for _ in names]

    def step(x: Tensor, *weights: Tensor) -> Tensor:
        out = x
        for name, w in zip(names, weights, strict=True):
            out = LAYERS[name](out, w)
        loss = (out * out).mean() if mean else (out * out.sigmoid()).sum()
        loss.backward()
        return out

    def run(step: Callable[..., Tensor]) -> list[Array | None]:
        arguments = [make(a, FastBackend, requires_grad=True) for a in (x, *weights)]
        out = step(*arguments)
        return [out.to_numpy(), *(None if a.grad is None else a.grad.to_numpy() for a in arguments)]

    for k, (a, b) in enumerate(zip(run(minitorch.compile(step)), run(step), strict=True)):
        assert_agree(a, b, 1e-10, f"number {k} of {names}")


# --- trainings ---------------------------------------------------------------------------------------------------


def parameters_of(model: minitorch.Module) -> list[Array]:
    return [p.value.to_numpy().copy() for p in model.parameters()]


class Training:
    """A model, its optimiser, and batches of random numbers."""

    def __init__(
        self,
        model: Callable[[], minitorch.Module],
        optimizer: Callable[..., Any],
        loss: Callable[[minitorch.Module, Tensor, Any], Tensor],
        batch: Callable[[np.random.Generator], tuple[Array, Array]],
        dtype: str,
    ) -> None:
        self.model, self.optimizer, self.loss, self.batch, self.dtype = model, optimizer, loss, batch, dtype

    def run(self, steps: int, compiled: bool) -> tuple[list[float], list[Array]]:
        minitorch.manual_seed(5)
        model = self.model()
        optimizer = self.optimizer(model.parameters())

        def step(x: Tensor, y: Any) -> Tensor:
            optimizer.zero_grad()
            loss = self.loss(model, x, y)
            loss.backward()
            optimizer.step()
            return loss

        run = minitorch.compile(step) if compiled else step
        rng = np.random.default_rng(6)
        values = []
        for _ in range(steps):
            x, y = self.batch(rng)
            labels = y if y.dtype.kind == "i" else make(y, FastBackend, self.dtype)
            values.append(run(make(x, FastBackend, self.dtype), labels).item())
        return values, parameters_of(model)

    def agree(self, steps: int, tolerance: float) -> None:
        values, parameters = self.run(steps, compiled=True)
        expected_values, expected = self.run(steps, compiled=False)
        np.testing.assert_allclose(values, expected_values, rtol=tolerance)
        for k, (a, b) in enumerate(zip(parameters, expected, strict=True)):
            assert_agree(a, b, tolerance, f"parameter {k}")
        assert len(set(values)) > 1, "nothing was learnt"


def digits(rng: np.random.Generator, batch: int) -> tuple[Array, Array]:
    return rng.normal(size=(batch, 1, 28, 28)), np.eye(10)[rng.integers(0, 10, batch)]


def likelihood(model: minitorch.Module, x: Tensor, y: Tensor) -> Tensor:
    return (model(x) * y).sum() * (-1.0 / x.shape[0])


def lenet(dtype: str, batch: int = 8) -> Training:
    """Give LeNet with its dropout: the masks are those of the eager step."""
    return Training(
        lambda: Network(FastBackend, dtype),
        partial(optim.SGD, lr=0.05),
        likelihood,
        partial(digits, batch=batch),
        dtype,
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-4)])
def test_lenet_trains_the_same(dtype: str, tolerance: float) -> None:
    lenet(dtype).agree(20, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-4)])
def test_kims_network_trains_the_same(dtype: str, tolerance: float) -> None:
    def loss(model: minitorch.Module, x: Tensor, y: Tensor) -> Tensor:
        return losses.binary_cross_entropy(model(x), y)

    def batch(rng: np.random.Generator) -> tuple[Array, Array]:
        return rng.normal(size=(6, 9, 10)), rng.integers(0, 2, 6).astype(float)

    def model() -> minitorch.Module:
        return CNNSentimentKim(7, 10, dropout=0.25, embedding_dropout=0.2, dtype=dtype)

    Training(model, partial(optim.SGD, lr=0.1), loss, batch, dtype).agree(5, tolerance)


class MLP(minitorch.Module):
    """Two layers, with a normalisation over the batch between them if wanted."""

    def __init__(self, dtype: str, normalise: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.normalise, self.rate = normalise, dropout

        def made(*shape: int) -> minitorch.Parameter:
            return minitorch.Parameter(minitorch.rand(shape, backend=FastBackend, dtype=dtype) - 0.5)

        self.first, self.bias = made(5, 7), made(7)
        self.second = made(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Give scores, ``batch x 3``."""
        hidden = x @ self.first.value + self.bias.value
        if self.normalise:
            hidden = batch_norm(hidden)
        return minitorch.dropout(hidden.relu(), self.rate) @ self.second.value


def rows(rng: np.random.Generator, batch: int = 6) -> tuple[Array, Array]:
    return rng.normal(size=(batch, 5)), rng.integers(0, 3, batch)


def classify(model: minitorch.Module, x: Tensor, y: Any) -> Tensor:
    return losses.cross_entropy(model(x), y)


OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "SGD": partial(optim.SGD, lr=0.1),
    "SGD with momentum": partial(optim.SGD, lr=0.1, momentum=0.9, dampening=0.1, weight_decay=1e-2),
    "SGD after Nesterov": partial(optim.SGD, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": partial(optim.Adam, lr=0.01),
    "Adam with amsgrad": partial(optim.Adam, lr=0.01, amsgrad=True, weight_decay=1e-2),
    "AdamW": partial(optim.AdamW, lr=0.01),
    "RMSprop": partial(optim.RMSprop, lr=0.01),
    "RMSprop centred": partial(optim.RMSprop, lr=0.01, momentum=0.9, centered=True),
    "Adadelta": partial(optim.Adadelta, lr=1.0),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_trains_the_same(name: str) -> None:
    Training(lambda: MLP("float64"), OPTIMIZERS[name], classify, rows, "float64").agree(4, 1e-12)


def test_every_optimiser_has_a_case() -> None:
    used = {made.func for made in OPTIMIZERS.values()}
    assert {getattr(optim, name) for name in optim.__all__} - {optim.Optimizer} <= used


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 16, 17])
def test_batches_of_every_size_train_the_same(batch: int) -> None:
    """Normalisation needs the whole batch between two regions; dropout draws by the place in the batch."""
    made = partial(MLP, "float64", normalise=batch > 1, dropout=0.3)  # one row, less its mean, is zero
    Training(made, partial(optim.SGD, lr=0.1), classify, partial(rows, batch=batch), "float64").agree(3, 1e-12)


def test_normalisation_in_float32() -> None:
    made = partial(MLP, "float32", normalise=True, dropout=0.3)
    Training(made, partial(optim.SGD, lr=0.1), classify, partial(rows, batch=17), "float32").agree(3, 1e-4)


def test_losses_agree() -> None:
    """All losses in one step, with class numbers, weights, and labels left out."""
    rng = np.random.default_rng(8)
    scores, other = normal(rng, (6, 3)), normal(rng, (6, 3))
    labels = np.array([0, 2, 1, 1, 0, 2])

    def step(x: Tensor, y: Tensor, weight: Tensor, labels: Any, places: Any) -> list[Tensor]:
        likely = minitorch.logsoftmax(x, 1)
        probabilities, targets = x.sigmoid(), y.sigmoid()
        made = [
            losses.nll_loss(likely, labels),
            losses.nll_loss(likely, labels, weight=weight, reduction="sum"),
            losses.cross_entropy(x, labels, label_smoothing=0.1),
            losses.cross_entropy(x, labels, weight=weight, ignore_index=1),
            losses.cross_entropy(x, minitorch.softmax(y, 1)),
            losses.cross_entropy(x.view(2, 3, 3), places, label_smoothing=0.1),
            losses.binary_cross_entropy(probabilities, targets),
            losses.binary_cross_entropy_with_logits(x, targets),
            losses.mse_loss(x, y),
            losses.l1_loss(x, y, reduction="sum"),
            losses.smooth_l1_loss(x, y),
        ]
        total = made[0]
        for k, loss in enumerate(made[1:]):
            total = total + loss * (0.5 + k)
        total.backward()
        return [*made, losses.cross_entropy(x, labels, reduction="none")]

    def run(step: Callable[..., list[Tensor]]) -> list[Array]:
        x, y = (make(a, FastBackend, requires_grad=True) for a in (scores, other))
        results = step(x, y, make([1.0, 2.0, 0.5], FastBackend), labels, labels.reshape(2, 3))
        gradients = [x.grad, y.grad]
        return [t.to_numpy() for t in [*results, *gradients] if t is not None]

    compiled, eager = run(minitorch.compile(step)), run(step)
    assert len(compiled) == len(eager) == 14
    for k, (a, b) in enumerate(zip(compiled, eager, strict=True)):
        assert_agree(a, b, 1e-12, f"result {k}")


def test_an_argument_without_a_batch() -> None:
    def step(x: Tensor, scale: Tensor, power: float) -> Tensor:
        return (x * scale).sum(0) * power + scale

    x = make(normal(np.random.default_rng(9), (9, 3)), FastBackend)
    run = minitorch.compile(step)
    for scale in (make(2.5, FastBackend), make([0.5], FastBackend)):
        for power in (1.0, -3.5):
            assert_agree(run(x, scale, power).to_numpy(), step(x, scale, power).to_numpy(), 1e-12)


# --- bits --------------------------------------------------------------------------------------------------------

PROGRAM = """
import hashlib, sys
import numpy as np
from tests.compiler.test_agreement import lenet
values, parameters = lenet("float32", batch=17).run(3, compiled=True)
digest = hashlib.sha256(np.array(values).tobytes())
for p in parameters:
    digest.update(p.tobytes())
print(digest.hexdigest())
"""


def test_bits_depend_neither_on_threads_nor_on_the_cache(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root), str(root / "project")])

    def bits(threads: int) -> str:
        environment = os.environ | {
            "NUMBA_NUM_THREADS": str(threads),
            "MINITORCH_CACHE": str(tmp_path),
            "PYTHONPATH": path,
        }
        run = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    # The first process compiles, the others load what it kept.
    assert {threads: bits(threads) for threads in (1, 2, 3, 4)} == dict.fromkeys((1, 2, 3, 4), bits(1))
