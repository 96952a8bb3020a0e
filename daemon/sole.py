"""One daemon per database: two would plan against each other."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.domain.errors import LowtideError


class AlreadyRunning(LowtideError):
    """Another daemon holds the lock of this database."""


@contextmanager
def sole_daemon(database: str) -> Iterator[None]:
    """Holds the lock that only one daemon per database file can have. Raises AlreadyRunning."""
    if not database.startswith("sqlite:///"):
        yield
        return
    path = Path(database.removeprefix("sqlite:///") + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(f"another daemon works on {database}: stop it, or give this one a database of its own") from None
        yield
