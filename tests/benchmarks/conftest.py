"""What the tests of benchmarks/training.py share: small processes in the place of all frameworks."""

from __future__ import annotations

import pytest

from benchmarks import training, training_timing
from benchmarks.report import ROOT

# A framework whose loss is what its step number makes it, so that it can be foretold.
STAND_IN = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from benchmarks.worker import Unavailable, serve

def build(request):
    print("noise that a compiler makes")
    if request.workload.network == "kim":
        raise Unavailable("no compiler")
    if request.workload.network == "cnn":
        raise ValueError("first line\\nsecond line")
    slow = 0.02 if request.variant.get("optimizer") == "foreach" else 0.0
    def step(number):
        time.sleep(slow)
        return number + OFFSET
    return step

serve(build)
"""


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """Put small processes in the place of all frameworks; MiniTorch compiled differs from the others."""
    for key in training_timing.SCRIPTS:
        path = tmp_path / f"{'_'.join(key)}.py"
        offset = 0.001 if key == ("minitorch", "compiled") else 0.0
        path.write_text(STAND_IN.replace("OFFSET", str(offset)))
        monkeypatch.setitem(training_timing.SCRIPTS, key, path)
    monkeypatch.setattr(training, "sgemm_peaks", lambda threads: dict.fromkeys(threads, 150.0))
