"""What the record says about each zone, gathered for the ladder and kept for a little while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import numpy as np

from daemon.domain.errors import Hindered
from daemon.intensity_store import IntensityStore
from forecast.climatology import Climatology, climatology_of
from forecast.combining import LEARNT_FROM, Combination, combine, learn_combination
from forecast.forecasters import Forecaster, InsufficientHistory
from forecast.hourly import hours_of
from forecast.intensity import IntensityKind, Rung, Series, Vintage
from forecast.ladder import FORECAST_MAX_AGE, ZoneKnowledge, is_fresh
from forecast.soundness import sound
from forecast.timeline import HOUR, ceil_to, floor_to
from forecast.yearly import yearly_means

BACK_IN_MEMORY = timedelta(days=28)
"""How much of the record is at hand without asking the store again."""

FROZEN_CONTEXT, FROZEN_REACH = timedelta(days=14), timedelta(hours=36)
"""How far before and after a question to read: a frozen stretch is recognised by its length and by what varied before it."""


Told = TypeVar("Told")


@dataclass(frozen=True, slots=True)
class KnowledgeSettings:
    """How far back to look and for how long an answer may be reused, all in grid time."""

    history: timedelta = timedelta(days=35)
    zones: tuple[str, ...] = ()
    """Those whose records are kept up to date: neighbours tell a forecaster what is on its way."""

    climatology_history: timedelta = timedelta(days=3 * 366)
    forecast_horizon: timedelta = timedelta(days=7)
    reuse: timedelta = timedelta(minutes=15)
    reuse_slow: timedelta = timedelta(hours=6)
    """For the climatology and for what archived forecasts teach: both need weeks of record and change little in hours."""


class Knowledge:
    """Zone knowledge from a store. Reading it never writes; what an importer adds is seen after `reuse` at the latest."""

    def __init__(self, store: IntensityStore, kind: IntensityKind, forecaster: Forecaster, settings: KnowledgeSettings) -> None:
        self._store, self._kind, self._forecaster, self._settings = store, kind, forecaster, settings
        self._kept: dict[str, tuple[datetime, ZoneKnowledge]] = {}
        self._climatologies = _Kept[Climatology | None](settings.reuse_slow)
        self._combinations = _Kept[Combination | None](settings.reuse_slow)
        self._combined: dict[str, tuple[Vintage, ...]] = {}
        self._is_stopped = False

    def stop(self) -> None:
        """Begin nothing long any more, from whatever thread: `go_on` raises Hindered, and so does whatever needs a new forecast."""
        self._is_stopped = True

    def go_on(self) -> None:
        """Raises Hindered where told to stop."""
        if self._is_stopped:
            raise Hindered("the daemon is being stopped")

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones whose records may tell of each other."""
        return self._settings.zones

    def of(self, zone: str, now: datetime) -> ZoneKnowledge:
        """Everything known about `zone` at `now`."""
        kept = self._kept.get(zone)
        if kept is not None and timedelta(0) <= now - kept[0] < self._settings.reuse and floor_to(kept[0], HOUR) == floor_to(now, HOUR):
            return kept[1]
        history, doubts = self._sound(zone, now - self._settings.history, now + HOUR)
        vendor, own = self._forecasts(zone, history, now)
        means = self._store.period_means(zone, self._kind)
        yearly = [mean for mean in means if mean.interval.duration > timedelta(days=360)]
        knowledge = ZoneKnowledge(
            history=history,
            doubts=doubts,
            vendor=vendor,
            own=own,
            climatology=self._climatology(zone, now),
            monthly=tuple(mean for mean in means if mean not in yearly),
            yearly=(*yearly, *yearly_means(zone, self._kind)),
        )
        self._kept[zone] = (now, knowledge)
        return knowledge

    def combined(self, zone: str, now: datetime) -> tuple[Vintage, ...]:
        """What the ladder of `zone` stands on at `now` that no source issued so: forecasts made of the provider's and ours."""
        self.of(zone, now)
        return self._combined.get(zone, ())

    def forget(self, zone: str) -> None:
        """Gather anew at the next question: something was recorded."""
        self._kept.pop(zone, None)

    def history(self, zone: str, start: datetime, end: datetime) -> Series | None:
        """The sound recorded hours that touch [start, end), None where there are none at all."""
        return self._sound(zone, start, end)[0]

    def _sound(self, zone: str, start: datetime, end: datetime) -> tuple[Series | None, tuple[str, ...]]:
        """The same, and what was left out because it must not be believed."""
        first, last = floor_to(start, HOUR) - FROZEN_CONTEXT, ceil_to(end, HOUR) + FROZEN_REACH
        record = self._store.record(zone, self._kind, first, last)
        hourly = None if record is None else hours_of(record)
        return (None, ()) if hourly is None else sound(hourly)

    def of_the_past(self, zone: str, start: datetime, end: datetime, now: datetime) -> ZoneKnowledge:
        """Everything known about `zone` at `now`, with the record since `start` and what was forecast for the hours of [start, end)
        that it misses."""
        known = self.of(zone, now)
        history = known.history if start >= now - BACK_IN_MEMORY else self.history(zone, start, now + HOUR)
        passed = on_hours(history, zone, self._kind, start, min(ceil_to(end, HOUR), floor_to(now, HOUR)))
        missing = [passed.start + int(index) * HOUR for index in np.flatnonzero(np.isnan(passed.values))]
        return replace(known, history=history, bridges=self._bridges(zone, missing))

    def _bridges(self, zone: str, missing: list[datetime]) -> tuple[Vintage, ...]:
        """The archived forecasts that were the newest while these hours were still ahead, newest first."""
        found: dict[datetime, Vintage] = {}
        ask_from = missing[0] if missing else None
        for hour in missing:
            if ask_from is None or hour < ask_from:
                continue
            ask_from = hour + FORECAST_MAX_AGE
            for rung in (Rung.OWN_FORECAST, Rung.VENDOR_FORECAST):  # of two issued at one moment the provider's stays
                vintage = self._store.latest_vintage(zone, self._kind, rung, hour)
                if vintage is not None:
                    found[vintage.issued_at] = vintage
        return tuple(found[issued] for issued in sorted(found, reverse=True))

    def make_forecast(self, zone: str, now: datetime) -> Vintage | None:
        """Our own forecast issued at `now`, None where the record is too short for one."""
        history = self.history(zone, now - self._settings.history, now + HOUR)
        return None if history is None else self._forecast(history, now)

    def learn(self, zone: str, now: datetime) -> bool:
        """Learn what years of the record teach of `zone`, once a day: seconds. True where forecasts were made without until now.

        Raises Hindered where told to stop.
        """
        self.go_on()
        history = self.history(zone, now - self._settings.history, now + HOUR)
        try:
            return history is not None and self._forecaster.learn(history, now, archive=self)
        except InsufficientHistory:
            return False

    def _forecast(self, history: Series, now: datetime) -> Vintage | None:
        self.go_on()
        try:
            return self._forecaster.forecast(history, now, self._settings.forecast_horizon, archive=self)
        except InsufficientHistory:
            return None

    def _forecasts(self, zone: str, history: Series | None, now: datetime) -> tuple[Vintage | None, Vintage | None]:
        """The provider's forecast and ours, combined where the provider's may still be used."""
        vendor = self._store.latest_vintage(zone, self._kind, Rung.VENDOR_FORECAST, now)
        own = self._own(zone, history, now)
        self._combined.pop(zone, None)
        if vendor is None or not is_fresh(vendor, now):
            return vendor, own
        blended, joined = combine(vendor, own, self._combination(zone, now))
        self._combined[zone] = tuple(replace(each, known_at=now) for each in (blended, joined) if each is not None)
        return blended, joined

    def _combination(self, zone: str, now: datetime) -> Combination | None:
        """What both archives of the last weeks show of the forecasters."""
        return self._combinations.of(zone, now, lambda: self._learn(zone, now))

    def _learn(self, zone: str, now: datetime) -> Combination | None:
        since = now - LEARNT_FROM
        record = self.history(zone, since, now + HOUR)
        if record is None:
            return None
        vendor, own = (self._store.vintages(zone, self._kind, rung, since, now) for rung in (Rung.VENDOR_FORECAST, Rung.OWN_FORECAST))
        return learn_combination(vendor, own, record, now)

    def _own(self, zone: str, history: Series | None, now: datetime) -> Vintage | None:
        """The archived own forecast of this hour; made on the spot where the hourly poll has not come yet."""
        archived = self._store.latest_vintage(zone, self._kind, Rung.OWN_FORECAST, now)
        if archived is not None and is_fresh(archived, now) and now - archived.issued_at < HOUR:
            return archived
        made = None if history is None else self._forecast(history, now)
        return made or archived

    def _climatology(self, zone: str, now: datetime) -> Climatology | None:
        def gather() -> Climatology | None:
            history = self.history(zone, now - self._settings.climatology_history, now)
            return None if history is None else climatology_of(history)

        return self._climatologies.of(zone, now, gather)


class _Kept(Generic[Told]):
    """What took long to gather, by zone, for a while."""

    def __init__(self, reuse: timedelta) -> None:
        self._reuse, self._kept = reuse, dict[str, tuple[datetime, Told]]()

    def of(self, zone: str, now: datetime, gather: Callable[[], Told]) -> Told:
        """What was gathered lately, else what is gathered now."""
        kept = self._kept.get(zone)
        if kept is None or not timedelta(0) <= now - kept[0] < self._reuse:
            kept = self._kept[zone] = (now, gather())
        return kept[1]


def on_hours(history: Series | None, zone: str, kind: IntensityKind, start: datetime, end: datetime) -> Series:
    """The recorded hours of exactly [floor(start), ceil(end)), NaN where there is no record."""
    first, last = floor_to(start, HOUR), ceil_to(end, HOUR)
    count = (last - first) // HOUR
    values, estimated = np.full(count, np.nan), np.zeros(count, dtype=np.bool_)
    if history is not None:
        offset = (history.start - first) // HOUR
        for index in range(max(0, -offset), min(len(history.values), count - offset)):
            values[index + offset] = history.values[index]
            estimated[index + offset] = history.estimated is not None and history.estimated[index]
    return Series(zone, kind, first, values, HOUR, estimated)
