"""What is looked at in an executed notebook; that it is made and executed at all is seen by `make exercises`."""

from __future__ import annotations

from typing import Any

import pytest

from notebooks import differences, mistakes, printed, times_left_out, without_times


def code(source: str, *outputs: dict[str, Any], name: str = "") -> dict[str, Any]:
    metadata = {"title": name} if name else {}
    return {"cell_type": "code", "source": source, "outputs": list(outputs), "metadata": metadata}


def said(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def drew(kind: str = "image/png") -> dict[str, Any]:
    return {"output_type": "display_data", "data": {kind: "iVBORw0KGgo="}}


TEXT = {"cell_type": "markdown", "source": "# Title", "metadata": {}}
ERROR = {"output_type": "error", "ename": "ShapeError", "evalue": "expected (2, 3)", "traceback": []}


def looked_at(*cells: dict[str, Any]) -> list[str]:
    return mistakes({"cells": [TEXT, *cells]})


def test_a_notebook_as_it_should_be() -> None:
    assert (
        looked_at(
            code("x = 1"),
            code("print(x)", said("1\n")),
            code("def f():\n    print(1)\n\nclass A:\n    print"),
            code("for _ in range(2):\n    print(2)", said("2\n2\n")),
            code("if x > 1:\n    print(x)"),
            code("figure.savefig('a.png')", drew()),
        )
        == []
    )


def test_an_error_in_a_cell() -> None:
    cells = [code("print(1)", said("1\n")), code("f()", said("half\n"), ERROR), code("print(2)")]
    assert looked_at(*cells) == ["cell 3: ShapeError: expected (2, 3)"]


@pytest.mark.parametrize("outputs", [[], [said(" \n")], [said("1\n", "stderr")], [drew()]])
def test_an_empty_output(outputs: list[dict[str, Any]]) -> None:
    found = looked_at(code("print(0)", said("0\n")), code("print(x)", *outputs))
    assert found == ["cell 3 prints, and its output is empty: print(x)"]


def test_an_empty_output_in_a_with_and_a_loop() -> None:
    assert len(looked_at(code("print(0)", said("0")), code("with a:\n    for b in c:\n        print(b)"))) == 1


def test_a_cell_that_prints_through_a_function_and_whose_output_is_shown() -> None:
    def notebook(*outputs: dict[str, Any]) -> dict[str, Any]:
        return {"cells": [code("print(0)", said("0\n")), code("ask(model)", *outputs, name="modes"), code("ask(0)")]}

    assert mistakes(notebook(said("0.7\n")), {"modes"}) == []
    assert mistakes(notebook(said(" \n")), {"modes"}) == ["cell 2 prints, and its output is empty: ask(model)"]
    assert mistakes(notebook(), {"others"}) == []


def test_a_training_logs_its_epochs_unless_told_not_to() -> None:
    first = code("print(0)", said("0\n"))
    assert looked_at(first, code("history = fit(model, epochs=2)")) == [
        "cell 3 prints, and its output is empty: history = fit(model, epochs=2)"
    ]
    assert looked_at(first, code("fit(model)", said("Epoch 1/2\n")), code("fit(model, log=None)")) == []


@pytest.mark.parametrize("outputs", [[], [said("saved\n")], [drew("text/plain")]])
def test_a_picture_that_is_not_shown(outputs: list[dict[str, Any]]) -> None:
    found = looked_at(code("print(0)", said("0\n")), code("figure.savefig('a.png')", *outputs))
    assert found == ["cell 3 draws, and shows no picture: figure.savefig('a.png')"]


def test_a_notebook_that_says_nothing() -> None:
    assert looked_at(code("x = 1")) == ["the whole notebook prints nothing"]


def test_what_was_printed_is_joined_over_cells_and_pieces() -> None:
    cells = [TEXT, code("", said("a\n"), said("warning\n", "stderr"), drew(), said("b")), code("", said("c\n"))]
    assert printed({"cells": cells}) == "a\nbc\n"


def test_a_number_that_differs() -> None:
    assert differences("loss 0.5\nright 97.1%\n", "loss 0.5\nright 97.1%\n") == []
    assert differences("loss 0.5\nright 97.1%\n", "loss 0.5\nright 97.2%\n") == [
        "line 2: the notebook printed 'right 97.1%', the script 'right 97.2%'"
    ]


def test_a_line_that_is_missing() -> None:
    assert differences("a\n", "a\nb\n") == ["the notebook printed 1 lines, the script 2"]
    assert len(differences("a\nb\n", "b\n")) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("epoch 1: loss 0.5, 1.25 s", "epoch 1: loss 0.5, 11.3 s"),
        ("took   9.10 ms: 13 times faster", "took 10.10 ms:  9 times faster"),
        ("12,345 samples/s, 3 min left", "999 samples/s, 10 min left"),
        ("8.4 s, 0:09 left", "9.1 s, 1:00:07 left"),
        ("7 seconds", "8 seconds"),
    ],
)
def test_times_are_left_out(one: str, other: str) -> None:
    assert differences(one, other) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("loss 0.5, 1.25 s", "loss 0.6, 1.25 s"),  # beside a time
        ("3 samples", "4 samples"),
        ("3 steps", "4 steps"),
        ("2 MB", "3 MB"),
        ("3 left", "4 left"),
    ],
)
def test_nothing_else_is_left_out(one: str, other: str) -> None:
    assert len(differences(one, other)) == 1


def test_lines_without_times() -> None:
    assert without_times("a   1 s\n\n b 2\n\n") == ["a (time)", "", "b 2"]


def test_times_left_out() -> None:
    text = "Epoch 1/2: loss 0.5, 1,234 samples/s, 9.4 s, 0:11 left\nModel: a.pt\n10.4 s for all of it\n"
    assert times_left_out(text) == "Epoch 1/2: loss 0.5\nModel: a.pt\n"
