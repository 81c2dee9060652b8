"""Files between PyTorch and MiniTorch: the same parameters give the same logits, in both directions."""

from __future__ import annotations

import textwrap
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

import minitorch
from minitorch import DataError, FastBackend, layers

# Largest difference of two logits.
TOLERANCE = 1e-5


def perceptron(m: Any) -> Any:
    named = OrderedDict(
        [("input", m.Linear(12, 16)), ("act", m.ReLU()), ("drop", m.Dropout(0.3)), ("out", m.Linear(16, 5, bias=False))]
    )
    return m.Sequential(m.Flatten(), m.Sequential(named))


def lenet(m: Any) -> Any:
    return m.Sequential(
        m.Sequential(m.Conv2d(1, 4, 3, padding=1), m.ReLU(), m.MaxPool2d(2)),
        m.Sequential(m.Conv2d(4, 6, 3), m.GELU(), m.AvgPool2d(2)),
        m.Flatten(),
        m.Linear(24, 10),
    )


def sequences(m: Any) -> Any:
    return m.Sequential(m.Conv1d(3, 8, 3, groups=1), m.Tanh(), m.MaxPool1d(2), m.Flatten(), m.Linear(32, 2))


def words(m: Any) -> Any:
    """Sentences of six words; everything that has a state beside weights and biases."""
    return m.Sequential(
        m.Sequential(m.Embedding(11, 8, padding_idx=0), m.LayerNorm(8), m.BatchNorm1d(6)),
        m.Sequential(m.Conv1d(6, 4, 3), m.BatchNorm1d(4), m.ReLU()),
        m.Flatten(),
        m.Linear(24, 5),
        m.LayerNorm(5),
    )


NETWORKS = [(perceptron, (7, 3, 4)), (lenet, (5, 1, 12, 12)), (sequences, (6, 3, 10)), (words, (9, 6))]
networks = pytest.mark.parametrize(("build", "shape"), NETWORKS, ids=[build.__name__ for build, _ in NETWORKS])


def inputs(build: Any, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 11, shape) if build is words else rng.normal(size=shape).astype(np.float32)


def ours_of(model: Any, x: np.ndarray) -> np.ndarray:
    with minitorch.no_grad():
        return model(minitorch.tensor(x, backend=FastBackend)).to_numpy()


def theirs_of(model: Any, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.tensor(x)).numpy()


def logits(ours: Any, theirs: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return ours_of(ours.eval(), x), theirs_of(theirs.eval(), x)


def assert_same_counts(ours: Any, theirs: Any) -> None:
    """The numbers of batches that the averages are of are whole numbers in both."""
    counts = {name: array for name, array in ours.state_dict().items() if name.endswith("num_batches_tracked")}
    expected = {name: t for name, t in theirs.state_dict().items() if name.endswith("num_batches_tracked")}
    assert {name: (str(array.dtype), array.item()) for name, array in counts.items()} == {
        name: ("int64", t.item()) for name, t in expected.items()
    }
    assert all(array.item() == 3 for array in counts.values())


@pytest.fixture(autouse=True)
def small_floats() -> Any:
    """Make networks as people train them: float32, on the fast backend."""
    before = minitorch.get_default_dtype()
    backend = minitorch.zeros((1,)).backend
    minitorch.set_default_dtype("float32")
    minitorch.set_default_backend(FastBackend)
    minitorch.manual_seed(1)
    torch.manual_seed(2)
    yield
    minitorch.set_default_dtype(before)
    minitorch.set_default_backend(backend)


@networks
def test_a_state_dict_of_pytorch_is_read(build: Any, shape: tuple[int, ...], tmp_path: Any) -> None:
    ours, theirs = build(layers), build(nn)
    for seed in range(3):  # running averages follow
        theirs_of(theirs.train(), inputs(build, shape, seed))
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    x = inputs(build, shape, 9)
    before, expected = logits(ours, theirs, x)
    assert np.abs(before - expected).max() > 100 * TOLERANCE
    ours.load_state_dict(minitorch.load(tmp_path / "model.safetensors"))
    found, expected = logits(ours, theirs, x)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    assert_same_counts(ours, theirs)


@networks
def test_pytorch_reads_a_model_of_ours(build: Any, shape: tuple[int, ...], tmp_path: Any) -> None:
    ours, theirs = build(layers), build(nn)
    for p in ours.parameters():  # as a transposed view lies in memory
        turned = np.asarray(p.value.to_numpy()).T.copy()
        value = minitorch.tensor(turned).permute(*reversed(range(turned.ndim)))
        p.update(value.detach())
    for seed in range(3):
        ours_of(ours.train(), inputs(build, shape, seed))
    minitorch.save(ours, tmp_path / "trained_model.pt")
    theirs.load_state_dict(safetensors.torch.load_file(tmp_path / "trained_model.pt"))
    found, expected = logits(ours, theirs, inputs(build, shape, 9))
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    assert_same_counts(ours, theirs)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_of_torch_save_is_converted_by_the_two_lines_of_the_message(legacy: bool, tmp_path: Any) -> None:
    ours, theirs = lenet(layers), lenet(nn)
    torch.save(theirs.state_dict(), tmp_path / "model.pt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(DataError, match="is a pickle, which can run code when it is read") as caught:
        minitorch.load(tmp_path / "model.pt")
    lines = str(caught.value).splitlines()[1:3]
    exec(textwrap.dedent("\n".join(lines)), {"torch": torch})
    ours.load_state_dict(minitorch.load(tmp_path / "model.safetensors"))
    found, expected = logits(ours, theirs, inputs(lenet, (5, 1, 12, 12)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def test_half_precision_is_converted_and_bfloat16_is_told(tmp_path: Any) -> None:
    ours, theirs = perceptron(layers), perceptron(nn).half()
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "half")
    ours.load_state_dict(minitorch.load(tmp_path / "half"))
    for name, array in ours.state_dict().items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, theirs.state_dict()[name].float().numpy())
    safetensors.torch.save_file(theirs.bfloat16().state_dict(), tmp_path / "bfloat16")
    with pytest.raises(DataError, match=r"arrays of the type BF16, which NumPy lacks.*tensor\.float\(\)"):
        minitorch.load(tmp_path / "bfloat16")


def test_another_architecture_is_told_name_by_name(tmp_path: Any) -> None:
    safetensors.torch.save_file(lenet(nn).state_dict(), tmp_path / "x")
    with pytest.raises(minitorch.ShapeError) as caught:
        perceptron(layers).load_state_dict(minitorch.load(tmp_path / "x"))
    lines = str(caught.value).splitlines()[1:-1]
    assert sorted(line.split()[0] for line in lines) == ["missing:"] * 3 + ["unexpected:"] * 6
    assert "  unexpected: 0.0.weight (4, 1, 3, 3)" in lines
