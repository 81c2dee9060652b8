"""The pictures of module 2: views of a storage, broadcasting, and the axis that a reduction keeps."""

from __future__ import annotations

import numpy as np
from interface.layouts import draw_layout
from interface.svg import BLUE, GREEN, ORANGE, Drawing

import minitorch
from minitorch import Tensor
from minitorch.tensor_data import TensorData

from .sheets import CELL, cell

__all__ = ["broadcast", "kept_axis", "permuted"]


def permuted() -> Drawing:
    """Draw a tensor of shape (2, 3) seen as (3, 2), and the cell that one of its positions reads."""
    data = TensorData(np.arange(6.0), (2, 3)).permute(1, 0)
    return draw_layout(data, (2, 0))


def broadcast() -> Drawing:
    """Draw a column and a row that stretch to a table, whose derivatives are added up on the way back."""
    column, row = [10.0, 20.0, 30.0], [1.0, 2.0, 3.0, 4.0]
    sheet = Drawing(540, 216)
    left, top = 120.0, 66.0
    for i, a in enumerate(column):
        y = top + i * CELL
        cell(sheet, 20, y, a, ORANGE, opacity=0.6)
        for j, b in enumerate(row):
            cell(sheet, left + j * CELL, y, a + b, GREEN)
        sheet.arrow(56, y + 16, left - 5, y + 16, colour=ORANGE)
        sheet.arrow(left + 4 * CELL + 3, y + 16, left + 4 * CELL + 50, y + 16)
        words = f"4 ones add up to the slope of {a:g}"
        sheet.text(left + 4 * CELL + 56, y + 16, words, anchor="start", size=12)
    for j, b in enumerate(row):
        x = left + j * CELL
        cell(sheet, x, 5, b, BLUE, opacity=0.6)
        sheet.arrow(x + 16, 40, x + 16, top - 4, colour=BLUE)
        sheet.arrow(x + 16, top + 3 * CELL + 2, x + 16, top + 3 * CELL + 22)
    sheet.text(left + 2 * CELL, 204, "3 ones add up to the slope of each number of the row", size=12)
    sheet.text(36, 52, "(3, 1)", size=12)
    sheet.text(left + 4 * CELL + 24, 21, "(1, 4)", size=12)
    return sheet


def kept_axis() -> Drawing:
    """Draw a table divided by the sums of its rows: with their axis kept, and with it dropped."""
    table = minitorch.tensor([[1.0, 1.0, 2.0], [3.0, 3.0, 2.0], [0.0, 1.0, 4.0]])
    sums = table.sum(1)
    sheet = Drawing(640, 310)
    _division(sheet, 0, "sums of shape (3, 1): every row meets its own sum", table, sums)
    _division(sheet, 160, "sums of shape (3,): every column meets the sum of a row", table, sums.squeeze(1))
    return sheet


def _division(sheet: Drawing, top: float, title: str, table: Tensor, sums: Tensor) -> None:
    """Draw a table, what it is divided by with the broadcast copies pale, the shares, and what rows add up to."""
    sheet.text(20, top + 14, title, anchor="start", bold=True)
    repeated = minitorch.broadcast_to(sums, table.shape)
    shares = table / sums
    kept = sums.dims == 2
    for row, column in np.ndindex(*table.shape):
        x, y = column * CELL, top + 34 + row * CELL
        cell(sheet, 20 + x, y, table[row, column], BLUE)
        is_copy = column > 0 if kept else row > 0
        cell(sheet, 170 + x, y, repeated[row, column], ORANGE, opacity=0.1 if is_copy else 0.6)
        cell(sheet, 320 + column * 52, y, round(shares[row, column], 3), GREEN, width=52)
    for row in range(3):
        y = top + 34 + row * CELL + 16
        sheet.text(500, y, f"adds up to {sum(shares[row, column] for column in range(3)):.3f}", anchor="start", size=12)
    sheet.text(146, top + 34 + 1.5 * CELL, "÷", size=20)
    sheet.text(296, top + 34 + 1.5 * CELL, "=", size=20)
