"""What the READMEs of the exercises show is taken from the scripts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import refresh
from refresh import PICTURE, filled, outputs_by_name, stale, stamped
from scripts import EXERCISES, MARKED, exercise_scripts, named_cells, shown_outputs

SCRIPTS = exercise_scripts()
FOLDERS = sorted(readme.parent for readme in EXERCISES.glob("*/README.md"))


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


def test_times_of_epochs_are_left_out_and_times_that_are_the_answer_stay() -> None:
    text = "epoch 1: loss 0.5, 1.25 s\nEpoch 2/3: loss 0.25, 6,373 samples/s, 9.4 s, 1:11 left\nby hand 14.28 ms\n"
    output = {"output_type": "stream", "name": "stdout", "text": text}
    cell = {"cell_type": "code", "metadata": {"title": "a"}, "outputs": [output], "source": ""}
    kept = "epoch 1: loss 0.5\nEpoch 2/3: loss 0.25\nby hand 14.28 ms\n"
    assert outputs_by_name({"cells": [cell]}) == {"a": kept}


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


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_its_pictures_are_there_and_small(folder: Path) -> None:
    pictures = PICTURE.findall((folder / "README.md").read_text(encoding="utf-8"))
    assert pictures or folder.name == "race"
    for name in pictures:
        assert 0 < (folder / "images" / name).stat().st_size < 60_000


def test_times_stay_where_all_else_is_the_same() -> None:
    def block(text: str) -> str:
        return f"<!-- output: one -->\n```text\n{text}\n```\n<!-- end -->\n"

    old = block("loss 0.5, 1.25 s") + "B\n"
    assert filled(old, {"one": "loss 0.5, 9.75 s\n"}, {}, keep_times=True) == old
    assert filled(old, {"one": "loss 0.5, 9.75 s\n"}, {}) == block("loss 0.5, 9.75 s") + "B\n"
    assert filled(old, {"one": "loss 0.6, 9.75 s\n"}, {}, keep_times=True) == block("loss 0.6, 9.75 s") + "B\n"
    empty = "<!-- output: one -->\n<!-- end -->\n"
    assert filled(empty, {"one": "loss 0.5, 9.75 s\n"}, {}, keep_times=True) == block("loss 0.5, 9.75 s")


# --- README files that are out of date -----------------------------------------------------------------------

SCRIPT = """# %% [markdown]
# # Example

# %% one
x = 1  # a number
# which is printed
print(x)
"""


@pytest.fixture
def exercise(tmp_path: Path) -> Path:
    """An exercise with a README that is up to date."""
    folder = tmp_path / "1_example"
    folder.mkdir()
    (folder / "example.py").write_text(SCRIPT)
    (folder / "more.py").write_text("Y = 2\n")
    shown = "<!-- code: one -->\n<!-- end -->\n\n<!-- output: one -->\n<!-- end -->\n"
    readme = filled(f"# Example\n\n{shown}", {"one": "1\n"}, named_cells(SCRIPT))
    (folder / "README.md").write_text(stamped(readme, folder))
    return folder


def test_a_readme_as_it_was_made_is_up_to_date(exercise: Path) -> None:
    assert stale(exercise) == []
    readme = (exercise / "README.md").read_text()
    assert stamped(readme, exercise) == readme
    assert readme.count("made from") == 1


@pytest.mark.parametrize(
    ("file", "part", "instead"),
    [
        ("example.py", "# # Example", "# # An example\n#\n# With more words."),
        ("example.py", "x = 1 ", "\n\nx = 1 "),
        ("more.py", "Y = 2", "# Another number.\nY = 2"),
        ("README.md", "# Example", "# An example\n\nWith more words."),
    ],
)
def test_words_do_not_put_a_readme_out_of_date(exercise: Path, file: str, part: str, instead: str) -> None:
    # What is in a cell that the README shows is compared as it is, so this cell is not shown here.
    readme = (exercise / "README.md").read_text()
    (exercise / "README.md").write_text(readme.replace("<!-- code: one -->", "<!-- example -->"))
    text = (exercise / file).read_text()
    assert part in text
    (exercise / file).write_text(text.replace(part, instead, 1))
    assert stale(exercise) == []


@pytest.mark.parametrize(
    ("file", "part", "instead"),
    [
        ("example.py", "x = 1 ", "x = 2 "),
        ("example.py", "# %% one", "# %%"),
        ("more.py", "Y = 2", "Y = 3"),
        ("README.md", "```text\n1\n", "```text\n2\n"),
        ("README.md", "<!-- made from: ", "<!-- made from: 0"),
        ("README.md", "<!-- made from: ", "<!-- made of: "),
    ],
)
def test_a_changed_script_and_an_output_by_hand_are_told(
    exercise: Path,
    file: str,
    part: str,
    instead: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refresh, "EXERCISES", exercise.parent)
    assert refresh.main(["--check"]) == 0
    text = (exercise / file).read_text()
    assert part in text
    (exercise / file).write_text(text.replace(part, instead, 1))
    found = stale(exercise)
    assert found[-1].startswith("the README's outputs are not those of the scripts as they are now.")
    assert found[-1].endswith("Run python exercises/refresh.py 1_example")
    assert refresh.main(["--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [f"1_example: {line}" for line in found]


def test_a_cell_that_the_readme_shows_otherwise(exercise: Path) -> None:
    readme = (exercise / "README.md").read_text()
    (exercise / "README.md").write_text(readme.replace("# which is printed", "# which is shown"))
    assert stale(exercise) == [
        "the README shows another cell 'one' than the script has. Run python exercises/refresh.py 1_example"
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_every_readme_is_up_to_date(folder: Path) -> None:
    assert stale(folder) == []


# --- README files of commands --------------------------------------------------------------------------------

COMMAND = """
import os, pathlib, sys
if sys.argv[1] == "train":
    pathlib.Path("model.pt").write_text(" ".join(sys.argv[2:]))
    pathlib.Path("loss.png").write_bytes(b"picture")
    print(f"Data: {os.environ['MINITORCH_DATA']}/mnist")
    print("Epoch 1/1: loss 0.5, 6,373 samples/s, 9.4 s, 1:11 left")
    print("10.4 s for all of it")
else:
    print("Model:", pathlib.Path(sys.argv[2]).read_text())
"""


def test_commands_run_one_after_the_other_in_a_folder_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "example"
    folder.mkdir()
    (folder / "main.py").write_text(COMMAND)
    blocks = [f"<!-- output: main.py {words} -->\n<!-- end -->\n" for words in ("train 'a b'", "evaluate model.pt")]
    (folder / "README.md").write_text("# Example\n\n" + "\n".join(blocks) + "\n![Loss](images/loss.png)\n")
    monkeypatch.setenv("MINITORCH_DATA", str(tmp_path / "data"))
    refresh.refresh(folder)
    text = (folder / "README.md").read_text()
    assert "```text\nData: mnist\nEpoch 1/1: loss 0.5\n```" in text
    assert "```text\nModel: a b\n```" in text
    assert (folder / "images" / "loss.png").read_bytes() == b"picture"
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "images", "main.py"]
    assert stale(folder) == []


def test_a_large_picture_gets_a_palette(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    smooth = np.zeros((200, 200, 3), np.uint8)
    for name, pixels in (("large.png", noise), ("small.png", smooth)):
        Image.fromarray(pixels).save(tmp_path / name)
        refresh._copy_picture(tmp_path / name, tmp_path / f"kept-{name}")
    assert (tmp_path / "kept-small.png").read_bytes() == (tmp_path / "small.png").read_bytes()
    assert (tmp_path / "kept-large.png").stat().st_size < (tmp_path / "large.png").stat().st_size / 2
    with Image.open(tmp_path / "kept-large.png") as kept:
        assert (kept.mode, kept.size) == ("P", (200, 200))


def test_a_command_that_fails_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "example"
    folder.mkdir()
    (folder / "main.py").write_text("raise SystemExit('no digits')")
    readme = "# Example\n\n<!-- output: main.py -->\n<!-- end -->\n"
    (folder / "README.md").write_text(readme)
    with pytest.raises(SystemExit, match=r"main\.py ended with status 1: no digits"):
        refresh.refresh(folder)
    assert (folder / "README.md").read_text() == readme
