"""What every benchmark shares: the machine in words, timing in turns, tables, and pages with a place for them."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from minitorch import __version__
from minitorch.doctor import processor_model, usable_cores

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("numpy", "numba", "scipy", "torch")
# The variables that say how many threads a library has.
THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Measure = Callable[[int], dict[str, Any]]
Summary = Callable[[dict[str, Any]], str]


def machine() -> dict[str, Any]:
    """Describe where and when a benchmark runs, without a path or a name."""
    return {
        "processor": processor_model(),
        "cores": usable_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "minitorch": __version__,
        **{package: version for package in PACKAGES if (version := _version(package))},
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def _version(package: str) -> str | None:
    """Give the version of a package; PyTorch may be absent where only MiniTorch is measured."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def environment(threads: int | None = None) -> dict[str, str]:
    """Give the variables of a process to measure: this one's, but that modules start from bytecode, as for people.

    Args:
        threads: of every library; as the variables are when left out.
    """
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return variables if threads is None else {**variables, **dict.fromkeys(THREADS, str(threads))}


def in_words(machine: dict[str, Any]) -> str:
    """Say in one line what :func:`machine` found."""
    versions = ", ".join(
        f"{name} {machine[key]}"
        for name, key in (
            ("MiniTorch", "minitorch"),
            ("PyTorch", "torch"),
            ("NumPy", "numpy"),
            ("Numba", "numba"),
            ("Python", "python"),
        )
        if key in machine
    )
    load = "" if machine["load"] is None else f"; load average at the start {machine['load']}"
    return f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; {versions}; {machine['date']}{load}"


# --- timing --------------------------------------------------------------------------------------------------


def in_turns(runs: Sequence[Callable[[], object]], rounds: int, seconds: float = 0.002) -> list[float]:
    """Time functions that take turns, so that a slow moment of the machine falls on all of them.

    Args:
        runs: what to time.
        rounds: how often each has its turn.
        seconds: how long a turn lasts at least; a function is called as often as that takes.

    Returns:
        For each function, the median over the rounds of the mean seconds of a call.
    """
    repeats = []
    for run in runs:
        run()  # compile, and fill the caches
        repeats.append(max(1, round(seconds / max(time_calls(run, 1), 1e-7))))
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, repeat, found in zip(runs, repeats, times, strict=True):
            time.sleep(0.001)  # the threads of the one before fall asleep
            run()
            found.append(time_calls(run, repeat))
    return [statistics.median(found) for found in times]


def time_calls(run: Callable[[], object], repeat: int) -> float:
    """Give the mean seconds of ``repeat`` calls."""
    start = time.perf_counter()
    for _ in range(repeat):
        run()
    return (time.perf_counter() - start) / repeat


# --- writing -------------------------------------------------------------------------------------------------


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], words: int = 1) -> str:
    """Write a Markdown table whose first ``words`` columns are text and whose others are numbers."""
    rule = ["---"] * words + ["---:"] * (len(header) - words)
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (header, rule, *rows))


def save(name: str, results: dict[str, Any]) -> None:
    """Keep results, with the machine that they are from, as ``results/NAME.json``."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(results, indent=1, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def load(name: str) -> dict[str, Any] | None:
    """Read back what :func:`save` kept, or None where nothing was."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def put_between_markers(path: Path, name: str, text: str) -> bool:
    """Replace what a page has between ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->``; tell whether it has them."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        return False
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
    return True


def measure_and_print(
    name: str | Callable[[dict[str, Any]], str], about: str | None, rounds: int, measure: Measure, summary: Summary
) -> None:
    """Be the command line of one benchmark: measure, keep the results and print them.

    Args:
        name: which file in ``results/`` they are kept in; a function of the results where that depends on them.
        about: what ``--help`` says.
        rounds: how often each measurement is made unless ``--rounds`` says otherwise.
        measure: gives the results of so many rounds.
        summary: puts them in words and tables.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    results = measure(parser.parse_args().rounds)
    save(name if isinstance(name, str) else name(results), results)
    print(summary(results), in_words(results["machine"]), sep="\n\n")
