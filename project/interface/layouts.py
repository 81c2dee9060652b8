"""Shape, strides and storage of a tensor, and what its views read from where (module 2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

import minitorch
from minitorch.tensor_data import TensorData, shape_broadcast

from .svg import BLUE, GREEN, GREY, ORANGE, STRONG, Drawing

__all__ = [
    "VIEWS",
    "Broadcast",
    "View",
    "broadcast",
    "draw_layout",
    "fresh",
    "position_formula",
    "read_index",
    "read_shape",
]

CELL = 38
MOST_ELEMENTS = 48
SLICE_GAP = 22


@dataclass(frozen=True)
class View:
    """A way to look at a tensor without moving a number.

    Attributes:
        asks: what its numbers are; empty where it has none.
        usual: gives numbers that serve for a tensor.
        of: gives the view of a tensor for some numbers.
    """

    asks: str
    usual: Callable[[TensorData], Sequence[int]]
    of: Callable[[TensorData, Sequence[int]], TensorData]


def _reshaped(data: TensorData, shape: Sequence[int]) -> TensorData:
    return minitorch.Tensor(data, backend=minitorch.SimpleBackend).view(*_small(shape))._tensor


def _expanded(data: TensorData, shape: Sequence[int]) -> TensorData:
    target = _small(shape)
    if shape_broadcast(data.shape, target) != target:
        raise minitorch.ArgumentError(
            f"expected a shape that {data.shape} can be broadcast to, got {target}: only sizes of 1 may grow, and new "
            "dimensions come first."
        )
    return data.expand(target)


def _without_the_first(data: TensorData, numbers: Sequence[int]) -> TensorData:
    dim = _dimension(data, numbers)
    return data.narrow(dim, min(1, data.shape[dim] - 1), data.shape[dim])


def _dimension(data: TensorData, numbers: Sequence[int]) -> int:
    if len(numbers) != 1 or not 0 <= numbers[0] < data.dims:
        raise minitorch.ArgumentError(f"expected one dimension from 0 to {data.dims - 1}, got {numbers}.")
    return numbers[0]


VIEWS: dict[str, View] = {
    "the tensor itself": View("", lambda data: (), lambda data, numbers: data),
    "permute": View(
        "Order of the dimensions",
        lambda data: tuple(reversed(range(data.dims))),
        lambda data, numbers: data.permute(*numbers),
    ),
    "view": View("New shape", lambda data: (data.size,), _reshaped),
    "expand": View("Broadcast to", lambda data: (2, *data.shape), _expanded),
    "narrow": View("Leave out the first of dimension", lambda data: (data.dims - 1,), _without_the_first),
    "every second": View(
        "Take every second of dimension",
        lambda data: (data.dims - 1,),
        lambda data, numbers: data.step(_dimension(data, numbers), 2),
    ),
}


@dataclass(frozen=True)
class Broadcast:
    """How two shapes become one.

    Attributes:
        rows: for each dimension, from the last: the two sizes (None where there is none), and the result's.
        shape: the result.
    """

    rows: tuple[tuple[int | None, int | None, int], ...]
    shape: tuple[int, ...]


def read_shape(text: str, most: int = MOST_ELEMENTS) -> tuple[int, ...]:
    """Read a shape such as ``2, 3`` or ``(2, 3)``.

    Raises:
        ArgumentError: it is none, or has more than four dimensions or ``most`` elements.

    >>> read_shape("(2, 3)")
    (2, 3)
    """
    try:
        sizes = tuple(int(word) for word in text.strip("()[] ").replace(",", " ").replace("x", " ").split())
    except ValueError:
        raise minitorch.ArgumentError(f"expected a shape such as 2, 3; got {text!r}.") from None
    return _small(sizes, most)


def _small(sizes: Sequence[int], most: int = MOST_ELEMENTS) -> tuple[int, ...]:
    """Refuse a shape that could not be drawn."""
    if not 1 <= len(sizes) <= 4 or min(sizes) < 1 or math.prod(sizes) > most:
        raise minitorch.ArgumentError(
            f"expected one to four sizes from 1, with {most} elements at most; got {tuple(sizes)}. Try 2, 3."
        )
    return tuple(sizes)


def read_index(text: str) -> tuple[int, ...]:
    """Read an index or an order of dimensions, such as ``1, 0``.

    Raises:
        ArgumentError: it is none.
    """
    try:
        return tuple(int(word) for word in text.strip("()[] ").replace(",", " ").split())
    except ValueError:
        raise minitorch.ArgumentError(f"expected whole numbers such as 1, 0; got {text!r}.") from None


def fresh(shape: Sequence[int]) -> TensorData:
    """Make contiguous data that counts 0, 1, 2, ..."""
    return TensorData(np.arange(math.prod(shape), dtype=np.float64), tuple(shape))


def position_formula(data: TensorData, index: Sequence[int]) -> str:
    r"""Write how an index becomes a position in the storage, as LaTeX.

    Raises:
        IndexingError: the index is outside.

    >>> print(position_formula(fresh((2, 3)), (1, 2)))
    1 \cdot 3 + 2 \cdot 1 = 5
    """
    _, start = _whole(data)
    terms = [f"{i} \\cdot {s}" for i, s in zip(index, data.strides)]
    position = start + data.index(tuple(index))
    return f"{' + '.join([str(start)] * (start > 0) + terms)} = {position}"


def _whole(data: TensorData) -> tuple[np.ndarray, int]:
    """Find the storage that a view shares, and the cell in it where the view begins."""
    storage = data._storage
    whole = storage.base if isinstance(storage.base, np.ndarray) else storage
    return whole.reshape(-1), (storage.ctypes.data - whole.ctypes.data) // storage.itemsize


def broadcast(first: Sequence[int], second: Sequence[int]) -> Broadcast:
    """Broadcast two shapes, and tell what happens in each dimension.

    Raises:
        IndexingError: they do not fit.

    >>> broadcast((3, 1), (4,)).shape
    (3, 4)
    """
    shape = shape_broadcast(tuple(first), tuple(second))
    rows = []
    for back in range(1, len(shape) + 1):
        one, two = (sizes[-back] if back <= len(sizes) else None for sizes in (first, second))
        rows.append((one, two, shape[-back]))
    return Broadcast(tuple(rows), shape)


def draw_layout(data: TensorData, chosen: Sequence[int] | None = None) -> Drawing:
    """Draw a tensor, its storage below, and which cell each position reads.

    Each position shows the cell that it reads. Cells that nothing reads are grey, those that several positions read
    are green; the chosen position is orange, and an arrow leads to its cell.

    Args:
        data: the tensor's data, a view of any kind.
        chosen: an index to follow.

    Raises:
        IndexingError: the index is outside.
    """
    rows, columns = (1, *data.shape)[-2:]
    slices = math.prod(data.shape[:-2]) if data.dims > 2 else 1
    storage, start = _whole(data)
    position = None if chosen is None else start + data.index(tuple(chosen))
    in_a_row = max(1, min(slices, 760 // (columns * CELL + SLICE_GAP)))
    slice_height = rows * CELL + 26
    high = math.ceil(slices / in_a_row) * slice_height
    width = max(in_a_row * (columns * CELL + SLICE_GAP), len(storage) * CELL) + 20
    sheet = Drawing(width, high + 70 + CELL)
    storage_y = high + 40

    readers = np.zeros(len(storage), int)
    arrow_from = None
    for number, index in enumerate(data.indices()):
        which, inside = divmod(number, rows * columns)
        row, column = divmod(inside, columns)
        x = 10 + (which % in_a_row) * (columns * CELL + SLICE_GAP) + column * CELL
        y = 22 + (which // in_a_row) * slice_height + row * CELL
        cell = start + data.index(index)
        readers[cell] += 1
        here = chosen is not None and tuple(chosen) == index
        colour = ORANGE if here else BLUE
        sheet.box(x, y, CELL - 2, CELL - 2, fill=colour, opacity=STRONG if here else 0.2, edge=colour)
        sheet.text(x + CELL / 2 - 1, y + CELL / 2 - 1, f"{storage[cell]:g}")
        if here:
            arrow_from = x + CELL / 2 - 1, y + CELL - 2
        if inside == 0 and data.dims > 2:
            sheet.text(x, y - 11, f"[{', '.join(map(str, index[:-2]))}]", size=11, anchor="start")
    sheet.text(10, storage_y - 12, "storage", size=12, anchor="start")
    for cell, value in enumerate(storage):
        x = 10 + cell * CELL
        colour = ORANGE if cell == position else GREY if not readers[cell] else GREEN if readers[cell] > 1 else BLUE
        sheet.box(
            x, storage_y, CELL - 2, CELL - 2, fill=colour, opacity=STRONG if cell == position else 0.2, edge=colour
        )
        sheet.text(x + CELL / 2 - 1, storage_y + CELL / 2 - 1, f"{value:g}")
        sheet.text(x + CELL / 2 - 1, storage_y + CELL + 10, str(cell), size=10)
    if arrow_from is not None and position is not None:
        sheet.arrow(*arrow_from, 10 + position * CELL + CELL / 2 - 1, storage_y - 2, colour=ORANGE, thickness=2)
    return sheet
