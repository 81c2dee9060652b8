"""Steps that are compiled for the GPU: they give what eager ones give, on the CPU too, and keep what others hold."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
import pytest

import minitorch
from minitorch import layers, losses
from minitorch.compiler.cuda import machine
from minitorch.compiler.cuda.replay import FAILED, GRAPHS, Replay
from minitorch.errors import BackendError, CompileError, IndexingError
from minitorch.fast_ops import FastBackend
from minitorch.kernels.cuda import driver
from minitorch.kernels.cuda.driver import simulated
from minitorch.kernels.cuda.launch import Kernel
from minitorch.kernels.cuda.settings import AT_ONCE
from minitorch.tensor import Tensor
from minitorch.tensor_ops import SimpleBackend, TensorBackend
from tests.cases import BACKENDS, LAYOUTS, assert_close, make, normal
from tests.compiler.agreement.test_functions import masks
from tests.compiler.agreement.test_operations import TABLE, Operations

GPU = BACKENDS["cuda"]


def test_operations_agree() -> None:
    """Values and gradients of one program that has every second of them, each in one layout: the simulator is slow."""
    eager = Operations(TABLE[::2], 0, SimpleBackend)
    compiled = Operations(TABLE[::2], 0, GPU)
    expected = eager.run(eager.step, "float64")
    found = compiled.run(minitorch.compile(compiled.step), "float64")
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert (value is None) == (expected[name] is None), name
        if value is not None:
            assert_close(value, expected[name])


def test_masks_agree() -> None:
    rng = np.random.default_rng(0)
    operands = [(rng.normal(size=(3, 4)), "float64"), *((rng.integers(0, 4, (3, 4)), "int64") for _ in range(2))]
    expected = masks(*(make(a, SimpleBackend, dtype) for a, dtype in operands))
    results = [step(*(make(a, GPU, dtype) for a, dtype in operands)) for step in (masks, minitorch.compile(masks))]
    for found in results:
        for i, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
            assert (i, ours.dtype) == (i, theirs.dtype)
            np.testing.assert_array_equal(ours.to_numpy(), theirs.to_numpy(), err_msg=str(i))


# --- trainings -----------------------------------------------------------------------------------------------------


class SmallNet(minitorch.Module):
    """One of everything that LeNet has."""

    image = (1, 4, 4)

    def __init__(self, backend: TensorBackend) -> None:
        super().__init__()
        options: dict[str, Any] = {"backend": backend, "dtype": "float64"}
        self.conv = layers.Conv2d(1, 2, 3, padding=1, **options)
        self.linear = layers.Linear(8, 3, **options)

    def forward(self, x: Tensor) -> Tensor:
        x = minitorch.maxpool2d(self.conv(x).relu(), (2, 2))
        x = minitorch.dropout(x.view(x.shape[0], 8), 0.25, ignore=not self.training)
        return minitorch.logsoftmax(self.linear(x), 1)


class Perceptron(minitorch.Module):
    """Two layers and a mask, which the simulator runs faster."""

    image = (3,)

    def __init__(self, backend: TensorBackend) -> None:
        super().__init__()
        options: dict[str, Any] = {"backend": backend, "dtype": "float64"}
        self.hidden = layers.Linear(3, 4, **options)
        self.dropout = layers.Dropout(0.25)
        self.classify = layers.Linear(4, 3, **options)

    def forward(self, x: Tensor) -> Tensor:
        return minitorch.logsoftmax(self.classify(self.dropout(self.hidden(x).relu())), 1)


OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "momentum": lambda parameters: minitorch.SGD(parameters, lr=0.1, momentum=0.9),
    "Adam": lambda parameters: minitorch.Adam(parameters, lr=0.05),
}


class Training:
    """Steps on batches of two sizes, with a learning rate that falls."""

    def __init__(
        self, backend: TensorBackend, optimizer: str, compiled: bool, sizes: tuple[int, ...], net: Any = Perceptron
    ) -> None:
        minitorch.manual_seed(4)
        self.backend, self.sizes = backend, sizes
        self.model = net(backend)
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.step = minitorch.compile(self._step) if compiled else self._step

    def _step(self, x: Tensor, labels: Tensor) -> Tensor:
        loss = losses.nll_loss(self.model(x), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def run(self) -> list[np.ndarray]:
        """Give the losses, and the parameters at the end."""
        rng = np.random.default_rng(0)
        found = []
        for size in self.sizes:
            x, labels = normal(rng, (size, *self.model.image)), rng.integers(0, 3, size)
            found.append(self.step(make(x, self.backend), make(labels, self.backend, "int64")).to_numpy())
            for group in self.optimizer.param_groups:
                group["lr"] *= 0.9
        return [*found, *(p.value.to_numpy() for p in self.model.parameters())]


@pytest.mark.parametrize(("optimizer", "backend"), [("momentum", GPU), ("Adam", SimpleBackend)])
def test_a_training_goes_as_an_eager_one(optimizer: str, backend: TensorBackend) -> None:
    sizes = (2, 1, 2)
    compiled = Training(GPU, optimizer, True, sizes, SmallNet)
    found = compiled.run()
    assert len(compiled.step.traces) == 2
    for ours, expected in zip(found, Training(backend, optimizer, False, sizes, SmallNet).run(), strict=True):
        assert_close(ours, expected)
    assert all(p.value.backend is GPU for p in compiled.model.parameters())


def test_equal_trainings_have_equal_bits_and_kernels() -> None:
    kernels, numbers = [], []
    for _ in range(2):
        training = Training(GPU, "momentum", True, (2, 2))
        numbers.append(training.run())
        kernels.append([launch.kernel for launch in training.step.traces[0].machine.program.launches])
    for one, other in zip(*numbers, strict=True):
        np.testing.assert_array_equal(one, other)
    assert all(one is other for one, other in zip(*kernels, strict=True))


# --- arguments and results -------------------------------------------------------------------------------------------


WEIGHT = np.array([[0.5, -1.0], [2.0, 0.25], [1.5, -0.5]])


class Slope:
    """A step that moves one weight, and gives the loss and the weight's gradient."""

    def __init__(self) -> None:
        self.weight = minitorch.Parameter(make(WEIGHT, GPU, requires_grad=True))
        self.sgd = minitorch.SGD([self.weight], lr=0.5)
        self.step = minitorch.compile(self._step)

    def _step(self, x: Tensor) -> Tensor:
        loss = ((x @ self.weight.value).exp()).sum()
        self.sgd.zero_grad()
        loss.backward()
        self.sgd.step()
        return loss


def expected_slope(inputs: list[np.ndarray]) -> tuple[list[float], list[np.ndarray]]:
    weights, values = [WEIGHT], []
    for x in inputs:
        out = np.exp(x @ weights[-1])
        values.append(out.sum())
        weights.append(weights[-1] - 0.5 * x.T @ out)
    return values, weights[1:]


def test_what_somebody_holds_stays() -> None:
    """Losses, old weights and parts of them are what they were, while later calls write others."""
    slope = Slope()
    inputs = [0.1 * normal(np.random.default_rng(k), (2, 3)) for k in range(4)]
    values, weights = expected_slope(inputs)
    ways: list[Callable[[Any], Any]] = [lambda w: w[1:], lambda w: w, lambda w: w.permute(1, 0), lambda w: w[1:, 1:]]
    held = [(slope.step(make(x, GPU)), way(slope.weight.value.detach())) for x, way in zip(inputs, ways, strict=True)]
    for (loss, part), way, value, weight in zip(held, ways, values, weights, strict=True):
        np.testing.assert_allclose(loss.item(), value, rtol=1e-12)
        np.testing.assert_allclose(
            part.to_numpy(), np.transpose(weight) if part.shape == (2, 3) else way(weight), rtol=1e-12
        )


def test_another_thread_computes_and_compiles() -> None:
    """It has to get the GPU's context first, with whatever it begins."""
    x = normal(np.random.default_rng(6), (3, 3))
    there = make(x, GPU)
    step = minitorch.compile(lambda x: (x @ x).exp().sum(1))
    expected = np.exp(x @ x).sum(1, keepdims=True)
    works: list[Callable[[], Any]] = [
        lambda: make(x, GPU),
        lambda: (there @ there).exp().sum(1),
        lambda: step(there),
        lambda: step(make(x, GPU)),
        lambda: minitorch.compile(lambda x: (x @ x).exp().sum(1) * 1.0)(there),
    ]
    for work in works:
        with ThreadPoolExecutor(1) as thread:  # a new one for each
            found = thread.submit(lambda work=work: work().to_numpy()).result()
        assert_close(found, x if work is works[0] else expected)
    assert_close(step(there).to_numpy(), expected)


def test_tensors_take_turns_where_nobody_holds_them() -> None:
    slope = Slope()
    x = make(0.1 * np.ones((2, 3)), GPU)
    seen = []
    for _ in range(5):
        slope.step(x)
        seen.append(machine.address_of(slope.weight.value._tensor._storage))
    assert len(set(seen)) == 2


def test_arguments_of_every_kind_are_read_anew() -> None:
    @minitorch.compile
    def step(x: Tensor, pair: dict[str, Any], scale: float) -> Any:
        return {"out": (x * pair["y"] * scale).sum(1), "same": pair["y"], "twice": (x, scale * 2.0)}

    rng = np.random.default_rng(1)
    for layout in ("contiguous", "permuted", "sliced"):
        x, y = normal(rng, (2, 3)), normal(rng, (2, 3))
        on_gpu = make(x, GPU, layout=LAYOUTS[layout])
        for scale in (2.0, -1.0):
            on_gpu[0, 1] = x[0, 1] = scale  # the same tensor, with another number in it
            found = step(on_gpu, {"y": y}, scale)
            np.testing.assert_allclose(found["out"].to_numpy(), (x * y * scale).sum(1, keepdims=True), rtol=1e-12)
            np.testing.assert_array_equal(found["same"].to_numpy(), y)
            assert (found["twice"][0] is on_gpu, found["twice"][1], found["same"].backend) == (True, 2 * scale, GPU)
    assert len(step.traces) == 1


def test_arrays_of_numpy_are_uploaded_to_where_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not to memory of their own first, from which a kernel would copy them."""
    step = minitorch.compile(lambda pair: pair["x"] * 2.0 + pair["y"] + pair["none"].sum())
    x, y, none = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)[:, 1:3].T, np.ones((0, 2))
    step({"x": make(x, GPU), "y": y, "none": none})
    launched, uploaded = [], []
    start, upload = Kernel.start, machine.upload
    monkeypatch.setattr(Kernel, "start", lambda kernel, *a: launched.append(kernel.__name__) or start(kernel, *a))
    monkeypatch.setattr(machine, "upload", lambda array, to: uploaded.append(array.tolist()) or upload(array, to))
    for k in range(2):
        found = step({"x": make(x + k, GPU), "y": y * (k + 2), "none": none})
        np.testing.assert_array_equal(found.to_numpy(), (x + k) * 2.0 + y * (k + 2))
    assert [array for array in uploaded if array] == [(y * k).reshape(-1).tolist() for k in (2, 3)]
    assert launched.count("map_identity") == 2 * 2  # the other argument, and the result


def test_a_forked_child_runs_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing but a graph would be launched."""
    step = minitorch.compile(lambda x: x * 3.0)
    x = make([1.0], GPU)
    with captured_by(TakenDown()) as taken:
        for _ in range(2):
            step(x)
        monkeypatch.setattr(driver, "simulated", lambda: False)
        monkeypatch.setattr(driver._process, "forked", True)
        with pytest.raises(BackendError, match="forked from one that had started CUDA"):
            step(x)
    assert taken.launched == 1


def test_what_is_known_while_tracing() -> None:
    """Constants, numbers, views, empty tensors and inputs as results."""
    offset = make([[1.0, 2.0]], GPU)

    @minitorch.compile
    def step(x: Tensor, number: float) -> list[Tensor]:
        places = minitorch.arange(0, 3, backend=GPU, dtype="float64").view(1, 3)
        scaled = minitorch.zeros((1, 1), backend=GPU, dtype="float64") + number
        return [x * 0.0 + 1.0, x.permute(1, 0), offset, scaled, x[:0], x[:0].sum(), places @ x, scaled @ x[:1] + offset]

    x = normal(np.random.default_rng(2), (3, 2))
    for number in (2.0, 3.0):
        found = [out.to_numpy() for out in step(make(x, GPU), number)]
        expected = [np.ones((3, 2)), x.T, [[1.0, 2.0]], [[number]], x[:0], [0.0], np.arange(3.0)[None] @ x]
        for ours, theirs in zip(found, [*expected, number * x[:1] + [1.0, 2.0]], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)


FOLDS = {
    "a block": ((5, 3, 4), 1),
    "blocks, in parts": ((4097,), 0),
    "columns": ((3, 40), 0),
    "columns, in parts": ((2, 70, 40), 1),
    "one element": ((1, 1), 0),
}


@pytest.mark.parametrize(("shape", "dim"), FOLDS.values(), ids=FOLDS)
def test_a_reduction_computes_what_it_reads(shape: tuple[int, ...], dim: int) -> None:
    x, y = (np.random.default_rng(k).uniform(0.9, 1.1, shape) for k in (3, 4))
    step = minitorch.compile(lambda x, y: (x * y).sum(dim))
    assert_close(step(make(x, GPU), make(y, GPU)).to_numpy(), (x * y).sum(dim, keepdims=True))
    assert "def mul_sum_kernel(a0, a1, out, n" in step.source
    assert "# mul" not in step.source


def test_a_reduction_walks_what_lies_otherwise() -> None:
    """Permuted, broadcast, and over dimensions on both sides of one that stays."""
    x, y = (np.random.default_rng(k).uniform(0.9, 1.1, (3, 2, 4)) for k in (3, 4))
    step = minitorch.compile(
        lambda x, y: [(x.permute(2, 1, 0) * y[0, 0, 0:3]).sum(0), losses.mse_loss(x, y), x.var((0, 2))]
    )
    found = [out.to_numpy() for out in step(make(x, GPU), make(y, GPU))]
    assert_close(found[0], (x.transpose(2, 1, 0) * y[0, 0, 0:3]).sum(0, keepdims=True))
    assert_close(found[1], np.mean((x - y) ** 2).reshape(found[1].shape))
    assert_close(found[2], x.var((0, 2), ddof=1, keepdims=True).reshape(found[2].shape))


def called(name: str) -> Callable[[Any], Any]:
    """Make a function of one element that has a name."""

    def plus_one(x: Any) -> Any:
        return x + 1

    plus_one.__name__ = name
    return plus_one


def test_a_users_function_may_be_called_as_anything_in_the_kernels_is() -> None:
    """As their variables, the types in them, and what other functions are called in them."""

    def step(names: list[str]) -> Any:
        functions = [called(name) for name in names]

        def all_of_them(x: Tensor) -> list[Tensor]:
            for function in functions:
                x = x.backend.ops.map(function)(x)
            return [minitorch.dropout(x, 0.5), x.permute(1, 0).sum(1), x.sum(1)]

        return minitorch.compile(all_of_them)

    x = normal(np.random.default_rng(5), (2, 33))
    plain = step(["plain"])
    plain(make(x, GPU))
    kernels = plain.source.partition("def program")[0]
    taken = sorted(set(re.findall(r"[a-z_]\w*", kernels)))
    assert {"out", "at", "first", "line", "total", "n", "i", "cuda", "min", "half", "f_plain"} <= set(taken)
    _, *found = step(taken)(make(x, GPU))
    for ours, dim in zip(found, (0, 1), strict=True):
        assert_close(ours.to_numpy(), (x + len(taken)).sum(dim, keepdims=True).reshape(ours.shape))


def test_a_place_outside_is_noticed_with_the_next_number() -> None:
    step = minitorch.compile(lambda x, at: x.gather(1, at))
    x = make(np.arange(6.0).reshape(2, 3), GPU)
    for _ in range(2):
        assert step(x, make([[2], [0]], GPU, "int64")).tolist() == [[2.0], [3.0]]
        with pytest.raises(IndexingError, match="ran on the GPU"):
            step(x, make([[7], [0]], GPU, "int64")).to_numpy()


# --- what can be seen of it, and what is refused ---------------------------------------------------------------------


def test_a_program_shows_its_kernels_and_launches() -> None:
    step = minitorch.compile(lambda x: (x.relu() * 2.0) @ x.permute(1, 0))
    step(make(np.ones((2, 3)), GPU))
    kernel, program = step.source.split("\n\n")
    assert kernel.splitlines() == [
        "def relu_mul_kernel(a0, a1, size):",
        "    for i in range(cuda.grid(1), size, cuda.gridsize(1)):",
        "        x0 = a1[i]",
        "        t0 = float64(f_relu(x0))",
        "        y0 = t0 * float64(2.0)",
        "        a0[i] = y0",
    ]
    assert "    relu_mul_kernel[1, 32](v3, v0, 6)" in program.splitlines()
    assert "matmul_8x1[1, (8, 8)](v4, v3, v0" in program
    assert list(step.passes) == ["trace", "simplify", "lay out"]
    assert "matrix_multiply" in str(step.graph)
    assert "not hold()" in step.call_source


def test_memory_is_used_again() -> None:
    step = minitorch.compile(lambda x: ((((x @ x).exp() @ x).exp() @ x).exp() @ x).exp())
    x = 0.1 * np.eye(16)
    assert_close(step(make(x, GPU)).to_numpy(), np.exp(np.exp(np.exp(np.exp(x @ x) @ x) @ x) @ x))
    assert step.traces[0].machine.program.arena_bytes == 3 * 8 * x.size  # the argument, what is read, what is written


def test_kernels_are_not_timed() -> None:
    step = minitorch.compile(lambda x: x * 2.0)
    with pytest.raises(BackendError, match=r"nsys.*step\.source"):
        step.profile(make([1.0], GPU))


def test_a_value_cannot_be_read() -> None:
    with pytest.raises(CompileError, match="cannot read the value of a tensor"):
        minitorch.compile(lambda x: x if x.sum() > 0 else -x)(make([1.0], GPU))


@pytest.mark.parametrize("other", [FastBackend, SimpleBackend], ids=str)
def test_a_step_runs_on_one_backend(other: TensorBackend) -> None:
    theirs = make([1.0], other)
    step = minitorch.compile(lambda x: x * theirs)
    with pytest.raises(BackendError, match=r"are on TensorBackend\(CudaOps\)") as raised:
        step(make([2.0], GPU))
    assert str(other) in str(raised.value)
    double = minitorch.compile(lambda x: x * 2.0)
    for backend in (FastBackend, GPU, FastBackend):
        assert double(make([2.0], backend)).backend is backend


# --- graphs ----------------------------------------------------------------------------------------------------------


class TakenDown:
    """A driver that captures launches, and runs them when their graph is launched."""

    def __init__(self) -> None:
        self.captured = self.launched = 0
        self.destroyed: list[Any] = []

    def capture(self, start: Callable[[Any], None]) -> Any:
        launches: list[Any] = []

        def take_down(kernel: Kernel, blocks: int, threads: Any, args: Any, stream: Any) -> None:
            assert stream == "a stream"
            # A graph knows addresses, and keeps no array: here each is another array of the same memory.
            launches.append((kernel, blocks, threads, [a[:] if hasattr(a, "copy_to_host") else a for a in args]))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Kernel, "start", take_down)
            start("a stream")
        self.captured += 1
        return launches

    def launch(self, graph: Any) -> None:
        self.launched += 1
        for kernel, blocks, threads, args in graph:
            kernel.start(blocks, threads, args)

    def destroy(self, graph: Any) -> None:
        self.destroyed.append(graph)


@contextmanager
def captured_by(driver: Any) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "graph_driver", lambda: driver)
        yield driver


SIX = (2,) * 6


def graphs_of(training: Training) -> list[Any]:
    """The graphs of a training's one program."""
    (trace,) = training.step.traces
    (memory,) = trace.runtime.memories
    return [graph for graph in memory._replay._graphs.values() if graph is not None]


def test_graphs_are_replayed_with_new_numbers() -> None:
    """Batches, learning rates, step counts and masks are those of each call, in launches that stay the same."""
    training = Training(GPU, "Adam", True, SIX)
    with captured_by(TakenDown()) as driver:
        found = training.run()
    # The first call reads weights that came from outside; then two sets take turns, and are met once each before.
    assert (driver.captured, driver.launched) == (2, 3)
    assert [len(graph) > 10 for graph in graphs_of(training)] == [True, True]
    for ours, expected in zip(found, Training(SimpleBackend, "Adam", False, SIX).run(), strict=True):
        assert_close(ours, expected)


@pytest.mark.skipif(simulated(), reason="Numba's simulator has no CUDA graphs")
def test_the_driver_captures_a_training() -> None:
    training = Training(GPU, "Adam", True, SIX)
    found = training.run()
    assert len(graphs_of(training)) == 2
    assert FAILED not in graphs_of(training)
    for ours, expected in zip(found, Training(GPU, "Adam", False, SIX).run(), strict=True):
        assert_close(ours, expected)


def test_what_is_held_gets_no_graph_and_stays() -> None:
    inputs = [0.1 * normal(np.random.default_rng(k), (2, 3)) for k in range(6)]
    values, weights = expected_slope(inputs)
    with captured_by(TakenDown()) as driver:
        slope = Slope()
        held = [(slope.step(make(x, GPU)), slope.weight.value) for x in inputs]
    assert driver.captured == 0
    for k, (loss, weight) in enumerate(held):
        np.testing.assert_allclose(loss.item(), values[k], rtol=1e-12)
        np.testing.assert_allclose(weight.to_numpy(), weights[k], rtol=1e-12)


def test_results_may_be_held_while_graphs_are_replayed() -> None:
    with captured_by(TakenDown()) as driver:
        step = minitorch.compile(lambda x: (x * 3.0, x.sum()))
        held = [step(make([float(k), 1.0], GPU)) for k in range(4)]
    assert (driver.captured, driver.launched) == (1, 3)
    assert [(a.tolist(), b.tolist()) for a, b in held] == [([3.0 * k, 3.0], [k + 1.0]) for k in range(4)]


def test_a_capture_that_fails_leaves_the_launches() -> None:
    class Failing(TakenDown):
        def capture(self, start: Callable[[Any], None]) -> Any:
            raise BackendError("cuStreamBeginCapture fails with 801")

    step = minitorch.compile(lambda x: x * 3.0)
    with captured_by(Failing()):
        found = [step(make([0.0], GPU)).item()]
    with pytest.warns(RuntimeWarning, match="one by one: cuStreamBeginCapture fails with 801"):
        found.append(step(make([1.0], GPU)).item())
    found.append(step(make([2.0], GPU)).item())
    assert found == [0.0, 3.0, 6.0]


def test_a_capture_that_fails_is_tried_once_and_leaves_the_other_graphs() -> None:
    class Failing(TakenDown):
        tried = 0

        def capture(self, start: Callable[[Any], None]) -> Any:
            self.tried += 1
            if self.tried == 2:
                raise BackendError("no room")
            return super().capture(start)

    driver, runs, said = Failing(), [], []
    replay = Replay(driver)
    for addresses in ("good", "good", "bad", "bad", "bad", "good", "good"):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            replay.run(addresses, lambda stream, name=addresses: None if stream else runs.append(name))
        said += [str(warning.message) for warning in caught]
    assert (driver.tried, driver.captured, driver.launched) == (2, 1, 3)
    assert runs == ["good", "bad", "bad", "bad"]
    assert [message.endswith("one by one: no room") for message in said] == [True]
    del replay
    assert len(driver.destroyed) == 1


def test_the_oldest_graph_is_freed() -> None:
    driver = TakenDown()
    replay = Replay(driver)
    runs: list[Any] = []
    for _ in range(2):
        for addresses in range(GRAPHS):
            replay.run(addresses, lambda stream: None if stream else runs.append("alone"))
    assert (len(runs), driver.captured, driver.launched) == (GRAPHS, GRAPHS, GRAPHS)
    replay.run("another", lambda stream: runs.append("alone"))
    assert len(driver.destroyed) == 1
    del replay
    assert len(driver.destroyed) == GRAPHS


def test_numbers_of_any_count_are_sent() -> None:
    """One launch sends eight."""
    count = AT_ONCE + 3
    factors = [minitorch.Parameter(make([1.0], GPU, requires_grad=True)) for _ in range(count)]
    groups = [{"params": [p], "lr": float(k + 1)} for k, p in enumerate(factors)]
    sgd = minitorch.SGD(groups, lr=1.0)

    @minitorch.compile
    def step() -> None:
        sgd.zero_grad()
        sum((p.value for p in factors[1:]), factors[0].value).sum().backward()
        sgd.step()

    for _ in range(2):
        step()
        for group in sgd.param_groups:
            group["lr"] *= -2.0
    expected = [1.0 - (k + 1) + 2 * (k + 1) for k in range(count)]
    np.testing.assert_allclose([p.value.item() for p in factors], expected)


# --- random numbers --------------------------------------------------------------------------------------------------


def test_a_step_draws_the_numbers_of_the_eager_one() -> None:
    """In loops, folds and operations that read memory, beside dropout, call after call."""

    def step(x: Tensor) -> list[Tensor]:
        noisy = x + minitorch.randn_like(x) * 0.5
        narrow = minitorch.rand((3,), GPU, dtype="float32")
        turned = minitorch.rand((2, 3), GPU).permute(1, 0)
        nothing = minitorch.rand((0, 2), GPU).sum(0)
        drawn = [minitorch.dropout(noisy, 0.3), minitorch.randn((3, 2), GPU).sum(0), narrow, x @ turned, nothing]
        return [*drawn, minitorch.randn((), GPU, dtype="float32") * minitorch.ones((2,), GPU, dtype="float32")]

    x = make(normal(np.random.default_rng(5), (2, 3)), GPU)
    runs = []
    for run in (step, minitorch.compile(step)):
        minitorch.manual_seed(2)
        runs.append([[out.to_numpy() for out in run(x)] for _ in range(2)])
        runs.append(minitorch.random.default_generator.state)
    eager, state, compiled, compiled_state = runs
    assert compiled_state == state
    for ours, theirs in zip(chain(*compiled), chain(*eager), strict=True):
        assert ours.dtype == theirs.dtype
        assert_close(ours, theirs)
