"""Hypothesis strategies: shapes, and tensors of any memory layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minitorch.tensor import Tensor
from minitorch.tensor_data import TensorData
from minitorch.tensor_ops import SimpleBackend, TensorBackend

# Numbers that float32 holds too, so that no rounding stands between a tensor and its list.
numbers = st.floats(-100, 100, width=32)


def shapes(
    min_dims: int = 1, max_dims: int = 4, min_side: int = 1, max_side: int = 3
) -> st.SearchStrategy[tuple[int, ...]]:
    """Draw shapes."""
    return hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side)


@st.composite
def tensor_data(
    draw: st.DrawFn,
    shape: Sequence[int] | None = None,
    elements: st.SearchStrategy[Any] = numbers,
    dtype: Any = np.float64,
    repeats: bool = True,
) -> TensorData:
    """Draw data of a shape whose storage may hold the dimensions in any order, with gaps, and with repeated elements.

    Args:
        draw: Hypothesis's.
        shape: its shape; drawn when left out.
        elements: its numbers.
        dtype: their type.
        repeats: let dimensions have a stride of zero.
    """
    shape = tuple(draw(shapes()) if shape is None else shape)
    dims = range(len(shape))
    repeated = {d for d in dims if repeats and shape[d] > 1 and draw(st.integers(0, 4)) == 0}
    held = [1 if d in repeated else shape[d] for d in dims]
    order = draw(st.permutations(list(dims)))
    before = [draw(st.integers(0, 1)) for _ in dims]
    behind = [draw(st.integers(0, 1)) for _ in dims]

    values = draw(hnp.arrays(dtype, tuple(held), elements=elements))
    larger = np.full([before[d] + held[d] + behind[d] for d in order], np.nan, dtype)
    # In the storage, dimension order[0] is the slowest.
    larger[tuple(slice(before[d], before[d] + held[d]) for d in order)] = values.transpose(order)
    whole = TensorData.from_array(larger).permute(*np.argsort(order).tolist())
    start = sum(b * s for b, s in zip(before, whole.strides, strict=True))
    return TensorData.of(whole._storage[start:], tuple(held), whole.strides, whole).expand(shape)


@st.composite
def tensors(
    draw: st.DrawFn,
    shape: Sequence[int] | None = None,
    elements: st.SearchStrategy[Any] = numbers,
    backend: TensorBackend = SimpleBackend,
    dtype: Any = np.float64,
    repeats: bool = True,
) -> Tensor:
    """Draw a tensor; see :func:`tensor_data`."""
    return Tensor(draw(tensor_data(shape, elements, dtype, repeats)), backend=backend)


@st.composite
def broadcast_shapes(draw: st.DrawFn, count: int = 2) -> tuple[tuple[int, ...], ...]:
    """Draw shapes that stretch to a common one."""
    return draw(hnp.mutually_broadcastable_shapes(num_shapes=count, max_dims=4, max_side=4)).input_shapes
