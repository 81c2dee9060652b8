"""Why CUDA cannot run: every answer of the driver has a reason and a remedy of its own."""

from __future__ import annotations

import ctypes
import importlib.util
from types import SimpleNamespace

import pytest

import minitorch
from minitorch.kernels.cuda import driver
from minitorch.kernels.cuda.driver import Driver


def answers(monkeypatch, error=0, version=12040, devices=2):
    """Put a driver in the place of the real one."""

    def answer(value):
        def call(pointer):
            pointer._obj.value = value
            return 0

        return call

    library = SimpleNamespace(
        cuInit=lambda flags: error, cuDriverGetVersion=answer(version), cuDeviceGetCount=answer(devices)
    )
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)


def no_driver(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)


def installed(monkeypatch, package=True, compiler=(12, 9)):
    monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if package else None)
    monkeypatch.setattr(driver, "compiler_version", lambda: compiler)


def test_the_driver_is_asked_for_its_version_and_devices(monkeypatch):
    answers(monkeypatch)
    assert driver.driver() == Driver((12, 4), 2)
    assert str(driver.driver()) == "CUDA 12.4, 2 devices"


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
        (35, 11040, 0, (12, 9), "which runs CUDA 11.4, is older than the toolkit, CUDA 12.9", "numba-cuda[cu11]"),
        (803, 12000, 0, None, "which runs CUDA 12.0, is older than the toolkit", "update the driver"),
        (0, 12040, 1, (13, 0), "which runs CUDA 12.4, is older than the toolkit, CUDA 13.0", "numba-cuda[cu12]"),
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
    assert fix in found.fix


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
    versions.clear()
    assert driver.compiler_version() is None


def test_asking_for_the_backend_raises_with_the_reason_and_the_remedy(monkeypatch):
    """Everything imports without CUDA; only the backend itself does not come."""
    installed(monkeypatch, package=False)
    monkeypatch.setattr(minitorch.TensorBackend, "_made", {})
    with pytest.raises(minitorch.BackendError, match=r"numba-cuda is not installed\. What helps: pip install"):
        minitorch.TensorBackend(minitorch.CudaOps)
