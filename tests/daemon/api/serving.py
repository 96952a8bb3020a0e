"""A real server on a real socket, for tests of the edge."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from daemon.api.server import config_of, listen, url_of


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The app on a free loopback port, in a thread; gives its URL."""
    bound = listen("127.0.0.1", 0)
    started = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: object = None) -> None:
            await super().startup([bound])
            started.set()

    server = Server(config_of(app))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert started.wait(10)
        yield url_of(bound)
    finally:
        server.should_exit = True
        thread.join(10)
        bound.close()
