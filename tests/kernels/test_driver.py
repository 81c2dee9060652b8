"""Why CUDA cannot run: every answer of the driver has a reason and a remedy of its own."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import multiprocessing
import os
import re
import sys
from types import SimpleNamespace

import pytest

import minitorch
from minitorch.kernels.cuda import driver
from minitorch.kernels.cuda.driver import Driver


def answers(monkeypatch, error=0, version=12040, devices=2, capability=(9, 0)):
    """Put a driver in the place of the real one."""

    def attribute(pointer, which, device):
        pointer._obj.value = dict(zip((75, 76), capability, strict=True))[which]
        return 0

    def answer(value):
        def call(pointer):
            pointer._obj.value = value
            return 0

        return call

    library = SimpleNamespace(
        cuInit=lambda flags: error,
        cuDriverGetVersion=answer(version),
        cuDeviceGetCount=answer(devices),
        cuDeviceGet=lambda pointer, number: number,
        cuDeviceGetAttribute=attribute,
    )
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    monkeypatch.setattr(driver, "_process", driver._Process())


def no_driver(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)


def installed(monkeypatch, package=True, compiler=(12, 9)):
    monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if package else None)
    monkeypatch.setattr(driver, "compiler_version", lambda: compiler)
    monkeypatch.setattr(driver, "compiler_is_there", lambda: True)
    monkeypatch.setattr(driver, "_redirected", lambda: package)


def test_the_driver_is_asked_for_its_version_and_devices(monkeypatch):
    answers(monkeypatch)
    assert driver.driver() == Driver((12, 4), 2, 0, (9, 0))
    assert str(driver.driver()) == "CUDA 12.4, 2 devices"
    answers(monkeypatch, devices=1, capability=(7, 5))
    assert driver.driver() == Driver((12, 4), 1, 0, (7, 5))
    assert str(driver.driver()) == "CUDA 12.4, 1 device"


def test_a_driver_that_does_not_start(monkeypatch):
    answers(monkeypatch, error=100)
    assert driver.driver() == Driver((12, 4), 0, 100)
    assert str(driver.driver()) == "CUDA 12.4, 0 devices, but cuInit fails with error 100"


def test_no_driver(monkeypatch):
    no_driver(monkeypatch)
    assert driver.driver() == Driver(None)
    assert str(driver.driver()) == "none"


def test_all_is_well(monkeypatch):
    installed(monkeypatch)
    answers(monkeypatch)
    assert driver.obstacle() is None


def test_no_package(monkeypatch):
    installed(monkeypatch, package=False)
    reason, fix = driver.obstacle()
    assert reason == "the package numba-cuda is not installed"
    assert "pip install" in fix


@pytest.mark.parametrize(
    ("error", "version", "devices", "compiler", "reason", "fix"),
    [
        (35, 11040, 0, (12, 9), "which runs CUDA 11.4, is older than the toolkit, CUDA 12.9", "update the driver"),
        (0, 11040, 1, (13, 0), "which runs CUDA 11.4, is older than the toolkit, CUDA 13.0", "update the driver"),
        (0, 11040, 1, None, "which runs CUDA 11.4, is older than the toolkit", "update the driver"),
        (803, 12000, 0, None, "which runs CUDA 12.0, is older than the toolkit", "update the driver"),
        (803, 12000, 0, (12, 9), "which runs CUDA 12.0, is older than the toolkit, CUDA 12.9", "update the driver"),
        (
            *(0, 12040, 1, (13, 0), "which runs CUDA 12.4, is older than the toolkit, CUDA 13.0"),
            'update the driver, or pip install "numba-cuda[cu12]" for it',
        ),
        (100, 12040, 0, (12, 9), "finds no device", "nvidia-smi"),
        (0, 12040, 0, (12, 9), "finds no device", "CUDA_VISIBLE_DEVICES"),
        (999, 12040, 0, (12, 9), "cuInit fails with error 999", "nvidia-smi"),
    ],
)
def test_what_the_driver_lacks(monkeypatch, error, version, devices, compiler, reason, fix):
    installed(monkeypatch, compiler=compiler)
    answers(monkeypatch, error, version, devices)
    found = driver.obstacle()
    assert reason in found.reason
    assert found.fix == fix if "update" in fix else fix in found.fix


@pytest.mark.parametrize(
    ("capability", "compiler", "reason", "fix"),
    [
        ((7, 0), (13, 0), "capability 7.0, is older .* CUDA 13.0 needs 7.5", 'pip install "numba-cuda[cu12]"'),
        ((3, 7), (12, 9), "capability 3.7, is older .* CUDA 12.9 needs 5.0", "take a newer GPU, or minitorch.FastB"),
        ((7, 5), (13, 0), "", ""),
        ((5, 0), (12, 9), "", ""),
        ((3, 7), None, "", ""),
        ((3, 7), (14, 0), "", ""),
    ],
)
def test_a_gpu_that_is_older_than_the_toolkit(monkeypatch, capability, compiler, reason, fix):
    installed(monkeypatch, compiler=compiler)
    answers(monkeypatch, version=14000, capability=capability)
    found = driver.obstacle()
    assert (found is None) == (not reason)
    if found is not None:
        assert re.search(reason, found.reason)
        assert found.fix.startswith(fix)


@pytest.mark.parametrize("compiler", [(12, 9), None])
def test_a_newer_driver_or_an_unknown_compiler_is_well(monkeypatch, compiler):
    installed(monkeypatch, compiler=compiler)
    answers(monkeypatch, version=13010)
    assert driver.obstacle() is None


def test_the_simulator_needs_no_driver(monkeypatch):
    installed(monkeypatch)
    no_driver(monkeypatch)
    assert "no NVIDIA driver" in driver.obstacle().reason
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    assert driver.obstacle() is None


def test_the_compilers_version_is_that_of_its_package(monkeypatch):
    versions = {"nvidia-cuda-nvrtc-cu12": "12.9.86"}

    def version(name):
        if name in versions:
            return versions[name]
        raise driver.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(driver.metadata, "version", version)
    assert driver.compiler_version() == (12, 9)
    versions["nvidia-cuda-nvrtc"] = "13.0.48"
    assert driver.compiler_version() == (13, 0)
    versions["cuda-bindings"] = "12.9.10"
    assert driver.compiler_version() == (12, 9)
    versions["cuda-bindings"] = "13.2.0"
    assert driver.compiler_version() == (13, 0)
    versions["cuda-bindings"] = "14.0.0"
    assert driver.compiler_version() is None
    versions.clear()
    assert driver.compiler_version() is None


def test_asking_for_the_backend_raises_with_the_reason_and_the_remedy(monkeypatch):
    """Everything imports without CUDA; only the backend itself does not come."""
    installed(monkeypatch, package=False)
    monkeypatch.setattr(minitorch.TensorBackend, "_made", {})
    with pytest.raises(minitorch.BackendError, match=r"numba-cuda is not installed\. What helps: pip install"):
        minitorch.TensorBackend(minitorch.CudaOps)


def test_numba_cuda_that_came_while_python_ran(monkeypatch):
    """Python reads when it starts what puts it in the place of Numba's own numba.cuda."""
    ops, redirected = minitorch.CudaOps, driver._redirected
    installed(monkeypatch)
    answers(monkeypatch)
    monkeypatch.setattr(driver, "_redirected", redirected)
    monkeypatch.setitem(sys.modules, "numba.cuda", SimpleNamespace(implementation="Built-in"))
    assert driver.obstacle().fix == "restart Python"
    monkeypatch.setattr(minitorch.TensorBackend, "_made", {})
    with pytest.raises(minitorch.BackendError, match=r"Numba's own .* What helps: restart Python"):
        minitorch.TensorBackend(ops)
    monkeypatch.setitem(sys.modules, "numba.cuda", SimpleNamespace(implementation="NVIDIA"))
    assert driver.obstacle() is None
    monkeypatch.delitem(sys.modules, "numba.cuda")
    monkeypatch.delitem(sys.modules, "_numba_cuda_redirector", raising=False)
    assert driver.obstacle().fix == "restart Python"
    monkeypatch.setitem(sys.modules, "_numba_cuda_redirector", SimpleNamespace())
    assert driver.obstacle() is None


def test_no_compiler(monkeypatch):
    installed(monkeypatch, compiler=None)
    monkeypatch.setattr(driver, "compiler_is_there", lambda: False)
    for version, extra in ((12040, "cu12"), (13010, "cu13"), (14000, "cu13")):
        answers(monkeypatch, version=version)
        reason, fix = driver.obstacle()
        assert (reason, fix) == (
            "numba-cuda is installed, but no compiler for it",
            f'pip install "numba-cuda[{extra}]"',
        )


@pytest.mark.parametrize("error", [None, ImportError("no cuda"), RuntimeError("no libnvvm"), OSError("not loaded")])
def test_the_compiler_is_looked_for_as_numba_cuda_does(monkeypatch, error):
    asked = []

    def load(name):
        asked.append(name)
        if error is not None:
            raise error

    pathfinder = SimpleNamespace(load_nvidia_dynamic_lib=load)
    monkeypatch.setattr(importlib, "import_module", {"cuda.pathfinder": pathfinder}.__getitem__)
    assert driver.compiler_is_there() == (error is None)
    assert asked == ["nvvm"]


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def said_by_a_child(asked):
    """What a forked child gives for a call."""
    context = multiprocessing.get_context("fork")
    answer = context.SimpleQueue()
    child = context.Process(target=lambda: answer.put(asked()))
    child.start()
    found = answer.get()
    child.join()
    return found


@needs_fork
def test_a_forked_child_is_refused(monkeypatch):
    """The driver runs only in the process that started it."""

    def asked():
        try:
            driver.require_same_process()
        except minitorch.BackendError as error:
            return str(error), driver.obstacle()
        return None

    installed(monkeypatch)
    answers(monkeypatch)
    assert said_by_a_child(asked) is None
    assert driver.obstacle() is None
    driver.require_same_process()
    message, obstacle = said_by_a_child(asked)
    assert re.search(r"forked from one .*get_context\(.spawn.\)", message)
    assert obstacle == driver.FORKED
    driver.require_same_process()
