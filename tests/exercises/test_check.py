"""`make exercises`: what fails it, what is reported as not run, and the final exercise in a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

import check
from check import Failed, NotRun, check_final_exercise, check_race, check_script, main


def script(tmp_path: Path, source: str) -> Path:
    path = tmp_path / "example.py"
    path.write_text(source)
    return path


def test_a_script_runs_with_small_settings_in_its_folder(tmp_path: Path) -> None:
    source = "import os, sys; print(os.environ['MINITORCH_SMALL'], os.path.basename(os.getcwd()), sys.argv[1:])"
    assert check_script(script(tmp_path, source), "train") == f"1 {tmp_path.name} ['train']\n"


def test_a_script_that_fails(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"(?s)example.py ended with status 1:.*ValueError: no such class"):
        check_script(script(tmp_path, "print(1)\nraise ValueError('no such class')"))
    with pytest.raises(Failed, match="status 3"):
        check_script(script(tmp_path, "print(1); raise SystemExit(3)"))


def test_a_script_that_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"example\.py prints nothing"):
        check_script(script(tmp_path, "print()"))


def test_a_script_whose_data_are_absent(tmp_path: Path) -> None:
    source = "from minitorch.data import DataNotFoundError\nraise DataNotFoundError('no MNIST')"
    with pytest.raises(NotRun, match=r"^no MNIST$"):
        check_script(script(tmp_path, source))


FINAL = """
import os, pathlib, sys
if sys.argv[1] == "train":
    print("training"); pathlib.Path("trained_model.pt").touch(); pathlib.Path("loss.png").touch()
else:
    assert os.path.exists(sys.argv[2])
    print("Test accuracy: 97.90%")
"""


def final_exercise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    folder = tmp_path / "corrupted_mnist"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "committed.png").touch()
    (folder / "trained_model.pt").touch()  # an older one, which is not taken along
    (folder / "main.py").write_text(source)
    monkeypatch.setattr(check, "FINAL", folder)


def test_the_final_exercise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    final_exercise(tmp_path, monkeypatch, FINAL)
    assert check_final_exercise().endswith("Test accuracy: 97.90%")
    assert not (tmp_path / "corrupted_mnist" / "loss.png").exists()


@pytest.mark.parametrize(
    ("part", "instead", "said"),
    [
        ('pathlib.Path("trained_model.pt").touch()', "pass", "wrote no trained_model.pt"),
        ('pathlib.Path("loss.png").touch()', "pass", "drew no picture"),
        ("97.90%", "0.979", "no line 'Test accuracy: 12.34%'"),
    ],
)
def test_a_final_exercise_that_lacks_something(
    part: str, instead: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert part in FINAL
    final_exercise(tmp_path, monkeypatch, FINAL.replace(part, instead))
    with pytest.raises(Failed, match=said):
        check_final_exercise()


def race(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str) -> None:
    source = f"import sys; print('Trained on', sys.argv[sys.argv.index('--limit') + 1]); print({last!r})"
    (tmp_path / "race.py").write_text(source)
    monkeypatch.setattr(check, "RACE", tmp_path)


def test_the_race_is_run_with_few_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    race(tmp_path, monkeypatch, "Test accuracy: 93.40% after 2.31 s")
    assert check_race().endswith(" s, Test accuracy: 93.40% with 3,000 digits")


def test_a_race_without_an_accuracy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    race(tmp_path, monkeypatch, "Test accuracy: 0.934")
    with pytest.raises(Failed, match=r"race.py printed no line 'Test accuracy: 12.34%': Trained on 3000"):
        check_race()


def test_every_exercise_has_a_line_and_one_that_fails_gives_the_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def outcome(path: Path) -> str:
        if path.parent.name.startswith("2"):
            raise Failed("line 3 differs")
        return "script 1.0 s"

    monkeypatch.setattr(check, "check_notebook", outcome)
    assert main(["1_tensors"]) == 0
    assert capsys.readouterr().out == "1_tensors: passed: script 1.0 s\n"
    assert main(["1_tensors", "2_networks"]) == 1
    assert capsys.readouterr().out.endswith("2_networks: FAILED: line 3 differs\n")


@pytest.mark.parametrize(("names", "status"), [(["3", "1"], 77), (["3"], 77), (["3", "2"], 1)])
def test_an_exercise_without_its_data_gives_the_status_of_what_could_not_run(
    names: list[str], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = {"1": None, "2": Failed("line 3 differs"), "3": NotRun("no MNIST")}

    def outcome(path: Path) -> str:
        if (error := outcomes[path.parent.name[0]]) is not None:
            raise error
        return "script 1.0 s"

    monkeypatch.setattr(check, "check_notebook", outcome)
    folders = {"1": "1_tensors", "2": "2_networks", "3": "3_training"}
    assert main([folders[name] for name in names]) == status
    lines = capsys.readouterr().out.splitlines()
    assert "3_training: NOT RUN: no MNIST" in lines
    assert lines[-1] == "NOT RUN for want of data: 3_training"


@pytest.mark.parametrize("status", [0, 1, 77])
def test_the_stage_runs_the_tests_too_and_ends_as_the_exercises_do(tmp_path: Path, status: int) -> None:
    """Run the function of .ci/run with stand-ins for make and for the environment's Python."""
    stages = (Path(__file__).parents[2] / ".ci" / "run").read_text(encoding="utf-8")
    found = re.search(r"^exercises\(\) \{\n.*?^\}\n", stages, re.MULTILINE | re.DOTALL)
    assert found
    log = tmp_path / "log"
    for program, ends in (("make", 0), ("python", status)):
        (tmp_path / "bin").mkdir(exist_ok=True)
        path = tmp_path / "bin" / program
        path.write_text(f'#!/bin/sh\necho {program} "$@" >>"{log}"\nexit {ends}\n')
        path.chmod(0o755)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{found[0]}exercises"],
        env={**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "VENV": str(tmp_path)},
        check=False,
    )
    assert done.returncode == status
    lines = log.read_text().splitlines()
    assert "make test-exercises" in lines
    assert lines[-1] == "python exercises/check.py"


def test_everything_is_run_when_nothing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "check_notebook", lambda path: path.name)
    monkeypatch.setattr(check, "check_final_exercise", lambda: "trained")
    monkeypatch.setattr(check, "check_race", lambda: "raced")
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1_tensors: passed: tensors.py"
    assert lines[-2:] == ["corrupted_mnist: passed: trained", "race: passed: raced"]
    assert main(["race"]) == 0
    assert capsys.readouterr().out == "race: passed: raced\n"


def test_an_unknown_name() -> None:
    with pytest.raises(SystemExit, match=r"expected exercises out of 1_tensors, .* got 8_more"):
        main(["8_more"])
