"""A database of any older revision becomes one of this version's and keeps what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, inspect, select, text

from daemon.store import Store, migrate
from daemon.store.database import Database
from daemon.store.grid_schema import reading
from daemon.store.intensity import RecordedIntensity
from tests.daemon.store import test_intensity as grid
from tests.daemon.store.builders import entry, event, full_attempt, full_job, job, observation, plan, run, terms

Rows = dict[str, list[dict[str, Any]]]


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(Path(migrate.__file__).with_name("migrations")))
    return made


REVISIONS = sorted(script.revision for script in ScriptDirectory.from_config(config()).walk_revisions())


def rows_of(database: Database) -> Rows:
    """By table."""
    with database.read() as connection:
        return {table.name: [dict(row._mapping) for row in connection.execute(select(table))] for table in reading.metadata.sorted_tables}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """What a database of this version holds that has something in every table older revisions have, too."""
    store = Store.open(f"sqlite:///{tmp_path_factory.mktemp('full') / 'full.db'}")
    with store.write() as writer:
        writer.add_job(full_job(), event(), idempotency=("key", "digest"))
        writer.add_job(job("job-2"), event("job-2"), idempotency=("another key", "another digest"))
        writer.add_run(run())
        writer.add_attempt(full_attempt())
        writer.add_ledger_entry(entry())
        writer.add_account_terms("job-1", terms())
        writer.save_plan(plan())
        writer.add_observations([observation()])
    recorded = RecordedIntensity(store.database)
    recorded.put_readings([grid.reading(0, 100.0)], grid.MONDAY)
    recorded.put_readings([grid.reading(0, 110.0, known=2)], grid.MONDAY)
    rows = rows_of(store.database)
    store.close()
    return rows


def fill(connection: Connection, rows: Rows) -> None:
    """What fits into the tables and columns there are; keys had no owners before revision 0004."""
    there = inspect(connection)
    for table in reading.metadata.sorted_tables:
        if there.has_table(table.name):
            counted = table.autoincrement_column  # the database numbers these rows itself, or it would not know how to go on
            names = {column["name"] for column in there.get_columns(table.name)} - {None if counted is None else counted.name}
            for row in rows[table.name]:
                connection.execute(insert(table), {name: row[name] for name in row if name in names})
    if there.has_table("idempotency_key"):
        insertion = text("INSERT INTO idempotency_key (key, job_id, digest) VALUES (:key, :job_id, :digest)")
        connection.execute(insertion, rows["submission_key"])


def kept_by(revision: str, rows: Rows) -> Rows:
    """What of these rows a database of that revision could hold."""
    unknown: dict[str, dict[str, object]] = {"job": {}}
    if revision < "0002":
        unknown["ledger_entry"] = {"unmetered_seconds": None}
    if revision < "0003":
        unknown |= {"job": {"owner": None}, "submission_key": {"owner": ""}}
    if revision < "0007":
        unknown["job"] |= {"gpus_at_most": None, "shortest_seconds": None}
    lacking = {"account_terms"} if revision < "0008" else set()
    return {table: [row | unknown.get(table, {}) for row in told if table not in lacking] for table, told in rows.items()}


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_database_of_any_revision_becomes_one_of_this_version_and_keeps_its_rows(bare_url: str, full: Rows, revision: str) -> None:
    assert sum(map(len, full.values())) > 8
    older = Database(bare_url)
    with older.write() as connection:
        older_than = config()
        older_than.attributes["connection"] = connection
        command.upgrade(older_than, revision)
        fill(connection, full)
    older.close()
    store = Store.open(bare_url)
    found, kept = rows_of(store.database), kept_by(revision, full)
    found["submission_key"].sort(key=lambda row: str(row["job_id"]))
    kept["submission_key"].sort(key=lambda row: str(row["job_id"]))
    assert found == kept
    with store.database.read_engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert context.get_current_revision() == migrate.HEAD
        assert compare_metadata(context, reading.metadata) == []
    with store.write() as writer:  # sequences go on where they were
        writer.add_event(event())
    store.close()
