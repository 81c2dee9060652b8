"""CudaOps as a backend: every operation, whole trainings, where data is, and what happens where two backends meet."""

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
from minitorch.tensor_ops import SimpleBackend
from tests.cases import BACKENDS, LAYOUTS, assert_close, contiguous, make, normal
from tests.function_cases import ROWS
from tests.op_cases import TABLE, drawn
from tests.test_tensor_functions import cells, differentiate, layout_of

GPU = BACKENDS["cuda"]


# --- every operation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "cell"), [c for c in cells("values") if c.values[1] in {"expanded", "none", "one"}])
def test_values(case, cell):
    """NumPy's values in float32, for every operation and emptiness; derivatives come from another layout."""
    arrays = [a.astype(np.float32) for a in drawn(case, cell, case.draw_values or case.draw)]
    operands = [make(a, GPU, "float32", layout_of(case, cell)) for a in arrays]
    before = [x.to_numpy() for x in operands]
    with np.errstate(all="ignore"):
        expected = case.numpy(*before)
    out = case.call(*operands)
    assert (out.dtype, out.backend) == (np.float32, GPU)
    assert isinstance(out._tensor, CudaData)
    assert_close(out.to_numpy(), expected, "float32")
    for x, array in zip(operands, before, strict=True):
        np.testing.assert_array_equal(x.to_numpy(), array)


@pytest.mark.parametrize("case", [c for c in TABLE if "derivatives" not in c.empty], ids=lambda c: c.id)
def test_derivatives(case):
    """The definition's gradients of both orders, in float64."""
    cell = "permuted" if "permuted" not in case.empty else "contiguous"
    arrays = drawn(case, cell, case.draw)
    rng = np.random.default_rng(6)
    weights = [normal(rng, a.shape) for a in arrays]
    found = {}
    for backend in (SimpleBackend, GPU):
        operands = [make(a, backend, "float64", layout_of(case, cell)) for a in arrays]
        with minitorch.no_grad():
            shape = case.call(*operands).shape
        upstream = make(normal(np.random.default_rng(7), shape), backend, "float64", LAYOUTS.get(cell, contiguous))
        found[backend] = differentiate(case.call, operands, upstream, weights)
    for name in ("first", "second"):
        for ours, expected in zip(getattr(found[GPU], name), getattr(found[SimpleBackend], name), strict=True):
            assert_close(ours, expected)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_every_function_that_is_composed_of_operations(row):
    operands = [make(a, GPU, "float64", requires_grad=True) for a in row.operands()]
    reference = [make(a, SimpleBackend, "float64", requires_grad=True) for a in row.operands()]
    out, expected = row.call(*operands), row.call(*reference)
    assert_close(out.to_numpy(), row.numpy(*row.operands()))
    upstream = normal(np.random.default_rng(5), out.shape)
    out.backward(make(upstream, GPU))
    expected.backward(make(upstream, SimpleBackend))
    for x, r in zip(operands, reference, strict=True):
        assert_close(x.grad.to_numpy(), r.grad.to_numpy())


@pytest.mark.parametrize("layout", ["contiguous", "permuted"])
@pytest.mark.parametrize("key", [(1, 2), np.s_[:, 1:], np.s_[..., ::2], ([2, 0], 1), None], ids=str)
def test_parts_are_written_on_the_device(key, layout):
    expected = np.arange(12.0).reshape(3, 4)
    x = make(expected, GPU, "float64", LAYOUTS[layout])
    storage = x._tensor._storage
    if key is None:
        key = x > 5
        expected[expected > 5] = -1
    else:
        expected[key] = -1
    x[key] = -1
    np.testing.assert_array_equal(x.to_numpy(), expected)
    assert isinstance(x._tensor, CudaData)
    assert x._tensor._storage is storage


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
@pytest.mark.parametrize(
    ("key", "shape"),
    [
        (np.s_[:, 1:], (3, 1)),
        (np.s_[1], (4,)),
        (np.s_[::2, None, :2], (1, 1, 2)),
        (([2, 0, 2, 2],), (4, 4)),  # row 2 is written three times: the last stays
        (([0, 1, 0], [3, 0, 3]), (3,)),
        ((slice(1, None), [3, 0]), (2, 2)),
        (([],), (0, 4)),
        ((np.array([[True, False, True, True]] * 3),), (9,)),
    ],
    ids=str,
)
def test_what_is_written_comes_from_the_device(monkeypatch, key, shape, dtype):
    """As NumPy writes, from views too, and no element of either tensor is read back for it."""
    values = normal(np.random.default_rng(2), shape)
    values = (values > 0).astype(dtype) if dtype == "bool" else (9 * values).astype(dtype)
    expected = np.zeros((3, 4), dtype)
    x, source = make(expected, GPU, dtype), make(values, GPU, dtype, LAYOUTS["permuted"])
    with monkeypatch.context() as patch:
        patch.setattr(CudaData, "array", property(lambda data: pytest.fail("elements were read back")))
        x[key] = source
    expected[key] = values
    np.testing.assert_array_equal(x.to_numpy(), expected)


def test_a_part_is_written_into_another_one_of_the_same_tensor():
    x = make(np.arange(6.0), GPU)
    x[1:] = x[:-1]
    assert x.tolist() == [0.0, 0.0, 1.0, 2.0, 3.0, 4.0]
    x[[0, 1, 2]] = x[3:]
    assert x.tolist() == [2.0, 3.0, 4.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 1, 4)])
def test_what_does_not_fit_is_not_written(shape):
    x = make(np.zeros((3, 4)), GPU)
    with pytest.raises(minitorch.BroadcastError, match=re.escape(str(shape))):
        x[:, :] = make(np.ones(shape), GPU)
    with pytest.raises(minitorch.BroadcastError):
        x[[0, 1, 2]] = make(np.ones(shape), GPU)
    assert not x.to_numpy().any()


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


def test_a_backend_is_pickled_by_its_name():
    assert pickle.loads(pickle.dumps(GPU)) is GPU


def test_every_backend_draws_the_same_numbers():
    minitorch.manual_seed(3)
    ours = minitorch.rand((2, 3), backend=GPU)
    minitorch.manual_seed(3)
    np.testing.assert_array_equal(ours.to_numpy(), minitorch.rand((2, 3)).to_numpy())
