"""A kernel or a pooling window that slides over an image, one place at a time (module 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import minitorch
from minitorch import ArgumentError
from minitorch.convolution import conv2d
from minitorch.pooling import avg_pool2d, max_pool2d

from .svg import GREY, INK, LIGHT_INK, ORANGE, Drawing, grey, signed

__all__ = ["IMAGES", "KERNELS", "Slide", "convolve", "draw_slide", "pool"]

SIDE = 8
CELL = 34

KERNELS: dict[str, npt.NDArray[np.float64]] = {
    "vertical edges": np.array([[-1.0, 0.0, 1.0]] * 3),
    "horizontal edges": np.array([[-1.0] * 3, [0.0] * 3, [1.0] * 3]),
    "blur": np.full((3, 3), 1 / 9),
    "sharpen": np.array([[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]]),
    "shift": np.array([[0.0, 0.0], [0.0, 1.0]]),
}


def _cross() -> npt.NDArray[np.float64]:
    image = np.zeros((SIDE, SIDE))
    image[3:5, 1:7] = image[1:7, 3:5] = 1.0
    return image


IMAGES: dict[str, npt.NDArray[np.float64]] = {
    "cross": _cross(),
    "step": np.repeat([[0.0] * 4 + [1.0] * 4], SIDE, axis=0),
    "ramp": np.add.outer(np.arange(SIDE), np.arange(SIDE)) / (2.0 * SIDE - 2.0),
    "point": np.pad([[1.0]], ((3, 4), (4, 3))),
}


@dataclass(frozen=True)
class Slide:
    """A window at each of its places.

    Attributes:
        image: ``height x width``.
        output: what the window gives at each place.
        kernel: the weights; None for a pooling.
        size: rows and columns of the window.
        stride: from one place to the next.
        start: the row and the column of the image where the first window begins.
    """

    image: npt.NDArray[np.float64]
    output: npt.NDArray[np.float64]
    kernel: npt.NDArray[np.float64] | None
    size: tuple[int, int]
    stride: int
    start: tuple[int, int]

    def seen(self, row: int, column: int) -> npt.NDArray[np.float64]:
        """Give what the window sees at a place; zeros outside of the image."""
        top, left = self.start[0] + row * self.stride, self.start[1] + column * self.stride
        kh, kw = self.size
        padded = np.zeros(self.size)
        for y in range(kh):
            for x in range(kw):
                if 0 <= top + y < self.image.shape[0] and 0 <= left + x < self.image.shape[1]:
                    padded[y, x] = self.image[top + y, left + x]
        return padded

    def terms(self, row: int, column: int, most: int = 9) -> str:
        """Write the sum behind one output of a convolution, as LaTeX."""
        assert self.kernel is not None, "a pooling has no weights"
        products = [f"{w:.3g} \\cdot {x:.3g}" for w, x in zip(self.kernel.flat, self.seen(row, column).flat) if w and x]
        rest = " + \\dots" if len(products) > most else ""
        return f"{' + '.join(products[:most]) or '0'}{rest} = {self.output[row, column]:.4g}"


def convolve(
    image: npt.NDArray[Any],
    kernel: npt.NDArray[Any],
    stride: int = 1,
    padding: int = 0,
    reverse: bool = False,
    course: bool = True,
) -> Slide:
    """Slide a kernel over an image.

    Args:
        image: ``height x width``.
        kernel: its weights.
        stride: from one place to the next; the course's convolution has 1.
        padding: zeros on each side; the course's has as many as are missing on the right and at the bottom.
        reverse: read the inputs up to each place instead of those from it on; in the course's convolution only.
        course: convolve as the course does, with as many outputs as inputs.

    Raises:
        ArgumentError: the kernel is larger than the image.
        ShapeError: the same, with the padding.
    """
    (height, width), (kh, kw) = image.shape, kernel.shape
    x = minitorch.tensor(image).view(1, 1, height, width)
    w = minitorch.tensor(kernel).view(1, 1, kh, kw)
    if course:
        if kh > height or kw > width:
            raise ArgumentError(
                f"the kernel of {kh}x{kw} is larger than the image of {height}x{width}. Make it smaller."
            )
        out = minitorch.conv2d(x, w, reverse)
        start = (1 - kh, 1 - kw) if reverse else (0, 0)
        # Reversed, tap k reads the input k places before; the window shown is read from its end.
        shown = kernel[::-1, ::-1] if reverse else kernel
        return Slide(image, out.to_numpy()[0, 0], shown, (kh, kw), 1, start)
    out = conv2d(x, w, stride=stride, padding=padding)
    return Slide(image, out.to_numpy()[0, 0], kernel, (kh, kw), stride, (-padding, -padding))


def pool(image: npt.NDArray[Any], size: int, kind: str = "max", stride: int | None = None) -> Slide:
    """Slide a pooling window over an image.

    Args:
        image: ``height x width``.
        size: rows and columns of the window.
        kind: ``"max"`` or ``"average"``.
        stride: from one window to the next; ``size`` when left out.

    Raises:
        ShapeError: the window is larger than the image.
    """
    x = minitorch.tensor(image).view(1, 1, *image.shape)
    out = (max_pool2d if kind == "max" else avg_pool2d)(x, size, stride)
    return Slide(image, out.to_numpy()[0, 0], None, (size, size), size if stride is None else stride, (0, 0))


def draw_slide(slide: Slide, row: int, column: int) -> Drawing:
    """Draw image, window and output side by side, with the window at one of its places.

    Raises:
        ArgumentError: there is no such place.
    """
    rows, columns = slide.output.shape
    if not (0 <= row < rows and 0 <= column < columns):
        raise ArgumentError(f"expected a place within {rows}x{columns}, got {row}, {column}.")
    (height, width), (kh, kw) = slide.image.shape, slide.size
    # As many rows and columns around the image as a window reaches into.
    reach = (
        max(-min(slide.start), 0),
        max(
            slide.start[0] + (rows - 1) * slide.stride + kh - height,
            slide.start[1] + (columns - 1) * slide.stride + kw - width,
            0,
        ),
    )
    origin = 12 + reach[0] * CELL
    image_right = origin + (width + reach[1]) * CELL
    middle = image_right + 40 + (kw * CELL + 40 if slide.kernel is not None else 0)
    sheet = Drawing(middle + columns * CELL + 12, max(origin + (height + reach[1]) * CELL, rows * CELL + 24) + 34)
    top = 24 + reach[0] * CELL

    _cells(sheet, origin, top, slide.image, grey(slide.image, 0.0, 1.0))
    window_x = origin + (slide.start[1] + column * slide.stride) * CELL
    window_y = top + (slide.start[0] + row * slide.stride) * CELL
    sheet.box(origin - 1, top - 1, width * CELL + 2, height * CELL + 2, edge=GREY)
    sheet.box(window_x, window_y, kw * CELL, kh * CELL, fill=ORANGE, opacity=0.25, edge=ORANGE, thickness=3)
    sheet.text(origin, 11, f"image {height} x {width}", size=12, anchor="start")
    if slide.kernel is not None:
        x = image_right + 30
        sheet.text(x, 11, "kernel", size=12, anchor="start")
        _cells(sheet, x, 24, slide.kernel, signed(slide.kernel))
    sheet.text(middle, 11, f"output {rows} x {columns}", size=12, anchor="start")
    _cells(sheet, middle, 24, slide.output, signed(slide.output))
    sheet.box(middle + column * CELL, 24 + row * CELL, CELL, CELL, edge=ORANGE, thickness=3)
    return sheet


def _cells(sheet: Drawing, left: float, top: float, numbers: npt.NDArray[Any], pixels: npt.NDArray[np.uint8]) -> None:
    """Draw numbers, each in the colour of its pixel."""
    for y, x in np.ndindex(*numbers.shape):
        red, green, blue = pixels[y, x].tolist()
        dark = 0.3 * red + 0.6 * green + 0.1 * blue < 120
        sheet.box(
            left + x * CELL, top + y * CELL, CELL - 1, CELL - 1, fill=f"#{red:02x}{green:02x}{blue:02x}", radius=1
        )
        words = f"{numbers[y, x]:.2f}".rstrip("0").rstrip(".")
        colour = LIGHT_INK if dark else INK
        sheet.text(left + (x + 0.5) * CELL, top + (y + 0.5) * CELL, words, size=11, colour=colour)
