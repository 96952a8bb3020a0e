"""Bringing a database to the shape this version expects."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from daemon.store.database import Database
from daemon.store.errors import StoreUnavailable

HEAD = "0001"  # the newest revision under migrations/versions
_MIGRATIONS = Path(__file__).with_name("migrations")


def migrate(database: Database) -> None:
    """Run the missing migrations in one transaction; nothing to do costs one query.

    Raises StoreUnavailable for a database that a newer version has written.
    """
    with database.read() as connection:
        if _revision(connection) == HEAD:
            return
    with database.write() as connection:
        if _revision(connection) != HEAD:  # another process may have done it while we waited
            _upgrade(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _upgrade(connection: Connection) -> None:
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
