"""Serves the app on a socket until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn

from daemon.api.connections import BoundedConnection
from daemon.api.doorway import Doorway

if TYPE_CHECKING:
    from starlette.types import ASGIApp

log = logging.getLogger(__name__)

SHUTDOWN_SECONDS = 5
OPENING_SECONDS = 3  # how long a start may go on after a stop, so that it can be cleaned up: twice what it mostly takes
BACKLOG = 128  # asyncio takes in as many at one go, before any of them can be counted


class CannotListen(Exception):
    """The address is taken, or not ours; `str()` is one sentence."""


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP, or asyncio does not switch Nagle's algorithm off: head and body of an answer would be 40 ms apart.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host.strip("[]"), port))
    except OSError as error:
        bound.close()
        raise CannotListen(f"cannot listen on {host}:{port} ({error.strerror}): choose another with --port or server.port") from None
    return bound


def url_of(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve_until_stopped(open_app: Callable[[], ASGIApp], bound: socket.socket, started: Callable[[], None]) -> None:
    """Answer requests until a signal says stop; returns so that the caller can clean up.

    `open_app` makes the app in a thread while the socket answers already; `started` is called when it has. Raises what it raises.
    Told to stop before that, this returns soon, and the thread ends with the process.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal once more after its own end: it must not end us before cleaning up
        signal.signal(number, signal.SIG_IGN)
    server = _Server(open_app, started)
    server.run(sockets=[bound])
    if not server.doorway.at_rest(OPENING_SECONDS):
        log.warning("opening-cut-short")
    if server.problem is not None:
        raise server.problem


def config_of(app: ASGIApp) -> uvicorn.Config:
    """How an app is served."""
    return uvicorn.Config(
        app,
        http=BoundedConnection,
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


class _Server(uvicorn.Server):
    """Opens its app once it listens, and ends where that fails."""

    def __init__(self, open_app: Callable[[], ASGIApp], started: Callable[[], None]) -> None:
        self.doorway = Doorway(open_app)
        super().__init__(config_of(self.doorway))
        self._on_started = started
        self._opening: asyncio.Task[None] | None = None
        self.problem: Exception | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._opening = asyncio.create_task(self._open())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._opening is not None:
            self._opening.cancel()  # who still waits at the doorway hears at once that nothing comes
        await super().shutdown(sockets)

    async def _open(self) -> None:
        try:
            await self.doorway.open()
        except Exception as problem:  # noqa: BLE001  # handed to whoever serves
            self.problem, self.should_exit = problem, True
        else:
            self._on_started()
