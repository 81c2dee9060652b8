"""The exercises' scripts: which there are, and how one is run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "EXERCISES",
    "MARKED",
    "exercise_scripts",
    "named_cells",
    "run_cells",
    "run_script",
    "shown_outputs",
    "small_settings",
]

EXERCISES = Path(__file__).resolve().parent

# The line that begins a cell, and its name.
CELL = re.compile(r"^# %%(.*)\n", re.MULTILINE)

# What a README shows of a script: the output of a named cell, or the cell.
MARKED = re.compile(r"(<!-- (?P<kind>output|code): (?P<name>[^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def exercise_scripts(names: Sequence[str] = ()) -> list[Path]:
    """List the scripts that are notebooks too: of the folder ``1_tensors`` it is ``tensors.py``.

    Args:
        names: the exercises' folders; all of them when empty.

    Raises:
        SystemExit: a name is no exercise.
    """
    scripts = {path.name: path / f"{path.name.partition('_')[2]}.py" for path in sorted(EXERCISES.glob("[0-9]_*"))}
    if unknown := [name for name in names if name not in scripts]:
        sys.exit(f"expected exercises out of {', '.join(scripts)}, got {', '.join(unknown)}. Name a folder of these.")
    return [scripts[name] for name in names or scripts]


def named_cells(source: str) -> dict[str, str]:
    """Give the cells of code that have a name: ``# %% name`` begins one. Cells of one name are joined."""
    cells: dict[str, str] = {}
    _, *parts = CELL.split(source)
    for name, code in zip(parts[::2], parts[1::2]):
        if name.strip() and "[markdown]" not in name:
            cells[name.strip()] = cells.get(name.strip(), "") + code.strip() + "\n"
    return cells


def run_cells(exercise: str, names: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Run cells that define something, without the cells before them, and give all names that there are then.

    Args:
        exercise: its folder.
        names: of the cells.
        given: what they use of the cells before them.
    """
    (script,) = exercise_scripts([exercise])
    source = named_cells(script.read_text(encoding="utf-8"))
    found = dict(given)
    for name in names:
        exec(source[name], found)
    return found


def shown_outputs(script: Path) -> set[str]:
    """Name the cells of a script whose output its README shows."""
    readme = script.with_name("README.md").read_text(encoding="utf-8")
    return {block["name"] for block in MARKED.finditer(readme) if block["kind"] == "output"}


def small_settings(small: bool) -> dict[str, str]:
    """Give the environment of an exercise with small settings, or with full ones."""
    return {**os.environ, "MINITORCH_SMALL": "1" if small else "0"}


def run_script(script: Path, *flags: str, small: bool, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, and keep what it says.

    Args:
        script: the file.
        flags: its command line.
        small: whether with small settings.
        folder: the working directory; the script's folder when left out.
    """
    return subprocess.run(
        [sys.executable, str(script), *flags],
        cwd=folder or script.parent,
        env=small_settings(small) | {"MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        check=False,
    )
