"""Compile every kernel to PTX: ``python -m tests.cuda.compile_kernels float32 7.5 9.0`` prints two lines for each.

A line has a kernel's name, the generation of GPUs, the threads of its largest block, what NVIDIA's linker makes of the
PTX: the registers of a thread, and the bytes of shared memory of a block; and the instructions that compute in float64,
of which GPUs do up to 64 times fewer a second. Numba makes one text of LLVM's for all
generations, from what the oldest has, and NVIDIA's compiler makes PTX of it for each.

The kernels are those of :mod:`.table`; one that is not in it ends the script with an error. Behind them come those that
the compiler writes for the steps of :mod:`.steps`.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from itertools import chain
from types import SimpleNamespace
from typing import Any

from cuda.bindings import nvjitlink
from numba import types
from numba.cuda import compiler, dispatcher

from minitorch.compiler.cuda import text
from minitorch.compiler.cuda.record import Place
from minitorch.kernels.cuda.launch import Kernel
from tests.cuda import steps
from tests.cuda.table import INT, described, module_level_kernels, signatures


def written_signatures(dtype: str) -> Iterator[tuple[Kernel, tuple[Any, ...]]]:
    """Pair the kernels that are written for steps with the types of their arguments."""
    seen = set()
    for made in steps.programs(dtype):
        for launch in made.program.launches:
            if launch.kernel in text._kernels.values() and launch.kernel not in seen:
                seen.add(launch.kernel)
                yield launch.kernel, tuple(described(a) if isinstance(a, Place) else INT for a in launch.args)


def numba_type(described: Any) -> Any:
    """Read a type as the table writes it."""
    if isinstance(described, tuple):
        return types.Tuple([numba_type(t) for t in described])
    name = described.removesuffix("[]")
    return types.Array(getattr(types, name), 1, "C") if name != described else getattr(types, name)


def resources(ptx: str, target: str) -> tuple[int, int]:
    """Make machine code of PTX; give the registers of a thread and the bytes of shared memory of a block."""
    code = ptx.encode()
    linker = nvjitlink.create(2, [f"-arch={target}", "-verbose"])
    try:
        nvjitlink.add_data(linker, nvjitlink.InputType.PTX, code, len(code), "kernel")
        nvjitlink.complete(linker)
        log = bytearray(nvjitlink.get_info_log_size(linker))
        nvjitlink.get_info_log(linker, log)
    finally:
        nvjitlink.destroy(linker)
    *_, line = re.findall(rb"used \d+ registers.*", log)
    registers, shared = (re.search(rb"(\d+) " + what, line) for what in (b"registers", b"bytes smem"))
    return int(registers[1]), int(shared[1]) if shared else 0


def main(dtype: str, *capabilities: str) -> None:
    warnings.simplefilter("ignore")
    generations = sorted(tuple(map(int, capability.split("."))) for capability in capabilities)
    # Device functions are compiled for the current device, of which nothing else is asked.
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=generations[0])
    compiled = set()
    for i, (kernel, arguments) in enumerate(chain(signatures(dtype), written_signatures(dtype))):
        library, _ = compiler._compile_pyfunc_with_fixup(
            kernel.fn,
            tuple(map(numba_type, arguments)),
            device=False,
            abi="numba",
            cc=generations[0],
            launch_bounds=kernel.most,
        )
        compiled.add(kernel)
        for generation in generations:
            ptx = library.get_asm_str(cc=generation)
            target = re.search(r".target (sm_[0-9]+)", ptx)[1]
            in_float64 = len(re.findall(r"\b(?:add|sub|mul|fma|div|rcp|sqrt)\.(?:\w+\.)*f64\b", ptx))
            print(f"{i}-{kernel.__name__}", target, kernel.most, *resources(ptx, target), in_float64)
    missing = module_level_kernels() - compiled
    assert not missing, f"{len(missing)} kernels have no signature in the table: {missing}"


if __name__ == "__main__":
    main(*sys.argv[1:])
