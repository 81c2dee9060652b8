"""Measure training steps: MiniTorch, eager and compiled, beside PyTorch, torch.compile and JAX.

    python benchmarks/training.py                              everything
    python benchmarks/training.py --quick                      see that it runs: few steps, nothing tuned or kept
    python benchmarks/training.py --workload mlp-fashion       one network; --framework minitorch, one library
    python benchmarks/training.py --plot                       also docs/images/training.png

Every framework runs in processes of its own, on the same numbers (workloads.py), and reads the loss after each step.
The processes of a workload take turns, and medians count. Peers are tuned first: every variant runs for a moment and
the fastest is measured, at each number of threads. A cold start is the time from the start of a process with an empty
cache to the end of its first step, on all threads; a warm start that of the next one. JAX is looked for in the
interpreter that --jax-python names.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.report import ROOT, in_words, machine, save
from benchmarks.training_judging import check_losses, compare, compare_sizes, wrong
from benchmarks.training_report import PLOT, summary
from benchmarks.training_timing import FRAMEWORKS, TUNING, Effort, sgemm_peaks, start_both_programs, time_workload
from benchmarks.workloads import MORE_WORKLOADS, WORKLOADS, Workload
from minitorch.doctor import usable_cores


def measure_workloads(
    workloads: Sequence[Workload], effort: Effort, check: bool = True, alone: Sequence[Workload] = ()
) -> dict[str, Any]:
    """Measure workloads one after the other, and give everything that was found.

    Args:
        workloads: that every framework runs.
        effort: how much to measure.
        check: whether to compare losses.
        alone: workloads that only MiniTorch runs, compiled.
    """
    results: dict[str, Any] = {
        "machine": machine(),
        "rounds": effort.rounds,
        "tuning": TUNING if effort.tune else "Peers ran in their first variant, untuned.",
        "sgemm_gflops": sgemm_peaks(effort.threads),
        "rows": [],
        "comparisons": [],
        "checks": [],
    }
    peaks = results["sgemm_gflops"]
    ours = replace(effort, frameworks=("minitorch",), modes=("compiled",))
    efforts = [(workload, effort) for workload in workloads]
    if "minitorch" in effort.frameworks:
        efforts += [(workload, ours) for workload in alone]
    with tempfile.TemporaryDirectory() as folder:
        for workload, of_workload in efforts:
            print(f"{workload.key} ...", file=sys.stderr, flush=True)
            rows = time_workload(workload, of_workload, Path(folder))
            found = [row.to_json(peaks) for row in rows]
            comparison = compare(workload, found, peaks)
            if comparison is not None:
                results["comparisons"].append(comparison)
            for row in found:
                row["valid"] = comparison is None or comparison["valid"]
            results["rows"] += found
            if check:
                results["checks"] += check_losses(workload, rows, effort, Path(folder))
        if effort.cold and "minitorch" in effort.frameworks and WORKLOADS[0] in workloads:
            results["both_programs"] = start_both_programs(WORKLOADS[0], effort, Path(folder))
    results["odd_sizes"] = compare_sizes(results["rows"])
    return results


def measure(rounds: int = 7) -> dict[str, Any]:
    """Measure everything, for benchmarks/run.py."""
    from benchmarks.training_plots import plot

    effort = Effort(rounds=rounds, threads=tuple(sorted({1, min(2, usable_cores())})))
    results = measure_workloads(WORKLOADS, effort, alone=MORE_WORKLOADS)
    return {**results, "sweeps": plot(effort, ROOT / PLOT)}


# --- the command line ----------------------------------------------------------------------------------------


def chosen(name: str) -> list[Workload]:
    """Find workloads by their name, or by name and batch: ``lenet-mnist`` or ``lenet-mnist-128``."""
    known = (*WORKLOADS, *MORE_WORKLOADS)
    found = [workload for workload in known if name in (workload.name, workload.key)]
    if not found:
        keys = ", ".join(workload.key for workload in known)
        raise argparse.ArgumentTypeError(f"no workload {name!r}; there are {keys}")
    return found


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here")
    parser.add_argument("--quick", action="store_true", help="few steps; no tuning, no cold starts")
    parser.add_argument("--workload", type=chosen, action="append", metavar="NAME", help="measure this one; repeatable")
    parser.add_argument("--framework", choices=FRAMEWORKS, action="append", help="measure this one; repeatable")
    parser.add_argument("--rounds", type=int, help="turns of each process (7; 3 with --quick)")
    parser.add_argument("--threads", type=int, nargs="+", help="numbers of threads (1 2)")
    parser.add_argument("--jax-python", default=sys.executable, metavar="PATH", help="an interpreter that has JAX")
    parser.add_argument("--no-check", action="store_true", help="do not compare losses")
    parser.add_argument("--plot", action="store_true", help="draw time against batch, image size and threads")
    return parser.parse_args(argv)


def effort_of(args: argparse.Namespace) -> Effort:
    """Say how much the command line asks for."""
    threads = tuple(sorted(set(args.threads or (1, min(2, usable_cores())))))
    effort = Effort(threads=threads, jax_python=args.jax_python, frameworks=tuple(args.framework or FRAMEWORKS))
    if args.quick:
        effort = replace(effort, rounds=3, seconds=0.02, tune=False, cold=False)
    return replace(effort, rounds=args.rounds) if args.rounds else effort


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and keep what was measured in full; 1 if something is wrong."""
    args = parse(argv)
    effort = effort_of(args)
    workloads = [workload for found in args.workload for workload in found] if args.workload else list(WORKLOADS)
    alone = () if args.workload else MORE_WORKLOADS
    results = measure_workloads(workloads, effort, check=not args.no_check, alone=alone)
    if args.plot:
        from benchmarks.training_plots import plot

        results["sweeps"] = plot(effort, ROOT / PLOT, quick=args.quick)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    elif not (args.quick or args.workload or args.framework):
        save("training", results)
    print(summary(results), in_words(results["machine"]), sep="\n\n")
    problems = wrong(results)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
