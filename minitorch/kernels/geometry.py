r"""Which input a tap of a window sees from which output: the one description that every convolution and pooling shares.

In each dimension of space, output $i$ sees through tap $k$ the input at

$$j = \frac{s\,i + d\,k + \mathit{offset}}{u},$$

and nothing where that is no whole number or lies outside the input. The stride $s$ moves the window, the dilation $d$
spreads its taps, a padding of $p$ is an offset of $-p$, and the spread $u$ puts $u - 1$ zeros between the inputs.

The family is closed: read from $j$ to $i$ the equation has the same form, so the gradient of a convolution with
respect to its input is a convolution too (:meth:`Geometry.transposed`). The stride and the spread change places, which
is why a library without the spread needs a second kernel for it.
"""

from __future__ import annotations

from math import gcd
from typing import NamedTuple, TypeAlias

__all__ = ["Geometry", "Part", "Space", "same_size", "side_by_side"]


class Geometry(NamedTuple):
    """How windows lie over one dimension of space.

    Attributes:
        size: the number of outputs.
        stride: inputs from one window to the next, 1 or more.
        spread: inputs count as this far apart, 1 or more.
        dilation: inputs from one tap to the next; negative where the window is read backwards, never 0.
        offset: the input that tap 0 of window 0 sees; ``-padding``.
    """

    size: int
    stride: int = 1
    spread: int = 1
    dilation: int = 1
    offset: int = 0

    def transposed(self, size: int) -> Geometry:
        """Give the geometry that leads from the outputs back to an input of this size.

        >>> Geometry(3, stride=2, offset=-1).transposed(6)
        Geometry(size=6, stride=1, spread=2, dilation=-1, offset=1)
        """
        return Geometry(size, self.spread, self.stride, -self.dilation, -self.offset)

    def parts(self, taps: int) -> list[Part]:
        r"""Divide the outputs into classes that see only inputs, and no zero between them; turn windows forwards.

        Output $i = u m + a$ sees an input through the taps with $s a + d k + \mathit{offset}$ divisible by $u$, which
        are equally far apart, and always the same ones for all $m$.

        Args:
            taps: the length of the window.

        Returns:
            A part for each $a$ that sees anything; a single one of everything where the spread is 1.

        >>> for part in Geometry(6, spread=2, dilation=-1, offset=1).parts(3):
        ...     print(part.outputs, part.taps, part.geometry)
        slice(0, 6, 2) slice(1, 0, -2) Geometry(size=3, stride=1, spread=1, dilation=1, offset=0)
        slice(1, 6, 2) slice(2, None, -2) Geometry(size=3, stride=1, spread=1, dilation=1, offset=0)
        """
        shared = gcd(self.dilation, self.spread)
        between = self.spread // shared
        parts = []
        for first in range(min(self.spread, self.size)):
            size = len(range(first, self.size, self.spread))
            for tap in range(min(between, taps)):
                seen = self.stride * first + self.dilation * tap + self.offset
                if seen % self.spread != 0:
                    continue
                through, dilation, offset = slice(tap, taps, between), self.dilation // shared, seen // self.spread
                if dilation < 0:
                    through = _backwards(through)
                    offset += dilation * (len(range(tap, taps, between)) - 1)
                geometry = Geometry(size, self.stride, 1, abs(dilation), offset)
                parts.append(Part(slice(first, self.size, self.spread), through, geometry))
        return parts


class Part(NamedTuple):
    """Some of the outputs, the taps through which they see something, and how."""

    outputs: slice
    taps: slice
    geometry: Geometry


def _backwards(forwards: slice) -> slice:
    """Walk the same places from the last to the first."""
    last = range(forwards.start, forwards.stop, forwards.step)[-1]
    return slice(last, forwards.start - 1 if forwards.start else None, -forwards.step)


Space: TypeAlias = tuple[Geometry, ...]


def same_size(sizes: tuple[int, ...], reverse: bool) -> Space:
    """Give the course's geometry: as many outputs as inputs, the window anchored at its start, or at its end.

    >>> same_size((4,), reverse=True)
    (Geometry(size=4, stride=1, spread=1, dilation=-1, offset=0),)
    """
    return tuple(Geometry(size, dilation=-1 if reverse else 1) for size in sizes)


def side_by_side(sizes: tuple[int, ...], kernel: tuple[int, ...]) -> Space:
    """Give the geometry of windows that touch and do not overlap, as many as there is room for.

    >>> side_by_side((7,), (2,))
    (Geometry(size=3, stride=2, spread=1, dilation=1, offset=0),)
    """
    return tuple(Geometry(size // taps, stride=taps) for size, taps in zip(sizes, kernel, strict=True))
