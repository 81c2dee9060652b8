"""Run every exercise with small settings, as a script and as a notebook, and compare the two.

    python exercises/check.py                  all of them: what `make exercises` does
    python exercises/check.py 3_training       one

Two are no notebooks: the final exercise is copied to an empty folder, trained and evaluated there, and the race is run
with few digits. Two exercises run at a time: most of what small settings take is starting and compiling, which use one
core.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from notebooks import differences, execute, make, mistakes, printed
from scripts import EXERCISES, exercise_scripts, run_script, shown_outputs

__all__ = ["Failed", "NotRun", "check_final_exercise", "check_notebook", "check_race", "check_script", "main"]

FINAL = EXERCISES / "corrupted_mnist"
RACE = EXERCISES / "race"
RACE_DIGITS = 3000
AT_A_TIME = 2
NOT_RUN = 77  # the exit status by which .ci/run tells what could not run from what failed
SHOWN = 20  # lines of what a script said before it failed, and of differences


class Failed(Exception):
    """An exercise does not do what it should; the message says what."""


class NotRun(Exception):
    """An exercise could not run; the message says what is absent."""


def check_script(script: Path, *flags: str, folder: Path | None = None) -> str:
    """Run a script with small settings.

    Returns:
        What it printed.

    Raises:
        Failed: it ended with an error, or printed nothing.
        NotRun: its data are absent.
    """
    result = run_script(script, *flags, small=True, folder=folder)
    if result.returncode:
        said = result.stderr.strip().splitlines()
        for line in said:
            if "DataNotFoundError: " in line:
                raise NotRun(line.partition("DataNotFoundError: ")[2])
        raise Failed("\n".join([f"{script.name} ended with status {result.returncode}:", *said[-SHOWN:]]))
    if not result.stdout.strip():
        raise Failed(f"{script.name} prints nothing")
    return result.stdout


def check_notebook(script: Path) -> str:
    """Run an exercise as a script and as a notebook.

    Returns:
        What was compared, in words.

    Raises:
        Failed: one of them failed or kept silent, or they printed different numbers.
        NotRun: its data are absent.
    """
    begun = time.perf_counter()
    said = check_script(script)
    ran = time.perf_counter()
    notebook = execute(make(script), small=True)
    executed = time.perf_counter()
    if found := mistakes(notebook, shown_outputs(script)) + differences(printed(notebook), said):
        raise Failed("\n".join(found[:SHOWN]))
    numbers = len(re.findall(r"\d+(?:\.\d+)?", said))
    return f"script {ran - begun:.1f} s, notebook {executed - ran:.1f} s, {numbers} numbers compared"


def check_final_exercise() -> str:
    """Train and evaluate in a copy of the folder, as somebody does who takes it elsewhere.

    Raises:
        Failed: it failed, or it left no model, no picture or no accuracy.
        NotRun: its data are absent.
    """
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, FINAL.name)
        shutil.copytree(FINAL, folder, ignore=shutil.ignore_patterns("__pycache__", "*.pt"))
        pictures = set(folder.rglob("*.png"))
        check_script(folder / "main.py", "train", folder=folder)
        if not (folder / "trained_model.pt").exists():
            raise Failed("main.py train wrote no trained_model.pt")
        if set(folder.rglob("*.png")) == pictures:
            raise Failed("main.py train drew no picture")
        said = check_script(folder / "main.py", "evaluate", "trained_model.pt", folder=folder)
        accuracy = _accuracy("main.py evaluate", said)
    return f"{time.perf_counter() - begun:.1f} s, {accuracy}"


def check_race() -> str:
    """Race with few digits.

    Raises:
        Failed: it failed, or printed no accuracy.
        NotRun: its data are absent.
    """
    begun = time.perf_counter()
    said = check_script(RACE / "race.py", "--limit", str(RACE_DIGITS))
    return f"{time.perf_counter() - begun:.1f} s, {_accuracy('race.py', said)} with {RACE_DIGITS:,} digits"


def _accuracy(command: str, said: str) -> str:
    """Find the accuracy in what a command printed.

    Raises:
        Failed: there is none.
    """
    if found := re.search(r"^Test accuracy: \d+\.\d\d%", said, re.MULTILINE):
        return found[0]
    raise Failed(f"{command} printed no line 'Test accuracy: 12.34%': {said}")


def main(argv: Sequence[str] | None = None) -> int:
    """Check exercises, and say in their order how each went.

    Returns:
        The exit status: 1 when one failed, else 77 when one could not run for want of data; the last line names these.
    """
    parser = argparse.ArgumentParser(description="Run the exercises with small settings.")
    parser.add_argument("exercise", nargs="*", help="folders, such as 1_tensors; all when left out")
    names = parser.parse_args(argv).exercise
    no_notebooks: dict[str, Callable[[], str]] = {FINAL.name: check_final_exercise, RACE.name: check_race}
    checks = {name: check for name, check in no_notebooks.items() if not names or name in names}
    notebooks = [name for name in names if name not in no_notebooks]
    if notebooks or not names:
        scripts = exercise_scripts(notebooks)
        checks = {script.parent.name: lambda script=script: check_notebook(script) for script in scripts} | checks
    failed, absent = [], []
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for name, outcome in zip(checks, pool.map(_outcome, checks.values())):
            failed += [name] * outcome.startswith("FAILED")
            absent += [name] * outcome.startswith("NOT RUN")
            print(f"{name}: {outcome}", flush=True)
    if absent:
        print(f"NOT RUN for want of data: {', '.join(absent)}")
    return 1 if failed else NOT_RUN if absent else 0


def _outcome(check: Callable[[], str]) -> str:
    """Run a check, and tell in words how it went."""
    try:
        return f"passed: {check()}"
    except NotRun as absent:
        return f"NOT RUN: {absent}"
    except Failed as failure:
        return f"FAILED: {failure}"


if __name__ == "__main__":
    sys.exit(main())
