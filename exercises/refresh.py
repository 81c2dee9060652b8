"""Put what the exercises really print and draw into their READMEs.

    python exercises/refresh.py                  all of them, with full settings: minutes
    python exercises/refresh.py 3_training       one

Between ``<!-- output: NAME -->`` and ``<!-- end -->`` comes what the cell ``# %% NAME`` of the script prints, between
``<!-- code: NAME -->`` and ``<!-- end -->`` the cell itself. The pictures that a README shows as ``images/PICTURE.png``
are taken from the folder that the script draws into.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from notebooks import execute, make, mistakes, printed
from scripts import EXERCISES, MARKED, exercise_scripts, named_cells, shown_outputs

__all__ = ["filled", "main", "outputs_by_name"]

PICTURE = re.compile(r"\(images/([\w.-]+)\)")


def outputs_by_name(notebook: Any) -> dict[str, str]:
    """Give what the named cells of an executed notebook printed; cells of one name are joined."""
    outputs: dict[str, str] = {}
    for cell in notebook["cells"]:
        name = cell["metadata"].get("title")
        if cell["cell_type"] == "code" and name:
            outputs[name] = outputs.get(name, "") + printed({"cells": [cell]})
    return outputs


def filled(readme: str, outputs: dict[str, str], cells: dict[str, str]) -> str:
    """Replace what stands between the markers.

    Args:
        readme: the text with the markers.
        outputs: what each named cell printed.
        cells: each named cell.

    Raises:
        KeyError: a marker names no cell.
    """

    def block(marked: re.Match[str]) -> str:
        # A test runs whatever is fenced as `python`, and a cell does not run without those before it.
        fence, texts = ("text", outputs) if marked["kind"] == "output" else ("py", cells)
        return f"{marked[1]}```{fence}\n{texts[marked['name']].rstrip()}\n```\n{marked[4]}"

    return MARKED.sub(block, readme)


def refresh(script: Path) -> None:
    """Execute an exercise with full settings, and bring its README up to date."""
    notebook = execute(make(script), small=False)
    if found := mistakes(notebook, shown_outputs(script)):
        sys.exit("\n".join(found))
    readme = script.with_name("README.md")
    cells = named_cells(script.read_text(encoding="utf-8"))
    text = filled(readme.read_text(encoding="utf-8"), outputs_by_name(notebook), cells)
    readme.write_text(text, encoding="utf-8")
    for name in sorted(set(PICTURE.findall(text))):
        script.with_name("images").mkdir(exist_ok=True)
        shutil.copyfile(EXERCISES.parent / "runs" / script.parent.name / name, script.parent / "images" / name)
        print(f"{name}: {(script.parent / 'images' / name).stat().st_size / 1000:.0f} kB")


def main(argv: Sequence[str] | None = None) -> None:
    """Bring READMEs up to date."""
    parser = argparse.ArgumentParser(description="Put the exercises' real outputs into their READMEs.")
    parser.add_argument("exercise", nargs="*", help="folders, such as 1_tensors; all when left out")
    for script in exercise_scripts(parser.parse_args(argv).exercise):
        refresh(script)
        print(f"{script.parent.name}: up to date")


if __name__ == "__main__":
    main()
