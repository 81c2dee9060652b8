from __future__ import annotations

import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import training, training_minitorch, training_plots
from benchmarks.report import ROOT
from benchmarks.training import Effort, Failed, Missing, Worker
from benchmarks.worker import Request
from benchmarks.workloads import MORE_WORKLOADS, WORKLOADS, Workload, at

TINY = Workload("tiny", "mlp", 2, "sgd", 0.1, 5, torch_ms=1.0, floor=2, aim=3)
EFFORT = Effort(rounds=3, seconds=0.001, threads=(1,), tune=True, cold=True)

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
    slow = 0.002 if request.variant.get("optimizer") == "foreach" else 0.0
    def step(number):
        time.sleep(slow)
        return number + OFFSET
    return step

serve(build)
"""


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """Put small processes in the place of all frameworks; MiniTorch compiled differs from the others."""
    for key in training.SCRIPTS:
        path = tmp_path / f"{'_'.join(key)}.py"
        offset = 0.001 if key == ("minitorch", "compiled") else 0.0
        path.write_text(STAND_IN.replace("OFFSET", str(offset)))
        monkeypatch.setitem(training.SCRIPTS, key, path)
    monkeypatch.setattr(training, "sgemm_peaks", lambda threads: dict.fromkeys(threads, 150.0))


# --- workloads -----------------------------------------------------------------------------------------------


def test_the_networks_have_the_sizes_of_their_scripts():
    counts = {w.network: sum(a.size for a in w.weights().values()) for w in WORKLOADS}
    assert counts["lenet"] == (36 + 4) + (288 + 8) + (392 * 64 + 64) + (640 + 10)
    assert counts["kim"] == 50 * 100 * (3 + 4 + 5) + 300 + 301
    assert counts["mlp"] == 785 * 256 + 257 * 128 + 129 * 64 + 65 * 10
    assert counts["cnn"] == 32 * 28 + 64 * 289 + 4097 * 128 + 1290
    odd = sum(a.size for a in MORE_WORKLOADS[0].weights().values())
    assert odd == (45 + 5) + (315 + 7) + (7 * 6 * 6 * 64 + 64) + (640 + 10)
    assert len({w.key for w in WORKLOADS}) == len(WORKLOADS) == 7


def test_flops_count_the_passes_that_there_are():
    w = next(w for w in WORKLOADS if w.network == "mlp")
    products = [784 * 256, 256 * 128, 128 * 64, 64 * 10]
    assert at(w, {"batch": 1}).flops() == 2 * (2 * products[0] + 3 * sum(products[1:]))
    assert w.flops() == 64 * at(w, {"batch": 1}).flops()
    assert replace(w, optimizer="", batch=1).flops() == 2 * sum(products)
    conv = replace(next(w for w in WORKLOADS if w.network == "lenet"), optimizer="", batch=1)
    assert conv.flops() == 2 * (28 * 28 * (36 + 288) + 392 * 64 + 640)


@pytest.mark.parametrize("workload", [*WORKLOADS, *MORE_WORKLOADS], ids=lambda w: w.key)
def test_weights_and_data_are_the_same_in_every_process(workload):
    for name, array in workload.weights().items():
        assert array.dtype == np.float32
        assert np.array_equal(array, workload.weights()[name])
    (x, y), (other, _) = workload.batches()[:2]
    assert x.shape == workload.input_shape()
    assert x.dtype == np.float32
    assert len(y) == workload.batch
    assert not np.array_equal(x, other)
    np.testing.assert_array_equal(x, workload.batches("float64")[0][0])


def test_another_size_has_no_figure_to_be_compared_with():
    moved = at(WORKLOADS[0], {"batch": 3})
    assert (moved.batch, moved.torch_ms, moved.floor, moved.aim) == (3, None, None, None)
    assert moved.steps_per_epoch() == math.ceil(5000 / 3)


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
    monkeypatch.setitem(training.SCRIPTS, ("jax", "compiled"), script)
    script.write_text("import a_package_that_nobody_has\n")
    with pytest.raises(Missing, match="a_package_that_nobody_has"):
        Worker("jax", Request(TINY, "compiled", 1), EFFORT)
    script.write_text("raise SystemExit(3)\n")
    with pytest.raises(Failed, match="status 3"):
        Worker("jax", Request(TINY, "compiled", 1), EFFORT)


def test_caches_are_apart_and_have_names_that_compilers_take(tmp_path):
    """A command line of torch.compile's falls apart at a space."""
    names = [training.cache_of(*key, w, EFFORT, tmp_path).name for key in training.SCRIPTS for w in WORKLOADS]
    assert len(set(names)) == len(training.SCRIPTS) * len(WORKLOADS)
    assert not any(" " in name for name in names)
    assert training.cache_of("jax", "compiled", TINY, replace(EFFORT, cold=False), tmp_path) is None


# --- the whole -----------------------------------------------------------------------------------------------


def test_every_framework_has_its_row(stand_ins):
    results = training.measure_workloads([TINY], EFFORT)
    rows = {(row["framework"], row["mode"]): row for row in results["rows"]}
    assert list(rows) == list(training.SCRIPTS)
    for row in rows.values():
        assert (row["workload"], row["batch"], row["threads"], row["status"]) == ("tiny", 2, 1, "ok")
        assert row["ms_per_step"] == sorted(row["all_ms"])[1]
        assert row["cold_start_s"] > 0
        assert row["warm_start_s"] > 0
        assert row["epoch_s"] == pytest.approx(3 * row["ms_per_step"] / 1e3)
        assert row["gflops"] == pytest.approx(TINY.flops() / row["ms_per_step"] / 1e6)
        assert row["share_of_peak"] == pytest.approx(row["gflops"] / 150.0)
    # Tuning saw that this one sleeps.
    assert rows["pytorch", "eager"]["variant"] == {"optimizer": "fused"}
    checks = {(check["framework"], check["mode"]): check for check in results["checks"]}
    assert [key for key, check in checks.items() if not check["equal"]] == [("minitorch", "compiled")]
    assert checks["minitorch", "compiled"]["float32"] == pytest.approx(0.001)
    assert training.wrong(results) == ["tiny-2, compiled: the loss differs from PyTorch's"]
    text = training.summary(results)
    assert "3 of 4 losses" in text
    assert "MiniTorch compiled on tiny-2 DIFFERS" in text
    assert text.count("| tiny |") == 5
    assert "`reduce-overhead` is left out" in text
    assert "untuned" in training.measure_workloads([], replace(EFFORT, tune=False))["tuning"]


def test_both_programs_of_lenet_start_in_one_process(stand_ins, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "WORKLOADS", (TINY,))
    both = training.measure_workloads([TINY], EFFORT, check=False)["both_programs"]
    assert (both["workload"], both["evaluated"], both["threads"]) == ("tiny-2", 500, 1)
    assert 0 < both["warm_start_s"] < 60
    assert 0 < both["cold_start_s"] < 60
    for effort in (replace(EFFORT, cold=False), replace(EFFORT, frameworks=("jax",))):
        assert "both_programs" not in training.measure_workloads([TINY], effort, check=False)
    failing = replace(TINY, network="cnn")
    monkeypatch.setattr(training, "WORKLOADS", (failing,))
    failed = training.start_both_programs(EFFORT, tmp_path)
    assert "FAILED: ValueError: first line" in training.programs_table(failed)


def test_only_minitorch_runs_odd_sizes_in_a_full_run(stand_ins):
    lenet, odd = replace(TINY, name="lenet-mnist"), replace(TINY, name="lenet-odd", network="odd")
    quick = replace(EFFORT, tune=False, cold=False)
    results = training.measure_workloads([lenet], quick, check=False, alone=[odd])
    of_odd = [row for row in results["rows"] if row["workload"] == "lenet-odd"]
    assert [(row["framework"], row["mode"], row["valid"]) for row in of_odd] == [("minitorch", "compiled", True)]
    (size,) = results["odd_sizes"]
    assert (size["workload"], size["threads"]) == ("lenet-odd-2", 1)
    assert size["gflops"] == of_odd[0]["gflops"]
    assert size["share"] == pytest.approx(size["gflops"] / size["lenet_gflops"])
    only_jax = training.measure_workloads([lenet], replace(quick, frameworks=("jax",)), check=False, alone=[odd])
    assert {row["workload"] for row in only_jax["rows"]} == {"lenet-mnist"}
    assert only_jax["odd_sizes"] == []


def test_odd_sizes_are_compared_at_the_same_batch_and_on_all_threads():
    def row(name, batch, threads, gflops):
        return fake_row("minitorch", "compiled", 1.0, threads) | {
            "workload": name, "batch": batch, "gflops": gflops, "status": "ok",
        }  # fmt: skip

    rows = [row("lenet-mnist", 16, 2, 100.0), row("lenet-mnist", 16, 1, 10.0), row("lenet-mnist", 128, 2, 200.0)]
    rows += [row("lenet-odd", 128, 2, 150.0), row("lenet-odd", 16, 2, 69.0), row("lenet-odd", 16, 1, 9.0)]
    sizes = training.compare_sizes([*rows, row("lenet-odd", 3, 2, 1.0)])
    assert [(size["workload"], size["share"]) for size in sizes] == [("lenet-odd-128", 0.75), ("lenet-odd-16", 0.69)]
    assert training.sizes_table(sizes).splitlines()[2:] == [
        "| lenet-odd-128 | 2 | 150.0 | 200.0 | 75% |  |",
        "| lenet-odd-16 | 2 | 69.0 | 100.0 | 69% | under 70% |",
    ]
    assert training.compare_sizes([]) == []


@pytest.mark.parametrize(
    ("cold", "warm", "end"),
    [(9.9, 1.4, "9.9 | 1.4 |  |"), (10.1, 1.4, "late start |"), (9.9, 1.6, "late start |")],
)
def test_both_programs_may_start_late(cold, warm, end):
    both = {"workload": "tiny-2", "evaluated": 500, "cold_start_s": cold, "warm_start_s": warm}
    assert training.programs_table(both).endswith(end)


def test_a_step_may_evaluate_too():
    """The evaluation leaves the training as it was, and is a program of its own size."""
    plain = Request(at(TINY, {"batch": 3}), "eager", 1)
    step, both = training_minitorch.build(plain), training_minitorch.build(replace(plain, evaluated=5))
    assert [both(number) for number in range(3)] == [step(number) for number in range(3)]


def test_a_framework_that_cannot_run_is_shown(stand_ins):
    missing, failing = replace(TINY, network="kim"), replace(TINY, network="cnn", name="wrong")
    results = training.measure_workloads([missing, failing], EFFORT)
    assert [row["status"] for row in results["rows"]] == ["NOT AVAILABLE"] * 5 + ["FAILED"] * 5
    assert all(row["ms_per_step"] is None for row in results["rows"])
    assert results["comparisons"] == results["checks"] == []
    assert "NOT AVAILABLE: no compiler" in training.summary(results)
    assert training.wrong(results)[-1] == "wrong, batch 2, compiled: ValueError: first line"


def fake_row(framework, mode, ms, threads=2):
    return {"framework": framework, "mode": mode, "threads": threads, "ms_per_step": ms, "variant": {}}


@pytest.mark.parametrize(("torch_ms", "valid"), [(2.59, True), (2.61, False)])
def test_a_peer_that_is_too_slow_makes_the_row_invalid(torch_ms, valid):
    """PyTorch took 1 ms where the peak is 200 GFLOP/s, so 2 ms are expected where it is 100, and 2.6 are too many."""
    rows = [
        fake_row("minitorch", "compiled", 0.5),
        fake_row("minitorch", "eager", 0.1),
        fake_row("pytorch", "eager", torch_ms),
        fake_row("pytorch", "eager", 9.0, threads=1),
        fake_row("jax", "compiled", 1.5, threads=1),
    ]
    found = training.compare(TINY, rows, {1: 50.0, 2: 100.0})
    assert found["expected_pytorch_ms"] == 2.0
    assert found["valid"] is valid
    assert found["best_peer"]["framework"] == "jax"
    assert found["times_faster"] == 3.0
    assert not found["lost"]
    assert ("INVALID" in training.comparison_table([found])) is not valid


@pytest.mark.parametrize(
    ("threads", "torch_ms", "expected", "valid"),
    [((1, 2, 4), 2.61, 2.0, False), ((1, 2, 4), 2.59, 2.0, True), ((4,), 99.0, None, True), ((1,), 99.0, None, True)],
)
def test_two_threads_among_others_are_enough_to_judge_a_peer(threads, torch_ms, expected, valid):
    """What PyTorch takes on four threads does not count: the expected time is from two."""
    most = max(threads)
    rows = [fake_row("minitorch", "compiled", 0.5, most), fake_row("pytorch", "eager", torch_ms, min(2, most))]
    rows += [fake_row("pytorch", "eager", 1.0, 4)] * (most == 4)
    found = training.compare(TINY, rows, dict.fromkeys(threads, 100.0))
    assert found["expected_pytorch_ms"] == expected
    assert found["valid"] is valid


def test_an_invalid_row_and_all_that_is_lost_or_late_close_the_summary():
    def row(framework, mode, ms, **more):
        named = {"workload": "tiny", "batch": 2, "status": "ok", "reason": "", "valid": True}
        starts = {"cold_start_s": 12.0, "warm_start_s": 1.0, "peak_rss_mb": 400.0}
        return fake_row(framework, mode, ms) | named | starts | more

    rows = [
        row("minitorch", "compiled", 3.0), row("minitorch", "eager", 3.5),
        row("pytorch", "eager", 2.7, peak_rss_mb=300.0), row("jax", "compiled", 2.9),
    ]  # fmt: skip
    odd = {"workload": "lenet-odd-2", "threads": 2, "gflops": 6.0, "lenet_gflops": 10.0, "share": 0.6}
    both = {"workload": "tiny-2", "evaluated": 500, "cold_start_s": 9.0, "warm_start_s": 1.7}
    results = {
        "sgemm_gflops": {2: 100.0}, "rounds": 3, "rows": rows, "checks": [], "odd_sizes": [odd], "both_programs": both,
        "comparisons": [training.compare(replace(TINY, torch_ms=1.0), rows, {2: 100.0})],
    }  # fmt: skip
    assert training.closing(results) == [
        "tiny-2, INVALID: PyTorch takes 2.700 ms, over 1.3 times the expected 2.000.",
        "tiny-2, lost: 3.000 ms beside 2.700 of PyTorch.",
        "tiny-2, below the floor: 0.90 times faster, not 2.",
        "tiny-2, late start: 12.0 s with an empty cache, 1.0 s in a second process.",
        "tiny-2, more memory: 400 MB beside 300 of PyTorch.",
        "tiny-2 with its evaluation, late start: 9.0 s with an empty cache, 1.7 s in a second process.",
        "lenet-odd-2, under 70%: 60% of LeNet's GFLOP/s.",
        "tiny-2, lost by eager steps: 3.500 ms beside 2.700 of PyTorch, 2 threads.",
    ]
    assert training.summary(results).endswith("".join(f"\n- {remark}" for remark in training.closing(results)).lstrip())
    assert training.wrong(results) == ["tiny-2: INVALID, PyTorch is too slow"]
    rows[0]["ms_per_step"], rows[1]["ms_per_step"] = 0.1, 2.6
    assert training.eager_losses(rows) == []


@pytest.mark.parametrize(("peak", "valid"), [(1e9, False), (1e-3, True)])
def test_all_rows_of_an_invalid_workload_are_marked(stand_ins, monkeypatch, peak, valid):
    monkeypatch.setattr(training, "sgemm_peaks", lambda threads: dict.fromkeys(threads, peak))
    results = training.measure_workloads([TINY], replace(EFFORT, threads=(2,), tune=False, cold=False), check=False)
    assert [row["valid"] for row in results["rows"]] == [valid] * 5
    assert training.row_table(results["rows"]).count("INVALID") == (0 if valid else 5)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w.key)
def test_compiled_peers_are_tuned_over_modes_optimizers_and_formats(workload):
    found = training.variants("pytorch", "compiled", workload)
    images = workload.network in ("lenet", "cnn")
    assert found[0] == ({"mode": "default", "optimizer": "fused"} if workload.training else {"mode": "default"})
    choices = {(v["mode"], v.get("optimizer"), "channels_last" in v) for v in found}
    # Modes and layouts crossed, and one more optimiser.
    assert len(choices) == len(found) == 2 * (2 if images else 1) + (1 if workload.training else 0)
    assert {mode for mode, _, _ in choices} == {"default", "max-autotune-no-cudagraphs"}
    assert {optimizer for _, optimizer, _ in choices} == ({"fused", "foreach"} if workload.training else {None})


def test_eager_word_vectors_are_tuned_over_layouts_too():
    kim = next(w for w in WORKLOADS if w.network == "kim")
    found = {(v["optimizer"], "channels_last" in v) for v in training.variants("pytorch", "eager", kim)}
    assert len(found) == 4


def test_tuning_fills_no_cache_that_a_cold_start_needs(stand_ins, tmp_path, monkeypatch):
    caches = []
    monkeypatch.setattr(training, "tuned", lambda framework, request, effort, cache: caches.append(cache) or request)
    for threads in (2, 1):
        request = Request(TINY, "eager", threads)
        worker = training.start("pytorch", request, replace(EFFORT, threads=(1, 2)), tmp_path).worker
        assert worker is not None
        worker.end()
    own = training.cache_of("pytorch", "eager", TINY, EFFORT, tmp_path)
    assert caches == [tmp_path / "tuning", own]


def test_a_lost_case_says_so():
    rows = [fake_row("minitorch", "compiled", 2.0), fake_row("pytorch", "compiled", 1.0)]
    found = training.compare(TINY, rows, {2: 200.0})
    assert found["lost"]
    assert training.comparison_table([found]).splitlines()[-1].endswith("| 0.50 | 2.0 | 3.0 | lost, below the floor |")
    assert training.compare(TINY, rows[:1], {2: 200.0}) is None


def test_what_is_not_as_it_should_be_is_named():
    def row(framework, ms, cold, warm, mb):
        return fake_row(framework, "compiled" if framework == "minitorch" else "eager", ms) | {
            "workload": "tiny", "batch": 2, "cold_start_s": cold, "warm_start_s": warm, "peak_rss_mb": mb,
        }  # fmt: skip

    for cold, warm, mb, wanted in [
        (9.0, 1.0, 100.0, ""),
        (10.5, 1.0, 100.0, "late start"),
        (9.0, 1.6, 100.0, "late start"),
        (9.0, 1.0, 301.0, "more memory"),
    ]:
        rows = [row("minitorch", 0.25, cold, warm, mb), row("pytorch", 1.0, 99.0, 99.0, 300.0)]
        found = training.compare(TINY, rows, {2: 200.0})
        assert ", ".join(training.remarks(found, rows)) == wanted
        assert training.remarks(found, [{**r, "batch": 3} for r in rows]) == {}


def test_the_command_line(stand_ins, tmp_path, capsys):
    file = tmp_path / "results.json"
    flags = ["--quick", "--workload", "mlp-fashion", "--threads", "1", "--json", str(file), "--rounds", "2"]
    assert training.main([*flags, "--framework", "pytorch", "--framework", "jax"]) == 0
    results = json.loads(file.read_text())
    assert results["rounds"] == 2
    found = [(row["framework"], row["mode"], row["cold_start_s"]) for row in results["rows"]]
    assert found == [("pytorch", "eager", None), ("pytorch", "compiled", None), ("jax", "compiled", None)]
    assert "mlp-fashion" in capsys.readouterr().out
    assert training.main(flags) == 1
    assert "the loss differs" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        training.parse(["--workload", "nothing"])
    assert "no workload 'nothing'; there are lenet-mnist-16" in capsys.readouterr().err
    assert len(training.chosen("lenet-mnist")) == 3


def test_the_picture_says_what_is_drawn():
    points = [
        {"framework": framework, "mode": mode}
        for framework, mode in [("jax", "compiled"), ("minitorch", "eager"), ("minitorch", "compiled")]
    ]
    text = training.picture({"sweeps": points}, "images/training.png")
    assert "(images/training.png)" in text
    assert "Drawn are MiniTorch eager, MiniTorch compiled and JAX compiled. Peers are not tuned" in text
    assert "`torch.compile` is left out" in text
    assert training.picture({}, "images/training.png") == "How the time of a step grows was not measured."


def test_the_plot(stand_ins, tmp_path):
    path = tmp_path / "images" / "training.png"
    found = training_plots.plot(replace(EFFORT, frameworks=("minitorch", "pytorch")), path, quick=True)
    assert path.read_bytes().startswith(b"\x89PNG")
    # The stand-in has no cnn, so the panel of image sizes stays empty.
    assert {point["sweep"] for point in found} == {"batch", "threads"}
    assert {(p["value"], p["framework"], p["mode"]) for p in found if p["sweep"] == "batch"} == {
        (value, *contender)
        for value in (1, 2)
        for contender in (("minitorch", "eager"), ("minitorch", "compiled"), ("pytorch", "eager"))
    }
