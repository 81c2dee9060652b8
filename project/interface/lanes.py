"""Ways for arrows past boxes that stand in columns."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["GAP", "Lanes"]

GAP = 7.0  # between two arrows that pass side by side, and between an arrow and a box


class Lanes:
    """The heights at which arrows pass a column of boxes.

    Args:
        boxes: the upper and the lower end of each.

    >>> lanes = Lanes([(0.0, 40.0)])
    >>> lanes.take(30.0), lanes.take(30.0), lanes.take(100.0)
    (47.0, 54.0, 100.0)
    """

    def __init__(self, boxes: Iterable[tuple[float, float]]) -> None:
        self._taken = [(upper - GAP, lower + GAP) for upper, lower in boxes]

    def take(self, wanted: float) -> float:
        """Take the height that is nearest to the wanted one, and free."""
        ends = [end for taken in self._taken for end in taken]
        free = [y for y in (wanted, *ends) if not any(low < y < high for low, high in self._taken)]
        height = min(free, key=lambda y: abs(y - wanted))
        self._taken.append((height - GAP, height + GAP))
        return height
