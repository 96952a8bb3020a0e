"""Bringing a database to the shape this version expects."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from daemon.store.database import Database
from daemon.store.errors import StoreUnavailable
from daemon.store.grid_schema import reading

HEAD = "0008"  # the newest revision under migrations/versions
_MIGRATIONS = Path(__file__).with_name("migrations")


def migrate(database: Database) -> None:
    """Run the missing migrations in one transaction; nothing to do costs one query.

    Raises StoreUnavailable for a database that a newer version has written.
    """
    with database.read() as connection:
        if _revision(connection) == HEAD:
            return
    with database.write() as connection:
        if _revision(connection) == HEAD:
            return  # another process has done it while we waited
        if inspect(connection).get_table_names():
            upgrade(connection)
        else:
            _create(connection)


def check(database: Database) -> None:
    """Raises StoreUnavailable unless the tables have this version's shape; changes nothing."""
    with database.read() as connection:
        revision = _revision(connection)
    if revision is None:
        raise StoreUnavailable(f"{database.url.render_as_string(hide_password=True)} is not a database of Lowtide: check the URL")
    if revision != HEAD:
        raise StoreUnavailable(
            f"the database has revision {revision}, this version of Lowtide needs {HEAD}: start its daemon on the database once, or look "
            "into it with the version that wrote it"
        )


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _create(connection: Connection) -> None:
    """Make the tables of a new database at once: what all migrations together make (a test holds them equal), without Alembic,
    whose import is a sixth of a start."""
    reading.metadata.create_all(connection)  # one metadata for jobs and grid history
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def upgrade(connection: Connection) -> None:
    """Run the migrations that are missing. Raises StoreUnavailable for a revision this version does not know."""
    # imported here because a database that is up to date needs none of it, and the daemon starts faster
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = _revision(connection)
    if current is not None and current not in known:
        raise StoreUnavailable(
            f"the database has revision {current}, which this version of Lowtide does not know: it was written by a newer "
            "version; start that one, or name another database"
        )
    command.upgrade(config, "head")
