"""What benchmarks/training.py found, in Markdown: the tables of docs/benchmarks.md and the headline of README.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.report import table
from benchmarks.training_bounds import bound
from benchmarks.training_judging import (
    CHECKED_STEPS,
    COLD_LIMIT,
    LOSS_TOLERANCE,
    ODD_SHARE,
    PEER_TOLERANCE,
    WARM_LIMIT,
    late,
)
from benchmarks.training_timing import NAMES, SCRIPTS

PLOT = "docs/images/training.png"

EXPLANATION = f"""Milliseconds a step; the best peer is the fastest of PyTorch eager, `torch.compile` and JAX jit, each
tuned.

- *Expected* is what PyTorch's best step should take here: what it took on the machine that the aims are from, scaled by
  how fast a large sgemm is on both.
- *Floor* is how many times faster than the best peer a compiled step must be at least, *aim* how many times faster it
  is meant to be. Both were set beforehand.

The last column says what is not as it should be:

- *lost*: a peer is faster.
- *below the floor*: MiniTorch is faster, if it is, by less than the floor.
- *late start*: a process's first step ends after more than {COLD_LIMIT:g} s with an empty cache, or more than
  {WARM_LIMIT:g} s with a filled one.
- *more memory*: MiniTorch's process grows larger than PyTorch's.
- *INVALID*: PyTorch took over {PEER_TOLERANCE} times as long as expected: it was not measured fairly, or it
  does not follow sgemm.

`make bench` fails where a step of MiniTorch's fails, where its loss differs from PyTorch's, and where a row is INVALID.
Floors, late starts and memory are reported only."""


def summary(results: dict[str, Any]) -> str:
    """Write the comparisons, every row, and the checks; what was not measured is left out."""
    peaks = ", ".join(f"{peak:.0f} on {count}" for count, peak in results["sgemm_gflops"].items())
    parts = [
        comparison_table(results["comparisons"], results["rows"]),
        EXPLANATION,
        row_table(results["rows"]),
        f"Medians of {results['rounds']} rounds in which all processes of a workload take turns; float32, random "
        "inputs of full length, the loss read after every step. Cold and warm start are seconds from the start of "
        "a process to the end of its first step, with an empty cache and with a filled one; an epoch is the step "
        "times the number of steps. GFLOP/s count every product of forward and backward pass as if nothing were "
        f"skipped; a large sgemm reaches, by threads: {peaks}.",
        results.get("tuning", ""),
        picture(results, PLOT.removeprefix("docs/")),
        programs_table(results.get("both_programs")),
        sizes_table(results.get("odd_sizes", ())),
        check_sentence(results["checks"]),
        "\n".join(f"- {remark}" for remark in closing(results)) or "Nothing is lost, late or below its floor.",
    ]
    return "\n\n".join(part for part in parts if part)


def programs_table(both: dict[str, Any] | None) -> str:
    """Write how long LeNet's two programs take to start, if that was measured."""
    if both is None:
        return ""
    cold, warm = both["cold_start_s"], both["warm_start_s"]
    name = f"{both['workload']}, a training step, and an evaluation of {both['evaluated']}"
    remark = f"FAILED: {both['reason']}" if "reason" in both else "late start" if late(cold, warm) else ""
    header = ("both programs in one process", "cold start, s", "warm start, s", "")
    return table(header, [(name, number(cold, 1), number(warm, 1), remark)])


def sizes_table(sizes: Sequence[dict[str, Any]]) -> str:
    """Write how LeNet in odd sizes compares with LeNet, if that was measured."""
    if not sizes:
        return ""
    header = ("5 and 7 channels, 27x27", "threads", "GFLOP/s", "LeNet's", "share", "")
    rows = [
        (
            size["workload"],
            size["threads"],
            number(size["gflops"], 1),
            number(size["lenet_gflops"], 1),
            f"{size['share']:.0%}",
            f"under {ODD_SHARE:.0%}" if size["share"] < ODD_SHARE else "",
        )
        for size in sizes
    ]
    return table(header, rows)


def headline(results: dict[str, Any]) -> str:
    """Write what README.md shows."""
    rows = [
        (c["workload"], f"{c['minitorch_ms']:.3f}", peer_of(c), f"{c['best_peer']['ms_per_step']:.3f}", faster(c))
        for c in results["comparisons"]
    ]
    parts = [
        table(("workload", "MiniTorch, ms", "best peer", "its ms", "times faster"), rows),
        "A training step with forward, backward and update (the last row: inference of one image), in "
        "milliseconds, compiled by `minitorch.compile`, on "
        f"{in_threads(max(int(n) for n in results['sgemm_gflops']))}. The best peer is the fastest of PyTorch "
        f"eager, `torch.compile` and JAX jit, each tuned. Medians of {results['rounds']} rounds.",
        invalid_sentence(results["comparisons"]),
        picture(results, PLOT),
    ]
    return "\n\n".join(part for part in parts if part)


def invalid_sentence(comparisons: Sequence[dict[str, Any]]) -> str:
    """Name the workloads on which PyTorch was too slow to be believed, if there are any."""
    invalid = [f"`{comparison['workload']}`" for comparison in comparisons if not comparison["valid"]]
    if not invalid:
        return ""
    return (
        f"By the benchmark's own rule {', '.join(invalid)} {'is' if len(invalid) == 1 else 'are'} INVALID: PyTorch "
        f"took over {PEER_TOLERANCE} times as long as a large sgemm makes one expect. "
        "[The page of benchmarks](docs/benchmarks.md) says what that means in each case."
    )


def picture(results: dict[str, Any], path: str) -> str:
    """Show the plot, whose file is at ``path`` as seen from the page, and say what is drawn, if there is one."""
    drawn = {(point["framework"], point["mode"]) for point in results.get("sweeps", ())}
    if not drawn:
        return ""
    names = " and ".join(f"{NAMES[framework]} {mode}" for framework, mode in SCRIPTS if (framework, mode) in drawn)
    return (
        f"![How the time of a step grows with the batch, the image and the threads]({path})\n\n"
        f"Drawn are {names.replace(' and ', ', ', names.count(' and ') - 1)}. Peers are not tuned in this picture, as "
        "they are in the tables: PyTorch has its fused optimiser, all have the channels first, on as many threads as "
        "a panel says. `torch.compile` is left out, because it compiles for half a minute at every point."
    )


def remarks(comparison: dict[str, Any], rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Say what is not as it should be: in a word for the table, and in full."""
    found = {}
    if not comparison["valid"]:
        found["INVALID"] = (
            f"PyTorch takes {comparison['pytorch_ms']:.3f} ms, over {PEER_TOLERANCE} times the expected "
            f"{comparison['expected_pytorch_ms']:.3f}"
        )
        reference = comparison.get("reference_pytorch_ms")
        if reference is not None and comparison["pytorch_ms"] <= PEER_TOLERANCE * reference:
            found["INVALID"] += (
                f"; it took {reference:.3f} on the machine that the aims are from, whose sgemm is slower than this "
                "one's, so that PyTorch was not slowed down here, but does not gain what sgemm does"
            )
    if comparison["lost"]:
        best = comparison["best_peer"]
        found["lost"] = (
            f"{comparison['minitorch_ms']:.3f} ms beside {best['ms_per_step']:.3f} of {NAMES[best['framework']]}"
        )
    if comparison["floor"] is not None and comparison["times_faster"] < comparison["floor"]:
        found["below the floor"] = f"{comparison['times_faster']:.2f} times faster, not {comparison['floor']:g}"
    timed = [row for row in rows if row_key(row) == comparison["workload"] and row["ms_per_step"] is not None]
    ours = [r for r in timed if r["framework"] == "minitorch" and "compiled" in r["mode"]]
    if any(late(row["cold_start_s"], row["warm_start_s"]) for row in ours):
        found["late start"] = in_starts(
            max((row["cold_start_s"] for row in ours if row["cold_start_s"]), default=None),
            max(row["warm_start_s"] for row in ours),
        )
    theirs = [row["peak_rss_mb"] for row in timed if row["framework"] == "pytorch"]
    most = max((row["peak_rss_mb"] for row in ours), default=0.0)
    if theirs and most > min(theirs):
        found["more memory"] = f"{most:.0f} MB beside {min(theirs):.0f} of PyTorch"
    return found


def in_starts(cold_s: float | None, warm_s: float) -> str:
    """Write how long processes took to their first step."""
    cold = "" if cold_s is None else f"{cold_s:.1f} s with an empty cache, "
    return f"{cold}{warm_s:.1f} s in a second process"


def closing(results: dict[str, Any]) -> list[str]:
    """List all that is not as it should be, how near floors and aims are, and the cases that eager steps lose."""
    found = [
        f"{comparison['workload']}, {word}: {said}."
        for comparison in results["comparisons"]
        for word, said in remarks(comparison, results["rows"]).items()
    ]
    both = results.get("both_programs")
    if both is not None and late(both["cold_start_s"], both["warm_start_s"]):
        starts = in_starts(both["cold_start_s"], both["warm_start_s"])
        found.append(f"{both['workload']} with its evaluation, late start: {starts}.")
    found += [
        f"{size['workload']}, under {ODD_SHARE:.0%}: {size['share']:.0%} of LeNet's GFLOP/s."
        for size in results.get("odd_sizes", ())
        if size["share"] < ODD_SHARE
    ]
    peaks = {int(threads): peak for threads, peak in results["sgemm_gflops"].items()}  # texts, as read from a file
    bounds = [bound(comparison, peaks) for comparison in results["comparisons"]]
    return found + [sentence for sentence in bounds if sentence] + eager_losses(results["rows"])


def eager_losses(rows: Sequence[dict[str, Any]]) -> list[str]:
    """List the workloads on which eager MiniTorch, on all threads, is slower than the fastest eager peer."""
    eager = [row for row in rows if row["mode"].endswith("eager") and row["ms_per_step"] is not None]
    most = max((row["threads"] for row in eager), default=0)
    lost = []
    for ours in eager:
        if (ours["framework"], ours["threads"]) != ("minitorch", most):
            continue
        peers = [row for row in eager if row["framework"] != "minitorch" and row_key(row) == row_key(ours)]
        best = min(peers, key=lambda row: row["ms_per_step"], default=ours)
        if best["ms_per_step"] < ours["ms_per_step"]:
            lost.append(
                f"{row_key(ours)}, lost by eager steps: {ours['ms_per_step']:.3f} ms beside "
                f"{best['ms_per_step']:.3f} of {NAMES[best['framework']]}, {in_threads(best['threads'])}."
            )
    return lost


def row_key(row: dict[str, Any]) -> str:
    """Give the key of a row's workload."""
    inference = "-inference" if row["mode"].startswith("inference") else ""
    return f"{row['workload']}{inference}-{row['batch']}"


def comparison_table(comparisons: Sequence[dict[str, Any]], measured: Sequence[dict[str, Any]] = ()) -> str:
    """Write a row for each workload: the compiled step and the best peer."""
    header = ("workload", "MiniTorch, ms", "best peer", "its ms", "expected", "times faster", "floor", "aim", "")
    rows = [
        (
            c["workload"],
            f"{c['minitorch_ms']:.3f}",
            peer_of(c),
            f"{c['best_peer']['ms_per_step']:.3f}",
            number(c["expected_pytorch_ms"], 3),
            faster(c),
            number(c["floor"], 1),
            number(c["aim"], 1),
            ", ".join(remarks(c, measured)),
        )
        for c in comparisons
    ]
    return table(header, rows)


def peer_of(comparison: dict[str, Any]) -> str:
    """Name the best peer, as it ran."""
    best = comparison["best_peer"]
    return f"{NAMES[best['framework']]} {best['mode']}, {in_threads(best['threads'])}"


def faster(comparison: dict[str, Any]) -> str:
    """Write how many times faster than the best peer MiniTorch is."""
    return f"{comparison['times_faster']:.2f}"


def row_table(rows: Sequence[dict[str, Any]]) -> str:
    """Write everything that was timed, and what could not be."""
    header = (
        "workload", "batch", "framework", "threads", "ms a step", "epoch, s", "cold start, s", "warm start, s",
        "peak MB", "GFLOP/s", "share of peak", "",
    )  # fmt: skip
    written = []
    for row in rows:
        name = f"{NAMES[row['framework']]} {row['mode']}"
        remark = f"{row['status']}: {row['reason']}" if row["status"] != "ok" else "" if row["valid"] else "INVALID"
        share = row.get("share_of_peak")
        written.append(
            (
                row["workload"],
                row["batch"],
                name,
                row["threads"],
                number(row["ms_per_step"], 3),
                number(row.get("epoch_s"), 2),
                number(row["cold_start_s"], 1),
                number(row["warm_start_s"], 1),
                number(row["peak_rss_mb"], 0),
                number(row.get("gflops"), 1),
                "" if share is None else f"{share:.0%}",
                remark,
            )
        )
    return table(header, written)


def check_sentence(checks: Sequence[dict[str, Any]]) -> str:
    """Say whether the frameworks compute the same."""
    if not checks:
        return "Losses were not compared."
    others = [check for check in checks if (check["framework"], check["mode"]) != ("pytorch", "eager")]
    names = {id(check): f"{NAMES[check['framework']]} {check['mode']} on {check['workload']}" for check in others}
    exact = [check for check in others if check["equal"] and check["float32"] <= LOSS_TOLERANCE]
    text = (
        f"After {CHECKED_STEPS} steps from the same weights, without dropout, {len(exact)} of {len(others)} losses are "
        f"PyTorch's to {LOSS_TOLERANCE:g} in float32."
    )
    for check in others:
        if check["equal"] and check not in exact:
            text += (
                f" {names[id(check)]} is {check['float32']:.1e} off in float32, which is rounding: "
                f"{check['float64']:.1e} in float64"
            )
            spread = spread_of(check, checks)
            text += f"; PyTorch's own variants are {spread:.1e} apart in float32." if spread else "."
        elif not check["equal"]:
            reason = check.get("reason") or f"{check['float32']:.1e} in float32, {check['float64']:.1e} in float64"
            text += f" {names[id(check)]} DIFFERS: {reason}."
    return text


def spread_of(check: dict[str, Any], checks: Sequence[dict[str, Any]]) -> float:
    """Give how far apart PyTorch's own variants are: those that a check of MiniTorch's looked for, or all that ran."""
    if check["framework"] == "pytorch":
        return 0.0
    ran = [c["float32"] for c in checks if (c["workload"], c["framework"]) == (check["workload"], "pytorch")]
    return check.get("pytorch_float32", max(ran, default=0.0))


def number(value: float | None, digits: int) -> str:
    """Write a number, or nothing where there is none."""
    return "" if value is None else f"{value:.{digits}f}"


def in_threads(count: int) -> str:
    """Write a number of threads."""
    return f"{count} thread" if count == 1 else f"{count} threads"
