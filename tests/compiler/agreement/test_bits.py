"""The bits of every benchmarked step, eager and compiled, do not depend on threads or on who compiled it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

STEPS = 8

# A process of its own: NumPy's OpenBLAS reads its number of threads when it is loaded.
PROGRAM = """
import hashlib, json, sys
import minitorch
from benchmarks.training_minitorch import inference_step, network, training_step
from benchmarks.workloads import WORKLOADS


def digest(arrays):
    found = hashlib.sha256()
    for array in arrays:
        found.update(array.tobytes())
    return found.hexdigest()


def bits(workload, mode):
    minitorch.manual_seed(0)
    model = network(workload, exact=False, dtype="float32")
    step = (training_step if workload.training else inference_step)(workload, model)
    run = minitorch.compile(step) if mode == "compiled" else step
    results = []
    for x, y in workload.batches()[: int(sys.argv[1])]:
        batch = [minitorch.tensor(array, backend=minitorch.FastBackend) for array in (x, y)]
        results.append(run(*batch).to_numpy().copy())
    return {"results": digest(results), "weights": digest(p.value.to_numpy() for p in model.parameters())}


print(json.dumps({f"{w.key} {mode}": bits(w, mode) for w in WORKLOADS for mode in ("eager", "compiled")}))
"""

Bits = dict[str, dict[str, str]]


def run(numba_threads: int, blas_threads: int, cache: Path) -> Bits:
    environment = os.environ | {
        "NUMBA_NUM_THREADS": str(numba_threads),
        "OPENBLAS_NUM_THREADS": str(blas_threads),
        "MINITORCH_CACHE": str(cache),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(STEPS)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def compiled_here(cache: Path) -> Bits:
    """Give the bits of a process that found nothing on disk."""
    assert not list(cache.iterdir())
    return run(1, 1, cache)


def kept(cache: Path) -> set[str]:
    return {path.name for path in cache.rglob("*.nbc")}


def test_every_workload_is_run_both_ways(compiled_here: Bits) -> None:
    ways = [{name for name in compiled_here if name.endswith(way)} for way in ("eager", "compiled")]
    assert [len(names) for names in ways] == [7, 7]
    for names in ways:
        assert len({compiled_here[name]["results"] for name in names}) == 7, "two workloads give the same numbers"


def test_bits_depend_neither_on_threads_nor_on_the_cache(compiled_here: Bits, cache: Path) -> None:
    settings = [(1, 1), (2, 2), (3, 3), (4, 4), (1, 4), (4, 1), (3, 1), (1, 3)]
    before = kept(cache)
    assert any(name.startswith("entries.kernel_") for name in before), "no kernel of a step was kept"
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda threads: run(*threads, cache), settings))
    for threads, bits in zip(settings, found, strict=True):
        assert bits == compiled_here, f"with {threads} threads of Numba and OpenBLAS"
    # The first process has one thread, and so no use for what runs a program on several.
    new = {name.partition("-")[0] for name in kept(cache) - before}
    assert new == {"machine.run_parallel"}, "a process compiled afresh what it should have loaded"
