"""Put what the exercises really print and draw into their READMEs.

    python exercises/refresh.py                  all of them, with full settings: many minutes
    python exercises/refresh.py 3_training       one
    python exercises/refresh.py --keep-times     on a busy machine: times stay as they were where all else is the same
    python exercises/refresh.py --check          run nothing, and name the READMEs that are older than their scripts

Between ``<!-- output: NAME -->`` and ``<!-- end -->`` comes what the cell ``# %% NAME`` of the script prints, between
``<!-- code: NAME -->`` and ``<!-- end -->`` the cell itself. In a folder whose scripts are no notebooks the name is a
command, ``<!-- output: main.py train -->``; its commands run one after the other in one empty folder. The times of
epochs are left out. The pictures that a README shows as ``images/PICTURE.png`` are taken from the folder that was
drawn into.

The last line of a README keeps a digest of the folder's code and of the outputs, by which both a script that was
changed since and an output that was changed by hand are told.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minitorch.data.search import standing_places
from minitorch.paths import cache_folder
from notebooks import execute, make, mistakes, printed, times_left_out, without_times
from scripts import EXERCISES, MARKED, exercise_scripts, named_cells, run_script, shown_outputs

__all__ = ["code_lines", "filled", "main", "outputs_by_name", "places_left_out", "stale", "stamped"]

FENCED = re.compile(r"```\w+\n(.*?)\n```\n", re.DOTALL)
LARGE = 60_000  # bytes of a picture
PICTURE = re.compile(r"\(images/([\w.-]+)\)")
STAMP = re.compile(r"<!-- made from: (\w+) -->\n")
# A comment, as is the text between the cells of a notebook, but not the line that begins a cell of code.
COMMENT = re.compile(r"\s*#(?! %%(?! \[markdown\]))")


# --- making --------------------------------------------------------------------------------------------------


def refresh(folder: Path, keep_times: bool = False) -> None:
    """Run an exercise with full settings, and bring its README up to date."""
    page = folder / "README.md"
    readme = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as scratch:
        if folder.name[0].isdigit():
            (script,) = exercise_scripts([folder.name])
            outputs, drawn = _run_notebook(script), EXERCISES.parent / "runs" / folder.name
            cells = named_cells(script.read_text(encoding="utf-8"))
        else:
            outputs, drawn, cells = _run_commands(folder, readme, Path(scratch)), Path(scratch), {}
        text = stamped(filled(readme, outputs, cells, keep_times), folder)
        for name in sorted(set(PICTURE.findall(text))):
            (folder / "images").mkdir(exist_ok=True)
            _copy_picture(drawn / name, folder / "images" / name)
            print(f"{name}: {(folder / 'images' / name).stat().st_size / 1000:.0f} kB")
    page.write_text(text, encoding="utf-8")


def _copy_picture(drawn: Path, kept: Path) -> None:
    """Copy a picture, with a palette in place of all colours where it is large."""
    if drawn.stat().st_size < LARGE:
        shutil.copyfile(drawn, kept)
    else:
        from PIL import Image  # comes with Matplotlib

        Image.open(drawn).convert("RGB").quantize(64).save(kept, optimize=True)


def _run_notebook(script: Path) -> dict[str, str]:
    """Execute a script as a notebook, and give what its named cells printed."""
    notebook = execute(make(script), small=False)
    if found := mistakes(notebook, shown_outputs(script)):
        sys.exit("\n".join(found))
    return outputs_by_name(notebook)


def outputs_by_name(notebook: Any) -> dict[str, str]:
    """Give what the named cells of an executed notebook printed, less epochs' times; cells of one name are joined."""
    outputs: dict[str, str] = {}
    for cell in notebook["cells"]:
        name = cell["metadata"].get("title")
        if cell["cell_type"] == "code" and name:
            outputs[name] = outputs.get(name, "") + times_left_out(printed({"cells": [cell]}))
    return outputs


def _run_commands(folder: Path, readme: str, scratch: Path) -> dict[str, str]:
    """Run the commands of a README in an empty folder, and give what they printed.

    Left out are times, which the table of the exercises has, measured on a quiet machine, and where this machine keeps
    its data.
    """
    outputs = {}
    for block in MARKED.finditer(readme):
        file, *flags = shlex.split(block["name"])
        ran = run_script(folder / file, *flags, small=False, folder=scratch)
        if ran.returncode or not ran.stdout.strip():
            sys.exit(f"{block['name']} ended with status {ran.returncode}: {ran.stdout}{ran.stderr}")
        outputs[block["name"]] = places_left_out(times_left_out(ran.stdout))
    return outputs


def places_left_out(text: str) -> str:
    """Leave out the folders in which this machine keeps its data; what is named below them stays."""
    for place in (*standing_places(), cache_folder()):
        text = text.replace(f"{place}{os.sep}", "")
    return text


def filled(readme: str, outputs: Mapping[str, str], cells: Mapping[str, str], keep_times: bool = False) -> str:
    """Replace what stands between the markers.

    Args:
        readme: the text with the markers.
        outputs: what each named cell, or each command, printed.
        cells: each named cell.
        keep_times: leave an output alone that is another one in its times only.

    Raises:
        KeyError: a marker names no cell.
    """

    def block(marked: re.Match[str]) -> str:
        # A test runs whatever is fenced as `python`, and a cell does not run without those before it.
        fence, texts = ("text", outputs) if marked["kind"] == "output" else ("py", cells)
        text = texts[marked["name"]].rstrip()
        old = FENCED.search(marked[0])
        if keep_times and old and without_times(old[1]) == without_times(text):
            return marked[0]
        return f"{marked[1]}```{fence}\n{text}\n```\n{marked[4]}"

    return MARKED.sub(block, readme)


# --- looking whether it is up to date ------------------------------------------------------------------------


def stamped(readme: str, folder: Path) -> str:
    """Write the digest of a folder's code and of a README's outputs into its last line."""
    return f"{STAMP.sub('', readme).rstrip()}\n\n<!-- made from: {_digest(readme, folder)} -->\n"


def stale(folder: Path) -> list[str]:
    """List what says that a README shows something else than its scripts would: nothing is run.

    Returns:
        A line for each finding.
    """
    readme = (folder / "README.md").read_text(encoding="utf-8")
    cells: dict[str, str] = {}
    for script in sorted(folder.glob("*.py")):
        cells |= named_cells(script.read_text(encoding="utf-8"))
    again = f"Run python exercises/refresh.py {folder.name}"
    found = [
        f"the README shows another cell {block['name']!r} than the script has. {again}"
        for block in MARKED.finditer(readme)
        if block["kind"] == "code" and f"```py\n{cells.get(block['name'])}```\n" not in block[0]
    ]
    stamp = STAMP.search(readme)
    if stamp is None or stamp[1] != _digest(readme, folder):
        found.append(f"the README's outputs are not those of the scripts as they are now. {again}")
    return found


def code_lines(scripts: Iterable[Path]) -> list[str]:
    """Give the lines of scripts, without comments and empty lines: where they are others, the code is another."""
    return [
        line
        for script in scripts
        for line in script.read_text(encoding="utf-8").splitlines()
        if line.strip() and not COMMENT.match(line)
    ]


def _digest(readme: str, folder: Path) -> str:
    """Digest the code of a folder, without comments and empty lines, and the outputs that a README shows."""
    code = code_lines(sorted(folder.glob("*.py")))
    outputs = [block[0] for block in MARKED.finditer(readme) if block["kind"] == "output"]
    return hashlib.sha256("\n".join([*code, *outputs]).encode()).hexdigest()[:16]


# --- the command line ----------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Bring READMEs up to date, or tell which are not.

    Returns:
        The exit status: 1 when a README that was only looked at is not up to date.
    """
    parser = argparse.ArgumentParser(description="Put the exercises' real outputs into their READMEs.")
    parser.add_argument("exercise", nargs="*", help="folders, such as 1_tensors; all when left out")
    parser.add_argument("--check", action="store_true", help="run nothing, and name those that are out of date")
    parser.add_argument("--keep-times", action="store_true", help="leave outputs whose times alone are others")
    given = parser.parse_args(argv)
    found = []
    for folder in _folders(given.exercise):
        if given.check:
            found += [f"{folder.name}: {line}" for line in stale(folder)]
        else:
            refresh(folder, given.keep_times)
            print(f"{folder.name}: up to date", flush=True)
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


def _folders(names: Sequence[str]) -> list[Path]:
    known = {readme.parent.name: readme.parent for readme in sorted(EXERCISES.glob("*/README.md"))}
    if unknown := [name for name in names if name not in known]:
        sys.exit(f"expected exercises out of {', '.join(known)}, got {', '.join(unknown)}. Name a folder of these.")
    return [known[name] for name in names or known]


if __name__ == "__main__":
    sys.exit(main())
