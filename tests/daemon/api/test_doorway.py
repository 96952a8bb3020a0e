"""While the daemon opens, its socket answers whether it lives; everybody else waits for the app, or hears that there is none."""

from __future__ import annotations

import asyncio
import threading

import httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from daemon.api.doorway import Doorway


class Cellar:
    """Opens its app when it is told to, or fails to."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.go, self.problem = threading.Event(), problem

    def open_app(self) -> Starlette:
        assert self.go.wait(10)
        if self.problem is not None:
            raise self.problem
        return Starlette(routes=[Route("/v1/sites", lambda _: PlainTextResponse("two sites"))])


async def visited(cellar: Cellar) -> tuple[httpx.Response, httpx.Response, BaseException | None]:
    """What /healthz says while it is closed, what somebody who came meanwhile hears at last, and how the opening went."""
    doorway = Doorway(cellar.open_app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=doorway), base_url="http://daemon") as visitor:
        opening = asyncio.create_task(doorway.open())
        waiting = asyncio.create_task(visitor.get("/v1/sites"))
        alive = await visitor.get("/healthz")
        assert not waiting.done()
        cellar.go.set()
        outcome, sites = await asyncio.gather(opening, waiting, return_exceptions=True)
    assert isinstance(sites, httpx.Response)
    return alive, sites, outcome


def test_life_is_told_at_once_and_the_others_are_let_in_when_it_is_open() -> None:
    alive, sites, outcome = asyncio.run(visited(Cellar()))
    assert (alive.status_code, alive.text) == (200, "ok\n")
    assert (sites.status_code, sites.text) == (200, "two sites")
    assert outcome is None


def test_who_waited_for_a_daemon_that_cannot_open_hears_it() -> None:
    problem = OSError("no disk")
    _, sites, outcome = asyncio.run(visited(Cellar(problem)))
    assert sites.status_code == 503
    assert "could not open" in sites.text
    assert outcome is problem


def test_an_event_loop_that_ends_does_not_wait_for_an_opening_without_end() -> None:
    cellar = Cellar()
    doorway = Doorway(cellar.open_app)

    async def leave_while_it_opens() -> int:
        opening = asyncio.create_task(doorway.open())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=doorway), base_url="http://daemon") as visitor:
            waiting = asyncio.create_task(visitor.get("/v1/sites"))
            await asyncio.sleep(0)  # lets both begin
            opening.cancel()
            return (await waiting).status_code

    assert asyncio.run(leave_while_it_opens()) == 503
    assert not doorway.at_rest(within_seconds=0)
    cellar.go.set()
    assert doorway.at_rest(within_seconds=10)


def test_after_the_opening_every_request_goes_to_the_app() -> None:
    async def visit() -> httpx.Response:
        cellar = Cellar()
        cellar.go.set()
        doorway = Doorway(cellar.open_app)
        await doorway.open()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=doorway), base_url="http://daemon") as visitor:
            return await visitor.get("/healthz")

    assert asyncio.run(visit()).status_code == 404  # this app has none
