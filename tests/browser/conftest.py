"""The app on a server of its own, and Chromium in front of it.

Chromium is the one that ``CHROMIUM`` names, or the one on the path (Debian: ``apt-get install chromium``).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    options = ["--server.headless=true", "--server.address=127.0.0.1", f"--server.port={port}"]
    command = [sys.executable, "-m", "streamlit", "run", "project/app.py", *options]
    with log.open("w") as output:
        server = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).close()
                break
            except (urllib.error.URLError, OSError):
                assert server.poll() is None, log.read_text()
                time.sleep(0.2)
        else:
            pytest.fail(f"the app did not start: {log.read_text()}")
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "no Chromium: install Debian's (apt-get install chromium), or name one with CHROMIUM"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """A new visitor on the first page; nothing may go wrong in his console, or leave the machine."""
    visitor = browser.new_page(viewport={"width": 1400, "height": 1000})
    visitor.set_default_timeout(60_000)
    faults: list[str] = []
    visitor.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    visitor.on("pageerror", lambda error: faults.append(str(error)))
    visitor.on("request", lambda request: faults.append(request.url) if leaves(request.url, address) else None)
    visitor.goto(address)
    yield visitor
    visitor.close()
    assert faults == []


def leaves(url: str, address: str) -> bool:
    return not url.startswith((address, address.replace("http:", "ws:"), "data:", "blob:"))
