"""The course's two numberings, on a file of four tests collected by a pytest of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

SAMPLE = """
import pytest

@pytest.mark.task3_1
def test_map(): pass

@pytest.mark.task4_1
def test_conv1d(): pass

@pytest.mark.task4_2
def test_conv2d(): pass

class TestPooling:
    pytestmark = pytest.mark.task4_3

    def test_tile(self): pass

@pytest.mark.task4_4
@pytest.mark.edition2020("task4_2")
def test_maxpool2d(): pass

@pytest.mark.task4_4
@pytest.mark.edition2020("task4_3")
@pytest.mark.parametrize("dim", [0])
def test_softmax(dim): pass

@pytest.mark.task4_4
def test_dropout(): pass

@pytest.mark.task4_4b
def test_cuda(): pass

@pytest.mark.task4_5
def test_training(): pass
"""


# One process collects for every selection, because starting one takes longer than collecting.
COLLECT = """
import contextlib, io, json, sys, pytest

selections = {}
for arguments in json.load(sys.stdin):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        pytest.main(["-q", "--collect-only", "-p", "no:cacheprovider", "test_sample.py", *arguments])
    lines = [line for line in output.getvalue().splitlines() if "::" in line]
    selections[" ".join(arguments)] = [line.rpartition("::")[2].partition("[")[0] for line in lines]
print(json.dumps(selections))
"""
TASKS = [
    ("task3_1", ["test_map"], ["test_map"]),
    ("task4_1", ["test_conv1d"], ["test_conv1d", "test_conv2d"]),
    ("task4_2", ["test_conv2d"], ["test_tile", "test_maxpool2d"]),
    ("task4_3", ["test_tile"], ["test_softmax"]),
    ("task4_4", ["test_maxpool2d", "test_softmax", "test_dropout"], ["test_dropout"]),
    ("task4_4b", ["test_cuda"], []),
    ("task4_5", ["test_training"], ["test_training"]),
]


def set_up(folder, source):
    """Make a folder with this repository's settings and one file of tests."""
    (folder / "test_sample.py").write_text(source)
    (folder / "conftest.py").write_bytes((ROOT / "tests/conftest.py").read_bytes())
    (folder / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())


def run_python(folder, *arguments, stdin="", **variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, input=stdin, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def selected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    set_up(folder, SAMPLE)
    selections = [[], *(["-m", task] for task, _, _ in TASKS)]
    selections += [[*arguments, "--edition", "2020"] for arguments in selections]
    return json.loads(run_python(folder, "-c", COLLECT, stdin=json.dumps(selections)).stdout)


@pytest.mark.parametrize(("task", "current", "older"), TASKS)
def test_markers_follow_the_edition(selected, task, current, older):
    assert selected[f"-m {task}"] == current
    assert selected[f"-m {task} --edition 2020"] == older


def test_the_older_edition_loses_no_test(selected):
    assert len(selected[""]) == SAMPLE.count("def test_")
    assert selected["--edition 2020"] == selected[""]


def test_every_test_of_task_4_4_but_for_dropout_names_its_older_task(request):
    """Three older tasks share it, so no rule could tell. A whole run looks at every test."""
    items = [item for item in request.session.items if item.get_closest_marker("task4_4")]
    unnamed = [item.nodeid for item in items if item.get_closest_marker("edition2020") is None]
    assert [nodeid for nodeid in unnamed if "dropout" not in nodeid.lower()] == []


@pytest.mark.parametrize(
    ("variables", "examples"),
    [
        ({"CI": "", "MINITORCH_HYPOTHESIS": "dev"}, 25),
        ({"CI": "true"}, 50),
        ({"CI": "true", "MINITORCH_HYPOTHESIS": "intense"}, 1000),
    ],
)
def test_the_environment_chooses_how_hard_hypothesis_tries(tmp_path, variables, examples):
    set_up(tmp_path, f"from hypothesis import settings\ndef test_it(): assert settings().max_examples == {examples}\n")
    result = run_python(tmp_path, "-m", "pytest", "-q", "test_sample.py", **variables)
    assert "1 passed" in result.stdout


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(("folder", "needs"), [("parity", "PyTorch"), ("app", "Streamlit"), ("browser", "Playwright")])
def test_what_an_extra_is_missing_for_is_left_out_and_that_is_said(tmp_path, folder, needs, there):
    set_up(tmp_path, "def test_here(): pass\n")
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "test_with_extra.py").write_text("def test_extra(): pass\n")
    conftest = tmp_path / "conftest.py"
    finding = "importlib.util.find_spec(module) is None"
    assert finding in conftest.read_text()
    conftest.write_text(conftest.read_text().replace(finding, str(not there)))
    output = run_python(tmp_path, "-m", "pytest", "-q", ".").stdout
    assert ("2 passed" in output) == there
    assert (f"tests/{folder} was left out: it needs {needs}" in output) != there
