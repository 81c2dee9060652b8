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
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.report import ROOT, in_words, machine, save, table
from benchmarks.worker import Request
from benchmarks.workloads import MORE_WORKLOADS, WORKLOADS, Workload
from minitorch.doctor import usable_cores

FOLDER = ROOT / "benchmarks"
FRAMEWORKS = ("minitorch", "pytorch", "jax")
SCRIPTS = {
    ("minitorch", "eager"): FOLDER / "training_minitorch.py",
    ("minitorch", "compiled"): FOLDER / "training_minitorch.py",
    ("pytorch", "eager"): FOLDER / "peers" / "training_torch.py",
    ("pytorch", "compiled"): FOLDER / "peers" / "training_torch_compile.py",
    ("jax", "compiled"): FOLDER / "peers" / "training_jax.py",
}
NAMES = {"minitorch": "MiniTorch", "pytorch": "PyTorch", "jax": "JAX"}

# GFLOP/s of a large sgemm where Workload.torch_ms was measured, on this many threads.
REFERENCE_THREADS, REFERENCE_PEAK = 2, 200.0
# A peer that is so many times slower than it was there was not measured fairly.
PEER_TOLERANCE = 1.3

# torch.compile's. The third one, reduce-overhead, records CUDA graphs, and a CPU has none.
COMPILE_MODES = ("default", "max-autotune-no-cudagraphs")

TUNING = (
    "Peers are tuned, and the fastest variant counts. PyTorch's fused optimiser, its foreach one, channels first and "
    "channels last (images, and Kim's word vectors as images of one row) are crossed on each number of threads; in "
    "`torch.compile` the layouts are crossed with the modes "
    + " and ".join(f"`{mode}`" for mode in COMPILE_MODES)
    + ", on the largest number of threads, and the other optimiser is tried once; JAX with both layouts. The mode "
    "`reduce-overhead` is left out, because what it adds is CUDA graphs, and a CPU has none. `torch.compile` keeps "
    "Kim's channels first: it is slower there than eager PyTorch by far."
)

# Seconds to a compiled training's first step, with an empty cache and in the next process.
COLD_LIMIT, WARM_LIMIT = 10.0, 1.5

# Examples that project/run_mnist_multiclass.py evaluates LeNet on after an epoch.
EVALUATED = 500

# The share of LeNet's GFLOP/s that a LeNet of odd sizes is to reach.
ODD_SHARE = 0.70

CHECKED_STEPS = 50
LOSS_TOLERANCE = 1e-4

PLOT = "docs/images/training.png"

SGEMM = "from minitorch.doctor import sgemm_peak; print(sgemm_peak(2048, 1.0))"


@dataclass(frozen=True)
class Effort:
    """How much to measure.

    Attributes:
        rounds: turns of each process.
        seconds: that a turn lasts at least.
        threads: numbers of threads.
        tune: whether to try the peers' variants; the first one is measured otherwise.
        cold: whether to measure cold starts.
        frameworks: which ones to measure.
        modes: which of their modes.
        jax_python: the interpreter that has JAX.
    """

    rounds: int = 7
    seconds: float = 0.3
    threads: tuple[int, ...] = (1, 2)
    tune: bool = True
    cold: bool = True
    frameworks: tuple[str, ...] = FRAMEWORKS
    modes: tuple[str, ...] = ("eager", "compiled")
    jax_python: str = sys.executable


# --- processes -----------------------------------------------------------------------------------------------


class Missing(Exception):
    """Says why a framework cannot run here."""


class Failed(Exception):
    """Says how a framework's process ended."""


class Worker:
    """A process that runs a step when asked to, and has run it once.

    Args:
        framework: which one.
        request: what to run.
        effort: where JAX is.
        cache: the folder in which compiled programs are kept; the user's own when left out.

    Raises:
        Missing: this machine lacks the framework, or what it needs.
        Failed: the step raised.
    """

    def __init__(self, framework: str, request: Request, effort: Effort, cache: Path | None = None) -> None:
        self.framework, self.request = framework, request
        self.seconds: list[float] = []  # of a step, in each turn
        self.peak_rss_mb: float | None = None
        self.count = 1
        python = effort.jax_python if framework == "jax" else sys.executable
        command = [python, str(SCRIPTS[framework, request.mode]), request.to_json()]
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed when the process ends)
        start = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment(request.threads, cache),
        )
        answer = self.answer()
        self.start_s = time.perf_counter() - start
        self.loss: float = answer["loss"]

    def answer(self) -> dict[str, Any]:
        """Read what the process says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise self.ended()
        answer = json.loads(line)
        if "loss" not in answer:
            self.end()
            raise Missing(answer["unavailable"]) if "unavailable" in answer else Failed(answer["failed"])
        return answer

    def ended(self) -> Exception:
        """Find out why the process said nothing."""
        status = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines() or [f"it ended with status {status}"]
        self.end()
        # A framework that is not installed ends its process before there is anybody to answer.
        return Missing(lines[-1]) if lines[-1].startswith("ModuleNotFoundError") else Failed(lines[-1])

    def run(self, count: int) -> float:
        """Have it run so many steps, and give the seconds of one."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        answer = self.answer()
        self.loss, self.peak_rss_mb = answer["loss"], answer["peak_rss_mb"]
        return answer["seconds"] / count

    def warm_up(self, seconds: float) -> None:
        """Find out how many steps make a turn of so many seconds."""
        self.run(3)
        self.count = max(1, round(seconds / max(self.run(3), 1e-6)))

    def turn(self) -> None:
        """Run the steps of one turn, and keep the time."""
        time.sleep(0.005)  # the threads of the process before fall asleep
        self.seconds.append(self.run(self.count))

    def median(self) -> float:
        """Give the median over the turns of the seconds of a step."""
        return statistics.median(self.seconds)

    def end(self) -> None:
        """End the process."""
        self.process.communicate()
        self.errors.close()


def environment(threads: int, cache: Path | None) -> dict[str, str]:
    """Give the environment variables of a worker."""
    counts = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    folders = ("MINITORCH_CACHE", "TORCHINDUCTOR_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")
    variables = {**os.environ, **dict.fromkeys(counts, str(threads))}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)  # a second start reads what the first one wrote
    if cache is not None:
        variables |= {name: str(cache / name.lower()) for name in folders}
    return variables


def take_turns(workers: Sequence[Worker], rounds: int, seconds: float) -> None:
    """Time workers in turns, each round beginning with another one."""
    for worker in workers:
        worker.warm_up(seconds)
    for number in range(rounds):
        first = number % len(workers) if workers else 0
        for worker in [*workers[first:], *workers[:first]]:
            worker.turn()


def sgemm_peaks(threads: Iterable[int]) -> dict[int, float]:
    """Measure a large matrix product, in GFLOP/s, for each number of threads."""
    peaks = {}
    for count in threads:
        command = [sys.executable, "-c", SGEMM]
        done = subprocess.run(
            command, cwd=ROOT, env=environment(count, None), check=True, capture_output=True, text=True
        )
        peaks[count] = float(done.stdout)
    return peaks


# --- one workload --------------------------------------------------------------------------------------------


def variants(framework: str, mode: str, workload: Workload) -> list[dict[str, Any]]:
    """List the ways in which a peer can be run; the first one is what most people write."""
    images = workload.network in ("lenet", "odd", "cnn")
    if framework == "minitorch":
        return [{}]
    if framework == "jax":
        return [{}, {"channels_last": True}] if workload.network != "mlp" else [{}]
    optimizers = [{"optimizer": name} for name in ("fused", "foreach")] if workload.training else [{}]
    # Compiled word vectors keep their channels first: two more compilations a number of threads would not pay.
    turned = images or (workload.network == "kim" and mode == "eager")
    layouts = [{}, {"channels_last": True}] if turned else [{}]
    modes = [{"mode": name} for name in COMPILE_MODES] if mode == "compiled" else [{}]
    found = [{**how, **layout} for how in modes for layout in layouts]
    if mode == "compiled":  # the update is not: its two ways are compared once, for a compilation takes half a minute
        return [{**how, **optimizers[0]} for how in found] + [{**found[0], **other} for other in optimizers[1:]]
    return [{**how, **optimizer} for how in found for optimizer in optimizers]


@dataclass
class Row:
    """A framework's result for a workload, on a number of threads: what a JSON row says.

    Attributes:
        framework: which one.
        request: what was run, with the variant that was chosen.
        status: ``ok``, ``NOT AVAILABLE`` or ``FAILED``.
        reason: what is missing, or went wrong.
        worker: the process that was timed.
        cold_start_s: seconds to the end of the first step with an empty cache.
    """

    framework: str
    request: Request
    status: str = "ok"
    reason: str = ""
    worker: Worker | None = field(default=None, repr=False)
    cold_start_s: float | None = None

    def to_json(self, peaks: dict[int, float]) -> dict[str, Any]:
        """Write it down."""
        workload, worker, threads = self.request.workload, self.worker, self.request.threads
        row: dict[str, Any] = {
            "workload": workload.name,
            "framework": self.framework,
            "mode": self.request.mode if workload.training else f"inference-{self.request.mode}",
            "threads": threads,
            "batch": workload.batch,
            "ms_per_step": None,
            "cold_start_s": self.cold_start_s,
            "warm_start_s": None,
            "peak_rss_mb": None,
            "status": self.status,
            "reason": self.reason,
            "variant": self.request.variant,
        }
        if worker is not None and self.status == "ok":
            gflops = workload.flops() / worker.median() / 1e9
            row |= {
                "ms_per_step": worker.median() * 1e3,
                "all_ms": [seconds * 1e3 for seconds in worker.seconds],
                "epoch_s": worker.median() * workload.steps_per_epoch(),
                "warm_start_s": worker.start_s,
                "peak_rss_mb": worker.peak_rss_mb,
                "gflops": gflops,
                "share_of_peak": gflops / peaks[threads],
            }
        return row


def tuned(framework: str, request: Request, effort: Effort, cache: Path | None) -> Request:
    """Choose the fastest variant: each runs for a moment."""
    choices = variants(framework, request.mode, request.workload)
    if not effort.tune or len(choices) == 1:
        return replace(request, variant=choices[0])
    times = []
    for choice in choices:
        try:
            worker = Worker(framework, replace(request, variant=choice), effort, cache)
        except Failed:
            continue
        take_turns([worker], 3, effort.seconds / 3)
        worker.end()
        times.append((worker.median(), len(times), choice))
    return replace(request, variant=min(times)[2] if times else choices[0])


def start(framework: str, request: Request, effort: Effort, folder: Path, variant: Any = None) -> Row:
    """Tune a framework where no variant is given, measure its starts, and leave a process to be timed."""
    cache = cache_of(framework, request.mode, request.workload, effort, folder)
    row = Row(framework, request)
    try:
        # A cold start needs a cache that tuning did not fill; on fewer threads, a first process fills it.
        measures_cold = effort.cold and request.threads == max(effort.threads)
        if variant is not None:
            row.request = request = replace(request, variant=variant)
        else:
            row.request = request = tuned(framework, request, effort, folder / "tuning" if measures_cold else cache)
        if effort.cold:
            first = Worker(framework, request, effort, cache)
            first.end()
            row.cold_start_s = first.start_s if measures_cold else None
        row.worker = Worker(framework, request, effort, cache)
    except Missing as missing:
        row.status, row.reason = "NOT AVAILABLE", str(missing)
    except Failed as failure:
        row.status, row.reason = "FAILED", str(failure)
    return row


def cache_of(framework: str, mode: str, workload: Workload, effort: Effort, folder: Path) -> Path | None:
    """Name a folder for compiled programs, without spaces: a new one where cold starts count, else the user's."""
    return folder / f"{workload.key}-{framework}-{mode}" if effort.cold else None


def contenders(effort: Effort) -> list[tuple[str, str]]:
    """List frameworks and modes."""
    return [key for key in SCRIPTS if key[0] in effort.frameworks and key[1] in effort.modes]


def time_workload(workload: Workload, effort: Effort, folder: Path) -> list[Row]:
    """Time every framework in turns, the largest number of threads first: it has the cold start.

    A variant of a compiled peer is chosen on that number of threads alone, since trying them means compiling them.
    """
    rows = []
    for framework, mode in contenders(effort):
        variant = None
        for threads in sorted(effort.threads, reverse=True):
            rows.append(start(framework, Request(workload, mode, threads), effort, folder, variant))
            if mode == "compiled" and rows[-1].status == "ok":
                variant = rows[-1].request.variant
    workers = [row.worker for row in rows if row.worker is not None]
    take_turns(workers, effort.rounds, effort.seconds)
    for worker in workers:
        worker.end()
    return rows


def start_both_programs(effort: Effort, folder: Path) -> dict[str, Any]:
    """Measure how long LeNet's training and evaluation take to run once: with an empty cache, and after that."""
    request = Request(WORKLOADS[0], "compiled", max(effort.threads), evaluated=EVALUATED)
    found: dict[str, Any] = {"workload": request.workload.key, "evaluated": EVALUATED, "threads": request.threads}
    for name in ("cold_start_s", "warm_start_s"):
        try:
            worker = Worker("minitorch", request, effort, folder / "both-programs")
        except (Missing, Failed) as failure:
            return {**found, "cold_start_s": None, "warm_start_s": None, "reason": str(failure)}
        worker.end()
        found[name] = worker.start_s
    return found


# --- whether they compute the same ---------------------------------------------------------------------------


def last_loss(framework: str, mode: str, workload: Workload, dtype: str, effort: Effort, folder: Path) -> float:
    """Give the loss after so many steps without dropout, on all threads."""
    request = Request(workload, mode, max(effort.threads), exact=True, dtype=dtype)
    worker = Worker(framework, request, effort, cache_of(framework, mode, workload, effort, folder))
    worker.run(CHECKED_STEPS - 1)
    worker.end()
    return worker.loss


def check_losses(workload: Workload, rows: Sequence[Row], effort: Effort, folder: Path) -> list[dict[str, Any]]:
    """Compare the losses of all frameworks that ran with PyTorch's.

    Rounding alone can drive two float32 trainings further apart than the tolerance, even two of PyTorch's own in
    different memory formats. Where they are, the same steps in float64 tell whether it was rounding.
    """
    ran = dict.fromkeys((row.framework, row.request.mode) for row in rows if row.status == "ok")
    if ("pytorch", "eager") not in ran:
        return []
    expected: dict[str, float] = {}
    checks = []
    for framework, mode in ran:
        check: dict[str, Any] = {"workload": workload.key, "framework": framework, "mode": mode, "equal": False}
        for dtype in ("float32", "float64"):
            if dtype not in expected:
                expected[dtype] = last_loss("pytorch", "eager", workload, dtype, effort, folder)
            try:
                check[dtype] = abs(last_loss(framework, mode, workload, dtype, effort, folder) - expected[dtype])
            except Failed as failure:
                check["reason"] = str(failure)
                break
            if check[dtype] <= LOSS_TOLERANCE:
                check["equal"] = True
                break
        checks.append(check)
    return checks


# --- what the rows say together ------------------------------------------------------------------------------


def compare(workload: Workload, rows: Sequence[dict[str, Any]], peaks: dict[int, float]) -> dict[str, Any] | None:
    """Set the compiled step, on all threads, beside the fastest peer; None where either is missing.

    The row is invalid if PyTorch is too slow to be believed: slower by far than where the aims are from, once this
    machine's peak is taken into account.
    """
    timed = [row for row in rows if row["ms_per_step"] is not None]
    most = max(row["threads"] for row in rows)
    ours = [r for r in timed if (r["framework"], r["threads"]) == ("minitorch", most) and "compiled" in r["mode"]]
    peers = [row for row in timed if row["framework"] != "minitorch"]
    if not ours or not peers:
        return None
    best = min(peers, key=lambda row: row["ms_per_step"])
    expected = None
    if workload.torch_ms is not None and REFERENCE_THREADS in peaks:
        expected = workload.torch_ms * REFERENCE_PEAK / peaks[REFERENCE_THREADS]
    # More threads than where the aims are from would hide a peer that was measured badly.
    comparable = [r for r in peers if r["framework"] == "pytorch" and r["threads"] <= REFERENCE_THREADS]
    torch_ms = min((row["ms_per_step"] for row in comparable), default=None)
    times_faster = best["ms_per_step"] / ours[0]["ms_per_step"]
    return {
        "workload": workload.key,
        "threads": most,
        "minitorch_ms": ours[0]["ms_per_step"],
        "best_peer": {key: best[key] for key in ("framework", "mode", "threads", "variant", "ms_per_step")},
        "pytorch_ms": torch_ms,
        "expected_pytorch_ms": expected,
        "valid": expected is None or torch_ms is None or torch_ms <= PEER_TOLERANCE * expected,
        "times_faster": times_faster,
        "lost": times_faster < 1.0,
        "floor": workload.floor,
        "aim": workload.aim,
    }


def compare_sizes(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Set the GFLOP/s of a compiled step of LeNet in odd sizes beside LeNet's at the same batch, on all threads."""
    most = max((row["threads"] for row in rows), default=0)
    gflops = {
        (row["workload"], row["batch"]): row["gflops"]
        for row in rows
        if (row["framework"], row["mode"], row["threads"]) == ("minitorch", "compiled", most) and row["status"] == "ok"
    }
    return [
        {
            "workload": f"{name}-{batch}",
            "threads": most,
            "gflops": odd,
            "lenet_gflops": gflops["lenet-mnist", batch],
            "share": odd / gflops["lenet-mnist", batch],
        }
        for (name, batch), odd in gflops.items()
        if name == "lenet-odd" and ("lenet-mnist", batch) in gflops
    ]


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
            results["both_programs"] = start_both_programs(effort, Path(folder))
    results["odd_sizes"] = compare_sizes(results["rows"])
    return results


def measure(rounds: int = 7) -> dict[str, Any]:
    """Measure everything, for benchmarks/run.py."""
    from benchmarks.training_plots import plot

    effort = Effort(rounds=rounds, threads=tuple(sorted({1, min(2, usable_cores())})))
    results = measure_workloads(WORKLOADS, effort, alone=MORE_WORKLOADS)
    return {**results, "sweeps": plot(effort, ROOT / PLOT)}


# --- in words ------------------------------------------------------------------------------------------------


def summary(results: dict[str, Any]) -> str:
    """Write the comparisons, every row, and the checks."""
    peaks = ", ".join(f"{peak:.0f} on {count}" for count, peak in results["sgemm_gflops"].items())
    return "\n\n".join(
        [
            comparison_table(results["comparisons"], results["rows"]),
            "Milliseconds a step. *Expected* is PyTorch's best on the machine that the aims are from, scaled by the "
            f"peak; where PyTorch is over {PEER_TOLERANCE} times slower, all rows of the workload are INVALID. *Lost* "
            f"marks what a peer does faster; *late start* a first step after {COLD_LIMIT:g} s with an empty cache, or "
            f"after {WARM_LIMIT:g} s in a second process; *more memory* a process larger than PyTorch's.",
            row_table(results["rows"]),
            f"Medians of {results['rounds']} rounds in which all processes of a workload take turns; float32, random "
            "inputs of full length, the loss read after every step. Cold and warm start are seconds from the start of "
            "a process to the end of its first step, with an empty cache and with a filled one; an epoch is the step "
            "times the number of steps. GFLOP/s count every product of forward and backward pass as if nothing were "
            f"skipped; a large sgemm reaches, by threads: {peaks}.",
            *[results[key] for key in ("tuning",) if key in results],
            picture(results, PLOT.removeprefix("docs/")),
            programs_table(results.get("both_programs")),
            sizes_table(results.get("odd_sizes", ())),
            check_sentence(results["checks"]),
            "\n".join(f"- {remark}" for remark in closing(results)) or "Nothing is lost, late or below its floor.",
        ]
    )


def programs_table(both: dict[str, Any] | None) -> str:
    """Write how long LeNet's two programs take to start."""
    if both is None:
        return "The starts of LeNet's training and evaluation in one process were not measured."
    cold, warm = both["cold_start_s"], both["warm_start_s"]
    name = f"{both['workload']}, a training step, and an evaluation of {both['evaluated']}"
    remark = f"FAILED: {both['reason']}" if "reason" in both else "late start" if late(cold, warm) else ""
    header = ("both programs in one process", "cold start, s", "warm start, s", "")
    return table(header, [(name, number(cold, 1), number(warm, 1), remark)])


def sizes_table(sizes: Sequence[dict[str, Any]]) -> str:
    """Write how LeNet in odd sizes compares with LeNet."""
    if not sizes:
        return "LeNet in odd sizes was not measured beside LeNet."
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


def late(cold_s: float | None, warm_s: float | None) -> bool:
    """Tell whether a process took too long to start, as far as that was measured."""
    return (cold_s or 0.0) > COLD_LIMIT or (warm_s or 0.0) > WARM_LIMIT


def headline(results: dict[str, Any]) -> str:
    """Write what README.md shows."""
    return "\n\n".join(
        [
            comparison_table(results["comparisons"], results["rows"]),
            "A training step with forward, backward and update (the last row: inference of one image), in "
            "milliseconds, compiled by `minitorch.compile`, on "
            f"{in_threads(max(int(n) for n in results['sgemm_gflops']))}. The best peer is the fastest of PyTorch "
            f"eager, `torch.compile` and JAX jit, each tuned. Medians of {results['rounds']} rounds.",
            picture(results, PLOT),
        ]
    )


def picture(results: dict[str, Any], path: str) -> str:
    """Show the plot, whose file is at ``path`` as seen from the page, and say what is drawn."""
    drawn = {(point["framework"], point["mode"]) for point in results.get("sweeps", ())}
    if not drawn:
        return "How the time of a step grows was not measured."
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
    """List all that is not as it should be, and the cases that are lost, those of eager steps too."""
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
    return found + eager_losses(results["rows"])


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
    header = ("workload", "MiniTorch", "best peer", "ms", "expected", "times faster", "floor", "aim", "")
    rows = []
    for c in comparisons:
        best = c["best_peer"]
        remark = ", ".join(remarks(c, measured))
        peer = f"{NAMES[best['framework']]} {best['mode']}, {in_threads(best['threads'])}"
        expected = number(c["expected_pytorch_ms"], 3)
        numbers = f"{c['times_faster']:.2f}", number(c["floor"], 1), number(c["aim"], 1)
        rows.append(
            (c["workload"], f"{c['minitorch_ms']:.3f}", peer, f"{best['ms_per_step']:.3f}", expected, *numbers, remark)
        )
    return table(header, rows)


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
                f"{check['float64']:.1e} in float64."
            )
        elif not check["equal"]:
            reason = check.get("reason") or f"{check['float32']:.1e} in float32, {check['float64']:.1e} in float64"
            text += f" {names[id(check)]} DIFFERS: {reason}."
    return text


def number(value: float | None, digits: int) -> str:
    """Write a number, or nothing where there is none."""
    return "" if value is None else f"{value:.{digits}f}"


def in_threads(count: int) -> str:
    """Write a number of threads."""
    return f"{count} thread" if count == 1 else f"{count} threads"


def wrong(results: dict[str, Any]) -> list[str]:
    """List what must not be: steps of MiniTorch's that fail, losses that differ, and peers too slow to be believed."""
    failed = [
        f"{row['workload']}, batch {row['batch']}, {row['mode']}: {row['reason']}"
        for row in results["rows"]
        if row["framework"] == "minitorch" and row["status"] != "ok"
    ]
    different = [
        f"{check['workload']}, {check['mode']}: the loss differs from PyTorch's"
        for check in results["checks"]
        if check["framework"] == "minitorch" and not check["equal"]
    ]
    invalid = [f"{c['workload']}: INVALID, PyTorch is too slow" for c in results["comparisons"] if not c["valid"]]
    return failed + different + invalid


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
