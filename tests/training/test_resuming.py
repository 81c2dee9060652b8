"""Going on after a stop: the same bits as if the training had never stopped."""

from __future__ import annotations

import math
import os
import re
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minitorch
from minitorch import SGD, Adam, ArgumentError, DataError, DTypeError, FastBackend, ShapeError
from minitorch.data import Compose, DataLoader, ImageDataset, RandomCrop, RandomHorizontalFlip, ToDtype
from minitorch.io import state_dict
from minitorch.layers import Dropout, Flatten, Linear, Sequential
from minitorch.losses import cross_entropy
from minitorch.training import EarlyStopping, History, fit

from .fitting import Shuffled, ShuffledByEpoch, ShuffledByItsOwn, batches_of, blobs, network, same

X, Y = blobs(50)


class Decay:
    """A schedule whose rate depends on its own count, as those of minitorch.schedules do."""

    def __init__(self, optimizer):
        self.optimizer, self.count = optimizer, 0

    def step(self):
        self.count += 1
        self.optimizer.lr = 0.1 / (1.0 + self.count)

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


class Run:
    """A training with everything that has a state: momentum, dropout, a schedule, shuffling, early stopping."""

    def __init__(self, folder, data=Shuffled, adam=False, every="epoch", press=None, seed=0, compile=False):
        minitorch.manual_seed(seed)
        self.model = network()
        parameters = self.model.parameters()
        self.optimizer = Adam(parameters, 0.05) if adam else SGD(parameters, 0.1, 0.9, nesterov=True)
        self.schedule = Decay(self.optimizer)
        self.stopping = EarlyStopping(patience=2, min_delta=0.01, restore_best=False)
        self.train, self.validation = data(X, Y, 16), Shuffled(X, Y, 25)
        if press is not None:
            self.press(*press)
        self.folder, self.every, self.compile = folder, every, compile

    def press(self, which, epoch, batch):
        """Press ctrl-C while a batch is made: ``batch`` of ``epoch`` of the training or validation data."""
        data = getattr(self, which)
        epochs, iterate = [], type(data).__iter__

        class Pressed(type(data)):
            def __iter__(self):
                epochs.append(1)
                for number, pair in enumerate(iterate(self), start=1):
                    if (len(epochs), number) == (epoch, batch):
                        os.kill(os.getpid(), signal.SIGINT)
                    yield pair

        data.__class__ = Pressed

    def fit(self, epochs, resume=False, **options):
        self.lines = []
        self.history = fit(
            self.model,
            self.train,
            self.validation,
            loss=cross_entropy,
            optimizer=self.optimizer,
            epochs=epochs,
            schedule=self.schedule,
            schedule_every=self.every,
            callbacks=[self.stopping],
            checkpoint=self.folder,
            resume=resume,
            compile=self.compile,
            log=self.lines.append,
            **options,
        )
        return self

    def everything(self):
        """Gather all that must be the same, down to the bits."""
        timed = ("seconds", "samples_per_second")
        averages = {
            f"{i}/{name}": value if isinstance(value, int) else value.to_numpy().tobytes()
            for i, entries in self.optimizer.state.items()
            for name, value in entries.items()
        }
        return {
            "model": {name: array.tobytes() for name, array in state_dict(self.model).items()},
            "averages": averages,
            "lr": self.optimizer.lr,
            "count": self.schedule.count,
            "stopping": (self.stopping.waited, self.stopping.best.value, self.stopping.best.epoch),
            "rows": [{name: value for name, value in row.items() if name not in timed} for row in self.history],
            "losses": self.history.losses,
            "random": minitorch.default_generator.state,
        }


@pytest.mark.parametrize("data", [Shuffled, ShuffledByItsOwn, ShuffledByEpoch])
@pytest.mark.parametrize(("adam", "every"), [(False, "epoch"), (True, "step")])
def test_four_epochs_are_two_and_two_more(tmp_path, data, adam, every):
    whole = Run(tmp_path / "whole", data, adam, every).fit(4).everything()
    Run(tmp_path / "parts", data, adam, every).fit(2)
    again = Run(tmp_path / "parts", data, adam, every, seed=1)
    assert not again.train.__dict__.get("epoch")
    again.fit(4, resume=True)
    assert again.everything() == whole
    assert again.lines[0] == "Resumed after epoch 2 and step 8."
    assert len(whole["rows"]) == 4


def test_a_training_goes_on_in_another_thread(tmp_path):
    """Each thread draws from a generator of its own: the checkpoint has the state of the one that trains."""

    def in_thread(work):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(work).result(60)

    whole = Run(tmp_path / "whole", Shuffled, False, "epoch").fit(4).everything()
    in_thread(lambda: Run(tmp_path / "parts", Shuffled, False, "epoch").fit(2))
    again = in_thread(
        lambda: Run(tmp_path / "parts", Shuffled, False, "epoch", seed=1).fit(4, resume=True).everything()
    )
    assert again == whole


def test_compiled_trainings_too(tmp_path):
    whole = Run(tmp_path / "whole", compile=True).fit(4).everything()
    Run(tmp_path / "parts", compile=True).fit(2)
    assert Run(tmp_path / "parts", compile=True, seed=1).fit(4, resume=True).everything() == whole


def test_it_ends_where_it_would_have_ended(tmp_path):
    """Epochs that were done are not done again, and a training that had stopped early stays so."""
    first = Run(tmp_path).fit(3)
    again = Run(tmp_path, seed=1).fit(3, resume=True)
    assert again.everything() == first.everything()
    again.stopping.patience = 1
    stopped = Run(tmp_path / "stopped")
    stopped.stopping = EarlyStopping(patience=1, min_delta=10.0)
    stopped.fit(9)
    assert len(stopped.history) == 2
    resumed = Run(tmp_path / "stopped", seed=1)
    resumed.stopping = EarlyStopping(patience=1, min_delta=10.0)
    resumed.fit(9, resume=True)
    assert len(resumed.history) == 2
    assert same(state_dict(resumed.model), state_dict(stopped.model))  # the best ones, of the first epoch


def test_the_best_epoch_is_remembered(tmp_path):
    for epochs, score in ((1, 0.75), (2, 0.5), (3, 0.75), (4, 1.0)):
        model = Linear(2, 3, backend=FastBackend)
        fit(
            model,
            batches_of(X, Y, 50),
            loss=cross_entropy,
            optimizer=SGD(model.parameters(), 0.1),
            epochs=epochs,
            metrics={"accuracy": lambda output, target, score=score: score},
            monitor="accuracy",
            checkpoint=tmp_path,
            resume=True,
            compile=False,
            log=None,
        )
        if epochs == 1:
            first = state_dict(model)
        best = minitorch.load(tmp_path / "best.safetensors")
        assert same(best, first) == (epochs < 4)
    assert same(best, state_dict(model))


def test_without_a_checkpoint_it_begins(tmp_path):
    whole = Run(tmp_path / "whole").fit(2).everything()
    assert Run(tmp_path / "other").fit(2, resume=True).everything() == whole


def test_without_resume_it_begins_anew(tmp_path):
    whole = Run(tmp_path).fit(2).everything()
    assert Run(tmp_path).fit(2).everything() == whole


# --- ctrl-C ------------------------------------------------------------------------------------------------------

# Four batches of training data and two of validation data make an epoch.
PLACES = [("train", 1, 1), ("train", 2, 3), ("train", 2, 4), ("validation", 2, 1), ("validation", 1, 2)]


@pytest.mark.parametrize("data", [Shuffled, ShuffledByItsOwn, ShuffledByEpoch])
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_ctrl_c_leaves_a_checkpoint_to_go_on_from_with_the_same_bits(tmp_path, data, place):
    whole = Run(tmp_path / "whole", data, every="step").fit(3).everything()
    pressed = Run(tmp_path / "parts", data, every="step", press=place)
    with pytest.raises(KeyboardInterrupt):
        pressed.fit(3)
    which, epoch, batch = place
    step = 4 * (epoch - 1) + (batch if which == "train" else 4)
    assert pressed.lines[-1].startswith(f"Interrupted after step {step}. resume=True goes on from ")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    saved = minitorch.load(tmp_path / "parts" / "last.safetensors")
    assert (saved["epoch"], saved["step"], saved["partial"]["batches"]) == (epoch - 1, step, step - 4 * (epoch - 1))
    again = Run(tmp_path / "parts", data, every="step", seed=1).fit(3, resume=True)
    assert again.everything() == whole


def test_it_may_be_pressed_again_and_again(tmp_path):
    whole = Run(tmp_path / "whole").fit(2).everything()
    run = Run(tmp_path / "parts", press=("train", 1, 2))
    with pytest.raises(KeyboardInterrupt):
        run.fit(2)
    for batch in (3, 4):
        run = Run(tmp_path / "parts", press=("train", 1, batch), seed=batch)
        with pytest.raises(KeyboardInterrupt):
            run.fit(2, resume=True)
    assert Run(tmp_path / "parts", seed=9).fit(2, resume=True).everything() == whole


@pytest.mark.parametrize("epoch", [2, 3])
def test_between_two_epochs_and_after_the_last_too(tmp_path, epoch):
    class Pressing(EarlyStopping):
        def __call__(self, training):
            super().__call__(training)
            if training.epoch == epoch:
                os.kill(os.getpid(), signal.SIGINT)

    whole = Run(tmp_path / "whole").fit(3).everything()
    run = Run(tmp_path / "parts")
    run.stopping = Pressing(patience=2, min_delta=0.01, restore_best=False)
    with pytest.raises(KeyboardInterrupt):
        run.fit(3)
    saved = minitorch.load(tmp_path / "parts" / "last.safetensors")
    assert (saved["epoch"], saved["partial"]) == (epoch, None)
    assert Run(tmp_path / "parts", seed=1).fit(3, resume=True).everything() == whole


def test_without_a_folder_ctrl_c_ends_the_training_after_the_step(tmp_path):
    run = Run(None, press=("train", 2, 3))
    with pytest.raises(KeyboardInterrupt):
        run.fit(3)
    assert run.lines[-1] == "Interrupted after step 7."


def test_the_callers_history_has_the_numbers_of_a_training_that_was_interrupted(tmp_path):
    history = History()
    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path, press=("train", 2, 3)).fit(3, history=history)
    assert (history["epoch"], len(history.losses)) == ([1], 7)
    history.write_csv(tmp_path / "log.csv")
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2
    again = Run(tmp_path, seed=1).fit(3, resume=True, history=history)
    assert again.history is history
    assert again.everything() == Run(tmp_path / "whole").fit(3).everything()


# --- a DataLoader --------------------------------------------------------------------------------------------

PIXELS = np.random.default_rng(2).integers(0, 256, (50, 8, 8)).astype(np.uint8)


class Press:
    """Presses ctrl-C after a step."""

    def __init__(self, step):
        self.step = step

    def after_step(self, training):
        if training.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)

    def __call__(self, training):
        pass


def train_on_images(folder, seed=0, workers=2, press=0, resume=False):
    """Train for two epochs of seven batches, which threads prepare and transform by chance."""
    minitorch.manual_seed(seed)
    transform = Compose([RandomCrop(8, padding=1), RandomHorizontalFlip(), ToDtype("float64", scale=True)])
    images = ImageDataset(PIXELS, Y, transform=transform)
    loader = DataLoader(images, 8, shuffle=True, num_workers=workers, backend=FastBackend)
    layers = Flatten(), Linear(64, 8, backend=FastBackend), Dropout(0.2), Linear(8, 3, backend=FastBackend)
    model = Sequential(*layers)
    history = fit(
        model,
        loader,
        DataLoader(images, 20, backend=FastBackend),
        loss=cross_entropy,
        optimizer=Adam(model.parameters(), 0.01),
        epochs=2,
        checkpoint=folder,
        resume=resume,
        callbacks=[Press(press)],
        compile=False,
        log=None,
    )
    parameters = {name: array.tobytes() for name, array in state_dict(model).items()}
    return parameters, history.losses, history["validation_loss"]


def test_ctrl_c_in_the_midst_of_an_epoch_of_a_data_loader_with_threads_and_transforms(tmp_path):
    whole = train_on_images(tmp_path / "whole")
    assert train_on_images(tmp_path / "alone", workers=0) == whole
    for place in (3, 7, 10):
        with pytest.raises(KeyboardInterrupt):
            train_on_images(tmp_path / str(place), press=place)
        saved = minitorch.load(tmp_path / str(place) / "last.safetensors")
        assert (saved["step"], saved["partial"]["batches"]) == (place, (place - 1) % 7 + 1)
        assert train_on_images(tmp_path / str(place), seed=1, resume=True) == whole


# --- what does not fit -------------------------------------------------------------------------------------------


def test_a_checkpoint_of_another_model_is_told_name_by_name(tmp_path):
    Run(tmp_path).fit(1)
    run = Run(tmp_path)
    run.model = Linear(2, 3, backend=FastBackend)
    run.optimizer = SGD(run.model.parameters(), 0.1)
    with pytest.raises(ShapeError, match=r"missing: weight .*\n.*missing: bias .*\n(.*unexpected: [03]\..*\n){4}"):
        run.fit(2, resume=True)


def test_another_file_is_told(tmp_path):
    minitorch.save({"model": network(), "epoch": 3}, tmp_path / "last.safetensors")
    with pytest.raises(DataError, match=r"is not the checkpoint of a training: expected the entries best, callbacks"):
        Run(tmp_path).fit(2, resume=True)
    (tmp_path / "last.safetensors").write_bytes(b"{")
    with pytest.raises(DataError, match="not a whole safetensors file"):
        Run(tmp_path).fit(2, resume=True)


ELSEWHERE = {"batches": 2, "means": {"sums": {"loss": 1.0, "accuracy": 2.0}, "examples": 32}}
ELSEWHERE |= {"begun": {"default": (0, 0), "data": [None, None]}, "now": (0, 0)}

# What is put where in a checkpoint: a path of keys, and what stands at its end then.
BROKEN = [
    (["epoch"], "one"),
    (["epoch"], math.inf),
    (["epoch"], -1),
    (["epoch"], 10**400),
    (["step"], 0.5),
    (["step"], None),
    (["stop"], "no"),
    (["model"], None),
    (["optimizer"], 3),
    (["optimizer"], {}),
    (["optimizer", "state"], [1]),
    (["optimizer", "state", 0], 3),
    (["optimizer", "state", 0, "step"], math.nan),
    (["optimizer", "param_groups"], 3),
    (["optimizer", "param_groups", 0], 3),
    (["optimizer", "param_groups", 0, "params"], 4),
    (["schedule"], {}),
    (["schedule"], 3),
    (["callbacks"], None),
    (["callbacks"], [{}]),
    (["callbacks", 0, "waited"], "long"),
    (["callbacks", 0, "parameters"], 3),
    (["callbacks", 0, "best"], None),
    (["best"], []),
    (["best", "value"], "good"),
    (["best", "epoch"], math.inf),
    (["history"], {"rows": 3}),
    (["history", "rows"], [3]),
    (["history", "rows", 0, "loss"], "small"),
    (["history", "rows", 0, "epoch"], math.inf),
    (["history", "losses"], {"a": 1}),
    (["history", "compile_seconds"], None),
    (["random"], {}),
    (["random", "default"], None),
    (["random", "default"], (1, -1)),
    (["random", "default"], (1, 2, 3)),
    (["random", "data"], []),
    (["partial"], {}),
    (["partial"], 3),
    (["partial"], ELSEWHERE | {"batches": math.inf}),
    (["partial"], ELSEWHERE | {"batches": 0}),
    (["partial"], ELSEWHERE | {"means": {"sums": {"loss": "x"}, "examples": 32}}),
    (["partial"], ELSEWHERE | {"means": {"sums": {"loss": 1.0}, "examples": 0}}),
    (["partial"], ELSEWHERE | {"means": None}),
    (["partial"], ELSEWHERE | {"begun": 3}),
    (["partial"], ELSEWHERE | {"begun": {"default": (0, "x"), "data": [None, None]}}),
    (["partial"], ELSEWHERE | {"now": 3}),
]


def spoil(folder, path, value):
    """Put a value into the checkpoint of a folder."""
    state = minitorch.load(folder / "last.safetensors")
    inner = state
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    minitorch.save(state, folder / "last.safetensors")


@pytest.fixture(scope="module")
def after_an_epoch(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    Run(folder).fit(1)
    return folder / "last.safetensors"


def refused(folder, checkpoint, path, value, error):
    """Resume from a checkpoint with something else in it: the message, and whether everything is as it was."""
    shutil.copy(checkpoint, folder)
    spoil(folder, path, value)
    run = Run(folder, seed=4)
    run.history = History()
    run.optimizer.zero_grad()
    before = run.everything()
    with pytest.raises(error) as caught:
        run.fit(2, resume=True)
    run.history = History()
    assert run.everything() == before
    assert "last.safetensors " in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("path", "value"), BROKEN, ids=lambda x: "/".join(map(str, x)) if type(x) is list else "")
def test_a_broken_checkpoint_is_told_and_nothing_changes(tmp_path, after_an_epoch, path, value):
    message = refused(tmp_path, after_an_epoch, path, value, (DataError, DTypeError))
    assert re.search(r"(cannot be resumed from: expected|is a broken checkpoint \((Key|Type)Error: )", message)


UNFIT = [
    (["optimizer", "state", 99], {"step": 1, "momentum_buffer": np.zeros(3)}, ArgumentError, "got one of 99"),
    (["optimizer", "state", -1], {"step": 1, "momentum_buffer": np.zeros(3)}, ArgumentError, "got one of -1"),
    (
        ["optimizer", "state", 0],
        {"step": 1, "exp_avg": np.zeros((8, 2))},
        ArgumentError,
        "the state of SGD, which keeps",
    ),
    (["optimizer", "state", 0, "momentum_buffer"], np.zeros(3), ShapeError, r"shape \(8, 2\) .* got \(3,\)"),
    (["optimizer", "param_groups", 0, "lr"], -1.0, ArgumentError, "expected lr of 0 or more, got -1.0"),
    (["optimizer", "param_groups", 0, "lr"], math.inf, ArgumentError, "expected lr of 0 or more, got inf"),
    (["optimizer", "param_groups", 0, "lr"], [0.1, 0.2], ArgumentError, "expected lr to be like 0.1, got"),
    (
        ["optimizer", "param_groups", 0, "nesterov"],
        "yes",
        ArgumentError,
        "expected nesterov to be like True, got 'yes'",
    ),
    (["optimizer", "param_groups"], [], ShapeError, r"expected groups of \[4\] parameters, got \[\]"),
    (["model", "0.bias"], np.zeros(9), ShapeError, r"misshapen: 0\.bias is \(9,\)"),
    (["callbacks", 0, "parameters"], {"0.bias": np.zeros(8)}, ShapeError, r"missing: 0\.weight"),
    (["random", "data"], [(1, 2), None], ArgumentError, "of data with a random state, got a Shuffled without one"),
    (["schedule"], None, ArgumentError, "a training without a schedule .* got one with a schedule"),
]


@pytest.mark.parametrize(
    ("path", "value", "error", "text"), UNFIT, ids=lambda x: "/".join(map(str, x)) if type(x) is list else ""
)
def test_a_checkpoint_of_something_else_is_told_and_nothing_changes(tmp_path, after_an_epoch, path, value, error, text):
    assert re.search(text, refused(tmp_path, after_an_epoch, path, value, error))


def test_other_metrics_in_the_midst_of_an_epoch_are_told(tmp_path, after_an_epoch):
    shutil.copy(after_an_epoch, tmp_path)
    elsewhere = ELSEWHERE | {"means": {"sums": {"loss": 1.0, "error": 2.0}, "examples": 32}}
    spoil(tmp_path, ["partial"], elsewhere)
    with pytest.raises(ArgumentError, match="that measures loss, error, got one that measures loss, accuracy"):
        Run(tmp_path).fit(2, resume=True)


def test_frozen_parameters_stay_frozen(tmp_path):
    """A training that goes on trains what it trained before, and nothing else."""
    histories = []
    for resume in (False, True):
        run = Run(tmp_path)
        run.model[0].weight.value.requires_grad_(False)
        run.fit(2 if resume else 1, resume=resume)
        histories.append(state_dict(run.model)["0.weight"].tobytes())
    assert histories[0] == histories[1]


def test_data_with_fewer_batches_than_were_done_are_told(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path, press=("train", 1, 4)).fit(2)
    run = Run(tmp_path)
    run.train = Shuffled(X[:20], Y[:20], 16)
    with pytest.raises(DataError, match="stands behind batch 4 of an epoch, got data with fewer batches"):
        run.fit(2, resume=True)


def test_another_schedule_and_other_callbacks_are_told(tmp_path):
    Run(tmp_path).fit(1)
    run = Run(tmp_path)
    run.schedule = None
    with pytest.raises(ArgumentError, match=r"a training with a schedule .* got one without a schedule and with 1"):
        run.fit(2, resume=True)
    model = network()
    with pytest.raises(ArgumentError, match=r"with 1 callbacks that keep a state, got one with a schedule and with 0"):
        fit(
            model,
            batches_of(X, Y, 10),
            loss=cross_entropy,
            optimizer=(optimizer := SGD(model.parameters(), 0.1)),
            schedule=Decay(optimizer),
            epochs=2,
            checkpoint=tmp_path,
            resume=True,
        )
