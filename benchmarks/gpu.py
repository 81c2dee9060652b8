"""Measure operations on an NVIDIA GPU beside PyTorch on the same GPU and NumPy on the processor: float32.

    python benchmarks/gpu.py

What mostly moves memory is in GB/s, each array counted once, beside what a copy within the GPU's memory reaches;
arithmetic is in GFLOP/s. Each turn starts an operation many times and then waits for the GPU once, as a training
does. Medians of several rounds in which the implementations take turns. Without a GPU nothing is measured: times
of Numba's simulator say nothing. PyTorch is left out where it has no CUDA.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1]))

import minitorch
from benchmarks.report import in_turns, machine, measure_and_print, table
from minitorch.errors import BackendError
from minitorch.kernels.cuda.driver import simulated

Array = npt.NDArray[Any]
Run = Callable[[], object]

# Operations that are started before the GPU is waited for.
STARTED = 20

SIZES = (1 << 10, 1 << 16, 1 << 22, 1 << 26)
SIDES = (64, 128, 256, 512, 1024, 2048, 4096)
# batch, in channels, out channels, height, width, kernel height, kernel width
LAYERS = {
    "LeNet 1→4, 3x3": (16, 1, 4, 28, 28, 3, 3),
    "LeNet 4→8, 3x3": (16, 4, 8, 28, 28, 3, 3),
    "sentiment 50→100, width 4": (10, 50, 100, 1, 52, 1, 4),
    "64→64, 3x3": (32, 64, 64, 32, 32, 3, 3),
}


@dataclass
class Case:
    """An operation and who computes it.

    Attributes:
        name: the operation and its sizes.
        work: floating-point operations, or bytes read and written.
        ours: MiniTorch on the GPU.
        numpy: NumPy on the processor, where it has such an operation.
        theirs: PyTorch on the GPU, where it is there.
    """

    name: str
    work: float
    ours: Run
    numpy: Run | None
    theirs: Run | None


def torch_on_the_gpu() -> Any:
    """Give PyTorch if it is installed and has CUDA, else None."""
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def drawn(*shape: int) -> Array:
    """Draw normal numbers."""
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


class Cases:
    """Makes every case for a GPU.

    Args:
        backend: ours.
        torch: PyTorch, or None.
    """

    def __init__(self, backend: minitorch.TensorBackend, torch: Any) -> None:
        self.backend, self.torch = backend, torch

    def ours(self, a: Array) -> minitorch.Tensor:
        """Bring an array to the GPU."""
        return minitorch.tensor(a, backend=self.backend)

    def theirs(self, run: Callable[..., object], *arrays: Array) -> Run | None:
        """Bring arrays to PyTorch's GPU, for an operation on them."""
        if self.torch is None:
            return None
        tensors = [self.torch.from_numpy(a).cuda() for a in arrays]
        return lambda: run(*tensors)

    def memory(self, size: int) -> list[Case]:
        """Give map, zip and reduce of so many elements."""
        a, b = drawn(size), drawn(size)
        x, y, n = self.ours(a), self.ours(b), 4 * size
        return [
            Case(f"relu, {size}", 2 * n, x.relu, lambda: np.maximum(a, 0), self.theirs(lambda t: t.relu(), a)),
            Case(f"x + y, {size}", 3 * n, lambda: x + y, lambda: a + b, self.theirs(lambda s, t: s + t, a, b)),
            Case(f"sum, {size}", n, x.sum, a.sum, self.theirs(lambda t: t.sum(), a)),
        ]

    def product(self, side: int) -> Case:
        """Give the product of two square matrices."""
        a, b = drawn(side, side), drawn(side, side)
        x, y = self.ours(a), self.ours(b)
        theirs = self.theirs(lambda s, t: s @ t, a, b)
        return Case(f"{side}x{side} @ {side}x{side}", 2 * side**3, lambda: x @ y, lambda: a @ b, theirs)

    def convolution(self, name: str, layer: Sequence[int]) -> list[Case]:
        """Give a layer's forward pass, and forward with both gradients, as large as the input."""
        batch, channels, outs, height, width, kh, kw = layer
        a, b = drawn(batch, channels, height, width), drawn(outs, channels, kh, kw)
        x, w, g = self.ours(a), self.ours(b), self.ours(drawn(batch, outs, height, width))
        work = 2 * batch * outs * channels * height * width * kh * kw

        def step() -> None:
            leaves = x.detach().requires_grad_(True), w.detach().requires_grad_(True)
            with minitorch.enable_grad():
                minitorch.conv2d(*leaves).backward(g)

        def torch_step(s: Any, t: Any) -> None:
            leaves = s.detach().requires_grad_(True), t.detach().requires_grad_(True)
            with self.torch.enable_grad():
                out = self.torch.nn.functional.conv2d(*leaves, padding="same")
                out.backward(self.torch.ones_like(out))

        forward = self.theirs(lambda s, t: self.torch.nn.functional.conv2d(s, t, padding="same"), a, b)
        return [
            Case(f"{name}, batch {batch}", work, lambda: minitorch.conv2d(x, w), None, forward),
            Case(f"{name}, batch {batch}, with gradients", 3 * work, step, None, self.theirs(torch_step, a, b)),
        ]


def many(run: Run, wait: Run) -> Run:
    """Start an operation many times, and wait for the GPU once."""

    def turn() -> None:
        for _ in range(STARTED):
            run()
        wait()

    return turn


def speeds(case: Case, torch: Any, rounds: int) -> dict[str, Any]:
    """Measure a case, in billions of its units a second."""
    from minitorch.kernels.cuda.launch import cuda

    runs = {"ours": many(case.ours, cuda.synchronize)}
    if case.numpy is not None:
        runs["numpy"] = many(case.numpy, lambda: None)
    if case.theirs is not None:
        runs["theirs"] = many(case.theirs, torch.cuda.synchronize)
    seconds = in_turns(list(runs.values()), rounds)
    print(".", end="", file=sys.stderr, flush=True)
    return {"name": case.name} | {who: STARTED * case.work / s / 1e9 for who, s in zip(runs, seconds, strict=True)}


def copy_peak(rounds: int, size: int = 1 << 28) -> float:
    """Measure a copy within the GPU's memory, in GB/s read and written."""
    from minitorch.kernels.cuda.launch import cuda

    source, target = (cuda.device_array(size, np.uint8) for _ in range(2))
    (seconds,) = in_turns([many(lambda: target.copy_to_device(source), cuda.synchronize)], rounds)
    return STARTED * 2 * size / seconds / 1e9


def measure(rounds: int = 9) -> dict[str, Any]:
    """Measure every case on the GPU.

    Raises:
        BackendError: there is no GPU, or only a simulated one.
    """
    backend = minitorch.TensorBackend(minitorch.CudaOps)
    if simulated():
        raise BackendError("times of a simulated GPU say nothing. Unset NUMBA_ENABLE_CUDASIM on a machine with a GPU.")
    from minitorch.kernels.cuda.launch import cuda

    torch = torch_on_the_gpu()
    cases = Cases(backend, torch)
    device = cuda.get_current_device()
    results: dict[str, Any] = {"machine": machine(), "rounds": rounds}
    results["gpu"] = f"{device.name.decode()}, compute capability {'.'.join(map(str, device.compute_capability))}"
    results["copy"] = copy_peak(rounds)
    with minitorch.no_grad():
        results["GB/s"] = [speeds(case, torch, rounds) for size in SIZES for case in cases.memory(size)]
        arithmetic = [cases.product(side) for side in SIDES]
        arithmetic += [case for name, layer in LAYERS.items() for case in cases.convolution(name, layer)]
        results["GFLOP/s"] = [speeds(case, torch, rounds) for case in arithmetic]
    print(file=sys.stderr)
    return results


def summary(results: dict[str, Any]) -> str:
    """Write the results as two tables."""
    columns = {"ours": "MiniTorch", "theirs": "PyTorch", "numpy": "NumPy on the processor"}
    parts = [f"{results['gpu']}; a copy within its memory moves {results['copy']:.0f} GB/s."]
    for unit in ("GB/s", "GFLOP/s"):
        rows = []
        for case in results[unit]:
            lost = case["ours"] < case.get("theirs", 0.0)
            numbers = [f"{case[who]:.1f}" if who in case else "" for who in columns]
            rows.append((f"{case['name']}{' (lost)' if lost else ''}", *numbers))
        parts.append(table((unit, *columns.values()), rows))
    return "\n\n".join(parts)


if __name__ == "__main__":
    measure_and_print("gpu", __doc__, 9, measure, summary)
