"""Every registered operation, on every backend, element type and memory layout: its values and its derivatives.

Derivatives are compared along a random direction, with a random upstream gradient, to second order. In float64 with
differences of the values; in float32, whose values have too few digits for that, with the float64 derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from minitorch.autodiff import is_grad_enabled, no_grad
from minitorch.errors import GradientError
from minitorch.tensor import Tensor
from minitorch.tensor_functions import Function, Mul

from .cases import BACKENDS, DTYPES, LAYOUTS, Array, assert_close, contiguous, expanded, make, normal
from .op_cases import TABLE, WITHOUT_ROW, Case, drawn, registered

# The layouts of the table; the last two are shapes, and lie contiguously.
CELLS = (*LAYOUTS, "none", "one")

# How far the checker's two sides may lie apart, relative to the sum of sizes that they are made of. The
# differences have an error of order step ** 4, about 1e-11 here, so errors of 0.1 % stand far out.
CHECKED_TO = 1e-7
STEP = 1e-3


# --- the checker ---------------------------------------------------------------------------------------------


@dataclass
class Derivatives:
    """What a call gives at one point: its value, and the gradients of first and second order.

    With upstream gradient $w$ and fixed weights $u$: ``first`` is the gradient of $\\sum w f(x)$, and ``second``, whose
    last entry belongs to $w$, that of $\\sum u \\cdot \\mathrm{first}(x, w)$.
    """

    value: Array
    first: list[Array]
    second: list[Array]


def gradient_arrays(leaves: Sequence[Tensor]) -> list[Array]:
    return [np.zeros(x.shape, x.dtype) if x.grad is None else x.grad.to_numpy().copy() for x in leaves]


def first_order(call: Callable[..., Tensor], leaves: Sequence[Tensor], upstream: Tensor) -> list[Array]:
    leaves = [x.detach().requires_grad_(True) for x in leaves]
    call(*leaves).backward(upstream.detach())
    return gradient_arrays(leaves)


def differentiate(
    call: Callable[..., Tensor], operands: Sequence[Tensor], upstream: Tensor, weights: Sequence[Array]
) -> Derivatives:
    leaves = [x.detach().requires_grad_(True) for x in (*operands, upstream)]
    *inputs, w = leaves
    out = call(*inputs)
    out.backward(w, create_graph=True)
    first = gradient_arrays(inputs)
    total: Tensor | None = None
    for x, u in zip(inputs, weights, strict=True):
        if x.grad is not None and x.grad.requires_grad():
            assert x.grad.shape == x.shape
            part = (x.grad * make(u, x.backend, x.dtype)).sum()
            total = part if total is None else total + part
    for x in leaves:
        x.zero_grad_()
    if total is not None:
        total.backward()
    return Derivatives(out.to_numpy(), first, gradient_arrays(leaves))


def slope(value: Callable[[float], float]) -> float:
    """Differentiate at zero by central differences of fourth order."""
    near = value(STEP) - value(-STEP)
    far = value(2 * STEP) - value(-2 * STEP)
    return (8 * near - far) / (12 * STEP)


def assert_slope(order: str, gradients: Sequence[Array], directions: Sequence[Array], differences: float) -> None:
    terms = [g * v for g, v in zip(gradients, directions, strict=True)]
    analytic = float(sum(t.sum() for t in terms))
    size = max(1.0, float(sum(np.abs(t).sum() for t in terms)))
    if not abs(analytic - differences) <= CHECKED_TO * size:
        raise GradientError(f"{order}: backward says {analytic:.12g}, differences say {differences:.12g}")


def check_derivatives(
    call: Callable[..., Tensor], operands: Sequence[Tensor], upstream: Tensor, rng: np.random.Generator
) -> Derivatives:
    """Compare the float64 derivatives of ``call`` with differences, along a random direction through every operand.

    Raises:
        GradientError: they differ, in the first or the second order.
    """
    weights = [normal(rng, x.shape) for x in operands]
    found = differentiate(call, operands, upstream, weights)
    directions = [normal(rng, x.shape) for x in (*operands, upstream)]

    def moved(t: float) -> list[Tensor]:
        everything = zip((*operands, upstream), directions, strict=True)
        return [make(x.to_numpy() + t * v, x.backend) for x, v in everything]

    def value(t: float) -> float:
        with no_grad():
            return float((upstream.to_numpy() * call(*moved(t)[:-1]).to_numpy()).sum())

    def weighted_gradient(t: float) -> float:
        *inputs, w = moved(t)
        gradients = first_order(call, inputs, w)
        return float(sum((u * g).sum() for u, g in zip(weights, gradients, strict=True)))

    assert_slope("first order", found.first, directions[:-1], slope(value))
    assert_slope("second order", found.second, directions, slope(weighted_gradient))
    return found


# --- the suite -----------------------------------------------------------------------------------------------


def layout_of(case: Case, cell: str) -> Callable[[Array], object]:
    if cell == "expanded":
        return lambda array: expanded(array, case.expand)
    return LAYOUTS.get(cell, contiguous)


def marks_of(case: Case, what: str) -> list[pytest.MarkDecorator]:
    """Name the course's tasks that an operation belongs to."""
    own = {"MatMul": "3_2", "Conv1dFun": "4_1", "Conv2dFun": "4_2", "_ConvWeight": "4_2"}.get(case.op.__name__)
    if own is None and case.op.__module__ in ("minitorch.nn", "minitorch.probabilities"):
        own = "4_4"
    tasks = [own] if own else []
    if case.op.__module__ == "minitorch.tensor_functions":
        tasks.append("2_3" if what == "values" else "2_4")
    marks = [getattr(pytest.mark, f"task{task}") for task in tasks]
    if own == "4_4" and case.op.__name__ != "DropoutFun":
        marks.append(pytest.mark.edition2020("task4_2" if case.op.__name__ == "MaxPool2dFun" else "task4_3"))
    return marks


def cells(what: str) -> list[object]:
    return [
        pytest.param(case, cell, id=f"{case.id}-{cell}", marks=marks_of(case, what))
        for case in TABLE
        for cell in CELLS
        if cell not in case.empty and what not in case.empty
    ]


def test_every_operation_has_a_row():
    """A new operation that nobody tests fails here."""
    assert {case.op for case in TABLE} | set(WITHOUT_ROW) == registered()
    assert not {case.op for case in TABLE} & set(WITHOUT_ROW)


def test_an_empty_cell_has_its_reason():
    reasons = [*WITHOUT_ROW.values(), *(reason for case in TABLE for reason in case.empty.values())]
    assert all(len(reason.split()) > 5 for reason in reasons)
    known = {*CELLS, "derivatives"}
    assert all(set(case.empty) <= known for case in TABLE)
    # No layout is left out by all rows of an operation, except where another test says that it raises.
    for op in {case.op for case in TABLE}:
        covered = {cell for case in TABLE if case.op is op for cell in CELLS if cell not in case.empty}
        assert covered == set(CELLS) or op.__name__ == "View"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("case", "cell"), cells("values"))
def test_values(case, cell, backend, dtype):
    """The values are NumPy's, and the operands stay as they were."""
    arrays = drawn(case, cell, case.draw_values or case.draw)
    operands = [make(a, BACKENDS[backend], dtype, layout_of(case, cell)) for a in arrays]
    before = [x.to_numpy().copy() for x in operands]
    with np.errstate(all="ignore"):
        expected = case.numpy(*before)
    out = case.call(*operands)
    assert out.dtype == np.dtype(dtype)
    assert out.backend is BACKENDS[backend]
    assert_close(out.to_numpy(), expected, dtype)
    for x, array in zip(operands, before, strict=True):
        np.testing.assert_array_equal(x.to_numpy(), array)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("case", "cell"), cells("derivatives"))
def test_derivatives(case, cell, backend):
    """Both orders agree with differences; the upstream gradient arrives in the layout of the operands."""
    rng = np.random.default_rng(5)
    layout = layout_of(case, cell)
    operands = [make(a, BACKENDS[backend], "float64", layout) for a in drawn(case, cell, case.draw)]
    with no_grad():
        shape = case.call(*operands).shape
    weights = normal(rng, shape)
    upstream = make(weights, BACKENDS[backend], "float64", LAYOUTS.get(cell, contiguous))
    exact = check_derivatives(case.call, operands, upstream, rng)
    assert is_grad_enabled()
    if case.flat:
        assert not any(g.any() for g in exact.first)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("case", "cell"), cells("derivatives"))
def test_derivatives_in_float32(case, cell, backend):
    """Float32 gives the float64 derivatives, rounded."""
    single = [np.float32(a) for a in drawn(case, cell, case.draw)]
    found = {}
    for dtype in DTYPES:
        rng = np.random.default_rng(6)
        operands = [make(a, BACKENDS[backend], dtype, layout_of(case, cell)) for a in single]
        with no_grad():
            shape = case.call(*operands).shape
        weights = np.float32(normal(rng, shape))
        upstream = make(weights, BACKENDS[backend], dtype, LAYOUTS.get(cell, contiguous))
        found[dtype] = differentiate(case.call, operands, upstream, [np.float32(normal(rng, a.shape)) for a in single])
    for name in ("first", "second"):
        for rounded, exact in zip(getattr(found["float32"], name), getattr(found["float64"], name), strict=True):
            assert rounded.dtype == np.float32
            assert_close(rounded, exact, "float32")


# --- the suite is tested: a wrong backward must not pass -----------------------------------------------------


def is_never_differentiated(case: Case, slot: int) -> bool:
    """ReLUGrad jumps in its first operand where it is not constant, and gives None for it."""
    return case.op.__name__ == "ReLUGrad" and slot == 0


def planted(*, with_zeros: bool) -> list[object]:
    """Every gradient of every operation: (case, which of its tensors), with those that are always zero or without."""
    first_row = {case.op: case for case in reversed(TABLE) if "derivatives" not in case.empty}
    return [
        pytest.param(case, slot, id=f"{case.id}-{slot}")
        for case in first_row.values()
        for slot in range(len(case.ordinary))
        if with_zeros or not (case.flat or is_never_differentiated(case, slot))
    ]


def replace_gradient(
    monkeypatch, op: type[Function], slot: int, change: Callable[[Tensor], Tensor | None]
) -> list[int]:
    """Change one gradient of an operation; the list that is returned grows when that happens."""
    genuine, changed = op.backward, []

    def backward(ctx, d):
        gradients = genuine(ctx, d)
        gradients = list(gradients) if isinstance(gradients, tuple) else [gradients]
        if gradients[slot] is not None:
            gradients[slot] = change(gradients[slot])
            changed.append(slot)
        return tuple(gradients)

    monkeypatch.setattr(op, "backward", staticmethod(backward))
    return changed


def suspect(case: Case) -> tuple[list[Tensor], Tensor]:
    backend = BACKENDS["simple"]
    operands = [make(a, backend) for a in drawn(case, "contiguous", case.draw)]
    with no_grad():
        out = case.call(*operands)
    return operands, make(np.random.default_rng(7).normal(size=out.shape), backend)


@pytest.mark.parametrize(("case", "slot"), planted(with_zeros=True))
def test_an_error_of_a_thousandth_is_caught(case, slot, monkeypatch):
    operands, upstream = suspect(case)
    rng = np.random.default_rng(8)
    check_derivatives(case.call, operands, upstream, rng)
    if case.flat:  # a thousandth of nothing is nothing, so it is added
        changed = replace_gradient(monkeypatch, case.op, slot, lambda g: g + 0.001)
    elif is_never_differentiated(case, slot):
        genuine = case.op.backward
        monkeypatch.setattr(
            case.op, "backward", staticmethod(lambda ctx, d: (Mul.apply(d, make(0.001, d.backend)), genuine(ctx, d)[1]))
        )
        changed = [slot]
    else:
        changed = replace_gradient(monkeypatch, case.op, slot, lambda g: g * 1.001)
    with pytest.raises(GradientError, match="first order"):
        check_derivatives(case.call, operands, upstream, rng)
    assert changed


@pytest.mark.parametrize(("case", "slot"), planted(with_zeros=False))
def test_a_gradient_cut_off_from_the_graph_is_caught(case, slot, monkeypatch):
    """Every gradient depends on the upstream one, so one that records nothing has no second derivative."""
    operands, upstream = suspect(case)
    changed = replace_gradient(monkeypatch, case.op, slot, lambda g: g.detach())
    with pytest.raises(GradientError, match="second order"):
        check_derivatives(case.call, operands, upstream, np.random.default_rng(9))
    assert changed
