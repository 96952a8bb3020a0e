"""Serves the app on a socket until SIGTERM or SIGINT."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from daemon.api.connections import BoundedConnection

SHUTDOWN_SECONDS = 5
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


def serve_until_stopped(app: FastAPI, bound: socket.socket, started: Callable[[], None]) -> None:
    """Answer requests until a signal says stop; calls `started` once the socket accepts. Returns so that the caller can clean up."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(
            number, signal.SIG_IGN
        )  # uvicorn raises the signal once more after its own end: it must not end us before cleaning up
    _Server(config_of(app), started).run(sockets=[bound])


def config_of(app: FastAPI) -> uvicorn.Config:
    """How the app is served."""
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
    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()
