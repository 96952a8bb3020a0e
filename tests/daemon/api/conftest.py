"""An open daemon (no tokens) on a real socket, started once; each test gets it with a fresh script."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from daemon.api.app import create_app
from daemon.metrics import Metrics
from daemon.settings import Settings
from tests.daemon.api.scripted import ScriptedService
from tests.daemon.api.serving import serving


@pytest.fixture(scope="session")
def running() -> Iterator[tuple[str, ScriptedService]]:
    service = ScriptedService()
    with serving(create_app(service, Settings(), Metrics([("umea", "SE")]))) as url:
        yield url, service


@pytest.fixture
def service(running: tuple[str, ScriptedService]) -> ScriptedService:
    running[1].reset()
    return running[1]


@pytest.fixture
def api(running: tuple[str, ScriptedService], service: ScriptedService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running[0], timeout=30.0) as client:
        yield client
