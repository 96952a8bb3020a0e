"""The store under test. Every test runs on SQLite; on PostgreSQL too where LOWTIDE_TEST_POSTGRES names a database to use up."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from daemon.store import Store

POSTGRES = os.environ.get("LOWTIDE_TEST_POSTGRES")


@pytest.fixture(scope="session")
def shaped_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database with all tables and no rows, to be copied: making one takes longer than most tests."""
    path = tmp_path_factory.mktemp("store") / "shaped.db"
    Store.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"] if POSTGRES else ["sqlite"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store_url(backend: str, tmp_path: Path, shaped_file: Path) -> str:
    """A database without rows."""
    return f"sqlite:///{shutil.copy(shaped_file, tmp_path / 'low tide.db')}" if backend == "sqlite" else emptied_server()


@pytest.fixture
def bare_url(backend: str, tmp_path: Path) -> str:
    """A database without tables."""
    return f"sqlite:///{tmp_path / 'bare.db'}" if backend == "sqlite" else emptied_server()


def emptied_server() -> str:
    """PostgreSQL's database, without tables."""
    assert POSTGRES is not None
    engine = create_engine(POSTGRES)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return POSTGRES


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    store = Store.open(store_url)
    yield store
    store.close()
