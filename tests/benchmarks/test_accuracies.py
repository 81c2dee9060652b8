"""The benchmark of accuracies: what it runs and in which order, what it keeps and says; trainings are stand-ins."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minitorch
from benchmarks import accuracies, accuracies_minitorch, accuracies_report, accuracy_tasks
from benchmarks.accuracies import Effort, Failed
from benchmarks.accuracy_tasks import PUBLISHED, TASKS, Training, exercise_module
from minitorch.data import ImageDataset
from scripts import exercise_scripts, named_cells

from ..defaults import on_fast_backend

SEQUENCE = Training((("Linear", {}),), "mnist", 5, 64, 0.01, (0.5,), (0.25,))
ACCURACY = {"MiniTorch": 0.991, "PyTorch": 0.985}
LENET = next(task for task in TASKS if task.name == "lenet-mnist")
RACE = next(task for task in TASKS if task.name == "race")
CIFAR = next(task for task in TASKS if task.name == "cnn-cifar")
PART = {"train": 20_000, "test": 10_000, "source": ["two of five files", "one file"]}


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
    monkeypatch.setattr(accuracies, "data_of", whole)
    return ran


def whole(dataset):
    """Say that a data set is there as it was published."""
    train, test = PUBLISHED[dataset]
    return {"train": train, "test": test, "source": [f"{dataset} train", f"{dataset} test"]}


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


def test_results_of_other_images_are_no_results(trainings, tmp_path, monkeypatch):
    path = tmp_path / "accuracies.json"
    accuracies.measure([CIFAR], Effort(), path)
    monkeypatch.setattr(accuracies, "data_of", lambda dataset: PART)
    trainings.clear()
    accuracies.measure([CIFAR], Effort(), path, resume=True)
    assert len(trainings) == 7
    (row,) = json.loads(path.read_text())["rows"]
    assert row["data"] == PART


def test_results_of_other_code_are_no_results(trainings, tmp_path, monkeypatch):
    path = tmp_path / "accuracies.json"
    accuracies.measure([LENET], Effort(), path)
    (row,) = json.loads(path.read_text())["rows"]
    assert row["code"] == accuracy_tasks.digest_of(LENET)
    monkeypatch.setattr(accuracies, "digest_of", lambda task: "other code")
    trainings.clear()
    accuracies.measure([LENET], Effort(), path, resume=True)
    assert len(trainings) == 7
    (row,) = json.loads(path.read_text())["rows"]
    assert (row["code"], len(row["runs"])) == ("other code", 6)
    del row["code"]  # as results were kept before
    path.write_text(json.dumps({"rows": [row]}))
    trainings.clear()
    accuracies.measure([LENET], Effort(), path, resume=True)
    assert len(trainings) == 7


def test_the_code_of_a_training_is_that_of_its_exercise(tmp_path, monkeypatch):
    """A changed line of code is another digest, for the tasks that it trains alone; a comment is not."""
    paths = {name: tmp_path / f"{name}.py" for name in ("recipes", "race", "peer")}
    for name, path in paths.items():
        path.write_text(f"{name} = 1\n")
    monkeypatch.setattr(accuracy_tasks, "FASHION", (paths["recipes"],))
    monkeypatch.setattr(accuracy_tasks, "SOURCES", {"race": (paths["race"],)})
    monkeypatch.setattr(accuracy_tasks, "PEER", paths["peer"])

    def changed(name, text):
        before = [accuracy_tasks.digest_of(task) for task in (LENET, CIFAR, RACE)]
        paths[name].write_text(text)
        after = [accuracy_tasks.digest_of(task) for task in (LENET, CIFAR, RACE)]
        return [old != new for old, new in zip(before, after)]

    assert changed("recipes", "# The recipes.\nrecipes = 1\n") == [False, False, False]
    assert changed("recipes", "recipes = 2\n") == [True, True, False]
    assert changed("race", "race = 2\n") == [False, False, True]
    assert changed("peer", "peer = 2\n") == [True, True, True]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_training_has_a_digest(task):
    assert len(accuracy_tasks.digest_of(task)) == 16  # each of its files is there


def test_a_part_of_a_data_set_is_told(trainings, monkeypatch):
    text = accuracies.summary(accuracies.measure([LENET, CIFAR], Effort(), None))
    assert "| three convolutions, cifar | 5 | 3, 3 | PyTorch's − 1 point |" in text
    assert "part was there" not in text
    monkeypatch.setattr(accuracies, "data_of", lambda dataset: PART if dataset == "cifar" else whole(dataset))
    text = accuracies.summary(accuracies.measure([LENET, CIFAR], Effort(), None))
    assert "| LeNet, mnist | 5 |" in text
    assert "| three convolutions, on 20,000 of cifar's 50,000 images | 5 |" in text
    told = "Of cifar a part was there: 20,000 of 50,000 images to train on and 10,000 of 10,000 to test with "
    assert f"{told}(two of five files; one file)." in text
    assert text.count("a part was there") == 1


def test_images_are_counted_and_their_source_is_told_without_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path))
    monkeypatch.setattr(accuracy_tasks, "images_of", lambda dataset: (pictures(3, tmp_path), pictures(2, tmp_path)))
    assert accuracy_tasks.data_of("cifar") == {"train": 3, "test": 2, "source": ["drawn: cifar10 (one.bin)"] * 2}


def pictures(count, folder="", seed=0):
    """Make pictures of noise, of random classes."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 1, 28, 28)).astype(np.uint8)
    return ImageDataset(images, rng.integers(0, 10, count), source=f"drawn: {folder}/cifar10 (one.bin)")


@pytest.fixture
def as_the_exercises():
    """Compute in float32 on the fast backend."""
    with on_fast_backend("float32"):
        yield


@pytest.mark.usefixtures("as_the_exercises")
def test_a_training_is_that_of_the_exercise(monkeypatch):
    """Same seed, same weights, same order of the images: the same accuracy, of images that can only be guessed."""
    train, test = pictures(640), pictures(500, seed=1)
    (script,) = exercise_scripts(["4_fashion_mnist"])
    cells = named_cells(script.read_text(encoding="utf-8"))
    recipes = exercise_module("4_fashion_mnist", "recipes")
    settings = {"network": "mlp", "dataset": "fashionmnist", "epochs": 1}
    names: dict[str, Any] = {**vars(recipes), "replace": replace, "fit": minitorch.training.fit, "train": train}
    names |= {"settings": SimpleNamespace(**settings), "test": test}
    names |= {"cross_entropy": minitorch.losses.cross_entropy}
    monkeypatch.setattr(accuracies_minitorch, "images_of", lambda dataset: (train, test))
    accuracies_of_seeds = []
    for seed in (1, 2):
        minitorch.manual_seed(seed)
        for name in ("network", "training"):
            exec(cells[name], names)
        found = accuracies_minitorch.train({**settings, "seed": seed, "limit": 0})
        assert found["accuracy"] == names["history"][-1]["validation_accuracy"]
        accuracies_of_seeds.append(found["accuracy"])
    assert accuracies_of_seeds[0] != accuracies_of_seeds[1]


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
    assert "| LeNet, mnist | 5 | 0, 0 | 98.8% |  |  |  |  |  | FAILED |" in accuracies.summary(results)


def test_the_table_and_the_race(trainings):
    text = accuracies.summary(accuracies.measure([LENET, RACE], Effort(peer_seeds=1), None))
    row = "| LeNet, mnist | 5 | 3, 1 | 98.8% | 99.12% (99.11% to 99.13%) | 98.50% | 2.2 | 4.4 | 2.00 |  |"
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
    assert accuracies_report.remark(LENET, {"runs": runs}) == expected


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
    accuracies_report.write_page(results, page)
    accuracies_report.write_page(results, page)
    text = page.read_text()
    assert text.startswith("before\n<!-- accuracies -->\n| network, data |")
    assert text.endswith(".\n<!-- end -->\nafter\n")
    assert text.count("LeNet, mnist") == 1
    assert "old" not in text
    page.write_text("a page without a place for it")
    accuracies_report.write_page(results, page)
    assert page.read_text() == "a page without a place for it"
