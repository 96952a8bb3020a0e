"""Shared by all tests: how Hypothesis behaves on a busy machine; a skipped service test is an error where services must be there (CI)."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("lowtide", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("lowtide")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.get_closest_marker("service") and os.environ.get("LOWTIDE_REQUIRE_SERVICES") == "1":
        report.outcome = "failed"
        report.longrepr = f"LOWTIDE_REQUIRE_SERVICES=1 forbids skipping a service test: {report.longreprtext or report.longrepr}"
    return report
