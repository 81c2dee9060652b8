"""Measure operations one by one beside PyTorch, on the same arrays: float32, on one thread and on two.

    python benchmarks/kernels.py

Arithmetic is in GFLOP/s, with the multiplications by the zeros beyond the edges counted for everybody, and beside what
a large matrix product reaches on one core (sgemm). What mostly moves memory is in GB/s, each array counted once.
*Readable* are the public dispatchers over shapes and strides, `tensor_conv2d` and its like.
Medians of several rounds in which the implementations take turns.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1]))

import minitorch
from benchmarks.report import in_turns, machine, measure_and_print, table
from minitorch.doctor import sgemm_peak
from minitorch.fast_conv import tensor_conv2d
from minitorch.fast_ops import tensor_map, tensor_matrix_multiply, tensor_reduce, tensor_zip
from minitorch.kernels import elements
from minitorch.kernels.cpu import conv
from minitorch.kernels.geometry import same_size

Array = npt.NDArray[Any]
Run = Callable[[], object]

THREADS = (1, min(2, numba.get_num_threads()))

# name: in channels, out channels, height, width, kernel height, kernel width; batch sizes
LAYERS = {
    "LeNet 1→4, 3x3": ((1, 4, 28, 28, 3, 3), (16, 128)),
    "LeNet 4→8, 3x3": ((4, 8, 28, 28, 3, 3), (16, 128)),
    "sentiment 50→100, width 4": ((50, 100, 1, 52, 1, 4), (10, 50)),
}
PRODUCTS = {
    "LeNet hidden": (16, 392, 64),
    "LeNet classify": (16, 64, 10),
    "sentiment classify": (50, 300, 1),
    "square": (128, 128, 128),
    "large square": (1024, 1024, 1024),
}
SHAPES = ((16, 8, 28, 28), (64, 64, 32, 32))
LINES = ((16, 10), (4096, 1000))


@dataclass
class Case:
    """An operation and who computes it.

    Attributes:
        name: the operation and its sizes.
        work: floating-point operations, or bytes read and written.
        ours: MiniTorch as one uses it.
        theirs: PyTorch.
        readable: the public dispatcher, where there is one.
    """

    name: str
    work: float
    ours: Run
    theirs: Run
    readable: Run | None = None


def layout(a: Array, *axes: int) -> tuple[Array, Array, Array]:
    """Give storage, shape and strides of a contiguous array whose axes are exchanged."""
    view = a.transpose(axes) if axes else a
    return a.reshape(-1), np.array(view.shape), np.array(view.strides) // a.itemsize


def drawn(*shape: int) -> Array:
    """Draw normal numbers."""
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def both(a: Array) -> tuple[minitorch.Tensor, torch.Tensor]:
    """Give an array as a tensor of each library."""
    return minitorch.tensor(a, backend=minitorch.FastBackend), torch.from_numpy(a)


# --- arithmetic ----------------------------------------------------------------------------------------------


def convolutions(name: str, layer: Sequence[int], batch: int) -> list[Case]:
    """Give a layer's forward pass and both gradients."""
    channels, outs, height, width, kh, kw = layer
    x, w, g = drawn(batch, channels, height, width), drawn(outs, channels, kh, kw), drawn(batch, outs, height, width)
    out, grad_x, grad_w = np.empty_like(g), np.empty_like(x), np.empty_like(w)
    tx, tw, tg = torch.from_numpy(x), torch.from_numpy(w), torch.from_numpy(g)
    pads = (kh // 2, kw // 2)
    if kw % 2 == 0:  # PyTorch pads both sides alike; an even kernel then gives one place more
        tg = F.pad(tg, (0, 1))
    backward = torch.ops.aten.convolution_backward
    swap = (1, 0, 2, 3)
    forward, backward_to_input = (same_size((height, width), reverse) for reverse in (False, True))

    def torch_backward(mask: list[bool]) -> object:
        return backward(tg, tx, tw, None, (1, 1), pads, (1, 1), False, (0, 0), 1, mask)

    readable_forward = (*layout(out), out.size, *layout(x), *layout(w), False)
    readable_input = (*layout(grad_x), x.size, *layout(g), *layout(w, *swap), True)
    readable_weight = (*layout(grad_w, *swap), w.size, *layout(x, *swap), *layout(g, *swap), False)
    work = 2 * batch * int(np.prod(layer))
    return [
        Case(
            f"{name}, batch {batch}",
            work,
            lambda: conv.convolve(out, x, w, forward),
            lambda: torch.conv2d(tx, tw, padding=pads),
            lambda: tensor_conv2d(*readable_forward),
        ),
        Case(
            f"{name}, batch {batch}, gradient of the input",
            work,
            lambda: conv.convolve(grad_x, g, w.transpose(swap), backward_to_input),
            lambda: torch_backward([True, False, False]),
            lambda: tensor_conv2d(*readable_input),
        ),
        Case(
            f"{name}, batch {batch}, gradient of the weight",
            work,
            lambda: conv.convolve_weight(grad_w, x, g, forward),
            lambda: torch_backward([False, True, False]),
            lambda: tensor_conv2d(*readable_weight),
        ),
    ]


def product(name: str, rows: int, inner: int, columns: int) -> Case:
    """Give a matrix product."""
    (a, ta), (b, tb) = both(drawn(rows, inner)), both(drawn(inner, columns))
    arrays = np.empty((1, rows, columns), np.float32), a.to_numpy()[None], b.to_numpy()[None]
    layouts = [part for array in arrays for part in layout(array)]
    return Case(
        f"{name}, {rows}x{inner} @ {inner}x{columns}",
        2 * rows * inner * columns,
        lambda: a @ b,
        lambda: ta @ tb,
        lambda: tensor_matrix_multiply(*layouts),
    )


# --- memory --------------------------------------------------------------------------------------------------


def element_wise(shape: tuple[int, ...]) -> list[Case]:
    """Give maps, zips, reductions and pooling of ``batch x channel x height x width``."""
    sizes = "x".join(map(str, shape))
    (x, tx), (y, ty), (bias, tbias) = both(drawn(*shape)), both(drawn(*shape)), both(drawn(shape[1], 1, 1))
    n = 4 * x.size  # bytes
    window = (4, 4)
    out, lines = layout(np.empty(shape, np.float32)), layout(np.zeros((*shape[:3], 1), np.float32))
    a, b = layout(x.to_numpy()), layout(y.to_numpy())
    return [
        Case(f"relu, {sizes}", 2 * n, x.relu, tx.relu, lambda: tensor_map(elements.relu)(*out, *a)),
        Case(f"exp, {sizes}", 2 * n, x.exp, tx.exp, lambda: tensor_map(elements.exp)(*out, *a)),
        Case(
            f"x + y, {sizes}",
            3 * n,
            lambda: x + y,
            lambda: tx + ty,
            lambda: tensor_zip(elements.add)(*out, *a, *b),
        ),
        Case(f"x + bias of each channel, {sizes}", 2 * n, lambda: x + bias, lambda: tx + tbias),
        Case(
            f"sum of each row, {sizes}",
            n,
            lambda: x.sum(3),
            lambda: tx.sum(3, keepdim=True),
            lambda: tensor_reduce(elements.add)(*lines, *a, 3),
        ),
        Case(f"sum, {sizes}", n, x.sum, tx.sum),
        Case(
            f"max of each 4x4 window, {sizes}",
            n,
            lambda: minitorch.maxpool2d(x, window),
            lambda: F.max_pool2d(tx, window),
        ),
        Case(
            f"dropout, {sizes}", 2 * n, lambda: minitorch.dropout(x, 0.25), lambda: F.dropout(tx, 0.25, training=True)
        ),
    ]


def softmaxes(shape: tuple[int, int]) -> list[Case]:
    """Give softmax and its logarithm along rows."""
    sizes = "x".join(map(str, shape))
    x, tx = both(drawn(*shape))
    n = 4 * x.size
    return [
        Case(f"softmax, {sizes}", 2 * n, lambda: minitorch.softmax(x, 1), lambda: tx.softmax(1)),
        Case(f"logsoftmax, {sizes}", 2 * n, lambda: minitorch.logsoftmax(x, 1), lambda: tx.log_softmax(1)),
    ]


# --- measuring -----------------------------------------------------------------------------------------------


def speeds(case: Case, rounds: int) -> dict[str, Any]:
    """Measure a case on one thread and on two, in billions of its units a second."""
    found: dict[str, Any] = {"name": case.name}
    for threads in THREADS:
        numba.set_num_threads(threads)
        torch.set_num_threads(threads)
        runs = {"ours": case.ours, "theirs": case.theirs}
        if case.readable:
            runs["readable"] = case.readable
        seconds = in_turns(list(runs.values()), rounds)
        found |= {f"{who} {threads}": case.work / s / 1e9 for who, s in zip(runs, seconds, strict=True)}
    print(".", end="", file=sys.stderr, flush=True)
    return found


def measure(rounds: int = 9) -> dict[str, Any]:
    """Measure every case."""
    results: dict[str, Any] = {"machine": machine(), "rounds": rounds, "threads": THREADS}
    with threadpool_limits(1):
        results["sgemm"] = sgemm_peak()
    arithmetic = [c for name, (layer, sizes) in LAYERS.items() for n in sizes for c in convolutions(name, layer, n)]
    arithmetic += [product(name, *sizes) for name, sizes in PRODUCTS.items()]
    memory = [c for shape in SHAPES for c in element_wise(shape)] + [c for shape in LINES for c in softmaxes(shape)]
    with minitorch.no_grad(), torch.no_grad():
        results["GFLOP/s"] = [speeds(case, rounds) for case in arithmetic]
        results["GB/s"] = [speeds(case, rounds) for case in memory]
    print(file=sys.stderr)
    return results


def summary(results: dict[str, Any]) -> str:
    """Write the results as two tables."""
    one, two = results["threads"]
    columns = [f"{who} {n}" for who in ("ours", "readable", "theirs") for n in (one, two)]
    header = [f"{name}, {n}" for name in ("MiniTorch", "readable", "PyTorch") for n in (one, two)]
    parts = []
    for unit in ("GFLOP/s", "GB/s"):
        rows = []
        for case in results[unit]:
            lost = max(case[f"ours {n}"] for n in (one, two)) < max(case[f"theirs {n}"] for n in (one, two))
            speeds = [f"{case[key]:.1f}" if key in case else "" for key in columns]
            rows.append((f"{case['name']}{' (lost)' if lost else ''}", *speeds))
        parts.append(table((f"{unit}, threads", *header), rows))
    lost = sum("(lost)" in line for part in parts for line in part.splitlines())
    count = len(results["GFLOP/s"]) + len(results["GB/s"])
    parts.append(
        f"A large matrix product reaches {results['sgemm']:.0f} GFLOP/s on one core. PyTorch is ahead in {lost} of "
        f"{count} cases, which are marked; medians of {results['rounds']} rounds."
    )
    return "\n\n".join(parts)


if __name__ == "__main__":
    measure_and_print("kernels", __doc__, 9, measure, summary)
