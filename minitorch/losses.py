r"""Losses: how far a network's results are from what they should be, as a number to make smaller.

Names and meanings are PyTorch's. ``reduction`` says what becomes of the losses of single examples or elements:
``"mean"`` averages them and ``"sum"`` adds them up, both with the shape ``(1,)`` of the course's reductions, and
``"none"`` gives them as they are. Shapes must be equal: a loss that broadcast ``batch`` against ``batch x 1`` would
compare every example with every other, and training would go wrong without a word.

Each loss is composed of the functions of :mod:`minitorch.tensor_functions`, so it runs on every backend, differentiates
to any order, and becomes part of a compiled step. The values of labels and probabilities are checked in eager steps
only: a step that is traced has no values to look at. On a GPU nobody waits for them: a label that is no class raises
with the next number that is read.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .cells import read, tracing
from .errors import ArgumentError, DataError, DTypeError, ShapeError
from .function import Places, require_tensor
from .indexing import at_hand, integers
from .kernels import elements
from .module import Module
from .nn import as_int64, logsoftmax
from .pointwise import Keep, abs
from .tensor import Tensor
from .tensor_data import TensorData
from .tensor_functions import EQ, Add, Exp, Log, Permute, ReLU, Sum, Take, View

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "L1Loss",
    "MSELoss",
    "NLLLoss",
    "SmoothL1Loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
]

Labels = Tensor | npt.ArrayLike

# --- classes -------------------------------------------------------------------------------------------------


def nll_loss(
    input: Tensor,
    target: Labels,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    r"""Compute the negative log-likelihood of the right classes, $-w_{y_i} x_{i, y_i}$.

    Args:
        input: log-probabilities, ``batch x class``, such as :func:`minitorch.nn.logsoftmax` gives; or one for each
            place, ``batch x class x *space``; or those of a single example, ``class``.
        target: the number of each example's class, ``batch`` (or ``batch x *space``, or one number), integers.
        weight: how much each class counts, ``class``; all the same when left out.
        ignore_index: the label of examples to leave out, which need not be a class. Any other label that is none
            raises.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``; the mean is that of the examples that count, weighted.

    Raises:
        ShapeError: the shapes are not these, or there is nothing to average.
        DTypeError: the labels are not integers.
        DataError: a label is no class.

    >>> from minitorch.creation import tensor
    >>> nll_loss(tensor([[-0.5, -1.0], [-2.0, -0.25]]), [0, 1]).item()
    0.375
    >>> nll_loss(tensor([[-0.5, -1.0], [-2.0, -0.25]]), [0, -100]).item()
    0.5
    """
    _check_reduction(reduction)
    return _likelihood(_rows(input), _places(input), target, weight, ignore_index, reduction, 0.0)


def cross_entropy(
    input: Tensor,
    target: Labels,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    r"""Compute the cross-entropy between the right classes and the softmax of ``input``.

    $$-\sum_c q_{ic} w_c \log p_{ic}, \quad p_i = \mathrm{softmax}(x_i), \quad
      q_{ic} = (1 - \epsilon) [c = y_i] + \epsilon / C$$

    Args:
        input: unnormalised scores (logits), ``batch x class``, or ``batch x class x *space``, or ``class``.
        target: the number of each example's class, ``batch`` (or ``batch x *space``, or one number), integers; or
            their probabilities $q$, a tensor with the shape and dtype of ``input``.
        weight: how much each class counts, ``class``.
        ignore_index: as in :func:`nll_loss`; only with class numbers.
        reduction: as in :func:`nll_loss`; with probabilities the mean is that of all examples.
        label_smoothing: $\epsilon$, from 0 to 1: the share that is spread over all $C$ classes (Szegedy and others,
            "Rethinking the Inception architecture", 2016).

    Raises:
        ShapeError: the shapes are not these, or there is nothing to average.
        DTypeError: the labels are not integers.
        DataError: a label is no class.
        ArgumentError: ``label_smoothing`` is not from 0 to 1.

    >>> from minitorch.creation import tensor
    >>> round(cross_entropy(tensor([[0.0, 0.0], [50.0, 0.0]]), [0, 0]).item(), 4)
    0.3466
    """
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(
            f"label_smoothing is the share of a label to spread over all classes, from 0 to 1; got {label_smoothing}. "
            "Write 10 % as 0.1."
        )
    _check_reduction(reduction)
    log_probabilities = logsoftmax(_rows(input), 1)
    if isinstance(target, Tensor) and target.dtype.kind == "f":
        if target.dims == input.dims - 1:
            raise _no_labels(target)
        if ignore_index >= 0:
            raise ArgumentError(f"probabilities have no label to leave out, got ignore_index={ignore_index}. Omit it.")
        _check_shapes("cross_entropy with probabilities", input, target)
        smooth = _rows(target) * (1.0 - label_smoothing) + label_smoothing / log_probabilities.shape[1]
        return _reduced(-_over_classes(smooth * log_probabilities, weight), reduction, _places(input))
    return _likelihood(log_probabilities, _places(input), target, weight, ignore_index, reduction, label_smoothing)


def _rows(input: Tensor) -> Tensor:
    """Bring the classes last and everything else together: ``row x class``, one row for each label."""
    require_tensor("a loss", input)
    if input.dims == 0:
        raise ShapeError(
            "expected a score for each class, batch x class and any dimensions behind, or those of one example; got "
            "shape (). Leave out the reduction that gave a single number."
        )
    if input.dims == 1:
        return View.apply(input.contiguous(), (1, *input.shape))
    if input.dims == 2:
        return input
    last = Permute.apply(input, (0, *range(2, input.dims), 1)).contiguous()
    return View.apply(last, (math.prod(_places(input)), input.shape[1]))


def _places(input: Tensor) -> tuple[int, ...]:
    """Give the shape of the labels for scores: all dimensions but that of the classes."""
    return (*input.shape[:1], *input.shape[2:]) if input.dims > 1 else ()


def _likelihood(
    log_probabilities: Tensor,
    places: tuple[int, ...],
    target: Labels,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    labels, ignored = _labels(log_probabilities, places, target, ignore_index)
    count, classes = log_probabilities.shape
    if not at_hand(labels):
        # Checked by the kernel that reads: a label that is no class must not read another example's numbers.
        labels = labels.backend.ops.zip(elements.index_from_zero)(integers(labels, [classes]), labels)
    rows = integers(log_probabilities, np.arange(count) * classes)
    losses = -Take.apply(log_probabilities, Places(Add.apply(labels, rows)))
    counted = None if weight is None else _weights(labels, weight, classes)
    if counted is not None:
        losses = losses * counted
    if label_smoothing:
        everywhere = -_over_classes(log_probabilities, weight)
        losses = losses * (1.0 - label_smoothing) + everywhere * (label_smoothing / classes)
    if ignored is not None:
        losses = Keep.apply(losses, ignored, False)
        counted = Keep.apply(losses._ensure_tensor(1.0) if counted is None else counted, ignored, False)
    if reduction == "mean" and counted is not None:
        return losses.sum() / counted.sum()
    return _reduced(losses, reduction, places)


def _labels(scores: Tensor, places: tuple[int, ...], target: Labels, ignore_index: int) -> tuple[Tensor, Places | None]:
    """Check the labels; their values only where there are any.

    Returns:
        The labels, ``1 x row``, as int64, with class 0 in the place of the one to ignore; and a mask of the examples
        that are ignored, or None where there are none.
    """
    if isinstance(target, Tensor):
        labels, values = target, target.to_numpy() if at_hand(target) else None
    else:
        values = np.array(target)
        labels = scores._new(TensorData.from_array(values))
    if labels.dtype.kind not in "iu":
        raise _no_labels(labels)
    count, classes = scores.shape
    if labels.shape != places:
        raise ShapeError(
            f"expected one label for each of the {count} examples, shape {places}, got {labels.shape}. Labels are "
            "class numbers, and not rows of zeros and ones."
        )
    some_ignored = tracing.tracer is not None or values is None or _check_labels(values, classes, ignore_index)
    # One row: with a number for each example there is too little for a compiled step to divide among the cores.
    labels = View.apply(as_int64("labels", labels).contiguous(), (1, count))
    if not some_ignored:
        return labels, None
    ignored = Places(EQ.apply(labels, integers(scores, [ignore_index])))
    return Keep.apply(labels, ignored, False), ignored


def _no_labels(given: Tensor) -> DTypeError:
    return DTypeError(
        f'class labels are integers, got {given.dtype} of shape {given.shape}. Make them with dtype="int64"; '
        "probabilities of every class, in the shape of the scores, go to cross_entropy."
    )


def _weights(labels: Tensor, weight: Tensor, classes: int) -> Tensor:
    """Give each example the weight of its class."""
    if weight.shape != (classes,):
        raise ShapeError(
            f"expected a weight for each of the {classes} classes, shape {(classes,)}, got {weight.shape}. To weight "
            "single examples, multiply the losses that reduction='none' gives."
        )
    return Take.apply(weight, Places(labels))


def _check_labels(values: npt.NDArray[Any], classes: int, ignore_index: int) -> bool:
    """Check that all labels but the one to ignore are classes, and tell whether that one is among them."""
    if not values.size:
        return False
    if values.min() >= 0 and values.max() < classes and not 0 <= ignore_index < classes:
        return False
    ignored = values == ignore_index
    kept = values[~ignored]
    if kept.size and not 0 <= kept.min() <= kept.max() < classes:
        raise DataError(
            f"class labels go from 0 to {classes - 1}, got {kept.min()} to {kept.max()}. Count from 0, or leave "
            "examples out by a label of their own, such as ignore_index=-1."
        )
    return bool(ignored.any())


def _over_classes(x: Tensor, weight: Tensor | None) -> Tensor:
    """Add up over the classes, weighted: ``batch``."""
    return Sum.apply(x if weight is None else x * weight, 1, (x.shape[0],))


# --- yes or no -----------------------------------------------------------------------------------------------


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    r"""Compute $-w (y \log x + (1 - y) \log (1 - x))$ for probabilities $x$.

    A logarithm is not taken below -100, so that a probability of exactly 0 or 1 gives a large loss and not infinity;
    its gradient is then zero. :func:`binary_cross_entropy_with_logits` has neither limit.

    Args:
        input: probabilities, any shape.
        target: what they should be, from 0 to 1, of the same shape.
        weight: how much each element counts, of the same shape.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ShapeError: the shapes differ.
        DataError: an input is not from 0 to 1.

    >>> from minitorch.creation import tensor
    >>> round(binary_cross_entropy(tensor([0.5, 1.0]), tensor([1.0, 1.0])).item(), 4)
    0.3466
    """
    _check_reduction(reduction)
    _check_shapes("binary_cross_entropy", input, target, weight)
    if at_hand(input) and input.size:
        values = input.to_numpy()
        if (values < 0.0).any() or (values > 1.0).any():
            raise DataError(
                f"binary_cross_entropy expects probabilities from 0 to 1, got {values.min()} to {values.max()}. End "
                "the network with a sigmoid, or pass its scores to binary_cross_entropy_with_logits."
            )
    losses = -(target * _log_from_minus_100(input) + (1.0 - target) * _log_from_minus_100(1.0 - input))
    return _reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    r"""Compute the binary cross-entropy of $\sigma(x)$, without the limits of a sigmoid that has become 0 or 1.

    $$w \left((1 - y)\, x + (1 + (p - 1)\, y) \log (1 + e^{-x})\right)$$

    Args:
        input: unnormalised scores (logits), any shape.
        target: the probabilities that they should stand for, from 0 to 1, of the same shape.
        weight: how much each element counts, of the same shape.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        pos_weight: $p$, how much a positive counts, a number for each place of the last dimension, or one for all.

    Raises:
        ShapeError: the shapes differ.

    >>> from minitorch.creation import tensor
    >>> binary_cross_entropy_with_logits(tensor([1000.0, -1000.0]), tensor([0.0, 0.0]), reduction="none").tolist()
    [1000.0, 0.0]
    """
    _check_reduction(reduction)
    _check_shapes("binary_cross_entropy_with_logits", input, target, weight)
    missed = _softplus(-input)
    if pos_weight is not None:
        if pos_weight.shape not in ((1,), input.shape[-1:]):
            raise ShapeError(
                f"expected a pos_weight of shape (1,) or {input.shape[-1:]}, got {pos_weight.shape}. Give a number for "
                "each place of the last dimension, or one for all."
            )
        missed = missed * (1.0 + (pos_weight - 1.0) * target)
    losses = (1.0 - target) * input + missed
    return _reduced(losses if weight is None else losses * weight, reduction)


# --- numbers -------------------------------------------------------------------------------------------------


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Compute the squared error $(x - y)^2$.

    Args:
        input: any shape.
        target: of the same shape.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ShapeError: the shapes differ.

    >>> from minitorch.creation import tensor
    >>> mse_loss(tensor([1.0, 2.0]), tensor([1.0, 4.0])).item()
    2.0
    """
    _check_reduction(reduction)
    _check_shapes("mse_loss", input, target)
    distance = input - target
    return _reduced(distance * distance, reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Compute the absolute error $|x - y|$; its slope where both are equal is zero.

    Args:
        input: any shape.
        target: of the same shape.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ShapeError: the shapes differ.

    >>> from minitorch.creation import tensor
    >>> l1_loss(tensor([1.0, 2.0]), tensor([1.0, 4.0])).item()
    1.0
    """
    _check_reduction(reduction)
    _check_shapes("l1_loss", input, target)
    return _reduced(abs(input - target), reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    r"""Compute an absolute error that is rounded off near zero (Girshick, "Fast R-CNN", 2015).

    $d^2 / (2 \beta)$ where $d = |x - y|$ is below $\beta$, and $d - \beta / 2$ elsewhere.

    Args:
        input: any shape.
        target: of the same shape.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        beta: $\beta$; with 0 it is :func:`l1_loss`.

    Raises:
        ShapeError: the shapes differ.
        ArgumentError: ``beta`` is negative.

    >>> from minitorch.creation import tensor
    >>> smooth_l1_loss(tensor([1.0, 2.0]), tensor([0.0, 4.0]), "none").tolist()
    [0.5, 1.5]
    """
    if not beta >= 0.0:
        raise ArgumentError(
            f"expected a beta of 0 or more, got {beta}. It is the error from which on the loss is linear."
        )
    if beta == 0.0:
        return l1_loss(input, target, reduction)
    _check_reduction(reduction)
    _check_shapes("smooth_l1_loss", input, target)
    distance = abs(input - target)
    beyond = ReLU.apply(distance - beta)
    near = distance - beyond
    return _reduced(near * near * (0.5 / beta) + beyond, reduction)


# --- what they share -----------------------------------------------------------------------------------------


def _check_reduction(reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f"expected the reduction 'mean', 'sum' or 'none', got {reduction!r}. Write one of these.")


def _check_shapes(name: str, input: Tensor, target: Any, weight: Tensor | None = None) -> None:
    for what, other in (("target", target), ("weight", weight)):
        if other is None:
            continue
        if not isinstance(other, Tensor):
            raise DTypeError(
                f"{name} expects a tensor as its {what}, got {type(other).__name__}. Make one: minitorch.tensor(...)."
            )
        if other.shape != input.shape:
            raise ShapeError(
                f"{name} expects an input and a {what} of one shape, got {input.shape} and {other.shape}. Nothing is "
                "broadcast here: bring one to the other's shape with view."
            )


def _reduced(losses: Tensor, reduction: str, shape: tuple[int, ...] | None = None) -> Tensor:
    if reduction == "none":
        return losses if shape in (None, losses.shape) else View.apply(losses.contiguous(), shape)
    return losses.mean() if reduction == "mean" else losses.sum()


def _softplus(x: Tensor) -> Tensor:
    r"""Compute $\log (1 + e^x)$ as $\max(x, 0) + \log (1 + e^{-|x|})$, where no exponential overflows.

    With $|x|$ written as $2 \max(x, 0) - x$, the slope at zero comes out as 1/2 although ReLU's is 0 there.
    """
    positive = ReLU.apply(x)
    return positive + Log.apply(1.0 + Exp.apply(x - 2.0 * positive))


def _log_from_minus_100(x: Tensor) -> Tensor:
    floor = float(np.exp(-100.0))
    return Log.apply(ReLU.apply(x - floor) + floor)


# --- as modules ----------------------------------------------------------------------------------------------


class _Loss(Module):
    """A loss with its settings. They are read as cells: a compiled step follows a weight that is replaced."""

    reduction: str

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        _check_reduction(reduction)
        self.reduction = reduction


class NLLLoss(_Loss):
    """:func:`nll_loss` with its settings, as a module.

    >>> from minitorch.creation import tensor
    >>> NLLLoss(reduction="sum")(tensor([[-0.5, -1.0], [-2.0, -0.25]]), [0, 1]).tolist()
    [0.75]
    """

    def __init__(self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.weight, self.ignore_index = weight, ignore_index

    def forward(self, input: Tensor, target: Labels) -> Tensor:
        """Compute the loss of log-probabilities, ``batch x class``."""
        return nll_loss(input, target, read(self, "weight"), self.ignore_index, self.reduction)


class CrossEntropyLoss(_Loss):
    """:func:`cross_entropy` with its settings, as a module.

    >>> from minitorch.creation import tensor
    >>> CrossEntropyLoss()(tensor([[100.0, 0.0]]), [0]).tolist()
    [0.0]
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        self.weight, self.ignore_index, self.label_smoothing = weight, ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Labels) -> Tensor:
        """Compute the loss of scores, ``batch x class``."""
        weight = read(self, "weight")
        return cross_entropy(input, target, weight, self.ignore_index, self.reduction, self.label_smoothing)


class BCELoss(_Loss):
    """:func:`binary_cross_entropy` with its settings, as a module.

    >>> from minitorch.creation import tensor
    >>> BCELoss()(tensor([1.0]), tensor([1.0])).tolist()
    [0.0]
    """

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.weight = weight

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of probabilities."""
        return binary_cross_entropy(input, target, read(self, "weight"), self.reduction)


class BCEWithLogitsLoss(_Loss):
    """:func:`binary_cross_entropy_with_logits` with its settings, as a module.

    >>> from minitorch.creation import tensor
    >>> BCEWithLogitsLoss()(tensor([-3000.0]), tensor([1.0])).tolist()
    [3000.0]
    """

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean", pos_weight: Tensor | None = None) -> None:
        super().__init__(reduction)
        self.weight, self.pos_weight = weight, pos_weight

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of scores."""
        weight, pos_weight = read(self, "weight"), read(self, "pos_weight")
        return binary_cross_entropy_with_logits(input, target, weight, self.reduction, pos_weight)


class MSELoss(_Loss):
    """:func:`mse_loss` as a module.

    >>> from minitorch.creation import tensor
    >>> MSELoss()(tensor([1.0]), tensor([3.0])).tolist()
    [4.0]
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compute the loss."""
        return mse_loss(input, target, self.reduction)


class L1Loss(_Loss):
    """:func:`l1_loss` as a module.

    >>> from minitorch.creation import tensor
    >>> L1Loss()(tensor([1.0]), tensor([3.0])).tolist()
    [2.0]
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compute the loss."""
        return l1_loss(input, target, self.reduction)


class SmoothL1Loss(_Loss):
    """:func:`smooth_l1_loss` with its settings, as a module.

    >>> from minitorch.creation import tensor
    >>> SmoothL1Loss()(tensor([1.0]), tensor([3.0])).tolist()
    [1.5]
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compute the loss."""
        return smooth_l1_loss(input, target, self.reduction, self.beta)
