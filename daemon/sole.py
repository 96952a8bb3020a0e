"""One daemon per database: two would plan against each other."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from daemon.domain.errors import LowtideError
from daemon.store.database import advisory_lock

_DAEMONS_LOCK = 0x6C6F777469646564  # "lowtided": the advisory lock of whichever daemon works on a PostgreSQL database


class AlreadyRunning(LowtideError):
    """Another daemon holds the lock of this database."""


class NoPlaceForDatabase(LowtideError):
    """The database's folder cannot be made or written."""


@contextmanager
def sole_daemon(database: str) -> Iterator[None]:
    """Holds the lock that only one daemon per database can have, on whichever host. Raises AlreadyRunning, NoPlaceForDatabase,
    StoreUnavailable."""
    if not database.startswith("sqlite:///"):
        with advisory_lock(database, _DAEMONS_LOCK) as is_ours:
            if not is_ours:
                raise _already_running(database.rpartition("@")[2])
            yield
        return
    path = Path(database.removeprefix("sqlite:///") + ".lock")
    with _opened(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise _already_running(database) from None
        yield


def _already_running(database: str) -> AlreadyRunning:
    return AlreadyRunning(f"another daemon works on {database}: stop it, or give this one a database of its own")


def _opened(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a")
    except OSError as error:
        raise NoPlaceForDatabase(f"{path.parent}: cannot be written ({error.strerror}): set database to a place that can") from None
