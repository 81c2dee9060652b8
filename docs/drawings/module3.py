"""The pictures of module 3: what comes from memory, and how often."""

from __future__ import annotations

from interface.svg import BLUE, GREEN, GREY, ORANGE, Drawing

__all__ = ["memory_lines", "one_loop"]


def memory_lines() -> Drawing:
    """Draw which lines of memory a walk along a row, and one along a column, bring."""
    sheet = Drawing(640, 200)
    side = 17
    for left, title, is_read in (
        (10, "a row: 1 line", lambda row, column: row == 3),
        (340, "a column: 8 lines", lambda row, column: column == 5),
    ):
        sheet.text(left, 14, title, anchor="start")
        for row in range(8):
            if any(is_read(row, column) for column in range(16)):
                sheet.box(left - 3, 30 + row * side - 1, 16 * side + 5, side, fill=ORANGE, opacity=0.4)
            for column in range(16):
                fill = BLUE if is_read(row, column) else "#ffffff"
                sheet.box(left + column * side, 31 + row * side, side - 3, side - 3, fill=fill, edge=GREY, radius=1)
    sheet.text(
        10, 182, "blue: numbers that are read; orange: what comes from memory, 16 numbers a line", anchor="start"
    )
    return sheet


def one_loop() -> Drawing:
    """Draw what two loops read and write for ``relu(x + y)``, and what one loop does."""
    sheet = Drawing(640, 300)
    _loops(sheet, 10, "two operations: five tensors go through memory", ["x + y", "relu(t)"], "x y,t,out")
    _loops(sheet, 160, "one loop: three", ["relu(x + y)"], "x y,out")
    return sheet


def _loops(sheet: Drawing, top: float, title: str, loops: list[str], tensors: str) -> None:
    """Draw tensors in memory, and below them the loops, each between what it reads and what it writes.

    Args:
        sheet: to draw on.
        top: where.
        title: what the reader shall see.
        loops: what each loop computes.
        tensors: what stands before, between and behind the loops, joined by commas; several together by spaces.
    """
    sheet.text(20, top + 8, title, anchor="start", bold=True)
    x = 120.0
    for i, group in enumerate(tensors.split(",")):
        names = group.split()
        for k, name in enumerate(names):
            box_x = x + 54 * k
            sheet.box(box_x, top + 26, 46, 28, fill=BLUE, opacity=0.25, edge=BLUE)
            sheet.text(box_x + 23, top + 40, name)
            if i < len(loops):
                sheet.arrow(box_x + 23, top + 56, x + 54 * len(names) + 36, top + 92, colour=GREEN)
        if i < len(loops):
            loop_x = x + 54 * len(names) + 8
            sheet.box(loop_x, top + 94, 104, 30, fill=GREEN, opacity=0.25, edge=GREEN)
            sheet.text(loop_x + 52, top + 109, loops[i])
            sheet.arrow(loop_x + 76, top + 92, loop_x + 143, top + 56, colour=ORANGE)
            x = loop_x + 120
    sheet.text(20, top + 40, "memory", anchor="start", size=12, colour=GREY)
    sheet.text(20, top + 109, "a core", anchor="start", size=12, colour=GREY)
