"""What stands on the socket while the daemon opens: /healthz answers at once, everything else as soon as it can.

Opening takes a second, or minutes where a large database is brought up to date. A supervisor that asks whether the process
lives must not end it meanwhile, and whoever submits right after the start need not try again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

HEALTHY = b"ok\n"


class Doorway:
    """An ASGI app before there is one."""

    def __init__(self, open_app: Callable[[], ASGIApp]) -> None:
        self._open_app = open_app
        self._app: ASGIApp | None = None
        self._thread: threading.Thread | None = None
        self._decided = asyncio.Event()

    async def open(self) -> None:
        """Make the app in a thread and let everybody in. Raises what making it raises; who waits then hears that there is none.

        The thread is a daemon of its own: the event loop would wait for one of its executor's at its end, minutes or for ever
        (`asyncio.loop.shutdown_default_executor`), and nobody who asked us to stop should.
        """
        made: Future[ASGIApp] = Future()
        self._thread = threading.Thread(target=_keep_outcome, args=(self._open_app, made), name="opening", daemon=True)
        self._thread.start()
        try:
            self._app = await asyncio.wrap_future(made)
        finally:
            self._decided.set()

    def at_rest(self, within_seconds: float) -> bool:
        """Whether nothing is being opened, or no longer after waiting so long for it."""
        if self._thread is not None:
            self._thread.join(within_seconds)
        return self._thread is None or not self._thread.is_alive()

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


def _keep_outcome(make: Callable[[], ASGIApp], made: Future[ASGIApp]) -> None:
    """What `make` returns or raises, for whoever awaits `made`; nothing is made where nobody does any more."""
    if not made.set_running_or_notify_cancel():
        return
    try:
        made.set_result(make())
    except BaseException as problem:  # noqa: BLE001  # raised again where it is awaited
        made.set_exception(problem)


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
