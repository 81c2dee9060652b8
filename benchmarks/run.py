"""Measure everything and write it down: `make bench`.

    python benchmarks/run.py                      all of it, for two hours on a quiet machine
    python benchmarks/run.py --only lenet         one part; what was measured before stays in the pages
    python benchmarks/run.py --rounds 5           fewer rounds

Results go to benchmarks/results/, one JSON file a part, the tables to docs/benchmarks.md, the first ones also to
README.md, and the accuracies to exercises/README.md.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import accuracies, exercises, kernels, lenet, startup, training, training_judging
from benchmarks.pages import PARTS, write_pages
from benchmarks.report import ROOT, Measure, save

MEASURES: dict[str, Measure] = {
    "lenet": lenet.measure,
    "training": training.measure,
    "accuracies": accuracies.measure_all,
    "exercises": exercises.measure,
    "startup": startup.measure,
    "kernels": kernels.measure,
}
# The point sets have a page of their own, docs/points.md.
POINTS = ROOT / "benchmarks" / "points.py"


def main() -> int:
    """Measure the parts that were asked for, and write the pages; 1 if what was measured cannot be relied on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[*PARTS, "points"], help="measure one part")
    parser.add_argument("--rounds", type=int, default=7, help="how often each measurement is made, at least 5")
    args = parser.parse_args()
    if args.rounds < 5:
        parser.error("a median of fewer than 5 rounds says little")

    problems: list[str] = []
    for name, (title, summary) in PARTS.items():
        if args.only in (None, name):
            print(f"{title} ...", flush=True)
            results = MEASURES[name](args.rounds)
            save(name, results)
            print(summary(results), end="\n\n", flush=True)
            problems += training_judging.wrong(results) if name == "training" else []
    write_pages()
    if args.only in (None, "points") and POINTS.exists():
        subprocess.run([sys.executable, str(POINTS)], cwd=ROOT, check=True)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
