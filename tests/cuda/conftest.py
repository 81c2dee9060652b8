"""Compiling every kernel, beside the tests that simulate them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CAPABILITIES = {"sm_75": ("7", "5"), "sm_90": ("9", "0")}
ELEMENTS = ("float32", "float64")

Compilations = dict[tuple[str, str], subprocess.Popen[str]]


@pytest.fixture(scope="session")
def compilations() -> Iterator[Compilations]:
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
