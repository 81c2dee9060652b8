"""What benchmarks/accuracies.py found, in Markdown: the tables of docs/benchmarks.md and exercises/README.md."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.accuracy_tasks import EXERCISES, LIBRARIES, PUBLISHED, TASKS, Task
from benchmarks.report import in_words, table

PAGE = EXERCISES / "README.md"

Row = dict[str, Any]


def of(row: Row, library: str, key: str) -> list[float]:
    """List what a library's trainings of a row have found."""
    return [run[key] for run in row["runs"] if run["library"] == library]


def runs(row: Row, library: str) -> int:
    """Count a library's trainings of a row."""
    return len(of(row, library, "seconds"))


def spread(accuracies: Sequence[float]) -> str:
    """Write the median of accuracies, and the smallest and the largest."""
    if not accuracies:
        return ""
    text = f"{statistics.median(accuracies):.2%}"
    return text if len(accuracies) == 1 else f"{text} ({min(accuracies):.2%} to {max(accuracies):.2%})"


def median(values: Sequence[float], digits: int = 1) -> str:
    """Write a median, or nothing where there is none."""
    return f"{statistics.median(values):.{digits}f}" if values else ""


def summary(results: dict[str, Any]) -> str:
    """Write a table, and a sentence for the race."""
    tasks = {task.name: task for task in TASKS}
    written = []
    for row in results["rows"]:
        task = tasks[row["name"]]
        ours, theirs = (of(row, library, "seconds") for library in LIBRARIES)
        ratio = f"{statistics.median(theirs) / statistics.median(ours):.2f}" if ours and theirs else ""
        written.append(
            (
                title(task, row),
                row["training"]["epochs"],
                f"{runs(row, 'MiniTorch')}, {runs(row, 'PyTorch')}",
                "PyTorch's − 1 point" if task.aim is None else f"{task.aim:.1%}",
                spread(of(row, "MiniTorch", "accuracy")),
                spread(of(row, "PyTorch", "accuracy")),
                median(ours),
                median(theirs),
                ratio,
                "FAILED" if "failed" in row else remark(task, row),
            )
        )
    header = (
        "network, data",
        "epochs",
        "runs",
        "aim",
        "test accuracy",
        "PyTorch's",
        "seconds",
        "PyTorch's",
        "times faster",
        "remark",
    )
    sentences = [
        "*Runs* says how often MiniTorch and PyTorch were trained, each time with another seed. Test accuracy after "
        "the last epoch: the median of these runs and, of more than one, the smallest and the largest. Seconds are "
        "the median from the start of a process to its end on "
        f"{results['machine']['cores']} cores, with compiled kernels in the cache; PyTorch runs eager, with a fused "
        "Adam and the faster memory format, and reads arrays that need no unpacking. In the final exercise MiniTorch "
        "also validates after each epoch, draws its curve, and tests in a second process.",
        *part_sentences(results),
        *cold_sentences(results),
    ]
    return "\n\n".join([table(header, written), *sentences])


def title(task: Task, row: Row) -> str:
    """Name a training: its network, and its images, with their number where these are a part of the data set."""
    used, published = row["data"]["train"], PUBLISHED[task.dataset][0]
    if used == published:
        return f"{task.title}, {task.dataset}"
    return f"{task.title}, on {used:,} of {task.dataset}'s {published:,} images"


def remark(task: Task, row: Row) -> str:
    """Say what is missed: the aim, or PyTorch's accuracy or time."""
    remarks = []
    ours, theirs = (of(row, library, "accuracy") for library in LIBRARIES)
    if task.aim is not None and ours and statistics.median(ours) < task.aim:
        remarks.append("aim missed")
    if ours and theirs and statistics.median(ours) < statistics.median(theirs) - 0.01:
        remarks.append("a point below PyTorch")
    ours, theirs = (of(row, library, "seconds") for library in LIBRARIES)
    if ours and theirs and statistics.median(ours) > statistics.median(theirs):
        remarks.append("slower than PyTorch")
    return ", ".join(remarks)


def part_sentences(results: dict[str, Any]) -> list[str]:
    """Say of which data sets there was a part only."""
    datasets = {task.name: task.dataset for task in TASKS}
    found = {datasets[row["name"]]: row["data"] for row in results["rows"]}
    return [
        f"Of {dataset} a part was there: {data['train']:,} of {PUBLISHED[dataset][0]:,} images to train on and "
        f"{data['test']:,} of {PUBLISHED[dataset][1]:,} to test with ({'; '.join(data['source'])}). Both libraries had "
        "the same part; these accuracies are not to be compared with those on the whole data set."
        for dataset, data in found.items()
        if (data["train"], data["test"]) != PUBLISHED[dataset]
    ]


def cold_sentences(results: dict[str, Any]) -> list[str]:
    """Write about first runs, which compile, and about how often the race is won."""
    sentences = []
    for row in results["rows"]:
        task = next(task for task in TASKS if task.name == row["name"])
        if "cold_s" in row:
            sentences.append(f"With an empty cache, {task.title} takes {row['cold_s']:.1f} s.")
        if row["name"] == "race" and (ours := of(row, "MiniTorch", "accuracy")):
            assert task.aim is not None
            reached = sum(accuracy >= task.aim for accuracy in ours)
            sentences.append(
                f"The race reached {task.aim:.0%} with {reached} of {len(ours)} seeds, in "
                f"{median(of(row, 'MiniTorch', 'seconds'), 2)} s."
            )
    return sentences


def write_page(results: dict[str, Any], path: Path = PAGE) -> None:
    """Put the table between the lines ``<!-- accuracies -->`` and ``<!-- end -->`` of a page, if it has them."""
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    before, begin, rest = page.partition("<!-- accuracies -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if begin and end:
        text = f"{summary(results)}\n\n{in_words(results['machine'])}.\n"
        path.write_text(before + begin + text + end + after, encoding="utf-8")
