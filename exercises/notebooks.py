"""Notebooks of the exercises: made from the scripts, executed, and looked at.

    python exercises/notebooks.py                  make the notebook of every exercise, beside its script
    python exercises/notebooks.py 3_training       make one
    python exercises/notebooks.py 3_training --open    make it and open it in JupyterLab
    python exercises/notebooks.py --colab          make project/colab.ipynb, which is kept in the repository

A script is in the percent format: a line ``# %% [markdown]`` begins a cell of text, ``# %%`` one of code; a name may
stand behind it. The notebook is made again from the script each time, so what is written into it is lost: rename it.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from scripts import EXERCISES, exercise_scripts, small_settings

__all__ = [
    "COLAB",
    "differences",
    "execute",
    "make",
    "make_colab",
    "mistakes",
    "printed",
    "times_left_out",
    "without_times",
]

# Colab opens a file of the repository, so this notebook is kept there; it asks for a GPU.
COLAB = EXERCISES.parent / "project" / "colab.py"
ON_A_GPU = {"accelerator": "GPU", "colab": {"gpuType": "T4"}}

# What differs from run to run: a number with a unit of time, or one that was computed from times.
TIME = re.compile(
    r"(?:[\d.,]+\s?(?:µs|ms|s|min|seconds|(?:samples|images|digits)/s|times (?:as fast|faster|slower))"
    r"|[\d:]+:\d\d left)(?!\w)"
)


# --- making and executing ------------------------------------------------------------------------------------


def make(script: Path, path: Path | None = None, metadata: Mapping[str, Any] | None = None) -> Path:
    """Write the notebook of a script: of the same script always the same file.

    Args:
        script: in the percent format.
        path: the notebook's file; beside the script when left out.
        metadata: what the notebook says of itself, beside the language.

    Returns:
        The notebook's file.
    """
    import jupytext  # pyright: ignore[reportMissingImports] # in the extra `exercises`
    import nbformat  # pyright: ignore[reportMissingImports] # comes with it

    notebook = jupytext.read(script)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata = nbformat.from_dict({"kernelspec": kernel, **(metadata or {})})
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number}"  # they would be drawn at random
    path = path or script.with_suffix(".ipynb")
    nbformat.write(notebook, path)
    return path


def make_colab(path: Path | None = None) -> Path:
    """Write the notebook for Colab, beside its script when no path is given."""
    return make(COLAB, path, ON_A_GPU)


def execute(path: Path, small: bool) -> Any:
    """Execute a notebook from top to bottom, and write it with its outputs.

    The working directory is its folder. A cell that fails ends it, with the error among the cell's outputs.

    Args:
        path: the notebook's file.
        small: whether with small settings.

    Returns:
        The notebook with its outputs.
    """
    import nbformat  # pyright: ignore[reportMissingImports] # comes with nbclient
    from nbclient import NotebookClient  # pyright: ignore[reportMissingImports] # in the extra `exercises`
    from nbclient.exceptions import CellExecutionError  # pyright: ignore[reportMissingImports]

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--log-level=ERROR"],  # it warns that it talks over TCP, on this machine
    )
    pictures_inside = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    with suppress(CellExecutionError):  # `mistakes` finds it among the outputs
        client.execute(env=small_settings(small) | pictures_inside)
    nbformat.write(notebook, path)
    return notebook


# --- looking at what came out --------------------------------------------------------------------------------


def mistakes(notebook: Any, shown: Collection[str] = ()) -> list[str]:
    """List the cells that failed, and those that should have said or drawn something and did not.

    A cell should say something where the README shows its output, and where it surely calls ``print``, or ``fit`` with
    its log.

    Args:
        notebook: one that was executed.
        shown: the names of the cells whose output the README shows.

    Returns:
        A line for each.
    """
    found = []
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell["cell_type"] != "code":
            continue
        outputs = cell["outputs"]
        errors = [output for output in outputs if output["output_type"] == "error"]
        if errors:
            found += [f"cell {number}: {error['ename']}: {error['evalue']}" for error in errors]
            break  # the cells behind it did not run
        wanted = _calls_at_top(cell["source"])
        name = cell["metadata"].get("title")
        if (wanted & {"print", "fit"} or name in shown) and not _text(outputs).strip():
            found.append(f"cell {number} prints, and its output is empty: {_first_line(cell['source'])}")
        if "savefig" in wanted and not any("image/png" in output.get("data", {}) for output in outputs):
            found.append(f"cell {number} draws, and shows no picture: {_first_line(cell['source'])}")
    if not printed(notebook).strip():
        found.append("the whole notebook prints nothing")
    return found


def printed(notebook: Any) -> str:
    """Join what the cells printed."""
    return "".join(_text(cell["outputs"]) for cell in notebook["cells"] if cell["cell_type"] == "code")


def differences(notebook: str, script: str) -> list[str]:
    """Compare what a notebook printed with what its script printed, times left out.

    Returns:
        A line for each line that differs.
    """
    left, right = without_times(notebook), without_times(script)
    found = [
        f"line {number}: the notebook printed {mine!r}, the script {other!r}"
        for number, (mine, other) in enumerate(zip(left, right), start=1)
        if mine != other
    ]
    if len(left) != len(right):
        found.append(f"the notebook printed {len(left)} lines, the script {len(right)}")
    return found


def without_times(text: str) -> list[str]:
    """Split into lines with times taken out, and with the blanks between words that aligned them."""
    return [" ".join(TIME.sub("(time)", line).split()) for line in text.rstrip().splitlines()]


def times_left_out(text: str) -> str:
    """Leave out the lines that begin with a time, and times that stand between commas in others."""
    kept = [re.sub(f", {TIME.pattern}", "", line) for line in text.splitlines() if not TIME.match(line)]
    return "".join(f"{line}\n" for line in kept)


def _text(outputs: Sequence[Any]) -> str:
    return "".join(output["text"] for output in outputs if output.get("name") == "stdout")


def _first_line(source: str) -> str:
    return source.strip().partition("\n")[0]


def _calls_at_top(source: str) -> set[str]:
    """Name the functions and methods that a cell surely calls: not those in definitions and behind conditions.

    What is called with ``log=None`` is to be silent, and left out.
    """
    return {
        call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id
        for call in _nodes_at_top(ast.parse(source))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute | ast.Name)
        if not any(given.arg == "log" and ast.unparse(given.value) == "None" for given in call.keywords)
    }


def _nodes_at_top(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda | ast.If | ast.IfExp | ast.Try):
        for child in ast.iter_child_nodes(node):
            yield from _nodes_at_top(child)


# --- the command line ----------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> None:
    """Make notebooks, and open them if asked to."""
    parser = argparse.ArgumentParser(description="Make the exercises' notebooks from their scripts.")
    parser.add_argument("exercise", nargs="*", help="folders, such as 1_tensors; all when left out")
    parser.add_argument("--open", action="store_true", help="open them in JupyterLab")
    parser.add_argument("--colab", action="store_true", help="make project/colab.ipynb instead")
    given = parser.parse_args(argv)
    if given.colab:
        print(make_colab())
        return
    notebooks = [make(script) for script in exercise_scripts(given.exercise)]
    for path in notebooks:
        print(path)
    if given.open:
        first = notebooks[0] if len(notebooks) == 1 else EXERCISES
        sys.exit(subprocess.call([sys.executable, "-m", "jupyterlab", str(first)]))


if __name__ == "__main__":
    main()
