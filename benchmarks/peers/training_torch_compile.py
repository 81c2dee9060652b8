"""PyTorch's steps for benchmarks/training.py with `torch.compile`: forward and backward are compiled, in C++.

Variants are those of training_torch.py, and ``mode``, which is torch.compile's own.
"""

from __future__ import annotations

import functools
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from benchmarks.peers import training_torch
from benchmarks.worker import Request, Step, Unavailable, serve


def build(request: Request) -> Step:
    """Make a step, which says so where there is no C++ compiler.

    LeNet pools over axes while it learns: torch.compile 2.13 gives its convolutions a gradient of zero behind
    ``max_pool2d`` with windows of 4x4 and a linear layer.
    """
    mode = request.variant.get("mode", "default")
    if request.workload.training:
        request = replace(request, variant={**request.variant, "pool": "axes"})
    step = training_torch.build(request, functools.partial(torch.compile, mode=mode))

    def checked(number: int) -> float:
        try:
            return step(number)
        except Exception as error:
            if "C++ compiler" in str(error):
                raise Unavailable("torch.compile needs a C++ compiler, and none was found") from error
            raise

    return checked


if __name__ == "__main__":
    serve(build)
