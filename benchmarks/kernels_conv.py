"""Measure the convolution kernels: GFLOP/s of LeNet's and the sentiment network's layers, float32.

    python benchmarks/kernels_conv.py

For each layer, batch size, number of threads and direction: the fast kernel, the readable one, and PyTorch, in billions
of floating-point operations a second, and the fast kernel's share of a large matrix product on one core (sgemm) times
the threads. Medians of several rounds, in which the three take turns. The multiplications by the zeros beyond the
edges are counted for all three.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numba
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from minitorch.fast_conv import tensor_conv2d
from minitorch.kernels.cpu import conv

# name: in channels, out channels, height, width, kernel height, kernel width; batch sizes
LAYERS = {
    "LeNet 1->4 3x3": ((1, 4, 28, 28, 3, 3), (16, 128)),
    "LeNet 4->8 3x3": ((4, 8, 28, 28, 3, 3), (16, 128)),
    "Kim 50->100 1x4": ((50, 100, 1, 52, 1, 4), (10, 50)),
}


def seconds(run: Callable[[], object], repeat: int) -> float:
    """Time one call, as the mean of ``repeat``."""
    start = time.perf_counter()
    for _ in range(repeat):
        run()
    return (time.perf_counter() - start) / repeat


def sgemm_peak() -> float:
    """GFLOP/s of a large matrix product on one core."""
    a = np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32)
    with threadpool_limits(1):
        return max(2 * 1024**3 / seconds(lambda: a @ a, 1) / 1e9 for _ in range(10))


def layout(a: np.ndarray, *axes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Storage, shape and strides of a contiguous array whose axes are exchanged."""
    view = a.transpose(axes) if axes else a
    return a.reshape(-1), np.array(view.shape), np.array(view.strides) // a.itemsize


def directions(layer: tuple[int, ...], batch: int) -> dict[str, tuple[Callable[[], object], ...]]:
    """Give the three implementations of forward and both gradients."""
    channels, outs, height, width, kh, kw = layer
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, channels, height, width)).astype(np.float32)
    w = rng.standard_normal((outs, channels, kh, kw)).astype(np.float32)
    g = rng.standard_normal((batch, outs, height, width)).astype(np.float32)
    out, grad_x, grad_w = np.empty_like(g), np.empty_like(x), np.empty_like(w)
    tx, tw, tg = torch.from_numpy(x), torch.from_numpy(w), torch.from_numpy(g)
    pads = (kh // 2, kw // 2)
    if kw % 2 == 0:  # PyTorch pads both sides alike; an even kernel then gives one place more
        tg = torch.nn.functional.pad(tg, (0, 1))
    backward = torch.ops.aten.convolution_backward

    def torch_backward(mask: list[bool]) -> object:
        return backward(tg, tx, tw, None, (1, 1), pads, (1, 1), False, (0, 0), 1, mask)

    swap = (1, 0, 2, 3)
    return {
        "forward": (
            lambda: conv.conv2d_forward(out, x, w),
            lambda: tensor_conv2d(*layout(out), out.size, *layout(x), *layout(w), False),
            lambda: torch.conv2d(tx, tw, padding=pads),
        ),
        "grad input": (
            lambda: conv.conv2d_grad_input(grad_x, g, w),
            lambda: tensor_conv2d(*layout(grad_x), x.size, *layout(g), *layout(w, *swap), True),
            lambda: torch_backward([True, False, False]),
        ),
        "grad weight": (
            lambda: conv.conv2d_grad_weight(grad_w, x, g),
            lambda: tensor_conv2d(*layout(grad_w, *swap), w.size, *layout(x, *swap), *layout(g, *swap), False),
            lambda: torch_backward([False, True, False]),
        ),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    peak = sgemm_peak()
    print(f"sgemm on one core: {peak:.0f} GFLOP/s; NumPy {np.__version__}, Numba {numba.__version__}, ", end="")
    print(f"PyTorch {torch.__version__}\n")
    print("| layer | batch | threads | direction | fast | share of sgemm | readable | PyTorch |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (layer, batches) in LAYERS.items():
        for batch in batches:
            flops = 2 * batch * int(np.prod(layer))
            for threads in (1, 2):
                numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
                torch.set_num_threads(threads)
                for direction, runs in directions(layer, batch).items():
                    for run in runs:
                        run()  # compile, and fill the caches
                    times = [[seconds(run, max(1, 2_000_000 // flops)) for run in runs] for _ in range(rounds)]
                    fast, readable, peer = (flops / statistics.median(t) / 1e9 for t in zip(*times, strict=True))
                    share = fast / (peak * threads)
                    print(
                        f"| {name} | {batch} | {threads} | {direction} | {fast:.1f} | {share:.0%} | {readable:.1f} "
                        f"| {peer:.1f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
