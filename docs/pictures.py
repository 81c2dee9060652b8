"""Draw the guides' pictures: `python docs/pictures.py` writes them to docs/images/."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.append(str(DOCS.parent / "project"))  # the drawings use the app's, in interface/

from drawings import compiler, files, module0, module1, module2, module3, module4  # noqa: E402
from interface.svg import Drawing  # noqa: E402

__all__ = ["FOLDER", "GRAPH", "PICTURES"]

FOLDER = DOCS / "images" / "guides"

# The library draws this one itself, with Matplotlib.
GRAPH = DOCS / "images" / "lenet_step.svg"

# The file of a picture is named after the function that draws it.
PICTURES: dict[str, Callable[[], Drawing]] = {
    f"{draw.__name__}.svg": draw
    for draw in (
        module0.sigmoid,
        module0.module_tree,
        module1.step_sizes,
        module1.shared_node,
        module2.permuted,
        module2.broadcast,
        module2.kept_axis,
        module3.memory_lines,
        module3.one_loop,
        module4.convolution_forward,
        module4.convolution_reverse,
        module4.padding_ends,
        module4.pooling_windows,
        module4.softmax,
        module4.lenet_shapes,
        module4.kim,
        files.epochs,
        files.file_layout,
        files.transposed_weight,
    )
}


if __name__ == "__main__":
    for name, draw in PICTURES.items():
        draw().save(FOLDER / name)
    compiler.lenet_step().draw(GRAPH)
