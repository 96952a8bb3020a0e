"""How often a token may ask: counted over HTTP by a clock that the test moves, and in numbers for any sequence of requests."""

from __future__ import annotations

from itertools import accumulate

import httpx
import pytest
from fastapi import Depends, FastAPI
from hypothesis import given
from hypothesis import strategies as st

from daemon.api import problems
from daemon.api.auth import Guard
from daemon.api.rate import RequestRate
from daemon.settings.server import ServerSettings
from tests.daemon.api.serving import serving
from tests.daemon.api.test_problems import check_problem

ADA, BOB = "ada-token-0123456789", "bob-token-0123456789"
TOKENS = [{"name": name, "token": token, "scopes": ["read"]} for name, token in (("ada", ADA), ("bob", BOB))]


def guarded(server: ServerSettings, now_seconds: list[float]) -> FastAPI:
    """One endpoint behind a guard that reads the time from the list."""
    app = FastAPI()
    problems.install(app)
    guard = Guard(server, lambda: now_seconds[-1])

    @app.get("/asked", dependencies=[Depends(guard.needs("read"))])
    async def asked() -> str:
        return "yes"

    @app.get("/forbidden", dependencies=[Depends(guard.needs("submit"))])
    async def forbidden() -> str:
        return "never"

    return app


def test_who_asks_too_often_hears_when_to_try_again_and_others_go_on() -> None:
    now_seconds = [100.0]
    with serving(guarded(ServerSettings.model_validate({"tokens": TOKENS, "requests_per_minute": 3}), now_seconds)) as url:

        def ask(token: str, path: str = "asked") -> httpx.Response:
            return httpx.get(f"{url}/{path}", headers={"Authorization": f"Bearer {token}"})

        assert [ask(ADA, "forbidden").status_code for _ in range(3)] == [403] * 3, "what is refused anyway is not counted"
        assert [ask(ADA).status_code for _ in range(3)] == [200] * 3
        refused = ask(ADA)
        assert check_problem(refused, 429)["detail"].startswith("'ada' may send 3 requests a minute (server.requests_per_minute)")
        assert refused.headers["Retry-After"] == "20"
        assert ask(BOB).status_code == 200
        now_seconds.append(119.5)
        assert ask(ADA).headers["Retry-After"] == "1"
        now_seconds.append(120.5)
        assert [ask(ADA).status_code for _ in range(2)] == [200, 429]


def test_without_tokens_this_machine_may_ask_as_often_as_it_likes() -> None:
    with serving(guarded(ServerSettings(requests_per_minute=1), [0.0])) as url:
        assert [httpx.get(f"{url}/asked").status_code for _ in range(5)] == [200] * 5


@given(st.integers(1, 200), st.lists(st.floats(0, 30), min_size=1, max_size=300))
def test_in_no_span_of_time_are_more_requests_let_in_than_were_saved_up_and_earned(per_minute: int, pauses: list[float]) -> None:
    rate = RequestRate(per_minute)
    let_in = [now for now in accumulate(pauses) if rate.wait_seconds("ada", now) == 0]
    for first in range(0, len(let_in), 7):
        for last in range(first, len(let_in), 5):
            assert last - first + 1 <= per_minute + (let_in[last] - let_in[first]) * per_minute / 60 + 1e-6


@given(st.integers(1, 200), st.floats(0, 1e6))
def test_who_waits_as_long_as_told_may_ask(per_minute: int, began: float) -> None:
    rate = RequestRate(per_minute)
    for _ in range(per_minute):
        assert rate.wait_seconds("ada", began) == 0
    wait_seconds = rate.wait_seconds("ada", began)
    assert wait_seconds == pytest.approx(60 / per_minute)
    assert rate.wait_seconds("ada", began + wait_seconds / 2) > 0
    assert rate.wait_seconds("ada", began + wait_seconds + 1e-6) == 0
