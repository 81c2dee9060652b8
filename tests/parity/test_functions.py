"""Values and gradients of every composed function, in both element types, against PyTorch."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import nll_loss

import minitorch
from tests.cases import BACKENDS, DTYPES, make
from tests.function_cases import COLUMN, KEYS, PLACES, ROWS, Row

from .torch_cases import compare


def key_of(key: Any) -> Any:
    """Write a key as PyTorch takes it."""
    if isinstance(key, tuple):
        return tuple(key_of(k) for k in key)
    if isinstance(key, range):
        return list(key)
    return torch.tensor(key) if isinstance(key, np.ndarray) else key


def index(values: Any) -> torch.Tensor:
    return torch.tensor(values)


THEIRS: dict[str, Callable[..., torch.Tensor]] = {
    "cat": lambda a, b: torch.cat([a, b, a], -1),
    "stack": lambda a, b: torch.stack([a, b], 1),
    "stack behind": lambda a, b: torch.stack([a, b], -1),
    "squeeze": torch.squeeze,
    "squeeze one": lambda x: x.squeeze(-1),
    "squeeze two": lambda x: x.squeeze((1, 2)),
    "unsqueeze": lambda x: x.unsqueeze(-1),
    "split": lambda x: x.split(3, -1)[1],
    "split by sizes": lambda x: torch.split(x, [1, 0, 2], 1)[2],
    "exchanged": lambda x: x.T,
    "flatten": torch.flatten,
    "flatten some": lambda x: x.flatten(1, -1),
    "flatten a number": torch.flatten,
    "reshape": lambda x: x.reshape(3, -1),
    "transpose": lambda x: x.transpose(0, -1),
    "expand": lambda x: x.expand(2, 3, -1, -1),
    "clone": torch.clone,
    "at most": lambda a, b: (a <= b) * a + b,
    "at least": lambda a, b: (a >= b) * a + b,
    "unequal": lambda x: (x != -0.5) * x,
    "exp": torch.exp,
    "log": lambda x: torch.log(x + 1e-6),
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(-1),
    "sum": lambda x: x.sum().reshape(1),
    "sum to a number": torch.sum,
    "sum without its dimension": lambda x: x.sum(1),
    "mean": lambda x: torch.mean(x, 1, keepdim=True),
    "mean without two": lambda x: x.mean((0, -1), keepdim=False),
    "matmul": torch.matmul,
    "where": lambda a, b: torch.where(a < b, a, b),
    "where with a number": lambda x: torch.where(x > 0, x, -0.5),
    "where that broadcasts": lambda a, b: torch.where(index([[1], [0], [1]]) != 0, a, b),
    "clip": lambda x: x.clip(-1.1, 1.1),
    "clip below": lambda x: x.clamp(min=0.1),
    "clip above": lambda x: x.clip(max=0.1),
    "clip by tensors": lambda x, low: torch.clip(x, low, torch.tensor(1.1, dtype=x.dtype)),
    "abs": torch.abs,
    "sqrt": torch.sqrt,
    "square": lambda x: x**2,
    "cube": lambda x: x.pow(3),
    "power of a fraction": lambda x: x**-1.5,
    "power of zero": lambda x: x**0,
    "power of a number": lambda x: 2.5**x,
    "power of a tensor": torch.pow,
    "var": lambda x: x.var().reshape(1),
    "var along": lambda x: x.var(-1, keepdim=True),
    "var of all": lambda x: x.var((0, 2), correction=0, keepdim=True),
    "std": lambda x: x.std().reshape(1),
    "std along": lambda x: x.std(1, keepdim=True),
    "min": lambda x: x.min().reshape(1),
    "min along": lambda x: x.min(-1, keepdim=True).values,
    "max": lambda x: x.max().reshape(1),
    "max along": lambda x: x.max(0, keepdim=True).values,
    "var to a number": lambda x: x.var(unbiased=False),
    "std without its dimension": lambda x: x.std(1, keepdim=False),
    "min without its dimension": lambda x: x.min(1).values,
    "max without its dimension": lambda x: x.max(-1, False).values,
    "max to a number": torch.max,
    "sort": lambda x: x.sort().values,
    "sort the other way": lambda x: x.sort(0, descending=True).values,
    "topk": lambda x: x.topk(2, 1).values,
    "topk of the smallest": lambda x: x.topk(3, largest=False).values,
    **{name: lambda x, key=key: x[key_of(key)] for name, key in KEYS.items()},
    "tensor": lambda x: x[:, index([[4, -1], [0, 2]])],
    "tensor of a number": lambda x: x[:, index(3)],
    "gather": lambda x: x.gather(1, index(PLACES)),
    "gather of less": lambda x: torch.gather(x, -1, index(COLUMN)),
    "scatter of a number": lambda x: torch.scatter(x, 1, index(COLUMN), -0.5),
    "scatter_add": lambda x, src: x.scatter_add(1, index(PLACES), src),
}

# PyTorch leaves open which of several values that go to one place stays, and its gradient goes to all of them.
OPEN = {"scatter", "scatter of a part"}


def test_every_row_is_compared() -> None:
    assert set(THEIRS) | OPEN == {row.name for row in ROWS}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", [row for row in ROWS if row.name not in OPEN], ids=lambda row: row.id)
def test_every_function(row: Row, backend: str, dtype: str) -> None:
    compare(row.call, THEIRS[row.name], row.operands(), BACKENDS[backend], dtype)


@pytest.mark.parametrize("size", [0, 1, 2, 5, 7, 9, [3, 4], [0, 7], [7], [2, 2, 2, 1]], ids=str)
def test_pieces(size: Any) -> None:
    x = np.arange(21.0).reshape(3, 7)
    if size == 0:
        with pytest.raises(minitorch.ArgumentError):
            minitorch.split(make(x), size, 1)
        return
    ours, theirs = minitorch.split(make(x), size, 1), torch.split(torch.tensor(x), size, 1)
    assert [piece.tolist() for piece in ours] == [piece.tolist() for piece in theirs]
    empty = make(np.zeros((0, 2))), torch.zeros(0, 2)
    assert [piece.shape for piece in empty[0].split(3)] == [tuple(piece.shape) for piece in empty[1].split(3)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_tensors_like_another(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    ours, theirs = make(array, BACKENDS["fast"], dtype), torch.tensor(array)
    for name in ("zeros_like", "ones_like"):
        made, expected = getattr(minitorch, name)(ours), getattr(torch, name)(theirs)
        assert (made.tolist(), made.dtype, made.backend) == (expected.tolist(), np.dtype(dtype), BACKENDS["fast"])
        other = getattr(minitorch, name)(ours, dtype="float32", requires_grad=True)
        assert (other.dtype, other.requires_grad()) == (np.float32, True)
    for name in ("rand_like", "randn_like"):
        as_float = getattr(minitorch, name)(ours, dtype="float32")
        assert (as_float.shape, as_float.dtype, as_float.backend) == ((2, 3), np.float32, BACKENDS["fast"])
        plain = getattr(minitorch, name.removesuffix("_like"))
        minitorch.manual_seed(3)
        drawn = getattr(minitorch, name)(ours, dtype="float64")
        minitorch.manual_seed(3)
        assert drawn.tolist() == plain((2, 3), dtype="float64").tolist()


@pytest.mark.parametrize("size", [(3,), (2, 4), (4, 2), (0,), (1, 0)], ids=str)
def test_ones_on_the_diagonal(size: tuple[int, ...]) -> None:
    assert minitorch.eye(*size).tolist() == torch.eye(*size).tolist()


NUMBERS = st.sampled_from([0.0, 1.0, 1.0 + 1e-6, 1.0 + 1e-4, -1.0, np.inf, -np.inf, np.nan, 1e-9, 1e9])


@given(NUMBERS, NUMBERS, st.sampled_from([1e-5, 0.1]), st.sampled_from([0.0, 1e-8]), st.booleans())
def test_closeness(a: float, b: float, rtol: float, atol: float, equal_nan: bool) -> None:
    ours = minitorch.allclose(minitorch.tensor([[1.0], [a]]), minitorch.tensor([1.0, b]), rtol, atol, equal_nan)
    theirs = torch.tensor([[1.0], [a]], dtype=torch.float64), torch.tensor([1.0, b], dtype=torch.float64)
    assert ours is torch.allclose(*theirs, rtol, atol, equal_nan)


def test_conversions_by_name() -> None:
    x, their_x = minitorch.tensor([-1.5, 2.5]), torch.tensor([-1.5, 2.5], dtype=torch.float64)
    for name in ("float", "double", "long"):
        found, expected = getattr(x, name)(), getattr(their_x, name)()
        assert (found.tolist(), str(found.dtype)) == (expected.tolist(), str(expected.dtype).removeprefix("torch."))
    recorded = minitorch.tensor([1.0, 2.0], requires_grad=True) * 2.0
    assert recorded.double() is recorded
    assert recorded.long().tolist() == [2, 4]
    assert recorded.numpy().tolist() == [2.0, 4.0]
    assert (recorded.numel(), their_x.numel()) == (2, 2)
    with pytest.raises(minitorch.GraphError, match="does not carry gradients"):
        recorded.float()
    scores = minitorch.tensor([[1.0, 2.0], [4.0, 3.0]])
    assert scores.argmax(1).eq(minitorch.tensor([1, 1], dtype="int64")).float().mean().item() == 0.5


# --- writing into parts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("key", KEYS.values(), ids=list(KEYS))
def test_writing(key: Any, backend: str, dtype: str) -> None:
    values = np.arange(1.0, 61.0).reshape(4, 5, 3).astype(dtype)
    part = -values[key]
    for written in (7.0, part, part[..., :1]):
        ours, theirs = make(values, BACKENDS[backend], dtype), torch.tensor(values)
        if isinstance(written, float):
            ours[key], theirs[key_of(key)] = written, written
        else:
            ours[key], theirs[key_of(key)] = make(written, BACKENDS[backend], dtype), torch.tensor(written)
        np.testing.assert_array_equal(ours.to_numpy(), theirs.numpy())


@pytest.mark.parametrize("backend", BACKENDS)
def test_writing_where_a_mask_holds_and_between_two_steps(backend: str) -> None:
    values = np.arange(-6.0, 6.0).reshape(3, 4)
    ours, theirs = make(values, BACKENDS[backend], requires_grad=True), torch.tensor(values, requires_grad=True)
    with minitorch.no_grad(), torch.no_grad():
        ours[ours < 0] = 0.5
        theirs[theirs < 0] = 0.5
        ours[0, [1, 3]] *= 2.0
        theirs[0, [1, 3]] *= 2.0
    (ours * ours).sum().backward()
    (theirs * theirs).sum().backward()
    np.testing.assert_array_equal(ours.to_numpy(), theirs.detach().numpy())
    assert ours.grad is not None
    assert theirs.grad is not None
    np.testing.assert_array_equal(ours.grad.to_numpy(), theirs.grad.numpy())


# --- tensors from nothing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_creation(dtype: str) -> None:
    kind = getattr(torch, dtype)
    array = np.arange(6.0, dtype=dtype).reshape(2, 3)[:, ::-1]
    pairs = [
        (minitorch.arange(7), torch.arange(7)),
        (minitorch.arange(-1, 2.5, 0.5, dtype=dtype), torch.arange(-1, 2.5, 0.5, dtype=kind)),
        (minitorch.linspace(-1, 2, 7, dtype=dtype), torch.linspace(-1, 2, 7, dtype=kind)),
        (minitorch.ones((2, 3), dtype=dtype), torch.ones((2, 3), dtype=kind)),
        (minitorch.zeros((2, 3), dtype=dtype), torch.zeros((2, 3), dtype=kind)),
        (minitorch.full((2, 3), 0.1, dtype=dtype), torch.full((2, 3), 0.1, dtype=kind)),
        (minitorch.from_numpy(array.copy()), torch.from_numpy(array.copy())),
        (minitorch.one_hot(minitorch.arange(3), 4), torch.nn.functional.one_hot(torch.arange(3), 4)),
    ]
    for ours, theirs in pairs:
        assert ours.dtype == theirs.numpy().dtype
        np.testing.assert_allclose(ours.to_numpy(), theirs.numpy(), rtol=1e-6 if dtype == "float32" else 1e-15)


# --- numbers among the indices: NumPy has another rule -----------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ((0, slice(None), [0, 1]), (5, 2)),
        (([0, 1], slice(None), 2), (2, 5)),
        ((slice(0, 3), 1, [0, 2]), (3, 2)),
        (([1, 2], 0, [0, 2]), (2,)),
    ],
)
def test_a_number_takes_its_dimension_away_first(key: Any, shape: tuple[int, ...], backend: str) -> None:
    values = np.arange(60.0).reshape(4, 5, 3)
    out = make(values, BACKENDS[backend])[key]
    assert out.shape == shape
    np.testing.assert_array_equal(out.to_numpy(), torch.tensor(values)[key].numpy())


# --- edges ---------------------------------------------------------------------------------------------------

COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]

awkward = st.lists(st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, np.inf, -np.inf, np.nan]), min_size=1, max_size=9)


@pytest.mark.parametrize("backend", BACKENDS)
@given(awkward, st.booleans())
def test_order_of_equal_elements_and_nan(backend: str, values: list[float], descending: bool) -> None:
    ours = make(values, BACKENDS[backend]).sort(descending=descending)
    theirs = torch.tensor(values, dtype=torch.float64).sort(descending=descending, stable=True)
    assert ours.indices.tolist() == theirs.indices.tolist()
    np.testing.assert_array_equal(ours.values.to_numpy(), theirs.values.numpy())
    k = (len(values) + 1) // 2
    top = make(values, BACKENDS[backend]).topk(k, largest=descending)
    np.testing.assert_array_equal(
        top.values.to_numpy(), torch.tensor(values, dtype=torch.float64).topk(k, largest=descending).values.numpy()
    )


@pytest.mark.parametrize("backend", BACKENDS)
@given(awkward, st.sampled_from([None, 0, 1, -1]), st.booleans())
def test_places_of_the_largest_and_the_smallest(
    backend: str, values: list[float], dim: int | None, keepdim: bool
) -> None:
    rows = [values, values[::-1], values]
    x, their_x = make(rows, BACKENDS[backend]), torch.tensor(rows, dtype=torch.float64)
    for ours, theirs in (
        (x.argmax(dim, keepdim), their_x.argmax(dim, keepdim)),
        (x.argmin(dim, keepdim), their_x.argmin(dim, keepdim)),
    ):
        assert (ours.shape, ours.tolist()) == (tuple(theirs.shape), theirs.tolist())


@pytest.mark.parametrize("backend", BACKENDS)
@given(awkward)
def test_awkward_numbers(backend: str, values: list[float]) -> None:
    x, their_x = make(values, BACKENDS[backend]), torch.tensor(values, dtype=torch.float64)
    pairs = [
        (minitorch.clip(x, -1.0, 1.0), their_x.clip(-1.0, 1.0)),
        (minitorch.clip(x, 1.0, -1.0), their_x.clip(1.0, -1.0)),
        (minitorch.abs(x), their_x.abs()),
        *((compare(x, 1.0), compare(their_x, 1.0).double()) for compare in COMPARISONS),
        *((compare(0.0, x), compare(0.0, their_x).double()) for compare in COMPARISONS),
        *((compare(x, x * x), compare(their_x, their_x * their_x).double()) for compare in COMPARISONS),
        (minitorch.where(x > 0, x, -x), torch.where(their_x > 0, their_x, -their_x)),
        (minitorch.where(x, 1.0, 0.0), torch.where(their_x != 0, 1.0, 0.0).double()),
        (minitorch.pow(x, 3), their_x**3),
        (minitorch.pow(x, -1), their_x**-1),
        (minitorch.pow(x, 0.5), their_x**0.5),
        (minitorch.pow(2.0, x), 2.0**their_x),
        (x.min(), their_x.min().reshape(1)),
        (x.max(), their_x.max().reshape(1)),
    ]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours.to_numpy(), theirs.numpy(), rtol=1e-14)


def slopes(ours: Callable[..., Any], theirs: Callable[..., Any], *arrays: Any) -> list[tuple[Any, Any]]:
    """Pair our gradients of a sum with PyTorch's."""
    x = [make(a, requires_grad=True) for a in arrays]
    their_x = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in arrays]
    ours(*x).sum().backward()
    theirs(*their_x).sum().backward()
    gradients = [their.grad.numpy() for their in their_x if their.grad is not None]
    return list(zip([a.grad.to_numpy() for a in x if a.grad is not None], gradients, strict=True))


def test_slopes_at_kinks_and_edges() -> None:
    edges = [-2.0, -1.0, 0.0, 1.0, 2.0]
    found = [
        *slopes(lambda x: x.clip(-1.0, 1.0), lambda x: x.clip(-1.0, 1.0), edges),
        *slopes(lambda x: x.abs(), torch.abs, edges),
        *slopes(lambda x: x.std(), lambda x: x.std(), [3.0, 3.0, 3.0]),
        *slopes(lambda x: x**3, lambda x: x**3, edges),
        *slopes(lambda x: x**0, lambda x: x**0, [0.0, 1.0, -1.0]),
        *slopes(lambda x: x**0.5, lambda x: x**0.5, [0.0, 4.0]),
        *slopes(lambda a, b: a**b, torch.pow, [0.0, 0.0, 0.0, 2.0], [0.0, 2.0, 0.5, -1.0]),
        *slopes(
            lambda x: minitorch.where(x > 0, x.sqrt(), 0.0), lambda x: torch.where(x > 0, x.sqrt(), 0.0), [4.0, 9.0]
        ),
    ]
    assert len(found) == 9
    for ours, theirs in found:
        np.testing.assert_allclose(ours, theirs)


# --- making ----------------------------------------------------------------------------------------------------

steps = st.sampled_from([1, 2, 3, -1, -2, 0.25, 0.5, -0.75])


@given(st.integers(-5, 5), st.integers(-5, 5), steps)
def test_arange(start: int, end: int, step: float) -> None:
    if (end - start) * step < 0:
        start, end = end, start
    ours, theirs = minitorch.arange(start, end, step), torch.arange(start, end, step, dtype=None)
    assert ours.shape == tuple(theirs.shape)
    np.testing.assert_allclose(ours.to_numpy(), theirs.numpy())
    assert (ours.dtype == np.int64) == (theirs.dtype == torch.int64)


@given(st.integers(-5, 5), st.floats(-5, 5), st.integers(0, 9))
def test_linspace(start: int, end: float, count: int) -> None:
    ours = minitorch.linspace(start, end, count).to_numpy()
    np.testing.assert_allclose(ours, torch.linspace(start, end, count, dtype=torch.float64).numpy(), atol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_one_hot(backend: str, labels: list[int]) -> None:
    ours = make(labels, BACKENDS[backend], "int64")
    theirs = torch.tensor(labels)
    for count in (-1, 7):
        out = minitorch.one_hot(ours, count)
        expected = torch.nn.functional.one_hot(theirs, count)
        assert out.dtype == np.int64
        np.testing.assert_array_equal(out.to_numpy(), expected.numpy())


def test_what_reads_a_tensor() -> None:
    """One element as text, as a number, and as an index; the number of dimensions; the data without the history."""
    label, loss = minitorch.tensor([2], dtype="int64"), minitorch.tensor(0.126, requires_grad=True) * 2.0
    theirs = torch.tensor([2]), torch.tensor(0.126, requires_grad=True) * 2.0
    assert ["a", "b", "c"][label] == ["a", "b", "c"][theirs[0]] == "c"
    assert f"{loss:.2f} {loss:8.1e}" == f"{theirs[1]:.2f} {theirs[1]:8.1e}" == "0.25  2.5e-01"
    assert (int(loss), int(label)) == (int(theirs[1]), int(theirs[0])) == (0, 2)
    assert (label.ndim, label.dim(), loss.dim()) == (theirs[0].ndim, theirs[0].dim(), theirs[1].dim()) == (1, 1, 0)
    assert (loss.data.requires_grad(), theirs[1].data.requires_grad) == (False, False)
    assert (loss.data.item(), theirs[1].data.item()) == (0.252, pytest.approx(0.252))
    with pytest.raises(TypeError):
        ["a"][theirs[1]]  # type: ignore[index]
    with pytest.raises(TypeError):
        ["a"][loss]


def test_sizes_come_one_by_one() -> None:
    for name in ("zeros", "ones", "rand", "randn"):
        ours, theirs = getattr(minitorch, name), getattr(torch, name)
        for sizes in ((2, 3), (4,), (0, 1, 2)):
            assert ours(*sizes).shape == ours(sizes).shape == tuple(theirs(*sizes).shape)
    assert minitorch.zeros(2, 3).tolist() == torch.zeros(2, 3).tolist()
    assert minitorch.ones(1, 2, dtype="float32").tolist() == torch.ones(1, 2).tolist()


def test_the_differences_that_the_guide_lists_beside_values() -> None:
    value, theirs = minitorch.Parameter(minitorch.tensor([1.0])), torch.ones(1, requires_grad=True)
    assert (minitorch.SGD([value]).lr, torch.optim.SGD([theirs]).param_groups[0]["lr"]) == (1.0, 0.001)
    assert (value.value * 2.0).numpy().tolist() == [2.0]
    with pytest.raises(RuntimeError, match="detach"):
        (theirs * 2.0).numpy()
    assert (theirs.double() * 2.0).requires_grad
    defaults = [inspect.signature(f).parameters["ignore_index"].default for f in (minitorch.losses.nll_loss, nll_loss)]
    assert defaults == [-100, -100]
    written = ("add_", "mul_", "zero_", "fill_", "copy_", "normal_", "resize_")
    absent = [*written, "type", "type_as", "view_as", "norm", "cpu", "cuda", "device"]
    assert [name for name in absent if hasattr(value.value, name)] == []
    assert [name for name in absent if not hasattr(theirs, name)] == []
    assert [name for name in ("device", "cuda", "FloatTensor") if hasattr(minitorch, name)] == []


def test_the_differences_that_the_guide_lists_of_types_names_and_rows() -> None:
    assert (minitorch.tensor([1, 2]).dtype, torch.tensor([1, 2]).dtype) == (np.float64, torch.int64)
    assert minitorch.tensor([1, 2], dtype="int64").dtype == minitorch.tensor([1, 2]).long().dtype == np.int64
    x, their_x = minitorch.tensor([[1.0, 3.0], [2.0, 0.5]]), torch.tensor([[1.0, 3.0], [2.0, 0.5]])
    assert [row.tolist() for row in their_x] == [x[i].tolist() for i in range(len(x))]
    with pytest.raises(minitorch.ShapeError, match=r"t\[i\] for i in range"):
        list(x)
    with pytest.raises(TypeError, match="dim"):
        minitorch.max(x)  # type: ignore[call-arg]
    assert torch.max(their_x).item() == x.max().item() == 3.0
    values, places = their_x.min(1)
    assert (values.tolist(), places.tolist()) == (x.min(1, keepdim=False).tolist(), x.argmin(1).tolist())
    exact = minitorch.tensor_functions.Log.apply(x)
    np.testing.assert_allclose(exact.to_numpy(), torch.log(their_x.double()).numpy(), rtol=1e-15)
    np.testing.assert_allclose(minitorch.log(x).to_numpy(), torch.log(their_x.double() + 1e-6).numpy(), rtol=1e-15)
    assert minitorch.layers.Linear(2, 3).weight.value.shape == torch.nn.Linear(2, 3).weight.shape
