"""The settings of an exercise: flags in a script, defaults in a notebook, small ones where they are asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

import arguments as module
from arguments import arguments
from minitorch import ArgumentError


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "RUNS", tmp_path / "runs")
    monkeypatch.delenv("MINITORCH_SMALL", raising=False)
    return tmp_path / "runs"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    main = ModuleType("__main__")
    main.__file__ = str(tmp_path / "9_example" / "example.py")
    monkeypatch.setitem(sys.modules, "__main__", main)
    return main


def test_defaults_and_flags() -> None:
    defaults = {"epochs": 10, "lr": 0.1, "name": "a", "dataset": ("mnist", "cifar"), "plot": True, "quick": False}
    assert vars(arguments(argv=[], **defaults)).items() >= (defaults | {"dataset": "mnist", "small": False}).items()
    flags = ["--epochs", "3", "--lr", "1", "--name", "b", "--dataset", "cifar", "--no-plot", "--quick"]
    given = arguments(argv=flags, **defaults)
    assert (given.epochs, given.lr, given.name, given.dataset) == (3, 1.0, "b", "cifar")
    assert (given.plot, given.quick) == (False, True)
    assert type(given.lr) is float


def test_an_underscore_is_a_dash() -> None:
    assert arguments(argv=["--batch-size", "7"], batch_size=64).batch_size == 7


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--dataset", "imagenet"], "invalid choice: 'imagenet' (choose from"),
        (["--epochs", "many"], "invalid int value: 'many'"),
        (["--epoch", "3"], "unrecognized arguments: --epoch"),  # a flag is not cut short
    ],
)
def test_a_wrong_flag_ends_the_script(flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        arguments(argv=flags, epochs=10, dataset=("mnist", "cifar"))
    assert said in capsys.readouterr().err


def test_small_settings_by_flag_and_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*flags: str) -> tuple[int, int, bool]:
        given = arguments(argv=flags, epochs=10, seed=1, small={"epochs": 2})
        return given.epochs, given.seed, given.small

    assert read() == (10, 1, False)
    assert read("--small") == (2, 1, True)
    assert read("--small", "--epochs", "5") == read("--epochs", "5", "--small") == (5, 1, True)
    monkeypatch.setenv("MINITORCH_SMALL", "1")
    assert read() == (2, 1, True)
    assert read("--epochs", "5") == (5, 1, True)
    monkeypatch.setenv("MINITORCH_SMALL", "0")
    assert read() == (10, 1, False)


def test_a_small_setting_has_to_be_a_setting() -> None:
    with pytest.raises(ArgumentError, match="got epoch"):
        arguments(argv=[], epochs=10, small={"epoch": 2})


def test_the_folder_is_named_after_the_exercise_and_made(script: ModuleType, runs: Path) -> None:
    assert arguments(argv=[]).out_dir == runs / "9_example"
    assert arguments(argv=["--small"]).out_dir == runs / "small" / "9_example"
    own = arguments(argv=["--out-dir", str(runs / "a" / "b")]).out_dir
    assert own == runs / "a" / "b"
    assert own.is_dir()


def test_a_script_reads_its_command_line(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["example.py", "--epochs", "4"])
    assert arguments(epochs=10).epochs == 4


def test_a_notebook_has_no_command_line(
    script: ModuleType, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del script.__file__  # as in an interactive session
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", "-f", "connection.json"])
    (tmp_path / "8_other").mkdir()
    monkeypatch.chdir(tmp_path / "8_other")
    given = arguments(epochs=10)
    assert (given.epochs, given.out_dir) == (10, runs / "8_other")


def test_cells_that_an_editor_runs_from_the_script_have_none_either(
    script: ModuleType, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/lib/ipykernel_launcher.py", "--f=connection.json"])
    given = arguments(epochs=10)
    assert (given.epochs, given.out_dir) == (10, runs / "9_example")
