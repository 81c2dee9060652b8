r"""Normalisation: layers that give what goes through them mean 0 and variance 1, and then a scale and place of its own.

$$y = \frac{x - \mathrm{E}[x]}{\sqrt{\mathrm{Var}[x] + \epsilon}} \, \gamma + \beta$$

:class:`BatchNorm1d` and :class:`BatchNorm2d` take mean and variance of each channel over the batch while training, and
running averages of them in evaluation; :class:`LayerNorm` takes those of each example by itself, and needs no averages.

>>> from minitorch.creation import tensor
>>> layer = BatchNorm1d(1, eps=0.0)
>>> layer(tensor([[1.0], [3.0]])).tolist()
[[-1.0], [1.0]]
>>> round(layer.running_mean.value.item(), 6), round(layer.running_var.value.item(), 6)
(0.2, 1.1)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .autodiff import no_grad
from .cells import read, write
from .creation import ones, zeros
from .errors import ArgumentError, ShapeError
from .function import require_tensor
from .module import Buffer, Module, Parameter
from .tensor import Tensor
from .tensor_data import TensorData
from .tensor_functions import Sqrt, Sum, View
from .tensor_ops import TensorBackend

__all__ = ["BatchNorm1d", "BatchNorm2d", "LayerNorm", "batch_norm", "layer_norm"]


def _moments(x: Tensor, dims: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the mean over dimensions, which keep size 1, what is left without it, and the variance."""
    share = 1.0 / math.prod(x.shape[d] for d in dims)
    mean = Sum.apply(x, tuple(dims)) * share
    centred = x - mean
    return mean, centred, Sum.apply(centred * centred, tuple(dims)) * share


# --- over the batch ------------------------------------------------------------------------------------------


def batch_norm(
    input: Tensor,
    running_mean: Buffer | None = None,
    running_var: Buffer | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    r"""Normalise each channel over the batch and over space (Ioffe and Szegedy, "Batch normalization", 2015).

    While training, a running average $r$ becomes $(1 - m)\, r + m\, s$, where $s$ is this batch's mean, or its variance
    with $n - 1$ in the denominator. (What is normalised is divided by the root of the one with $n$.)

    Args:
        input: ``batch x channel x *space``.
        running_mean: ``channel``; updated while training, if there is one.
        running_var: ``channel``; likewise.
        weight: $\gamma$, ``channel``; 1 when left out.
        bias: $\beta$, ``channel``; 0 when left out.
        training: take mean and variance of this batch; otherwise the running ones.
        momentum: $m$, how much a batch counts.
        eps: $\epsilon$.

    Returns:
        The shape of ``input``.

    Raises:
        ShapeError: there is no dimension of channels, or, while training, fewer than two numbers for each.
        ArgumentError: there are no averages in evaluation.

    >>> from minitorch.creation import tensor
    >>> batch_norm(tensor([[1.0], [3.0]]), Buffer(tensor([1.0])), Buffer(tensor([4.0])), eps=0.0).tolist()
    [[0.0], [1.0]]
    """
    require_tensor("batch_norm", input)
    if input.dims < 2:
        raise ShapeError(
            f"batch_norm expects batch x channel and any dimensions behind, got {input.shape}. Insert the missing one "
            "with view."
        )
    channels = (1, input.shape[1], *(1,) * (input.dims - 2))
    if training:
        count = input.shape[0] * math.prod(input.shape[2:])
        if count < 2:
            raise ShapeError(
                f"expected more than one number for each channel while training, got {input.shape}: normalised over "
                "the batch, a single number is 0 whatever it was. Use a larger batch (drop_last=True leaves out a "
                "small last one), or eval()."
            )
        mean, centred, variance = _moments(input, (0, *range(2, input.dims)))
        _follow(running_mean, mean, momentum)
        _follow(running_var, variance, momentum, count / (count - 1))
    elif running_mean is None or running_var is None:
        raise ArgumentError("batch_norm expects running averages in evaluation, got None. Pass training=True.")
    else:
        centred = input - View.apply(running_mean.value, channels)
        variance = View.apply(running_var.value, channels)
    scale = 1.0 / Sqrt.apply(variance + eps)
    if weight is not None:
        scale = scale * View.apply(weight.contiguous(), channels)
    out = centred * scale
    return out if bias is None else out + View.apply(bias.contiguous(), channels)


def _follow(average: Buffer | None, value: Tensor, momentum: float, factor: float = 1.0) -> None:
    """Move a running average towards the value of a batch."""
    if average is not None:
        with no_grad():
            now = View.apply(value.contiguous(), average.value.shape)
            average.update(average.value * (1.0 - momentum) + now * (momentum * factor))


class _Count(Buffer):
    """A number of batches: an int64 tensor to everybody else, a Python number in its cell.

    A compiled step computes with numbers outside its program, where 1 / n needs no element type.
    """

    @property
    def value(self) -> Tensor:
        """The number, as a tensor without dimensions."""
        return Tensor(TensorData.from_array(np.array(int(self.number), np.int64)))

    @value.setter
    def value(self, x: Any) -> None:
        write(self, "_number", x if not isinstance(x, Tensor) else int(x.item()))

    @property
    def number(self) -> int:
        """The number itself."""
        return read(self, "_number")


class _BatchNorm(Module):
    """What the layers for rows, sequences and images share."""

    layouts: ClassVar[dict[int, str]]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        dtype: npt.DTypeLike | None = None,
        backend: TensorBackend | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(num_features, int) or num_features < 1:
            raise ArgumentError(
                f"{type(self).__name__}: expected a number of channels from 1, got {num_features!r}. It is the size of "
                "dimension 1 of the input."
            )
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        shape = (num_features,)
        self.weight = Parameter(ones(shape, backend, dtype=dtype)) if affine else None
        self.bias = Parameter(zeros(shape, backend, dtype=dtype)) if affine else None
        self.running_mean = Buffer(zeros(shape, backend, dtype=dtype)) if track_running_stats else None
        self.running_var = Buffer(ones(shape, backend, dtype=dtype)) if track_running_stats else None
        self.num_batches_tracked = _Count(0) if track_running_stats else None

    def extra_repr(self) -> str:
        """Name the settings, as PyTorch's layer does."""
        learnt = f"affine={self.affine}, bias={self.bias is not None}"
        averages = f"track_running_stats={self.track_running_stats}"
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, {learnt}, {averages}"

    def forward(self, input: Tensor) -> Tensor:
        """Normalise, and while training follow the averages."""
        self._check(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            batches = self.num_batches_tracked.number + 1
            self.num_batches_tracked.update(batches)
            if self.momentum is None:
                momentum = 1.0 / batches
        return batch_norm(
            input,
            self.running_mean,
            self.running_var,
            None if self.weight is None else self.weight.value,
            None if self.bias is None else self.bias.value,
            self.training or not self.track_running_stats,
            momentum,
            self.eps,
        )

    def _check(self, input: Tensor) -> None:
        name = type(self).__name__
        require_tensor(name, input)
        if input.dims not in self.layouts:
            raise ShapeError(
                f"{name} expects an input of {' or '.join(self.layouts.values())}, got {input.shape}. Insert missing "
                f"dimensions with view, or take the layer for {input.dims} dimensions."
            )
        if input.shape[1] != self.num_features:
            likely = f"Make the layer with num_features={input.shape[1]}."
            if input.shape[-1] == self.num_features:
                order = (0, input.dims - 1, *range(1, input.dims - 1))
                likely = f"The channels seem to come last: bring them forward with permute{order}."
            raise ShapeError(
                f"{name}: expected {self.num_features} channels in dimension 1, got {input.shape[1]} in {input.shape}. "
                f"{likely}"
            )


class BatchNorm1d(_BatchNorm):
    """Normalise each channel of ``batch x channel`` or ``batch x channel x width``; see :func:`batch_norm`.

    Parameters ``weight`` and ``bias`` begin as ones and zeros; the buffers ``running_mean``, ``running_var`` and
    ``num_batches_tracked`` as zeros, ones and 0.

    Args:
        num_features: the number of channels.
        eps: what is added to the variance.
        momentum: how much a batch counts in the running averages; None to average all batches alike.
        affine: learn a scale and an offset for each channel; without it ``weight`` and ``bias`` are None.
        track_running_stats: keep running averages; without them every batch is normalised by its own.
        dtype: of the parameters and averages.
        backend: what computes.

    Raises:
        ArgumentError: there are no channels.

    >>> from minitorch.creation import tensor
    >>> layer = BatchNorm1d(2).eval()
    >>> layer(tensor([[1.0, 2.0]])).is_close(tensor([[1.0, 2.0]])).all().item()
    1.0
    """

    layouts: ClassVar[dict[int, str]] = {2: "batch x channel", 3: "batch x channel x width"}


class BatchNorm2d(_BatchNorm):
    """Normalise each channel of ``batch x channel x height x width``; see :class:`BatchNorm1d`.

    Args:
        num_features: the number of channels.
        eps: what is added to the variance.
        momentum: how much a batch counts in the running averages; None to average all batches alike.
        affine: learn a scale and an offset for each channel; without it ``weight`` and ``bias`` are None.
        track_running_stats: keep running averages; without them every batch is normalised by its own.
        dtype: of the parameters and averages.
        backend: what computes.

    Raises:
        ArgumentError: there are no channels.

    >>> layer = BatchNorm2d(3)
    >>> layer(ones((2, 3, 4, 5))).shape, [name for name, _ in layer.named_state()]
    ((2, 3, 4, 5), ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked'])
    """

    layouts: ClassVar[dict[int, str]] = {4: "batch x channel x height x width"}


# --- each example by itself ----------------------------------------------------------------------------------


def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    r"""Normalise over the last dimensions (Ba, Kiros and Hinton, "Layer normalization", 2016).

    Args:
        input: ``* x *normalized_shape``, with any dimensions before.
        normalized_shape: the sizes of the last dimensions.
        weight: $\gamma$, ``*normalized_shape``; 1 when left out.
        bias: $\beta$, ``*normalized_shape``; 0 when left out.
        eps: $\epsilon$.

    Returns:
        The shape of ``input``.

    Raises:
        ShapeError: the input does not end with these sizes.

    >>> from minitorch.creation import tensor
    >>> layer_norm(tensor([[1.0, 3.0], [5.0, 1.0]]), 2, eps=0.0).tolist()
    [[-1.0, 1.0], [1.0, -1.0]]
    """
    require_tensor("layer_norm", input)
    shape = _as_shape(normalized_shape)
    if input.shape[max(0, input.dims - len(shape)) :] != shape:
        raise ShapeError(
            f"layer_norm normalises over last dimensions of {shape}, got shape {input.shape}. "
            + _likely_fix(input, len(shape))
        )
    dims = range(input.dims - len(shape), input.dims)
    _, centred, variance = _moments(input, dims)
    out = centred * (1.0 / Sqrt.apply(variance + eps))
    if weight is not None:
        out = out * weight
    return out if bias is None else out + bias


def _likely_fix(input: Tensor, count: int) -> str:
    """Say what to do about other sizes in the last dimensions."""
    if input.dims < count:
        return f"Insert the missing dimensions with view: there are fewer than {count}."
    sizes = input.shape[input.dims - count :]
    fitting = sizes[0] if count == 1 else sizes
    return f"Make the layer with normalized_shape={fitting}, or reorder the dimensions with permute."


def _as_shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape or min(shape) < 1:
        raise ArgumentError(
            f"expected normalized_shape as the sizes of the last dimensions, all 1 or more, got {normalized_shape}. "
            "Write one number for the last dimension alone."
        )
    return shape


class LayerNorm(Module):
    """Normalise each example over its last dimensions; see :func:`layer_norm`.

    Parameters ``weight`` and ``bias``, which begin as ones and zeros, have the normalised shape.

    Args:
        normalized_shape: the sizes of the last dimensions, or that of the last one.
        eps: what is added to the variance.
        elementwise_affine: learn a scale for each place; without it ``weight`` and ``bias`` are None.
        bias: learn an offset for each place too.
        dtype: of the parameters.
        backend: what computes.

    Raises:
        ArgumentError: there is no size.

    >>> layer = LayerNorm([3, 4], bias=False)
    >>> layer(ones((2, 3, 4))).shape, layer.weight.value.shape
    ((2, 3, 4), (3, 4))
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: npt.DTypeLike | None = None,
        backend: TensorBackend | None = None,
    ) -> None:
        super().__init__()
        self.normalized_shape, self.eps = _as_shape(normalized_shape), eps
        self.elementwise_affine = elementwise_affine
        shape = self.normalized_shape
        self.weight = Parameter(ones(shape, backend, dtype=dtype)) if elementwise_affine else None
        self.bias = Parameter(zeros(shape, backend, dtype=dtype)) if elementwise_affine and bias else None

    def extra_repr(self) -> str:
        """Name the settings, as PyTorch's layer does."""
        learnt = f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        return f"{self.normalized_shape}, eps={self.eps}, {learnt}"

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``* x *normalized_shape``."""
        weight = None if self.weight is None else self.weight.value
        bias = None if self.bias is None else self.bias.value
        return layer_norm(input, self.normalized_shape, weight, bias, self.eps)
