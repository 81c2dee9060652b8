"""The four trainings on points: by hand, on scalars, on tensors in plain Python, on compiled kernels."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import run_fast_tensor
import run_manual
import run_scalar
import run_tensor

import minitorch
from minitorch.kernels.cuda.driver import Obstacle

ROOT = Path(__file__).parents[2]
TRAINERS = {
    "scalar": run_scalar.ScalarTrain,
    "tensor": run_tensor.TensorTrain,
    "fast": run_fast_tensor.FastTrain,
}
every_trainer = pytest.mark.parametrize(
    "trainer",
    [
        pytest.param("scalar", marks=pytest.mark.task1_5),
        pytest.param("tensor", marks=pytest.mark.task2_5),
        pytest.param("fast", marks=pytest.mark.task3_5),
    ],
)


def quiet(epoch, total_loss, correct, losses):
    """Print nothing."""


def trained(trainer, name="Simple", points=13, hidden=3, rate=0.2, epochs=4, seed=0, log_fn=quiet):
    minitorch.manual_seed(seed)
    data = minitorch.datasets[name](points)
    result = TRAINERS[trainer](hidden)
    result.train(data, rate, epochs, log_fn)
    return result, data


@pytest.mark.task3_5
@pytest.mark.parametrize(
    ("name", "points", "hidden", "seed"), [("Xor", 23, 4, 1), ("Spiral", 20, 1, 2), ("Diag", 1, 3, 3)]
)
def test_the_three_networks_have_the_same_losses(name, points, hidden, seed):
    """Scalars, strided tensors and compiled matrix products are one computation."""
    tensor, fast, scalar = (
        trained(kind, name, points, hidden, epochs=6, seed=seed)[0].losses for kind in ("tensor", "fast", "scalar")
    )
    np.testing.assert_allclose(fast, tensor, rtol=0, atol=1e-9)
    np.testing.assert_allclose(scalar, tensor, rtol=0, atol=1e-9)
    assert len(set(tensor)) == 6


def parameters_of(model):
    """The weights and offsets of the three layers as arrays, whatever they are made of."""
    arrays = []
    for layer in model.modules():
        if isinstance(layer.weights, list):
            arrays.append(np.array([[w.value.data for w in row] for row in layer.weights]))
            arrays.append(np.array([b.value.data for b in layer.bias]))
        else:
            arrays += [np.array(layer.weights.value.to_numpy()), np.array(layer.bias.value.to_numpy())]
    return arrays


def forward(parameters, x):
    """The probabilities, as NumPy computes them, and what the layers in between gave."""
    w1, b1, w2, b2, w3, b3 = parameters
    first = np.maximum(x @ w1 + b1, 0)
    second = np.maximum(first @ w2 + b2, 0)
    return 1 / (1 + np.exp(-(second @ w3 + b3)[:, 0])), first, second


@every_trainer
def test_a_training_written_with_numpy_ends_at_the_same_weights(trainer):
    """The gradient of the mean negative log-likelihood, worked out by hand."""
    rate, epochs, hidden = 0.3, 3, 4
    result, data = trained(trainer, "Circle", points=25, hidden=hidden, rate=rate, epochs=epochs, seed=5)

    minitorch.manual_seed(5)
    minitorch.datasets["Circle"](25)
    TRAINERS[trainer](hidden)  # the network that a trainer has before it trains
    parameters = parameters_of(TRAINERS[trainer](hidden).model)
    X, y = np.array(data.X), np.array(data.y)
    losses = []
    for _ in range(epochs):
        order = minitorch.default_generator.permutation(25)
        loss = 0.0
        for first_point in range(0, 25, 10):
            batch = order[first_point : first_point + 10]
            p, first, second = forward(parameters, X[batch])
            right = np.where(y[batch] == 1, p, 1 - p)
            loss -= np.log(right + 1e-6).sum()
            d_right = -1 / (right + 1e-6) / len(batch)
            d3 = (np.where(y[batch] == 1, d_right, -d_right) * p * (1 - p))[:, None]
            d2 = (d3 @ parameters[4].T) * (second > 0)
            d1 = (d2 @ parameters[2].T) * (first > 0)
            gradients = [X[batch].T @ d1, d1.sum(0), first.T @ d2, d2.sum(0), second.T @ d3, d3.sum(0)]
            parameters = [p - rate * g for p, g in zip(parameters, gradients, strict=True)]
        losses.append(loss)

    np.testing.assert_allclose(result.losses, losses, rtol=1e-10)
    for ours, expected in zip(parameters_of(result.model), parameters, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(result.probabilities(data.X), forward(parameters, X)[0], rtol=1e-9)
    assert result.correct(data) == ((forward(parameters, X)[0] > 0.5) == y).sum()


@every_trainer
def test_a_seed_fixes_a_run_and_leaves_pythons_generator_alone(trainer):
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    first, again, other = (trained(trainer, seed=seed)[0].losses for seed in (7, 7, 8))
    assert first == again
    assert first != other
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002


@every_trainer
def test_the_log_is_written_every_tenth_epoch_and_after_the_last(trainer):
    lines = []

    def log_fn(epoch, total_loss, correct, losses):
        lines.append((epoch, total_loss, correct, len(losses)))

    result, data = trained(trainer, points=4, hidden=1, epochs=23, log_fn=log_fn)
    assert [(epoch, count) for epoch, _, _, count in lines] == [(10, 10), (20, 20), (23, 23)]
    assert [loss for _, loss, _, _ in lines] == [result.losses[i] for i in (9, 19, 22)]
    assert lines[-1][2] == result.correct(data)
    assert len(result.seconds) == 23


@every_trainer
def test_one_point_and_many(trainer):
    result, data = trained(trainer)
    one = result.run_one(data.X[0])
    first = one.data if trainer == "scalar" else one.item()
    assert first == pytest.approx(result.probabilities(data.X)[0], rel=1e-12)
    assert len(result.run_many(data.X)) == data.N


@every_trainer
def test_evaluation_records_nothing(trainer, monkeypatch):
    """A graph for every point would be made, and thrown away."""
    result, data = trained(trainer)
    recording = []
    forward = type(result.model).forward

    def watched(self, x):
        recording.append(minitorch.is_grad_enabled())
        return forward(self, x)

    monkeypatch.setattr(type(result.model), "forward", watched)
    result.correct(data)
    assert recording
    assert not any(recording)


@every_trainer
@pytest.mark.parametrize(
    ("points", "hidden", "epochs", "fix"), [(0, 2, 1, "--PTS"), (5, 0, 1, "--HIDDEN"), (5, 2, 0, "--EPOCHS")]
)
def test_nothing_to_train(trainer, points, hidden, epochs, fix):
    with pytest.raises(minitorch.ArgumentError, match=rf"at least one.*Pass .*{fix}"):
        trained(trainer, points=points, hidden=hidden, epochs=epochs)


@every_trainer
def test_a_loss_that_is_not_finite_stops_with_the_layer(trainer):
    with pytest.raises(minitorch.NaNError, match=r"epoch 1, step 2: the loss is nan.*come out of layer2"):
        trained(trainer, points=20, hidden=10, rate=1e200)


def fill(trainer, parameters, value):
    """Set every number of a weight or an offset."""
    if trainer == "scalar":
        for parameter in np.ravel(np.array(parameters, dtype=object)):
            parameter.update(minitorch.Scalar(value))
    else:
        old = parameters.value
        parameters.update(minitorch.tensor(np.full(old.shape, value), backend=old.backend))


@every_trainer
@pytest.mark.parametrize("layer", [1, 2, 3])
def test_the_layer_that_a_nan_is_born_in(trainer, layer):
    minitorch.manual_seed(0)
    result = TRAINERS[trainer](2)
    model = result.model
    fill(trainer, model.layer1.bias, -1e300)  # what ReLU makes zero of does no harm behind it
    fill(trainer, model.layer2.weights, 1e300)
    fill(trainer, model.modules()[layer - 1].bias, float("nan"))
    assert result.birthplace_of_nan([[0.5, 0.5], [0.25, 1.0]]) == f"layer{layer}"


@pytest.mark.task3_5
@pytest.mark.parametrize("name", ["Simple", "Xor", "Circle"])
def test_compiled_kernels_learn_a_point_set(name):
    result, data = trained("fast", name, points=50, hidden=50, rate=0.1, epochs=300)
    assert result.correct(data) >= 49


@pytest.mark.task3_5
def test_an_epoch_takes_at_most_twenty_milliseconds():
    result, _ = trained("fast", "Xor", points=50, hidden=100, rate=0.1, epochs=40)
    assert min(result.seconds) <= 0.02


@pytest.mark.task2_5
def test_scalars_and_simple_tensors_learn_too():
    for trainer in ("scalar", "tensor"):
        result, data = trained(trainer, "Simple", points=20, hidden=4, rate=0.2, epochs=60)
        assert result.correct(data) >= 19


@pytest.mark.task3_5
def test_the_gpu_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setattr(minitorch.TensorBackend, "_made", {})
    monkeypatch.setattr("minitorch.cuda_ops.obstacle", lambda: Obstacle("there is no GPU", "buy one"))
    with pytest.raises(minitorch.BackendError, match=r"CudaOps cannot run here: there is no GPU\. What helps: buy one"):
        run_fast_tensor.main(["--BACKEND", "gpu"])


# --- by hand -------------------------------------------------------------------------------------------------


@pytest.mark.task0_5
@pytest.mark.parametrize(
    ("name", "weights", "bias", "correct"),
    [("simple", (-20, 0), 10, 200), ("simple", (20, 0), -10, 0), ("diag", (-20, -20), 10, 200)],
)
def test_a_line_chosen_by_hand(capsys, name, weights, bias, correct):
    flags = ["--DATASET", name, "--PTS", "200", "--WEIGHTS", *map(str, weights), "--BIAS", str(bias)]
    trainer = run_manual.main(flags)
    assert f"Final accuracy: {correct / 200:.2%} ({correct}/200)" in capsys.readouterr().out
    x = (0.25, 0.5)
    expected = 1 / (1 + np.exp(-(weights[0] * x[0] + weights[1] * x[1] + bias)))
    assert trainer.run_one(x) == pytest.approx(expected, rel=1e-12)


@pytest.mark.task0_5
def test_what_is_not_chosen_is_drawn():
    minitorch.manual_seed(3)
    drawn = [p.value for p in run_manual.ManualTrain(5).model.parameters()]
    assert all(-1 <= value < 1 for value in drawn)
    assert len(set(drawn)) == 3
    minitorch.manual_seed(3)
    trainer = run_manual.ManualTrain()
    trainer.choose(bias=4.0)
    assert [p.value for p in trainer.model.parameters()] == [*drawn[:2], 4.0]
    trainer.choose(weights=(1.0, 2.0))
    assert [p.value for p in trainer.model.parameters()] == [1.0, 2.0, 4.0]


@pytest.mark.task0_5
def test_no_points_by_hand():
    with pytest.raises(minitorch.ArgumentError, match=r"at least one point, got 0\. Pass --PTS"):
        run_manual.main(["--PTS", "0"])


# --- the command lines ---------------------------------------------------------------------------------------


def run_script(script, *flags, folder=ROOT):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, os.path.relpath(ROOT / "project" / script, folder), *flags]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("script", ["run_scalar.py", "run_tensor.py", "run_fast_tensor.py"])
def test_a_script_prints_progress_accuracy_and_time(script):
    # As from a shell inside project/.
    result = run_script(
        script, "--DATASET", "split", "--PTS", "12", "--HIDDEN", "2", "--RATE", "0.1", "--EPOCHS", "11", "--SEED", "4",
        folder=ROOT / "project",
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    kind = {"run_scalar.py": "scalar", "run_tensor.py": "tensor", "run_fast_tensor.py": "fast"}[script]
    expected, data = trained(kind, "Split", points=12, hidden=2, rate=0.1, epochs=11, seed=4)
    correct = expected.correct(data)
    lines = result.stdout.splitlines()
    assert re.fullmatch(rf"Epoch +10  loss +{expected.losses[9]:.4f}  correct \d+", lines[0])
    assert re.fullmatch(rf"Epoch +11  loss +{expected.losses[10]:.4f}  correct {correct}", lines[1])
    assert lines[2] == f"Final accuracy: {correct / 12:.2%} ({correct}/12)"
    assert re.fullmatch(r"Seconds per epoch \(median\): \d+\.\d{4}", lines[3])
    assert len(lines) == 4


def test_a_mistake_on_the_command_line_is_one_line_and_not_a_traceback():
    result = run_script("run_fast_tensor.py", "--HIDDEN", "0")
    assert result.returncode == 1
    assert re.fullmatch(r"ArgumentError: [^\n]+\n", result.stderr)
    assert result.stdout == ""


@pytest.mark.parametrize("main", [run_manual.main, run_scalar.main, run_tensor.main, run_fast_tensor.main])
def test_every_point_set_has_a_flag(main, capsys):
    for name in minitorch.datasets:
        small = [] if main is run_manual.main else ["--HIDDEN", "1", "--EPOCHS", "1"]
        main(["--DATASET", name.lower(), "--PTS", "4", *small])
    assert capsys.readouterr().out.count("Final accuracy") == len(minitorch.datasets) == 6
    with pytest.raises(SystemExit):
        main(["--DATASET", "moons"])


@pytest.mark.parametrize("main", [run_manual.main, run_scalar.main, run_tensor.main, run_fast_tensor.main])
def test_a_picture_of_the_boundary(main, tmp_path, capsys):
    small = [] if main is run_manual.main else ["--HIDDEN", "1", "--EPOCHS", "1"]
    path = tmp_path / "pictures" / "boundary.png"
    main(["--PTS", "4", *small, "--PLOT", str(path)])
    assert path.read_bytes().startswith(b"\x89PNG")
    assert str(path) in capsys.readouterr().out
