"""The store: opened once, used by all threads of the daemon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.store.database import Database
from daemon.store.errors import StoreUnavailable
from daemon.store.migrate import check, migrate
from daemon.store.reader import Reader
from daemon.store.writer import Writer


class Store:
    """Transactions on the one database. Readers never wait for writers."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def open(cls, url: str) -> Store:
        """Connect and bring the tables to this version's shape. Raises StoreUnavailable with what to do."""
        database = Database(url)
        try:
            migrate(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    @classmethod
    def look_into(cls, url: str) -> Store:
        """Connect to a database that is there, beside a daemon that may be running; nothing is migrated. Raises StoreUnavailable."""
        database = Database(url)
        try:
            file = database.url.database
            if database.url.get_backend_name() == "sqlite" and file is not None and not Path(file).is_file():
                raise StoreUnavailable(f"there is no database file {file}: check the path")
            check(database)
        except BaseException:
            database.close()
            raise
        return cls(database)

    def close(self) -> None:
        self.database.close()

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """One transaction: kept as a whole on a normal return (then it is on disk), dropped as a whole on an exception."""
        with self.database.write() as connection:
            yield Writer(connection)

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """One consistent snapshot."""
        with self.database.read() as connection:
            yield Reader(connection)
