"""The pictures of data, of files, and of the way to PyTorch and back."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from interface.svg import BLUE, GREEN, GREY, INK, ORANGE, Drawing

import minitorch
from minitorch import data, layers

from .sheets import CELL, cell

__all__ = ["epochs", "file_layout", "transposed_weight"]


def epochs() -> Drawing:
    """Draw the order of ten items in two epochs, and the first one again with threads at work."""
    items = data.TensorDataset(np.arange(10))
    loader = data.DataLoader(items, batch_size=4, shuffle=True, seed=1)
    with_threads = data.DataLoader(items, batch_size=4, shuffle=True, seed=1, num_workers=2)
    sheet = Drawing(600, 140)
    for row, (title, batches) in enumerate(
        (("epoch 0", loader), ("epoch 1", loader), ("epoch 0, two threads", with_threads))
    ):
        y = 12 + row * 42
        sheet.text(20, y + 16, title, anchor="start")
        for i, ((batch,), colour) in enumerate(zip(batches, (BLUE, ORANGE, GREEN), strict=True)):
            for place, item in enumerate(batch.tolist()):
                cell(sheet, 180 + (4 * i + place) * CELL + 16 * i, y, item, colour)
    return sheet


def file_layout() -> Drawing:
    """Draw the file of a small model: the length of the header, the header, and the arrays."""
    model = layers.Sequential(layers.Linear(2, 16), layers.ReLU(), layers.Linear(16, 1))
    path = Path(tempfile.mkdtemp(), "points.safetensors")
    minitorch.save(model, path)
    content = path.read_bytes()
    header_end = 8 + int.from_bytes(content[:8], "little")
    arrays = json.loads(content[8:header_end])
    del arrays["__metadata__"]
    size = len(content) - header_end
    sheet = Drawing(720, 220)
    left, unit = 304.0, 400.0 / size
    for title, x, width, colour, words in (
        ("length", 20.0, 70.0, GREY, "8 bytes"),
        ("header", 94.0, 206.0, ORANGE, "JSON"),
        (f"arrays, {size} bytes", left, 400.0, "none", ""),
    ):
        sheet.text(x + width / 2, 14, title, size=12)
        sheet.box(x, 30, width, 40, fill=colour, opacity=0.3, edge=colour)
        sheet.text(x + width / 2, 50, words)
    in_file_order = sorted(arrays.items(), key=lambda item: item[1]["data_offsets"])
    sheet.line(95, 70, 95, 104 + 28 * (len(arrays) - 1) + 8, colour=ORANGE, thickness=2)
    for row, ((name, entry), colour) in enumerate(zip(in_file_order, (BLUE, GREEN, INK, ORANGE), strict=True)):
        start, end = entry["data_offsets"]
        y, middle = 104 + row * 28, left + (start + end) / 2 * unit
        sheet.box(left + start * unit, 30, (end - start) * unit - 2, 40, fill=colour, opacity=0.35, edge=colour)
        words = f'"{name}": {entry["dtype"]}, {entry["shape"]}, bytes {start} to {end}'
        sheet.text(104, y, words, anchor="start", size=12)
        sheet.line(112 + 6.2 * len(words), y, middle, y, colour=colour)
        sheet.line(middle, y, middle, 72, colour=colour)
    return sheet


def transposed_weight() -> Drawing:
    """Draw one layer's weight as the course has it, inputs x outputs, and as PyTorch and ``layers.Linear`` do."""
    weights = minitorch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    sheet = Drawing(560, 200)
    colours = (BLUE, ORANGE, GREEN, GREY)
    for left, title, formula, table in (
        (20, "course: weights, in x out", "x @ weights + bias", weights),
        (330, "PyTorch: weight, out x in", "x @ weight.T + bias", weights.permute(1, 0)),
    ):
        sheet.text(left, 14, title, anchor="start", bold=True)
        for row, column in np.ndindex(*table.shape):
            output = column if table is weights else row
            cell(sheet, left + column * CELL, 32 + row * CELL, table[row, column], colours[output])
        sheet.text(left, 186, formula, anchor="start", size=12)
    sheet.arrow(190, 66, 315, 66)
    sheet.text(252, 52, ".T", bold=True)
    sheet.text(252, 84, "a colour an output", size=12, colour=GREY)
    return sheet
