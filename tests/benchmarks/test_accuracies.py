"""The benchmark of accuracies: what it runs and in which order, what it keeps and says; trainings are stand-ins."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks import accuracies
from benchmarks.accuracies import Effort, Failed
from benchmarks.accuracy_tasks import TASKS, Training

SEQUENCE = Training((("Linear", {}),), "mnist", 5, 64, 0.01, (0.5,), (0.25,))
ACCURACY = {"MiniTorch": 0.991, "PyTorch": 0.985}
LENET = next(task for task in TASKS if task.name == "lenet-mnist")
RACE = next(task for task in TASKS if task.name == "race")


@pytest.fixture
def trainings(monkeypatch):
    """Put functions in the place of processes; gives the list of what was run."""
    ran = []

    def run_minitorch(task, seed, effort, cache=None):
        if cache is not None or effort.quick:
            ran.append(("cold" if cache is not None else "warm-up", seed))
            return {"accuracy": 0.0, "seconds": 9.0}
        ran.append(("MiniTorch", seed))
        return {"accuracy": ACCURACY["MiniTorch"] + seed / 1e4, "seconds": 2.0 + seed / 10}

    class Peer:
        def __init__(self, task, folder, effort):
            assert folder.is_dir()

        def run(self, seed):
            ran.append(("PyTorch", seed))
            return {"accuracy": ACCURACY["PyTorch"], "seconds": 4.4, "training_s": 4.0}

    monkeypatch.setattr(accuracies, "run_minitorch", run_minitorch)
    monkeypatch.setattr(accuracies, "Peer", Peer)
    monkeypatch.setattr(accuracies, "training_of", lambda task: SEQUENCE)
    return ran


def test_the_libraries_take_turns(trainings):
    results = accuracies.measure([LENET], Effort(), None)
    turns = [(library, seed) for seed in (1, 2, 3) for library in ("MiniTorch", "PyTorch")]
    assert trainings == [("warm-up", 1), *turns]
    assert [(run["library"], run["seed"]) for run in results["rows"][0]["runs"]] == turns


def test_cold_starts_come_first_and_seeds_can_be_fewer(trainings):
    results = accuracies.measure([RACE], Effort(seeds=2, peer_seeds=1), None)
    assert trainings == [("cold", 11), ("warm-up", 11), ("MiniTorch", 11), ("PyTorch", 11), ("MiniTorch", 12)]
    assert results["rows"][0]["cold_s"] == 9.0


def test_each_result_is_kept_at_once_and_an_interrupted_run_goes_on(trainings, tmp_path, monkeypatch):
    path = tmp_path / "more" / "accuracies.json"
    normal = accuracies.run_minitorch

    def interrupted(task, seed, effort, cache=None):
        if seed == 2:
            raise KeyboardInterrupt
        return normal(task, seed, effort, cache)

    monkeypatch.setattr(accuracies, "run_minitorch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        accuracies.measure([LENET], Effort(), path)
    kept = json.loads(path.read_text())["rows"][0]["runs"]
    assert [(run["library"], run["seed"]) for run in kept] == [("MiniTorch", 1), ("PyTorch", 1)]

    monkeypatch.setattr(accuracies, "run_minitorch", normal)
    trainings.clear()
    accuracies.measure([LENET], Effort(), path, resume=True)
    assert trainings == [("warm-up", 1), ("MiniTorch", 2), ("PyTorch", 2), ("MiniTorch", 3), ("PyTorch", 3)]
    trainings.clear()
    accuracies.measure([LENET], Effort(), path, resume=True)
    assert trainings == []
    monkeypatch.setattr(accuracies, "training_of", lambda task: replace(SEQUENCE, lr=0.02))
    accuracies.measure([LENET], Effort(), path, resume=True)
    assert len(trainings) == 7, "results of another recipe are no results"


def test_other_tasks_keep_their_results(trainings, tmp_path):
    path = tmp_path / "accuracies.json"
    accuracies.measure([RACE], Effort(), path)
    accuracies.measure([LENET], Effort(), path)
    assert [row["name"] for row in json.loads(path.read_text())["rows"]] == ["lenet-mnist", "race"]


def test_a_failure_is_told_and_the_next_task_runs(trainings, monkeypatch):
    normal = accuracies.run_minitorch

    def failing(task, *args):
        if task is LENET:
            raise Failed("no such file")
        return normal(task, *args)

    monkeypatch.setattr(accuracies, "run_minitorch", failing)
    results = accuracies.measure([LENET, RACE], Effort(), None)
    assert results["rows"][0]["failed"] == "no such file"
    assert len(results["rows"][1]["runs"]) == 10
    assert "| LeNet, mnist | 5 | 98.8% |  |  |  |  |  | FAILED |" in accuracies.summary(results)


def test_the_table_and_the_race(trainings):
    text = accuracies.summary(accuracies.measure([LENET, RACE], Effort(), None))
    row = "| LeNet, mnist | 5 | 98.8% | 99.12% (99.11% to 99.13%) | 98.50% (98.50% to 98.50%) | 2.2 | 4.4 | 2.00 |  |"
    assert row in text.splitlines()
    assert "With an empty cache, the race takes 9.0 s." in text
    assert "The race reached 99% with 5 of 5 seeds, in 3.30 s." in text


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ((0.988, 2.0), (0.988, 2.0), ""),
        ((0.9879, 2.0), (0.97, 3.0), "aim missed"),
        ((0.989, 2.0), (0.9991, 3.0), "a point below PyTorch"),
        ((0.99, 3.1), (0.99, 3.0), "slower than PyTorch"),
    ],
)
def test_what_is_missed_is_remarked(ours, theirs, expected):
    runs = [
        {"library": library, "accuracy": accuracy, "seconds": seconds}
        for library, (accuracy, seconds) in (("MiniTorch", ours), ("PyTorch", theirs))
    ]
    assert accuracies.remark(LENET, {"runs": runs}) == expected


def test_a_process_that_fails_is_told_by_its_last_line(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import os\nprint(os.environ['OMP_NUM_THREADS'])")
    printed, seconds = accuracies.run([script])
    assert printed == f"{accuracies.usable_cores()}\n"
    assert seconds > 0
    script.write_text("raise ValueError('nothing there')")
    with pytest.raises(Failed, match="ValueError: nothing there"):
        accuracies.run([script])


def test_the_page_gets_the_table_between_its_markers(trainings, tmp_path):
    results = accuracies.measure([LENET], Effort(), None)
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- accuracies -->\nold\n<!-- end -->\nafter\n")
    accuracies.write_page(results, page)
    accuracies.write_page(results, page)
    text = page.read_text()
    assert text.startswith("before\n<!-- accuracies -->\n| network, data |")
    assert text.endswith(".\n<!-- end -->\nafter\n")
    assert text.count("LeNet, mnist") == 1
    assert "old" not in text
    page.write_text("a page without a place for it")
    accuracies.write_page(results, page)
    assert page.read_text() == "a page without a place for it"
