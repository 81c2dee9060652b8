"""How long the steps of benchmarks/training.py take: processes that take turns, tuned peers, cold and warm starts."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, environment
from benchmarks.worker import Request
from benchmarks.workloads import Workload

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

# Examples that project/run_mnist_multiclass.py evaluates LeNet on after an epoch.
EVALUATED = 500

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
            env=worker_environment(request.threads, cache),
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


def worker_environment(threads: int, cache: Path | None) -> dict[str, str]:
    """Give the environment variables of a worker."""
    folders = ("MINITORCH_CACHE", "TORCHINDUCTOR_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")
    variables = environment(threads)
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
        done = subprocess.run(command, cwd=ROOT, env=environment(count), check=True, capture_output=True, text=True)
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


def start_both_programs(workload: Workload, effort: Effort, folder: Path) -> dict[str, Any]:
    """Measure how long a training and its evaluation take to run once: with an empty cache, and after that."""
    request = Request(workload, "compiled", max(effort.threads), evaluated=EVALUATED)
    found: dict[str, Any] = {"workload": workload.key, "evaluated": EVALUATED, "threads": request.threads}
    for name in ("cold_start_s", "warm_start_s"):
        try:
            worker = Worker("minitorch", request, effort, folder / "both-programs")
        except (Missing, Failed) as failure:
            return {**found, "cold_start_s": None, "warm_start_s": None, "reason": str(failure)}
        worker.end()
        found[name] = worker.start_s
    return found
