"""Opening a database, and its transactions: grouped writes for SQLite, plain ones elsewhere; snapshots for reading.

Every difference in behaviour between the databases is in this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError

from daemon.store.errors import StoreUnavailable
from daemon.store.group_commit import GroupCommit

_BUSY_MILLISECONDS = 10_000  # how long we wait for another process that writes
_KEPT_CONNECTIONS = 16  # opening one costs several statements; more readers than this at once are rare


class WriteTransactions(Protocol):
    def transaction(self) -> AbstractContextManager[Connection]:
        """All or nothing; on a normal return the changes are on disk."""
        ...

    def close(self) -> None: ...


class PlainTransactions:
    """One connection and one commit per write: right where the server itself groups commits."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def transaction(self) -> AbstractContextManager[Connection]:
        return self._engine.begin()

    def close(self) -> None:
        """Nothing is held between transactions."""


class Database:
    """One database with its write transactions and its read snapshots. Safe to use from several threads."""

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        is_sqlite = self.url.get_backend_name() == "sqlite"
        self.write_engine = _sqlite_engine(self.url, "BEGIN IMMEDIATE") if is_sqlite else create_engine(self.url, pool_pre_ping=True)
        self.read_engine = (
            _sqlite_engine(self.url, "BEGIN")
            if is_sqlite
            else self.write_engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        )
        self._writes: WriteTransactions = GroupCommit(self.write_engine) if is_sqlite else PlainTransactions(self.write_engine)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with _plain_errors(self.url), self._writes.transaction() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot: nothing that is committed meanwhile shows up in it."""
        with _plain_errors(self.url), self.read_engine.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        self._writes.close()
        self.write_engine.dispose()
        self.read_engine.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreUnavailable(f'database: {url!r} is not a database URL; write for example "sqlite:///lowtide.db"') from error
    if parsed.get_backend_name() == "sqlite" and (parsed.database or ":memory:") == ":memory:":
        raise StoreUnavailable('database: a database in memory would forget every job; name a file, for example "sqlite:///lowtide.db"')
    return parsed


def _sqlite_engine(url: URL, begin: str) -> Engine:
    """An engine whose transactions begin with `begin`.

    The driver's own deferred begin lets two writers read the same row before either writes: it claims jobs twice.
    synchronous=FULL: a job once accepted survives a power cut.
    """
    engine = create_engine(url, connect_args={"check_same_thread": False}, pool_size=_KEPT_CONNECTIONS, max_overflow=-1)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in (f"busy_timeout={_BUSY_MILLISECONDS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


@contextmanager
def _plain_errors(url: URL) -> Iterator[None]:
    """Turn what a driver says when the database is out of reach into one sentence."""
    try:
        yield
    except OperationalError as error:
        raise StoreUnavailable(f"the database {url.render_as_string(hide_password=True)} is not available: {error.orig}") from error
    except DatabaseError as error:
        if type(error) is not DatabaseError:
            raise  # a broken constraint or a wrong statement is our own mistake and stays visible
        raise StoreUnavailable(f"{url.render_as_string(hide_password=True)} cannot be used as a database: {error.orig}") from error
