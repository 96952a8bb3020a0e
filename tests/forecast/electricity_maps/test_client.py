from __future__ import annotations

import logging
import random
import socketserver
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from forecast.electricity_maps.client import ElectricityMaps
from forecast.intensity import IntensityKind
from forecast.source import transport
from forecast.source.budget import PIECE, TokenBucket
from forecast.source.errors import (
    BadKey,
    BadRequest,
    HeldBack,
    Malformed,
    NotInPlan,
    SourceError,
    Transient,
    WrongHost,
)
from forecast.timeline import HOUR
from tests.forecast.grids import DIRECT, NOON

SECRET = "k3y-that-nobody-may-see"
Answer = Callable[[httpx.Request], httpx.Response]


class Provider:
    """A scripted provider: answers with `answer`, remembers what was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[httpx.Request] = []
        self.http = httpx.Client(transport=httpx.MockTransport(self._handle))

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self.answer(request)

    @property
    def last_query(self) -> dict[str, str]:
        return dict(self.asked[-1].url.params)


def latest_row(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"zone": request.url.params["zone"], "carbonIntensity": 75, "datetime": "2026-05-10T12:00:00.000Z"})


class Moving:
    def __init__(self) -> None:
        self.now = NOON


@pytest.fixture
def clock() -> Moving:
    return Moving()


@pytest.fixture
def provider() -> Iterator[Provider]:
    scripted = Provider(latest_row)
    yield scripted
    scripted.http.close()


def client(
    provider: Provider, clock: Moving, *, per_hour: float = 1000, kind: IntensityKind | None = None, tokens: dict[str, str] | None = None
) -> ElectricityMaps:
    return ElectricityMaps(
        "https://api.example/v4/",
        SECRET,
        tokens,
        now=lambda: clock.now,
        kind=kind or IntensityKind(),
        http=provider.http,
        budget=TokenBucket(per_hour),
        dice=random.Random(1),
    )


def test_a_question_names_zone_and_kind_and_forbids_guessing(provider: Provider, clock: Moving) -> None:
    (reading,) = client(provider, clock).latest("DE")
    assert reading.g_per_kwh == 75
    assert provider.asked[-1].url.path == "/v4/carbon-intensity/latest"
    assert provider.last_query == {"zone": "DE", "emissionFactorType": "lifecycle", "flowTraced": "true", "disableCallerLookup": "true"}
    assert provider.asked[-1].headers["auth-token"] == SECRET
    assert "lowtide" in provider.asked[-1].headers["user-agent"]


def test_the_direct_kind_is_asked_for_as_such(provider: Provider, clock: Moving) -> None:
    (reading,) = client(provider, clock, kind=DIRECT).latest("DE")
    assert provider.last_query["emissionFactorType"] == "direct"
    assert reading.kind == DIRECT


def test_a_kind_the_provider_does_not_have_is_refused(provider: Provider, clock: Moving) -> None:
    with pytest.raises(ValueError, match="average intensity only"):
        client(provider, clock, kind=IntensityKind(signal="marginal"))


def test_a_zone_with_a_key_of_its_own_is_asked_with_it(provider: Provider, clock: Moving) -> None:
    two_labs = client(provider, clock, tokens={"SE": "the-other-key"})
    two_labs.latest("SE")
    two_labs.latest("DE")
    assert [request.headers["auth-token"] for request in provider.asked] == ["the-other-key", SECRET]


def test_a_zone_without_a_key_is_not_asked_about(provider: Provider, clock: Moving) -> None:
    only_sweden = ElectricityMaps(tokens={"SE": "its-key"}, now=lambda: clock.now, http=provider.http)
    assert only_sweden.serves("SE")
    assert not only_sweden.serves("DE")
    with pytest.raises(BadKey, match=r"no key for zone DE: set electricity_maps\.token"):
        only_sweden.latest("DE")
    assert provider.asked == []


@pytest.mark.parametrize("key", ["", "with space", "line\nbreak", "schlüssel", "tab\t"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(provider: Provider, clock: Moving, key: str) -> None:
    with pytest.raises(ValueError, match="must be printable ASCII without spaces") as refused:
        ElectricityMaps(token=key, now=lambda: clock.now, http=provider.http)
    assert not key.strip() or key not in str(refused.value)


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 422, 429, 500, 503])
def test_the_key_is_in_no_message_no_log_and_no_repr(
    provider: Provider, clock: Moving, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider.answer = lambda request: httpx.Response(status, text="<html></html>")
    asking = client(provider, clock)
    with pytest.raises(SourceError) as raised:
        asking.latest("DE")
    assert SECRET not in repr(asking)
    assert SECRET not in repr(raised.value)
    assert SECRET not in caplog.text


def test_a_redirect_is_not_followed_with_the_key(provider: Provider, clock: Moving) -> None:
    provider.answer = lambda request: httpx.Response(301, headers={"Location": "https://elsewhere.example/"})
    with pytest.raises(WrongHost, match="redirects elsewhere"):
        client(provider, clock).latest("DE")
    assert len(provider.asked) == 1


@pytest.mark.parametrize("address", ["ftp://api.example", "api.example/v4", "http://host:port/", "https://"])
def test_an_address_that_is_none_is_a_configuration_error(clock: Moving, address: str) -> None:
    asking = ElectricityMaps(address, SECRET, now=lambda: clock.now)
    with pytest.raises(WrongHost, match=r"base_url"):
        asking.latest("DE")
    asking.close()


def test_a_page_instead_of_json_is_malformed(provider: Provider, clock: Moving) -> None:
    provider.answer = lambda request: httpx.Response(200, text="<html>welcome</html>")
    with pytest.raises(Malformed, match="not a JSON object"):
        client(provider, clock).latest("DE")


def test_an_endless_answer_is_given_up(provider: Provider, clock: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LARGEST_ANSWER_BYTES", 1000)
    provider.answer = lambda request: httpx.Response(200, content=b" " * 2000)
    with pytest.raises(Malformed, match="more than 1000 bytes"):
        client(provider, clock).latest("DE")


def test_a_dripping_answer_is_given_up(provider: Provider, clock: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LONGEST_ANSWER_SECONDS", -1.0)
    with pytest.raises(Transient, match="needs longer than"):
        client(provider, clock).latest("DE")


def test_a_broken_compression_is_transient(provider: Provider, clock: Moving) -> None:
    provider.answer = lambda request: httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"not gzip"))
    with pytest.raises(Transient, match="DecodingError"):
        client(provider, clock).latest("DE")


@pytest.mark.parametrize(
    "spoken", [b"", b"\x00\xff\xfe garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", b"HTTP/1.1 9999 ?\r\n\r\n"]
)
def test_a_server_that_speaks_no_proper_http_is_transient(clock: Moving, spoken: bytes) -> None:
    class Stranger(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(spoken)

    with socketserver.TCPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        asking = ElectricityMaps(f"http://127.0.0.1:{server.server_address[1]}", SECRET, now=lambda: clock.now)
        with pytest.raises(Transient) as met:
            asking.latest("DE")
        asking.close()
        thread.join()
    assert SECRET not in str(met.value)


def test_the_shared_budget_holds_for_all_zones_and_endpoints(provider: Provider, clock: Moving) -> None:
    thrifty = client(provider, clock, per_hour=2)
    thrifty.latest("DE")
    thrifty.latest("SE")
    with pytest.raises(HeldBack, match=r"PL latest: the shared request budget is used up until 2026-05-10T12:30:00Z"):
        thrifty.latest("PL")
    clock.now += timedelta(minutes=30)
    thrifty.latest("PL")
    assert len(provider.asked) == 3


def test_after_a_plan_refusal_nothing_is_sent_until_the_next_day(provider: Provider, clock: Moving) -> None:
    provider.answer = lambda request: httpx.Response(401, json={"error": "Request unauthorized for zoneKey=DE,requestType=forecast"})
    asking = client(provider, clock)
    for _ in range(3):
        with pytest.raises(NotInPlan):
            asking.forecast("DE")
    assert len(provider.asked) == 1
    clock.now += timedelta(days=1)
    with pytest.raises(NotInPlan):
        asking.forecast("DE")
    assert len(provider.asked) == 2


def test_a_refused_forecast_does_not_stop_the_poll_of_latest(provider: Provider, clock: Moving) -> None:
    def plan(request: httpx.Request) -> httpx.Response:
        return latest_row(request) if "latest" in request.url.path else httpx.Response(401, json={"error": "Endpoint not available"})

    provider.answer = plan
    asking = client(provider, clock)
    with pytest.raises(NotInPlan):
        asking.forecast("DE")
    assert len(asking.latest("DE")) == 1


def forecast_up_to(longest: int) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        horizon = int(request.url.params["horizonHours"])
        if horizon > longest:
            return httpx.Response(400, json={"error": "Invalid horizonHours"})
        rows = [{"carbonIntensity": 70 + index, "datetime": (NOON + index * HOUR).isoformat()} for index in range(horizon + 1)]
        return httpx.Response(200, json={"zone": "DE", "forecast": rows})

    return answer


@pytest.mark.parametrize(("longest", "rows", "questions"), [(72, 73, 1), (48, 49, 2), (24, 25, 3), (6, 7, 4)])
def test_the_longest_horizon_of_the_plan_is_found_once_and_remembered(
    provider: Provider, clock: Moving, longest: int, rows: int, questions: int
) -> None:
    provider.answer = forecast_up_to(longest)
    asking = client(provider, clock)
    assert len(asking.forecast("DE").g_per_kwh) == rows
    assert len(provider.asked) == questions
    asking.forecast("DE")
    assert len(provider.asked) == questions + 1


def test_a_plan_without_any_horizon_is_a_bad_request(provider: Provider, clock: Moving) -> None:
    provider.answer = forecast_up_to(0)
    with pytest.raises(BadRequest):
        client(provider, clock).forecast("DE")
    assert len(provider.asked) == 4


def ranges(*, end_inclusive: bool) -> Answer:
    """A server with a value for every hour of 2026, that refuses ten whole days in one request."""

    def answer(request: httpx.Request) -> httpx.Response:
        start, end = (datetime.fromisoformat(request.url.params[name]) for name in ("start", "end"))
        if end - start >= timedelta(days=10):
            return httpx.Response(400, json={"error": "range too long"})
        count = (end - start) // HOUR + end_inclusive
        rows = [
            {"carbonIntensity": (start + index * HOUR).timestamp() % 997, "datetime": (start + index * HOUR).isoformat()}
            for index in range(count)
        ]
        return httpx.Response(200, json={"zone": "DE", "data": rows})

    return answer


@pytest.mark.parametrize("hours", [1, 215, 216, 217, 240, 432, 500])
def test_inclusive_and_exclusive_servers_give_the_same_series(provider: Provider, clock: Moving, hours: int) -> None:
    clock.now = NOON + timedelta(days=60)
    series = []
    for end_inclusive in (True, False):
        provider.answer = ranges(end_inclusive=end_inclusive)
        series.append(client(provider, clock).past_range("DE", NOON, NOON + hours * HOUR))
    assert series[0] == series[1]
    assert [reading.interval.start for reading in series[0]] == [NOON + index * HOUR for index in range(hours)]
    assert len(provider.asked) == 2 * -(-hours * HOUR // PIECE)


def test_monthly_means_are_asked_for_as_such(provider: Provider, clock: Moving) -> None:
    rows = [{"carbonIntensity": 161, "datetime": f"2026-0{month}-01T00:00:00.000Z"} for month in (1, 2, 3, 4)]
    provider.answer = lambda request: httpx.Response(200, json={"zone": "DE", "data": rows, "temporalGranularity": "monthly"})
    means = client(provider, clock).period_means("DE", datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
    assert [mean.interval.start.month for mean in means] == [2, 3]
    assert provider.asked[-1].url.path == "/v4/carbon-intensity/past-range"
    assert provider.last_query["temporalGranularity"] == "monthly"


def test_the_zone_list_needs_no_zone_and_no_key(provider: Provider, clock: Moving) -> None:
    provider.answer = lambda request: httpx.Response(200, json={"DE": {"zoneName": "Germany"}})
    keyless = ElectricityMaps(now=lambda: clock.now, http=provider.http)
    assert keyless.zones()["DE"].name == "Germany"
    assert provider.asked[-1].url.path == "/v4/zones"
    assert "auth-token" not in provider.asked[-1].headers
