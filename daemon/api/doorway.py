"""What stands on the socket while the daemon opens: /healthz answers at once, everything else as soon as it can.

Opening takes a second, or minutes where a large database is brought up to date. A supervisor that asks whether the process
lives must not end it meanwhile, and whoever submits right after the start need not try again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

HEALTHY = b"ok\n"


class Doorway:
    """An ASGI app before there is one."""

    def __init__(self, open_app: Callable[[], ASGIApp]) -> None:
        self._open_app = open_app
        self._app: ASGIApp | None = None
        self._decided = asyncio.Event()

    async def open(self) -> None:
        """Make the app in a thread and let everybody in. Raises what making it raises; who waits then hears that it failed."""
        try:
            self._app = await asyncio.to_thread(self._open_app)
        finally:
            self._decided.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            if scope["path"] == "/healthz":
                await _answer(send, 200, HEALTHY)
                return
            await self._decided.wait()
        if self._app is None:
            await _answer(send, 503, b"the daemon could not open: its log says why\n")
            return
        await self._app(scope, receive, send)


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
