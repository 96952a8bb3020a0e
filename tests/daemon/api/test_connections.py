"""Clients that open connections and say nothing, little or too much: they lose theirs, and others are answered."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from daemon.api import connections, middleware
from tests.daemon.api.test_problems import job, synthesis
from tests.processes import wait_for

PATIENCE_SECONDS = 20  # of the test; what it waits for comes within a tenth of a second
HEAD = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@contextmanager
def connected(api: httpx.Client) -> Iterator[socket.socket]:
    with socket.create_connection((api.base_url.host, api.base_url.port or 80), timeout=PATIENCE_SECONDS) as raw:
        yield raw


def answer(raw: socket.socket) -> bytes:
    """All that comes until the daemon hangs up; fails if it does not."""
    try:
        return raw.makefile("rb").read()
    except ConnectionResetError:
        return b""


def healthz(api: httpx.Client) -> str | None:
    try:
        return httpx.get(api.base_url.join("/healthz"), timeout=PATIENCE_SECONDS).text
    except httpx.TransportError:
        return None


def test_an_answer_does_not_wait_for_the_kernel_to_fill_a_packet(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Head and body are written apart: with Nagle's algorithm the body would wait 40 ms for the client's delayed acknowledgement."""
    seen: list[int] = []
    made = connections.BoundedConnection.connection_made

    def look(self: connections.BoundedConnection, transport: asyncio.BaseTransport) -> None:
        seen.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        made(self, transport)

    monkeypatch.setattr(connections.BoundedConnection, "connection_made", look)
    assert healthz(api) == "ok\n"
    assert seen == [1]


@pytest.mark.parametrize("sent", [b"", b"POST /v1/jobs HTTP/1.1\r\nHos"])
def test_who_does_not_say_what_it_wants_is_hung_up(api: httpx.Client, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    with connected(api) as raw:
        raw.sendall(sent)
        assert answer(raw) == b""


def test_a_connection_kept_for_another_request_is_watched_as_well(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    with connected(api) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 200 ")
        raw.sendall(b"GET /hea")
        assert answer(raw).count(b"HTTP/1.1") == 0


@pytest.mark.parametrize("sent", [b"Content-Length: 900\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"])
def test_a_body_that_never_ends_is_a_problem(api: httpx.Client, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.1)
    with connected(api) as raw:
        raw.sendall(HEAD + sent)
        assert answer(raw).startswith(b"HTTP/1.1 408 ")


def test_beyond_the_most_connections_a_new_one_is_hung_up_and_later_ones_are_answered(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert api.post("/v1/jobs", json=job(synthesis())).status_code == 201
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 3)
    with ExitStack() as crowd:
        raws = [crowd.enter_context(connected(api)) for _ in range(4)]
        assert answer(raws[-1]) == b""
    assert wait_for(lambda: healthz(api), PATIENCE_SECONDS) == "ok\n"  # as soon as the daemon has seen that the crowd is gone
