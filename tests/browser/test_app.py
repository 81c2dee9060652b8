"""The app as a visitor sees it: every page, trainings, a digit that is drawn, and a sentence that is judged."""

from __future__ import annotations

import ast
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

ROOT = Path(__file__).parents[2]
PATIENCE = 300_000  # milliseconds that a training may take on a busy machine


def titles() -> list[str]:
    """Read the titles of the pages from the app's own list."""
    tree = ast.parse((ROOT / "project" / "app.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [keyword.value.value for call in calls for keyword in call.keywords if keyword.arg == "title"]  # type: ignore[attr-defined]


def go_to(page: Page, title: str) -> None:
    page.get_by_role("link", name=title, exact=True).click()
    # The page before keeps its heading until the new one has begun.
    heading = "MiniTorch, looked at from the inside" if title == "Start" else title
    page.get_by_role("heading", level=1, name=heading, exact=True).wait_for()
    settle(page)


def settle(page: Page) -> None:
    """Wait until the page has run, and has shown no exception."""
    page.wait_for_timeout(300)
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    assert page.locator("[data-testid=stException]").count() == 0


def picture(page: Page, name: str) -> None:
    """Keep a picture of the whole page, where ``SCREENSHOTS`` names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        before = page.viewport_size
        assert before is not None
        page.mouse.move(before["width"] - 1, 1)  # away from what shows more while somebody points at it
        parts = [page.get_by_test_id(name) for name in ("stMain", "stSidebarContent")]
        height = max(part.evaluate("part => part.scrollHeight") for part in parts)
        page.set_viewport_size({"width": before["width"], "height": max(before["height"], height)})
        page.wait_for_timeout(1500)
        page.screenshot(path=Path(folder, f"{name}.png"))
        page.set_viewport_size(before)


def name_of(title: str) -> str:
    return title.lower().replace(" ", "_")


@pytest.mark.parametrize("title", [title for title in titles() if title != "MiniTorch"])
def test_a_page_opens(page: Page, title: str) -> None:
    go_to(page, title)
    assert page.locator("[data-testid=stAlertContentError]").count() == 0
    picture(page, name_of(title))


def test_a_training_goes_on_while_the_page_is_watched(page: Page) -> None:
    go_to(page, "Training on points")
    if not os.environ.get("SCREENSHOTS"):  # so that the training does not end before it is stopped
        page.get_by_label("Epochs").fill("5000")
        page.get_by_label("Epochs").press("Enter")
        settle(page)
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_text("Correct").wait_for()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text("stopped: step").wait_for()
    page.get_by_role("button", name="Go on", exact=True).click()
    page.get_by_text("training: step").wait_for()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text("stopped: step").wait_for()
    settle(page)
    if os.environ.get("SCREENSHOTS"):  # a picture of a training that has come to its end
        page.get_by_role("button", name="Go on", exact=True).click()
        page.get_by_text("finished: step").wait_for(timeout=PATIENCE)
        settle(page)
        picture(page, "points_trained")


def test_backpropagation_is_walked_through(page: Page) -> None:
    go_to(page, "Scalars")
    page.get_by_role("slider").press("End")
    page.get_by_text("It is a leaf, and keeps it.").wait_for()
    settle(page)
    picture(page, "scalars_walked")


STROKES = json.loads((ROOT / "tests" / "app" / "strokes.json").read_text())


def test_a_digit_is_drawn_and_read(page: Page) -> None:
    go_to(page, "MNIST")
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_text("finished: step").wait_for(timeout=PATIENCE)
    settle(page)
    picture(page, "mnist_trained")
    page.get_by_role("tab", name="Draw a digit").click()
    frame = page.frame_locator("iframe")
    canvas = frame.locator("canvas")
    canvas.wait_for()
    right = 0
    for digit in ("3", "7"):
        draw_strokes(page, canvas, STROKES[digit])
        page.get_by_text("This is a", exact=True).wait_for()
        page.wait_for_timeout(2000)
        settle(page)
        answer = page.get_by_test_id("stMetric").filter(has_text="This is a").get_by_test_id("stMetricValue")
        right += answer.inner_text() == digit
        picture(page, f"mnist_drawn_{digit}")
        frame.get_by_role("button", name="Clear").click()
        page.get_by_text("there is nothing on the sheet").wait_for()
    assert right == 2
    for tab in ("Hidden layers", "Mistakes"):
        page.get_by_role("tab", name=tab).click()
        settle(page)
        picture(page, name_of(f"mnist {tab}"))


def test_a_sentence_is_judged(page: Page) -> None:
    go_to(page, "Sentiment")
    if page.get_by_test_id("stAlert").count():  # no reviews on this machine: the page tells where they belong
        words = page.get_by_test_id("stAlert").inner_text()
        assert "This page needs SST-2 and word vectors." in words
        assert "Put" in words
        return
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_text("finished: step 30 of 30").wait_for(timeout=PATIENCE)
    settle(page)
    sentence = page.get_by_label("Sentence", exact=True)
    praise = page.get_by_test_id("stMetric").filter(has_text="Praise").get_by_test_id("stMetricValue")
    answers = {}
    for words in ("a gorgeous, witty, moving film", "a dull, stupid, lifeless mess"):
        before = praise.inner_text()
        sentence.fill(words)
        sentence.press("Enter")
        expect(praise).not_to_have_text(before, timeout=PATIENCE)
        settle(page)
        answers[words] = float(praise.inner_text().removesuffix("%"))
    praised, blamed = answers.values()
    assert praised > 50 > blamed
    sentence.fill("a gorgeous, witty film with a boring end")
    sentence.press("Enter")
    settle(page)
    assert page.get_by_test_id("stDataFrame").count() == 3
    picture(page, "sentiment_judged")


@pytest.mark.parametrize(("system", "options"), [("dark", ""), ("light", "?embed=true&embed_options=dark_theme")])
def test_drawings_can_be_read_on_a_dark_page(browser: Browser, address: str, system: str, options: str) -> None:
    """Dark by the system's choice, or by that of the page alone."""
    light, dark = (drawn_on(browser, address, *choice) for choice in (("light", ""), (system, options)))
    assert (light.max(), light.min() < 90) == (255, True)  # ink on white
    assert np.median(light) == 255
    assert np.median(dark) < 60
    assert dark.max() > 200


def drawn_on(browser: Browser, address: str, system: str, options: str) -> np.ndarray:
    """Open the page of scalars, and give the brightness of the pixels of its drawing."""
    visitor = browser.new_page(color_scheme=system)  # type: ignore[arg-type]
    visitor.set_default_timeout(60_000)
    visitor.goto(f"{address}scalars{options}")
    drawing = visitor.get_by_test_id("stImage").get_by_role("img")
    drawing.wait_for()
    settle(visitor)
    pixels = np.asarray(Image.open(io.BytesIO(drawing.screenshot())).convert("L"))
    visitor.close()
    return pixels


def draw_strokes(page: Page, canvas: Locator, strokes: list[list[list[float]]]) -> None:
    """Draw with the mouse."""
    box = canvas.bounding_box()
    assert box is not None
    for stroke in strokes:
        spots = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*spots[0])
        page.mouse.down()
        for spot in spots[1:]:
            page.mouse.move(*spot)
        page.mouse.up()
