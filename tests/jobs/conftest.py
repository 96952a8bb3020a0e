"""Shared by the tests of the node: what a run sets for its whole process is set back after each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from jobs.rundir import RunDirectory
from tests.jobs.processes import prepare, training, work


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A `training()` that nobody interrupted. Made once: leave it as it is."""
    directory = prepare(tmp_path_factory.mktemp("trained") / "run", training())
    assert work(directory) == 0
    return directory


@pytest.fixture(autouse=True)
def deterministic_mode_is_set_back() -> Iterator[None]:
    """A run in the test's own process makes torch deterministic, which the meta device's counting does not bear.

    Before each test, too: tests elsewhere train in this process as well.
    """
    _set_back()
    yield
    _set_back()


def _set_back() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_deterministic_debug_mode() != 0:
        torch.set_deterministic_debug_mode(0)
