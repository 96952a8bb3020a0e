"""Worlds for the tests of the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.service.world import HEIDELBERG, UMEA, World, open_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One site in Germany, where nights are clean."""
    with open_world(tmp_path) as one:
        yield one


@pytest.fixture
def two_sites(tmp_path: Path) -> Iterator[World]:
    """Home in Germany, and a site in Sweden, where the grid is always clean."""
    with open_world(tmp_path, HEIDELBERG, UMEA) as one:
        yield one
