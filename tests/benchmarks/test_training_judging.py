"""What is said of rows that are made up: which peers are believed, what is lost, which losses differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import training_judging, training_report
from benchmarks.training_judging import check_losses, compare, compare_sizes, wrong
from benchmarks.training_timing import SCRIPTS, Failed, Row
from benchmarks.worker import Request

from .training_cases import EFFORT, TINY, fake_row

# --- whether they compute the same ---------------------------------------------------------------------------

CNN = replace(TINY, name="cnn", network="cnn")


@pytest.fixture
def check(monkeypatch):
    """Check losses that are made up.

    They are given as distances from eager PyTorch's, by framework, mode and dtype, with `channels_last` behind them.
    """

    def run(distances):
        def last_loss(framework, mode, workload, dtype, effort, folder, variant=None):
            words = [framework, mode, dtype, *(["channels_last"] if (variant or {}).get("channels_last") else [])]
            distance = distances.get(" ".join(words), 0.0)
            if distance is None:
                raise Failed("it does not run")
            return 1.0 + distance

        monkeypatch.setattr(training_judging, "last_loss", last_loss)
        rows = [Row(framework, Request(CNN, mode, 1)) for framework, mode in SCRIPTS]
        checks = check_losses(CNN, rows, EFFORT, Path())
        assert [(c["framework"], c["mode"]) for c in checks] == list(SCRIPTS)
        return checks

    return run


def differing(checks):
    """Name what differs from PyTorch, as the sentence and as the exit status have it."""
    told = training_report.check_sentence(checks)
    different = [c for c in checks if not c["equal"]]
    assert told.count("DIFFERS") == len(different)
    ours = [c for c in different if c["framework"] == "minitorch"]
    assert wrong({"rows": [], "comparisons": [], "checks": checks}) == [
        f"{c['workload']}, {c['mode']}: the loss differs from PyTorch's" for c in ours
    ]
    return [f"{c['framework']} {c['mode']}" for c in different]


@pytest.mark.parametrize(
    ("ours", "compiled", "channels_last", "wanted"),
    [
        (9e-5, 0.0, 0.0, []),
        (1.1e-4, 0.0, 0.0, ["minitorch compiled"]),
        (1.9e-3, 1e-3, 0.0, []),
        (2.1e-3, 1e-3, 0.0, ["minitorch compiled"]),
        (1.9e-3, 0.0, 1e-3, []),
        (2.1e-3, 0.0, 1e-3, ["minitorch compiled"]),
        (2.1e-3, 1e-3, 1.1e-3, []),
    ],
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_float32_may_be_off_by_twice_what_pytorch_is_from_itself(check, ours, compiled, channels_last, wanted, sign):
    """All agree in float64, so that nothing but rounding can be the reason."""
    checks = check(
        {
            "minitorch compiled float32": sign * ours,
            "pytorch compiled float32": compiled,
            "pytorch eager float32 channels_last": -channels_last,
        }
    )
    assert differing(checks) == wanted


def test_the_reason_is_told(check):
    ours = {"minitorch eager float32": 1.5e-3, "minitorch compiled float32": 4e-3, "minitorch compiled float64": 1e-9}
    text = training_report.check_sentence(check({**ours, "pytorch compiled float32": 1e-3}))
    assert text == (
        "After 50 steps from the same weights, without dropout, 1 of 4 losses are PyTorch's to 0.0001 in float32. "
        "MiniTorch eager on cnn-2 is 1.5e-03 off in float32, which is rounding: 0.0e+00 in float64; PyTorch's own "
        "variants are 1.0e-03 apart in float32. "
        "MiniTorch compiled on cnn-2 DIFFERS: 4.0e-03 in float32, over 2 times the 1.0e-03 that PyTorch's own variants "
        "are apart, in spite of 1.0e-09 in float64. "
        "PyTorch compiled on cnn-2 is 1.0e-03 off in float32, which is rounding: 0.0e+00 in float64."
    )


def test_a_variant_of_pytorch_that_is_wrong_or_fails_excuses_nothing(check):
    far = {"minitorch eager float32": 2.1e-3}
    broken = {"pytorch compiled float32": 0.5, "pytorch compiled float64": 0.5}
    assert differing(check({**far, **broken})) == ["minitorch eager", "pytorch compiled"]
    failing = {"pytorch compiled float32": 2e-3, "pytorch eager float32 channels_last": None}
    assert differing(check({**far, **failing})) == []


def test_the_other_peers_are_judged_in_float64(check):
    assert differing(check({"jax compiled float32": 6e-3})) == []
    assert differing(check({"jax compiled float32": 6e-3, "jax compiled float64": 2e-4})) == ["jax compiled"]


def test_a_difference_in_float64_is_no_rounding(check):
    distances = {"minitorch eager float32": 1e-3, "minitorch eager float64": 2e-4, "pytorch compiled float32": 1e-3}
    assert differing(check(distances)) == ["minitorch eager"]


# --- what the rows say together ------------------------------------------------------------------------------


def test_odd_sizes_are_compared_at_the_same_batch_and_on_all_threads():
    def row(name, batch, threads, gflops):
        return fake_row("minitorch", "compiled", 1.0, threads) | {
            "workload": name, "batch": batch, "gflops": gflops, "status": "ok",
        }  # fmt: skip

    rows = [row("lenet-mnist", 16, 2, 100.0), row("lenet-mnist", 16, 1, 10.0), row("lenet-mnist", 128, 2, 200.0)]
    rows += [row("lenet-odd", 128, 2, 150.0), row("lenet-odd", 16, 2, 69.0), row("lenet-odd", 16, 1, 9.0)]
    sizes = compare_sizes([*rows, row("lenet-odd", 3, 2, 1.0)])
    assert [(size["workload"], size["share"]) for size in sizes] == [("lenet-odd-128", 0.75), ("lenet-odd-16", 0.69)]
    assert training_report.sizes_table(sizes).splitlines()[2:] == [
        "| lenet-odd-128 | 2 | 150.0 | 200.0 | 75% |  |",
        "| lenet-odd-16 | 2 | 69.0 | 100.0 | 69% | under 70% |",
    ]
    assert compare_sizes([]) == []


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
    found = compare(TINY, rows, {1: 50.0, 2: 100.0})
    assert found["expected_pytorch_ms"] == 2.0
    assert found["valid"] is valid
    assert found["best_peer"]["framework"] == "jax"
    assert found["times_faster"] == 3.0
    assert not found["lost"]
    assert ("INVALID" in training_report.comparison_table([found])) is not valid


@pytest.mark.parametrize(
    ("threads", "torch_ms", "expected", "valid"),
    [((1, 2, 4), 2.61, 2.0, False), ((1, 2, 4), 2.59, 2.0, True), ((4,), 99.0, None, True), ((1,), 99.0, None, True)],
)
def test_two_threads_among_others_are_enough_to_judge_a_peer(threads, torch_ms, expected, valid):
    """What PyTorch takes on four threads does not count: the expected time is from two."""
    most = max(threads)
    rows = [fake_row("minitorch", "compiled", 0.5, most), fake_row("pytorch", "eager", torch_ms, min(2, most))]
    rows += [fake_row("pytorch", "eager", 1.0, 4)] * (most == 4)
    found = compare(TINY, rows, dict.fromkeys(threads, 100.0))
    assert found["expected_pytorch_ms"] == expected
    assert found["valid"] is valid
