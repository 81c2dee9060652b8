"""Write docs/benchmarks.md, and what README.md and exercises/README.md show of it, from the results that are kept."""

from __future__ import annotations

from benchmarks import accuracies_report, exercises, gpu, kernels, lenet, startup, training_report
from benchmarks.report import ROOT, Summary, in_words, load, put_between_markers

# The parts in the order of the page: the title of each, and what puts its results in words and tables.
PARTS: dict[str, tuple[str, Summary]] = {
    "lenet": ("LeNet, an epoch", lenet.summary),
    "training": ("Training steps, compiled", training_report.summary),
    "accuracies": ("Whole trainings, and how good they get", accuracies_report.summary),
    "exercises": ("The exercises, part by part", exercises.summary),
    "startup": ("Waiting", startup.summary),
    "kernels": ("Operations one by one", kernels.summary),
}

INTRODUCTION = """# Benchmarks

MiniTorch beside PyTorch and JAX, float32, on one processor. `make bench` writes this page from what it measures.
Libraries and numbers of threads take turns, so that a slow moment of the machine falls on all of them, and medians
count. Cases that PyTorch wins are here too.
"""


def page() -> str:
    """Write docs/benchmarks.md from the results that are kept."""
    sections = [INTRODUCTION]
    for name, (title, summary) in PARTS.items():
        if results := load(name):
            source = f"`python benchmarks/{name}.py`; {in_words(results['machine'])}."
            sections.append(f"## {title}\n\n{summary(results)}\n\n{source}\n")
    sections.append(f"## On a GPU\n\n<!-- gpu:begin -->\n{gpu.section()}\n<!-- gpu:end -->\n")
    return "\n".join(sections)


def first_screen() -> str:
    """Write what README.md shows: compiled steps, LeNet operation by operation, and the waiting."""
    parts = [training_report.headline(results)] if (results := load("training")) else []
    parts += [PARTS[name][1](results) for name in ("lenet", "startup") if (results := load(name))]
    if results := load("lenet"):
        parts.append(f"{in_words(results['machine'])}.")
    return "\n\n".join(parts)


def write_pages() -> None:
    """Write every page from the results that are kept."""
    (ROOT / "docs" / "benchmarks.md").write_text(page(), encoding="utf-8")
    put_between_markers(ROOT / "README.md", "speed", first_screen())
    gpu.write_pages()
    if results := load("accuracies"):
        accuracies_report.write_page(results)
