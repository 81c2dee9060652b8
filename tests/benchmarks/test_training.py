"""benchmarks/training.py as a whole, with small processes in the place of the frameworks."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks import training, training_judging, training_plots, training_report, training_timing

from .training_cases import EFFORT, TINY


def test_every_framework_has_its_row(stand_ins):
    results = training.measure_workloads([TINY], EFFORT)
    rows = {(row["framework"], row["mode"]): row for row in results["rows"]}
    assert list(rows) == list(training_timing.SCRIPTS)
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
    assert training_judging.wrong(results) == ["tiny-2, compiled: the loss differs from PyTorch's"]
    text = training_report.summary(results)
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
    failed = training_timing.start_both_programs(failing, EFFORT, tmp_path)
    assert "FAILED: ValueError: first line" in training_report.programs_table(failed)


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


def test_a_framework_that_cannot_run_is_shown(stand_ins):
    missing, failing = replace(TINY, network="kim"), replace(TINY, network="cnn", name="wrong")
    results = training.measure_workloads([missing, failing], EFFORT)
    assert [row["status"] for row in results["rows"]] == ["NOT AVAILABLE"] * 5 + ["FAILED"] * 5
    assert all(row["ms_per_step"] is None for row in results["rows"])
    assert results["comparisons"] == results["checks"] == []
    assert "NOT AVAILABLE: no compiler" in training_report.summary(results)
    assert training_judging.wrong(results)[-1] == "wrong, batch 2, compiled: ValueError: first line"


@pytest.mark.parametrize(("peak", "valid"), [(1e9, False), (1e-3, True)])
def test_all_rows_of_an_invalid_workload_are_marked(stand_ins, monkeypatch, peak, valid):
    monkeypatch.setattr(training, "sgemm_peaks", lambda threads: dict.fromkeys(threads, peak))
    results = training.measure_workloads([TINY], replace(EFFORT, threads=(2,), tune=False, cold=False), check=False)
    assert [row["valid"] for row in results["rows"]] == [valid] * 5
    assert training_report.row_table(results["rows"]).count("INVALID") == (0 if valid else 5)


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
