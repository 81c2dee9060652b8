"""Losses against SciPy and their formulas; tests/parity compares every argument with PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special

import minitorch
from minitorch import grad_check, losses, nn
from minitorch.cells import tracing
from minitorch.errors import ArgumentError, BackendError, CompileError, DataError, DTypeError, ShapeError

from .cases import BACKENDS, DTYPES, assert_close, make, permuted
from .tensor_strategies import shapes, tensors

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
every_loss_of_numbers = pytest.mark.parametrize(
    "loss",
    [
        losses.mse_loss,
        losses.l1_loss,
        losses.smooth_l1_loss,
        losses.binary_cross_entropy_with_logits,
        losses.binary_cross_entropy,
    ],
)

# Room for rounding of numbers up to 100, and of what is computed from them.
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


@st.composite
def scores_and_labels(draw, max_batch=4, max_classes=5):
    """Draw scores in any memory layout, and a label for each row."""
    batch, classes = draw(st.integers(1, max_batch)), draw(st.integers(1, max_classes))
    labels = draw(hnp.arrays(np.int64, (batch,), elements=st.integers(0, classes - 1)))
    return draw(tensors(shape=(batch, classes))), labels


@st.composite
def pairs(draw, low=-100.0, high=100.0):
    """Draw two tensors of one shape."""
    shape = draw(shapes())
    numbers = st.floats(low, high, width=32)
    return draw(tensors(shape=shape, elements=numbers)), draw(tensors(shape=shape, elements=numbers))


# --- classes -------------------------------------------------------------------------------------------------


@given(scores_and_labels())
def test_cross_entropy(drawn):
    x, labels = drawn
    expected = -special.log_softmax(x.to_numpy(), axis=1)[np.arange(labels.size), labels]
    np.testing.assert_allclose(losses.cross_entropy(x, labels, reduction="none").to_numpy(), expected, **CLOSE)
    np.testing.assert_allclose(losses.cross_entropy(x, labels).to_numpy(), [expected.mean()], **CLOSE)


@given(scores_and_labels())
def test_nll_loss_picks(drawn):
    x, labels = drawn
    found = losses.nll_loss(x, labels, reduction="none")
    np.testing.assert_array_equal(found.to_numpy(), -x.to_numpy()[np.arange(labels.size), labels])


@given(scores_and_labels(), st.floats(0, 1), st.data())
def test_smoothed_labels_are_probabilities(drawn, smoothing, data):
    """Two ways to the same loss: labels that are smoothed, and their rows of probabilities."""
    x, labels = drawn
    classes = x.shape[1]
    weight = make(data.draw(hnp.arrays(np.float64, (classes,), elements=st.floats(0, 10))))
    rows = np.eye(classes)[labels] * (1 - smoothing) + smoothing / classes
    by_label = losses.cross_entropy(x, labels, weight, reduction="sum", label_smoothing=smoothing)
    by_row = losses.cross_entropy(x, make(rows), weight, reduction="sum")
    np.testing.assert_allclose(by_label.to_numpy(), by_row.to_numpy(), **CLOSE)


@given(scores_and_labels(), st.floats(-50, 50))
def test_cross_entropy_ignores_what_is_added_to_all_scores(drawn, shift):
    x, labels = drawn
    moved = losses.cross_entropy(x + shift, labels).item()
    assert moved == pytest.approx(losses.cross_entropy(x, labels).item(), rel=1e-9, abs=1e-9)


@given(scores_and_labels(max_classes=3), st.data())
def test_an_ignored_example_is_as_if_it_were_not_there(drawn, data):
    x, labels = drawn
    extra = make(data.draw(hnp.arrays(np.float64, (1, x.shape[1]), elements=st.floats(-10, 10))))
    more = make(np.concatenate([x.to_numpy(), extra.to_numpy()]), requires_grad=True)
    found = losses.cross_entropy(more, np.append(labels, -1), ignore_index=-1)
    assert found.item() == pytest.approx(losses.cross_entropy(x, labels).item(), rel=1e-9, abs=1e-9)
    found.backward()
    assert not more.grad.to_numpy()[-1].any()


@both_backends
@both_dtypes
@pytest.mark.parametrize("label_dtype", ["int64", "int32", "uint8"])
def test_labels_of_any_integer_type_and_layout(label_dtype, dtype, backend):
    x = np.random.default_rng(0).normal(size=(6, 3))
    labels = np.array([[0, 1], [2, 2], [1, 0]])
    flat = make(labels, backend, label_dtype, permuted).permute(1, 0).contiguous().view(6)
    found = losses.nll_loss(make(x, backend, dtype, permuted), flat, reduction="none")
    assert_close(found.to_numpy(), -x[np.arange(6), labels.T.reshape(-1)].astype(dtype), dtype)
    assert found.dtype == np.dtype(dtype)
    assert found.backend is backend


@pytest.mark.parametrize(
    ("labels", "error"),
    [
        ([0, 3], DataError),
        ([-1, 0], DataError),
        ([0, -99], DataError),
        ([-100, 3], DataError),
        ([0.0, 1.0], DTypeError),
        ([True, False], DTypeError),
        ([0], ShapeError),
        ([[0], [1]], ShapeError),
        ([[1, 0, 0], [0, 1, 0]], ShapeError),
    ],
    ids=str,
)
@both_backends
def test_labels_that_are_none(labels, error, backend):
    x = make(np.zeros((2, 3)), backend)
    for target in (labels, np.array(labels), make(labels, backend, np.array(labels).dtype)):
        with pytest.raises(error):
            losses.nll_loss(x, target)


@pytest.mark.parametrize(("scores", "labels"), [((2, 3), (2,)), ((2, 3, 4), (2, 4)), ((3,), ())], ids=str)
@pytest.mark.parametrize("loss", [losses.nll_loss, losses.cross_entropy])
def test_labels_that_are_floats_are_to_become_integers(loss, scores, labels):
    x, target = make(np.zeros(scores)), make(np.zeros(labels))
    with pytest.raises(DTypeError, match=r'labels are integers, got float64 of shape .* Make them with dtype="int64"'):
        loss(x, target)
    assert loss(x, target.to("int64")).item() == pytest.approx(math.log(3) if loss is losses.cross_entropy else 0.0)


def test_the_label_to_ignore_is_the_only_one_that_may_be_no_class():
    x = make(np.zeros((2, 3)))
    assert losses.nll_loss(x, [0, -1], ignore_index=-1).item() == 0.0
    for labels in ([0, -2], [-100, 0]):
        with pytest.raises(DataError, match=f"{min(labels)} to 0"):
            losses.nll_loss(x, labels, ignore_index=-1)


@both_backends
def test_an_ignored_infinity_is_no_nan(backend):
    """A probability of zero that does not count."""
    x = make([[-np.inf, 0.0], [-1.0, -2.0]], backend, requires_grad=True)
    loss = losses.nll_loss(x, [-100, 0])
    assert loss.item() == 1.0
    loss.backward()
    assert x.grad.tolist() == [[0.0, 0.0], [-1.0, 0.0]]


# --- elements ------------------------------------------------------------------------------------------------


@given(pairs())
def test_errors_of_numbers(drawn):
    x, y = drawn
    d = x.to_numpy() - y.to_numpy()
    for loss, expected in [
        (losses.mse_loss, d * d),
        (losses.l1_loss, np.abs(d)),
        (losses.smooth_l1_loss, np.where(np.abs(d) < 1, d * d / 2, np.abs(d) - 0.5)),
    ]:
        np.testing.assert_allclose(loss(x, y, "none").to_numpy(), expected, **CLOSE)
        np.testing.assert_allclose(loss(x, y).to_numpy(), [expected.mean()], **CLOSE)
        np.testing.assert_allclose(loss(x, y, "sum").to_numpy(), [expected.sum()], **CLOSE)


@given(pairs(), st.floats(1e-3, 1e3))
def test_smooth_l1_lies_half_a_beta_below_l1_at_most(drawn, beta):
    x, y = drawn
    gap = (losses.l1_loss(x, y, "none") - losses.smooth_l1_loss(x, y, "none", beta)).to_numpy()
    assert (gap >= -1e-9).all()
    assert (gap <= beta / 2 + 1e-9).all()


@given(pairs(low=0.0, high=1.0))
def test_binary_cross_entropy(drawn):
    x, y = drawn
    p, q = x.to_numpy(), y.to_numpy()
    with np.errstate(divide="ignore"):
        expected = -(q * np.maximum(np.log(p), -100) + (1 - q) * np.maximum(np.log(1 - p), -100))
    np.testing.assert_allclose(losses.binary_cross_entropy(x, y, reduction="none").to_numpy(), expected, **CLOSE)


@given(pairs(low=0.0, high=1.0), st.data())
def test_logits(drawn, data):
    """The same as the loss of probabilities, where a sigmoid still tells them from 0 and 1."""
    _, y = drawn
    x = data.draw(tensors(shape=y.shape, elements=st.floats(-15, 15, width=32)))
    weight = data.draw(tensors(shape=y.shape, elements=st.floats(0, 5, width=32)))
    found = losses.binary_cross_entropy_with_logits(x, y, weight, "none")
    expected = losses.binary_cross_entropy(x.sigmoid(), y, weight, "none")
    np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=1e-6, atol=1e-8)


def test_the_slope_of_a_logit_of_zero():
    """A network that begins with zeros stands on the kinks that the formula is written with."""
    x = make([0.0, 0.0, 0.0], requires_grad=True)
    losses.binary_cross_entropy_with_logits(x, make([0.0, 1.0, 0.25]), reduction="sum").backward(create_graph=True)
    assert x.grad.tolist() == [0.5, -0.5, 0.25]
    slope, x.grad = x.grad, None
    slope.sum().backward()
    assert x.grad.tolist() == [0.25, 0.25, 0.25]


def test_a_certain_mistake_does_not_make_nan():
    x = make([0.0, 1.0], requires_grad=True)
    loss = losses.binary_cross_entropy(x, make([1.0, 0.0]))
    loss.backward()
    assert loss.item() == pytest.approx(100.0)
    assert x.grad.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("value", [-1e-9, 1.0 + 1e-9])
def test_probabilities_that_are_none(value):
    with pytest.raises(DataError, match="with_logits"):
        losses.binary_cross_entropy(make([value]), make([1.0]))
    assert math.isnan(losses.binary_cross_entropy(make([math.nan]), make([1.0])).item())


# --- gradients -----------------------------------------------------------------------------------------------


@both_backends
def test_gradients(backend):
    """Of every element's loss; the reductions are the tensor's own."""
    rng = np.random.default_rng(1)
    x, y = make(rng.normal(size=(2, 3)), backend), make(rng.uniform(size=(2, 3)), backend)
    weight = make(rng.uniform(size=3), backend)
    p = make(rng.uniform(0.1, 0.9, (2, 3)), backend)
    grad_check(lambda x: losses.nll_loss(x, [0, 2], weight, 0, "none"), x)
    grad_check(lambda x: losses.cross_entropy(x, [0, 2], weight, 0, "none", 0.2), x)
    grad_check(lambda x, y: losses.cross_entropy(x, y, weight, reduction="none"), x, y)
    grad_check(lambda x, y: losses.binary_cross_entropy(x, y, y, "none"), p, y)
    grad_check(lambda x, y: losses.binary_cross_entropy_with_logits(x, y, y, "none", weight), x, y)
    for loss in (losses.mse_loss, losses.l1_loss, losses.smooth_l1_loss):
        grad_check(lambda x, y: loss(x, y, "none"), x, y)  # noqa: B023


# --- what all of them refuse -----------------------------------------------------------------------------------


@every_loss_of_numbers
@given(pairs(low=0.0, high=1.0), st.data())
def test_shapes_that_would_broadcast_raise(loss, drawn, data):
    x, y = drawn
    axis = data.draw(st.integers(0, x.dims))
    widened = y.contiguous().view(*y.shape[:axis], 1, *y.shape[axis:])
    for left, right in ((x, widened), (widened, x)):
        with pytest.raises(ShapeError, match="of one shape"):
            loss(left, right)


@every_loss_of_numbers
def test_arguments(loss):
    x = make([0.5, 0.25])
    assert loss(x, x).shape == loss(x, x, reduction="sum").shape == (1,)
    assert loss(x, x, reduction="none").shape == (2,)
    with pytest.raises(ArgumentError, match="'average'"):
        loss(x, x, reduction="average")
    with pytest.raises(DTypeError, match="ndarray"):
        loss(x, np.zeros(2))
    with pytest.raises(DTypeError, match="float32"):
        loss(x, make([0.5, 0.25], dtype="float32"))
    with pytest.raises(BackendError):
        loss(x, make([0.5, 0.25], BACKENDS["fast"]))
    with pytest.raises(ShapeError, match="elements to average"):
        loss(make(np.zeros((0, 2))), make(np.zeros((0, 2))))


@pytest.mark.parametrize(
    "make_loss",
    [
        losses.NLLLoss,
        losses.CrossEntropyLoss,
        losses.BCELoss,
        losses.BCEWithLogitsLoss,
        losses.MSELoss,
        losses.L1Loss,
        losses.SmoothL1Loss,
    ],
)
def test_a_module_checks_its_reduction_when_it_is_made(make_loss):
    with pytest.raises(ArgumentError, match="'average'"):
        make_loss(reduction="average")
    assert not make_loss().parameters()


# --- while a step is traced ------------------------------------------------------------------------------------


class Blind:
    """A tracer that lets everything run, and looks at no value."""

    def lift(self, inputs):
        return inputs

    def read(self, holder, key):
        return getattr(holder, key)


@pytest.fixture
def blind():
    tracing.tracer = Blind()
    yield
    tracing.tracer = None


@pytest.mark.usefixtures("blind")
def test_values_are_not_looked_at_while_a_step_is_traced(monkeypatch):
    x, labels, y = make(np.zeros((2, 3))), make([0, 1], dtype="int64"), make(np.full((2, 3), 0.5))

    def refuse(self):
        raise AssertionError("a value was read")

    monkeypatch.setattr(type(x), "to_numpy", refuse)
    assert losses.CrossEntropyLoss(ignore_index=0, label_smoothing=0.1)(x, labels).item() == pytest.approx(math.log(3))
    one = make(1, dtype="int64")
    assert losses.NLLLoss()(nn.logsoftmax(x[0], 0), one).item() == pytest.approx(math.log(3))
    assert losses.NLLLoss()(nn.logsoftmax(x, 1), labels).item() == pytest.approx(math.log(3))
    assert losses.BCELoss()(y, y).item() == pytest.approx(math.log(2))
    assert losses.BCEWithLogitsLoss()(x, y).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_labels_of_other_integers_in_a_compiled_step(dtype):
    """An eager step converts them; a compiled one says how to."""
    labels = np.array([0, 2], dtype)
    x = make(np.eye(3)[:2], BACKENDS["fast"])
    expected = losses.cross_entropy(x, labels.astype(np.int64)).item()
    assert losses.cross_entropy(x, labels).item() == expected
    step = minitorch.compile(losses.cross_entropy)
    assert step(x, labels.astype(np.int64)).item() == pytest.approx(expected)
    with pytest.raises(CompileError, match=rf"int64, got {dtype}.*labels\.astype"):
        step(x, labels)
