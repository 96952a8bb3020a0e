"""The store under test. Every test runs on SQLite and, where Debian's package is installed, on a PostgreSQL server of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.store import Store
from tests.postgresql import emptied, postgresql_server


@pytest.fixture(scope="session")
def shaped_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with all tables and no rows, to be copied: making one takes longer than most tests."""
    path = tmp_path_factory.mktemp("store") / "shaped.db"
    Store.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of PostgreSQL's one database, which every test uses up."""
    with postgresql_server() as url:
        yield url


@pytest.fixture
def store_url(backend: str, tmp_path: Path, shaped_file: Path, request: pytest.FixtureRequest) -> str:
    """A database without rows."""
    if backend == "sqlite":
        return f"sqlite:///{shutil.copy(shaped_file, tmp_path / 'low tide.db')}"
    return emptied(request.getfixturevalue("server"))


@pytest.fixture
def bare_url(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A database without tables."""
    return f"sqlite:///{tmp_path / 'bare.db'}" if backend == "sqlite" else emptied(request.getfixturevalue("server"))


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    store = Store.open(store_url)
    yield store
    store.close()
