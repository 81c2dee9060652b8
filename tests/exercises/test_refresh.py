"""What the READMEs of the exercises show is taken from the scripts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from refresh import PICTURE, filled, outputs_by_name
from scripts import MARKED, exercise_scripts, named_cells, shown_outputs

SCRIPTS = exercise_scripts()


def test_markers_are_filled_and_the_rest_stays() -> None:
    readme = "# A\n\n<!-- output: one -->\nold\n<!-- end -->\n\nB\n\n<!-- code: two -->\n<!-- end -->\n"
    new = filled(readme, {"one": "1\n2\n"}, {"two": "print(1)\n"})
    assert new == (
        "# A\n\n<!-- output: one -->\n```text\n1\n2\n```\n<!-- end -->\n\nB\n\n"
        "<!-- code: two -->\n```py\nprint(1)\n```\n<!-- end -->\n"
    )
    assert filled(new, {"one": "1\n2\n"}, {"two": "print(1)\n"}) == new


def test_a_marker_without_a_cell() -> None:
    with pytest.raises(KeyError, match="one"):
        filled("<!-- output: one -->\n<!-- end -->\n", {}, {"one": "x"})


def test_outputs_go_by_the_cells_names() -> None:
    def cell(title: str | None, text: str) -> dict:
        output = {"output_type": "stream", "name": "stdout", "text": text}
        return {"cell_type": "code", "metadata": {"title": title} if title else {}, "outputs": [output], "source": ""}

    cells = [{"cell_type": "markdown", "metadata": {}, "source": ""}, cell("a", "1\n"), cell(None, "2\n")]
    assert outputs_by_name({"cells": [*cells, cell("b", "3\n"), cell("a", "4\n")]}) == {"a": "1\n4\n", "b": "3\n"}


def test_named_cells() -> None:
    source = "# %% [markdown]\n# text\n\n# %%\nx = 1\n\n# %% one\ny = 2\n\n\n# %% two\nz = 3\n"
    assert named_cells(source) == {"one": "y = 2\n", "two": "z = 3\n"}


def test_shown_outputs(tmp_path: Path) -> None:
    marked = "<!-- output: one -->\n1\n<!-- end -->\n<!-- code: two -->\n2\n<!-- end -->\n"
    (tmp_path / "README.md").write_text(marked + marked.replace("one", "by hand"))
    assert shown_outputs(tmp_path / "example.py") == {"one", "by hand"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.parent.name)
def test_a_readme_shows_the_script_as_it_is(script: Path) -> None:
    readme = script.with_name("README.md").read_text(encoding="utf-8")
    marked = list(MARKED.finditer(readme))
    assert marked
    cells = named_cells(script.read_text(encoding="utf-8"))
    for block in marked:
        assert block["name"] in cells
        assert re.search(r"```(?:text|py)\n.+\n```", block[0], re.DOTALL), f"{block['name']} is empty"
        if block["kind"] == "code":
            assert f"```py\n{cells[block['name']]}```\n" in block[0]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.parent.name)
def test_its_pictures_are_there_and_small(script: Path) -> None:
    pictures = PICTURE.findall(script.with_name("README.md").read_text(encoding="utf-8"))
    assert pictures
    for name in pictures:
        assert 0 < (script.parent / "images" / name).stat().st_size < 60_000
