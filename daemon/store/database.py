"""Opening a database: one engine that writes, one that reads snapshots.

Every difference in behaviour between the databases is in this module. On all of them writers follow one another, also
those of several programs, so that what a transaction has read still holds when it writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, func, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError, SQLAlchemyError

from daemon.store.errors import DiskFull, StoreUnavailable
from daemon.store.group_commit import GroupCommit

_BUSY_MILLISECONDS = 10_000  # how long we wait for another program that writes
_KEPT_CONNECTIONS = 16  # opening one costs several statements; more readers than this at once are rare
_PATIENCE = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
"""How long a server that vanished without a word is waited for (libpq's names; the last in ms): the kernel gives up after a quarter of an
hour only, and no job starts meanwhile."""

_WRITERS_LOCK = 0x6C6F7774696465  # "lowtide": the advisory lock that PostgreSQL's writers follow one another by


class Database:
    """One database with its write transactions and its read snapshots. Safe to use from several threads."""

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        is_sqlite = self.url.get_backend_name() == "sqlite"
        self.write_engine, self.read_engine = _sqlite_engines(self.url) if is_sqlite else _server_engines(self.url)
        self._writes = GroupCommit(self.write_engine)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """All or nothing; on a normal return the changes are on disk."""
        with _plain_errors(self.url), self._writes.transaction() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot: nothing that is committed meanwhile shows up in it."""
        with _plain_errors(self.url), self.read_engine.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Wait for the writes under way and close all connections."""
        self._writes.close()
        self.write_engine.dispose()
        self.read_engine.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        parsed.get_dialect().import_dbapi()
    except ImportError as error:  # psycopg without a library of PostgreSQL's cannot be imported either, and says so in several lines
        said = " ".join(str(error).split())
        raise StoreUnavailable(
            f"database: its driver cannot be loaded ({said}): install it, for PostgreSQL as psycopg[binary], the extra postgresql"
        ) from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreUnavailable(f'database: {url!r} is not a database URL; write for example "sqlite:///lowtide.db"') from error
    if parsed.get_backend_name() == "sqlite" and (parsed.database or ":memory:") == ":memory:":
        raise StoreUnavailable('database: a database in memory would forget every job; name a file, for example "sqlite:///lowtide.db"')
    return parsed


def _sqlite_engines(url: URL) -> tuple[Engine, Engine]:
    """One that takes the write lock as it begins, and one that does not.

    The driver's own deferred begin lets two writers read the same row before either writes: it claims jobs twice.
    """
    return _sqlite_engine(url, "BEGIN IMMEDIATE"), _sqlite_engine(url, "BEGIN")


def _sqlite_engine(url: URL, begin: str) -> Engine:
    engine = create_engine(
        url, connect_args={"check_same_thread": False}, pool_size=_KEPT_CONNECTIONS, max_overflow=-1, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        # synchronous=FULL: a job once accepted survives a power cut
        for pragma in (f"busy_timeout={_BUSY_MILLISECONDS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    _begin_with(engine, begin)
    return engine


def _begin_with(engine: Engine, statement: str) -> None:
    """Have every transaction begin so: in the dialect, as for a listener to `begin` each statement is asked whether it is listened to."""

    def begin(connection: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(statement)
        cursor.close()

    engine.dialect.do_begin = begin  # type: ignore[assignment]  # each engine has a dialect of its own


def _server_engines(url: URL) -> tuple[Engine, Engine]:
    """PostgreSQL: writers take an advisory lock, readers a read-only snapshot. Lost connections are noticed and made anew."""
    # hide_parameters: what jobs say stays out of errors, and so out of logs and of /readyz
    writing = create_engine(url, connect_args=_patience(url), pool_pre_ping=True, hide_parameters=True)
    reading = create_engine(
        url,
        connect_args=_patience(url),
        pool_pre_ping=True,
        pool_size=_KEPT_CONNECTIONS,
        isolation_level="REPEATABLE READ",
        hide_parameters=True,
    )
    _begin_with(writing, f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})")
    return writing, reading.execution_options(postgresql_readonly=True)


def _patience(url: URL) -> dict[str, int]:
    """What the URL says itself comes first; drivers that are not libpq's have other names for it."""
    return {name: value for name, value in _PATIENCE.items() if name not in url.query} if url.drivername.endswith("psycopg") else {}


_HOLDS = text(
    "SELECT pg_backend_pid() = :backend AND EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = :backend AND granted"
    " AND CAST(classid AS bigint) = :high AND CAST(objid AS bigint) = :low AND objsubid = 1)"
)
"""A lock's key of 64 bits is told in two halves (PostgreSQL's documentation of pg_locks)."""


class AdvisoryLock:
    """A lock of PostgreSQL's, held by a session of its own: it ends with the process, and wherever the server ends the session."""

    def __init__(self, url: str, key: int) -> None:
        self._url, self._key = _parse(url), key
        self._engine = create_engine(self._url, connect_args=_patience(self._url), poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._session: Connection | None = None
        self._holds = _HOLDS

    def take(self) -> bool:
        """Whether it is ours now. Raises StoreUnavailable, also where a pooler would give the lock's session to others."""
        self.release()
        with _plain_errors(self._url), ExitStack() as unless_ours:
            session = unless_ours.enter_context(self._engine.connect())
            backend = session.scalar(select(func.pg_backend_pid()))
            if announced_backend(session) not in (None, backend):
                raise _pooled(self._url)
            self._holds = _HOLDS.bindparams(backend=backend, high=self._key >> 32, low=self._key & 0xFFFFFFFF)
            if not session.scalar(select(func.pg_try_advisory_lock(self._key))):
                return False
            if not session.scalar(self._holds):
                raise _pooled(self._url)
            unless_ours.pop_all()
        self._session = session
        return True

    def is_held(self) -> bool:
        """Whether the session that took it still answers, is the same at the server, and has the lock."""
        try:
            return self._session is not None and bool(self._session.scalar(self._holds))
        except SQLAlchemyError:  # whatever it is, nobody knows whether the lock is ours
            self.release()
            return False

    def release(self) -> None:
        """The server frees the lock with the session, also where it is out of reach and cannot be told."""
        if self._session is not None:
            self._session.invalidate()
            self._session.close()
            self._session = None


def announced_backend(session: Connection) -> int | None:
    """The number of the server's process as it was told when the connection was made; None where the driver does not pass it on.

    Poolers such as pgbouncer make one up, since each statement may go to another process (libpq's PQbackendPID).
    """
    return getattr(getattr(session.connection.driver_connection, "info", None), "backend_pid", None)


def _pooled(url: URL) -> StoreUnavailable:
    return StoreUnavailable(
        f"the database {url.render_as_string(hide_password=True)} is reached through a pooler (such as pgbouncer), where the lock that "
        "keeps a second daemon away would not hold, as one session may serve several programs: set database to the server's own address"
    )


@contextmanager
def _plain_errors(url: URL) -> Iterator[None]:
    """Turn what a driver says when the database is out of reach into one sentence."""
    try:
        yield
    except OperationalError as error:
        if "disk is full" in str(error.orig) or "No space left on device" in str(error.orig):  # SQLite's words, PostgreSQL's words
            raise DiskFull(f"the disk that holds {url.render_as_string(hide_password=True)} is full: free space there") from error
        raise _not_available(url, error) from error
    except (DatabaseError, InterfaceError) as error:
        if error.connection_invalidated:  # PostgreSQL ends sessions in more words than an OperationalError's
            raise _not_available(url, error) from error
        if type(error) is not DatabaseError:
            raise  # a broken constraint or a wrong statement is our own mistake and stays visible
        raise StoreUnavailable(f"{url.render_as_string(hide_password=True)} cannot be used as a database: {error.orig}") from error


def _not_available(url: URL, error: DBAPIError) -> StoreUnavailable:
    said = " ".join(str(error.orig).split())  # PostgreSQL's words come in several lines
    return StoreUnavailable(f"the database {url.render_as_string(hide_password=True)} is not available: {said}")
