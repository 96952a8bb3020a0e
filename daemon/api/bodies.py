"""Request bodies as they were meant: JSON in which no key stands twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.exceptions import HTTPException
from fastapi.routing import APIRoute
from starlette.responses import Response

from daemon.said_once import SaidTwice, each_once


class _StrictRequest(Request):
    """Parses its body once, for the framework and for whoever asks again."""

    async def json(self) -> Any:
        """Raises what `json.loads` raises, and HTTPException (422) for a key that stands twice."""
        if not hasattr(self, "_json"):
            try:
                self._json = json.loads(await self.body(), object_pairs_hook=each_once)
            except SaidTwice as problem:
                raise HTTPException(422, f"the body is ambiguous: {problem}") from None
        return self._json


class StrictRoute(APIRoute):
    """A route whose endpoint gets such requests."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly
