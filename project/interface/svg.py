"""A sheet to draw on that becomes SVG: boxes, text, arrows, and images of numbers.

>>> sheet = Drawing(40, 20)
>>> sheet.box(0, 0, 40, 20, fill=BLUE)
>>> sheet.text(20, 10, "a < b")
>>> "a &lt; b" in str(sheet)
True
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "INK",
    "LIGHT_INK",
    "ORANGE",
    "PAPER",
    "RED",
    "STRONG",
    "Drawing",
    "grey",
    "png",
    "signed",
]

# Told apart by people who see red and green alike, on light and on dark pages.
BLUE, ORANGE, GREEN, RED, GREY = "#4c8bd0", "#e69138", "#4fa37c", "#cc5a5a", "#9aa0a6"
# What text has on a light page and on a dark one, and how strongly at most it may be laid over a colour.
INK, LIGHT_INK, STRONG = "#31333f", "#fafafa", 0.6
PAPER = "#ffffff"

# The ends of the scale of signed numbers, and its middle.
NEGATIVE, POSITIVE = np.array([76.0, 139.0, 208.0]), np.array([230.0, 145.0, 56.0])
ZERO = np.array([250.0, 250.0, 250.0])


class Drawing:
    """A sheet of ``width x height`` units, the origin in the upper left corner.

    Args:
        width: in pixels, where there is room for so many.
        height: the same.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str = "none",
        edge: str = "none",
        thickness: float = 1.0,
        opacity: float = 1.0,
        radius: float = 3.0,
    ) -> None:
        """Draw a rectangle with rounded corners."""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" fill="{fill}" '
            f'fill-opacity="{opacity:g}" stroke="{edge}" stroke-width="{thickness:g}"/>'
        )

    def circle(self, x: float, y: float, radius: float, fill: str = "none", edge: str = "none") -> None:
        """Draw a circle around ``(x, y)``."""
        self._parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{fill}" stroke="{edge}"/>')

    def line(self, x: float, y: float, to_x: float, to_y: float, colour: str = GREY, thickness: float = 1.2) -> None:
        """Draw a straight line."""
        self._parts.append(
            f'<line x1="{x:g}" y1="{y:g}" x2="{to_x:g}" y2="{to_y:g}" stroke="{colour}" stroke-width="{thickness:g}"/>'
        )

    def arrow(self, x: float, y: float, to_x: float, to_y: float, colour: str = GREY, thickness: float = 1.2) -> None:
        """Draw a line with a head at its end."""
        self.line(x, y, to_x, to_y, colour, thickness)
        length = max(1e-9, float(np.hypot(to_x - x, to_y - y)))
        self._head(to_x, to_y, (to_x - x) / length, (to_y - y) / length, colour)

    def curve(self, points: Sequence[tuple[float, float]], colour: str = GREY, thickness: float = 1.2) -> None:
        """Draw an arrow from left to right that goes through points, and is level at each."""
        way = "M{:g},{:g}".format(*points[0])
        for (x, y), (to_x, to_y) in pairwise(points):
            middle = (x + to_x) / 2
            way += f" C{middle:g},{y:g} {middle:g},{to_y:g} {to_x:g},{to_y:g}"
        self._parts.append(f'<path d="{way}" fill="none" stroke="{colour}" stroke-width="{thickness:g}"/>')
        self._head(*points[-1], 1.0, 0.0, colour)

    def _head(self, x: float, y: float, along: float, across: float, colour: str) -> None:
        left = f"{x - 7 * along + 3.5 * across:g},{y - 7 * across - 3.5 * along:g}"
        right = f"{x - 7 * along - 3.5 * across:g},{y - 7 * across + 3.5 * along:g}"
        self._parts.append(f'<polygon points="{x:g},{y:g} {left} {right}" fill="{colour}"/>')

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: float = 13.0,
        anchor: str = "middle",
        colour: str = "currentColor",
        bold: bool = False,
    ) -> None:
        """Write a line whose middle is at height ``y``, in the page's colour; ``anchor`` is start, middle or end."""
        weight = ' font-weight="600"' if bold else ""
        self._parts.append(
            f'<text x="{x:g}" y="{y + 0.36 * size:g}" font-size="{size:g}" text-anchor="{anchor}" fill="{colour}"'
            f"{weight}>{escape(words)}</text>"
        )

    def image(self, x: float, y: float, width: float, height: float, pixels: npt.NDArray[Any]) -> None:
        """Put an image of ``height x width x 3`` bytes there, every pixel a sharp square."""
        data = base64.b64encode(png(pixels)).decode()
        self._parts.append(
            f'<image x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" preserveAspectRatio="none" '
            f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
        )

    def __str__(self) -> str:
        """Write the drawing for a page, light or dark as its reader has it."""
        light, dark = (f":root{{color:{ink}}}" for ink in (INK, LIGHT_INK))
        return self._svg("", f"<style>{light}@media(prefers-color-scheme:dark){{{dark}}}</style>")

    def on_paper(self) -> str:
        """Write the drawing on a white sheet, which can be read wherever it is shown."""
        return self._svg(f' color="{INK}" style="background:{PAPER}"', "") + "\n"

    def save(self, path: str | Path) -> None:
        """Write the drawing to an SVG file, on a white sheet."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(self.on_paper(), encoding="utf-8")

    def _svg(self, attributes: str, style: str) -> str:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" height="{self.height:g}" font-family="sans-serif"{attributes}>'
            f"{style}{''.join(self._parts)}</svg>"
        )


def png(pixels: npt.NDArray[Any]) -> bytes:
    """Write an image of ``height x width x 3`` bytes as a PNG file.

    >>> png(np.zeros((2, 2, 3), np.uint8))[1:4]
    b'PNG'
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = pixels.reshape(height, 3 * width)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 6)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def grey(numbers: npt.ArrayLike, low: float | None = None, high: float | None = None) -> npt.NDArray[np.uint8]:
    """Colour ``height x width`` numbers from black, the lowest, to white.

    Args:
        numbers: what to show.
        low: what is black; the smallest number when left out.
        high: what is white; the largest when left out.
    """
    values = np.asarray(numbers, np.float64)
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    share = np.clip((values - low) / max(high - low, 1e-12), 0.0, 1.0)
    return np.repeat(np.round(share * 255).astype(np.uint8)[..., None], 3, axis=-1)


def signed(numbers: npt.ArrayLike, limit: float | None = None) -> npt.NDArray[np.uint8]:
    """Colour ``height x width`` numbers: blue below zero, nearly white at zero, orange above.

    Args:
        numbers: what to show.
        limit: the size that has the full colour; the largest when left out.

    >>> signed([[0.0, 1.0]]).tolist()
    [[[250, 250, 250], [230, 145, 56]]]
    """
    values = np.asarray(numbers, np.float64)
    limit = float(np.abs(values).max(initial=0.0)) if limit is None else limit
    share = np.clip(values / max(limit, 1e-12), -1.0, 1.0)[..., None]
    end = np.where(share < 0.0, NEGATIVE, POSITIVE)
    return np.round(ZERO + np.abs(share) * (end - ZERO)).astype(np.uint8)
