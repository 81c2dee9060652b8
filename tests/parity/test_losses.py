"""Losses beside PyTorch's: values, and gradients under a random upstream one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from minitorch import losses
from tests.cases import BACKENDS, DTYPES, make

from . import torch_cases

both_backends = pytest.mark.parametrize("backend", BACKENDS.values(), ids=list(BACKENDS))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
every_reduction = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])

BATCH, CLASSES = 7, 5
LABELS = np.array([0, 4, 2, 2, 1, 3, 0])
SOME_IGNORED = np.array([0, -7, 2, 2, -7, 3, 0])
BY_DEFAULT = np.array([0, -100, 2, 2, -100, 3, 0])
WEIGHT = np.array([0.5, 2.0, 0.0, 1.0, 3.0])


def compare(ours, theirs, *arguments):
    """Compare; a result of PyTorch's without dimensions is one of ours of shape (1,)."""
    torch_cases.compare(ours, lambda *inputs: torch.atleast_1d(theirs(*inputs)), *arguments)


def weights(weighted, backend, dtype):
    """Give the weights of the classes to both sides."""
    return (make(WEIGHT, backend, dtype), torch.tensor(WEIGHT.astype(dtype))) if weighted else (None, None)


def scores(scale=3.0):
    return np.random.default_rng(1).normal(size=(BATCH, CLASSES)) * scale


# --- classes -------------------------------------------------------------------------------------------------


@both_backends
@both_dtypes
@every_reduction
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("labels", [LABELS, SOME_IGNORED, BY_DEFAULT], ids=["all", "ignored", "by default"])
@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
def test_classes(name, labels, weighted, reduction, dtype, backend):
    weight, their_weight = weights(weighted, backend, dtype)
    ours, theirs = {"reduction": reduction, "weight": weight}, {"reduction": reduction, "weight": their_weight}
    if labels is SOME_IGNORED:
        ours["ignore_index"] = theirs["ignore_index"] = -7
    target = make(labels, backend, "int64")
    compare(
        lambda x: getattr(losses, name)(x, target, **ours),
        lambda x: getattr(functional, name)(x, torch.tensor(labels), **theirs),
        [scores()],
        backend,
        dtype,
        "permuted",
    )


@both_backends
@both_dtypes
@every_reduction
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore_index", [-100, -7, 2])
@pytest.mark.parametrize("smoothing", [0.1, 1.0])
def test_label_smoothing(smoothing, ignore_index, weighted, reduction, dtype, backend):
    labels = SOME_IGNORED if ignore_index == -7 else LABELS
    weight, their_weight = weights(weighted, backend, dtype)
    compare(
        lambda x: losses.cross_entropy(x, labels, weight, ignore_index, reduction, smoothing),
        lambda x: functional.cross_entropy(
            x,
            torch.tensor(labels),
            their_weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=smoothing,
        ),
        [scores()],
        backend,
        dtype,
    )


@both_backends
@both_dtypes
@every_reduction
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_probabilities_as_targets(smoothing, weighted, reduction, dtype, backend):
    drawn = np.random.default_rng(2).uniform(size=(BATCH, CLASSES))
    weight, their_weight = weights(weighted, backend, dtype)
    compare(
        lambda x, y: losses.cross_entropy(x, y, weight, -100, reduction, smoothing),
        lambda x, y: functional.cross_entropy(x, y, their_weight, reduction=reduction, label_smoothing=smoothing),
        [scores(), drawn / drawn.sum(1, keepdims=True)],
        backend,
        dtype,
    )


@both_backends
@both_dtypes
@every_reduction
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("label", [4, -100, 2])
@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
def test_one_example_without_a_batch(name, label, weighted, reduction, dtype, backend):
    weight, their_weight = weights(weighted, backend, dtype)
    for target in (label, np.array(label), make(label, backend, "int64")):
        compare(
            lambda x: getattr(losses, name)(x, target, weight, reduction=reduction).view(1),  # noqa: B023
            lambda x: getattr(functional, name)(x, torch.tensor(label), their_weight, reduction=reduction),
            [scores()[0]],
            backend,
            dtype,
        )
    out = getattr(losses, name)(make(scores()[0], backend, dtype), 2, reduction="none")
    assert out.shape == tuple(getattr(functional, name)(torch.zeros(5), torch.tensor(2), reduction="none").shape)
    if name == "cross_entropy" and label == 4:
        probabilities = np.random.default_rng(3).dirichlet(np.ones(CLASSES))
        compare(
            lambda x, y: losses.cross_entropy(x, y, weight, reduction=reduction, label_smoothing=0.2).view(1),
            lambda x, y: functional.cross_entropy(x, y, their_weight, reduction=reduction, label_smoothing=0.2),
            [scores()[0], probabilities],
            backend,
            dtype,
        )


@both_backends
@both_dtypes
@every_reduction
@pytest.mark.parametrize("settings", [{}, {"weighted": True, "ignore_index": 2}, {"weighted": True, "smoothing": 0.2}])
@pytest.mark.parametrize("space", [(3,), (2, 3), (1,)], ids=str)
def test_a_label_for_each_place(space, settings, reduction, dtype, backend):
    rng = np.random.default_rng(7)
    array, labels = rng.normal(size=(4, CLASSES, *space)), rng.integers(0, CLASSES, (4, *space))
    ignored, smoothing = settings.get("ignore_index", -100), settings.get("smoothing", 0.0)
    theirs = {"ignore_index": ignored}
    weight, their_weight = weights(settings, backend, dtype)
    compare(
        lambda x: losses.cross_entropy(x, labels, weight, ignored, reduction, smoothing),
        lambda x: functional.cross_entropy(
            x, torch.tensor(labels), their_weight, reduction=reduction, label_smoothing=smoothing, **theirs
        ),
        [array],
        backend,
        dtype,
        "permuted",
    )
    if not smoothing:
        compare(
            lambda x: losses.nll_loss(x, make(labels, backend, "int64"), weight, ignored, reduction),
            lambda x: functional.nll_loss(x, torch.tensor(labels), their_weight, reduction=reduction, **theirs),
            [array],
            backend,
            dtype,
        )
    probabilities = rng.dirichlet(np.ones(CLASSES), (4, *space)).swapaxes(-1, 1) if len(space) == 1 else array**2
    compare(
        lambda x, y: losses.cross_entropy(x, y, weight, -100, reduction, smoothing),
        lambda x, y: functional.cross_entropy(x, y, their_weight, reduction=reduction, label_smoothing=smoothing),
        [array, probabilities],
        backend,
        dtype,
    )


@both_dtypes
@pytest.mark.parametrize("scale", [100.0, 1e4])
def test_large_scores(scale, dtype):
    compare(
        lambda x: losses.cross_entropy(x, LABELS),
        lambda x: functional.cross_entropy(x, torch.tensor(LABELS)),
        [scores(scale)],
        BACKENDS["fast"],
        dtype,
    )


def test_a_mean_over_nothing_that_counts_is_nan():
    nothing = np.full(BATCH, -7)
    out = losses.nll_loss(make(scores(), BACKENDS["fast"]), nothing, ignore_index=-7)
    assert torch.isnan(functional.nll_loss(torch.tensor(scores()), torch.tensor(nothing), ignore_index=-7))
    assert np.isnan(out.item())


# --- yes or no -----------------------------------------------------------------------------------------------


@both_backends
@both_dtypes
@every_reduction
@pytest.mark.parametrize("weighted", [False, True])
def test_probabilities(weighted, reduction, dtype, backend):
    rng = np.random.default_rng(3)
    x, y, w = rng.uniform(0.01, 0.99, (4, 3)), rng.uniform(size=(4, 3)), rng.uniform(size=(4, 3))
    weight, their_weight = (make(w, backend, dtype), torch.tensor(w.astype(dtype))) if weighted else (None, None)
    target, their_target = make(y, backend, dtype), torch.tensor(y.astype(dtype))
    compare(
        lambda x: losses.binary_cross_entropy(x, target, weight, reduction),
        lambda x: functional.binary_cross_entropy(x, their_target, their_weight, reduction=reduction),
        [x],
        backend,
        dtype,
    )


@both_backends
@both_dtypes
def test_probabilities_of_0_and_1(dtype, backend):
    """The values are theirs. (Where a float32 logarithm meets a subnormal number, to three digits.)"""
    x, y = np.array([0.0, 0.0, 1.0, 1.0, 0.0]), np.array([0.0, 1.0, 0.0, 1.0, 0.5])
    ours = losses.binary_cross_entropy(make(x, backend, dtype), make(y, backend, dtype), reduction="none")
    expected = functional.binary_cross_entropy(torch.tensor(x), torch.tensor(y), reduction="none")
    np.testing.assert_allclose(ours.to_numpy(), expected, rtol=1e-3 if dtype == "float32" else 1e-12)


@both_backends
@both_dtypes
@every_reduction
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("pos_weight", [None, [2.5], [0.5, 1.0, 4.0]], ids=["none", "one", "each"])
def test_logits(pos_weight, weighted, reduction, dtype, backend):
    rng = np.random.default_rng(4)
    x, y, w = rng.normal(size=(4, 3)) * 4, rng.uniform(size=(4, 3)), rng.uniform(size=(4, 3))
    x[0] = 0.0  # a network that begins with zeros begins here
    weight, their_weight = (make(w, backend, dtype), torch.tensor(w.astype(dtype))) if weighted else (None, None)
    ours = None if pos_weight is None else make(pos_weight, backend, dtype)
    theirs = None if pos_weight is None else torch.tensor(np.array(pos_weight, dtype))
    compare(
        lambda x, y: losses.binary_cross_entropy_with_logits(x, y, weight, reduction, ours),
        lambda x, y: functional.binary_cross_entropy_with_logits(
            x, y, their_weight, reduction=reduction, pos_weight=theirs
        ),
        [x, y],
        backend,
        dtype,
    )


@both_dtypes
def test_large_logits(dtype):
    x = np.array([1e4, -1e4, 1e4, -1e4, 0.0, 90.0, -90.0])
    y = make([0.0, 0.0, 1.0, 1.0, 0.5, 1.0, 0.0], BACKENDS["fast"], dtype)
    compare(
        lambda x: losses.binary_cross_entropy_with_logits(x, y),
        lambda x: functional.binary_cross_entropy_with_logits(x, torch.tensor(y.to_numpy())),
        [x],
        BACKENDS["fast"],
        dtype,
    )


# --- numbers -------------------------------------------------------------------------------------------------


@both_backends
@both_dtypes
@every_reduction
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("mse_loss", {}),
        ("l1_loss", {}),
        ("smooth_l1_loss", {}),
        ("smooth_l1_loss", {"beta": 0.25}),
        ("smooth_l1_loss", {"beta": 0.0}),
        ("smooth_l1_loss", {"beta": 1e-4}),
    ],
)
def test_numbers(name, more, reduction, dtype, backend):
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(3, 1, 4)), rng.normal(size=(3, 1, 4))
    y[0] = x[0]  # no distance
    y[1] = x[1] + 1e4  # and a large one
    compare(
        lambda x, y: getattr(losses, name)(x, y, reduction, **more),
        lambda x, y: getattr(functional, name)(x, y, reduction=reduction, **more),
        [x, y],
        backend,
        dtype,
    )


# --- as modules ----------------------------------------------------------------------------------------------


@every_reduction
@pytest.mark.parametrize(
    ("name", "settings", "kind"),
    [
        ("NLLLoss", {}, "labels"),
        ("NLLLoss", {"weight": WEIGHT, "ignore_index": 2}, "labels"),
        ("CrossEntropyLoss", {}, "labels"),
        ("CrossEntropyLoss", {"weight": WEIGHT, "ignore_index": 2, "label_smoothing": 0.1}, "labels"),
        ("BCELoss", {}, "probabilities"),
        ("BCELoss", {"weight": np.full((BATCH, CLASSES), 0.5)}, "probabilities"),
        ("BCEWithLogitsLoss", {}, "probabilities"),
        ("BCEWithLogitsLoss", {"weight": np.full((BATCH, CLASSES), 0.5), "pos_weight": WEIGHT}, "probabilities"),
        ("MSELoss", {}, "probabilities"),
        ("L1Loss", {}, "probabilities"),
        ("SmoothL1Loss", {"beta": 0.1}, "probabilities"),
    ],
)
def test_modules(name, settings, kind, reduction):
    backend = BACKENDS["fast"]
    ours = {key: make(x, backend) if isinstance(x, np.ndarray) else x for key, x in settings.items()}
    theirs = {key: torch.tensor(x) if isinstance(x, np.ndarray) else x for key, x in settings.items()}
    loss = getattr(losses, name)(**ours, reduction=reduction)
    their_loss = getattr(torch.nn, name)(**theirs, reduction=reduction)
    rng = np.random.default_rng(6)
    target = LABELS if kind == "labels" else rng.uniform(size=(BATCH, CLASSES))
    compare(
        lambda x: loss(x, target if kind == "labels" else make(target, backend)),
        lambda x: their_loss(x, torch.tensor(target)),
        [rng.uniform(size=(BATCH, CLASSES))],
        backend,
        "float64",
    )
