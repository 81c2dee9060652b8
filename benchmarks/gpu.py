"""Measure operations and trainings on an NVIDIA GPU beside PyTorch on the same GPU and NumPy on the processor: float32.

    python benchmarks/gpu.py

What mostly moves memory is in GB/s, each array counted once; arithmetic is in GFLOP/s. Both stand beside what the GPU
was measured to reach at most: a copy within its memory, and a large product of matrices by PyTorch, which calls
NVIDIA's library, or by MiniTorch where PyTorch is not there. Each turn starts an operation many times and then waits
for the GPU once, as a training does; then both of the scripts' trainings run, epoch by epoch, on the processor too.
Medians of several rounds in which the implementations take turns.

Without a GPU nothing is measured: times of Numba's simulator say nothing. PyTorch is left out where it has no CUDA, and
computes without TF32, which is no float32. Results go to results/gpu-DEVICE-DATE.json and to the pages.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).parents[1]))

import minitorch
from benchmarks.report import RESULTS, ROOT, in_turns, in_words, machine, measure_and_print, put_between_markers, table
from minitorch.errors import BackendError
from minitorch.kernels.cuda.driver import driver, simulated

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
        numpy: NumPy on the processor.
        theirs: PyTorch on the GPU, where it is there.
    """

    name: str
    work: float
    ours: Run
    numpy: Run
    theirs: Run | None


def torch_on_the_gpu() -> Any:
    """Give PyTorch if it is installed and has CUDA, else None; it computes in float32 then, and not in TF32."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return torch


def seen_by_windows(a: Array, kernel: Sequence[int]) -> Array:
    """Write below each other what a window as large as the kernel sees at every place: the matrix of a convolution.

    Returns:
        ``batch x (channels * taps) x (height * width)``, zeros beyond the last row and column.
    """
    kh, kw = kernel
    padded = np.pad(a, [(0, 0), (0, 0), (0, kh - 1), (0, kw - 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), (2, 3))
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(len(a), -1, a.shape[2] * a.shape[3])


def numpy_convolution(a: Array, b: Array) -> Array:
    """Convolve by a product of matrices for each image: ``batch x outs x height x width``."""
    out = b.reshape(len(b), -1) @ seen_by_windows(a, b.shape[2:])
    return out.reshape(len(a), len(b), *a.shape[2:])


def numpy_convolution_with_gradients(a: Array, b: Array, g: Array) -> tuple[Array, Array, Array]:
    """Convolve, and give the gradients for the input and the weight too."""
    kh, kw = b.shape[2:]
    seen, rows = seen_by_windows(a, (kh, kw)), g.reshape(len(a), len(b), -1)
    weight = (rows @ seen.transpose(0, 2, 1)).sum(0).reshape(b.shape)
    spread = (b.reshape(len(b), -1).T @ rows).reshape(*a.shape[:2], kh, kw, *a.shape[2:])
    padded = np.zeros((*a.shape[:2], a.shape[2] + kh - 1, a.shape[3] + kw - 1), a.dtype)
    for i in range(kh):
        for j in range(kw):
            padded[:, :, i : i + a.shape[2], j : j + a.shape[3]] += spread[:, :, i, j]
    out = b.reshape(len(b), -1) @ seen
    return out.reshape(g.shape), padded[:, :, : a.shape[2], : a.shape[3]], weight


def torch_convolution(torch: Any, a: Any, b: Any) -> Any:
    """Convolve by PyTorch: as much work as ours, whose windows begin at the place of their result.

    An odd kernel is padded by the convolution itself, on both sides. PyTorch writes a padded copy for an even one, also
    when it is told "same"; here that is on our side.
    """
    kh, kw = b.shape[2:]
    if kh % 2 and kw % 2:
        return torch.nn.functional.conv2d(a, b, padding=(kh // 2, kw // 2))
    return torch.nn.functional.conv2d(torch.nn.functional.pad(a, (0, kw - 1, 0, kh - 1)), b)


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
        upstream = drawn(batch, outs, height, width)
        x, w, g = self.ours(a), self.ours(b), self.ours(upstream)
        work = 2 * batch * outs * channels * height * width * kh * kw

        def step() -> None:
            leaves = x.detach().requires_grad_(True), w.detach().requires_grad_(True)
            with minitorch.enable_grad():
                minitorch.conv2d(*leaves).backward(g)

        def torch_step(s: Any, t: Any, given: Any) -> None:
            leaves = s.detach().requires_grad_(True), t.detach().requires_grad_(True)
            with self.torch.enable_grad():
                torch_convolution(self.torch, *leaves).backward(given)

        forward = self.theirs(lambda s, t: torch_convolution(self.torch, s, t), a, b)
        return [
            Case(
                f"{name}, batch {batch}",
                work,
                lambda: minitorch.conv2d(x, w),
                lambda: numpy_convolution(a, b),
                forward,
            ),
            Case(
                f"{name}, batch {batch}, with gradients",
                3 * work,
                step,
                lambda: numpy_convolution_with_gradients(a, b, upstream),
                self.theirs(torch_step, a, b, upstream),
            ),
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

    # NumPy returns when it is done.
    runs = {"ours": (STARTED, many(case.ours, cuda.synchronize)), "numpy": (1, case.numpy)}
    if case.theirs is not None:
        runs["theirs"] = (STARTED, many(case.theirs, torch.cuda.synchronize))
    seconds = in_turns([run for _, run in runs.values()], rounds)
    print(".", end="", file=sys.stderr, flush=True)
    found = zip(runs.items(), seconds, strict=True)
    return {"name": case.name} | {who: started * case.work / s / 1e9 for (who, (started, _)), s in found}


def copy_peak(rounds: int, size: int = 1 << 28) -> float:
    """Measure a copy within the GPU's memory, in GB/s read and written."""
    from minitorch.kernels.cuda.launch import cuda

    source, target = (cuda.device_array(size, np.uint8) for _ in range(2))
    (seconds,) = in_turns([many(lambda: target.copy_to_device(source), cuda.synchronize)], rounds)
    return STARTED * 2 * size / seconds / 1e9


def product_peak(cases: Cases, rounds: int, side: int = 8192) -> tuple[float, str]:
    """Measure a large product of matrices, in GFLOP/s, and say by which library."""
    from minitorch.kernels.cuda.launch import cuda

    case = cases.product(side)
    if case.theirs is None:
        by, run = "MiniTorch", many(case.ours, cuda.synchronize)
    else:
        by, run = "PyTorch", many(case.theirs, cases.torch.cuda.synchronize)
    (seconds,) = in_turns([run], rounds)
    return STARTED * case.work / seconds / 1e9, by


def measure(rounds: int = 9) -> dict[str, Any]:
    """Measure the peaks, every case and both trainings on the GPU.

    Raises:
        BackendError: there is no GPU, or only a simulated one.
    """
    backend = minitorch.TensorBackend(minitorch.CudaOps)
    if simulated():
        raise BackendError("times of a simulated GPU say nothing. Unset NUMBA_ENABLE_CUDASIM on a machine with a GPU.")
    from benchmarks import gpu_trainings

    torch = torch_on_the_gpu()
    cases = Cases(backend, torch)
    results: dict[str, Any] = {"machine": machine(), "rounds": rounds}
    results["gpu"] = minitorch.cuda_ops.device_name()
    results["driver"] = str(driver())
    with minitorch.no_grad():
        results["peaks"] = {"GB/s": copy_peak(rounds)}
        results["peaks"]["GFLOP/s"], results["peaks"]["by"] = product_peak(cases, rounds)
        results["GB/s"] = [speeds(case, torch, rounds) for size in SIZES for case in cases.memory(size)]
        arithmetic = [cases.product(side) for side in SIDES]
        arithmetic += [case for name, layer in LAYERS.items() for case in cases.convolution(name, layer)]
        results["GFLOP/s"] = [speeds(case, torch, rounds) for case in arithmetic]
    results["trainings"] = gpu_trainings.measure(backend, torch, rounds)
    print(file=sys.stderr)
    return results


# --- in words ------------------------------------------------------------------------------------------------

HEADER = (
    "seconds per epoch",
    *("MiniTorch compiled", "MiniTorch", "PyTorch", "MiniTorch on the processor"),
    *("times faster", "GFLOP/s", "of the peak"),
)

# Stands on the pages until somebody has measured.
UNMEASURED = (
    f"{table(HEADER[:4], [(name, *['not measured'] * 3) for name in ('LeNet', 'film reviews')])}\n\n"
    "On an NVIDIA GPU nothing has been measured yet. `python benchmarks/gpu.py` on a machine with one measures both "
    "trainings and the operations beside PyTorch on the same GPU, and writes the results here."
)


def file_name(results: dict[str, Any]) -> str:
    """Name the results by device and date.

    >>> file_name({"gpu": "Tesla T4, compute capability 7.5", "machine": {"date": "2026-11-21"}})
    'gpu-tesla-t4-2026-11-21'
    """
    device, _, _ = results["gpu"].partition(",")
    return f"gpu-{re.sub(r'[^a-z0-9]+', '-', device.lower()).strip('-')}-{results['machine']['date']}"


def kept() -> list[dict[str, Any]]:
    """Read all results, the newest first."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("gpu-*.json"))]
    return sorted(found, key=lambda results: results["machine"]["date"], reverse=True)


def of_peak(speed: float, peak: float) -> str:
    """Write the share of a peak."""
    return f"{speed / peak:.0%}"


def trainings(results: dict[str, Any]) -> str:
    """Write the epochs as a table, with a sentence on the GPU."""
    peaks, rows = results["peaks"], []
    for case in results["trainings"]:
        best = min(case[who] for who in ("ours", "compiled") if who in case)
        speed = case["work"] / best / 1e9
        seconds = [f"{case[who]:.3f}" if who in case else "" for who in ("compiled", "ours", "theirs", "processor")]
        faster = f"{case['theirs'] / best:.2f}" if "theirs" in case else ""
        lost = " (lost)" if "theirs" in case and best > case["theirs"] else ""
        name = f"{case['name']} ({case['data']}){lost}"
        rows.append((name, *seconds, faster, f"{speed:.1f}", of_peak(speed, peaks["GFLOP/s"])))
    return (
        f"{results['gpu']}; driver: {results['driver']}. A copy within its memory moves {peaks['GB/s']:.0f} GB/s, a "
        f"large product of matrices by {peaks['by']} reaches {peaks['GFLOP/s']:.0f} GFLOP/s.\n\n{table(HEADER, rows)}"
    )


def summary(results: dict[str, Any]) -> str:
    """Write the results as tables: trainings, memory, arithmetic."""
    columns = {"ours": "MiniTorch", "theirs": "PyTorch", "numpy": "NumPy on the processor"}
    parts = [trainings(results)]
    for unit in ("GB/s", "GFLOP/s"):
        rows = []
        for case in results[unit]:
            lost = case["ours"] < case.get("theirs", 0.0)
            numbers = [f"{case[who]:.1f}" if who in case else "" for who in columns]
            shares = [of_peak(case[who], results["peaks"][unit]) if who in case else "" for who in ("ours", "theirs")]
            row = (numbers[0], shares[0], numbers[1], shares[1], numbers[2])
            rows.append((f"{case['name']}{' (lost)' if lost else ''}", *row))
        header = (unit, columns["ours"], "of the peak", columns["theirs"], "of the peak", columns["numpy"])
        parts.append(table(header, rows))
    return "\n\n".join(parts)


def headline() -> str:
    """Write what README.md has: the trainings of the newest results."""
    results = kept()
    return f"{trainings(results[0])}\n\n{in_words(results[0]['machine'])}." if results else UNMEASURED


def section() -> str:
    """Write what docs/benchmarks.md has: everything on every GPU."""
    results = kept()
    return "\n\n".join(f"{summary(r)}\n\n{in_words(r['machine'])}." for r in results) if results else UNMEASURED


def write_pages() -> None:
    """Write both pages from the results that are kept."""
    put_between_markers(ROOT / "README.md", "gpu", headline())
    put_between_markers(ROOT / "docs" / "benchmarks.md", "gpu", section())


if __name__ == "__main__":
    measure_and_print(file_name, __doc__, 9, measure, summary)
    write_pages()
