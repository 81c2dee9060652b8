"""Processes share the folder of compiled code: two fill it at once, one finds it full, one is for another CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

# It waits for a line before it compiles anything, so that two processes can begin at the same moment.
PROGRAM = """
import json, sys
import numpy as np
import minitorch
from minitorch.layers import Linear

minitorch.manual_seed(4)
layer = Linear(5, 3, dtype="float64", backend=minitorch.FastBackend)
optimizer = minitorch.Adam(layer.parameters(), lr=0.1)


@minitorch.compile
def step(x, labels):
    optimizer.zero_grad()
    loss = minitorch.losses.cross_entropy(layer(x).relu(), labels)
    loss.backward()
    optimizer.step()
    return loss


x = minitorch.tensor(np.cos(np.arange(40.0)).reshape(8, 5), backend=minitorch.FastBackend)
labels = minitorch.tensor(np.arange(8) % 3, backend=minitorch.FastBackend)
print("ready", flush=True)
sys.stdin.readline()
losses = [step(x, labels).item() for _ in range(3)]
print(json.dumps([losses, *[p.value.tolist() for p in layer.parameters()]]))
"""


def start(cache: Path, **environment: str) -> subprocess.Popen[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_CPU")}
    variables |= {"MINITORCH_CACHE": str(cache), "PYTHONPATH": str(ROOT), **environment}
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=variables, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def finish(process: subprocess.Popen[str]) -> Any:
    out, err = process.communicate(timeout=600)
    assert (process.returncode, err) == (0, "")
    return json.loads(out)


def run(cache: Path, **environment: str) -> Any:
    """Train in a process of its own, and give the losses and the weights."""
    process = start(cache, **environment)
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return finish(process)


def kept(cache: Path) -> dict[str, int]:
    """Tell when each file of compiled code was written."""
    return {path.name: path.stat().st_mtime_ns for path in cache.rglob("*.nbc")}


def kernels(files: Any) -> dict[str, set[str]]:
    """List the files of each kernel that was written for the step, by the kernel's name."""
    found: dict[str, set[str]] = {}
    for file in files:
        name, _, version = file.rpartition("-")
        if name.startswith("entries.kernel_"):
            found.setdefault(name, set()).add(version)
    return found


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def results(cache: Path) -> list[Any]:
    """Give what two processes found that began to compile at the same moment, with nothing on disk."""
    processes = [start(cache) for _ in range(2)]
    assert kept(cache) == {}
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return [finish(process) for process in processes]


def test_two_processes_that_fill_one_folder_give_the_same_numbers(results: list[Any], cache: Path) -> None:
    first, second = results
    assert first == second
    (one, *_, last), *_ = first
    assert last < one, "nothing was learnt"
    found = kernels(kept(cache))
    assert len(found) > 1
    assert {len(versions) for versions in found.values()} == {1}, "one kernel was kept under two names"
    assert [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".nbc"] == []


def test_a_third_process_finds_all_it_needs(results: list[Any], cache: Path) -> None:
    before = kept(cache)
    assert run(cache) == results[0]
    assert kept(cache) == before, "a file was added, or written again"


def test_another_cpu_compiles_afresh(results: list[Any], cache: Path) -> None:
    """Numba's key of a kernel has the name and the features of the CPU, and so has the name of its file."""
    before = kept(cache)
    losses, *weights = run(cache, NUMBA_CPU_NAME="generic")
    after = kept(cache)
    assert {name: after[name] for name in before} == before, "a file of the other CPU was written again"
    assert {len(versions) for versions in kernels(after).values()} == {2}
    assert kernels(after).keys() == kernels(before).keys()
    for value, expected in zip([losses, *weights], results[0], strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-9)
    assert run(cache, NUMBA_CPU_NAME="generic") == [losses, *weights]
    assert run(cache) == results[0]
    assert kept(cache) == after


LOADING = """
from numba import int64
from minitorch.compiler.run.machine import run_parallel, run_serial
for run in (run_serial, run_parallel):
    run.compile((int64[::1], int64[::1], int64, int64, int64))
    print(sum(run.stats.cache_hits.values()))
"""


def test_what_runs_programs_is_kept_on_disk(tmp_path: Path) -> None:
    variables = {**os.environ, "MINITORCH_CACHE": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", LOADING]
    hits = [
        subprocess.run(command, env=variables, check=True, capture_output=True, text=True).stdout.split()
        for _ in range(2)
    ]
    assert hits == [["0", "0"], ["1", "1"]]
