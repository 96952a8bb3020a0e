"""The Electricity Maps HTTP API (v4, v3 rows accepted): https://api.electricitymaps.com/v4, documented at portal.electricitymaps.com/docs.

Each call sends at most what the shared budget allows and never sleeps: who cannot ask now gets a HeldBack and comes again later.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

import httpx

from forecast.electricity_maps import parse
from forecast.electricity_maps.errors import classify
from forecast.intensity import LIFECYCLE_AVERAGE, IntensityKind, PeriodMean, Reading, Vintage
from forecast.source import transport
from forecast.source.answers import JsonObject, parse_json, parse_retry_after
from forecast.source.asking import Asker
from forecast.source.budget import PIECE, BackOff, TokenBucket
from forecast.source.errors import BadKey, BadRequest, Malformed
from forecast.timeline import HOUR, Interval, as_utc

DEFAULT_BASE_URL = "https://api.electricitymaps.com/v4"
HORIZONS_HOURS = (72, 48, 24, 6)

Parsed = TypeVar("Parsed")


class ElectricityMaps:
    """A client for one kind of carbon intensity. `tokens` holds keys of their own for some zones, `token` serves the others.

    Every method raises a SourceError and nothing else for whatever the provider does. `now` is asked for the present time,
    so that a replayed clock drives budget, pauses and time stamps alike. No key is ever written to a message, a log or a repr.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_BASE_URL,
        token: str | None = None,
        tokens: Mapping[str, str] | None = None,
        *,
        now: Callable[[], datetime],
        kind: IntensityKind = LIFECYCLE_AVERAGE,
        http: httpx.Client | None = None,
        budget: TokenBucket | None = None,
        back_off: BackOff | None = None,
        dice: random.Random | None = None,
    ) -> None:
        if kind.signal != "average":
            raise ValueError(f"Electricity Maps has average intensity only, {kind.label} needs another source")
        for each in (token, *(tokens or {}).values()):
            _check_key(each)
        self.base_url = base_url.rstrip("/")
        self.kind = kind
        self._token, self._tokens = token, dict(tokens or {})
        self._now = now
        self._http = http or httpx.Client(timeout=transport.TIMEOUT_SECONDS)
        self._asker = Asker(now, budget or TokenBucket(), back_off, dice)
        self._horizons: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"ElectricityMaps({self.base_url!r}, {self.kind.label})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def serves(self, zone: str) -> bool:
        """Whether there is a key to ask about `zone` with."""
        return self._key(zone) is not None

    def latest(self, zone: str) -> list[Reading]:
        """The running hour's value, usually estimated; empty where the provider has none (null)."""
        return self._ask(zone, "latest", {}, lambda body: parse.parse_latest(body, zone, self.kind, self._now()))

    def history(self, zone: str) -> list[Reading]:
        """The trailing 24 hours, oldest first, the running hour last."""
        return self._ask(zone, "history", {}, lambda body: parse.parse_rows(body, "history", zone, self.kind, self._now()))

    def past_range(self, zone: str, start: datetime, end: datetime) -> list[Reading]:
        """Hourly values that start in [start, end), in pieces of at most PIECE.

        Servers disagree whether `end` belongs to the range, so each piece asks for an hour more and keeps what it wanted.
        """
        start, end = as_utc(start), as_utc(end)
        readings: list[Reading] = []
        while start < end:
            piece = Interval(start, min(start + PIECE, end))
            query = {"start": _timestamp(piece.start), "end": _timestamp(piece.end + HOUR), "temporalGranularity": "hourly"}
            rows = self._ask(zone, "past-range", query, lambda body: parse.parse_rows(body, "data", zone, self.kind, self._now()))
            readings += [row for row in rows if piece.contains(row.interval.start)]
            start = piece.end
        return readings

    def period_means(self, zone: str, start: datetime, end: datetime, granularity: str = "monthly") -> list[PeriodMean]:
        """Means of the whole months (or, with "yearly", years) that start in [start, end)."""
        span = Interval(start, end)
        query = {"start": _timestamp(span.start), "end": _timestamp(span.end + HOUR), "temporalGranularity": granularity}
        means = self._ask(zone, f"past-range-{granularity}", query, lambda body: parse.parse_period_means(body, zone, self.kind))
        return [mean for mean in means if span.contains(mean.interval.start)]

    def forecast(self, zone: str, horizon_hours: int = 72) -> Vintage:
        """The newest forecast; where the plan has no such horizon (400), the longest shorter one, remembered for the zone."""
        wanted = min(horizon_hours, self._horizons.get(zone, horizon_hours))
        horizons = [horizon for horizon in HORIZONS_HOURS if horizon <= wanted] or [wanted]
        for horizon in horizons:
            try:
                query = {"horizonHours": str(horizon)}
                vintage = self._ask(zone, "forecast", query, lambda body: parse.parse_forecast(body, zone, self.kind, self._now()))
            except BadRequest:
                if horizon == horizons[-1]:
                    raise
            else:
                self._horizons[zone] = horizon
                return vintage
        raise BadRequest(f"{zone}: no forecast horizon to ask for")

    def zones(self) -> dict[str, parse.ZoneAccess]:
        """All zones and, as a hint only, what the key may read there. Large: once a day is enough."""
        return self._ask("", "zones", {}, parse.parse_zones)

    def _key(self, zone: str) -> str | None:
        return self._tokens.get(zone, self._token)

    def _ask(self, zone: str, endpoint: str, query: Mapping[str, str], read: Callable[[JsonObject], Parsed]) -> Parsed:
        """One request about a zone, if it is time to ask, and what `read` makes of the answer; remembers how it went."""
        return self._asker.ask(zone, endpoint, lambda: read(self._fetch(zone, endpoint, query)))

    def _fetch(self, zone: str, endpoint: str, query: Mapping[str, str]) -> JsonObject:
        """The JSON object of a normal answer. Raises the error that any other answer stands for."""
        key = self._key(zone)
        if key is None and endpoint != "zones":
            raise BadKey(f"no key for zone {zone}: set electricity_maps.token or electricity_maps.tokens.{zone}")
        url = f"{self.base_url}/{_path_of(endpoint)}"
        full_query = query if endpoint == "zones" else self._about(zone) | dict(query)
        answer = transport.get(self._http, url, full_query, {"auth-token": key} if key else None)
        body = parse_json(answer.text)
        error = classify(answer.status, body, parse_retry_after(answer.retry_after, self._now()))
        if error is not None:
            raise error
        if body is None:
            raise Malformed(f"{url} answers with something that is not a JSON object")
        return body

    def _about(self, zone: str) -> dict[str, str]:
        """The zone and kind, spelled out: without a zone the provider would guess one from our network address."""
        tracing = "true" if self.kind.flow_traced else "false"
        return {"zone": zone, "emissionFactorType": self.kind.factors, "flowTraced": tracing, "disableCallerLookup": "true"}


def _path_of(endpoint: str) -> str:
    """Where an endpoint lies; coarse past ranges are remembered apart (plans differ) and asked at the same path."""
    if endpoint == "zones":
        return endpoint
    return "carbon-intensity/past-range" if endpoint.startswith("past-range") else f"carbon-intensity/{endpoint}"


def _check_key(key: str | None) -> None:
    """Raises ValueError, without showing it, for a key that no HTTP header can carry."""
    if key is not None and not (key and key.isascii() and key.isprintable() and " " not in key):
        raise ValueError("the Electricity Maps key must be printable ASCII without spaces: copy it again from the portal")


def _timestamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
