"""The picture of the compiler's page: the graph of the step that the page compiles."""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from minitorch.compiler.graph import Graph

__all__ = ["lenet_step"]

PAGE = Path(__file__).parents[1] / "compiler.md"


def lenet_step() -> Graph:
    """Run the page's blocks until LeNet's step has run, and give its graph after fusing."""
    names: dict[str, Any] = {}
    blocks = iter(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
    with redirect_stdout(StringIO()):
        while "lenet_step" not in names:
            exec(next(blocks), names)
    return names["lenet_step"].passes["fuse"]
