"""CudaOps as a backend: whole trainings, where data is, and what happens where two backends meet."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest

import minitorch
from minitorch import layers, losses, training
from minitorch.cuda_data import CudaData
from minitorch.data import DataLoader, TensorDataset
from minitorch.fast_ops import FastBackend
from minitorch.kernels.cuda import driver
from minitorch.tensor_ops import SimpleBackend
from tests.cases import BACKENDS, LAYOUTS, assert_close, make, normal

GPU = BACKENDS["cuda"]


# --- trainings -----------------------------------------------------------------------------------------------


class SmallNet(minitorch.Module):
    """One of everything that LeNet has."""

    def __init__(self, backend, dtype):
        super().__init__()
        self.conv = minitorch.Parameter(minitorch.rand((2, 1, 3, 3), backend=backend, dtype=dtype) - 0.5)
        self.linear = layers.Linear(8, 3, backend=backend, dtype=dtype)

    def forward(self, x):
        x = minitorch.avgpool2d(minitorch.conv2d(x, self.conv.value).relu(), (2, 2))
        x = minitorch.dropout(x.view(x.shape[0], 8), 0.25, ignore=not self.training)
        return minitorch.logsoftmax(self.linear(x), 1)


@pytest.mark.task4_5
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_a_training_goes_as_on_the_cpu(optimizer):
    """Step by step, with the same dropout masks."""
    found = {}
    x, labels = normal(np.random.default_rng(0), (5, 1, 4, 4)), [0, 2, 1, 1, 0]
    for backend in (SimpleBackend, GPU):
        minitorch.manual_seed(4)
        model = SmallNet(backend, "float64")
        steps = getattr(minitorch, optimizer)(model.parameters(), lr=0.05)
        values = []
        for _ in range(2):
            steps.zero_grad()
            loss = losses.nll_loss(model(make(x, backend)), make(labels, backend, "int64"))
            loss.backward()
            steps.step()
            values.append(loss.item())
        found[backend] = [*values, *(p.value.to_numpy() for p in model.parameters())]
        assert all(p.value.backend is backend for p in model.parameters())
    for ours, expected in zip(found[GPU], found[SimpleBackend], strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12)


def test_a_model_is_saved_from_the_gpu_and_loaded_to_it(tmp_path):
    saved, loaded = SmallNet(GPU, "float32"), SmallNet(GPU, "float32")
    minitorch.save(minitorch.state_dict(saved), tmp_path / "net.safetensors")
    minitorch.load_state_dict(loaded, minitorch.load(tmp_path / "net.safetensors"))
    for ours, theirs in zip(loaded.parameters(), saved.parameters(), strict=True):
        assert ours.value.backend is GPU
        np.testing.assert_array_equal(ours.value.to_numpy(), theirs.value.to_numpy())


def test_an_embedding_has_a_row_of_zeros_for_padding():
    table = layers.Embedding(3, 2, padding_idx=1, backend=GPU)
    words = make([[1, 0], [1, 1]], GPU, "int64")
    assert table(words).to_numpy()[[0, 1, 1], [0, 0, 1]].tolist() == [[0.0, 0.0]] * 3
    assert table.weight.value.to_numpy()[[0, 2]].all()


def test_a_model_is_fitted(tmp_path):
    """The training loop, its metrics and its checkpoints, for one epoch on each backend."""
    found = []
    x, y = normal(np.random.default_rng(0), (4, 3)), normal(np.random.default_rng(1), (4, 1))
    for name, backend in (("simple", SimpleBackend), ("cuda", GPU)):
        minitorch.manual_seed(4)
        model = layers.Linear(3, 1, backend=backend, dtype="float64")
        history = training.fit(
            model,
            DataLoader(TensorDataset(x, y), 2, shuffle=True, dtype="float64", backend=backend),
            loss=losses.mse_loss,
            optimizer=minitorch.SGD(model.parameters(), lr=0.1),
            epochs=1,
            compile=False,
            checkpoint=tmp_path / name,
            progress=False,
            log=None,
        )
        found.append(history.losses)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-9)


def test_batches_come_from_other_threads():
    """Each worker of a loader uploads its own."""
    x, y = normal(np.random.default_rng(0), (7, 3)), np.arange(7)
    loader = DataLoader(TensorDataset(x, y), 2, num_workers=2, dtype="float64", backend=GPU)
    batches = list(loader)
    assert [labels.tolist() for _, labels in batches] == [[0, 1], [2, 3], [4, 5], [6]]
    for k, (images, labels) in enumerate(batches):
        assert {images.backend, labels.backend} == {GPU}
        assert_close((images * 2.0).to_numpy(), 2.0 * x[2 * k : 2 * k + 2])


# --- where data is -------------------------------------------------------------------------------------------


def test_a_step_reads_nothing_back(monkeypatch):
    """Python only starts kernels; to read one number would mean to wait for all of them."""
    model = SmallNet(GPU, "float32")
    optimizer = minitorch.Adam(model.parameters(), lr=0.1)
    x = make(np.ones((2, 1, 4, 4)), GPU, "float32")
    target = make([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]], GPU, "float32")
    read = []
    kept = CudaData.array.fget
    monkeypatch.setattr(CudaData, "array", property(lambda data: read.append(data.shape) or kept(data)))
    for _ in range(2):
        optimizer.zero_grad()
        loss = -(model(x) * target).sum()
        loss.backward()
        optimizer.step()
    assert read == []
    loss.to_numpy()
    assert read == [(1,)]


BOOK = np.random.default_rng(1).normal(size=(5, 4))
WORDS = [[3, 0], [1, 4]]

# By name: what a step computes of a table, 5 x 4, and of whole numbers below 4, for its rows and otherwise.
CHOOSING = {
    "nll_loss": lambda x, labels, words: losses.nll_loss(minitorch.logsoftmax(x, 1), labels),
    "cross_entropy": lambda x, labels, words: losses.cross_entropy(x, labels),
    "binary_cross_entropy": lambda x, labels, words: losses.binary_cross_entropy(x.sigmoid(), x.sigmoid().detach()),
    "embedding": lambda x, labels, words: layers.embedding(words, x),
    "embedding of int32": lambda x, labels, words: layers.embedding(words.to("int32"), x, padding_idx=1),
    "gather": lambda x, labels, words: x.gather(1, labels.view(5, 1)),
    "scatter": lambda x, labels, words: x.scatter(0, labels.view(5, 1), x * 2.0),
    "index": lambda x, labels, words: x[words],
    "indices": lambda x, labels, words: x[words, :2].sum() + x[1:, labels.view(5, 1)] * x[words - 5, None].mean(),
    "one_hot": lambda x, labels, words: x * minitorch.one_hot(labels, 4, x.dtype),
}


@pytest.mark.parametrize("function", CHOOSING.values(), ids=CHOOSING)
def test_a_step_that_chooses_by_numbers_reads_nothing_back(function, monkeypatch):
    """Neither labels nor indices: the kernels that use them note what is outside."""
    found = []
    for backend in (SimpleBackend, GPU):
        weight = minitorch.Parameter(make(BOOK, backend, requires_grad=True))
        optimizer = minitorch.SGD([weight], lr=0.5)
        labels, words = make([0, 3, 1, 1, 2], backend, "int64"), make(WORDS, backend, "int64")
        with monkeypatch.context() as patch:
            if backend is GPU:
                device_array = type(weight.value._tensor._storage)
                patch.setattr(device_array, "copy_to_host", lambda *_: pytest.fail("numbers were read back"))
            optimizer.zero_grad()
            loss = (function(weight.value, labels, words) * 2.0).sum()
            loss.backward()
            optimizer.step()
        found.append([loss.to_numpy(), weight.value.to_numpy()])
    for ours, expected in zip(found[1], found[0], strict=True):
        assert_close(ours, expected)


OUTSIDE = {
    "nll_loss": lambda x, at: losses.nll_loss(x, at, reduction="none"),
    "embedding": lambda x, at: layers.embedding(at, x),
    "gather": lambda x, at: x.gather(1, at.view(3, 1)),
    "index": lambda x, at: x[at],
    "one_hot": lambda x, at: minitorch.one_hot(at, 4),
}


@pytest.mark.parametrize("wrong", [-5, 4])
@pytest.mark.parametrize("function", OUTSIDE.values(), ids=OUTSIDE)
def test_a_number_that_is_outside_raises_with_the_next_one_that_is_read(function, wrong):
    """Of a table of 4 x 4; every time, and no other row is taken for it."""
    x, at = make(np.ones((4, 4)), GPU), make([0, wrong, 3], GPU, "int64")
    if function is OUTSIDE["nll_loss"]:
        x = x[:3]
    for _ in range(2):
        out = function(x, at)
        with pytest.raises(minitorch.IndexingError, match=r"before the first|behind the last"):
            out.to_numpy()
        assert not out.to_numpy().reshape(3, -1)[1].any()


def test_numbers_that_are_given_plainly_are_checked_at_once():
    x = make(np.ones((2, 3)), GPU)
    with pytest.raises(minitorch.DataError, match="class labels go from 0 to 2, got 0 to 3"):
        losses.nll_loss(x, [0, 3])
    with pytest.raises(minitorch.IndexingError, match="expected indices from -2 to 1"):
        x[[0, 2]]


def test_views_share_the_storage():
    x = make(np.arange(6.0).reshape(2, 3), GPU)
    for view in (x.permute(1, 0), x.view(3, 2), x[1:], x[:, ::2], x.detach()):
        assert isinstance(view._tensor, CudaData)
    x[1, 2] = 9.0
    assert x.view(6)[5] == 9.0
    assert x[1:].tolist() == [[3.0, 4.0, 9.0]]
    assert (x.permute(1, 0)[2, 1], x[-1, -1]) == (9.0, 9.0)


def test_to_numpy_is_a_copy():
    x = make([1.0, 2.0], GPU)
    x.to_numpy()[0] = 5.0
    assert x.tolist() == [1.0, 2.0]


def test_a_forked_child_reads_and_writes_nothing(monkeypatch):
    """The driver does not run in it: it would answer with an error of its own, or not at all."""
    x = make([[1.5, -2.0]], GPU)
    with monkeypatch.context() as patch:
        patch.setattr(driver, "simulated", lambda: False)
        patch.setattr(driver._process, "forked", True)
        looks = [
            x.to_numpy,
            x.tolist,
            lambda: x[0, 1],
            lambda: x._tensor.get((0, 1)),
            lambda: x._tensor.set((0, 1), 3.0),
        ]
        for look in looks:
            with pytest.raises(minitorch.BackendError, match="forked from one that had started CUDA"):
                look()
    assert x.tolist() == [[1.5, -2.0]]


def test_what_looks_at_numbers():
    x = make([[1.5, -2.0]], GPU)
    assert repr(x) == "tensor([[ 1.5, -2. ]])"
    assert (x[0, 1], x.sum().item(), float(x[:, :1]), bool(x[0:1, 0:1])) == (-2.0, -0.5, 1.5, True)
    assert list(make([3.0, 4.0], GPU)) == [3.0, 4.0]
    assert x._tensor.to_string() == "[[ 1.5, -2. ]]"


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "uint8", "bool"])
def test_every_element_type_goes_there_and_back(dtype):
    array = np.array([[0, 1, 2], [3, 0, 5]]).astype(dtype)
    x = make(array, GPU, dtype)
    assert x.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(x.to_numpy(), array)
    one = make(array[:1, 1], GPU, dtype)  # a single number takes another way
    assert (one.dtype, one.tolist()) == (np.dtype(dtype), array[:1, 1].tolist())


@pytest.mark.parametrize("target", ["float32", "int64", "bool"])
def test_types_are_converted_there(target):
    x = make([[0.0, 1.75], [-2.5, 3.0]], GPU, layout=LAYOUTS["permuted"]).to(target)
    assert isinstance(x._tensor, CudaData)
    np.testing.assert_array_equal(x.to_numpy(), np.array([[0.0, 1.75], [-2.5, 3.0]]).astype(target))


# --- two backends --------------------------------------------------------------------------------------------


def test_moving_is_explicit():
    leaf = make([1.0, 2.0], SimpleBackend, requires_grad=True)
    there = leaf.to(GPU)
    assert (there.backend, there.requires_grad()) == (GPU, True)
    (there * there).sum().backward()
    assert there.grad.to(FastBackend).tolist() == [2.0, 4.0]
    assert leaf.grad is None
    back = there.detach().to(SimpleBackend)
    assert isinstance(back._tensor._storage, np.ndarray)
    back[0] = 7.0
    assert (there[0], leaf[0]) == (1.0, 1.0)


@pytest.mark.parametrize("other", [SimpleBackend, FastBackend], ids=str)
def test_mixing_raises_and_names_both(other):
    ours, theirs = make([1.0], GPU), make([1.0], other)
    for mix in (lambda: ours + theirs, lambda: theirs * ours, lambda: minitorch.cat([ours, theirs])):
        with pytest.raises(minitorch.BackendError, match=r"CudaOps") as raised:
            mix()
        assert other.ops.__name__ in str(raised.value)
        assert "to(backend)" in str(raised.value)


@pytest.mark.parametrize("other", [SimpleBackend, FastBackend], ids=str)
def test_the_functions_of_a_backend_take_its_own_tensors(other):
    theirs, ours = make([[1.0]], other), make([[1.0]], GPU)
    for run in (
        lambda: GPU.neg_map(theirs),
        lambda: GPU.neg_map(ours, theirs),
        lambda: GPU.add_zip(ours, theirs),
        lambda: GPU.add_reduce(theirs, 0),
        lambda: GPU.matrix_multiply(theirs, ours),
    ):
        with pytest.raises(minitorch.BackendError, match=re.escape(f"got one on {other}. Nothing is moved silently")):
            run()


def test_a_backend_is_pickled_by_its_name():
    assert pickle.loads(pickle.dumps(GPU)) is GPU


def test_every_backend_draws_the_same_numbers():
    minitorch.manual_seed(3)
    ours = minitorch.rand((2, 3), backend=GPU)
    minitorch.manual_seed(3)
    np.testing.assert_array_equal(ours.to_numpy(), minitorch.rand((2, 3)).to_numpy())
