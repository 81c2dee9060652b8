"""Processes that take turns: what they answer, what is missing, which variants are tried, which caches are filled."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from benchmarks import training_minitorch, training_timing
from benchmarks.training_timing import SCRIPTS, Failed, Missing, Worker, cache_of, start, variants
from benchmarks.worker import Request
from benchmarks.workloads import WORKLOADS, at

from .training_cases import EFFORT, TINY

# --- processes -----------------------------------------------------------------------------------------------


def test_a_request_survives_the_command_line():
    request = Request(TINY, "eager", 2, exact=True, dtype="float64", variant={"optimizer": "fused"})
    assert Request.from_json(request.to_json()) == request


def test_a_worker_counts_its_steps(stand_ins):
    worker = Worker("pytorch", Request(TINY, "eager", 1), EFFORT)
    assert worker.loss == 0
    assert worker.run(4) > 0
    assert worker.loss == 4
    worker.run(1)
    assert worker.loss == 5
    if sys.platform == "linux":
        assert worker.peak_rss_mb is not None
        assert 5 < worker.peak_rss_mb < 1000
    worker.end()


def test_what_is_missing_and_what_fails_is_told_apart(stand_ins, tmp_path, monkeypatch):
    with pytest.raises(Missing, match=r"^no compiler$"):
        Worker("jax", Request(replace(TINY, network="kim"), "compiled", 1), EFFORT)
    with pytest.raises(Failed, match=r"^ValueError: first line$"):
        Worker("jax", Request(replace(TINY, network="cnn"), "compiled", 1), EFFORT)
    script = tmp_path / "absent.py"
    monkeypatch.setitem(SCRIPTS, ("jax", "compiled"), script)
    script.write_text("import a_package_that_nobody_has\n")
    with pytest.raises(Missing, match="a_package_that_nobody_has"):
        Worker("jax", Request(TINY, "compiled", 1), EFFORT)
    script.write_text("raise SystemExit(3)\n")
    with pytest.raises(Failed, match="status 3"):
        Worker("jax", Request(TINY, "compiled", 1), EFFORT)


def test_caches_are_apart_and_have_names_that_compilers_take(tmp_path):
    """A command line of torch.compile's falls apart at a space."""
    names = [cache_of(*key, w, EFFORT, tmp_path).name for key in SCRIPTS for w in WORKLOADS]
    assert len(set(names)) == len(SCRIPTS) * len(WORKLOADS)
    assert not any(" " in name for name in names)
    assert cache_of("jax", "compiled", TINY, replace(EFFORT, cold=False), tmp_path) is None


def test_a_step_may_evaluate_too():
    """The evaluation leaves the training as it was, and is a program of its own size."""
    plain = Request(at(TINY, {"batch": 3}), "eager", 1)
    step, both = training_minitorch.build(plain), training_minitorch.build(replace(plain, evaluated=5))
    assert [both(number) for number in range(3)] == [step(number) for number in range(3)]


# --- variants ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w.key)
def test_compiled_peers_are_tuned_over_modes_optimizers_and_formats(workload):
    found = variants("pytorch", "compiled", workload)
    images = workload.network in ("lenet", "cnn")
    assert found[0] == ({"mode": "default", "optimizer": "fused"} if workload.training else {"mode": "default"})
    choices = {(v["mode"], v.get("optimizer"), "channels_last" in v) for v in found}
    # Modes and layouts crossed, and one more optimiser.
    assert len(choices) == len(found) == 2 * (2 if images else 1) + (1 if workload.training else 0)
    assert {mode for mode, _, _ in choices} == {"default", "max-autotune-no-cudagraphs"}
    assert {optimizer for _, optimizer, _ in choices} == ({"fused", "foreach"} if workload.training else {None})


def test_eager_word_vectors_are_tuned_over_layouts_too():
    kim = next(w for w in WORKLOADS if w.network == "kim")
    found = {(v["optimizer"], "channels_last" in v) for v in variants("pytorch", "eager", kim)}
    assert len(found) == 4


def test_tuning_fills_no_cache_that_a_cold_start_needs(stand_ins, tmp_path, monkeypatch):
    caches = []
    monkeypatch.setattr(training_timing, "tuned", lambda name, request, effort, cache: caches.append(cache) or request)
    for threads in (2, 1):
        request = Request(TINY, "eager", threads)
        worker = start("pytorch", request, replace(EFFORT, threads=(1, 2)), tmp_path).worker
        assert worker is not None
        worker.end()
    own = cache_of("pytorch", "eager", TINY, EFFORT, tmp_path)
    assert caches == [tmp_path / "tuning", own]
