"""Group commit: write transactions of several threads that arrive together share one trip to the disk.

There is one writer at a time, and each commit waits for the disk. So the threads take turns on one connection: each
works in a savepoint of its own, and the last in the queue commits for all. Nobody returns before the commit that holds
his changes is on disk; a turn that fails is rolled back alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, RootTransaction

from daemon.store.errors import StoreUnavailable

_LARGEST_GROUP = 64  # bounds how long the first of a group waits for its commit


class _Group:
    """Turns that will be committed together."""

    def __init__(self, connection: Connection, transaction: RootTransaction) -> None:
        self.connection, self.transaction = connection, transaction
        self.turns = 0
        self.done = threading.Event()
        self.error: Exception | None = None


class GroupCommit:
    """Write transactions on one connection, taken in turns. A thread must not open one inside another."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turn = threading.Lock()  # guards the connection and the open group
        self._counting = threading.Lock()
        self._waiting = 0  # threads that will surely take a turn: the last of them commits
        self._owner: int | None = None
        self._group: _Group | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        self._take_turn()
        try:
            group = self._join()
            try:
                yield group.connection
                group.connection.exec_driver_sql("RELEASE SAVEPOINT turn")
            except BaseException:
                self._undo_turn(group)
                raise
        finally:
            self._end_turn()
        group.done.wait()
        if group.error is not None:
            raise group.error

    def close(self) -> None:
        """Wait for the turn that may be under way; its owner commits."""
        with self._turn:
            pass

    def _take_turn(self) -> None:
        if self._owner == threading.get_ident():
            raise RuntimeError("a write transaction is already open in this thread: use the writer you have")
        with self._counting:
            self._waiting += 1
        self._turn.acquire()
        self._owner = threading.get_ident()
        with self._counting:
            self._waiting -= 1

    def _join(self) -> _Group:
        """The open group, or a new one; the turn's savepoint is set."""
        if self._group is None:
            connection = self._engine.connect()
            try:
                self._group = _Group(connection, connection.begin())
            except BaseException:
                connection.close()
                raise
        self._group.turns += 1
        self._group.connection.exec_driver_sql("SAVEPOINT turn")
        return self._group

    def _undo_turn(self, group: _Group) -> None:
        """Roll this turn back. Where the database has dropped the whole transaction (full disk), the group has failed.

        The missing savepoint shows it. Without a look the next turn would quietly begin a new transaction, and the
        turns before would be told that they are on disk.
        """
        try:
            group.connection.exec_driver_sql("ROLLBACK TO SAVEPOINT turn")
            group.connection.exec_driver_sql("RELEASE SAVEPOINT turn")
        except Exception:  # noqa: BLE001  # whatever it is, every thread of the group must hear it
            group.error = StoreUnavailable("the database gave up the transaction; nothing of it is kept, try again")

    def _end_turn(self) -> None:
        group = self._group
        with self._counting:
            is_last = self._waiting == 0
        if group is not None and (is_last or group.error is not None or group.turns >= _LARGEST_GROUP):
            self._group = None
            _commit(group)
        self._owner = None
        self._turn.release()


def _commit(group: _Group) -> None:
    try:
        if group.error is None:
            group.transaction.commit()
        else:
            group.transaction.rollback()
    except Exception as error:  # noqa: BLE001  # whatever it is, every thread of the group must hear it
        group.error = group.error or error
    finally:
        group.connection.close()
        group.done.set()
