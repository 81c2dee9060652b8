"""Random numbers that a compiled step draws: each call has its own, and they are those of the eager step."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch import cells, convolution, init
from minitorch.compiler.emit.grouping import group_kernels
from minitorch.compiler.graph import UNSTORED, Graph
from minitorch.compiler.passes.simplify import simplify
from minitorch.compiler.passes.split import split
from minitorch.compiler.trace.stand_ins import Stream
from minitorch.compiler.trace.tracer import Tracer
from minitorch.errors import ArgumentError, BackendError, CompileError, DTypeError
from minitorch.fast_ops import FastBackend
from minitorch.kernels import elements
from minitorch.losses import binary_cross_entropy_with_logits
from minitorch.optim import Adam
from minitorch.random import STREAMS_OF_A_THREAD, Generator, default_generator
from minitorch.tensor import Tensor

from ..cases import Array, make
from .walks import FLOAT, apply, source

ROOT = Path(__file__).parents[2]

# Relative, between NumPy's logarithm and cosine and those of the compiled loops.
ROUNDING = {np.dtype(np.float64): 1e-12, np.dtype(np.float32): 1e-6}


def arrays_of(result: Any) -> list[Array]:
    return [t.to_numpy().copy() for t in (result if isinstance(result, (list, tuple)) else [result])]


def agree(step: Callable[..., Any], calls: Sequence[tuple[Any, ...]], scale: float = 1.0) -> Any:
    """Run a step eagerly and compiled: results are equal, and the generator stands where it did after every call.

    Args:
        step: the step.
        calls: its arguments, call by call.
        scale: how much rounding more than that of one draw is let pass.

    Returns:
        The compiled step.
    """
    compiled = minitorch.compile(step)
    runs = []
    for run in (step, compiled):
        minitorch.manual_seed(7)
        runs.append([(arrays_of(run(*args)), default_generator.state) for args in calls])
    for (expected, state), (found, compiled_state) in zip(*runs, strict=True):
        assert compiled_state == state
        for ours, theirs in zip(found, expected, strict=True):
            assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
            rounding = scale * ROUNDING.get(theirs.dtype, 0.0)
            np.testing.assert_allclose(ours, theirs, rtol=rounding, atol=rounding)
    return compiled


def x_of(*shape: int, dtype: str = "float64") -> Tensor:
    return make(np.cos(np.arange(np.prod(shape))).reshape(shape), FastBackend, dtype)


# --- values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (1,), (3,), (4, 1, 5), (33, 7)], ids=str)
def test_draws_are_those_of_the_eager_step(shape: tuple[int, ...], dtype: str) -> None:
    def step(x: Tensor) -> list[Tensor]:
        make_one = {"backend": FastBackend, "dtype": dtype}
        drawn = [minitorch.rand(shape, **make_one), minitorch.randn(shape, **make_one)]
        return [*drawn, minitorch.rand_like(x), minitorch.randn_like(x), x + drawn[0].sum()]

    compiled = agree(step, [(x_of(2, 3, dtype=dtype),)] * 3, scale=4.0)
    assert len(compiled.traces) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_numbers_are_equal_to_the_last_bit(dtype: str) -> None:
    step = minitorch.compile(lambda x: minitorch.rand_like(x))
    for seed in (1, 2**63 + 5):
        minitorch.manual_seed(seed)
        found = [step(x_of(17, 5, dtype=dtype)).to_numpy().copy() for _ in range(2)]
        generator = Generator(seed)
        np.testing.assert_array_equal(found, [generator.uniform((17, 5), dtype) for _ in range(2)])


def test_a_draw_is_normal_in_the_tails_too() -> None:
    step = minitorch.compile(lambda x: minitorch.randn_like(x))
    minitorch.manual_seed(3)
    found, expected = step(x_of(200_000)).to_numpy(), Generator(3).normal(200_000)
    assert np.abs(expected).max() > 4.0
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_the_dtype_is_that_of_the_eager_step() -> None:
    def step(x: Tensor) -> list[Tensor]:
        whole = minitorch.arange(6, backend=FastBackend)
        return [
            minitorch.rand((6,), FastBackend),
            minitorch.randn_like(x, "float64"),
            minitorch.rand_like(whole, "float32"),
        ]

    agree(step, [(x_of(6, dtype="float32"),)] * 2)
    with pytest.raises(DTypeError, match="float32 or float64"):
        minitorch.compile(lambda x: minitorch.rand_like(x.to("int64")))(x_of(3))


def test_whole_numbers_are_those_of_the_eager_step() -> None:
    def step(x: Tensor) -> list[Tensor]:
        dice = minitorch.randint(1, 7, x.shape, FastBackend)
        signs = minitorch.randint(-3, 4, (50,), FastBackend, dtype="float32")
        return [dice, signs, minitorch.randint(2, (), backend=FastBackend), x[dice[:, 0] - 1]]

    compiled = agree(step, [(x_of(6, 200),)] * 2)
    dice = compiled(x_of(6, 200))[0].to_numpy()
    assert sorted(set(dice.reshape(-1).tolist())) == [1, 2, 3, 4, 5, 6]
    with pytest.raises(ArgumentError, match="low below high, got 3 and 3"):
        minitorch.compile(lambda x: minitorch.randint(3, 3, (2,), FastBackend))(x_of(2))


# How draws are read: by the loops of one operation or more, and by kernels that read memory.
READERS: dict[str, Callable[[Tensor], Any]] = {
    "view": lambda x: x + minitorch.rand((3, 64), FastBackend).permute(1, 0)[::4, 1:2],
    "part": lambda x: x * minitorch.randn((40, 12), FastBackend)[8:24, 3:9],
    "expanded": lambda x: x + minitorch.rand((16, 1), FastBackend) * minitorch.rand((6,), FastBackend),
    "one": lambda x: x + minitorch.rand((), FastBackend),
    "regrouped": lambda x: x + minitorch.randn((96,), FastBackend).view(16, 6),
    "two of one": lambda x: (lambda u: [u.exp(), u @ x.permute(1, 0), u.sum(0)])(minitorch.rand_like(x)),
    "sum over the batch": lambda x: (x * minitorch.randn_like(x)).sum(0),
    "sum along": lambda x: minitorch.rand_like(x).sum(1),
    "whole sum": lambda x: minitorch.randn_like(x).sum() + x,
    "sum of nothing": lambda x: minitorch.rand((0, 3), FastBackend).sum(0) + x.sum(),
    "mean": lambda x: minitorch.rand((40,), FastBackend).mean() * x,
    "product": lambda x: x @ minitorch.randn((6, 3), FastBackend),
    "product of two": lambda x: minitorch.rand((5, 16), FastBackend) @ minitorch.rand((16, 4), FastBackend) + x.sum(),
    "product with the batch": lambda x: x.permute(1, 0) @ minitorch.randn((16, 16), FastBackend),
    "maximum": lambda x: minitorch.max(minitorch.rand_like(x), 1) + x,
    "softmax": lambda x: minitorch.softmax(minitorch.randn_like(x), 1) * x,
    "sorted": lambda x: minitorch.rand_like(x).sort(1).values + x,
    "join": lambda x: minitorch.cat([minitorch.rand_like(x), x, minitorch.randn_like(x)], 1),
    "join of many": lambda x: minitorch.cat([x] * 6 + [minitorch.rand_like(x) for _ in range(6)], 0),
    "where": lambda x: minitorch.where(minitorch.rand_like(x) < 0.5, x, 0.0),
    "compared": lambda x: (minitorch.rand_like(x) > 0.3) * x,
    "converted": lambda x: (minitorch.rand_like(x) * 6.0).to("int64").to("float64") + x,
    "image": lambda x: convolution.conv2d(minitorch.randn((16, 1, 5, 5), FastBackend), FILTERS) + x.sum(),
    "filter": lambda x: convolution.conv2d(IMAGES, minitorch.randn((2, 1, 3, 3), FastBackend)) + x.sum(),
    "bias": lambda x: convolution.conv2d(IMAGES, FILTERS, minitorch.rand((2,), FastBackend)).relu() + x.sum(),
    "input of one": lambda x: [minitorch.rand_like(x).permute(1, 0), minitorch.randn_like(x).view(-1)],
}
FILTERS = make(np.sin(np.arange(18.0)).reshape(2, 1, 3, 3), FastBackend)
IMAGES = make(np.cos(np.arange(400.0)).reshape(16, 1, 5, 5), FastBackend)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_every_kind_of_reader_sees_the_draws(read: Callable[[Tensor], Any]) -> None:
    agree(read, [(x_of(16, 6),)] * 2, scale=100.0)


# --- streams ---------------------------------------------------------------------------------------------------


def test_two_draws_of_one_step_are_unlike_and_so_are_those_of_two_calls() -> None:
    step = minitorch.compile(lambda x: [minitorch.rand_like(x), minitorch.rand_like(x)])
    drawn = [t.to_numpy().copy() for _ in range(3) for t in step(x_of(50))]
    assert len({array.tobytes() for array in drawn}) == 6


def test_equal_draws_are_not_one_operation() -> None:
    graph = Graph()
    draws = [graph.add("uniform", (), (Stream(0, k),), (3,), FLOAT) for k in (0, 1, 0)]
    total = apply(graph, elements.add, apply(graph, elements.add, draws[0], draws[1]), draws[2])
    graph.outputs = [total.ref()]
    assert [node.args[0].index for node in simplify(graph) if node.op == "uniform"] == [0, 1]


def test_draws_stand_beside_dropout_in_the_order_of_the_step() -> None:
    def step(x: Tensor) -> list[Tensor]:
        noisy = minitorch.dropout(x + minitorch.randn_like(x), 0.4)
        return [minitorch.dropout(noisy * minitorch.rand_like(x), 0.2), noisy]

    agree(step, [(x_of(20, 3),)] * 3)


def test_a_draw_that_nobody_reads_takes_its_stream() -> None:
    def step(x: Tensor) -> Tensor:
        minitorch.randn_like(x)
        first = minitorch.rand_like(x)
        minitorch.rand((3,), FastBackend)
        return first + minitorch.rand_like(x)

    compiled = agree(step, [(x_of(9),)] * 2)
    assert [node.op for node in compiled.graph].count("uniform") == 2
    assert default_generator.state == (7, 10)


def test_each_shape_has_a_program_and_all_draw_from_one_row_of_streams() -> None:
    compiled = agree(lambda x: x + minitorch.randn_like(x), [(x_of(n, 2),) for n in (3, 20, 3, 5, 20)])
    assert len(compiled.traces) == 3


def test_seeding_between_calls_is_followed() -> None:
    step = minitorch.compile(lambda x: minitorch.rand_like(x))
    found = []
    for seed in (1, 2, 1):
        minitorch.manual_seed(seed)
        found.append(step(x_of(8)).tolist())
    assert found[0] == found[2] != found[1]


def test_a_generator_of_one_s_own_is_drawn_from() -> None:
    first, second = Generator(3), Generator(4)

    def step(x: Tensor) -> list[Tensor]:
        return [
            minitorch.rand_like(x, generator=first),
            minitorch.rand((5,), FastBackend, generator=second),
            minitorch.randn_like(x, generator=first),
            minitorch.randn((), FastBackend),
        ]

    runs = []
    for run in (step, minitorch.compile(step)):
        first.manual_seed(3)
        second.manual_seed(4)
        minitorch.manual_seed(5)
        results = [arrays_of(run(x_of(3, 4))) for _ in range(3)]
        runs.append((results, first.state, second.state, default_generator.state))
    (expected, *states), (found, *compiled_states) = runs
    assert compiled_states == states == [(3, 9), (4, 3), (5, 6)]
    for ours, theirs in zip(chain(*found), chain(*expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    np.testing.assert_array_equal(expected[0][0], Generator(3).uniform((3, 4)))


def test_a_thread_may_look_at_its_generator_for_the_first_time_while_it_traces() -> None:
    def first_stream() -> Any:
        cells.tracing.tracer = Tracer()
        return default_generator.next_stream(), default_generator._stream

    with ThreadPoolExecutor(1) as pool:  # what a thread traces with is its own, and ends with it
        (stream, _), first = pool.submit(first_stream).result(60)
    assert stream == Stream(0, 0)
    assert first % STREAMS_OF_A_THREAD == 0


def test_another_generator_is_followed() -> None:
    generator = Generator(3)
    step = minitorch.compile(lambda x: minitorch.rand_like(x, generator=generator))
    np.testing.assert_array_equal(step(x_of(4)).to_numpy(), Generator(3).uniform(4))
    generator = Generator(9)
    np.testing.assert_array_equal(step(x_of(4)).to_numpy(), Generator(9).uniform(4))


def test_more_draws_than_a_loop_has_operands() -> None:
    def step(x: Tensor) -> list[Tensor]:
        sums = []
        for _ in range(3):
            total = x
            for _ in range(30):
                total = total + minitorch.rand_like(x)
            sums.append(total)
        return sums

    agree(step, [(x_of(5),)] * 2, scale=100.0)


# --- where draws are made --------------------------------------------------------------------------------------


def test_draws_are_made_in_the_loop_that_reads_them() -> None:
    step = minitorch.compile(lambda mean, std: mean + minitorch.randn_like(std) * std)
    step(x_of(64, 8), x_of(64, 8))
    assert len(step.passes["kernels"]) == 1
    assert len(step.passes["memory"]) == 0
    assert "def uniform_normal_mul_add_loop(" in step.source


def test_a_draw_for_each_example_is_divided_with_the_batch() -> None:
    graph = Graph()
    x = source(graph, 16, 3)
    noise = graph.add("uniform", (), (Stream(0, 0),), (16, 3), FLOAT)
    weights = graph.add("uniform", (), (Stream(0, 1),), (3, 3), FLOAT)
    turned = apply(graph, elements.neg, noise)
    moved = apply(graph, elements.neg, weights)
    product = graph.add(
        "matrix_multiply", (apply(graph, elements.add, x, turned).ref(), moved.ref()), (), (16, 3), FLOAT
    )
    graph.outputs = [product.ref()]
    schedule = split(graph, 16)
    batched = [node.op for node in schedule.graph if schedule.is_batched(node)]
    assert batched == ["map", "zip", "matrix_multiply"]
    assert schedule.chunks > 1
    inside = group_kernels(schedule).inside
    assert all(node.number in inside for node in schedule.graph if node.op in UNSTORED)


THREADS = """
import hashlib, sys
import numpy as np
import minitorch

def step(x):
    noisy = x + 0.1 * minitorch.randn_like(x)
    other = minitorch.randn((300, 300), x.backend)
    return minitorch.dropout(noisy, 0.3) * minitorch.rand_like(x), noisy.sum(0), other.sum(0)

minitorch.manual_seed(3)
x = minitorch.tensor(np.cos(np.arange(64000.0)).reshape(64, 1000), backend=minitorch.FastBackend)
run = minitorch.compile(step)
digest = hashlib.sha256()
for _ in range(2):
    for result in run(x):
        digest.update(result.to_numpy().tobytes())
print(run.traces[0].machine.program.parallel, digest.hexdigest())
"""


def test_bits_do_not_depend_on_threads() -> None:
    found = []
    for threads in ("1", "3"):
        environment = os.environ | {"NUMBA_NUM_THREADS": threads, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", THREADS]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found.append(done.stdout.split())
    assert found[0] == found[1]
    assert found[0][0] == "True"


# --- trainings -------------------------------------------------------------------------------------------------


class Autoencoder(minitorch.Module):
    """A variational autoencoder (Kingma and Welling, 2014) of eight pixels and two hidden numbers."""

    def __init__(self, dtype: str) -> None:
        super().__init__()
        options: dict[str, Any] = {"backend": FastBackend, "dtype": dtype}
        self.encode = minitorch.layers.Linear(8, 5, **options)
        self.mean = minitorch.layers.Linear(5, 2, **options)
        self.log_variance = minitorch.layers.Linear(5, 2, **options)
        self.decode = minitorch.layers.Linear(2, 8, **options)

    def forward(self, x: Tensor) -> Tensor:
        """Give the loss: the evidence lower bound, with its sign turned."""
        hidden = self.encode(minitorch.dropout(x, 0.1)).relu()
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        std = (log_variance * 0.5).exp()
        drawn = mean + minitorch.randn_like(std) * std
        likelihood = binary_cross_entropy_with_logits(self.decode(drawn), x)
        divergence = (mean * mean + log_variance.exp() - log_variance - 1.0).mean() * 0.5
        return likelihood + divergence


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-11), ("float32", 1e-4)])
def test_a_variational_autoencoder_trains_as_it_does_eagerly(dtype: str, tolerance: float) -> None:
    rng = np.random.default_rng(2)
    batches = [make(rng.uniform(size=(size, 8)), FastBackend, dtype) for size in (24, 24, 7, 24) * 5]
    runs = []
    for wrap in (lambda step: step, minitorch.compile):
        minitorch.manual_seed(1)
        model = Autoencoder(dtype)
        optimizer = Adam(model.parameters(), lr=0.02)

        def step(x: Tensor, model: Any = model, optimizer: Any = optimizer) -> Tensor:
            loss = model(x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        run = wrap(step)
        values = [run(x).item() for x in batches]
        runs.append((values, [p.value.to_numpy().copy() for p in model.parameters()], default_generator.state))
    (expected, weights, state), (found, compiled_weights, compiled_state) = runs
    assert compiled_state == state
    np.testing.assert_allclose(found, expected, rtol=tolerance)
    for ours, theirs in zip(compiled_weights, weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
    assert expected[-1] < expected[0]


def test_a_drawn_tensor_may_want_a_gradient() -> None:
    def step(x: Tensor) -> list[Tensor]:
        drawn = minitorch.rand((3,), FastBackend, requires_grad=True)
        (x * drawn * drawn).sum().backward()
        assert drawn.grad is not None
        return [drawn.grad, drawn.detach()]

    agree(step, [(x_of(3),)] * 2)


# --- what is refused -------------------------------------------------------------------------------------------


GENERATOR = Generator(5)
REFUSED: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "an array": (lambda x: x * GENERATOR.uniform(3)[0], "minitorch.rand"),
    "an array of the default generator": (lambda x: x * default_generator.normal(3)[0], "outside and pass them in"),
    "a permutation": (lambda x: x[GENERATOR.permutation(3)], "minitorch.randn"),
    "words": (lambda x: x * float(GENERATOR.words(1)[0]), "outside and pass them in"),
    "initial weights": (lambda x: x * init.normal((3,), backend=FastBackend), "minitorch.randn"),
    "a seed": (lambda x: x * (minitorch.manual_seed(3) or 1.0), "Seed it outside"),
    "a new generator": (lambda x: minitorch.rand_like(x, generator=Generator(3)), "Seed it outside"),
    "a state": (lambda x: x * (setattr(GENERATOR, "state", (1, 2)) or 1.0), "Seed it outside"),
    "a state that is read": (lambda x: x * GENERATOR.state[1], "Read them outside"),
    "a seed that is read": (lambda x: x * GENERATOR.seed, "Read them outside"),
    "a stream that is read": (lambda x: x * GENERATOR.stream, "Read them outside"),
    "the default seed": (lambda x: x * minitorch.initial_seed(), "Read them outside"),
}


@pytest.mark.parametrize(("step", "way_out"), REFUSED.values(), ids=REFUSED)
def test_what_a_program_would_freeze_is_refused(step: Callable[[Tensor], Any], way_out: str) -> None:
    before = GENERATOR.state, default_generator.state
    with pytest.raises(CompileError, match=rf"random numbers.*{way_out}.*minitorch\.debug.*test_draws\.py:\d+"):
        minitorch.compile(step)(x_of(3))
    assert (GENERATOR.state, default_generator.state) == before
    with minitorch.debug():
        minitorch.compile(step)(x_of(3))


def test_draws_are_on_the_backend_of_the_step() -> None:
    for draw in (minitorch.rand, minitorch.randn):
        with pytest.raises(BackendError, match="the tensors of a compiled step are on one backend"):
            minitorch.compile(lambda x, draw=draw: x + draw((3,)))(x_of(3))
    assert minitorch.compile(lambda: minitorch.randn((3,), FastBackend))().backend is FastBackend
