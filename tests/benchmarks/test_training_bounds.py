"""How near the floors and aims of training steps are, from what their products take."""

from __future__ import annotations

import pytest

from benchmarks.training_bounds import bound
from benchmarks.training_report import closing
from benchmarks.workloads import WORKLOADS, at


def comparison(workload, peer_ms, times_faster):
    """Give a comparison as training_judging.py writes it."""
    peer = {"framework": "jax", "mode": "compiled", "threads": 2, "ms_per_step": peer_ms}
    found = next(w for w in WORKLOADS if w.key == workload)
    return {
        "workload": workload, "threads": 2, "best_peer": peer, "times_faster": times_faster, "floor": found.floor,
        "aim": found.aim,
    }  # fmt: skip


# A step of Kim's network with 50 reviews has 308.4 Mflop: 3.0 ms at 102.8 GFLOP/s; its floor is 3.5 and its aim 5.
@pytest.mark.parametrize(
    ("peer_ms", "times_faster", "expected"),
    [
        (7.0, 2.0, "its floor: 3.5 times faster than the 7.000 ms of JAX is 2.000 ms."),
        (7.0, 2.0, "take 3.000 ms at the 103 GFLOP/s of a large sgemm, so that the floor takes fewer of them"),
        (14.0, 2.0, "take 3.000 ms at the 103 GFLOP/s of a large sgemm, which leaves 1.000 ms for everything else."),
        (14.0, 4.0, "its aim: 5 times faster than the 14.000 ms of JAX is 2.800 ms."),
        (14.0, 5.0, ""),  # nothing is missed
        (22.0, 2.0, ""),  # the products are under half of what the floor allows
    ],
)
def test_products_are_set_beside_what_is_missed(peer_ms, times_faster, expected):
    text = bound(comparison("kim-sst2-50", peer_ms, times_faster), {1: 50.0, 2: 102.8024})
    assert expected in text
    assert bool(text) == bool(expected)


def test_adam_moves_its_parameters_and_averages():
    # 67.4 Mflop, 0.2 ms at 336.8 GFLOP/s; 242,762 parameters with two averages, read and written, in 0.1 ms.
    text = bound(comparison("mlp-fashion-64", 0.6, 1.5), {2: 336.77312})
    assert "The products of a step by their definition (67 Mflop) take 0.200 ms" in text
    assert text.endswith(
        "which leaves 0.100 ms for everything else; Adam reads and writes 5.8 MB of parameters and averages, which in "
        "that time alone would be 58 GB/s."
    )


def test_bounds_close_the_summary_of_results_that_were_read_from_a_file():
    found = comparison("mlp-fashion-64", 0.6, 1.5) | {"valid": True, "lost": False}
    text = closing({"comparisons": [found], "rows": [], "sgemm_gflops": {"2": 336.77312}})
    assert text == [bound(found, {2: 336.77312})]


def test_an_unknown_workload_has_no_bound():
    assert bound(comparison("kim-sst2-50", 7.0, 2.0) | {"workload": "tiny-2"}, {2: 100.0}) == ""


def test_least_flops_leave_out_what_is_zero():
    kim = at(next(w for w in WORKLOADS if w.network == "kim"), {"batch": 1})
    # A filter of width w meets w - 1 places at the end with 1, 2, ... zeros; a maximum passes a gradient to one place.
    forward = [100 * 50 * sum(min(w, 52 - place) for place in range(52)) for w in (3, 4, 5)]
    assert kim.least_flops() == sum(2 * (count + count // 52) for count in forward) + 2 * 3 * 300
    mlp = next(w for w in WORKLOADS if w.network == "mlp")
    assert mlp.least_flops() == mlp.flops()
    lenet = next(w for w in WORKLOADS if w.network == "lenet")
    image = at(lenet, {"batch": 1})
    axis = 3 * 28 - 3  # of nine places a window loses one, twice one, at one end
    first, second, dense = 4 * axis**2, 8 * 4 * axis**2, 392 * 64 + 640
    assert image.least_flops() == 2 * (2 * first + second + 2 * (second // 16)) + 2 * 3 * dense
