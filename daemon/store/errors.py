"""What the store raises beside NotFound.

StoreError
 |- StaleWrite          somebody else changed the row meanwhile: read again, decide again
 |- BackwardsState      an attempt was about to move back to an earlier state
 '- StoreUnavailable    the database cannot be opened, read or written now; nothing of the transaction is kept
     '- DiskFull         there is no room for it on the database's disk
"""

from __future__ import annotations

from daemon.domain.states import AttemptState


class StoreError(Exception):
    """Base of the store's errors; `str()` is one clear sentence."""


class StaleWrite(StoreError):
    """The change was made from an older version than the stored one. Nothing was changed."""


class BackwardsState(StoreError):
    """A late report tried to move an attempt to an earlier state, or out of a final one. See states.advance."""

    def __init__(self, attempt_id: str, current: AttemptState, wanted: AttemptState) -> None:
        super().__init__(f"attempt {attempt_id} is {current} and never moves back to {wanted}")
        self.attempt_id, self.current, self.wanted = attempt_id, current, wanted


class StoreUnavailable(StoreError):
    """The database said no (full disk, locked by another program, no connection). The same call may work later."""


class DiskFull(StoreUnavailable):
    """The disk that holds the database is full. The same call works once there is room."""
