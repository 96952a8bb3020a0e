"""What one connection may take: few enough of them, and each must say what it wants soon.

Without bounds, whoever can reach the port could hold every file the process may open, and the tick would find none left.
"""

from __future__ import annotations

import asyncio
from typing import cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 400  # of the 1,024 files that a process usually may open; the rest is for database and run directories
HEAD_SECONDS = 20.0


class BoundedConnection(H11Protocol):
    """Hung up at once beyond MOST_CONNECTIONS, and where the head of a request is not complete after HEAD_SECONDS."""

    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        if len(self.connections) > MOST_CONNECTIONS:
            self.transport.abort()
        else:
            self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _watch_head(self) -> None:
        """Between requests uvicorn's own timer watches, until the first byte of the next."""
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._forget()
        elif self._due is None:
            self._due = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _forget(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
