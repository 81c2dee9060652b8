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

from benchmarks import accuracies, exercises, gpu, kernels, lenet, startup, training
from benchmarks.report import ROOT, Measure, Summary, in_words, load, put_between_markers, save

PARTS: dict[str, tuple[str, Measure, Summary]] = {
    "lenet": ("LeNet, an epoch", lenet.measure, lenet.summary),
    "training": ("Training steps, compiled", training.measure, training.summary),
    "accuracies": ("Whole trainings, and how good they get", accuracies.measure_all, accuracies.summary),
    "exercises": ("The exercises, part by part", exercises.measure, exercises.summary),
    "startup": ("Waiting", startup.measure, startup.summary),
    "kernels": ("Operations one by one", kernels.measure, kernels.summary),
}
# The point sets have a page of their own, docs/points.md.
POINTS = ROOT / "benchmarks" / "points.py"

INTRODUCTION = """# Benchmarks

MiniTorch beside PyTorch and JAX, float32, on one processor. `make bench` writes this page from what it measures.
Libraries and numbers of threads take turns, so that a slow moment of the machine falls on all of them, and medians
count. Cases that PyTorch wins are here too.
"""


def page() -> str:
    """Write docs/benchmarks.md from the results that are kept."""
    sections = [INTRODUCTION]
    for name, (title, _, summary) in PARTS.items():
        if results := load(name):
            source = f"`python benchmarks/{name}.py`; {in_words(results['machine'])}."
            sections.append(f"## {title}\n\n{summary(results)}\n\n{source}\n")
    sections.append(f"## On a GPU\n\n<!-- gpu:begin -->\n{gpu.section()}\n<!-- gpu:end -->\n")
    return "\n".join(sections)


def first_screen() -> str:
    """Write what README.md shows: compiled steps, LeNet operation by operation, and the waiting."""
    parts = [training.headline(results)] if (results := load("training")) else []
    parts += [PARTS[name][2](results) for name in ("lenet", "startup") if (results := load(name))]
    if results := load("lenet"):
        parts.append(f"{in_words(results['machine'])}.")
    return "\n\n".join(parts)


def write_pages() -> None:
    """Write every page from the results that are kept."""
    (ROOT / "docs" / "benchmarks.md").write_text(page(), encoding="utf-8")
    put_between_markers(ROOT / "README.md", "speed", first_screen())
    gpu.write_pages()
    if results := load("accuracies"):
        accuracies.write_page(results)


def main() -> int:
    """Measure the parts that were asked for, and write the pages; 1 if what was measured cannot be relied on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[*PARTS, "points"], help="measure one part")
    parser.add_argument("--rounds", type=int, default=7, help="how often each measurement is made, at least 5")
    args = parser.parse_args()
    if args.rounds < 5:
        parser.error("a median of fewer than 5 rounds says little")

    problems: list[str] = []
    for name, (title, measure, summary) in PARTS.items():
        if args.only in (None, name):
            print(f"{title} ...", flush=True)
            results = measure(args.rounds)
            save(name, results)
            print(summary(results), end="\n\n", flush=True)
            problems += training.wrong(results) if name == "training" else []
    write_pages()
    if args.only in (None, "points") and POINTS.exists():
        subprocess.run([sys.executable, str(POINTS)], cwd=ROOT, check=True)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
