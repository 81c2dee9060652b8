"""What each framework's process of benchmarks/training.py does: build a step, run it when asked, say how long it took.

A request comes as JSON on the command line. The first step runs at once. Then every line on standard input is a number
of steps to run. Each answer is a line of JSON.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.workloads import Workload

# Runs a step on one of the workload's batches, and reads its loss; for inference, the first number that comes out.
Step = Callable[[int], float]


@dataclass(frozen=True)
class Request:
    """What a process is to run.

    Attributes:
        workload: the network and its sizes.
        mode: ``eager`` or ``compiled``.
        threads: how many to compute on.
        exact: leave out what differs between frameworks by design, for comparing losses: dropout, and where in a
            window the zeros stand.
        dtype: of weights and data; float64 is for comparing losses only.
        variant: choices that are tuned, such as an optimiser's implementation.
        evaluated: how many examples the network is also evaluated on in every step, which makes a second program;
            MiniTorch's only.
    """

    workload: Workload
    mode: str
    threads: int
    exact: bool = False
    dtype: str = "float32"
    variant: dict[str, Any] = field(default_factory=dict)
    evaluated: int = 0

    def to_json(self) -> str:
        """Write it down for a command line."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Request:
        """Read what :meth:`to_json` wrote."""
        fields = json.loads(text)
        return Request(**{**fields, "workload": Workload(**fields["workload"])})


class Unavailable(Exception):
    """Says what this machine lacks for a framework."""


def serve(build: Callable[[Request], Step]) -> None:
    """Be the process of one framework.

    Args:
        build: makes a step; raises :class:`Unavailable` where the framework, or something that it needs, is missing.
    """
    # Compilers and libraries print what they like to standard output: it goes to standard error.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def answer(**values: Any) -> None:
        print(json.dumps(values), file=answers)

    try:
        step = build(Request.from_json(sys.argv[1]))
        loss = step(0)
    except Unavailable as missing:
        answer(unavailable=str(missing))
        return
    except Exception as error:
        traceback.print_exc()
        answer(failed=f"{type(error).__name__}: {first_line(error)}")
        return
    answer(loss=loss)
    numbers = itertools.count(1)
    for line in sys.stdin:
        count = int(line)
        start = time.perf_counter()
        for number in itertools.islice(numbers, count):
            loss = step(number)
        answer(seconds=time.perf_counter() - start, loss=loss, peak_rss_mb=peak_memory())


def first_line(error: Exception) -> str:
    """Give the beginning of an error's message, which may fill pages."""
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else ""


def peak_memory() -> float | None:
    """Read the largest resident memory of this process so far, in megabytes; None where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    kilobytes = next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return round(int(kilobytes) / 1024, 1)
