from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from benchmarks.report import put_between_markers

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- points:begin -->", "<!-- points:end -->"


@pytest.fixture
def points(monkeypatch):
    spec = importlib.util.spec_from_file_location("benchmarks_points", ROOT / "benchmarks" / "points.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up by name.
    monkeypatch.setitem(sys.modules, "benchmarks_points", module)
    spec.loader.exec_module(module)
    return module


def test_a_row_for_each_result(points):
    result = points.Result("Xor", 100, points.Setting(0.05, 1500), 0.98, 0.00412)
    rows = points.table([result], seed=3).splitlines()
    assert rows[2] == "| Xor | 100 | 0.05 | 1,500 | 98% | 0.0041 |"
    assert rows[0].count("|") == rows[1].count("|") == rows[2].count("|")
    assert "seed 3" in rows[-1]


def test_only_what_is_between_the_markers_changes(tmp_path):
    page = tmp_path / "README.md"
    assert not put_between_markers(page, "points", "table")
    assert not page.exists()
    page.write_text("no markers")
    assert not put_between_markers(page, "points", "table")
    assert page.read_text() == "no markers"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        assert put_between_markers(page, "points", "| new |")
        assert page.read_text() == f"before\n{BEGIN}\n| new |\n{END}\nafter\n"


def test_every_point_set_is_trained_drawn_and_written(points, tmp_path, monkeypatch):
    monkeypatch.setattr(points, "ROOT", tmp_path)
    monkeypatch.setattr(points, "WIDTHS", (1, 2))
    monkeypatch.setattr(points, "SETTINGS", dict.fromkeys(points.SETTINGS, points.Setting(0.1, 2)))
    (tmp_path / "README.md").write_text(f"# Title\n{BEGIN}{END}\n")
    points.main(["--seed", "1"])
    for page in ("docs/points.md", "README.md"):
        rows = [line for line in (tmp_path / page).read_text().splitlines() if line.startswith("| ")][1:]
        named = [(name, hidden) for name in ("Simple", "Diag", "Split", "Xor", "Circle", "Spiral") for hidden in "12"]
        assert [tuple(row.split(" | ")[:2]) for row in rows] == [(f"| {name}", hidden) for name, hidden in named]
    assert (tmp_path / "docs/images/points.png").read_bytes().startswith(b"\x89PNG")


def test_the_published_table_holds_what_it_promises():
    """Every point set is learned, in at most 0.02 s an epoch, and the picture is small."""
    lines = (ROOT / "docs" / "points.md").read_text(encoding="utf-8").splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][1:]
    assert len(cells) == 12
    assert all(int(row[4].rstrip("%")) >= 96 for row in cells)
    assert all(float(row[5]) <= 0.02 for row in cells)
    assert (ROOT / "docs" / "images" / "points.png").stat().st_size < 300_000
