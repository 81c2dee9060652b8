from __future__ import annotations

import pytest
from interface.backends import LARGEST, OPERATIONS, compare, cuda_note

import minitorch


@pytest.mark.parametrize("name", OPERATIONS)
def test_all_backends_agree_and_are_timed(name: str) -> None:
    rows = compare(name, 5)
    assert [row.backend.partition(":")[0] for row in rows[:3]] == ["SimpleOps", "FastOps", "minitorch.compile"]
    for row in rows:
        assert 0.0 < row.seconds < 1.0
        assert row.difference < 1e-12
    assert (len(rows) == 4) == (cuda_note() is None)


def test_a_difference_would_be_seen(monkeypatch) -> None:
    def wrong(a, b):
        return a + b * (1.0 if a.backend is minitorch.SimpleBackend else 1.5)

    monkeypatch.setitem(OPERATIONS, "wrong", wrong)
    simple, fast, compiled = compare("wrong", 4)[:3]
    assert simple.difference == 0.0
    assert fast.difference > 0.01
    assert compiled.difference == pytest.approx(fast.difference)


@pytest.mark.parametrize(("name", "size"), [("a ** b", 4), ("a + b", 0), ("a + b", LARGEST + 1)])
def test_what_is_not_there_is_refused(name: str, size: int) -> None:
    with pytest.raises(minitorch.ArgumentError):
        compare(name, size)


def test_the_library_s_random_numbers_are_left_alone() -> None:
    minitorch.manual_seed(3)
    compare("a + b", 2)
    assert minitorch.default_generator.state == (3, 0)


def test_the_note_says_why_there_is_no_cuda() -> None:
    note = cuda_note()
    assert note is None or "CUDA" in note
