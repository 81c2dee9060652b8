"""What every test shares: Hypothesis's effort, the course's older numbering, and what there is of PyTorch and CUDA."""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

import minitorch
from minitorch.kernels.cuda.driver import obstacle

# Compiling a kernel takes seconds, so no example has a deadline.
settings.register_profile("dev", max_examples=25, deadline=None)
# Nor is a machine's slowness a fault of the code.
settings.register_profile(
    "ci",
    max_examples=50,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("intense", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("MINITORCH_HYPOTHESIS", "ci" if os.environ.get("CI") else "dev"))

# A shell starts background jobs with ctrl-C ignored, and tests send it to themselves.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# `pytest -m task4_1` has to work without these extras; the run's last lines then say what was left out, and why.
NEEDED = {
    "parity": ("torch", "it needs PyTorch (make test-parity)"),
    "app": ("streamlit", "it needs Streamlit (make test-app)"),
    "browser": ("playwright", "it needs Playwright (make test-browser)"),
}
LEFT_OUT = {folder: why for folder, (module, why) in NEEDED.items() if importlib.util.find_spec(module) is None}
if (no_cuda := obstacle()) is not None:
    LEFT_OUT["cuda"] = f"{no_cuda.reason} (make test-cuda simulates a GPU)"
collect_ignore = list(LEFT_OUT)

# Where a whole task moved, its current marker tells the older one. Task 4.4 was divided over three older tasks: its
# tests name theirs with @pytest.mark.edition2020("task4_2"), but for those of dropout, which was 4.4 then too.
TASKS_OF_2020 = {
    "task4_1": "task4_1",
    "task4_2": "task4_1",
    "task4_3": "task4_2",
    "task4_4": "task4_4",
    "task4_5": "task4_5",
}


@pytest.fixture(autouse=True)
def switches_stay_as_they_were() -> Iterator[None]:
    """Fail a test that leaves a switch of the library flipped for the tests after it."""
    before = _switches()
    yield
    after = _switches()
    minitorch.set_default_dtype(before[0])
    minitorch.set_default_backend(before[1])
    assert after == before


@pytest.fixture(scope="session", autouse=True)
def compiled_steps_may_refer_to_pytest() -> Iterator[None]:
    """Let compiled steps of tests refer to what pytest made, such as fixtures, and not be read any further there."""
    from minitorch.compiler.guard import reach

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reach, "LIBRARIES", reach.LIBRARIES | {"_pytest"})
        yield


def _switches() -> tuple[object, ...]:
    made = minitorch.zeros((1,))
    return made.dtype, made.backend, minitorch.is_grad_enabled()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--edition",
        choices=["2020", "current"],
        default="current",
        help="the edition of the course whose numbering -m task4_1 and the like follow",
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for folder, why in LEFT_OUT.items():
        terminalreporter.write_line(f"tests/{folder} was left out: {why}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Renumber module 4 before -m selects."""
    if config.getoption("--edition") == "2020":
        renumbered = [(item, task_of_2020(item)) for item in items]
        for item, _ in renumbered:
            for node in item.listchain():
                node.own_markers = [mark for mark in node.own_markers if not mark.name.startswith("task4_")]
        for item, task in renumbered:
            if task is not None:
                item.add_marker(task)


def task_of_2020(item: pytest.Item) -> str | None:
    """Name a test's task on the older page, or None where the page had no such task."""
    explicit = item.get_closest_marker("edition2020")
    if explicit is not None:
        return explicit.args[0]
    for mark in item.iter_markers():
        if mark.name in TASKS_OF_2020:
            return TASKS_OF_2020[mark.name]
    return None
