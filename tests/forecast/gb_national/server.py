"""A server that speaks the national API's format over a real socket, with the habits of the real one."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from forecast.gb_national.client import NationalGB
from forecast.gb_national.parse import HALF_HOUR
from forecast.source.budget import TokenBucket
from forecast.timeline import floor_to

Truth = Callable[[datetime], float]
LONGEST_RANGE = timedelta(days=14)


class Moving:
    """A clock that tests move."""

    def __init__(self, now: datetime) -> None:
        self.now = now


@contextmanager
def asking(server: NationalServer, clock: Moving) -> Iterator[NationalGB]:
    """A client of the server."""
    http = httpx.Client(timeout=5, verify=False)  # noqa: S501  # plain http on loopback
    client = NationalGB(server.base_url, now=lambda: clock.now, budget=TokenBucket(1000), http=http)
    try:
        yield client
    finally:
        client.close()


class NationalServer(ThreadingHTTPServer):
    """Measured values are `truth` of the half hour's start, known when it is over (NaN: never); forecasts are one tenth above it.

    A range begins with the half hour that ENDS at `from`, as the real one's does. `status` other than 200 is answered to everything.
    """

    daemon_threads = True

    def __init__(self, now: Callable[[], datetime], truth: Truth) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.now, self.truth, self.status, self.asked = now, truth, 200, list[str]()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @contextmanager
    def serving(self) -> Iterator[NationalServer]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()
            thread.join()

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and body of one GET."""
        if self.status != 200:
            return self.status, error(f"{self.status} from the server", "as told by the test")
        _, _, start, end = path.split("/")
        first = datetime.strptime(start, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
        last = first + timedelta(hours=48) if end == "fw48h" else datetime.strptime(end, "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
        if last - first > LONGEST_RANGE:
            return 400, error("400 Bad Request", "Please enter a date range of 14 days or less.")
        count = (last - first) // HALF_HOUR + 1
        return 200, {"data": [self.row(floor_to(first, HALF_HOUR) + (index - 1) * HALF_HOUR) for index in range(count)]}

    def row(self, start: datetime) -> dict[str, Any]:
        value = self.truth(start)
        is_measured = start + HALF_HOUR <= self.now() and not math.isnan(value)
        intensity = {
            "forecast": None if math.isnan(value) else round(1.1 * value),
            "actual": round(value) if is_measured else None,
            "index": "moderate",
        }
        return {"from": f"{start:%Y-%m-%dT%H:%MZ}", "to": f"{start + HALF_HOUR:%Y-%m-%dT%H:%MZ}", "intensity": intensity}


def error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


class _Handler(BaseHTTPRequestHandler):
    server: NationalServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status, body = self.server.answer(self.path)
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on standard error for each request."""
