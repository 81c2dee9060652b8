"""The tables and sentences that are made of results."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.training_judging import compare, wrong
from benchmarks.training_report import (
    check_sentence,
    closing,
    comparison_table,
    eager_losses,
    headline,
    picture,
    programs_table,
    remarks,
    summary,
)

from .training_cases import TINY, fake_row


@pytest.mark.parametrize(
    ("cold", "warm", "end"),
    [(9.9, 1.4, "9.9 | 1.4 |  |"), (10.1, 1.4, "late start |"), (9.9, 1.6, "late start |")],
)
def test_both_programs_may_start_late(cold, warm, end):
    both = {"workload": "tiny-2", "evaluated": 500, "cold_start_s": cold, "warm_start_s": warm}
    assert programs_table(both).endswith(end)


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
        "comparisons": [compare(replace(TINY, torch_ms=1.0), rows, {2: 100.0})],
    }  # fmt: skip
    assert closing(results) == [
        "tiny-2, INVALID: PyTorch takes 2.700 ms, over 1.3 times the expected 2.000.",
        "tiny-2, lost: 3.000 ms beside 2.700 of PyTorch.",
        "tiny-2, below the floor: 0.90 times faster, not 2.",
        "tiny-2, late start: 12.0 s with an empty cache, 1.0 s in a second process.",
        "tiny-2, more memory: 400 MB beside 300 of PyTorch.",
        "tiny-2 with its evaluation, late start: 9.0 s with an empty cache, 1.7 s in a second process.",
        "lenet-odd-2, under 70%: 60% of LeNet's GFLOP/s.",
        "tiny-2, lost by eager steps: 3.500 ms beside 2.700 of PyTorch, 2 threads.",
    ]
    assert summary(results).endswith("".join(f"\n- {remark}" for remark in closing(results)).lstrip())
    assert wrong(results) == ["tiny-2: INVALID, PyTorch is too slow"]
    rows[0]["ms_per_step"], rows[1]["ms_per_step"] = 0.1, 2.6
    assert eager_losses(rows) == []


def test_a_peer_that_is_as_fast_as_elsewhere_beside_a_faster_sgemm_is_invalid_and_not_called_slow():
    rows = [fake_row("minitorch", "compiled", 0.1), fake_row("pytorch", "eager", 1.2)]
    found = compare(TINY, rows, {2: 400.0})
    assert remarks(found, [])["INVALID"] == (
        "PyTorch takes 1.200 ms, over 1.3 times the expected 0.500; it took 1.000 on the machine that the aims are "
        "from, whose sgemm is slower than this one's, so that PyTorch was not slowed down here, but does not gain what "
        "sgemm does"
    )
    results = {"comparisons": [found], "sgemm_gflops": {2: 400.0}, "rounds": 3, "rows": []}
    assert "By the benchmark's own rule `tiny-2` is INVALID" in headline(results)
    results["comparisons"] = [compare(TINY, rows, {2: 200.0})]
    assert "INVALID" not in headline(results)


def test_a_lost_case_says_so():
    rows = [fake_row("minitorch", "compiled", 2.0), fake_row("pytorch", "compiled", 1.0)]
    found = compare(TINY, rows, {2: 200.0})
    assert found["lost"]
    assert comparison_table([found]).splitlines()[-1].endswith("| 0.50 | 2.0 | 3.0 | lost, below the floor |")
    assert compare(TINY, rows[:1], {2: 200.0}) is None


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
        found = compare(TINY, rows, {2: 200.0})
        assert ", ".join(remarks(found, rows)) == wanted
        assert remarks(found, [{**r, "batch": 3} for r in rows]) == {}


def test_the_picture_says_what_is_drawn():
    points = [
        {"framework": framework, "mode": mode}
        for framework, mode in [("jax", "compiled"), ("minitorch", "eager"), ("minitorch", "compiled")]
    ]
    text = picture({"sweeps": points}, "images/training.png")
    assert "(images/training.png)" in text
    assert "Drawn are MiniTorch eager, MiniTorch compiled and JAX compiled. Peers are not tuned" in text
    assert "`torch.compile` is left out" in text
    assert picture({}, "images/training.png") == ""


def test_what_was_not_measured_is_left_out():
    rows = [fake_row("minitorch", "compiled", 0.25), fake_row("pytorch", "eager", 1.0)]
    named = {"workload": "tiny", "batch": 2, "status": "ok", "reason": "", "valid": True, "peak_rss_mb": 1.0}
    rows = [row | named | {"cold_start_s": None, "warm_start_s": 1.0} for row in rows]
    results = {
        "sgemm_gflops": {2: 200.0}, "rounds": 3, "rows": rows, "checks": [],
        "comparisons": [compare(TINY, rows, {2: 200.0})],
    }  # fmt: skip
    text = summary(results)
    assert "not measured." not in text
    assert "\n\n\n" not in text
    assert text.endswith("Losses were not compared.\n\nNothing is lost, late or below its floor.")


def test_readme_shows_how_many_times_faster_and_no_floors():
    rows = [fake_row("minitorch", "compiled", 0.25), fake_row("jax", "compiled", 1.0)]
    results = {"sgemm_gflops": {2: 200.0}, "rounds": 3, "comparisons": [compare(TINY, rows, {2: 200.0})]}
    header, _, row = headline(results).split("\n\n")[0].splitlines()
    assert header == "| workload | MiniTorch, ms | best peer | its ms | times faster |"
    assert row == "| tiny-2 | 0.250 | JAX compiled, 2 threads | 1.000 | 4.00 |"


def test_losses_that_rounding_moves_are_set_beside_pytorchs_own_spread():
    def check(framework, mode, float32, **more):
        return {"workload": "tiny-2", "framework": framework, "mode": mode, "equal": True, "float32": float32} | more

    checks = [
        check("pytorch", "eager", 0.0),
        check("pytorch", "compiled", 0.003, float64=0.0),
        check("minitorch", "compiled", 0.002, float64=1e-12, pytorch_float32=0.004),
        check("jax", "compiled", 0.006, float64=0.0),
        check("minitorch", "eager", 0.00009),
    ]
    text = check_sentence(checks)
    assert "1 of 4 losses are PyTorch's to 0.0001" in text
    ours = (
        "MiniTorch compiled on tiny-2 is 2.0e-03 off in float32, which is rounding: 1.0e-12 in float64; PyTorch's own"
    )
    assert f"{ours} variants are 4.0e-03 apart in float32." in text
    assert "JAX compiled on tiny-2 is 6.0e-03 off" in text
    assert text.count("own variants are 3.0e-03 apart") == 1
