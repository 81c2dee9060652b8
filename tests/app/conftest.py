"""What the tests of the app share: a page that is opened without a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

PROJECT = Path(__file__).parents[2] / "project"


@pytest.fixture
def page():
    """Open a page of the app by its file's name: ``page("operators")``."""

    def open_page(name: str) -> AppTest:
        test = AppTest.from_file(str(PROJECT / "app_pages" / f"{name}.py"), default_timeout=120).run()
        assert not test.exception
        return test

    return open_page
