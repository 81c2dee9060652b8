"""What the tests of tensors share: backends, element types with their tolerances, memory layouts, random operands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import minitorch
from minitorch.fast_ops import FastBackend
from minitorch.kernels.cuda.driver import obstacle
from minitorch.kernels.geometry import Space
from minitorch.module import Module
from minitorch.optim import Optimizer
from minitorch.tensor import Tensor
from minitorch.tensor_data import TensorData
from minitorch.tensor_ops import SimpleBackend, TensorBackend

Array = npt.NDArray[Any]

BACKENDS: dict[str, TensorBackend] = {"simple": SimpleBackend, "fast": FastBackend}
if obstacle() is None:  # a GPU, or Numba's simulator of one
    BACKENDS["cuda"] = TensorBackend(minitorch.CudaOps)
DTYPES = ("float32", "float64")

# By dtype, the relative error that is let pass when two ways of computing the same numbers are compared. It is counted
# in units of the largest number of the array: a sum of large terms may cancel.
TOLERANCE = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-12}


def assert_close(actual: npt.ArrayLike, expected: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> None:
    """Compare arrays within the tolerance of ``dtype``, by default that of ``actual``; NaN and infinity must match."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    tolerance = TOLERANCE[np.dtype(dtype or actual.dtype)]
    finite = np.abs(expected[np.isfinite(expected)])
    scale = max(1.0, float(finite.max())) if finite.size else 1.0
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale)


# --- layouts -------------------------------------------------------------------------------------------------


def contiguous(array: Array) -> TensorData:
    """Row-major order, front to back."""
    return TensorData.from_array(np.array(array, order="C"))


def permuted(array: Array) -> TensorData:
    """The storage holds the dimensions in the opposite order."""
    order = tuple(reversed(range(array.ndim)))
    return contiguous(array.transpose(order)).permute(*order)


def expanded(array: Array, axis: int | None = None) -> TensorData:
    """One element repeated along ``axis`` by a stride of zero.

    The axis is the last that is longer than 1, unless another is given. What ``array`` holds further along it is
    dropped.
    """
    if axis is None:
        axis = max((d for d, n in enumerate(array.shape) if n > 1), default=None)
    if axis is None:
        return contiguous(array)
    return contiguous(array.take([0], axis)).expand(array.shape)


def sliced(array: Array) -> TensorData:
    """The middle of a larger tensor: gaps behind every row, and a storage that begins elsewhere."""
    larger = np.full([n + 2 for n in array.shape], np.nan, array.dtype)
    larger[(slice(1, -1),) * array.ndim] = array
    whole = contiguous(larger)
    return TensorData.of(whole._storage[sum(whole.strides) :], array.shape, whole.strides, whole)


LAYOUTS: dict[str, Callable[[Array], TensorData]] = {
    "contiguous": contiguous,
    "permuted": permuted,
    "expanded": expanded,
    "sliced": sliced,
}


# --- operands ------------------------------------------------------------------------------------------------


def normal(rng: np.random.Generator, shape: Sequence[int]) -> Array:
    """Draw from the standard normal distribution."""
    return rng.normal(size=shape)


def positive(rng: np.random.Generator, shape: Sequence[int]) -> Array:
    """Draw numbers from 0.5 to 2.5."""
    return rng.uniform(0.5, 2.5, shape)


def away_from_zero(rng: np.random.Generator, shape: Sequence[int]) -> Array:
    """Draw numbers of either sign whose size is 0.5 to 2.5."""
    return positive(rng, shape) * rng.choice([-1.0, 1.0], shape)


def distinct(rng: np.random.Generator, shape: Sequence[int]) -> Array:
    """Draw numbers that differ by a quarter at least: no comparison is near its jump."""
    count = int(np.prod(shape))
    return (rng.permutation(count).reshape(shape) - count / 2) / 4


def integers(rng: np.random.Generator, shape: Sequence[int]) -> Array:
    """Draw 0, 1 or 2: many are equal."""
    return rng.integers(0, 3, shape).astype(np.float64)


def truth(rng: np.random.Generator, shape: Sequence[int]) -> Array:
    """Draw 1, or more rarely 0."""
    return (rng.uniform(size=shape) < 0.8).astype(np.float64)


def make(
    array: npt.ArrayLike,
    backend: TensorBackend = SimpleBackend,
    dtype: npt.DTypeLike = "float64",
    layout: Callable[[Array], TensorData] = contiguous,
    requires_grad: bool = False,
) -> Tensor:
    """Make a tensor of the given numbers and layout."""
    out = Tensor(layout(np.asarray(array, dtype=dtype)), backend=backend)
    return out.requires_grad_(True) if requires_grad else out


# --- references ----------------------------------------------------------------------------------------------


def windows(x: Array, kernel: Sequence[int], reverse: bool) -> Array:
    """Pair each place of ``batch x channel x *space`` with what a kernel anchored there sees.

    Returns:
        ``batch x channel x *space x *kernel``, zeros beyond the edge.
    """
    space = tuple(range(2, x.ndim))
    beyond = [(k - 1, 0) if reverse else (0, k - 1) for k in kernel]
    seen = np.lib.stride_tricks.sliding_window_view(np.pad(x, [(0, 0), (0, 0), *beyond]), tuple(kernel), space)
    return np.flip(seen, tuple(range(x.ndim, seen.ndim))) if reverse else seen


def correlate(x: Array, weight: Array, reverse: bool = False) -> Array:
    """Convolve as the course does, by NumPy: ``batch x out_channel x *space``."""
    if not x.size:
        return np.zeros((x.shape[0], weight.shape[0], *x.shape[2:]), x.dtype)
    formula = {3: "bcik,ock->boi", 4: "bcijkl,ockl->boij"}[x.ndim]
    return np.einsum(formula, windows(x, weight.shape[2:], reverse), weight)


def correlate_weight(x: Array, d: Array, kernel: Sequence[int], reverse: bool = False) -> Array:
    """Give the gradient of :func:`correlate` with respect to the weight, by NumPy."""
    formula = {3: "bcik,boi->ock", 4: "bcijkl,boij->ockl"}[x.ndim]
    return np.einsum(formula, windows(x, kernel, reverse), d)


def windows_at(x: Array, kernel: Sequence[int], geometry: Space, beyond: float = 0.0) -> Array:
    """Pair each window of a geometry with what its taps see, by NumPy.

    Returns:
        ``batch x channel x *size x *kernel``, ``beyond`` where a tap sees nothing.
    """
    for dim, (g, taps) in enumerate(zip(geometry, kernel, strict=True)):
        axis = 2 + 2 * dim
        places = g.stride * np.arange(g.size)[:, None] + g.dilation * np.arange(taps) + g.offset
        size = x.shape[axis]
        inside = (places % g.spread == 0) & (places >= 0) & (places < size * g.spread)
        nothing = np.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), beyond, x.dtype)
        x = np.take(np.concatenate([x, nothing], axis), np.where(inside, places // g.spread, size), axis)
    dims = len(geometry)
    return x.transpose(0, 1, *(2 + 2 * d for d in range(dims)), *(3 + 2 * d for d in range(dims)))


def convolve(x: Array, weight: Array, geometry: Space) -> Array:
    """Convolve in any geometry, by NumPy: ``batch x out_channel x *size``."""
    formula = {3: "bcik,ock->boi", 4: "bcijkl,ockl->boij"}[x.ndim]
    return np.einsum(formula, windows_at(x, weight.shape[2:], geometry), weight)


def convolve_weight(x: Array, d: Array, kernel: Sequence[int], geometry: Space) -> Array:
    """Give the gradient of :func:`convolve` with respect to the weight, by NumPy."""
    formula = {3: "bcik,boi->ock", 4: "bcijkl,boij->ockl"}[x.ndim]
    return np.einsum(formula, windows_at(x, kernel, geometry), d)


def pool_windows(x: Array, kernel: tuple[int, int]) -> Array:
    """Bring the elements of each pooling window together in a last dimension, by NumPy."""
    batch, channel, height, width = x.shape
    kh, kw = kernel
    split = x.reshape(batch, channel, height // kh, kh, width // kw, kw).swapaxes(3, 4)
    return split.reshape(batch, channel, height // kh, width // kw, kh * kw)


# --- training ------------------------------------------------------------------------------------------------


def training_step(model: Module, optimizer: Optimizer) -> Callable[[Tensor], Tensor]:
    """Make a step that brings what a model gives nearer to zero."""

    def step(x: Tensor) -> Tensor:
        optimizer.zero_grad()
        out = model(x)
        loss = (out * out).mean()
        loss.backward()
        optimizer.step()
        return loss

    return step
