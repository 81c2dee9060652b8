"""The pictures of module 4: convolution, pooling, softmax, and the two networks that are made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from interface.svg import BLUE, GREEN, GREY, INK, ORANGE, Drawing
from interface.windows import convolve, draw_slide

import minitorch
from minitorch import convolution

from .sheets import CELL, cell

__all__ = [
    "convolution_forward",
    "convolution_reverse",
    "kim",
    "lenet_shapes",
    "padding_ends",
    "pooling_windows",
    "softmax",
]

IMAGE = np.array([[1, 0, 1, 0, 0], [0, 0, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 1, 0, 0], [0, 0, 1, 0, 1]], np.float64)
KERNEL = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float64)


def convolution_forward() -> Drawing:
    """Draw the course's convolution where its kernel sticks out most."""
    return draw_slide(convolve(IMAGE, KERNEL), 4, 4)


def convolution_reverse() -> Drawing:
    """Draw the reversed convolution where its kernel sticks out most."""
    return draw_slide(convolve(IMAGE, KERNEL, reverse=True), 0, 0)


def padding_ends() -> Drawing:
    """Draw four numbers with the course's zeros behind them, and with PyTorch's padding on both sides."""
    numbers = [0.0, 1.0, 2.0, 3.0]
    x = minitorch.tensor([[numbers]])
    w = minitorch.tensor([[[1.0, 2.0, 3.0]]])
    sheet = Drawing(560, 190)
    for left, title, before, outputs in (
        (20, "minitorch.conv1d", 0, minitorch.conv1d(x, w)),
        (300, "convolution.conv1d, padding=1", 1, convolution.conv1d(x, w, padding=1)),
    ):
        sheet.text(left, 14, title, anchor="start", bold=True)
        for place in range(6):
            inside = before <= place < before + len(numbers)
            number = numbers[place - before] if inside else 0.0
            cell(sheet, left + place * CELL, 40, number, BLUE if inside else GREY)
        for i, output in enumerate(outputs.view(4).tolist()):
            under = left + (i + before) * CELL
            cell(sheet, under, 130, output, GREEN, opacity=0.45 if i == 1 else 0.2, bold=i == 1)
        # The window of the second output.
        window = left + CELL
        sheet.box(window - 3, 36, 3 * CELL + 3, CELL + 5, edge=ORANGE, thickness=2.5)
        for place in range(3):
            sheet.arrow(window + (place + 0.5) * CELL - 1, 78, left + (1 + before + 0.5) * CELL - 1, 126, colour=ORANGE)
    sheet.text(20, 180, "kernel 1, 2, 3; grey: what counts as zero", anchor="start", size=12, colour=GREY)
    return sheet


def pooling_windows() -> Drawing:
    """Draw an image in its windows, the windows as rows, and what is kept of them."""
    image = np.array([[1, 5, 2, 2], [3, 4, 2, 0], [0, 1, 7, 6], [2, 1, 8, 3]], np.float64)
    tiled, _, _ = minitorch.tile(minitorch.tensor(image).view(1, 1, 4, 4), (2, 2))
    colours = [BLUE, ORANGE, GREEN, GREY]
    sheet = Drawing(620, 190)
    sheet.text(10, 14, "image 4 x 4", anchor="start")
    for row, column in np.ndindex(4, 4):
        window = row // 2 * 2 + column // 2
        cell(sheet, 10 + column * CELL, 30 + row * CELL, float(image[row, column]), colours[window])
    sheet.text(200, 14, "its windows, tiled", anchor="start")
    for title, x in (("average", 400), ("maximum", 510)):
        sheet.text(x, 14, title, anchor="start")
    for window, numbers in enumerate(tiled.to_numpy().reshape(4, 4)):
        y = 30 + window * CELL
        for place, number in enumerate(numbers):
            largest = place == numbers.argmax()
            opacity = 0.45 if largest else 0.2
            cell(sheet, 200 + place * CELL, y, number, colours[window], opacity=opacity, bold=largest)
        sheet.arrow(345, y + CELL / 2, 390, y + CELL / 2)
        cell(sheet, 400, y, numbers.mean(), colours[window], width=52)
        cell(sheet, 510, y, numbers.max(), colours[window], width=52, opacity=0.45, bold=True)
    return sheet


def softmax() -> Drawing:
    """Draw scores beside their probabilities."""
    scores = minitorch.tensor([1.0, 2.0, 4.0, 1.0])
    sheet = Drawing(560, 210)
    _bars(sheet, 30, "scores", scores.tolist(), largest=4.0, colour=BLUE)
    sheet.arrow(255, 110, 300, 110)
    _bars(sheet, 320, "probabilities", minitorch.softmax(scores, 0).tolist(), largest=1.0, colour=ORANGE)
    return sheet


def lenet_shapes() -> Drawing:
    """Draw how a digit's shape changes on its way through LeNet."""
    maps = [("digit", 1, 28), ("mid", 4, 28), ("out", 8, 28), ("pooled", 8, 7)]
    steps = ["convolve, ReLU", "convolve, ReLU", "maximum, of 4 x 4", "Linear, ReLU", "Linear, log-softmax"]
    sheet = Drawing(960, 200)
    x = 20.0
    for i, (name, channels, size) in enumerate(maps):
        side = 2.6 * size + 6
        for channel in range(channels):
            shift = 5.0 * channel
            sheet.box(x + shift, 110 - side / 2 + shift - 2.5 * channels, side, side, fill="#ffffff", edge=BLUE)
        width = side + 5.0 * (channels - 1)
        sheet.text(x + width / 2, 16, name, bold=True)
        sheet.text(x + width / 2, 186, f"{channels} x {size} x {size}")
        _step(sheet, x + width + 8, steps[i])
        x += width + 100
    for name, count, height, step in (("hidden", 64, 110, steps[4]), ("answers", 10, 40, "")):
        sheet.box(x, 110 - height / 2, 14, height, fill=ORANGE, opacity=0.5, edge=ORANGE)
        sheet.text(x + 7, 16, name, bold=True)
        sheet.text(x + 7, 186, str(count))
        if step:
            _step(sheet, x + 22, step)
        x += 124
    return sheet


def kim() -> Drawing:
    """Draw filters of three widths on a sentence, and the place where each one's answer is largest."""
    words = ["not", "a", "dull", "moment", "in", "it", ".", "(padding)"]
    sheet = Drawing(720, 300)
    for i, word in enumerate(words):
        y = 26 + i * 32
        sheet.text(64, y + 12, word, size=12, anchor="end")
        for number in range(5):
            value = 0.0 if word == "(padding)" else 0.15 + 0.15 * ((i * 3 + number * 2) % 5)
            sheet.box(80 + number * 26, y, 23, 24, fill=BLUE, opacity=value, edge=GREY)
    sheet.text(145, 12, "vectors of the words", size=12)
    sheet.text(330, 12, "answers of a filter at each place", size=12)
    sheet.text(520, 12, "maximum", size=12)
    for column, (width, best, colour) in enumerate(((3, 0, ORANGE), (4, 1, GREEN), (5, 3, INK))):
        x = 280 + column * 50
        for i in range(len(words)):
            strength = 0.9 if i == best else 0.1
            sheet.box(x, 26 + i * 32, 26, 24, fill=colour, opacity=strength, edge=colour)
        sheet.text(x + 13, 288, f"width {width}", size=11)
        bottom = 26 + (best + width) * 32 - 4
        sheet.box(76 - 4 * column, 22 + best * 32, 136 + 8 * column, bottom - 22 - best * 32, edge=colour, thickness=2)
        y = 80 + column * 60
        sheet.arrow(x + 28, 38 + best * 32, 505, y, colour=colour)
        sheet.box(508, y - 12, 26, 24, fill=colour, opacity=0.9, edge=colour)
        sheet.arrow(540, y, 590, 140)
    sheet.text(600, 140, "probability", anchor="start", bold=True)
    return sheet


def _bars(sheet: Drawing, left: float, title: str, numbers: Sequence[float], largest: float, colour: str) -> None:
    """Draw numbers as bars, with what they are on top."""
    sheet.text(left, 14, title, anchor="start")
    for i, number in enumerate(numbers):
        height = 130 * number / largest
        sheet.box(left + i * 54, 185 - height, 40, height, fill=colour)
        sheet.text(left + i * 54 + 20, 174 - height, f"{number:.2f}")
    sheet.line(left - 8, 185, left + 210, 185)


def _step(sheet: Drawing, x: float, words: str) -> None:
    """Draw the arrow of an operation, with its words above, a line each."""
    sheet.arrow(x, 110, x + 84, 110)
    for line, word in enumerate(words.split(", ")):
        sheet.text(x + 40, 80 + 16 * line, word, size=11)
