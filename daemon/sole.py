"""One daemon per database: two would plan against each other."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import IO

from daemon.domain.errors import LowtideError
from daemon.store.database import AdvisoryLock
from daemon.store.errors import StoreUnavailable

log = logging.getLogger(__name__)

_DAEMONS_LOCK = 0x6C6F777469646564  # "lowtided": the advisory lock of whichever daemon works on a PostgreSQL database

Hindrance = Callable[[], str | None]  # why this daemon must not act now; None: it may


def unhindered() -> None:
    """Nothing keeps this daemon from acting."""


class AlreadyRunning(LowtideError):
    """Another daemon holds the lock of this database."""


class NoPlaceForDatabase(LowtideError):
    """The database's folder cannot be made or written."""


@contextmanager
def sole_daemon(database: str) -> Iterator[Hindrance]:
    """Holds the lock that only one daemon per database can have, on whichever host; gives what tells whether it still does.

    Raises AlreadyRunning, NoPlaceForDatabase, StoreUnavailable.
    """
    if not database.startswith("sqlite:///"):
        name, lock = database.rpartition("@")[2], AdvisoryLock(database, _DAEMONS_LOCK)
        if not lock.take():
            raise AlreadyRunning(_another_works_on(name))
        try:
            yield _Watch(lock, name).hindrance
        finally:
            lock.release()
        return
    path = Path(database.removeprefix("sqlite:///") + ".lock")
    with _opened(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(_another_works_on(database)) from None
        yield unhindered  # the kernel takes the lock back from nobody who lives


class _Watch:
    """Looks after a lock that a restart of the server frees: whoever asks first then has it. Safe from several threads."""

    def __init__(self, lock: AdvisoryLock, name: str) -> None:
        self._lock, self._name = lock, name
        self._told: str | None = None
        self._one_at_a_time = Lock()

    def hindrance(self) -> str | None:
        """None while the lock is ours, taken again where it was lost and is free; each change is logged once."""
        with self._one_at_a_time:
            if self._lock.is_held():
                return None
            reason = self._take_again()
            if reason is None:
                log.warning("sole-lock-renewed", extra={"database": self._name})
            elif reason != self._told:
                log.error("sole-lock-lost", extra={"database": self._name, "reason": reason})
            self._told = reason
            return reason

    def _take_again(self) -> str | None:
        try:
            return None if self._lock.take() else _another_works_on(self._name)
        except StoreUnavailable as error:
            return str(error)


def _another_works_on(database: str) -> str:
    return f"another daemon works on {database}: stop it, or give this one a database of its own"


def _opened(path: Path) -> IO[str]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a")
    except OSError as error:
        raise NoPlaceForDatabase(f"{path.parent}: cannot be written ({error.strerror}): set database to a place that can") from None
