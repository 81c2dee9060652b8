"""The training loop: what it does, measures and says, in which order, and what it refuses."""

from __future__ import annotations

import functools
import io
import sys

import numpy as np
import pytest

import minitorch
from minitorch import SGD, Adam, ArgumentError, DataError, FastBackend, NaNError
from minitorch.compiler.compiled import Compiled
from minitorch.io import load_model, state_dict
from minitorch.layers import BatchNorm1d, Linear, Sequential
from minitorch.losses import cross_entropy, mse_loss
from minitorch.training import EarlyStopping, History, Training, evaluate, fit, step

from .fitting import Shuffled, batches_of, blobs, network, same, tensors

# Compiling costs seconds: one test does, and the others run the same step as Python.
eagerly = functools.partial(fit, compile=False, log=None)


@pytest.fixture
def model():
    minitorch.manual_seed(0)
    return network()


# --- what it does ----------------------------------------------------------------------------------------------


def test_it_trains_as_the_loop_that_people_write(model):
    x, y = blobs(50)
    history = eagerly(
        model, Shuffled(x, y, 16), loss=cross_entropy, optimizer=SGD(model.parameters(), 0.1, 0.9), epochs=3
    )

    minitorch.manual_seed(0)
    again = network()
    optimizer = SGD(again.parameters(), 0.1, 0.9)
    data, losses = Shuffled(x, y, 16), []
    for _ in range(3):
        for inputs, targets in data:
            optimizer.zero_grad()
            loss = cross_entropy(again(inputs), targets)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert same(state_dict(model), state_dict(again))
    assert history.losses == losses
    sizes = [16, 16, 16, 2]
    assert history["loss"] == pytest.approx([np.average(losses[i : i + 4], weights=sizes) for i in (0, 4, 8)])
    assert history["epoch"] == [1, 2, 3]
    assert history["step"] == [4, 8, 12]
    assert history["learning_rate"] == [0.1] * 3
    assert min(history["seconds"]) > 0.0
    assert history[0]["samples_per_second"] * history[0]["seconds"] == pytest.approx(50)


def test_it_learns_and_measures_on_the_validation_data(model):
    train, validation = batches_of(*blobs(120), 20), batches_of(*blobs(31, seed=1), 10)
    optimizer = Adam(model.parameters(), 0.02)
    history = eagerly(model, train, validation, loss=cross_entropy, optimizer=optimizer, epochs=8)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history[-1]["validation_accuracy"] > 0.8
    measured = evaluate(model, validation, loss=cross_entropy, compile=False)
    assert {f"validation_{name}": value for name, value in measured.items()} == {
        name: history[-1][name] for name in ("validation_loss", "validation_accuracy")
    }
    assert all(module.training for _, module in model.named_modules())


def test_compiled_training_agrees_also_on_a_smaller_last_batch():
    x, y = blobs(24)
    results = []
    for compile in (False, True):
        minitorch.manual_seed(0)
        model = network()
        optimizer = SGD(model.parameters(), 0.1, 0.9)
        data = Shuffled(x, y, 10)  # batches of 10, 10 and 4
        history = fit(
            model,
            data,
            batches_of(x, y, 10),
            loss=cross_entropy,
            optimizer=optimizer,
            epochs=2,
            compile=compile,
            log=None,
        )
        columns = ("loss", "accuracy", "validation_loss", "validation_accuracy")
        results.append([*state_dict(model).values(), *[np.array(history[name]) for name in columns]])
    for eager, compiled in zip(*results, strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("compile", [False, True])
def test_both_steps_are_compiled_or_none(monkeypatch, model, compile):
    compiled = []

    def note(fn):
        compiled.append(fn)
        return fn

    monkeypatch.setattr("minitorch.training.step.compile_step", note)
    data = batches_of(*blobs(24), 10)
    optimizer = SGD(model.parameters(), 0.1)
    fit(model, data, data, loss=cross_entropy, optimizer=optimizer, epochs=1, compile=compile, log=None)
    assert len(compiled) == (1 if compile else 0)
    assert any(isinstance(kept, Compiled) for kept in vars(model).values()) == compile  # the evaluation


def test_a_model_in_evaluation_mode_is_trained_in_training_mode(model):
    modes = []

    def loss(output, target):
        modes.append({module.training for _, module in model.named_modules()})
        return cross_entropy(output, target)

    data = batches_of(*blobs(20), 10)
    optimizer = SGD(model.parameters(), 0.1)
    eagerly(model.eval(), data, data, loss=loss, optimizer=optimizer, epochs=2)
    assert modes == [{True}, {True}, {False}, {False}] * 2


def test_targets_of_any_kind_and_metrics_of_ones_own():
    minitorch.manual_seed(0)
    model = Linear(2, 1, backend=FastBackend)
    x = np.random.default_rng(0).normal(size=(20, 2))
    data = [
        (minitorch.tensor(x, backend=FastBackend), minitorch.tensor(x @ [[1.0], [-2.0]] + 3.0, backend=FastBackend))
    ]
    optimizer = SGD(model.parameters(), 0.3)
    history = eagerly(model, data, loss=mse_loss, optimizer=optimizer, epochs=60)
    assert "accuracy" not in history.columns
    np.testing.assert_allclose(state_dict(model)["weight"], [[1.0, -2.0]], atol=1e-3)
    farthest = {"farthest": lambda output, target: float(np.abs(output.to_numpy() - target.to_numpy()).max())}
    history = eagerly(model, data, data, loss=mse_loss, optimizer=optimizer, epochs=1, metrics=farthest)
    assert 0.0 < history[0]["validation_farthest"] < history[0]["farthest"] < 1e-2
    assert eagerly(model, data, loss=mse_loss, optimizer=optimizer, epochs=1, metrics={}).columns[2:4] == [
        "loss",
        "learning_rate",
    ]


# --- schedules and callbacks -----------------------------------------------------------------------------------


class Halving:
    """A schedule as minitorch.schedules has them."""

    def __init__(self, optimizer):
        self.optimizer, self.steps = optimizer, 0

    def step(self):
        self.steps += 1
        self.optimizer.lr *= 0.5

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = state["steps"]


class Plateau(Halving):
    """One that goes by a measured number."""

    takes_measure = True

    def __init__(self, optimizer):
        super().__init__(optimizer)
        self.seen = []

    def step(self, metrics):
        self.seen.append(metrics)


def test_a_schedule_goes_on_after_each_epoch_or_each_step(model):
    data = batches_of(*blobs(30), 10)
    for every, rates in (("epoch", [1.0, 0.5]), ("step", [1 / 8, 1 / 64])):
        optimizer = SGD(model.parameters(), 1.0)
        schedule = Halving(optimizer)
        history = eagerly(
            model, data, loss=cross_entropy, optimizer=optimizer, epochs=2, schedule=schedule, schedule_every=every
        )
        assert history["learning_rate"] == rates
        assert schedule.steps == (2 if every == "epoch" else 6)


@pytest.mark.parametrize("monitor", [None, "validation_accuracy", "loss"])
def test_a_schedule_that_waits_for_a_plateau_is_given_the_monitored_number(model, monitor):
    data = batches_of(*blobs(30), 10)
    optimizer = SGD(model.parameters(), 0.1)
    schedule = Plateau(optimizer)
    history = eagerly(
        model, data, data, loss=cross_entropy, optimizer=optimizer, epochs=2, schedule=schedule, monitor=monitor
    )
    assert schedule.seen == history[monitor or "validation_loss"]


def test_a_schedule_whose_step_takes_a_number_that_is_no_measure_is_not_given_one(model):
    class Counting(Halving):
        def step(self, epoch=None, *rest):
            assert (epoch, rest) == (None, ())
            super().step()

    data = batches_of(*blobs(30), 10)
    for kind in (Counting, lambda optimizer: minitorch.schedules.StepLR(optimizer, 1, gamma=0.5)):
        optimizer = SGD(model.parameters(), 1.0)
        schedule = kind(optimizer)
        eagerly(model, data, loss=cross_entropy, optimizer=optimizer, epochs=2, schedule=schedule)
        assert optimizer.lr == 0.25


def test_the_librarys_plateau_is_given_the_monitored_number(model):
    data = batches_of(*blobs(30), 10)
    optimizer = SGD(model.parameters(), 0.1)
    schedule = minitorch.schedules.ReduceLROnPlateau(optimizer)
    history = eagerly(model, data, loss=cross_entropy, optimizer=optimizer, epochs=2, schedule=schedule)
    assert schedule.best == min(history["loss"])


def test_callbacks_see_the_training_and_can_end_it(model):
    calls = []

    class Callback:
        def start(self, training):
            calls.append(("start", training.epoch))

        def __call__(self, training):
            calls.append((training.epoch, training.step, len(training.history)))

        def finish(self, training):
            calls.append(("finish", training.epoch))

    def stop_after_two(training):
        assert isinstance(training, Training)
        assert training.model is model
        assert training.epochs == 9
        training.stop = training.epoch == 2

    data = batches_of(*blobs(30), 10)
    history = eagerly(
        model,
        data,
        loss=cross_entropy,
        optimizer=SGD(model.parameters(), 0.1),
        epochs=9,
        callbacks=[Callback(), stop_after_two],
    )
    assert calls == [("start", 0), (1, 3, 1), (2, 6, 2), ("finish", 2)]
    assert len(history) == 2


def test_early_stopping_gives_the_best_of_an_overfitted_model():
    minitorch.manual_seed(3)
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(24, 2)), rng.integers(0, 3, 24)  # nothing to learn
    model = network(rate=0.0)
    validation = batches_of(rng.normal(size=(30, 2)), rng.integers(0, 3, 30), 30)
    history = eagerly(
        model,
        batches_of(x, y, 8),
        validation,
        loss=cross_entropy,
        optimizer=Adam(model.parameters(), 0.1),
        epochs=60,
        callbacks=[EarlyStopping(patience=4)],
    )
    losses = history["validation_loss"]
    assert len(losses) < 60
    assert len(losses) == losses.index(min(losses)) + 1 + 4
    assert evaluate(model, validation, loss=cross_entropy, compile=False)["loss"] == min(losses) < losses[-1]


# --- checkpoints -----------------------------------------------------------------------------------------------


def test_the_best_and_the_last_are_kept(tmp_path):
    minitorch.manual_seed(0)
    model = Linear(2, 3, backend=FastBackend)
    states, folder = [], tmp_path / "deep" / "run"
    scores = iter([0.5, 0.5, 0.25, 0.5, 0.75, 0.75, 0.25, 0.75])  # training and validation of four epochs

    def keep(training):
        states.append(state_dict(model))

    eagerly(
        model,
        batches_of(*blobs(9), 9),
        batches_of(*blobs(9), 9),
        loss=cross_entropy,
        optimizer=SGD(model.parameters(), 0.1),
        epochs=4,
        metrics={"accuracy": lambda output, target: next(scores)},
        monitor="validation_accuracy",
        callbacks=[keep],
        checkpoint=folder,
    )
    assert sorted(path.name for path in folder.iterdir()) == ["best.safetensors", "last.safetensors"]
    assert same(minitorch.load(folder / "best.safetensors"), states[2])  # the first of the two with 0.75
    assert same(minitorch.load(folder / "last.safetensors")["model"], states[3])
    again = load_model(folder / "last.safetensors", lambda: Linear(2, 3))
    assert same(state_dict(again), states[3])


# --- what it says ----------------------------------------------------------------------------------------------


def test_a_line_for_each_epoch_and_no_bar_where_there_is_no_terminal(model, capsys):
    data = batches_of(*blobs(30), 10)
    fit(model, data, data, loss=cross_entropy, optimizer=SGD(model.parameters(), 0.1), epochs=2, compile=False)
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert len(lines) == 2
    for part in (
        "Epoch 1/2: loss ",
        ", accuracy ",
        ", validation loss ",
        ", validation accuracy ",
        " samples/s",
        " left",
    ):
        assert part in lines[0]
    assert lines[1].startswith("Epoch 2/2: ")
    assert captured.err == ""


def test_a_bar_is_drawn_on_a_terminal(model, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setattr("minitorch.training.progress.INTERVAL", 0.0)
    data = batches_of(*blobs(30), 10)
    settings = {"loss": cross_entropy, "optimizer": SGD(model.parameters(), 0.1), "epochs": 1}
    eagerly(model, data, **settings)
    drawn = terminal.getvalue()
    for part in ("Epoch 1/1", " 33% loss ", " 67% ", "100% loss ", "accuracy ", " samples/s", " left"):
        assert part in drawn
    assert drawn.endswith("\r\x1b[K")
    eagerly(model, data, **settings, progress=False)
    assert terminal.getvalue() == drawn


# --- between the steps -------------------------------------------------------------------------------------------


def test_a_callback_sees_every_step(model, capsys):
    seen = []

    class Watch:
        def after_step(self, training):
            seen.append((training.epoch, training.batch, training.step, len(training.history.losses)))
            if training.step == 2:
                training.say("halfway")

        def __call__(self, training):
            seen.append((training.epoch, training.batch, training.step, len(training.history)))

    data = batches_of(*blobs(20), 10)
    fit(
        model,
        data,
        loss=cross_entropy,
        optimizer=SGD(model.parameters(), 0.1),
        epochs=2,
        callbacks=[Watch()],
        compile=False,
    )
    assert seen == [(0, 1, 1, 1), (0, 2, 2, 2), (1, 0, 2, 1), (1, 1, 3, 3), (1, 2, 4, 4), (2, 0, 4, 2)]
    assert capsys.readouterr().out.startswith("halfway\nEpoch 1/2: ")


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("clip_norm", [0.05, 1e6])
def test_gradients_are_clipped_before_the_update(model, clip_norm, compile):
    data = batches_of(*blobs(20), 10)
    before = state_dict(model)
    fit(
        model,
        data[:1],
        loss=cross_entropy,
        optimizer=SGD(model.parameters(), 0.5),
        epochs=1,
        clip_norm=clip_norm,
        compile=compile,
        log=None,
    )
    after = state_dict(model)

    minitorch.manual_seed(0)
    again = network()
    cross_entropy(again(data[0][0]), data[0][1]).backward()
    norm = np.sqrt(sum((p.value.grad.to_numpy() ** 2).sum() for p in again.parameters()))
    assert norm > 0.1
    factor = min(1.0, clip_norm / (norm + 1e-6))
    for name, p in again.named_parameters():
        np.testing.assert_allclose(
            after[name], before[name] - 0.5 * factor * p.value.grad.to_numpy(), rtol=1e-12, atol=1e-15
        )


def test_compiling_is_timed_apart(model, monkeypatch):
    class Program:
        def __init__(self, step):
            self.step, self.compile_seconds = step, 0.0

        def __get__(self, model, owner=None):
            return Program(functools.partial(self.step, model))

        def __call__(self, *batch):
            self.compile_seconds += 1000.0
            return self.step(*batch)

    monkeypatch.setattr(step, "compile_step", Program)
    monkeypatch.setattr(step, "compiled_evaluation", Program(step.compiled_evaluation.fn))
    data = batches_of(*blobs(20), 10)
    history = fit(model, data, data[:1], loss=cross_entropy, optimizer=SGD(model.parameters(), 0.1), epochs=2, log=None)
    assert history.compile_seconds == 2 * 3 * 1000.0
    assert [round(seconds, -3) for seconds in history["seconds"]] == [-2000.0, -2000.0]


# --- what it refuses -------------------------------------------------------------------------------------------


def test_a_nan_is_told_with_its_layer_before_the_update(model):
    x, y = blobs(20)
    x[13] = np.inf
    data = batches_of(x, y, 10)
    with pytest.raises(NaNError, match=r"became nan at step 2: .*model's input holds 2 values"):
        eagerly(model, data, loss=cross_entropy, optimizer=SGD(model.parameters(), 0.1), epochs=3)
    assert all(np.isfinite(array).all() for array in state_dict(model).values())


@pytest.mark.parametrize("compile", [False, True])
def test_a_nan_is_told_with_step_and_layer_and_the_parameters_are_those_from_before(model, compile):
    x, y = blobs(20)
    data = batches_of(x, y, 10)
    before = []

    class Spoilt:
        def after_step(self, training):
            before.append(state_dict(model))
            if training.step == 3:  # the next step has weights whose products are too large
                for layer in (model[0], model[3]):
                    layer.weight.update(layer.weight.value * 1e200)

        def __call__(self, training):
            pass

    with pytest.raises(NaNError, match=r"the loss became nan at step 4: .*born in 3 \(Linear\)"):
        fit(
            model,
            data,
            loss=cross_entropy,
            optimizer=SGD(model.parameters(), 0.1),
            epochs=3,
            callbacks=[Spoilt()],
            compile=compile,
            log=None,
        )
    now = state_dict(model)
    for name in ("0.weight", "3.weight"):
        before[-1][name] *= 1e200
    assert same(now, before[-1])


@pytest.mark.parametrize("compile", [False, True])
def test_after_a_nan_everything_is_as_if_its_batch_had_never_come(compile):
    """Averages of the optimiser and of the batches too, and at the first step as at any other."""
    x, y = blobs(30)
    x[25] = np.inf
    *good, bad = batches_of(x, y, 10)
    for before in ([], good):
        states = []
        for data in ([*before, bad], before):
            minitorch.manual_seed(0)
            layers = Linear(2, 4, backend=FastBackend), BatchNorm1d(4, backend=FastBackend)
            model = Sequential(*layers, Linear(4, 3, backend=FastBackend))
            optimizer = Adam(model.parameters(), 0.1)
            train = functools.partial(
                fit, model, data, loss=cross_entropy, optimizer=optimizer, epochs=1, compile=compile, log=None
            )
            if data is not before:
                with pytest.raises(NaNError):
                    train()
            elif data:
                train()
            averages = optimizer.state_dict()["state"].values()
            arrays = [{k: v if k == "step" else v.to_numpy().tobytes() for k, v in a.items()} for a in averages]
            states.append(({name: array.tobytes() for name, array in state_dict(model).items()}, arrays))
        assert states[0] == states[1]
        assert bool(states[0][1]) == bool(before)


def test_the_callers_history_has_the_steps_before_a_nan(model):
    x, y = blobs(30)
    x[25] = np.inf
    history = History()
    optimizer = SGD(model.parameters(), 0.1)
    with pytest.raises(NaNError):
        eagerly(model, batches_of(x, y, 10), loss=cross_entropy, optimizer=optimizer, epochs=1, history=history)
    assert len(history.losses) == 2
    with pytest.raises(ArgumentError, match=r"an empty history to begin with, got one of 2 steps. Pass a new History"):
        eagerly(model, batches_of(x, y, 10), loss=cross_entropy, optimizer=optimizer, epochs=1, history=history)


def test_a_callback_keeps_a_log_of_the_history_up_to_date(model, tmp_path):
    sizes = []

    def write(training):
        training.history.write_csv(tmp_path / "log.csv")
        log = training.history.write_tensorboard(tmp_path)
        sizes.append((len((tmp_path / "log.csv").read_text().splitlines()), log.stat().st_size))

    optimizer = SGD(model.parameters(), 0.1)
    eagerly(model, batches_of(*blobs(30), 10), loss=cross_entropy, optimizer=optimizer, epochs=3, callbacks=[write])
    assert [lines for lines, _ in sizes] == [2, 3, 4]
    assert sizes[0][1] < sizes[1][1] < sizes[2][1]


def test_images_and_labels_of_different_length_are_told(model):
    x, y = tensors(*blobs(10))[0], tensors(*blobs(9))[1]
    with pytest.raises(DataError, match=r"as many targets, got 10 and 9\. Check that inputs and labels"):
        eagerly(model, [(x, y)], loss=cross_entropy, optimizer=SGD(model.parameters(), 0.1), epochs=1)


def test_no_batches_are_told(model):
    with pytest.raises(DataError, match="at least one batch to train on, got none"):
        eagerly(model, [], loss=cross_entropy, optimizer=SGD(model.parameters(), 0.1), epochs=1)
    data = batches_of(*blobs(10), 5)
    with pytest.raises(DataError, match="at least one batch to measure on, got none"):
        eagerly(model, data, [], loss=cross_entropy, optimizer=SGD(model.parameters(), 0.1), epochs=1)


REFUSED = [
    ({"epochs": 0}, "at least one epoch, got 0"),
    ({"train": iter([])}, "expected train as batches that can be gone through again .* got list_iterator"),
    ({"train": 3}, "expected train as batches .* got int"),
    ({"validation": (pair for pair in [])}, "expected validation as batches .* got generator"),
    ({"clip_norm": 0.0}, "clip_norm above 0, .* got 0.0"),
    ({"clip_norm": float("nan")}, "clip_norm above 0, .* got nan"),
    ({"schedule_every": "batch"}, "'epoch' or 'step', got 'batch'"),
    ({"schedule": Plateau(None), "schedule_every": "step"}, "Plateau goes by a number that is measured once an epoch"),
    ({"resume": True}, "a checkpoint folder to resume from, got none"),
    ({"monitor": "f1"}, "larger 'f1' is better"),
    ({"monitor": "validation_loss"}, "expected 'validation_loss' among the numbers of an epoch, got epoch, step, loss"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_arguments_without_a_meaning_are_told(model, arguments, message):
    settings = {"train": batches_of(*blobs(10), 5), "loss": cross_entropy, "epochs": 1} | arguments
    with pytest.raises(ArgumentError, match=message):
        eagerly(model, optimizer=SGD(model.parameters(), 0.1), **settings)
