"""Every kernel becomes machine code for the oldest and a new generation of GPUs, without one: no driver is asked.

The simulator runs Python; what only the compiler refuses (a type that does not unify, an array whose size is no
constant) shows here. A compiler that is missing is a failure: ``pip install "numba-cuda[cu12]"`` brings it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CAPABILITIES = {"sm_75": ("7", "5"), "sm_90": ("9", "0")}
ELEMENTS = ("float32", "float64")


@pytest.fixture(scope="module")
def compilations():
    """Compile for every generation and element type at once, in processes of their own, for this one may simulate."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
    command = [sys.executable, "-m", "tests.cuda.compile_kernels"]
    started = {
        (name, dtype): subprocess.Popen(
            [*command, dtype, *capability],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, capability in CAPABILITIES.items()
        for dtype in ELEMENTS
    }
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("dtype", ELEMENTS)
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_every_kernel_compiles(compilations, capability, dtype):
    process = compilations[capability, dtype]
    output, errors = process.communicate()
    assert process.returncode == 0, errors[-4000:]
    compiled = dict(line.split() for line in output.splitlines())
    assert len(compiled) > 80
    assert set(compiled.values()) == {capability}
