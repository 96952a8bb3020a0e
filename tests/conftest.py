"""Shared by all tests: how Hypothesis behaves on a busy machine, and how tests are shared out; a skipped service test is an error where
services must be there (CI)."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator
from types import FrameType

import pytest
from hypothesis import HealthCheck, settings

from tests.sharing_out import pytest_xdist_make_scheduler  # noqa: F401  # pytest finds it here

# Several processes test at once: threads for matrix products would only wait for each other. numpy, imported later, heeds it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("lowtide", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lowtide")

PATIENCE_SECONDS = 1200  # a test that waits for what never comes fails instead of hanging


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported for the tests stays: the garbage collector need not look through it again and again, half a second each time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    def give_up(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"{item.nodeid} waited for more than {PATIENCE_SECONDS} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE_SECONDS)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.get_closest_marker("service") and os.environ.get("LOWTIDE_REQUIRE_SERVICES") == "1":
        report.outcome = "failed"
        report.longrepr = f"LOWTIDE_REQUIRE_SERVICES=1 forbids skipping a service test: {report.longreprtext or report.longrepr}"
    return report
