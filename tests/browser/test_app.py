"""The app as a visitor sees it: every page, a training, and a digit that is drawn."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page

ROOT = Path(__file__).parents[2]


def titles() -> list[str]:
    """Read the titles of the pages from the app's own list."""
    tree = ast.parse((ROOT / "project" / "app.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [keyword.value.value for call in calls for keyword in call.keywords if keyword.arg == "title"]  # type: ignore[attr-defined]


def go_to(page: Page, title: str) -> None:
    page.get_by_role("link", name=title, exact=True).click()
    page.get_by_role("heading", level=1).wait_for()
    settle(page)


def settle(page: Page) -> None:
    """Wait until the page has run, and has shown no exception."""
    page.wait_for_timeout(300)
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    assert page.locator("[data-testid=stException]").count() == 0


def picture(page: Page, name: str) -> None:
    """Keep a picture of the page, where ``SCREENSHOTS`` names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.wait_for_timeout(1500)
        page.screenshot(path=Path(folder, f"{name}.png"))


def name_of(title: str) -> str:
    return title.lower().replace(" ", "_")


@pytest.mark.parametrize("title", [title for title in titles() if title != "MiniTorch"])
def test_a_page_opens(page: Page, title: str) -> None:
    go_to(page, title)
    assert page.locator("[data-testid=stAlertContentError]").count() == 0
    picture(page, name_of(title))


def test_a_training_goes_on_while_the_page_is_watched(page: Page) -> None:
    go_to(page, "Training on points")
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_text("Correct").wait_for()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text("stopped: step").wait_for()
    page.get_by_role("button", name="Go on", exact=True).click()
    page.get_by_text("training: step").wait_for()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text("stopped: step").wait_for()
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
    page.get_by_text("finished: step").wait_for()
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
