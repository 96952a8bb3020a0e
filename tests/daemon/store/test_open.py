"""Opening databases: new ones, ours, others', and none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text

from daemon.store import Store, StoreUnavailable, migrate
from daemon.store.database import Database
from daemon.store.grid_schema import reading
from tests.daemon.store.builders import event, job


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'new.db'}"


def test_the_migrations_make_exactly_the_tables_of_the_schema(file_url: str) -> None:
    database = Database(file_url)
    with database.write() as connection:
        migrate.upgrade(connection)
    with database.read_engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, reading.metadata) == []
    database.close()


def test_a_new_database_needs_no_migration_afterwards(file_url: str) -> None:
    Store.open(file_url).close()
    database = Database(file_url)
    with database.write() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == migrate.HEAD
        migrate.upgrade(connection)
        assert compare_metadata(MigrationContext.configure(connection), reading.metadata) == []
    database.close()


def test_the_newest_migration_is_the_one_the_program_expects() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).with_name("migrations")))
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]


def test_what_is_recorded_is_there_when_the_store_is_opened_again(file_url: str) -> None:
    store = Store.open(file_url)
    with store.write() as writer:
        writer.add_job(job(), event())
    store.close()
    store = Store.open(file_url)
    with store.read() as reader:
        assert reader.job("job-1") == job()
    store.close()


def test_every_connection_is_durable_and_checks_references(file_url: str) -> None:
    store = Store.open(file_url)
    for engine in (store.database.read_engine, store.database.write_engine):
        with engine.connect() as connection:
            pragmas = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
        assert pragmas == ["wal", 2, 1, 10_000]
    store.close()


def test_several_programs_may_open_a_new_database_at_once(file_url: str) -> None:
    program = "import sys; from daemon.store import Store; Store.open(sys.argv[1]).close()"
    path = {"PYTHONPATH": ":".join(filter(None, sys.path))}
    openers = [subprocess.Popen([sys.executable, "-c", program, file_url], env=path) for _ in range(2)]
    assert [one.wait() for one in openers] == [0, 0]


def test_a_database_that_is_up_to_date_needs_no_migration_tool(file_url: str) -> None:
    Store.open(file_url).close()
    program = (
        "import sys; from daemon.store import Store; Store.open(sys.argv[1]).close()\n"
        "heavy = {'alembic', 'torch', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program, file_url], env={"PYTHONPATH": ":".join(filter(None, sys.path))}, check=True)


def test_a_database_of_a_newer_version_is_refused_and_left_alone(file_url: str) -> None:
    Store.open(file_url).close()
    engine = create_engine(file_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from-the-future'"))
    with pytest.raises(StoreUnavailable, match="from-the-future, which this version of Lowtide does not know"):
        Store.open(file_url)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "from-the-future"
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("lowtide.db", "is not a database URL; write for example"),
        ("oracle-of-delphi://host/db", "is not a database URL"),
        ("postgresql+pg8000://host/db", "its driver cannot be loaded .No module named 'pg8000'.: install it"),
        ("sqlite://", "would forget every job; name a file"),
        ("sqlite:///:memory:", "would forget every job"),
    ],
)
def test_a_url_that_cannot_work_is_refused_with_the_remedy(url: str, said: str) -> None:
    with pytest.raises(StoreUnavailable, match=said):
        Store.open(url)


def test_a_driver_without_the_library_it_needs_is_one_sentence_with_the_remedy() -> None:
    opening = (
        "import sys\nfrom daemon.store import Store, StoreUnavailable\ntry: Store.open(sys.argv[1])\nexcept StoreUnavailable as e: print(e)"
    )
    command = [sys.executable, "-c", opening, "postgresql+psycopg://ada@host/lowtide"]
    environment = dict(os.environ) | {"PSYCOPG_IMPL": "c", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # not in psycopg[binary]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "its driver cannot be loaded" in told
    assert "psycopg[binary]" in told


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"nowhere/lowtide\.db is not available: unable to open"):
        Store.open(f"sqlite:///{tmp_path}/nowhere/lowtide.db")


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "thesis.txt"
    path.write_text("not a database " * 100)
    with pytest.raises(StoreUnavailable, match=r"thesis\.txt cannot be used as a database: file is not a database"):
        Store.open(f"sqlite:///{path}")
    assert path.read_text() == "not a database " * 100
