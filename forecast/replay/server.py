"""The replay's HTTP server: standard library only, one thread per connection, faults applied where they would happen."""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

from forecast.replay import answers
from forecast.replay.answers import Json, Moment, Refused
from forecast.replay.faults import Fault, FaultBoard, faults_from
from forecast.replay.recording import Recording

Plan = Literal["free", "full"]
PLANS: Mapping[Plan, frozenset[str]] = {
    "free": frozenset({"latest", "history"}),
    "full": frozenset({"latest", "history", "forecast", "past-range"}),
}
LONGEST_REQUEST_BYTES = 64 * 1024


class ReplayServer:
    """Serves a recording on a loopback port while it is open as a context manager.

    `now` gives grid time (`Clock(...).now`). `keys` maps each accepted key to the zones it may read; without `keys` any key reads
    every zone. `requests` counts answers by (endpoint, status). `end_inclusive` picks the behaviour on which real servers disagree.
    """

    def __init__(
        self,
        recording: Recording,
        now: Callable[[], datetime],
        *,
        plan: Plan = "full",
        keys: Mapping[str, Collection[str]] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        end_inclusive: bool = False,
    ) -> None:
        self.recording, self.now, self.plan, self.keys, self.end_inclusive = recording, now, plan, keys, end_inclusive
        self.faults = FaultBoard()
        self.requests: Counter[tuple[str, int]] = Counter()
        self.closing = threading.Event()
        self._http = _Server((host, port), self)
        self._thread = threading.Thread(target=self._http.serve_forever, name="replay", kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._http.server_address[:2]
        return str(host), port

    @property
    def base_url(self) -> str:
        """What to set as `electricity_maps.base_url`."""
        host, port = self.address
        return f"http://{host}:{port}/v4"

    def set_faults(self, *faults: Fault) -> None:
        """Switch exactly these faults on; without any, all off."""
        self.faults.replace(faults, self.now())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, path: str, query: Mapping[str, str], key: str | None) -> Json:
        """The body for one GET. Raises Refused for every answer that is not 200."""
        version, _, rest = path.strip("/").partition("/")
        if version not in ("v3", "v4") or (rest not in ("zones", "health") and not rest.startswith("carbon-intensity/")):
            raise Refused(404, {"message": "no Route matched with those values"})
        if rest == "health":
            return {"status": "ok", "monitors": {"state": "ok"}}
        if rest == "zones":
            return answers.zone_list(self.recording.hourly.keys(), PLANS[self.plan] if key else None)
        return self._intensity(rest.removeprefix("carbon-intensity/"), query, key, version)

    def _intensity(self, endpoint: str, query: Mapping[str, str], key: str | None, version: str) -> Json:
        zone = query.get("zone")
        if zone is None:
            raise Refused(400, {"error": 'Missing arguments "zone"'})
        moment = Moment(self.now(), self.faults.concerning(zone, endpoint), version)
        self._check_key(zone, endpoint, key, moment)
        _meet_refusing_faults(zone, endpoint, moment)
        series = self.recording.hourly.get(zone)
        if series is None:
            raise Refused(404, {"error": f'Zone "{zone}" does not exist.'})
        _check_kind(query, self.recording)
        if endpoint == "latest":
            return answers.latest(series, moment)
        if endpoint == "history":
            return answers.history(series, moment)
        if endpoint == "forecast":
            return answers.forecast(series, _whole_number(query.get("horizonHours", "24")), moment)
        if endpoint == "past-range":
            return self._past_range(zone, query, moment)
        raise Refused(400, {"error": "Expected one of latest, past, past-range, history, forecast"})

    def _past_range(self, zone: str, query: Mapping[str, str], moment: Moment) -> Json:
        start, end = _date(query, "start"), _date(query, "end")
        granularity = query.get("temporalGranularity", "hourly")
        if granularity in ("monthly", "yearly"):
            return answers.coarse_range(zone, self.recording.means.get(zone, ()), granularity, start, end, moment)
        if granularity != "hourly":
            raise Refused(400, {"error": f"temporalGranularity {granularity} is not available in this replay"})
        return answers.past_range(self.recording.hourly[zone], start, end, moment, end_inclusive=self.end_inclusive)

    def _check_key(self, zone: str, endpoint: str, key: str | None, moment: Moment) -> None:
        if not key or moment.has("bad-key") or (self.keys is not None and key not in self.keys):
            raise Refused(401, {"error": "Invalid auth-token"})
        zone_allowed = self.keys is None or zone in self.keys[key]
        if not zone_allowed or endpoint not in PLANS[self.plan] or moment.has("not-in-plan"):
            what = f"zoneKey={zone},requestType={endpoint},dataType=carbon-intensity"
            message = "You do not have access to this specific endpoint for this specific zone. Please check your plan."
            raise Refused(401, {"error": f"Request unauthorized for {what}.", "message": message})


def _meet_refusing_faults(zone: str, endpoint: str, moment: Moment) -> None:
    if moment.has("no-recent-data"):
        raise answers.no_recent_data(zone)
    if moment.has("rate-limited"):
        raise Refused(429, {"error": "Too many requests"})
    for status in (500, 503):
        if moment.has(f"http-{status}"):  # type: ignore[arg-type]  # both names are in FaultName
            raise Refused(status, {})


def _check_kind(query: Mapping[str, str], recording: Recording) -> None:
    kind = recording.kind
    if query.get("emissionFactorType", kind.factors) != kind.factors or query.get("flowTraced", "true") != "true":
        raise Refused(400, {"error": f"this replay holds {kind.label} intensity only"})


def _date(query: Mapping[str, str], name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(query[name])
    except (KeyError, ValueError):
        raise Refused(400, {"error": f'Missing or invalid date parameter "{name}"'}) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _whole_number(text: str) -> int:
    return int(text) if text.isdigit() else -1


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], replay: ReplayServer) -> None:
        super().__init__(address, _Handler)
        self.replay = replay

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away while a slow answer was on its way is what the fault is for, not an error of ours."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Reads a request, lets the replay answer, writes it; the faults of the connection itself live here."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together: sent apart, the second would wait for the receiver's delayed acknowledgement
    server: _Server

    def do_GET(self) -> None:
        replay, url = self.server.replay, urlsplit(self.path)
        if url.path == "/_faults":
            return self._send(200, json.dumps({"faults": replay.faults.described()}).encode())
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        endpoint = url.path.rpartition("/")[2]
        faults = replay.faults.concerning(query.get("zone", ""), endpoint)
        if "slow" in faults and replay.closing.wait(faults["slow"][0].seconds):
            self.close_connection = True
            return None
        try:
            status, body = 200, replay.answer(url.path, query, self.headers.get("auth-token"))
        except Refused as refused:
            status, body = refused.status, refused.body
        replay.requests[endpoint, status] += 1
        retry_after = faults["rate-limited"][0].retry_after_seconds if status == 429 else None
        return self._send(status, json.dumps(body).encode(), cut="cut" in faults, retry_after=retry_after)

    def do_POST(self) -> None:
        length = _whole_number(self.headers.get("Content-Length", ""))
        if self.path != "/_faults" or not 0 <= length <= LONGEST_REQUEST_BYTES:
            self.close_connection = True
            return self._send(404, json.dumps({"message": "only POST /_faults, with a short JSON body"}).encode())
        replay = self.server.replay
        try:
            replay.set_faults(*faults_from(json.loads(self.rfile.read(length))))
        except ValueError as error:
            return self._send(400, json.dumps({"error": str(error)}).encode())
        return self._send(200, json.dumps({"faults": replay.faults.described()}).encode())

    def _send(self, status: int, body: bytes, *, cut: bool = False, retry_after: int | None = None) -> None:
        html = status in (500, 503)
        payload = f"<html><body><h1>{status} Service unavailable</h1></body></html>".encode() if html else body
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if html else "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(payload)))
        if retry_after is not None:
            self.send_header("Retry-After", str(retry_after))
        self.end_headers()
        if cut:
            payload = payload[: len(payload) // 2]
            self.close_connection = True
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on standard error for each request: `requests` counts them."""


def faults_of(names: Iterable[str]) -> list[Fault]:
    """Faults everywhere, by name. Raises ValueError for an unknown one."""
    return faults_from({"faults": [{"name": name} for name in names]})
