"""What the pages say of GPUs: what was measured on one, and otherwise the command that does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import gpu

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- gpu:begin -->\n", "\n<!-- gpu:end -->"


def between_markers(page: Path) -> str:
    _, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    text, end, _ = rest.partition(END)
    assert begin
    assert end
    return text


def results(device: str, date: str) -> dict:
    return {
        "gpu": f"{device}, compute capability 9.0",
        "driver": "CUDA 13.0, 1 device",
        "machine": {
            **{"processor": "A processor", "cores": 2, "system": "Linux", "date": date, "load": None},
            **{"minitorch": "0.1.0", "numpy": "2.4.6", "numba": "0.68.1", "python": "3.11.7"},
        },
        "peaks": {"GB/s": 100.0, "GFLOP/s": 1000.0, "by": "MiniTorch"},
        "GB/s": [],
        "GFLOP/s": [],
        "trainings": [{"name": "LeNet", "data": "MNIST", "work": 2e9, "ours": 0.5}],
    }


def test_the_pages_have_what_is_kept_in_the_results():
    assert between_markers(ROOT / "README.md") == gpu.headline()
    assert between_markers(ROOT / "docs" / "benchmarks.md") == gpu.section()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two pages and no results."""
    monkeypatch.setattr(gpu, "ROOT", tmp_path)
    monkeypatch.setattr(gpu, "RESULTS", tmp_path)
    (tmp_path / "docs").mkdir()
    for page in ("README.md", "docs/benchmarks.md"):
        (tmp_path / page).write_text(f"Before\n{BEGIN}old{END}\nbehind")
    return tmp_path


def test_without_results_the_command_is_named(folder):
    gpu.write_pages()
    for page in ("README.md", "docs/benchmarks.md"):
        assert "`python benchmarks/gpu.py`" in between_markers(folder / page)
        assert "nothing has been measured yet" in between_markers(folder / page)
        assert "| LeNet | not measured | not measured | not measured |" in between_markers(folder / page)


def test_results_fill_the_pages(folder):
    for given in (results("Tesla T4", "2026-11-20"), results("H200/x", "2026-11-21")):
        (folder / f"{gpu.file_name(given)}.json").write_text(json.dumps(given))
    assert sorted(path.name for path in folder.glob("*.json")) == [
        "gpu-h200-x-2026-11-21.json",
        "gpu-tesla-t4-2026-11-20.json",
    ]
    gpu.write_pages()
    readme, details = (between_markers(folder / page) for page in ("README.md", "docs/benchmarks.md"))
    assert readme.startswith("H200/x, compute capability 9.0")
    assert "Tesla" not in readme
    assert details.index("H200/x") < details.index("Tesla T4")
    assert (folder / "README.md").read_text().endswith("behind")
