"""The notebook for Colab: the file in the repository is its script's, and its cells run on a simulated GPU.

Three things are otherwise here, and each is a cell that is put in by name. Nothing is installed: the repository is this
one. The settings are small. And the networks are small, for LeNet alone would take the simulator minutes a step.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import warnings
from itertools import pairwise
from pathlib import Path

import nbformat
import numpy as np
import pytest

from benchmarks.digits import write_idx
from minitorch.compiler.cuda import replay
from minitorch.kernels.cuda.driver import simulated
from notebooks import COLAB, execute, make_colab, mistakes, printed
from tests.project.test_run_sentiment import write_films

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests" / "cuda"
KEPT = COLAB.with_suffix(".ipynb")

INSTALLED = """
import os

os.chdir({root!r})
# What pytest tells its own processes is not for the one that the notebook starts.
for name in [name for name in os.environ if name.startswith("PYTEST_")]:
    del os.environ[name]
os.environ["PYTHONPATH"] = {root!r}
"""

SMALL_SETTINGS = """
TESTS = ["tests/cuda/test_backend.py", "-k", "test_views_share_the_storage"]
DIGITS = ["--epochs", "1", "--batch-size", "1", "--data-dir", {data!r}, "--out-dir", {out!r}]
REVIEWS = DIGITS
"""

# Instead of a script, a program that puts small networks in their places and runs its main function.
SMALL_NETWORKS = """
import importlib
import sys

sys.path.insert(0, "project")
import run_mnist_multiclass
import run_sentiment
from tests.cuda.small_networks import SmallKim, SmallLeNet

run_mnist_multiclass.Network = SmallLeNet
run_sentiment.CNNSentimentKim = SmallKim
importlib.import_module(sys.argv.pop(1)).main()
"""

INSTEAD = """
def python(*arguments, plain=python):
    _, of_project, script = arguments[0].rpartition("project/")
    plain(*(("-c", {program!r}, script.removesuffix(".py"), *arguments[1:]) if of_project else arguments))
"""


def named(notebook):
    """The cells of code by their names."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {cell.metadata["title"]: cell for cell in cells}


def small_data(folder):
    """A digit and a sentence to train on, and one of each to validate on."""
    rng = np.random.default_rng(0)
    for split in ("train", "t10k"):
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", rng.integers(0, 256, (1, 28, 28), np.uint8))
        write_idx(folder / f"{split}-labels-idx1-ubyte.gz", rng.integers(0, 10, 1, np.uint8))
    write_films(folder, train=1, dev=1)
    return folder


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colab")
    notebook = nbformat.read(KEPT, as_version=4)
    cells = named(notebook)
    cells["install"].source = INSTALLED.format(root=str(ROOT))
    small = SMALL_SETTINGS.format(data=str(small_data(folder)), out=str(folder / "out"))
    assert {line.split(" = ")[0] for line in small.strip().splitlines()} < set(cells["settings"].source.split())
    cells["settings"].source += small
    if simulated():
        cells["device"].source += INSTEAD.format(program=SMALL_NETWORKS)
    nbformat.write(notebook, folder / KEPT.name)
    return execute(folder / KEPT.name, small=True)


def test_the_notebook_in_the_repository_is_made_from_its_script(tmp_path):
    """After a change of the script: `python exercises/notebooks.py --colab`."""
    made = make_colab(tmp_path / KEPT.name).read_text(encoding="utf-8")
    assert KEPT.read_text(encoding="utf-8") == made
    assert '"output_type"' not in made
    assert set(named(nbformat.read(KEPT, as_version=4))) == {
        *("settings", "tools", "install", "device", "tests", "digits", "reviews")
    }


def test_every_cell_runs_and_says_something(executed):
    assert mistakes(executed) == []


@pytest.mark.parametrize(
    ("cell", "lines"),
    [
        ("device", ["numba-cuda", "driver", "The GPU: ", "It computes: the mean of 1,000 random numbers is 0."]),
        ("tests", ["1 passed"]),
        ("digits", ["Epoch 1 loss ", "Epoch 1: held-out accuracy ", "Time per epoch: ", "Held-out accuracy: "]),
        ("reviews", ["Epoch 1, loss ", "Validation accuracy: ", "Time per epoch: "]),
    ],
)
def test_what_a_person_sees(executed, cell, lines):
    said = printed({"cells": [named(executed)[cell]]})
    assert [line for line in lines if line not in said] == []


def test_a_command_that_fails_ends_the_notebook():
    names = {}
    exec(named(nbformat.read(KEPT, as_version=4))["tools"].source, names)
    with pytest.raises(RuntimeError, match="ended with status 3; its last lines say why"):
        names["run"](names["sys"].executable, "-c", "import sys; sys.exit(3)")


def test_without_an_address_nothing_is_installed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="address of MiniTorch's repository"):
        exec(named(nbformat.read(KEPT, as_version=4))["install"].source, {"ADDRESS": ""})


# --- installing ----------------------------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path, monkeypatch, capsys):
    """Run the cell that installs, from a small repository, where pip only notes what it is asked for."""

    def git(*command):
        who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
        subprocess.run(["git", *who, *command], cwd=origin, check=True, capture_output=True)

    origin, here = tmp_path / "origin", tmp_path / "here"
    origin.mkdir()
    here.mkdir()
    git("init", "--initial-branch", "main")
    git("commit", "--allow-empty", "--message", "The first line")
    monkeypatch.chdir(here)
    cells = named(nbformat.read(KEPT, as_version=4))
    names = {"ADDRESS": origin.as_uri(), "BRANCH": "main"}
    exec(cells["tools"].source, names)
    run, pip = names["run"], []
    names["run"] = lambda *command: pip.append(command) if "pip" in command else run(*command)
    exec(cells["install"].source, names)
    ((python, *words),) = pip
    assert (python, words[:4]) == (sys.executable, ["-u", "-m", "pip", "install"])
    assert Path.cwd() == here / "minitorch"
    assert capsys.readouterr().out.endswith("The first line\n")
    return words[4:]


def test_the_notebook_itself_imports_nothing_that_is_installed():
    """Its Python began before: what it has loaded stays, and numba-cuda takes its place only when a Python starts."""
    cells = named(nbformat.read(KEPT, as_version=4)).values()
    nodes = [node for cell in cells for node in ast.walk(ast.parse(cell.source))]
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {"os", "pathlib", "subprocess", "sys"} == modules


def test_it_is_installed_from_a_copy_of_the_repository(installed):
    folder, _, extras = installed[installed.index("-e") + 1].partition("[")
    assert folder == str(Path.cwd())
    assert set(extras.rstrip("]").split(",")) <= set(project()["optional-dependencies"])


def test_what_is_installed_covers_what_the_tests_import(installed):
    """All tests but these ones, which need Jupyter's tools and are left out there."""
    _, _, extras = installed[installed.index("-e") + 1].partition("[")
    wanted = [*project()["dependencies"], *installed]
    for extra in extras.rstrip("]").split(","):
        wanted += project()["optional-dependencies"][extra]
    brought = {requirement.split("[")[0].split(">")[0].split("=")[0] for requirement in wanted}
    brought |= {"cuda"} if "numba-cuda" in brought else set()
    ignored = [word.partition("=")[2] for word in cell_of_tests() if word.startswith("--ignore=")]
    assert [ROOT / path for path in ignored] == [Path(__file__)]
    files = [ROOT / "tests" / "conftest.py", *(path for path in TESTS.glob("*.py") if path != Path(__file__))]
    assert imported_by(files) - brought == set()
    assert "nbformat" in imported_by([Path(__file__)])  # they are found


def test_warnings_of_others_fail_no_test_there():
    """But the one that says that the driver captures no graphs does."""
    words = cell_of_tests()
    filters = [after for word, after in pairwise(words) if word == "-W"]
    with warnings.catch_warnings(record=True) as said:
        for word in filters:
            action, _, message = word.partition(":")
            warnings.filterwarnings(action, re.escape(message))
        warnings.warn("somebody's", DeprecationWarning, stacklevel=1)
        with pytest.raises(RuntimeWarning, match="not replayed as CUDA graphs"):
            replay._say(ValueError("no driver"))
    assert len(said) == 1


def project():
    """What pyproject.toml says of the package."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def cell_of_tests():
    """The words of the command that runs the tests."""
    tree = ast.parse(named(nbformat.read(KEPT, as_version=4))["tests"].source)
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]


def imported_by(files):
    """The packages from elsewhere that files import when they are loaded, and that what they import here does."""
    found, seen, left = set(), set(), list(files)
    while left:
        path = left.pop()
        if path in seen:
            continue
        seen.add(path)
        for module in imports_of(path):
            own = own_files(module)
            left += own
            name = module.partition(".")[0]
            if not own and name not in sys.stdlib_module_names and not (ROOT / name).is_dir():
                found.add(name)
    return found


def imports_of(path):
    """The modules that a file imports at its top level, by their full names."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names if own_files(f"{module}.{alias.name}"))


def own_files(module):
    """The file of a module of this repository, but of the package itself, which brings what it imports."""
    parts = Path(*module.split("."))
    if parts.parts[0] == "minitorch":
        return []
    places = [folder / parts for folder in (ROOT, ROOT / "project", ROOT / "exercises")]
    return [path for place in places for path in (place.with_suffix(".py"), place / "__init__.py") if path.exists()]
