"""Around every request: refuse bodies that are too big without reading them or too slow, count and time answers. Plain ASGI, for speed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

from fastapi.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daemon.api.problems import problem_response
from daemon.metrics import Metrics

BODY_LIMIT_BYTES = 1_000_000
BODY_SECONDS = 30.0  # for all of it; a line that needs longer for a megabyte holds up others
HANG_UP = {"Connection": "close"}  # else the server would read the rest of the body to reuse the connection


class BodyLimit:
    """Answers 413 as soon as the announced or the received length passes the limit; the rest is never read."""

    def __init__(self, app: ASGIApp, limit_bytes: int = BODY_LIMIT_BYTES) -> None:
        self._app, self._limit_bytes = app, limit_bytes
        self._detail = f"the body is larger than {limit_bytes} bytes: a job is a small JSON document, its data stays at the site"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or int(announced) > self._limit_bytes:
            await self._refuse(scope, receive, send)
            return
        await self._app(scope, self._counting(receive), send)

    def _counting(self, receive: Receive) -> Receive:
        received_bytes = 0
        due: float | None = asyncio.get_running_loop().time() + BODY_SECONDS

        async def count() -> Message:
            nonlocal received_bytes, due
            try:
                async with asyncio.timeout_at(due):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the body was not complete after {BODY_SECONDS:g} s: send it again", HANG_UP) from None
            received_bytes += len(message.get("body", b""))
            due = due if message.get("more_body", False) else None  # whoever asks again waits for the client to go
            if received_bytes > self._limit_bytes:
                raise HTTPException(413, self._detail, HANG_UP)  # FastAPI lets this one pass to the problem documents
            return message

        return count

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        await problem_response(scope["path"], 413, self._detail, headers=HANG_UP)(scope, receive, send)


class Observe:
    """Tells the metrics about every answer."""

    def __init__(self, app: ASGIApp, metrics: Metrics, timer: Callable[[], float] = perf_counter) -> None:
        self._app, self._metrics, self._timer = app, metrics, timer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        began = self._timer()

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD") else "other"
            self._metrics.answered(method, route, status, self._timer() - began)
