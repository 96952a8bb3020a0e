"""A PostgreSQL server of the tests' own, from Debian's package: made in a folder of its own, gone with everything in it afterwards."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from tests.processes import wait_for

OWNER = "postgres"  # made by Debian's package; the server refuses to run as root
SORTED_AS_PEOPLE_DO = ("--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")  # not byte by byte
NO_NETWORK = ("-c", "listen_addresses=")
NOT_FOR_POWER_CUTS = ("-c", "fsync=off")
NO_LONGER_THAN_WE = ("setpriv", "--pdeathsig", "QUIT")  # also where the tests are killed
_IN_USE = "in-use"  # a file that is locked from its first moment on as long as its folder is used


@contextmanager
def postgresql_server() -> Iterator[str]:
    """The URL of an empty database, reached by a Unix socket in the cluster's folder; skips the test where there is no server to start."""
    pytest.importorskip("psycopg", reason="PostgreSQL's driver, the Python package psycopg, is not installed")
    programs = _programs()
    with owned_folder("lowtide-pg-") as folder:
        cluster = str(folder / "cluster")
        initdb = [str(programs / "initdb"), "--auth=trust", "--no-sync", f"--username={OWNER}", *SORTED_AS_PEOPLE_DO, cluster]
        subprocess.run(initdb, cwd=folder, user=_owner(), stdout=subprocess.DEVNULL, check=True)
        serve = [str(programs / "postgres"), "-D", cluster, "-k", str(folder), *NO_NETWORK, *NOT_FOR_POWER_CUTS]
        with _serving(serve, folder, f"postgresql+psycopg://{OWNER}@/{OWNER}?host={folder}", signal.SIGQUIT) as url:
            yield url


@contextmanager
def pooler(url: str, mode: str) -> Iterator[str]:
    """The URL of a pgbouncer before that database that lends sessions for a `session` or a `transaction`; skips where there is none."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("Debian's package pgbouncer is not installed")
    with owned_folder("lowtide-pool-") as folder:
        server = url.rpartition("host=")[2]
        (folder / "ini").write_text(
            f"[databases]\n{OWNER} = host={server} user={OWNER}\n"
            f"[pgbouncer]\nlisten_addr =\nunix_socket_dir = {folder}\nauth_type = any\npool_mode = {mode}\n"
        )
        pooled = f"postgresql+psycopg://{OWNER}@/{OWNER}?host={folder}&port=6432"
        with _serving([program, str(folder / "ini")], folder, pooled, signal.SIGTERM) as url:
            yield url


@contextmanager
def _serving(command: list[str], folder: Path, url: str, at_once: signal.Signals) -> Iterator[str]:
    """The URL, as soon as the command serves it; ended by the signal that waits for nobody who is connected."""
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*NO_LONGER_THAN_WE, *command], cwd=folder, user=_owner(), stdout=log, stderr=log)
    try:
        wait_for(lambda: _answers(url, server, folder / "log"))
        yield url
    finally:
        server.send_signal(at_once)
        server.wait(30)


@contextmanager
def owned_folder(prefix: str) -> Iterator[Path]:
    """A folder of the server's owner, gone afterwards; first those of tests that were killed are removed."""
    _sweep(prefix)
    with tempfile.TemporaryDirectory(prefix=prefix) as made, Path(made, "to-be-locked").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets it go whatever ends us
        Path(lock.name).rename(Path(made, _IN_USE))
        if os.geteuid() == 0:
            shutil.chown(made, OWNER)
        yield Path(made)


def _sweep(prefix: str) -> None:
    """Remove the folders in which nobody works any more."""
    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*/{_IN_USE}"):
        with suppress(OSError), path.open() as lock:  # of another user, or in use
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.parent, ignore_errors=True)


def emptied(url: str) -> str:
    """The same database, without tables."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))  # a test that failed may have left a transaction open
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url


def end_sessions_with_locks(url: str) -> None:
    """As a restart of the server does, which ends every session."""
    engine = create_engine(url)
    with engine.connect() as connection:
        ended = "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
        assert connection.execute(text(ended)).all() == [(True,)]
    engine.dispose()


def _programs() -> Path:
    """Where the newest server's programs are: Debian keeps them out of the search path."""
    newest = max(Path("/usr/lib/postgresql").glob("[0-9]*/bin/initdb"), key=lambda path: float(path.parts[-3]), default=None)
    if newest is None:
        pytest.skip("Debian's package postgresql is not installed")
    return newest.parent


def _owner() -> int | None:
    """Who must run the server; None: whoever runs the tests."""
    return pwd.getpwnam(OWNER).pw_uid if os.geteuid() == 0 else None


def _answers(url: str, server: subprocess.Popen[bytes], log: Path) -> bool | None:
    assert server.poll() is None, log.read_text()
    engine = create_engine(url)
    try:
        engine.connect().close()
    except OperationalError:
        return None
    finally:
        engine.dispose()
    return True
