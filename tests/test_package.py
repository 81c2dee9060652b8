from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import minitorch
from minitorch.version import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_package_is_typed():
    assert (Path(minitorch.__file__).parent / "py.typed").is_file()


def test_the_public_names_are_in_order_and_there():
    """Constants, classes, and then all others, as the linter sorts lists of names."""
    names = minitorch.__all__
    assert names == sorted(set(names), key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert [name for name in names if not hasattr(minitorch, name)] == []


def test_there_is_one_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert minitorch.__version__ == __version__
    assert "version" in PROJECT["project"]["dynamic"]
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "minitorch/version.py"


def test_dependencies_are_ranges():
    assert {re.split("[<>=]", requirement)[0] for requirement in PROJECT["project"]["dependencies"]} == {
        "numba",
        "numpy",
        "safetensors",
        "scipy",
        "threadpoolctl",
    }
    assert all("==" not in requirement for requirement in PROJECT["project"]["dependencies"])


@pytest.mark.parametrize("path", ["README.md", "docs", "CONTRIBUTING.md", ".github", ".ci", "Makefile"])
def test_nobody_is_told_to_install_the_other_project(path):
    """The name minitorch on the package index is another project's."""
    files = [ROOT / path] if (ROOT / path).is_file() else [file for file in (ROOT / path).rglob("*") if file.is_file()]
    assert files
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")
        wrong = re.search(r"pip install[^\n`]*\s\"?minitorch(?![-_])\b", text)
        assert wrong is None, f"{file}: {wrong}"


def make(*arguments):
    """Run make as from a shell of its own: nothing of a make that started these tests reaches it."""
    ours = {"ARGS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS", "PYTHON", "VENV"}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


unix = pytest.mark.skipif(sys.platform == "win32", reason="the Makefile is for systems that have make")


@unix
@pytest.mark.parametrize(
    ("assignments", "flags"),
    [
        ([], ""),
        (["EPOCHS=1"], " --epochs '1'"),
        (["BATCH_SIZE=32", "LR=0.1"], " --batch-size '32' --lr '0.1'"),
        (["FULL=yes", "PREDICT=it's a fine film"], r" --full --predict 'it'\''s a fine film'"),
        (["PYTHON=python3", "VENV=elsewhere"], ""),
    ],
)
@pytest.mark.parametrize("target", ["mnist", "sentiment"])
def test_make_passes_variables_on_as_flags(target, assignments, flags, monkeypatch):
    monkeypatch.setenv("SEED", "7")  # the environment is not the command line
    script = {"mnist": "run_mnist_multiclass", "sentiment": "run_sentiment"}[target]
    last = make("--dry-run", target, *assignments).stdout.splitlines()[-1]
    assert last.rstrip().endswith(f"project/{script}.py{flags}")


@unix
@pytest.mark.parametrize(
    "target",
    ["app", "mnist", "sentiment", "test", "test-app", "test-browser", "test-parity", "lint", "docs", "bench", "doctor"],
)
def test_a_target_begins_with_an_environment_from_an_empty_checkout(target, tmp_path):
    lines = make("--dry-run", target, f"VENV={tmp_path}/venv").stdout.splitlines()
    assert lines[1].endswith(f"-m venv {tmp_path}/venv")
    assert any(f"{tmp_path}/venv/bin/python -m pip install" in line and '-e ".[' in line for line in lines)


@unix
def test_make_refuses_an_old_python(tmp_path):
    old = tmp_path / "python3.10"
    old.write_text(f"#!/bin/sh\nshift\nexec '{sys.executable}' -c \"import sys; sys.version_info = (3, 10); $1\"\n")
    old.chmod(0o755)
    result = make("test", f"VENV={tmp_path}/venv", f"PYTHON={old}")
    assert result.returncode != 0
    assert f"MiniTorch needs Python 3.11 or newer and {old} is" in result.stderr
    assert not (tmp_path / "venv").exists()


def test_the_workflow_has_a_job_for_every_target_that_checks():
    """All but `make test`, whose command it has for three systems, and the tests in a browser, which it has not."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(test-[\w-]+|exercises|lint):", makefile, re.MULTILINE))
    assert {"exercises", "lint", "test-app", "test-compiler", "test-cuda", "test-exercises"} <= targets
    assert set(re.findall(r"run: make (\S+)$", workflow, re.MULTILINE)) == targets - {"test-browser"}
