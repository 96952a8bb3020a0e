"""The daemon's view of the grid: polls its sources, records what they say, and answers with the best rung there is.

Whatever a provider does, a poll returns: each failure is classified, counted and logged once per change, and the ladder
has the next rung. All time is the clock's, so a replayed hour may last a second.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import numpy as np

from daemon.intensity_store import IntensityStore
from daemon.zone_knowledge import Knowledge, KnowledgeSettings, on_hours
from forecast.forecasters import Forecaster, SevenDayMean
from forecast.intensity import IntensityKind, MixedKinds, Reading, RecordedCounts, Rung, Series, Vintage, ZoneOutlook
from forecast.ladder import build_outlook, newest_value_age
from forecast.source.budget import PIECE
from forecast.source.errors import SourceError
from forecast.source.port import IntensitySource
from forecast.timeline import HOUR, Interval, floor_to

log = logging.getLogger(__name__)

OK, NO_KEY = "ok", "no-key"
BACK_FILL = timedelta(days=28)
MEANS_BACK = {"monthly": timedelta(days=400), "yearly": timedelta(days=731)}
"""The last year begins up to two years back."""

HISTORY_EVERY = timedelta(minutes=55)
"""A day of history tells one new hour per hour; asking more often only spends the request budget."""

Told = TypeVar("Told")


class FeedMetrics(Protocol):
    """Who wants to know what the feed met."""

    def fetched(self, zone: str, endpoint: str, result: str) -> None:
        """One question to the provider; `result` is 'ok' or the label of the error."""

    def fell(self, zone: str) -> None:
        """The zone's next hour now stands on a worse rung than before."""

    def show_forecast_age(self, zone: str, seconds: float | None) -> None:
        """The age of the forecast the zone's next hour comes from, None where it comes from none."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """How one question to the provider went: `result` is 'ok', 'no-key' or the label of a SourceError."""

    zone: str
    endpoint: str
    result: str
    recorded: RecordedCounts = field(default_factory=RecordedCounts)


@dataclass(frozen=True, slots=True)
class ZoneStatus:
    """Where a zone stands: the rung of its next hour (None: no value at all), the age of its newest recorded value,
    and the last result of each endpoint."""

    zone: str
    rung: Rung | None
    newest_value_age: timedelta | None
    results: dict[str, str]


class IntensityFeed:
    """Polls, records, answers. A zone is asked about at the first of `sources` that serves it; where none does, its ladder starts
    at our own forecast. Raises MixedKinds for a source of another kind than the feed's.

    `clock` gives grid time. Polls raise nothing for anything the provider does; the store's own errors pass through, and Hindered where
    the feed was stopped.
    """

    def __init__(
        self,
        sources: Sequence[IntensitySource],
        store: IntensityStore,
        kind: IntensityKind,
        clock: Callable[[], datetime],
        *,
        forecaster: Forecaster | None = None,
        settings: KnowledgeSettings | None = None,
        metrics: FeedMetrics | None = None,
    ) -> None:
        for source in sources:
            if source.kind != kind:
                raise MixedKinds(f"{source!r} tells {source.kind.label} intensity, everything here is counted in {kind.label}")
        self._sources, self._store, self.kind, self._clock, self._metrics = tuple(sources), store, kind, clock, metrics
        self._knowledge = Knowledge(store, kind, forecaster or SevenDayMean(), settings or KnowledgeSettings())
        self._results: dict[tuple[str, str], str] = {}
        self._rungs: dict[str, Rung | None] = {}
        self._history_at: dict[str, datetime] = {}
        self._back_filled_at: dict[str, datetime] = {}

    def stop(self) -> None:
        """Let what is under way end soon: polls that have zones left, and questions that need a new forecast, end with Hindered."""
        self._knowledge.stop()

    def poll_latest(self, zones: Iterable[str]) -> list[Fetch]:
        """Fetch and record the running hour of each zone."""
        return self._poll(zones, lambda zone: [self._record(zone, "latest", lambda source: source.latest(zone))])

    def poll_history(self, zones: Iterable[str]) -> list[Fetch]:
        """Fetch and record the last 24 hours, and, where the plan allows it, what is missing of the 28 days before.

        A zone whose history came less than HISTORY_EVERY ago is left out.
        """
        return self._poll(zones, self._history)

    def poll_forecast(self, zones: Iterable[str]) -> list[Fetch]:
        """Fetch and archive the provider's forecast, make and archive our own, and archive what plans stand on where it is made of both."""
        zones = list(zones)
        fetches = self._poll(zones, self._forecasts)
        for zone in zones:
            for forecast in self._knowledge.combined(zone, self._clock()):
                self._store.put_vintage(forecast, is_combined=True)  # nothing new where it is one of its parts as issued
        return fetches

    def poll_means(self, zones: Iterable[str]) -> list[Fetch]:
        """Fetch and record the means of the last thirteen months and, where the plan has those, of the last year."""
        return self._poll(zones, self._means)

    def learn(self, zones: Iterable[str]) -> None:
        """Let our forecaster learn what years of record teach, once a day and zone: seconds each, for which no poll and no plan waits.

        It counts from the next forecast on, and at once where that of the hour had to do without. What goes wrong with one zone is raised
        when all others had their turn.
        """
        with ExitStack() as turns:
            for zone in reversed(tuple(zones)):
                turns.callback(self._learn, zone)

    def outlook(self, zone: str, start: datetime, step: timedelta, steps: int, now: datetime) -> ZoneOutlook:
        """What `zone` is expected to be (and, for hours gone by, was) on the given grid, as known at `now`."""
        is_about_the_past, end = start < floor_to(now, HOUR), start + steps * step
        knowledge = self._knowledge.of_the_past(zone, start, end, now) if is_about_the_past else self._knowledge.of(zone, now)
        return build_outlook(zone, self.kind, knowledge, start, step, steps, now)

    def observed(self, zone: str, start: datetime, end: datetime) -> Series:
        """The recorded hours that cover [start, end), NaN where nothing sound is recorded. Nothing is filled in."""
        return on_hours(self._knowledge.history(zone, start, end), zone, self.kind, start, end)

    def status(self, zone: str, now: datetime) -> ZoneStatus:
        """Where the zone stands at `now`."""
        rung, _ = self._next_hour(zone, now)
        results = {endpoint: result for (each, endpoint), result in self._results.copy().items() if each == zone}  # polls add while we look
        return ZoneStatus(zone, rung, newest_value_age(self._knowledge.of(zone, now).history, now), results)

    def _poll(self, zones: Iterable[str], ask: Callable[[str], list[Fetch]]) -> list[Fetch]:
        """Ask about each zone in turn, whatever happened to the others; then look where each one stands now."""
        fetches: list[Fetch] = []
        for zone in zones:
            self._knowledge.go_on()
            fetches += ask(zone)
            self._knowledge.forget(zone)
            self._note_rung(zone)
        return fetches

    def _history(self, zone: str) -> list[Fetch]:
        now = self._clock()
        if _is_recent(self._history_at.get(zone), now, HISTORY_EVERY):
            return []
        fetches = [self._record(zone, "history", lambda source: source.history(zone))]
        if fetches[0].result == OK:
            self._history_at[zone] = now
        return fetches + self._back_fill(zone, now)

    def _back_fill(self, zone: str, now: datetime) -> list[Fetch]:
        """Ask for what is missing before the last 24 hours, piece by piece until one fails, and when all came, not again for a day:
        hours the provider does not have either would otherwise eat the request budget."""
        first_missing = self._first_missing(zone, now)
        if first_missing is None or _is_recent(self._back_filled_at.get(zone), now, timedelta(days=1)):
            return []
        fetches: list[Fetch] = []
        until = floor_to(now, HOUR) - 23 * HOUR
        while first_missing < until:
            piece = Interval(first_missing, min(first_missing + PIECE, until))
            fetches.append(self._past_range(zone, piece))
            if fetches[-1].result != OK:
                return fetches
            first_missing = piece.end
        self._back_filled_at[zone] = now
        return fetches

    def _past_range(self, zone: str, piece: Interval) -> Fetch:
        return self._record(zone, "past-range", lambda source: source.past_range(zone, piece.start, piece.end))

    def _first_missing(self, zone: str, now: datetime) -> datetime | None:
        """The first hour without a record between BACK_FILL ago and the 24 hours that `history` covers."""
        this_hour = floor_to(now, HOUR)
        series = self.observed(zone, this_hour - BACK_FILL, this_hour - 23 * HOUR)
        missing = np.flatnonzero(np.isnan(series.values))
        return series.start + int(missing[0]) * HOUR if len(missing) else None

    def _record(self, zone: str, endpoint: str, ask: Callable[[IntensitySource], list[Reading]]) -> Fetch:
        fetch, readings = self._ask(zone, endpoint, ask)
        if not readings:
            return fetch
        return replace(fetch, recorded=self._store.put_readings(readings, self._clock()))

    def _forecasts(self, zone: str) -> list[Fetch]:
        fetch, vintage = self._ask(zone, "forecast", lambda source: source.forecast(zone))
        if vintage is not None:
            self._store.put_vintage(vintage)
        self._issue_own(zone)
        return [fetch]

    def _issue_own(self, zone: str) -> None:
        own = self._knowledge.make_forecast(zone, self._clock())
        if own is not None:
            self._store.put_vintage(own)

    def _learn(self, zone: str) -> None:
        if self._knowledge.learn(zone, self._clock()):
            self._issue_own(zone)
            self._knowledge.forget(zone)

    def _means(self, zone: str) -> list[Fetch]:
        fetches: list[Fetch] = []
        for granularity in MEANS_BACK:
            fetches.append(self._period_means(zone, granularity))
            if fetches[-1].result != OK:
                break
        return fetches

    def _period_means(self, zone: str, granularity: str) -> Fetch:
        now = self._clock()
        since = now - MEANS_BACK[granularity]
        fetch, means = self._ask(zone, f"past-range-{granularity}", lambda source: source.period_means(zone, since, now, granularity))
        return replace(fetch, recorded=self._store.put_period_means(means, now)) if means else fetch

    def _ask(self, zone: str, endpoint: str, ask: Callable[[IntensitySource], Told]) -> tuple[Fetch, Told | None]:
        """One question: its result counted, and logged if it is another one than last time."""
        source = next((each for each in self._sources if each.serves(zone)), None)
        if source is None:
            self._results[zone, endpoint] = NO_KEY
            return Fetch(zone, endpoint, NO_KEY), None
        try:
            told, result, reason = ask(source), OK, ""
        except SourceError as error:
            told, result, reason = None, error.label, str(error)
        if self._metrics is not None:
            self._metrics.fetched(zone, endpoint.removesuffix("-monthly").removesuffix("-yearly"), result)
        before = self._results.get((zone, endpoint), OK)
        self._results[zone, endpoint] = result
        if result != before:
            level = logging.INFO if result == OK else logging.WARNING
            log.log(level, "fetch-changed", extra={"zone": zone, "endpoint": endpoint, "result": result, "was": before, "reason": reason})
        return Fetch(zone, endpoint, result), told

    def _note_rung(self, zone: str) -> None:
        """Count, log and remember on which rung the zone's next hour stands."""
        now = self._clock()
        rung, forecast = self._next_hour(zone, now)
        was_known, before = zone in self._rungs, self._rungs.get(zone)
        self._rungs[zone] = rung
        if self._metrics is not None:
            self._metrics.show_forecast_age(zone, None if forecast is None else (now - forecast.issued_at).total_seconds())
        if not was_known or rung == before:
            return
        fell = rung is None or (before is not None and rung > before)
        if fell and self._metrics is not None:
            self._metrics.fell(zone)
        labels = {"zone": zone, "rung": _label(rung), "was": _label(before)}
        log.log(logging.WARNING if fell else logging.INFO, "ladder-fell" if fell else "ladder-climbed", extra=labels)

    def _next_hour(self, zone: str, now: datetime) -> tuple[Rung | None, Vintage | None]:
        """The rung of the hour that begins next, and the forecast it comes from where it comes from one."""
        outlook = self.outlook(zone, floor_to(now, HOUR) + HOUR, HOUR, 1, now)
        if np.isnan(outlook.g_per_kwh[0]):
            return None, None
        rung, knowledge = Rung(int(outlook.rung[0])), self._knowledge.of(zone, now)
        return rung, {Rung.VENDOR_FORECAST: knowledge.vendor, Rung.OWN_FORECAST: knowledge.own}.get(rung)


def _is_recent(moment: datetime | None, now: datetime, span: timedelta) -> bool:
    return moment is not None and timedelta(0) <= now - moment < span


def _label(rung: Rung | None) -> str:
    return "none" if rung is None else rung.label
