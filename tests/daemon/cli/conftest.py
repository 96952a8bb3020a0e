"""The command line against a real server that answers from a script."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from daemon.cli import build_app
from tests.daemon.api.conftest import running, service
from tests.daemon.api.scripted import ScriptedService

__all__ = ["running", "service"]

Lowtide = Callable[..., Result]


@pytest.fixture
def lowtide(running: tuple[str, ScriptedService], service: ScriptedService, monkeypatch: pytest.MonkeyPatch) -> Lowtide:
    """Runs `lowtide ARGUMENTS` against the scripted daemon."""
    monkeypatch.setenv("LOWTIDE_URL", running[0])
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(build_app(), arguments, input=stdin)

    return run
