"""Measure how long one waits: for the import, for the first epoch, and for the first step of a second run.

    python benchmarks/startup.py

Every number is the median of several fresh processes. The trainings are project/run_mnist_multiclass.py as one types
it, from the start of the process to the line that it prints: with an empty cache every kernel is compiled on the way,
a second run loads what the first one kept.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.digits import find_digits
from benchmarks.report import ROOT, environment, machine, measure_and_print, table

# What `import minitorch` leaves alone: slow, optional, or needed by few.
HEAVY = ("scipy.linalg", "matplotlib", "torch", "PIL", "pandas", "mlxtend", "safetensors", "threadpoolctl", "ssl")

IMPORT = """
import json, sys, time
start = time.perf_counter()
import {module}
print(json.dumps([time.perf_counter() - start, [name for name in {heavy} if name in sys.modules]]))
"""

# Numba tells who listens when it compiles.
COMPILED = """
from numba.core import event
with event.install_recorder("numba:compile") as recorder:
    import minitorch
print(len(recorder.buffer))
"""


def run(code: str) -> Any:
    """Run a few lines in a fresh process, and read what they print."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, env=environment())
    return json.loads(done.stdout)


def seconds_until(beginning: str, cache: Path, flags: list[str], out: Path) -> float:
    """Start a training, and give the seconds until it prints a line that begins so; it is stopped there."""
    command = [sys.executable, "-u", "project/run_mnist_multiclass.py", "--epochs", "1", "--out-dir", str(out), *flags]
    variables = {**environment(), "MINITORCH_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=variables)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith(beginning):
                return time.perf_counter() - start
        raise RuntimeError(f"the training ended with status {process.wait()} and printed no line {beginning!r}")
    finally:
        process.kill()
        process.communicate()


def measure(rounds: int = 5) -> dict[str, Any]:
    """Measure everything, each several times."""
    results: dict[str, Any] = {"machine": machine(), "rounds": rounds}
    imports = {
        module: [run(IMPORT.format(module=module, heavy=HEAVY)) for _ in range(rounds)]
        for module in ("numpy", "numba", "minitorch", "torch")
    }
    results["import"] = {
        module: statistics.median(seconds for seconds, _ in found) for module, found in imports.items()
    }
    results["loaded by import minitorch"] = imports["minitorch"][0][1]
    results["compiled by import minitorch"] = run(COMPILED)

    first_epoch, first_step, second_step = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        noise, out = Path(folder, "noise"), Path(folder, "out")
        noise.mkdir()
        results["digits"], flags = find_digits(noise)
        for turn in range(max(1, rounds // 2)):
            cache = Path(folder, f"cache {turn}")
            first_epoch.append(seconds_until("Epoch 1: held-out", cache, flags, out))
            second_step += [seconds_until("Epoch 1 loss", cache, flags, out) for _ in range(2)]
            first_step.append(seconds_until("Epoch 1 loss", Path(folder, f"other {turn}"), flags, out))
    results["training"] = {
        "empty cache, to the end of the first epoch": statistics.median(first_epoch),
        "empty cache, to the first step": statistics.median(first_step),
        "second process, to the first step": statistics.median(second_step),
    }
    return results


def summary(results: dict[str, Any]) -> str:
    """Write the results as a table with a sentence on what they are."""
    rows = [(f"`import {module}`", f"{seconds:.2f}") for module, seconds in results["import"].items()]
    rows += [(f"LeNet, compiled, {what}", f"{seconds:.1f}") for what, seconds in results["training"].items()]
    loaded = results["loaded by import minitorch"]
    absent = ", ".join(name for name in HEAVY if name not in loaded)
    compiled = results["compiled by import minitorch"]
    return (
        f"{table(('what', 'seconds'), rows)}\n\n`import minitorch` compiles {compiled or 'nothing'} and leaves these "
        f"unloaded: {absent}. Medians of fresh processes; trainings on {results['digits']}, from the start of the "
        "process, reading the data included."
    )


if __name__ == "__main__":
    measure_and_print("startup", __doc__, 5, measure, summary)
