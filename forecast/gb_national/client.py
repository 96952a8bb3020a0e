"""The national API of Great Britain over HTTP: https://api.carbonintensity.org.uk, no key, one zone, half hours, 48 h ahead.

Its numbers are another quantity than Electricity Maps' (see `parse.KIND`) and only fit a daemon that counts in that kind.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

import httpx

from forecast.gb_national import parse
from forecast.gb_national.parse import HALF_HOUR, KIND, ZONE, HalfHour
from forecast.intensity import IntensityKind, PeriodMean, Reading, Vintage
from forecast.source import transport
from forecast.source.answers import parse_json, parse_retry_after
from forecast.source.asking import Asker
from forecast.source.budget import TokenBucket
from forecast.source.errors import Malformed, NotInPlan, WrongZone
from forecast.timeline import Interval, ceil_to, floor_to

DEFAULT_BASE_URL = "https://api.carbonintensity.org.uk"
DAY = timedelta(days=1)
Told = TypeVar("Told")
LONGEST_RANGE = 13 * DAY
"""The API refuses ranges of more than 14 days."""


class NationalGB:
    """A client for the zone GB. Never sleeps; raises a SourceError and nothing else for whatever the provider does."""

    kind: IntensityKind = KIND

    def __init__(
        self,
        base_url: str = DEFAULT_BASE_URL,
        *,
        now: Callable[[], datetime],
        http: httpx.Client | None = None,
        budget: TokenBucket | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._now = now
        self._http = http or httpx.Client(timeout=transport.TIMEOUT_SECONDS)
        self._asker = Asker(now, budget or TokenBucket())

    def __repr__(self) -> str:
        return f"NationalGB({self.base_url!r})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def serves(self, zone: str) -> bool:
        """Only GB."""
        return zone == ZONE

    def latest(self, zone: str) -> list[Reading]:
        """The newest measured half hours of the last two hours: the running one is not known yet."""
        return self._measured(zone, "latest", timedelta(hours=2))

    def history(self, zone: str) -> list[Reading]:
        """The measured half hours of the last day."""
        return self._measured(zone, "history", DAY)

    def past_range(self, zone: str, start: datetime, end: datetime) -> list[Reading]:
        """The measured half hours that start in [start, end), asked for in pieces the API accepts."""
        told: list[Reading] = []
        while start < end:
            piece = Interval(start, min(start + LONGEST_RANGE, end))
            told += self._readings(zone, "past-range", piece)
            start = piece.end
        return told

    def forecast(self, zone: str) -> Vintage:
        """The next 48 hours."""
        return self._ask(zone, "forecast", f"intensity/{_stamp(self._now())}/fw48h", lambda rows: parse.vintage(rows, self._now()))

    def period_means(self, zone: str, start: datetime, end: datetime, granularity: str = "monthly") -> list[PeriodMean]:
        """The API has none. Raises NotInPlan."""
        raise NotInPlan(f"{zone}: the national API of Great Britain has no {granularity} means")

    def _measured(self, zone: str, endpoint: str, back: timedelta) -> list[Reading]:
        now = self._now()
        return self._readings(zone, endpoint, Interval(floor_to(now - back, HALF_HOUR), ceil_to(now, HALF_HOUR)))

    def _readings(self, zone: str, endpoint: str, span: Interval) -> list[Reading]:
        path = f"intensity/{_stamp(span.start)}/{_stamp(span.end)}"
        return self._ask(zone, endpoint, path, lambda rows: parse.readings(rows, span, self._now()))

    def _ask(self, zone: str, endpoint: str, path: str, read: Callable[[list[HalfHour]], Told]) -> Told:
        if zone != ZONE:
            raise WrongZone(f"the national API of Great Britain knows {ZONE} only, not {zone}")
        return self._asker.ask(zone, endpoint, lambda: read(self._fetch(path)))

    def _fetch(self, path: str) -> list[HalfHour]:
        url = f"{self.base_url}/{path}"
        answer = transport.get(self._http, url)
        body = parse_json(answer.text)
        error = parse.classify(answer.status, body, parse_retry_after(answer.retry_after, self._now()))
        if error is not None:
            raise error
        if body is None:
            raise Malformed(f"{url} answers with something that is not a JSON object")
        return parse.half_hours(body)


def _stamp(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%MZ}"
