"""The final exercise from the command line, in a copy of its folder: what it learns, finds out and refuses.

The digits are our own drawings, ones and zeros, in files of MNIST's format; MiniTorch rotates them as the published set
was made.
"""

from __future__ import annotations

import gzip
import importlib.util
import itertools
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minitorch
from minitorch.data import load
from minitorch.data.corrupt_mnist import ANGLES
from minitorch.data.rotation import rotate  # counter-clockwise

from ..defaults import on_fast_backend

ROOT = Path(__file__).parents[2]
EXERCISE = ROOT / "exercises" / "corrupted_mnist"


def module(name):
    """Import a file of the exercise under a name that no other file has."""
    spec = importlib.util.spec_from_file_location(f"corrupted_mnist_{name}", EXERCISE / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


PARTS = {name: module(name) for name in ("corruption", "data", "model")}
sys.modules |= PARTS  # as the command line imports them
main = module("main")
for name in PARTS:
    del sys.modules[name]
corruption, data, model = PARTS.values()


# --- digits of our own ---------------------------------------------------------------------------------------


def draw(digit, lean, thickness):
    """Draw a one, a stroke that leans to the right by so many degrees, or a zero, an ellipse that leans."""
    y, x = 13.5 - np.arange(28)[:, None], np.arange(28)[None, :] - 13.5
    angle = math.radians(lean)
    across, along = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
    if digit == 1:
        distance = np.hypot(across, np.maximum(np.abs(along) - 9, 0))
    else:
        distance = np.abs(np.hypot(across / 6, along / 10) - 1) * 7
    return np.clip(255 * (thickness - distance), 0, 255).astype(np.uint8)


def idx(array):
    """Write an array as the publishers of MNIST do."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(header + array.tobytes(), 1)


def write_digits(folder, train, test):
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("t10k", test)):
        labels = rng.integers(0, 2, count).astype(np.uint8)
        images = [draw(label, rng.normal(10, 8), rng.uniform(1.5, 3)) for label in labels]
        (folder / f"{split}-images-idx3-ubyte.gz").write_bytes(idx(np.array(images)))
        (folder / f"{split}-labels-idx1-ubyte.gz").write_bytes(idx(labels))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A copy of the exercise in a folder of its own, with digits to train on and to test with."""
    folder = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(EXERCISE, folder / "copy", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "digits").mkdir()
    write_digits(folder / "digits", train=1200, test=200)
    return folder


@pytest.fixture(scope="module")
def run(place):
    """Run ``main.py`` of the copy, from another working directory."""

    def main(*words, digits="digits"):
        command = [sys.executable, str(place / "copy" / "main.py"), *map(str, words)]
        if digits and words[0] in ("train", "evaluate", "identify"):
            command += ["--data-dir", str(place / digits)]
        variables = {**os.environ, "MINITORCH_SMALL": "0", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
        return subprocess.run(command, cwd=place, env=variables, capture_output=True, text=True, encoding="utf-8")

    return main


@pytest.fixture(scope="module")
def trained(place, run):
    """What a short training prints, and where its model is."""
    done = run("train", "--epochs", 3, "--batch-size", 32, "--seed", 5)
    assert done.returncode == 0, done.stderr
    return done.stdout, place / "trained_model.pt"


# --- what it does --------------------------------------------------------------------------------------------


def test_training_writes_a_model_and_one_curve_into_the_working_directory(trained, place):
    printed, path = trained
    assert sorted(file.name for file in place.iterdir() if file.is_file()) == ["trained_model.pt", "training_loss.png"]
    assert "1,200 digits of (MNIST train" in printed
    assert "rotated, with the published angles, not the published set" in printed
    assert len(re.findall(r"^Epoch \d/3: loss .*validation accuracy", printed, re.MULTILINE)) == 3
    with Image.open(place / "training_loss.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 300
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert header["layers.0.weight"]["shape"] == [16, 1, 5, 5]
    assert header["layers.0.weight"]["dtype"] == "F32"


@pytest.fixture
def fast():
    """New tensors are on the fast backend, in float32."""
    with on_fast_backend("float32"):
        yield


@pytest.mark.usefixtures("fast")
def test_the_printed_accuracy_is_that_of_the_model_on_the_test_set(trained, place, run):
    done = run("evaluate", trained[1])
    assert done.returncode == 0, done.stderr
    printed = re.fullmatch(r"Test accuracy: (\d+\.\d\d)%", done.stdout.splitlines()[-1])
    assert printed, done.stdout
    network = minitorch.load_model(trained[1], model.DigitClassifier).eval()
    assert network.arguments == {"channels": 16, "hidden": 128, "dropout": 0.25}
    _, test = load("corruptmnist", place / "digits", transform=None, notice=lambda line: None)
    assert len(test) == 200
    x = ((test.images - np.float32(0.1317)) / np.float32(0.3095)).astype(np.float32)
    answers = network(minitorch.from_numpy(x)).to_numpy().argmax(axis=1)
    assert float(printed[1]) == pytest.approx(100 * (answers == test.labels).mean(), abs=0.006)
    assert float(printed[1]) > 90


def test_a_seed_fixes_every_bit_of_the_model(place, run):
    files = []
    for name in ("first.pt", "second.pt"):
        flags = ("--epochs", 1, "--limit", 100, "--model", place / "more" / name, "--plot", place / "more" / "p.png")
        done = run("train", "--seed", 3, *flags)
        assert done.returncode == 0, done.stderr
        files.append((place / "more" / name).read_bytes())
    assert files[0] == files[1]


def test_the_corruption_is_found(place, run):
    done = run("identify", "--figure", place / "more" / "corruption.png")
    assert done.returncode == 0, done.stderr
    number = r"(-?[\d.]+)°"
    rows = re.findall(rf"^(\w+) +{number} +{number} +{number} +([\d,]+) of ([\d,]+)$", done.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == [*(f"train_{k}" for k in range(6)), "test"]
    for (_, leaning, compared, known, differing, pixels), angle in zip(rows, (*ANGLES["train"], *ANGLES["test"])):
        assert float(known) == angle
        assert float(compared) == pytest.approx(angle, abs=0.3)
        assert float(leaning) == pytest.approx(angle, abs=4)
        assert int(differing.replace(",", "")) < int(pixels.replace(",", "")) / 1000
    with Image.open(place / "more" / "corruption.png") as picture:
        assert picture.format == "PNG"
        assert len(set(picture.convert("L").tobytes())) > 50


@pytest.mark.parametrize("angle", [-70, -30, -1, 0, 12, 45, 80])
def test_the_lean_of_a_stroke_is_measured(angle):
    strokes = np.array([draw(1, angle, 2.0), draw(1, angle, 2.5)])[:, None] / 255
    measured = corruption.lean(minitorch.tensor(strokes))
    assert measured == pytest.approx(angle, abs=0.5)
    moved = np.roll(strokes, (2, -1), (2, 3))
    assert corruption.lean(minitorch.tensor(moved)) == pytest.approx(measured, abs=1e-6)


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("side", [1, 7, 28])
@pytest.mark.parametrize("angle", [-180, -90, -47.38, -1, 0, 0.3, 12.41, 58, 90])  # none puts a pixel just between two
def test_a_rotation_by_indexing_is_the_librarys(side, angle):
    images = np.random.default_rng(0).random((3, 2, side, side), np.float32)
    turned = corruption.rotate(minitorch.tensor(images), angle).to_numpy()
    assert turned.dtype == np.float32
    np.testing.assert_array_equal(turned, rotate(images, -angle))


@pytest.mark.usefixtures("fast")
def test_the_ones_are_picked():
    images = np.arange(5, dtype=np.float32).reshape(5, 1, 1, 1)
    picked = corruption.ones(data.ImageDataset(images, np.array([1, 0, 1, 7, 1])))
    assert picked.tolist() == [[[[0.0]]], [[[2.0]]], [[[4.0]]]]


@pytest.mark.usefixtures("fast")
def test_differing_pixels_are_counted():
    before = minitorch.ones((2, 1, 3, 3))
    after = before.to_numpy().copy()
    after[0, 0, 1, 1] = after[1, 0, 0, 2] = 0.5
    assert corruption.differing_pixels(before, before, 90) == 0
    assert corruption.differing_pixels(minitorch.tensor(after), before, 0) == 2


def test_an_angle_is_the_middle_of_the_best():
    assert corruption.best_angle([(0.0, 2.0), (1.0, 0.5), (2.0, 0.5), (3.0, 0.5), (4.0, 1.0)]) == 2.0


def test_digits_are_held_out_and_a_limit_takes_from_every_file():
    images = np.arange(60, dtype=np.float32).reshape(60, 1, 1, 1) * np.ones((1, 1, 28, 28), np.float32)
    digits = data.ImageDataset(images, np.arange(60) % 10)
    for limit, expected in ((None, range(60)), (30, range(0, 60, 2)), (1000, range(60))):
        learned, watched = data.make_loaders(digits, 7, limit)
        seen = [
            [int(x.to_numpy()[k, 0, 0, 0]) for x, _ in loader for k in range(x.shape[0])]
            for loader in (learned, watched)
        ]
        assert sorted(seen[0] + seen[1]) == list(expected)
        assert len(seen[1]) == len(expected) // 10
    for limit in (1, 4):
        with pytest.raises(minitorch.ArgumentError, match=f"got {limit} for both"):
            data.make_loaders(digits, 7, limit)


def test_parts_end_where_the_files_do():
    train = data.ImageDataset(np.zeros((12, 2, 2)), np.arange(12))
    test = data.ImageDataset(np.zeros((3, 2, 2)), np.arange(3))
    assert [part.labels.tolist() for part in data.file_parts(train, test)] == [
        [0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11], [0, 1, 2],
    ]  # fmt: skip


# --- ctrl-C --------------------------------------------------------------------------------------------------


@pytest.fixture
def interrupted(monkeypatch):
    """Press ctrl-C in the fourth step of a training."""
    step, steps = main.OneCycleLR.step, itertools.count()  # the first call is that of a new schedule itself

    def pressed(schedule):
        step(schedule)
        if next(steps) == 4:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(main.OneCycleLR, "step", pressed)


@pytest.mark.usefixtures("fast")
def test_a_training_that_was_interrupted_goes_on_with_the_same_bits(place, tmp_path, monkeypatch, request, capsys):
    short = ["--epochs", 2, "--limit", 200, "--batch-size", 30, "--seed", 7, "--data-dir", place / "digits"]

    def train(folder, *flags):
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        main.main(["train", *map(str, (*short, *flags))])
        return Path("trained_model.pt").read_bytes()

    whole = train("whole")
    request.getfixturevalue("interrupted")
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        train("parts")
    assert caught.value.code == "Interrupted. Add --resume to go on from the checkpoint."
    assert "Interrupted after step 4." in capsys.readouterr().out.splitlines()[-1]
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["checkpoint"]
    assert train("parts", "--resume") == whole
    assert "Resumed after epoch 0 and step 4." in capsys.readouterr().out


@pytest.mark.parametrize("command", [["train"], ["evaluate", "trained_model.pt"], ["identify"]])
def test_ctrl_c_before_a_training_is_one_word(fast, tmp_path, monkeypatch, command):
    def pressed(*given):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main, "load_digits", pressed)
    monkeypatch.setattr(main.minitorch, "load_model", pressed)
    with pytest.raises(SystemExit, match=r"^Interrupted\.$"):
        main.main(command)


# --- what it refuses -----------------------------------------------------------------------------------------


@pytest.fixture
def refusal(fast, capsys):
    """Run the command line in this process, and give the status and the message that it ends with."""

    def run(*words):
        with pytest.raises(SystemExit) as caught:
            main.main(list(map(str, words)))
        printed = capsys.readouterr()
        assert "Epoch" not in printed.out
        if isinstance(caught.value.code, str):  # which Python prints, with the status 1
            return 1, caught.value.code
        return caught.value.code, printed.err

    return run


def write_other_class(path):
    minitorch.save(minitorch.layers.Linear(3, 2), path)


def write_other_shapes(path):
    network = model.DigitClassifier(channels=2, hidden=3)
    network.arguments = {"channels": 4, "hidden": 3, "dropout": 0.1}
    minitorch.save(network, path)


def write_other_arguments(path):
    network = model.DigitClassifier(channels=2, hidden=3)
    network.arguments = {"filters": 4}
    minitorch.save(network, path)


def write_huge(path):
    network = model.DigitClassifier(channels=2, hidden=3)
    network.arguments = {"channels": 10**9, "hidden": 10**9}
    minitorch.save(network, path)


def write_text_for_a_number(path):
    network = model.DigitClassifier(channels=2, hidden=3)
    network.arguments = {"channels": 2, "hidden": 3, "dropout": "much"}
    minitorch.save(network, path)


def write_truncated(path):
    minitorch.save(model.DigitClassifier(channels=2, hidden=3), path)
    path.write_bytes(path.read_bytes()[:-5])


BAD_FILES = {
    "missing": (lambda path: None, "DataError: cannot read the model"),
    "pickle": (lambda path: path.write_bytes(b"\x80\x04\x95\x0a"), "DataError: .* is a pickle"),
    "noise": (lambda path: path.write_bytes(bytes(range(256))), "DataError: .* is not a whole safetensors file"),
    "empty": (lambda path: path.write_bytes(b""), "DataError: .* is not a whole safetensors file"),
    "truncated": (write_truncated, "DataError: .* is not a whole safetensors file"),
    "other class": (write_other_class, "DataError: .* holds a model of the class Linear, expected DigitClassifier"),
    "other arguments": (write_other_arguments, "DataError: .* made with {'filters': 4}, which DigitClassifier does"),
    "huge": (write_huge, "DataError: .* expected channels from 1 to 1024, got 1000000000"),
    "text": (write_text_for_a_number, "DataError: .* expected dropout from 0 to 1, got 'much'"),
    "other shapes": (write_other_shapes, "ShapeError: the arrays do not fit DigitClassifier"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_checkpoint_ends_in_a_named_error(refusal, tmp_path, kind):
    write, message = BAD_FILES[kind]
    path = tmp_path / "trained_model.pt"
    write(path)
    status, text = refusal("evaluate", path)
    assert status == 1
    assert re.match(message, text), text
    if kind == "other shapes":
        assert "  misshapen: layers.0.weight is (2, 1, 5, 5), the model's is (4, 1, 5, 5)" in text.splitlines()
        assert text.count("misshapen") == 5


def test_an_error_is_one_sentence_and_a_status_for_the_shell(run, tmp_path):
    done = run("evaluate", tmp_path / "trained_model.pt", digits="")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("DataError: cannot read the model")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["train", "identify"])
def test_data_that_are_not_there_are_named(refusal, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    status, text = refusal(command, "--data-dir", tmp_path)
    assert status == 1
    assert text.startswith("DataError: ")
    assert "train-images-idx3-ubyte" in text


def test_mnist_with_other_digits_is_no_original(place):
    train, test = load("corruptmnist", place / "digits", transform=None, notice=lambda line: None)
    originals = data.load_originals(train, test, place / "digits")
    assert [len(part) for part in originals] == [1200, 200]
    train.labels[3] = 1 - train.labels[3]
    with pytest.raises(minitorch.DataError, match="with other labels"):
        data.load_originals(train, test, place / "digits")


@pytest.mark.parametrize("flag", ["--model", "--plot"])
def test_a_place_that_cannot_be_written_is_found_before_training(refusal, tmp_path, monkeypatch, flag):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    status, text = refusal("train", flag, tmp_path / "file" / "result")
    assert status == 1
    assert re.match("(NotADirectory|FileExists)Error: ", text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "COMMAND"),
        (["learn"], "invalid choice: 'learn'"),
        (["evaluate"], "checkpoint"),
        (["train", "--epochs", "0"], "expected a number above 0, got 0"),
        (["train", "--epochs", "2.5"], "invalid int value: '2.5'"),
        (["train", "--lr", "nan"], "expected a number above 0, got nan"),
        (["train", "--limit", "-3"], "expected a number above 0, got -3"),
    ],
)
def test_a_command_line_without_a_meaning_is_refused(refusal, words, message):
    status, text = refusal(*words)
    assert status == 2
    assert message in text
    assert "usage: " in text


@pytest.mark.parametrize(("small", "expected"), [("1", (1, 3000)), ("0", (6, None)), ("", (6, None))])
def test_small_settings_come_from_the_environment(monkeypatch, small, expected):
    monkeypatch.setenv("MINITORCH_SMALL", small)
    args = main.parse(["train"])
    assert (args.epochs, args.limit) == expected
    args = main.parse(["train", "--epochs", "2", "--limit", "50"])
    assert (args.epochs, args.limit) == (2, 50)


@pytest.mark.parametrize("sizes", [{"channels": 0}, {"hidden": 1025}, {"channels": True}, {"hidden": 2.0}])
def test_a_network_of_no_size_is_refused(sizes):
    with pytest.raises(minitorch.ArgumentError, match=r"expected (channels|hidden) from 1 to 1024"):
        model.DigitClassifier(**sizes)
